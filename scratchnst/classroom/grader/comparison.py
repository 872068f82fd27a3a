"""Is this what the function should have returned?  If not: where, and in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scratchnst.arrays import Array
from scratchnst.classroom.grader.calls import Complaint

SINGLE_TOLERANCE = 2e-5  # of float32 results, over their largest
LEAST = 1e-3  # taken for the largest where all are smaller, so that where 0 is expected rounding is no mistake


def results(values: Any, names: Sequence[str], expected: Sequence[Any]) -> list[Array]:
    """Return a function's results as arrays, or raise a Complaint that says what they are instead of numbers.

    Parameters
    ----------
    values : what the function returned
    names : of the results
    expected : what they should be; only whether each is an array or a number matters here
    """
    if values is None:
        raise Complaint(
            f"Your function returns None, not {' and '.join(names)}: did you forget `return`?", "returns-none"
        )
    if len(names) == 1:
        values = (values,)
    if not isinstance(values, (tuple, list)) or len(values) != len(names):
        kind = f"{len(values)} values" if isinstance(values, (tuple, list)) else _kind(values)
        raise Complaint(
            f"Your function returns {kind}; it must return {len(names)}: ({', '.join(names)}), in this order.",
            "wrong-number-of-results",
        )
    return [_numbers(*each) for each in zip(values, names, expected)]


def check(array: Array, name: str, expected: Any, dtype: str | None = None) -> None:
    """Raise a Complaint unless a result has the expected shape, finite numbers and, if one is given, the dtype."""
    if array.shape != np.shape(expected):
        raise _wrong_shape(array, name, np.shape(expected))
    if not np.isfinite(array).all():
        bad = ~np.isfinite(array)
        first = tuple(int(place) for place in np.argwhere(bad)[0])
        where = f" at index {first}, and at {bad.sum()} of {bad.size} elements in all" if first else ""
        raise Complaint(
            f"{name} is {float(array[first])}{where}.",
            "not-finite",
            advice="Look for a division by zero, a logarithm or root of what is not positive, or memory that was "
            "never written (np.empty).",
        )
    if dtype and array.dtype != dtype and array.ndim:
        raise Complaint(
            f"{name} is {array.dtype} where the arguments are {dtype}; a result has the dtype of its arguments.",
            "dtype",
            advice=f"What in your function is {array.dtype}? Arrays made without dtype=x.dtype (np.zeros, np.ones) are "
            "float64, and so are numbers that NumPy's functions make of Python's, such as np.sqrt(2).",
        )


def difference(got: Array, expected: Array, name: str, tolerance: float) -> str | None:
    """Return a sentence on where a result differs most from what is expected, or None if it agrees."""
    expected = np.asarray(expected, float)
    apart = np.abs(got.astype(float) - expected)
    wrong = apart > tolerance * np.abs(expected).max(initial=LEAST)
    if not wrong.any():
        return None
    index = tuple(int(place) for place in np.unravel_index(np.argmax(apart), apart.shape))
    where = f" at index {index}" if index else ""
    count = "" if apart.size == 1 else f" Wrong: {wrong.sum()} of {apart.size} elements."
    number, right = _distinct(float(got[index]), float(expected[index]))
    return f"Your {name}{where} is {number}; expected {right}.{count}"


def agrees(got: Sequence[Array], other: Sequence[Any], tolerance: float) -> bool:
    """Whether all results have the shapes and numbers of others, NaN where they have NaN."""
    return len(got) == len(other) and all(_equal(each, np.asarray(right), tolerance) for each, right in zip(got, other))


def _distinct(*numbers: float) -> list[str]:
    """Different numbers, with as many digits as it takes to see that."""
    texts = [f"{number:.8g}" for number in numbers]
    return texts if len(set(texts)) > 1 else [repr(number) for number in numbers]


def _equal(got, right, tolerance):
    if got.shape != right.shape:
        return False
    size = np.abs(right[np.isfinite(right)]).max(initial=LEAST)
    return np.allclose(got, right, rtol=0, atol=tolerance * size, equal_nan=True)


def _numbers(values, name, expected):
    """One result as an array of real numbers."""
    if values is None:
        raise Complaint(f"{name} is None: is it computed, and returned?", "returns-none")
    if isinstance(values, (list, tuple)) and np.ndim(expected):
        raise Complaint(f"{name} is a {type(values).__name__}, not an array.", "type", advice=_of_a_sequence(values))
    try:
        array = np.asarray(values)
    except Exception:  # of something that only looks like numbers
        array = np.asarray(None)
    if array.dtype.kind not in ("fiub" if np.asarray(expected).dtype == bool else "fiu"):
        raise Complaint(f"{name} is {_kind(values)}; it must be made of real numbers.", "type")
    return array


def _of_a_sequence(values):
    """What to do about a list or tuple in the place of an array."""
    if any(isinstance(each, np.ndarray) for each in values):
        return f"It holds {len(values)} things: return only the one that is asked for."
    return "NumPy's functions give arrays; np.array(...) makes one of a list of numbers."


def _wrong_shape(array, name, shape):
    advice = "Print the shapes of what goes into the last lines."
    if array.shape == shape[::-1] and len(shape) > 1:
        advice = "It is the right shape backwards: is a transpose missing, or one too many?"
    elif array.ndim == 0:
        advice = "It is a single number: is something summed over axes that it should keep?"
    elif not shape:
        advice = "A single number is wanted: is a sum missing?"
    elif array.size == np.prod(shape):
        advice = "The number of elements is right: is a reshape or a transpose missing?"
    elif array.ndim > len(shape):
        advice = "It has more axes than wanted: is a sum over some of them missing?"
    return Complaint(f"{name} has the shape {array.shape}; it must be {shape}.", "wrong-shape", advice=advice)


def _kind(value):
    if isinstance(value, np.ndarray):
        return f"one array, of {value.dtype} and of shape {value.shape}"
    if callable(value):
        return "a function (was it to be called?)"
    return f"of type {type(value).__name__}"
