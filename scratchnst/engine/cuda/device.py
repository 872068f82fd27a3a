"""The GPU that this engine computes on, and its arrays, through CuPy.

CuPy is looked up at each call, not when this module is imported: most machines have none, and
`scratchnst.engine.cuda.emulator` can take its place.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from scratchnst.arrays import Array
from scratchnst.errors import UserError

Observer = Callable[[str], AbstractContextManager]

INSTALL = "pip install 'scratchnst[cuda13]', or [cuda12] for a driver older than 580 (nvidia-smi tells)"
_observer: ContextVar[Observer] = ContextVar("observer of the GPU's steps", default=nullcontext)


def library() -> ModuleType:
    """Return the module ``cupy``, fast: an evaluation asks for it hundreds of times.

    Raises
    ------
    UserError
        If CuPy is not installed.
    """
    if cupy := sys.modules.get("cupy"):
        return cupy
    try:
        return importlib.import_module("cupy")
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            raise
        raise UserError(f"the engine cuda computes with CuPy, which is not installed: {INSTALL}.") from error


def pool() -> Any:
    """Return CuPy's pool of the GPU's memory, which keeps that of deleted arrays for new ones."""
    return library().get_default_memory_pool()


def asarray(array: Array, dtype: Any = None) -> Array:
    """Return `array` as one of CuPy's, on the GPU; one that is there already, in this dtype, as it is."""
    return library().asarray(array, dtype)


def asnumpy(array: Array) -> Array:
    """Return an array of CuPy's as one of NumPy's."""
    return library().asnumpy(array)


def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an array on the GPU whose numbers are whatever its memory held."""
    return library().empty(shape, dtype)


def zeros(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an array of zeros on the GPU."""
    return library().zeros(shape, dtype)


def contiguous(array: Array) -> Array:
    """Return an array as kernels read it, its numbers one after the other: itself or a copy."""
    return library().ascontiguousarray(array)


def readable(array: Array | None, dtype: Any = None) -> Any:
    """Return an array as kernels read it: on the GPU, in this dtype if one is given, contiguous; None stays None."""
    return None if array is None else contiguous(asarray(array, dtype))


def step(name: str) -> AbstractContextManager:
    """Return what to enter around whatever makes the GPU do something, a kernel or a product: see `observed`."""
    return _observer.get()(name)


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Within the block, in this thread, enter ``observer(name)`` around every step of that name."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)
