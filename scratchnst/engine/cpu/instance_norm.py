"""Instance normalisation, `scratchnst.engine.instance_norm`, strip by strip.

NumPy is fast on long rows, and channels are few: pixels that lie one after the other make a row of some thousand
numbers, for which the numbers of the channels are repeated.

Sums over the pixels of a strip are products with a row of ones, in x's dtype; those of the strips are added up in
float64.  The pivot is the mean of every eighth row.  Since these rows are a sixteenth of the image or more, variance is
at least (pivot - mean)^2 / 16, so that subtracting m^2 costs four bits in the worst case.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.cpu import threads
from scratchnst.engine.instance_norm import InstanceNorm

NUMBERS = 8192  # of a row
ROWS_PER_STRIP = 8
SAMPLED = 8  # one row of so many is in the pivot


def pivots(x: Array) -> Array:
    """Return a number near the mean of each channel of each image, (N, C)."""
    count, height, width, channels = x.shape
    row = _row(x.shape)
    rows = height * width // row
    numbers = _flat(x)[:, : rows * row * channels].reshape(count, rows, row * channels)[:, ::SAMPLED]
    pixels = numbers.shape[1] * row
    with threads.blas_on_one_thread():
        return np.full(pixels, 1 / pixels, x.dtype) @ numbers.reshape(count, pixels, channels)


def sums(x: Array, pivot: Array, g: Array | None, mask: Array | None) -> tuple[Array, Array, Array]:
    """Return sum u and sum u d, (N, C), float64, and u, (N, H, W, C): d = x - pivot, or g where the mask is True."""
    u = np.empty(x.shape, x.dtype)
    channels, strips = x.shape[3], list(_strips(x.shape))
    parts = np.empty((len(strips), 2, channels))
    flat_x, flat_u = _flat(x), _flat(u)
    flat_g, flat_mask = (None if each is None else _flat(each) for each in (g, mask))
    pivot, ones = _repeated(pivot, x), np.ones(_row(x.shape) * ROWS_PER_STRIP, x.dtype)

    def job(number, image, strip, row):
        part = flat_u[image, strip].reshape(row)
        other = threads.buffer("instance norm", part.shape, x.dtype)
        d = part if flat_g is None else other
        np.subtract(flat_x[image, strip].reshape(row), pivot[image, : row[1]], out=d)
        if flat_g is not None and flat_mask is not None:
            np.multiply(flat_g[image, strip].reshape(row), flat_mask[image, strip].reshape(row), out=part)
        elif flat_g is not None:
            part[...] = flat_g[image, strip].reshape(row)
        np.multiply(part, d, out=other)
        for place, values in enumerate((part, other)):
            parts[number, place] = ones[: part.size // channels] @ values.reshape(-1, channels)

    threads.run(job, [(number, *strip) for number, strip in enumerate(strips)])
    of_images = parts.reshape(len(x), len(strips) // max(len(x), 1), 2, channels).sum(axis=1)
    return of_images[:, 0], of_images[:, 1], u


def scaled(u: Array, x: Array, pivot: Array, factor: Array, offset: Array, relu: bool) -> tuple[Array, Array | None]:
    """Return y = factor d + offset in the place of u = d, and y > 0 or None."""
    flat, factor, offset = _flat(u), _repeated(factor, u), _repeated(offset, u)
    positive = np.empty(u.shape, bool) if relu else None
    flat_positive = _flat(positive) if positive is not None else None
    zeros = np.zeros(factor.shape[1], u.dtype)  # NumPy finds maxima of two arrays faster than of an array and a number

    def job(image, strip, row):
        y = flat[image, strip].reshape(row)
        y *= factor[image, : row[1]]
        y += offset[image, : row[1]]
        if flat_positive is not None:
            np.maximum(y, zeros[: row[1]], out=y)
            np.greater(y, 0, out=flat_positive[image, strip].reshape(row))

    threads.run(job, _strips(u.shape))
    return u, positive


def projected(u: Array, x: Array, pivot: Array, factor: Array, along: Array, offset: Array) -> Array:
    """Return dL/dx = factor (g + along d + offset) in the place of u = g."""
    flat, flat_x = _flat(u), _flat(x)
    pivot, factor, along, offset = (_repeated(each, u) for each in (pivot, factor, along, offset))

    def job(image, strip, row):
        grad_x = flat[image, strip].reshape(row)
        d = threads.buffer("instance norm", row, u.dtype)
        np.subtract(flat_x[image, strip].reshape(row), pivot[image, : row[1]], out=d)
        d *= along[image, : row[1]]
        d += offset[image, : row[1]]
        grad_x += d
        grad_x *= factor[image, : row[1]]

    threads.run(job, _strips(u.shape))
    return u


def workspace(shape: tuple[int, ...]) -> dict[str, int]:
    """Return how many numbers all threads' buffers hold, by name, after images of `shape`."""
    strip = max((rows * length for _, _, (rows, length) in _strips(shape)), default=0)
    return {"instance norm": threads.count() * strip}


def _row(shape):
    """How many pixels make a row."""
    _, height, width, channels = shape
    return min(max(NUMBERS // max(channels, 1), 1), height * width)


def _strips(shape) -> Iterator[tuple[int, slice, tuple[int, int]]]:
    """Cut images (N, H W C) into strips of rows, and what is left of each: (image, numbers, shape as a matrix)."""
    count, height, width, channels = shape
    length, numbers = _row(shape) * channels, height * width * channels
    rows = height * width // _row(shape)
    for image in range(count):
        for top, bottom in threads.pieces(rows, ROWS_PER_STRIP):
            yield image, slice(top * length, bottom * length), (bottom - top, length)
        if rows * length < numbers:
            yield image, slice(rows * length, numbers), (1, numbers - rows * length)


def _flat(x):
    return x.reshape(len(x), x.shape[1] * x.shape[2] * x.shape[3])


def _repeated(numbers, x):
    """Numbers (N, C) in x's dtype, once for each pixel of a row."""
    return np.tile(numbers.astype(x.dtype), (1, _row(x.shape)))


NORM = InstanceNorm(pivots, sums, scaled, projected)
forward, forward_relu, backward = NORM.forward, NORM.forward_relu, NORM.backward
backward_input, backward_parameters = NORM.backward_input, NORM.backward_parameters
