"""Reflection padding, `scratchnst.ops.reflection_pad`: the image is copied once, on the way back as well."""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images, check_shape
from scratchnst.ops.reflection_pad import check_size, fold


def forward(x: Array, rows: int, columns: int) -> tuple[Array, tuple[tuple[int, ...], int, int]]:
    """Add `rows` above and below `x` (N, H, W, C), and `columns` on its left and right.

    Returns
    -------
    y : (N, H + 2 rows, W + 2 columns, C) array
    cache : the shape of y, rows and columns

    Raises
    ------
    ValueError
        If `x` is neither float32 nor float64, or has too few rows or columns to show so many.
    """
    check_images(x)
    check_size(x.shape, rows, columns)
    count, height, width, channels = x.shape
    y = np.empty((count, height + 2 * rows, width + 2 * columns, channels), x.dtype)
    inside = y[:, rows : rows + height]
    inside[:, :, columns : columns + width] = x
    _continue(inside.swapaxes(1, 2), columns)
    _continue(y, rows)
    return y, (y.shape, rows, columns)


def backward(grad_y: Array, cache: tuple[tuple[int, ...], int, int]) -> Array:
    """Return dL/dx (N, H, W, C) from `grad_y` = dL/dy (N, H + 2 rows, W + 2 columns, C)."""
    shape, rows, columns = cache
    check_shape("gradient", grad_y, shape)
    right = shape[2] - columns
    grad_x = fold(grad_y[:, :, columns:right], rows)
    width = grad_x.shape[2]
    grad_x[:, :, 1 : columns + 1] += fold(grad_y[:, :, :columns], rows)[:, :, ::-1]
    grad_x[:, :, width - 1 - columns : width - 1] += fold(grad_y[:, :, right:], rows)[:, :, ::-1]
    return grad_x


def _continue(y, margin):
    """Write what mirrors show into the first and the last `margin` pixels along axis 1."""
    end = y.shape[1] - margin
    y[:, :margin] = y[:, margin + 1 : 2 * margin + 1][:, ::-1]
    y[:, end:] = y[:, end - 1 - margin : end - 1][:, ::-1]
