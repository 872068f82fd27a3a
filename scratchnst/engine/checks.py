"""Checks of the arrays that the fast engines are given.

These write results piece by piece, where NumPy would not notice a wrong shape, and compute in two dtypes only.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.ops.conv2d import check_odd


def check_images(x: Array) -> None:
    """Raise a ValueError unless `x` is float32 or float64, and (N, H, W, C)."""
    if x.dtype not in (np.float32, np.float64):
        raise ValueError(f"this engine takes float32 or float64, not {x.dtype}: convert the array with astype")
    if x.ndim != 4:
        raise ValueError(f"this engine takes images (N, H, W, C), not {x.shape}")


def check_shape(what: str, array: Array, shape: tuple[int, ...]) -> None:
    """Raise a ValueError that calls `array` the `what`, unless it has this shape."""
    if array.shape != shape:
        raise ValueError(f"the {what}'s shape is {array.shape}, and should be {shape}")


def check_convolution(x: Array, w: Array, *others: Array) -> None:
    """Raise a ValueError if `x` and `w` cannot be convolved, see `check_kernel`, or a side of `w` is even."""
    check_kernel(x, w, *others)
    check_odd(w)


def check_kernel(x: Array, w: Array, *others: Array) -> None:
    """Raise a ValueError if `w` is no kernel for images `x`, or it or one of `others` cannot be converted."""
    check_images(x)
    for array in (w, *others):
        if not np.can_cast(array.dtype, x.dtype, "same_kind"):
            raise ValueError(f"kernels and biases are real numbers, not {array.dtype}")
    if w.ndim != 4:
        raise ValueError(f"a convolution takes kernels (kh, kw, C, K), not {w.shape}")
    if x.shape[3] != w.shape[2]:
        raise ValueError(f"channels do not match: input {x.shape}, kernel {w.shape}")
