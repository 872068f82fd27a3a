"""The engine for the CPU: the textbook's operations made fast, in NumPy, with BLAS and threads.

Each module here keeps the contract of its namesake in `scratchnst.ops` or `scratchnst.losses`, and tests compare the
two.  The mathematics is derived there; two convolutions alone have a derivation of their own, in
`scratchnst.engine.cpu.winograd` and `scratchnst.engine.cpu.banded`.

The same arrays give the same results to the last bit, whatever else runs in the process, as long as the number of
threads is the same.  With another number they differ by rounding: BLAS multiplies pieces of other sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scratchnst.arrays import Array
from scratchnst.engine import sessions
from scratchnst.engine.checks import check_shape
from scratchnst.engine.cpu import threads
from scratchnst.engine.engine import Engine, own_operations
from scratchnst.engine.textbook import replicated_conv2d

# Threads would save a hundredth part of an evaluation in these.
from scratchnst.losses import absolute_variation, laplacian_loss, projections
from scratchnst.ops import (
    adain,
    addition,
    guide,
    matrix_square_root,
    preprocess,
    relu,
    replicate_pad,
    strided_conv2d,
    whitening,
)

ROWS_PER_STRIP = 8


class Cpu(Engine):
    """The textbook's operations, fast; gradients are added on all threads."""

    @contextmanager
    def session(self, keep_kernels: bool = False) -> Iterator[None]:
        """Enter a session, in this thread: `scratchnst.engine.sessions.session`, and BLAS on one thread."""
        with sessions.session(keep_kernels), threads.blas_on_one_thread():
            yield

    def add(self, total: Array, part: Array) -> Array:
        """Add `part` to `total`, (N, H, ...) both, in place, and return it."""
        check_shape("gradient", part, total.shape)

        def job(image, top, bottom):
            total[image, top:bottom] += part[image, top:bottom]

        threads.run(job, threads.strips(total.shape, ROWS_PER_STRIP))
        return total


TEXTBOOKS = (
    *(absolute_variation, adain, addition, guide, laplacian_loss, matrix_square_root, preprocess, projections, relu),
    *(replicate_pad, replicated_conv2d, strided_conv2d, whitening),
)
ENGINE = Cpu("cpu", (*TEXTBOOKS, *own_operations(__name__)))
