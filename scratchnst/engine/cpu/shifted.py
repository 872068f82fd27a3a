r"""Convolution as one matrix product for each weight of the kernel, on shifted images.

Equation (a) of `scratchnst.ops.conv2d`, with its sums in another order::

    y[n,p,q] = b + sum_{i,j} (x[n, p+i-r, q+j-s] w[i,j])                                           (a)

For each (i, j) the bracket is a matrix product of all pixels, as rows of C channels, with the (C, K) matrix w[i,j]:
of the image as it is, moved by (i-r, j-s).  Nothing is gathered, where the textbook copies every pixel kh kw times;
but the products are added up in memory.  It takes odd kernels of any size.  A 1x1 kernel is a single product.

How it moves.  Let the image have zeros around it, W + 2s columns, and number its pixels row by row.  Moving by (i, j)
is then starting at pixel i (W + 2s) + j, so that a moved image is a slice.  What a slice wraps around from one row to
the next falls on the 2s columns that are left out at the end.

Derivation of the kernel's gradient.  w[i,j] stands in the product of the pixels moved by (i-r, j-s) alone::

    dL/dw[i,j] = sum over pixels of x[n, p+i-r, q+j-s]^T dL/dy[n,p,q]                              (b)
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.convolution import flipped
from scratchnst.engine.cpu import patches, threads

NUMBERS_PER_STRIP = 131072  # of pixels times channels: few enough for the cache


def convolve(
    x: Array, w: Array, b: Array | None = None, relu: bool = False, mask: Array | None = None
) -> tuple[Array, Array | None]:
    """Return y, the convolution of `x` (N, H, W, C) with `w` (kh, kw, C, K), and where it is positive."""
    kh, kw, _, channels = w.shape
    count, height, width, _ = x.shape
    y = np.empty((count, height, width, channels), x.dtype)
    positive = np.empty(y.shape, bool) if relu else None
    w = np.ascontiguousarray(w, x.dtype)

    def job(image, top, bottom):
        pixels, moves = _pixels(x, mask, image, top, bottom, kh, kw)
        total = threads.buffer("sum", (bottom - top, width + kw - 1, channels), x.dtype)
        flat = total.reshape(-1, channels)[: len(pixels[moves[0]])]
        first, *others = zip(moves, w.reshape(-1, *w.shape[2:]))
        np.matmul(pixels[first[0]], first[1], out=flat)
        product = threads.buffer("product", flat.shape, x.dtype)
        for move, weights in others:
            flat += np.matmul(pixels[move], weights, out=product)
        inside = total[:, :width]
        if b is not None:
            inside += b
        patches.write(inside, y[image, top:bottom], None if positive is None else positive[image, top:bottom])

    threads.run(job, threads.strips(x.shape, NUMBERS_PER_STRIP // (width * max(w.shape[2:]))))
    return y, positive


def convolve_back(grad_y: Array, w: Array, mask: Array | None = None) -> Array:
    """Return dL/dx, the convolution of `grad_y`, zero where `mask` is False, with the flipped kernel."""
    return convolve(grad_y, flipped(w), mask=mask)[0]


def kernel_gradient(x: Array, grad_y: Array, mask: Array | None, kernel: tuple[int, int]) -> Array:
    """Return dL/dw (kh, kw, C, K), equation (b); `grad_y` is taken as zero where `mask`, if there is one, is False."""
    (kh, kw), (_, height, width, _) = kernel, x.shape

    def job(image, top, bottom):
        pixels, moves = _pixels(x, None, image, top, bottom, kh, kw)
        g = threads.buffer("gradient", (bottom - top, width + kw - 1, grad_y.shape[3]), x.dtype)
        patches.read(grad_y, mask, image, top, 0, g)  # zero in the columns to be left out
        flat = g.reshape(-1, g.shape[2])[: len(pixels[moves[0]])]
        return np.stack([pixels[move].T @ flat for move in moves])

    return threads.total(job, threads.strips(x.shape, -(-height // 8))).reshape(kh, kw, x.shape[3], -1)


def workspace(shape: tuple[int, ...], kernel: tuple[int, ...]) -> dict[str, int]:
    """Return how many numbers all threads' buffers hold, by name, after a `convolve` of images of `shape`."""
    (_, height, width, _), (kh, kw, channels, outputs) = shape, kernel
    rows = min(max(NUMBERS_PER_STRIP // (width * max(channels, outputs)), 1), height)
    total = rows * (width + kw - 1) * outputs
    sizes = {"pixels": (rows + kh - 1) * (width + kw - 1) * channels, "sum": total, "product": total}
    return {name: threads.count() * size for name, size in sizes.items()}


def _pixels(x, mask, image, top, bottom, kh, kw):
    """Return the pixels that rows top to bottom of the output look at, (pixels, C), and the slice for each (i, j)."""
    width = x.shape[2] + kw - 1
    pixels = threads.buffer("pixels", (bottom - top + kh - 1, width, x.shape[3]), x.dtype)
    patches.read(x, mask, image, top - kh // 2, -(kw // 2), pixels)
    length = (bottom - top) * width - (kw - 1)
    moves = [slice(i * width + j, i * width + j + length) for i in range(kh) for j in range(kw)]
    return pixels.reshape(-1, x.shape[3]), moves
