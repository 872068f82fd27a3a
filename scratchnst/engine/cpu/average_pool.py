"""2x2 average pooling, `scratchnst.ops.average_pool`, strip by strip."""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images, check_shape
from scratchnst.engine.cpu import threads

ROWS_PER_STRIP = 8


def forward(x: Array) -> tuple[Array, tuple[int, ...]]:
    """Average the 2x2 squares of `x`: (N, H, W, C) -> (N, H//2, W//2, C), and the cache, x's shape."""
    check_images(x)
    return squares_added(x, 1 / 4), x.shape


def backward(grad_y: Array, cache: tuple[int, ...]) -> Array:
    """Return dL/dx (N, H, W, C) from `grad_y` = dL/dy (N, H//2, W//2, C)."""
    shape = cache
    check_shape("gradient", grad_y, pooled(shape))
    _, height, width, channels = grad_y.shape
    grad_x = np.empty(shape, grad_y.dtype)
    grad_x[:, 2 * height :] = grad_x[:, :, 2 * width :] = 0  # pixels left out

    def job(image, top, bottom):
        quarter = grad_y[image, top:bottom] * grad_y.dtype.type(1 / 4)
        squares = grad_x[image, 2 * top : 2 * bottom, : 2 * width].reshape(bottom - top, 2, width, 2, channels)
        squares[...] = quarter[:, np.newaxis, :, np.newaxis]

    threads.run(job, threads.strips(grad_y.shape, ROWS_PER_STRIP))
    return grad_x


def squares_added(x: Array, factor: float) -> Array:
    """Return `factor` times the sum of each 2x2 square of `x`: (N, H, W, C) -> (N, H//2, W//2, C)."""
    y = np.empty(pooled(x.shape), x.dtype)
    width = y.shape[2]

    def job(image, top, bottom):
        rows = x[image, 2 * top : 2 * bottom, : 2 * width]
        pairs = rows[0::2] + rows[1::2]
        part = y[image, top:bottom]
        np.add(pairs[:, 0::2], pairs[:, 1::2], out=part)
        part *= part.dtype.type(factor)

    threads.run(job, threads.strips(y.shape, ROWS_PER_STRIP))
    return y


def pooled(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape (N, H//2, W//2, C) of what becomes of images (N, H, W, C)."""
    count, height, width, channels = shape
    return count, height // 2, width // 2, channels
