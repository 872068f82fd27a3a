"""Reflection padding, `scratchnst.ops.reflection_pad`: reflection_pad.cu."""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images, check_shape
from scratchnst.engine.cuda import device, kernels
from scratchnst.engine.cuda.average_pool import THREADS, rows_and_pieces
from scratchnst.ops.reflection_pad import check_size


def forward(x: Array, rows: int, columns: int) -> tuple[Array, tuple[tuple[int, ...], int, int]]:
    """Add `rows` above and below `x` (N, H, W, C), and `columns` on its left and right.

    Returns
    -------
    y : (N, H + 2 rows, W + 2 columns, C) array
    cache : the shape of x, rows and columns

    Raises
    ------
    ValueError
        If `x` is neither float32 nor float64, or has too few rows or columns to show so many.
    """
    check_images(x)
    check_size(x.shape, rows, columns)
    y = device.empty(padded(x.shape, rows, columns), x.dtype)
    grid, arguments = rows_and_pieces(y.shape), (device.contiguous(x), y, rows, columns, *x.shape[1:])
    kernels.launch("reflection_pad", "reflection_pad_forward", grid, (THREADS,), x.dtype, *arguments)
    return y, (x.shape, rows, columns)


def backward(grad_y: Array, cache: tuple[tuple[int, ...], int, int]) -> Array:
    """Return dL/dx (N, H, W, C) from `grad_y` = dL/dy (N, H + 2 rows, W + 2 columns, C)."""
    shape, rows, columns = cache
    check_shape("gradient", grad_y, padded(shape, rows, columns))
    grad_x = device.empty(shape, grad_y.dtype)
    grid, arguments = rows_and_pieces(shape), (device.contiguous(grad_y), grad_x, rows, columns, *shape[1:])
    kernels.launch("reflection_pad", "reflection_pad_backward", grid, (THREADS,), grad_y.dtype, *arguments)
    return grad_x


def padded(shape: tuple[int, ...], rows: int, columns: int) -> tuple[int, ...]:
    """Return the shape of what becomes of images of `shape` (N, H, W, C)."""
    count, height, width, channels = shape
    return count, height + 2 * rows, width + 2 * columns, channels
