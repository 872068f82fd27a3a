"""What the fast engines ask of the arrays they are given.

They write into memory piece by piece, where nobody would notice that an array is too large, or leave what it is too
small for unwritten; and they know no other dtypes than these two.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


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
