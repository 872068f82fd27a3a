"""Nearest upsampling, `scratchnst.ops.upsample`: average_pool.cu in reverse order, without its factor."""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images, check_shape
from scratchnst.engine.cuda.average_pool import squares_added, squares_filled


def forward(x: Array) -> tuple[Array, tuple[int, ...]]:
    """Make a square of each pixel of `x`: (N, H, W, C) -> (N, 2H, 2W, C), and the cache, the shape of that."""
    check_images(x)
    count, height, width, channels = x.shape
    shape = count, 2 * height, 2 * width, channels
    return squares_filled(x, shape, 1), shape


def backward(grad_y: Array, cache: tuple[int, ...]) -> Array:
    """Return dL/dx (N, H, W, C) from `grad_y` = dL/dy (N, 2H, 2W, C)."""
    check_shape("gradient", grad_y, cache)
    return squares_added(grad_y, 1)
