"""Total variation, `scratchnst.losses.total_variation`, summed over strips."""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images
from scratchnst.engine.cpu import threads
from scratchnst.losses import total_variation

ROWS_PER_STRIP = 32


def forward(x: Array) -> tuple[float, Array]:
    """Return the total variation of images `x` (N, H, W, C), summed in float64, and the cache, x."""
    check_images(x)

    def job(image, top, bottom):
        rows = x[image, top : bottom + 1]  # with the first of the next strip
        down, right = rows[1:] - rows[:-1], rows[: bottom - top, 1:] - rows[: bottom - top, :-1]
        return (down * down).sum(dtype="float64") + (right * right).sum(dtype="float64")

    return float(threads.total(job, threads.strips(x.shape, ROWS_PER_STRIP))), x


def backward(grad_y: float, cache: Array) -> Array:
    """Return dL/dx, of x's shape and dtype, from `grad_y` = dL/dV: what the textbook says of the rows around."""
    x = cache
    grad_x = np.empty(x.shape, x.dtype)

    def job(image, top, bottom):
        first = max(top - 1, 0)
        around = total_variation.backward(grad_y, x[image : image + 1, first : bottom + 1])
        grad_x[image, top:bottom] = around[0, top - first : bottom - first]

    threads.run(job, threads.strips(x.shape, ROWS_PER_STRIP))
    return grad_x
