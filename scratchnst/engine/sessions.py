"""What engines keep for the time of a session: arrays made from the kernels of convolutions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from scratchnst.arrays import Array

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
        yield
        return
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


def is_keeping() -> bool:
    """Return whether what is made from kernels is kept here."""
    return _kept.get() is not None


def kept(name: str, w: Array, dtype: Any, make: Callable[[], Array]) -> Array:
    """Return ``make()``, called `name` and made from `w`, or what it returned before in this session."""
    arrays = _kept.get()
    if arrays is None:
        return make()
    key = name, id(w), np.dtype(dtype)
    if key not in arrays:
        arrays[key] = w, make()  # w stays referenced, so that no other array gets its id
    return arrays[key][1]
