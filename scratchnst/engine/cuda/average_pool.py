"""2x2 average pooling, `scratchnst.ops.average_pool`: average_pool.cu."""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images, check_shape
from scratchnst.engine.cuda import device, kernels

THREADS = 256  # of a block


def forward(x: Array) -> tuple[Array, tuple[int, ...]]:
    """Average the 2x2 squares of `x`: (N, H, W, C) -> (N, H//2, W//2, C), and the cache, x's shape."""
    check_images(x)
    return squares_added(x, 1 / 4), x.shape


def backward(grad_y: Array, cache: tuple[int, ...]) -> Array:
    """Return dL/dx (N, H, W, C) from `grad_y` = dL/dy (N, H//2, W//2, C)."""
    shape = cache
    check_shape("gradient", grad_y, pooled(shape))
    return squares_filled(grad_y, shape, 1 / 4)


def squares_added(x: Array, factor: float) -> Array:
    """Return `factor` times the sum of each 2x2 square of `x`: (N, H, W, C) -> (N, H//2, W//2, C)."""
    y = device.empty(pooled(x.shape), x.dtype)
    arguments = device.contiguous(x), y, factor, *x.shape[1:]
    kernels.launch("average_pool", "average_pool_forward", rows_and_pieces(y.shape), (THREADS,), x.dtype, *arguments)
    return y


def squares_filled(x: Array, shape: tuple[int, ...], factor: float) -> Array:
    """Return images of this `shape`, `factor` times a pixel of `x` (N, H, W, C) in each 2x2 square, 0 in none."""
    y = device.empty(shape, x.dtype)
    arguments = device.contiguous(x), y, factor, *shape[1:]
    kernels.launch("average_pool", "average_pool_backward", rows_and_pieces(shape), (THREADS,), x.dtype, *arguments)
    return y


def pooled(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape (N, H//2, W//2, C) of what becomes of images (N, H, W, C)."""
    count, height, width, channels = shape
    return count, height // 2, width // 2, channels


def rows_and_pieces(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the grid for an array (N, H, W, C): its rows, and the pieces of a row of THREADS numbers each."""
    count, height, width, channels = shape
    return count * height, kernels.blocks(width * channels, THREADS)
