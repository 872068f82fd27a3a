"""2x2 max pooling, `scratchnst.ops.max_pool`, strip by strip."""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images, check_shape
from scratchnst.engine.cpu import threads
from scratchnst.engine.cpu.average_pool import pooled

ROWS_PER_STRIP = 8


def forward(x: Array) -> tuple[Array, tuple[tuple[int, ...], Array]]:
    """Take the largest of each 2x2 square of `x`: (N, H, W, C) -> (N, H//2, W//2, C), and the cache.

    The winner is the first of the largest in reading order: its number only changes to that of a pixel that is
    larger than all before.
    """
    check_images(x)
    y = np.empty(pooled(x.shape), x.dtype)
    winner = np.zeros(y.shape, np.uint8)

    def job(image, top, bottom):
        corners = _corners(x, image, top, bottom)
        largest, first = y[image, top:bottom], winner[image, top:bottom]
        largest[...] = corners[0]
        for number in (1, 2, 3):
            larger = corners[number] > largest
            np.maximum(first, larger * np.uint8(number), out=first)  # numbers rise, so the last one counts
            np.maximum(largest, corners[number], out=largest)

    threads.run(job, threads.strips(y.shape, ROWS_PER_STRIP))
    return y, (x.shape, winner)


def backward(grad_y: Array, cache: tuple[tuple[int, ...], Array]) -> Array:
    """Return dL/dx (N, H, W, C) from `grad_y` = dL/dy (N, H//2, W//2, C)."""
    shape, winner = cache
    check_shape("gradient", grad_y, winner.shape)
    _, height, width, _ = grad_y.shape
    grad_x = np.empty(shape, grad_y.dtype)
    grad_x[:, 2 * height :] = grad_x[:, :, 2 * width :] = 0  # pixels left out

    def job(image, top, bottom):
        for number, corner in enumerate(_corners(grad_x, image, top, bottom)):
            np.multiply(grad_y[image, top:bottom], winner[image, top:bottom] == number, out=corner)

    threads.run(job, threads.strips(grad_y.shape, ROWS_PER_STRIP))
    return grad_x


def _corners(x, image, top, bottom):
    """Return four views of rows of squares: their pixels in reading order."""
    width = x.shape[2] // 2 * 2
    return [x[image, 2 * top + i : 2 * bottom : 2, j:width:2] for i in (0, 1) for j in (0, 1)]
