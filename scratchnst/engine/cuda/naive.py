"""Convolution, rung 1: `scratchnst.ops.conv2d` by its definition, a thread for each number of the result: naive.cu.

It takes odd kernels of any size, and arrays of no numbers as well.

The way back, equation (d) there, is a convolution with the flipped kernel, of which a copy is made: a thread's
neighbours then find their weights side by side, as on the way forward.

On paper: a multiplication and an addition for each two numbers fetched, 8 bytes in float32.  The numbers come from the
caches, several times each; how fast these deliver them, and not the arithmetic, is the limit.
"""

from __future__ import annotations

import math

from scratchnst.arrays import Array
from scratchnst.engine.convolution import flipped
from scratchnst.engine.cuda import device, kernels


def convolve(
    x: Array, w: Array, b: Array | None = None, relu: bool = False, mask: Array | None = None
) -> tuple[Array, Array | None]:
    """Return y, the convolution of `x` (N, H, W, C) with `w` (kh, kw, C, K), and where it is positive: equation (a)."""
    kh, kw, channels, outputs = w.shape
    y = device.empty((*x.shape[:3], outputs), x.dtype)
    positive = device.empty(y.shape, bool) if relu else None
    x, mask, w, b = device.readable(x), device.readable(mask), device.readable(w, x.dtype), device.readable(b, x.dtype)
    sizes = *x.shape[:3], channels, outputs, kh, kw
    kernels.launch_each("naive", "naive_convolve", y.size, x.dtype, x, mask, w, b, y, positive, *sizes)
    return y, positive


def convolve_back(grad_y: Array, w: Array, mask: Array | None = None) -> Array:
    """Return dL/dx, the convolution of `grad_y`, zero where `mask` is False, with the flipped kernel: equation (d)."""
    return convolve(grad_y, flipped(w), mask=mask)[0]


def kernel_gradient(x: Array, grad_y: Array, mask: Array | None, kernel: tuple[int, int]) -> Array:
    """Return dL/dw (kh, kw, C, K), equation (c); `grad_y` is taken as zero where `mask`, if there is one, is False."""
    grad_w = device.empty((*kernel, x.shape[3], grad_y.shape[3]), x.dtype)
    x, grad_y, mask = device.readable(x), device.readable(grad_y, x.dtype), device.readable(mask)
    sizes = *x.shape, grad_y.shape[3], *kernel
    kernels.launch_each("naive", "naive_kernel_gradient", grad_w.size, x.dtype, x, grad_y, mask, grad_w, *sizes)
    return grad_w


def workspace(shape: tuple[int, ...], kernel: tuple[int, ...]) -> dict[str, int]:
    """Return how many numbers a convolution of images of `shape` keeps while it runs, by name."""
    return {"flipped kernel": math.prod(kernel)}
