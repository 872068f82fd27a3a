"""Arguments and results in lines to read: small arrays whole, large ones by their shape."""

from __future__ import annotations

from typing import Any

import numpy as np

SMALL = 1e-3  # numbers below it are shown with their exponents
WHOLE = 16  # elements of an array that is shown whole
LONGEST = 300  # characters of anything else


def shown(name: str, value: Any) -> list[str]:
    """Return "name = value" in lines, or what the value is if it is large."""
    first, *rest = _text(value).splitlines() or [""]
    return [f"{name} = {first}", *(" " * (len(name) + 3) + line for line in rest)]


def is_large(value: Any) -> bool:
    """Whether `shown` leaves out numbers."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return any(map(is_large, value))
    return isinstance(value, np.ndarray) and value.size > WHOLE


def _text(value):
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, (list, tuple)) and _holds_arrays(value):
        brackets = "[]" if isinstance(value, list) else "()"
        separator = ",\n " if any(_holds_arrays(each) for each in value) else ", "
        parts = separator.join("\n ".join(_text(each).splitlines()) for each in value)
        return brackets[0] + parts + brackets[1]
    if callable(value):
        return " ".join((value.__doc__ or getattr(value, "__name__", "a function")).split())
    text = str(value) if isinstance(value, np.generic) else repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def _array(value):
    """Its numbers or, if there are many, its shape; axes of length 1 would make it hard to read."""
    if is_large(value):
        return f"{value.dtype} array of shape {value.shape}"
    is_thin = value.ndim > 2 and 1 in value.shape
    numbers = value.squeeze() if is_thin else value
    are_small = numbers.dtype.kind == "f" and 0 < np.abs(numbers).max(initial=0) < SMALL
    with np.printoptions(formatter=None):  # the learner's code may have set one
        text = np.array2string(numbers, precision=6, separator=", ", suppress_small=not are_small, max_line_width=80)
    lines = [line for line in text.splitlines() if line]
    return "\n".join(lines) + (f"  in the shape {value.shape}" if is_thin else "")


def _holds_arrays(value):
    """Whether there are arrays somewhere in a list or tuple."""
    return isinstance(value, (list, tuple)) and any(
        isinstance(each, np.ndarray) or _holds_arrays(each) for each in value
    )
