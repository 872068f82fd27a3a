"""Sums over whole arrays, in double: each block of a kernel adds up a part, and `total` adds up the parts (sums.cu)."""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.cuda import device, kernels

THREADS = 256  # of a block, a power of two
BLOCKS = 1024  # at most: enough to keep any GPU busy, and few enough for one block to add up their sums


def parts(count: int) -> Array:
    """Return an array for the sums of the blocks of a kernel that adds up `count` elements."""
    return device.empty((min(kernels.blocks(count, THREADS), BLOCKS),), "float64")


def total(sums: Array, factor: float = 1.0) -> Array:
    """Return `factor` times the sum of the blocks' sums: an array without dimensions, float64.

    It stays on the GPU: to make a number of it, the CPU would have to wait until the GPU has computed it.
    """
    result = device.empty((), "float64")
    kernels.launch("sums", "sums_total", (1,), (THREADS,), "float64", sums, result, sums.size, factor)
    return result
