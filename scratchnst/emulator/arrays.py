"""Arrays of the emulator: as strict as CuPy's, so that what works here works there.

They hold an array of NumPy's and do what it does.  But they never become one by themselves, and they refuse to be mixed
with one: on a GPU that would be a copy from one memory to another, and CuPy refuses it.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

METHODS = (
    "all any argmax argmin astype clip conj copy cumsum dot fill flatten max mean min prod ravel repeat reshape round "
    "squeeze std sum swapaxes take transpose var view"
).split()


_at: WeakValueDictionary[int, np.ndarray] = WeakValueDictionary()  # address -> the array there


class MemoryPointer:
    """Stands for ``cupy.cuda.MemoryPointer``: where the numbers of an array begin."""

    def __init__(self, host: np.ndarray):
        self.ptr = host.ctypes.data
        _at[self.ptr] = host


def at(address: int) -> np.ndarray:
    """Return the array at an address, if it still exists and somebody has asked where it is."""
    if address not in _at:
        raise RuntimeError(f"there is no array at the address {address}")
    return _at[address]


class ndarray(NDArrayOperatorsMixin):
    """Stands for ``cupy.ndarray``."""

    def __init__(self, host: np.ndarray):
        self.host = host

    shape = property(lambda self: self.host.shape)
    dtype = property(lambda self: self.host.dtype)
    ndim = property(lambda self: self.host.ndim)
    size = property(lambda self: self.host.size)
    itemsize = property(lambda self: self.host.itemsize)
    nbytes = property(lambda self: self.host.nbytes)
    strides = property(lambda self: self.host.strides)
    flags = property(lambda self: self.host.flags)
    T = property(lambda self: ndarray(self.host.T))
    data = property(lambda self: MemoryPointer(self.host))

    def get(self) -> np.ndarray:
        return self.host.copy()

    def item(self) -> Any:
        return self.host.item()

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Use get() to make one explicitly.")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **keywords: Any) -> Any:
        if out is not None:
            keywords["out"] = tuple(inside(one) for one in out)
        result = getattr(ufunc, method)(*(inside(one) for one in inputs), **keywords)
        return out[0] if out is not None else outside(result)

    def __array_function__(self, function: Any, types: Any, arguments: Any, keywords: Any) -> Any:
        from scratchnst.emulator import library  # it is made of these arrays

        ours = getattr(library, function.__name__, None)
        return NotImplemented if ours is None else ours(*arguments, **keywords)

    def __getitem__(self, key: Any) -> ndarray:
        return outside(self.host[inside(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.host[inside(key)] = inside(value)

    def __len__(self) -> int:
        return len(self.host)

    def __float__(self) -> float:
        return float(self.host)

    def __int__(self) -> int:
        return int(self.host)

    def __bool__(self) -> bool:
        return bool(self.host)

    def __repr__(self) -> str:
        return repr(self.host)


def _method(name):
    def method(self, *arguments, **keywords):
        return outside(getattr(self.host, name)(*map(inside, arguments), **keywords))

    return method


for _name in METHODS:
    setattr(ndarray, _name, _method(_name))


def inside(value: Any) -> Any:
    """Return what an array of ours holds; sequences element by element, scalars as they are."""
    if isinstance(value, ndarray):
        return value.host
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}: the array lies in the CPU's memory")
    return type(value)(map(inside, value)) if type(value) in (list, tuple) else value


def outside(value: Any) -> Any:
    """Return what NumPy returned as CuPy would return it: scalars are arrays without dimensions."""
    if isinstance(value, np.ndarray | np.generic):
        return ndarray(np.asarray(value))
    return type(value)(map(outside, value)) if type(value) in (list, tuple) else value
