"""Arguments and results in lines to read: small arrays whole, large ones by their shape."""

from __future__ import annotations

from typing import Any

import numpy as np

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
        if is_large(value):
            return f"{value.dtype} array of shape {value.shape}"
        return np.array2string(value, precision=6, separator=", ", suppress_small=True, max_line_width=80)
    if isinstance(value, (list, tuple)) and any(isinstance(each, np.ndarray) for each in value):
        brackets = "[]" if isinstance(value, list) else "()"
        return brackets[0] + ",\n ".join("\n ".join(_text(each).splitlines()) for each in value) + brackets[1]
    if callable(value):
        return " ".join((value.__doc__ or getattr(value, "__name__", "a function")).split())
    text = str(value) if isinstance(value, np.generic) else repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
