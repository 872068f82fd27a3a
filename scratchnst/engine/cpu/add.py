"""Sums of gradients, on all threads."""

from __future__ import annotations

from typing import Any

from scratchnst.engine.checks import check_shape
from scratchnst.engine.cpu import threads

Array = Any

ROWS_PER_STRIP = 8


def add(total: Array, part: Array) -> Array:
    """Add `part` to `total`, (N, H, ...) both, in place, and return it."""
    check_shape("gradient", part, total.shape)

    def job(image, top, bottom):
        total[image, top:bottom] += part[image, top:bottom]

    threads.run(job, threads.strips(total.shape, ROWS_PER_STRIP))
    return total
