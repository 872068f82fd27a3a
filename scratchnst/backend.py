"""Which array library an array belongs to: NumPy on the CPU, CuPy on the GPU."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy


def array_module(array: Any) -> ModuleType:
    """Return the module, ``numpy`` or ``cupy``, whose functions accept `array`.

    CuPy is looked up among the modules that are already loaded: an array of CuPy's cannot exist
    before somebody has imported CuPy, so nobody without a GPU pays for the import.
    """
    cupy = sys.modules.get("cupy")
    return cupy if cupy is not None and isinstance(array, cupy.ndarray) else numpy
