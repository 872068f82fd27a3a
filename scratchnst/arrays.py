"""Which array library an array belongs to: NumPy on the CPU, CuPy on the GPU."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, TypeAlias

import numpy

Array: TypeAlias = Any
"""An array of NumPy's or of CuPy's.

CuPy has no stubs for type checkers and is installed on few machines, so a checker takes any object for one.
"""


def array_module(array: Any) -> ModuleType:
    """Return the module, ``numpy`` or ``cupy``, whose functions accept `array`.

    CuPy is looked up among the modules that are already loaded: an array of CuPy's cannot exist
    before somebody has imported CuPy, so nobody without a GPU pays for the import.
    """
    cupy = sys.modules.get("cupy")
    return cupy if cupy is not None and isinstance(array, cupy.ndarray) else numpy


def asnumpy(array: Any) -> numpy.ndarray:
    """Return an array as one of NumPy's: itself, or a copy of one that lies on a GPU."""
    module = array_module(array)
    return array if module is numpy else module.asnumpy(array)


def numbers(values: Sequence[Any]) -> list[float]:
    """Return numbers, and arrays without dimensions, as floats.

    Whoever asks a GPU for a number waits until it has computed it, so ask for all of them at once.
    """
    module = array_module(values[0]) if values else numpy
    return [float(value) for value in values] if module is numpy else asnumpy(module.stack(values)).tolist()


def is_finite(array: Any) -> bool:
    """Return whether no number of an array is NaN or infinite, nor so large that their sum would be.

    It asks a GPU for the sum, one number, which is NaN or infinite as soon as one that enters it is.
    """
    with numpy.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(float(array.sum()))
