"""Calls of the functions under test, and checks of what they return: an `Uncheckable` has a sentence for the report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.verify.methods.differences import as_float64

ONE_BUFFER = (
    "{} returns the same array each time, so that a call overwrites what an earlier one returned: return a copy."
)


class Uncheckable(Exception):
    """Something cannot be checked; the message is the sentence for the report."""

    def __str__(self) -> str:
        sentence = super().__str__()
        return "The " + sentence[4:] if sentence.startswith("the ") else sentence


class NotDeterministic(Uncheckable):
    """Two calls with the same input disagree."""


def as_numbers(values: Any) -> Any:
    """Return the array of another library, such as PyTorch's tensor, as NumPy's; all else as it is."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.asarray(values) if hasattr(values, "__array__") and not is_numbers(values) else values


def is_numbers(values: Any) -> bool:
    """Whether `values` is an array or a number of NumPy or CuPy."""
    return isinstance(values, (np.ndarray, np.generic)) or hasattr(values, "__cuda_array_interface__")


def is_array(values: Any) -> bool:
    """Whether `values` is an array with at least one axis, on whatever device."""
    return is_numbers(values) and values.ndim > 0


def copied(values: Any) -> Any:
    """Return a copy of an array; all else as it is."""
    return values.copy() if is_numbers(values) else values


def was_overwritten(values: Any, kept: Any) -> bool:
    """Whether an array no longer holds what its copy `kept` does, NaN aside."""
    return is_numbers(values) and bool(((values != kept) & (kept == kept)).any())


def another(x: Array) -> Array:
    """Return an array like `x` with other numbers: x backwards or, where that is the same, moved."""
    backwards = array_module(x).flip(x).copy()
    return backwards if bool((backwards != x).any()) else x + x.dtype.type(0.125)


def call_elsewhere(function: Callable, *arguments: Any) -> None:
    """Call a function with other numbers, for what it may leave behind; there it may fail."""
    with contextlib.suppress(Exception), np.errstate(all="ignore"):
        function(*arguments)


def kind_of(value: Any) -> str:
    """Describe `value` for a sentence: "a tuple of 2"."""
    if is_array(value):
        return f"an array of {value.dtype} and of shape {tuple(value.shape)}"
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return "None" if value is None else f"of type {type(value).__name__}"


def as_input(x: Any, name: str, keep_dtype: bool, notes: list[str]) -> Array:
    """Return a copy of an input in the dtype to check it in, float64 unless `keep_dtype` asks for its own float32."""
    given = x
    if callable(x):
        raise Uncheckable(f"{name} is a function, not numbers: the function to be checked comes first, then {name}.")
    x = call(f"turning {name} into an array", as_numbers, x)
    if not is_numbers(x):
        x = call(f"turning {name} into an array", np.asarray, x)
    kind = x.dtype.kind
    if kind == "c":
        raise Uncheckable(f"{name} is complex: give its real and its imaginary part as two real inputs.")
    if kind not in "fiu":
        raise Uncheckable(f"{name} is {kind_of(given)}: give real numbers, only they have a gradient.")
    if x.size == 0:
        raise Uncheckable(
            f"{name} has the shape {tuple(x.shape)}, so there is nothing to check: give it some elements."
        )
    if not bool(array_module(x).isfinite(x).all()):
        raise Uncheckable(f"{name} holds NaN or infinity: check the gradient at a point where everything is finite.")
    if keep_dtype and x.dtype == np.float32:
        single, double = (float(np.finfo(dtype).eps) ** (2 / 3) for dtype in ("float32", "float64"))
        notes.append(
            f"{name} is checked in float32, as asked: numerical derivatives can be expected to be right to about "
            f"{single:.0e} of their size, in float64 it would be {double:.0e}."
        )
        return x.astype("float32", order="C")
    if x.dtype != np.float64:
        notes.append(f"{name} is {x.dtype}; it is checked in float64.")
    return x.astype("float64", order="C")


