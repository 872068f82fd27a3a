"""The module that stands for ``cupy``: as much of it as this package uses, and no name that CuPy does not have."""

import sys as _sys
from types import SimpleNamespace as _SimpleNamespace

from scratchnst.engine.cuda.emulator import arrays as _arrays
from scratchnst.engine.cuda.emulator import cuda  # noqa: F401
from scratchnst.engine.cuda.emulator import memory as _memory
from scratchnst.engine.cuda.emulator.arrays import ndarray  # noqa: F401
from scratchnst.engine.cuda.emulator.creation import (  # noqa: F401
    array,
    asarray,
    ascontiguousarray,
    asnumpy,
    copyto,
    empty,
    empty_like,
    shares_memory,
    where,
)
from scratchnst.engine.cuda.emulator.functions import FUNCTIONS as _FUNCTIONS
from scratchnst.engine.cuda.emulator.functions import LINALG as _LINALG
from scratchnst.engine.cuda.emulator.launch import RawModule  # noqa: F401

__version__ = "14.2.0"  # of the CuPy that this is like

globals().update(_FUNCTIONS)
abs = _FUNCTIONS["absolute"]
linalg = _SimpleNamespace(**_LINALG)


def get_default_memory_pool():
    """Return the account of the GPU's memory."""
    return _memory.pool


_arrays.library = _sys.modules[__name__]
