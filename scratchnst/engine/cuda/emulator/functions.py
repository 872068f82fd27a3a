"""Functions of ``cupy`` that are NumPy's on what the arrays hold; they take no parameter that CuPy's do not have."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from scratchnst.engine.cuda.emulator.arrays import computed, declared, operand, our_array

UFUNCS = """
    absolute add bitwise_and bitwise_or bitwise_xor ceil cos divide equal exp floor floor_divide greater greater_equal
    invert isfinite isinf isnan less less_equal log logical_and logical_not logical_or maximum minimum mod multiply
    negative not_equal positive power remainder sign sin sqrt square subtract tanh true_divide
"""
OF_AN_ARRAY = """
    all(a, axis=None, out=None, keepdims=False)
    any(a, axis=None, out=None, keepdims=False)
    clip(a, a_min, a_max, out=None)
    max(a, axis=None, out=None, keepdims=False)
    mean(a, axis=None, dtype=None, out=None, keepdims=False)
    min(a, axis=None, out=None, keepdims=False)
    ones_like(a, dtype=None, order='K', subok=None, shape=None)
    pad(array, pad_width, mode='constant', **kwargs)
    sum(a, axis=None, dtype=None, out=None, keepdims=False)
    zeros_like(a, dtype=None, order='K', subok=None, shape=None)
"""
OF_TWO_ARRAYS = """
    dot(a, b, out=None)
    matmul(x1, x2, out=None)
    vdot(a, b)
"""
OF_A_SEQUENCE = """
    concatenate(tup, axis=0, out=None, *, dtype=None, casting='same_kind')
    stack(tup, axis=0, out=None, *, dtype=None, casting='same_kind')
"""
OF_NONE = """
    arange(start, stop=None, step=None, dtype=None)
    full(shape, fill_value, dtype=None, order='C')
    ones(shape, dtype=None, order='C')
    zeros(shape, dtype=None, order='C')
"""


def _function(declaration: str, check: Callable[[list], Any], of: Any = np) -> Any:
    """Return NumPy's function with CuPy's parameters; `check` raises a TypeError if they are not arrays of ours."""
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
        (OF_TWO_ARRAYS, lambda given: [our_array(one) for one in given]),
        (OF_A_SEQUENCE, lambda given: [our_array(one) for one in given[0]]),
        (OF_NONE, lambda given: None),
    )
    for line in declarations.strip().splitlines()
}
LINALG = {
    "norm": _function("norm(x, ord=None, axis=None, keepdims=False)", lambda given: our_array(given[0]), np.linalg)
}