def checked_samples(samples: int | None) -> None:
    """Raise an Uncheckable unless `samples` is a number of elements or None."""
    if samples is not None and samples < 1:
        raise Uncheckable(f"samples must be 1 or more, or None for all elements, not {samples}.")


def call(what: str, function: Callable, *arguments: Any) -> Any:
    """Return function(*arguments), with any Exception turned into an Uncheckable that begins with `what`."""
    try:
        with np.errstate(all="ignore"):
            return function(*arguments)
    except Uncheckable:
        raise
    except Exception as error:
        raise Uncheckable(f"{what} raises {type(error).__name__}: {error}") from error


def check_unchanged(what: str, copy: Any, original: Any, role: str) -> None:
    """Raise an Uncheckable if a function has changed the copy that it was given."""
    if is_array(original) and not (copy.shape == original.shape and bool((copy == original).all())):
        raise Uncheckable(f"{what} changes {role}: it must leave it as it is and work on a copy.")


def checked_values(values: Any, what: str) -> Any:
    """Return `values`, as an array, if they are real, finite and not empty, else raise an Uncheckable."""
    given = values
    if not is_numbers(values):
        values = call(f"turning {what} into an array", np.asarray, values)
    if values.dtype.kind == "c":
        raise Uncheckable(f"{what} is complex: only a real function has the gradient that is checked here.")
    if values.dtype.kind not in "fiu":
        raise Uncheckable(f"{what} is {kind_of(given)}: it must be made of real numbers.")
    if values.size == 0:
        raise Uncheckable(f"{what} has the shape {tuple(values.shape)}, no elements, so there is nothing to check.")
    numbers = as_float64(values)
    wrong = ~array_module(numbers).isfinite(numbers)
    if bool(wrong.any()):
        first = tuple(int(place) for place in array_module(wrong).argwhere(wrong)[0]) if wrong.ndim else ()
        where = f" at {first}" if first else ""
        count = f" ({int(wrong.sum())} of {wrong.size} are not finite)" if first else ""
        raise Uncheckable(f"{what} is {float(numbers[first])}{where}{count}: it must be finite.")
    return values


def checked_scalar(value: Any, what: str) -> float:
    """Return `value` as a float if it is one finite real number, else raise an Uncheckable."""
    values = checked_values(value, what)
    if values.size != 1:
        raise Uncheckable(
            f"{what} has the shape {tuple(values.shape)}; a gradient is that of a single number: sum it up."
        )
    return float(values.reshape(()))


def checked_gradient(gradient: Any, x: Array, what: str, dtypes: Sequence[str]) -> Array:
    """Return a gradient in float64 if it is finite, of x's shape and of one of `dtypes`, else raise an Uncheckable."""
    values = checked_values(gradient, what)
    if tuple(values.shape) != tuple(x.shape):
        raise Uncheckable(
            f"{what} has the shape {tuple(values.shape)}; it must have that of its input, {tuple(x.shape)}."
        )
    if is_numbers(gradient) and str(values.dtype) not in dtypes:
        raise Uncheckable(f"{what} is {values.dtype} for an input in {x.dtype}: it must have the dtype of its input.")
    return as_float64(values)


def check_same(first: Any, second: Any, what: str, dtype: Any, notes: list[str]) -> None:
    """Raise an Uncheckable if two calls differ by more than rounding; note it if they differ by that."""
    first, second = as_float64(first), as_float64(second)
    advice = "seed its randomness, and let nothing remain from one call to the next, in the cache or elsewhere"
    if first.shape != second.shape:
        shapes = f"{first.shape} and {second.shape}"
        raise NotDeterministic(f"{what} is not deterministic, two calls give shapes {shapes}: {advice}.")
    difference, size = float(abs(first - second).max()), float(abs(first).max())
    if difference > float(np.finfo(dtype).eps) ** 0.5 * size:
        raise NotDeterministic(
            f"{what} is not deterministic, two calls at one point differ by {difference:.1e}: {advice}."
        )
    if difference:
        notes.append(f"{what} differs from call to call by rounding, {difference:.0e}.")
