r"""Convolution as one matrix product on windows: the textbook's way, equation (b) of `scratchnst.ops.conv2d`, threaded.

Where the input has few channels, as the image has, each of the nine products of `shifted` would be too thin for BLAS,
and there is little to copy: the window of a pixel is 27 numbers.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.convolution import flipped
from scratchnst.engine.cpu import banded, patches, threads

PIXELS_PER_STRIP = 2048


def convolve(
    x: Array, w: Array, b: Array | None = None, relu: bool = False, mask: Array | None = None
) -> tuple[Array, Array | None]:
    """Return y, the convolution of `x` (N, H, W, C) with `w` (kh, kw, C, K), and where it is positive."""
    kh, kw, _, channels = w.shape
    count, height, width, _ = x.shape
    y = np.empty((count, height, width, channels), x.dtype)
    positive = np.empty(y.shape, bool) if relu else None
    matrix = np.ascontiguousarray(w, x.dtype).reshape(-1, channels)

    def job(image, top, bottom):
        product = threads.buffer("product", (bottom - top, width, channels), x.dtype)
        for start, stop, windows in _windows(x, mask, image, top, bottom, kh, kw):
            banded.multiply(windows, matrix, product[start:stop])
        if b is not None:
            product += b
        patches.write(product, y[image, top:bottom], None if positive is None else positive[image, top:bottom])

    threads.run(job, threads.strips(x.shape, PIXELS_PER_STRIP // width))
    return y, positive


def convolve_back(grad_y: Array, w: Array, mask: Array | None = None) -> Array:
    """Return dL/dx, the convolution of `grad_y`, zero where `mask` is False, with the flipped kernel."""
    return convolve(grad_y, flipped(w), mask=mask)[0]


def kernel_gradient(x: Array, grad_y: Array, mask: Array | None, kernel: tuple[int, int]) -> Array:
    """Return dL/dw (kh, kw, C, K); `grad_y` is taken as zero where `mask`, if there is one, is False."""
    (kh, kw), (_, height, width, _) = kernel, x.shape

    def job(image, top, bottom):
        g = threads.buffer("gradient", (bottom - top, width, grad_y.shape[3]), x.dtype)
        patches.read(grad_y, mask, image, top, 0, g)
        total = np.zeros((kh * kw * x.shape[3], g.shape[2]), x.dtype)
        for start, stop, windows in _windows(x, None, image, top, bottom, kh, kw):
            banded.add_products(windows, g[start:stop], total)
        return total

    return threads.total(job, threads.strips(x.shape, -(-height // 8))).reshape(kh, kw, x.shape[3], -1)


def workspace(shape: tuple[int, ...], kernel: tuple[int, ...]) -> dict[str, int]:
    """Return how many numbers all threads' buffers hold, by name, after a `convolve` of images of `shape`."""
    (_, height, width, channels), (kh, kw, _, outputs) = shape, kernel
    rows = min(max(PIXELS_PER_STRIP // width, 1), height)
    pixels = (rows + kh - 1) * (width + kw - 1) * channels
    window = kh * kw * channels
    at_once = max(stop - start for start, stop in threads.pieces(rows, banded.NUMBERS_OF_WINDOWS // (width * window)))
    sizes = {"pixels": pixels, "windows": at_once * width * window, "product": rows * width * outputs}
    return {name: threads.count() * size for name, size in sizes.items()}


def _windows(x, mask, image, top, bottom, kh, kw):
    """Yield the windows that the output rows from top to bottom look at: see `banded.windows_of`."""
    _, _, width, channels = x.shape
    pixels = threads.buffer("pixels", (bottom - top + kh - 1, width + kw - 1, channels), x.dtype)
    patches.read(x, mask, image, top - kh // 2, -(kw // 2), pixels)
    return banded.windows_of(pixels, (bottom - top, width), (kh, kw), (1, 1))
