"""2x2 average pooling, `scratchnst.ops.average_pool`, strip by strip."""

from __future__ import annotations

from typing import Any

import numpy as np

from scratchnst.engine.cpu import threads

Array = Any

ROWS_PER_STRIP = 8


def forward(x: Array) -> tuple[Array, tuple[int, ...]]:
    """Average the 2x2 squares of `x`: (N, H, W, C) -> (N, H//2, W//2, C), and the cache, x's shape."""
    count, height, width, channels = x.shape[0], x.shape[1] // 2, x.shape[2] // 2, x.shape[3]
    y = np.empty((count, height, width, channels), x.dtype)

    def job(image, top, bottom):
        rows = x[image, 2 * top : 2 * bottom, : 2 * width]
        pairs = rows[0::2] + rows[1::2]
        part = y[image, top:bottom]
        np.add(pairs[:, 0::2], pairs[:, 1::2], out=part)
        part *= part.dtype.type(1 / 4)

    threads.run(job, threads.strips(y.shape, ROWS_PER_STRIP))
    return y, x.shape


def backward(grad_y: Array, cache: tuple[int, ...]) -> Array:
    """Return dL/dx (N, H, W, C) from `grad_y` = dL/dy (N, H//2, W//2, C)."""
    shape = cache
    _, height, width, channels = grad_y.shape
    grad_x = np.empty(shape, grad_y.dtype)
    grad_x[:, 2 * height :] = grad_x[:, :, 2 * width :] = 0  # pixels left out

    def job(image, top, bottom):
        quarter = grad_y[image, top:bottom] * grad_y.dtype.type(1 / 4)
        squares = grad_x[image, 2 * top : 2 * bottom, : 2 * width].reshape(bottom - top, 2, width, 2, channels)
        squares[...] = quarter[:, np.newaxis, :, np.newaxis]

    threads.run(job, threads.strips(grad_y.shape, ROWS_PER_STRIP))
    return grad_x
