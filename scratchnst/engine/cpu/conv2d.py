"""The convolution of this engine: `scratchnst.ops.conv2d`'s contract, computed in one of three ways.

`choose` says which, from the shapes alone, by the times that ``python -m scratchnst.engine.cpu.measure`` prints;
`using` overrides it.

    winograd   3x3 kernels, unless channels or pixels are few: a quarter of the multiplications
    windows    few input channels: one matrix product, and what it has to gather is little
    shifted    all others: a matrix product for each weight of the kernel
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_convolution, check_images, check_shape
from scratchnst.engine.cpu import patches, shifted, threads, windows, winograd

WAYS = {"winograd": winograd, "windows": windows, "shifted": shifted}
FEW_CHANNELS, ENOUGH_CHANNELS, ENOUGH_PIXELS = 15, 32, 256

_forced: ContextVar[str | None] = ContextVar("way to convolve", default=None)


def choose(shape: tuple[int, ...], kernel: tuple[int, ...]) -> str:
    """Return the name of the way to convolve images of `shape` (N, H, W, C) with a `kernel` (kh, kw, C, K)."""
    *sides, channels, outputs = kernel
    three, forced = sides == [3, 3], _forced.get()
    if forced and (three or forced != "winograd"):
        return forced
    large = shape[1] * shape[2] >= ENOUGH_PIXELS and min(shape[1:3]) > 1  # of a single row most of a tile is wasted
    if three and large and min(channels, outputs) >= ENOUGH_CHANNELS:
        return "winograd"
    return "windows" if channels <= FEW_CHANNELS else "shifted"


@contextmanager
def using(way: str | None) -> Iterator[None]:
    """Convolve in this way within the block, in this thread, where it can (Winograd's is for 3x3 kernels alone)."""
    if way is not None and way not in WAYS:
        raise ValueError(f"there is no way {way!r} to convolve; choose one of {', '.join(WAYS)}")
    token = _forced.set(way)
    try:
        yield
    finally:
        _forced.reset(token)


def forward(x: Array, w: Array, b: Array) -> tuple[Array, tuple[Array | None, Array]]:
    """Convolve `x` (N, H, W, C) with `w` (kh, kw, C, K) and add `b` (K,): return y (N, H, W, K) and the cache (x, w).

    `x` is float32 or float64, and so is all that is computed; `w` and `b` are converted.

    Raises
    ------
    ValueError
        If `x` is neither, `w` or `b` is complex, a kernel side is even, or channels do not match.
    """
    y, _ = convolve(x, w, b)
    return y, (x, w)


def backward(grad_y: Array, cache: tuple) -> tuple[Array, Array, Array]:
    """Return dL/dx, dL/dw and dL/db from `grad_y` = dL/dy."""
    return backward_input(grad_y, cache), *backward_parameters(grad_y, cache)


def backward_input(grad_y: Array, cache: tuple) -> Array:
    """Return dL/dx alone."""
    _, w = cache
    return convolve_back(grad_y, w)


def backward_parameters(grad_y: Array, cache: tuple) -> tuple[Array, Array]:
    """Return dL/dw and dL/db."""
    x, w = cache
    return gradients_of_parameters(x, w, grad_y)


def convolve(x: Array, w: Array, b: Array, relu: bool = False) -> tuple[Array, Array | None]:
    """Return y and, if y is to be rectified, where it is positive."""
    check_convolution(x, w, b)
    if b.shape != w.shape[3:]:
        raise ValueError(f"channels do not match: kernel {w.shape}, bias {b.shape}")
    if not x.size * w.size:
        y = np.zeros((*x.shape[:3], w.shape[3]), x.dtype) + b.astype(x.dtype)
        return (np.maximum(y, 0), y > 0) if relu else (y, None)
    return WAYS[choose(x.shape, w.shape)].convolve(x, w, b, relu)


def convolve_back(grad_y: Array, w: Array, mask: Array | None = None) -> Array:
    """Return dL/dx: `grad_y`, zero where `mask` is False, convolved with the flipped kernel."""
    if mask is not None:
        check_shape("gradient", grad_y, mask.shape)
    flipped = patches.flipped(w)
    check_convolution(grad_y, flipped)
    if not grad_y.size * w.size:
        return np.zeros((*grad_y.shape[:3], w.shape[2]), grad_y.dtype)
    return WAYS[choose(grad_y.shape, flipped.shape)].convolve_back(grad_y, w, mask)


def gradients_of_parameters(x: Array, w: Array, grad_y: Array, mask: Array | None = None) -> tuple[Array, Array]:
    """Return dL/dw and dL/db, `grad_y` being zero where `mask` is False."""
    check_shape("gradient", grad_y, (*x.shape[:3], w.shape[3]))
    check_images(grad_y)
    if not grad_y.size:
        return np.zeros(w.shape, x.dtype), np.zeros(w.shape[3], x.dtype)

    def strip(image, top, bottom):
        g = grad_y[image, top:bottom]
        g = g if mask is None else g * mask[image, top:bottom]
        return g.sum(axis=(0, 1))

    grad_b = threads.total(strip, threads.strips(x.shape, -(-x.shape[1] // 8)))
    if not w.size:  # without input channels the bias is all there is
        return np.zeros(w.shape, x.dtype), grad_b
    return WAYS[choose(x.shape, w.shape)].kernel_gradient(x, grad_y, mask, w.shape[:2]), grad_b
