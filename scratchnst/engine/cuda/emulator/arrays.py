"""Arrays of the emulator: as strict as CuPy's, so that what works here works there.

Each holds an array of NumPy's and computes with it.  Like CuPy's they are never converted to NumPy's implicitly, nor
mixed with them, which would copy between the GPU's memory and the CPU's; and they take no argument that CuPy's do not.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from scratchnst.engine.cuda.emulator import memory

DTYPES = "?bhilqBHILQefdFD"  # that CuPy has
library: Any = None  # the module that stands for cupy, which sets this when it is imported
_at: WeakValueDictionary[int, np.ndarray] = WeakValueDictionary()  # address -> the array there

# As CuPy declares them.
METHODS = """
    all(axis=None, out=None, keepdims=False)
    any(axis=None, out=None, keepdims=False)
    argmax(axis=None, out=None, dtype=None, keepdims=False)
    argsort(axis=-1)
    astype(dtype, order='K', casting=None, subok=None, copy=True)
    clip(min=None, max=None, out=None)
    copy(order='C')
    diagonal(offset=0, axis1=0, axis2=1)
    dot(b, out=None)
    fill(value)
    max(axis=None, out=None, keepdims=False)
    mean(axis=None, dtype=None, out=None, keepdims=False)
    min(axis=None, out=None, keepdims=False)
    ravel(order='C')
    repeat(repeats, axis=None)
    reshape(*shape, order='C', copy=None)
    sort(axis=-1)
    sum(axis=None, dtype=None, out=None, keepdims=False)
    swapaxes(axis1, axis2)
    transpose(*axes)
