"""The module that stands for ``cupy``: as much of it as this package uses, and no name that CuPy does not have."""

import sys as _sys
from types import SimpleNamespace as _SimpleNamespace

import numpy as _np

from scratchnst.engine.cuda.emulator import arrays as _arrays
from scratchnst.engine.cuda.emulator import cuda  # noqa: F401
from scratchnst.engine.cuda.emulator import memory as _memory
from scratchnst.engine.cuda.emulator.arrays import ndarray
from scratchnst.engine.cuda.emulator.creation import (  # noqa: F401
    array,
    asarray,
    ascontiguousarray,
    asnumpy,
    copyto,
    empty,
    empty_like,
    may_share_memory,
    shape,
    shares_memory,
    where,
)
from scratchnst.engine.cuda.emulator.functions import FUNCTIONS as _FUNCTIONS
from scratchnst.engine.cuda.emulator.functions import LINALG as _LINALG
from scratchnst.engine.cuda.emulator.launch import RawModule  # noqa: F401

__version__ = "14.2.0"  # of the CuPy that this is like

bool_, uint8, int8, int32, int64 = _np.bool_, _np.uint8, _np.int8, _np.int32, _np.int64
float16, float32, float64 = _np.float16, _np.float32, _np.float64
dtype, newaxis, inf, nan, pi = _np.dtype, _np.newaxis, _np.inf, _np.nan, _np.pi

globals().update(_FUNCTIONS)
abs, amax, amin = _FUNCTIONS["absolute"], _FUNCTIONS["max"], _FUNCTIONS["min"]
linalg = _SimpleNamespace(**_LINALG)


def get_array_module(*args):
    """Return this module if one of the arrays is ours, else NumPy."""
    return _sys.modules[__name__] if [one for one in args if isinstance(one, ndarray)] else _np


def get_default_memory_pool():
    """Return the account of the GPU's memory."""
    return _memory.pool


_arrays.library = _sys.modules[__name__]
