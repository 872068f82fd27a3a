"""The convolution of this engine: `scratchnst.ops.conv2d`'s contract, computed in one of three ways.

`choose` says which, from the shapes alone, by the times that ``python -m scratchnst.engine.cpu.measure`` prints;
`using` overrides it.

    winograd   3x3 kernels, unless channels or pixels are few: a quarter of the multiplications
    windows    few input channels: one matrix product, and what it has to gather is little
    shifted    all others: a matrix product for each weight of the kernel
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.convolution import Conv2d
from scratchnst.engine.cpu import empty, shifted, threads, windows, winograd

WAYS = {"winograd": winograd, "windows": windows, "shifted": shifted}
FEW_CHANNELS, ENOUGH_CHANNELS, ENOUGH_PIXELS = 15, 24, 256


def preferred(shape: tuple[int, ...], kernel: tuple[int, ...]) -> str:
    """Return the name of the fastest way to convolve images of `shape` (N, H, W, C) with a `kernel` (kh, kw, C, K)."""
    channels, outputs = kernel[2:]
    large = shape[1] * shape[2] >= ENOUGH_PIXELS and min(shape[1:3]) > 1  # of a single row most of a tile is wasted
    if takes("winograd", shape, kernel) and large and min(channels, outputs) >= ENOUGH_CHANNELS:
        return "winograd"
    return "windows" if channels <= FEW_CHANNELS else "shifted"


def takes(way: str, shape: tuple[int, ...], kernel: tuple[int, ...]) -> bool:
    """Return whether this way can convolve images of `shape` with a `kernel`: Winograd's is for 3x3 kernels alone."""
    return way != "winograd" or list(kernel[:2]) == [3, 3]


def bias_gradient(grad_y: Array, mask: Array | None) -> Array:
    """Return dL/db (K,) from `grad_y` = dL/dy, zero where `mask` is False: a sum over strips of each image."""
    if not grad_y.size:
        return np.zeros(grad_y.shape[3], grad_y.dtype)

    def strip(image, top, bottom):
        g = grad_y[image, top:bottom]
        g = g if mask is None else g * mask[image, top:bottom]
        return np.ones(g.shape[0] * g.shape[1], g.dtype) @ g.reshape(-1, g.shape[2])  # BLAS adds faster than NumPy

    return threads.total(strip, threads.strips(grad_y.shape, -(-grad_y.shape[1] // 8)))


CONVOLUTION = Conv2d(WAYS, preferred, takes, bias_gradient, empty)
choose, using, convolve = CONVOLUTION.choose, CONVOLUTION.using, CONVOLUTION.convolve
forward, forward_relu, backward = CONVOLUTION.forward, CONVOLUTION.forward_relu, CONVOLUTION.backward
backward_input, backward_parameters = CONVOLUTION.backward_input, CONVOLUTION.backward_parameters
