"""Sums of gradients, on all threads."""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_shape
from scratchnst.engine.cpu import threads

ROWS_PER_STRIP = 8


def add(total: Array, part: Array) -> Array:
    """Add `part` to `total`, (N, H, ...) both, in place, and return it."""
    check_shape("gradient", part, total.shape)

    def job(image, top, bottom):
        total[image, top:bottom] += part[image, top:bottom]

    threads.run(job, threads.strips(total.shape, ROWS_PER_STRIP))
    return total
