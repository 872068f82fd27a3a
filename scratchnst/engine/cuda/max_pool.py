"""2x2 max pooling, `scratchnst.ops.max_pool`: max_pool.cu."""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images, check_shape
from scratchnst.engine.cuda import device, kernels
from scratchnst.engine.cuda.average_pool import THREADS, pooled, rows_and_pieces


def forward(x: Array) -> tuple[Array, tuple[tuple[int, ...], Array]]:
    """Take the largest of each 2x2 square of `x`: (N, H, W, C) -> (N, H//2, W//2, C), and the cache."""
    check_images(x)
    y = device.empty(pooled(x.shape), x.dtype)
    winner = device.empty(y.shape, "uint8")
    grid, arguments = rows_and_pieces(y.shape), (device.contiguous(x), y, winner, *x.shape[1:])
    kernels.launch("max_pool", "max_pool_forward", grid, (THREADS,), x.dtype, *arguments)
    return y, (x.shape, winner)


def backward(grad_y: Array, cache: tuple[tuple[int, ...], Array]) -> Array:
    """Return dL/dx (N, H, W, C) from `grad_y` = dL/dy (N, H//2, W//2, C)."""
    shape, winner = cache
    check_shape("gradient", grad_y, winner.shape)
    grad_x = device.empty(shape, grad_y.dtype)
    grid, arguments = rows_and_pieces(shape), (device.contiguous(grad_y), winner, grad_x, *shape[1:])
    kernels.launch("max_pool", "max_pool_backward", grid, (THREADS,), grad_y.dtype, *arguments)
    return grad_x
