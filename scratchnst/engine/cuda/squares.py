"""The squared distance of two arrays, which content and style loss have in common: squares.cu."""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.cuda import device, kernels, sums


def distance(a: Array, b: Array, factor: float) -> tuple[Array, Array]:
    """Return `factor` times the sum of (a - b)^2, see `sums.total`, and a - b; `a` and `b` have one shape and dtype."""
    a, b = device.contiguous(a), device.contiguous(b)
    difference, parts = device.empty(a.shape, a.dtype), sums.parts(a.size)
    arguments = a, b, difference, parts, a.size
    kernels.launch("squares", "squares_of_difference", parts.shape, (sums.THREADS,), a.dtype, *arguments)
    return sums.total(parts, factor), difference
