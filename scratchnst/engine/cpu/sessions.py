"""A session of this engine: BLAS has one thread, and what is made from a kernel may be kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scratchnst.engine import sessions
from scratchnst.engine.cpu import threads


@contextmanager
def session(keep_kernels: bool = False) -> Iterator[None]:
    """Enter a session, in this thread: `scratchnst.engine.sessions.session`, and BLAS on one thread."""
    with sessions.session(keep_kernels), threads.blas_on_one_thread():
        yield
