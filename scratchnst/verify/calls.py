"""Calling a stranger's function: whatever it does, one sentence says what is the matter with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from scratchnst.backend import array_module
from scratchnst.verify.differences import as_float64

Array = Any


class Refusal(Exception):
    """Something that cannot be checked; the message is the sentence for the report."""


def is_array(values: Any) -> bool:
    """Whether `values` is an array with at least one axis, on whatever device."""
    return hasattr(values, "dtype") and getattr(values, "ndim", 0) > 0


def kind_of(value: Any) -> str:
    """What something is, in words for a sentence."""
    if is_array(value):
        return f"an array of shape {tuple(value.shape)}"
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return "nothing" if value is None else f"an object of type {type(value).__name__}"


def as_input(x: Any, name: str, keep_dtype: bool, notes: list[str]) -> Array:
    """Return a copy of an input in the dtype to check it in, float64 unless `keep_dtype` asks for its own float32."""
    if not hasattr(x, "__cuda_array_interface__"):
        x = call(f"Turning {name} into an array", np.asarray, x)
    kind = x.dtype.kind
    if kind == "c":
        raise Refusal(f"{name} is complex: give its real and its imaginary part as two real inputs.")
    if kind not in "fiu":
        raise Refusal(f"{name} holds {x.dtype}, which has no gradient: give real numbers.")
    if x.size == 0:
        raise Refusal(f"{name} has the shape {tuple(x.shape)}, so there is nothing to check: give it some elements.")
    if not bool(array_module(x).isfinite(x).all()):
        raise Refusal(f"{name} holds NaN or infinity: check the gradient at a point where everything is finite.")
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


def call(what: str, function: Callable, *arguments: Any) -> Any:
    """Return function(*arguments), an exception made a Refusal; a KeyboardInterrupt passes."""
    try:
        with np.errstate(all="ignore"):
            return function(*arguments)
    except Refusal:
        raise
    except Exception as error:
        raise Refusal(f"{what} raises {type(error).__name__}: {error}") from error


def check_unchanged(what: str, copy: Any, original: Any, role: str) -> None:
    """Raise a Refusal if a function has changed the copy that it was given."""
    if is_array(original) and not (copy.shape == original.shape and bool((copy == original).all())):
        raise Refusal(f"{what} changes {role}: it must leave it as it is and work on a copy.")


def checked_values(values: Any, what: str) -> Any:
    """Return numbers if they are real, finite and there are some, else raise a Refusal."""
    if not hasattr(values, "dtype"):
        values = call(f"Reading {what}", np.asarray, values)
    if values.dtype.kind == "c":
        raise Refusal(f"{what} is complex: only a real function has the gradient that is checked here.")
    if values.dtype.kind not in "fiu":
        raise Refusal(f"{what} is not made of real numbers: it holds {values.dtype}.")
    if values.size == 0:
        raise Refusal(f"{what} has the shape {tuple(values.shape)}, no elements, so there is nothing to check.")
    numbers = as_float64(values)
    wrong = ~array_module(numbers).isfinite(numbers)
    if bool(wrong.any()):
        first = tuple(int(place) for place in array_module(wrong).argwhere(wrong)[0]) if wrong.ndim else ()
        where = f" at {first}" if first else ""
        count = f" ({int(wrong.sum())} of {wrong.size} are not finite)" if first else ""
        raise Refusal(f"{what} is {float(numbers[first])}{where}{count}: it must be finite.")
    return values


def checked_scalar(value: Any, what: str) -> float:
    """Return a function's value if it is one finite real number, else raise a Refusal."""
    values = checked_values(value, what)
    if values.size != 1:
        raise Refusal(f"{what} has the shape {tuple(values.shape)}; a gradient is that of a single number: sum it up.")
    return float(values.reshape(()))


def checked_gradient(gradient: Any, x: Array, what: str, dtypes: Sequence[str]) -> Array:
    """Return a gradient in float64 if it is one of `x`: finite, of its shape and of one of `dtypes`."""
    values = checked_values(gradient, what)
    if tuple(values.shape) != tuple(x.shape):
        raise Refusal(f"{what} has the shape {tuple(values.shape)}; it must have that of its input, {tuple(x.shape)}.")
    if hasattr(gradient, "dtype") and str(values.dtype) not in dtypes:
        raise Refusal(f"{what} is {values.dtype} for an input in {x.dtype}: it must have the dtype of its input.")
    return as_float64(values)


def check_same(first: Any, second: Any, what: str, dtype: Any, notes: list[str]) -> None:
    """Raise a Refusal if two calls differ by more than rounding; note it if they differ by that."""
    first, second = as_float64(first), as_float64(second)
    advice = "seed its randomness, and let nothing remain from one call to the next, in the cache or elsewhere"
    if first.shape != second.shape:
        raise Refusal(f"{what} is not deterministic, two calls give shapes {first.shape} and {second.shape}: {advice}.")
    difference, size = float(abs(first - second).max()), float(abs(first).max())
    if difference > float(np.finfo(dtype).eps) ** 0.5 * size:
        raise Refusal(f"{what} is not deterministic, two calls at one point differ by {difference:.1e}: {advice}.")
    if difference:
        notes.append(f"{what} differs from call to call by rounding, {difference:.0e}.")