"""


class MemoryPointer:
    """Stands for ``cupy.cuda.MemoryPointer``: where the numbers of an array begin."""

    def __init__(self, host: np.ndarray):
        self.ptr = host.ctypes.data if memory.owner(host).nbytes else 0
        if self.ptr:
            _at[self.ptr] = host


def at(address: int) -> np.ndarray:
    """Return the array at an address, if it still exists and its address has been asked for."""
    if address not in _at:
        raise RuntimeError(f"there is no array at the address {address}")
    return _at[address]


class ndarray(NDArrayOperatorsMixin):
    """Stands for ``cupy.ndarray``.

    Attributes
    ----------
    host : the array of NumPy's that holds the numbers; CuPy's have no such attribute
    """

    host: np.ndarray
    reshape: Callable[..., ndarray]  # and all the others of METHODS
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]  # == compares the elements

    def __init__(self, shape: Any, dtype: Any = float, *, order: Any = "C"):
        self._hold(np.full(shape, unusable(dtype), dtype, order))

    def _hold(self, host: np.ndarray) -> ndarray:
        if host.dtype.char not in DTYPES:
            raise ValueError(f"Unsupported dtype {host.dtype}")
        memory.pool.enter(host)
        self.host = host
        return self

    shape = property(lambda self: self.host.shape)
    dtype = property(lambda self: self.host.dtype)
    ndim = property(lambda self: self.host.ndim)
    size = property(lambda self: self.host.size)
    itemsize = property(lambda self: self.host.itemsize)
    nbytes = property(lambda self: self.host.nbytes)
    strides = property(lambda self: self.host.strides)
    data = property(lambda self: MemoryPointer(self.host))
    T = property(lambda self: wrap(self.host.T))

    @property
    def flags(self) -> SimpleNamespace:
        return SimpleNamespace(c_contiguous=self.host.flags.c_contiguous)

    def get(self, *, out: np.ndarray | None = None) -> np.ndarray:
        """Return a copy in the CPU's memory, in `out` if it is given."""
        out = np.empty(self.shape, self.dtype) if out is None else out
        memory.copied_to_host(self.nbytes)
        out[...] = self.host
        return out

    def item(self) -> Any:
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self.get().item()

    def tolist(self) -> Any:
        return self.get().tolist()

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        ours = getattr(library, ufunc.__name__, None)
        if method != "__call__" or ours is None:
            return NotImplemented
        if "out" in keywords:
            (keywords["out"],) = keywords["out"]
        return ours(*inputs, **keywords)

    def __array_function__(self, function: Any, types: Any, arguments: Any, keywords: Any) -> Any:
        ours = library
        for part in [*function.__module__.split(".")[1:], function.__name__]:
            ours = getattr(ours, part, None)
        return NotImplemented if ours is None else ours(*arguments, **keywords)

    def __getitem__(self, key: Any) -> ndarray:
        return wrap(self.host[unwrap(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.host[unwrap(key)] = operand(value)

    def __iter__(self) -> Iterator[ndarray]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __len__(self) -> int:
        return len(self.host)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.get())

    def __format__(self, form: str) -> str:
        return format(self.get(), form)

    def __repr__(self) -> str:
        return repr(self.get())

    def __copy__(self) -> ndarray:
        return wrap(self.host.copy())

    def __deepcopy__(self, _: Any) -> ndarray:
        return wrap(self.host.copy())


def unusable(dtype: Any) -> Any:
    """Return what unwritten arrays hold, NaN or the largest integer, so that a missing write shows."""
    dtype = np.dtype(dtype)
    return np.nan if dtype.kind in "fc" else True if dtype.kind == "b" else np.iinfo(dtype).max


def declared(declaration: str) -> tuple[str, Callable]:
    """Return the name in ``name(parameters)``, and a function that checks and sorts what a call gives for these.

    It returns the arguments without default, and the others by name where they are given and not None.
    """
    name = declaration.split("(")[0].strip()
    signature = inspect.signature(eval("lambda " + declaration.strip()[len(name) + 1 : -1] + ": None"))

    def sort(*arguments: Any, **keywords: Any) -> tuple[list, dict[str, Any]]:
        positional, named = [], {}
        for key, value in signature.bind(*arguments, **keywords).arguments.items():
            parameter = signature.parameters[key]
            if parameter.kind is parameter.VAR_POSITIONAL:
                positional += value
            elif parameter.kind is parameter.VAR_KEYWORD:
                named.update(value)
            elif parameter.default is parameter.empty:
                positional.append(value)
            elif value is not None:
                named[key] = value
        return positional, named

    sort.__signature__ = signature  # type: ignore[attr-defined]
    return name, sort


def unwrap(value: Any) -> Any:
    """Return what an array of ours holds; sequences element by element, scalars as they are.

    Raises
    ------
    TypeError
        If `value` is an array of NumPy's.
    """
    if isinstance(value, ndarray):
        return value.host
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    return type(value)(map(unwrap, value)) if type(value) in (list, tuple) else value


def our_array(value: Any) -> ndarray:
    """Return an array of ours, or raise a TypeError if it is none."""
    if not isinstance(value, ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    return value


def operand(value: Any) -> Any:
    """Return what an array of ours holds, or a number; CuPy computes with nothing else, not with lists either."""
    if not isinstance(value, ndarray | bool | int | float | complex | np.generic):
        raise TypeError(f"Unsupported type {type(value)}")
    return unwrap(value)


def wrap(value: Any) -> Any:
    """Return what NumPy returned as CuPy would return it: scalars are arrays without dimensions."""
    if isinstance(value, np.ndarray | np.generic):
        return ndarray.__new__(ndarray)._hold(np.asarray(value))
    return type(value)(map(wrap, value)) if type(value) in (list, tuple) else value


def computed(function: Callable, arguments: Sequence, keywords: Mapping[str, Any]) -> Any:
    """Call a function of NumPy's with what our arrays hold; return its result as ours, or `out` if that is given."""
    out = keywords.get("out")
    if out is not None and not isinstance(out, ndarray):
        raise TypeError(f"Unsupported type {type(out)}")
    with np.errstate(all="ignore"):  # a GPU goes on without a warning
        result = function(*map(unwrap, arguments), **{name: unwrap(value) for name, value in keywords.items()})
    return wrap(result) if out is None else out


def _method(declaration: str) -> None:
    name, sort = declared(declaration)

    def method(self, *arguments, **keywords):
        return computed(getattr(self.host, name), *sort(*arguments, **keywords))

    method.__signature__ = inspect.signature(sort)  # type: ignore[attr-defined]
    setattr(ndarray, name, method)


for _declaration in METHODS.strip().splitlines():
    _method(_declaration)
