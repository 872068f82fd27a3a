"""A session: for its time BLAS has one thread, and what is made from a kernel may be kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.cpu import threads

_kept: ContextVar[dict[tuple, tuple[Array, Array]] | None] = ContextVar("arrays made from kernels", default=None)


@contextmanager
def session(keep_kernels: bool = False) -> Iterator[None]:
    """Enter a session, in this thread; one within another is part of it.

    Parameters
    ----------
    keep_kernels : whether convolutions may keep what they make from their kernels, until the session ends.  Kernels
        must not be changed in place meanwhile
    """
    if not keep_kernels or _kept.get() is not None:
        with threads.blas_on_one_thread():
            yield
        return
    token = _kept.set({})
    try:
        with threads.blas_on_one_thread():
            yield
    finally:
        _kept.reset(token)


def kept(name: str, w: Array, shape: tuple[int, ...], dtype: Any, make: Callable[[Array, Array], Array]) -> Array:
    """Return ``make(w, array)``, where `array` has this shape and dtype, or what it returned before in this session.

    Where nothing is kept, `array` is the calling thread's buffer of that name.
    """
    arrays = _kept.get()
    if arrays is None:
        return make(w, threads.buffer(name, shape, dtype))
    key = name, id(w), np.dtype(dtype)
    if key not in arrays:
        arrays[key] = w, make(w, np.empty(shape, dtype))  # w is kept, so that its id stays its own
    return arrays[key][1]
