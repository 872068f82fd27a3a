"""The module that stands for ``cupy``: as much of it as this package uses.

Functions are NumPy's, on what the arrays hold; they take no parameter that CuPy's do not have.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from scratchnst.emulator import compiler, cuda, memory  # noqa: F401
from scratchnst.emulator.arrays import computed, declared, ndarray, operand, our_array
from scratchnst.emulator.creation import (  # noqa: F401
    array,
    asarray,
    ascontiguousarray,
    asnumpy,
    copyto,
    empty,
    empty_like,
    may_share_memory,
    shares_memory,
    where,
)
from scratchnst.emulator.launch import CUDADriverError, Function

__version__ = "14.2.0"  # of the CuPy that this is like

bool_, uint8, int8, int32, int64 = np.bool_, np.uint8, np.int8, np.int32, np.int64
float16, float32, float64 = np.float16, np.float32, np.float64
dtype, newaxis, inf, nan, pi = np.dtype, np.newaxis, np.inf, np.nan, np.pi

UFUNCS = """
    absolute add arctan2 bitwise_and bitwise_or bitwise_xor ceil copysign cos divide equal exp expm1 fabs floor
    floor_divide fmax fmin greater greater_equal hypot invert isfinite isinf isnan less less_equal log log10 log1p log2
    logical_and logical_not logical_or logical_xor maximum minimum mod multiply negative not_equal positive power
    reciprocal remainder rint sign signbit sin sqrt square subtract tan tanh true_divide trunc
"""
OF_AN_ARRAY = """
    all(a, axis=None, out=None, keepdims=False)
    any(a, axis=None, out=None, keepdims=False)
    argmax(a, axis=None, dtype=None, out=None, keepdims=False)
    argmin(a, axis=None, dtype=None, out=None, keepdims=False)
    broadcast_to(array, shape)
    clip(a, a_min, a_max, out=None)
    copy(a, order='K')
    count_nonzero(a, axis=None)
    cumsum(a, axis=None, dtype=None, out=None)
    diag(v, k=0)
    expand_dims(a, axis)
    flip(a, axis=None)
    max(a, axis=None, out=None, keepdims=False)
    mean(a, axis=None, dtype=None, out=None, keepdims=False)
    min(a, axis=None, out=None, keepdims=False)
    moveaxis(a, source, destination)
    nonzero(a)
    pad(array, pad_width, mode='constant', **kwargs)
    prod(a, axis=None, dtype=None, out=None, keepdims=False)
    ravel(a, order='C')
    repeat(a, repeats, axis=None)
    reshape(a, shape, order='C')
    roll(a, shift, axis=None)
    squeeze(a, axis=None)
    std(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False)
    sum(a, axis=None, dtype=None, out=None, keepdims=False)
    swapaxes(a, axis1, axis2)
    tile(A, reps)
    trace(a, offset=0, axis1=0, axis2=1, dtype=None, out=None)
    transpose(a, axes=None)
    var(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False)
"""
OF_TWO_ARRAYS = """
    dot(a, b, out=None)
    matmul(x1, x2, out=None)
    outer(a, b, out=None)
    tensordot(a, b, axes=2)
    vdot(a, b)
"""
OF_A_SEQUENCE = """
    concatenate(tup, axis=0, out=None, *, dtype=None, casting='same_kind')
    hstack(tup, *, dtype=None, casting='same_kind')
    stack(tup, axis=0, out=None, *, dtype=None, casting='same_kind')
    vstack(tup, *, dtype=None, casting='same_kind')
"""
OF_NONE = """
    arange(start, stop=None, step=None, dtype=None)
    eye(N, M=None, k=0, dtype=None, order='C')
    full(shape, fill_value, dtype=None, order='C')
    linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0)
    ones(shape, dtype=None, order='C')
    zeros(shape, dtype=None, order='C')
"""
LIKE_AN_ARRAY = """
    full_like(a, fill_value, dtype=None, order='K', subok=None, shape=None)
    ones_like(a, dtype=None, order='K', subok=None, shape=None)
    zeros_like(a, dtype=None, order='K', subok=None, shape=None)
"""


def _function(declaration: str, check: Callable[[list], Any], of: Any = np) -> Any:
    """Return NumPy's function with CuPy's parameters; `check` raises a TypeError if it is given something strange."""
    name, sort = declared(declaration)

    def function(*arguments, **keywords):
        positional, named = sort(*arguments, **keywords)
        check(positional)
        return computed(getattr(of, name), positional, named)

    return function


def _ufunc(name: str) -> Any:
    """Return NumPy's ufunc; `out` may come last without a name, as CuPy has it."""
    function = getattr(np, name)

    def ufunc(*arguments, out=None, casting="same_kind", dtype=None):
        *operands, last = arguments if len(arguments) > function.nin else (*arguments, out)
        keywords = {"out": last, "casting": casting, "dtype": dtype}
        for one in operands:
            operand(one)
        return computed(function, operands, keywords)

    return ufunc


for _name in UFUNCS.split():
    globals()[_name] = _ufunc(_name)
for _declarations, _check in (
    (OF_AN_ARRAY, lambda given: our_array(given[0])),
    (LIKE_AN_ARRAY, lambda given: our_array(given[0])),
    (OF_TWO_ARRAYS, lambda given: [our_array(one) for one in given]),
    (OF_A_SEQUENCE, lambda given: [our_array(one) for one in given[0]]),
    (OF_NONE, lambda given: None),
):
    for _line in _declarations.strip().splitlines():
        globals()[declared(_line)[0]] = _function(_line, _check)
abs = globals()["absolute"]
amax, amin = globals()["max"], globals()["min"]


class linalg:
    """Stands for ``cupy.linalg``."""

    norm = staticmethod(
        _function("norm(x, ord=None, axis=None, keepdims=False)", lambda given: our_array(given[0]), np.linalg)
    )


def get_array_module(*args: Any) -> Any:
    """Return this module if one of the arrays is ours, else NumPy."""
    return sys.modules[__name__] if [one for one in args if isinstance(one, ndarray)] else np


def get_default_memory_pool() -> memory.MemoryPool:
    """Return the account of the GPU's memory."""
    return memory.pool


class RawModule:
    """Stands for ``cupy.RawModule``: the kernels of a source."""

    def __init__(self, code: str, *, options: tuple[str, ...] = (), backend: str = "nvrtc"):
        if not isinstance(options, tuple):
            raise TypeError("options must be a tuple")
        self.code, self.options = code, options

    def compile(self, log_stream: Any = None) -> None:
        compiler.compile(self.code, self.options)

    def get_function(self, name: str) -> Function:
        kernels = compiler.compile(self.code, self.options)
        if name not in kernels:
            raise CUDADriverError(500, "CUDA_ERROR_NOT_FOUND: named symbol not found")
        return Function(kernels[name])
