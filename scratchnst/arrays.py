"""Which array library an array belongs to: NumPy on the CPU, CuPy on the GPU."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, TypeAlias

import numpy

Array: TypeAlias = numpy.ndarray
"""An array of NumPy's or of CuPy's.

CuPy has no stubs for type checkers and is installed on few machines, so a checker takes its arrays for NumPy's.
"""


def array_module(array: Any) -> ModuleType:
    """Return the module, ``numpy`` or ``cupy``, whose functions accept `array`.

    CuPy is not imported here, which would take time: before it is, there are no arrays of its kind.
    """
    cupy = sys.modules.get("cupy")
    return cupy if cupy is not None and isinstance(array, cupy.ndarray) else numpy


def asnumpy(array: Any) -> numpy.ndarray:
    """Return an array as one of NumPy's: itself, or a copy of one that lies on a GPU."""
    module = array_module(array)
    return array if module is numpy else module.asnumpy(array)


def numbers(values: Sequence[Any]) -> list[float]:
    """Return numbers, and arrays without dimensions, as floats.

    Reading a number from a GPU waits until it is computed, so all that are there are read at once.
    """
    there = [value for value in values if array_module(value) is not numpy]
    read = iter(asnumpy(array_module(there[0]).stack(there)).tolist() if there else [])
    return [float(value) if array_module(value) is numpy else next(read) for value in values]


def as_number(array: Any) -> float:
    """Return a number as a float or, where it lies on a GPU, as the array without dimensions that it is there."""
    return float(array) if array_module(array) is numpy else array


def is_finite(array: Any) -> bool:
    """Return whether no number of an array is NaN or infinite, nor so large that their sum would be.

    Only the sum is read from a GPU: it is NaN or infinite if any element is.
    """
    with numpy.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(float(array.sum()))
