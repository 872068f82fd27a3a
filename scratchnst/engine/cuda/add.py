"""Sums of gradients."""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_shape


def add(total: Array, part: Array) -> Array:
    """Add `part` to `total`, (N, H, ...) both, in place, and return it.

    CuPy's own kernel takes views as they are, such as the rows of a strip, whose images do not lie side by side.
    """
    check_shape("gradient", part, total.shape)
    total += part
    return total
