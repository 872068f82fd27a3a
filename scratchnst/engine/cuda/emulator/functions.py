"""Functions of ``cupy`` that are NumPy's on what the arrays hold; they take no parameter that CuPy's do not have."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from scratchnst.engine.cuda.emulator.arrays import computed, declared, operand, our_array

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

    function.__signature__ = inspect.signature(sort)  # type: ignore[attr-defined]
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


FUNCTIONS = {name: _ufunc(name) for name in UFUNCS.split()} | {
    declared(line)[0]: _function(line, check)
    for declarations, check in (
        (OF_AN_ARRAY, lambda given: our_array(given[0])),
        (LIKE_AN_ARRAY, lambda given: our_array(given[0])),
        (OF_TWO_ARRAYS, lambda given: [our_array(one) for one in given]),
        (OF_A_SEQUENCE, lambda given: [our_array(one) for one in given[0]]),
        (OF_NONE, lambda given: None),
    )
    for line in declarations.strip().splitlines()
}
LINALG = {
    "norm": _function("norm(x, ord=None, axis=None, keepdims=False)", lambda given: our_array(given[0]), np.linalg)
}
