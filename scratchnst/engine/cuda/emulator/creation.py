"""Functions of ``cupy`` that are not NumPy's on what the arrays hold: those that make arrays of something else."""

from __future__ import annotations

from typing import Any

import numpy as np

from scratchnst.engine.cuda.emulator import memory
from scratchnst.engine.cuda.emulator.arrays import ndarray, operand, our_array, unusable, unwrap, wrap


def where(condition: Any, x: Any, y: Any) -> ndarray:
    """Return x where `condition` holds, else y; each of the two an array or a number."""
    return wrap(np.where(our_array(condition).host, operand(x), operand(y)))


def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: bool | None = None) -> ndarray:
    """Return an array of ours: of numbers, of a list of our arrays, a copy of one of NumPy's, or itself."""
    if isinstance(a, ndarray):
        host = np.array(a.host, dtype, order=order or "K", copy=copy)
        return a if host is a.host else wrap(host)
    if isinstance(a, list | tuple) and any(isinstance(one, ndarray) for one in a):
        return wrap(np.array([our_array(one).host for one in a], dtype))
    host = np.array(a, dtype, order=order or "K")
    memory.copied_to_device(host.nbytes)
    return wrap(host)


def array(obj: Any, dtype: Any = None, copy: bool = True) -> ndarray:
    """Return a copy."""
    return asarray(obj, dtype, copy=True if copy else None)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    """Return an array whose numbers lie one after the other: itself or a copy."""
    if not isinstance(a, ndarray):
        raise TypeError(f"Argument 'a' has incorrect type (expected cupy's ndarray, got {type(a).__name__})")
    result = asarray(a, dtype, "C")
    return result if result.ndim else result.reshape(1)


def asnumpy(a: Any) -> np.ndarray:
    """Return a copy in the CPU's memory."""
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def empty(shape: Any, dtype: Any = float, order: Any = "C") -> ndarray:
    """Return an array that holds no usable numbers."""
    return ndarray(shape, dtype, order=order)


def empty_like(prototype: Any, dtype: Any = None, order: Any = "K", subok: None = None, shape: Any = None) -> ndarray:
    """Return an array of this shape and dtype that holds no usable numbers."""
    fill = unusable(dtype or our_array(prototype).dtype)
    return wrap(np.full_like(our_array(prototype).host, fill, dtype, order, shape=shape))


def copyto(dst: ndarray, src: Any, casting: Any = "same_kind", where: Any = None) -> None:
    """Write an array or a number into an array."""
    np.copyto(our_array(dst).host, operand(src), casting, True if where is None else unwrap(where))


def shares_memory(a: ndarray, b: ndarray) -> bool:
    """Tell whether two arrays have numbers in common."""
    return np.shares_memory(our_array(a).host, our_array(b).host)
