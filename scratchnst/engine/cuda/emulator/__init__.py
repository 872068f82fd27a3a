"""An emulated GPU: CUDA kernels run on the CPU, under CuPy's own names.

Within `installed`, ``import cupy`` gives `scratchnst.engine.cuda.emulator.library`: arrays lie in ordinary memory, and
kernels are compiled by g++.  It is slow, and made to find mistakes: each buffer lies between guard zones, new arrays
hold NaN or the like, and threads can run in either order.

A kernel's way through it: `compiler` hands its source, with cuda_on_cpu.h in front, to g++; `launch` checks its
arguments, copies them between guard zones (`buffers`), runs it, and looks for damage; cuda_on_cpu.h runs its threads.
The other modules stand for those of CuPy.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from scratchnst.engine.cuda.emulator import cublas, cuda, launch, library
from scratchnst.engine.cuda.emulator.launch import KernelFault
from scratchnst.engine.cuda.emulator.memory import pool, transfers
from scratchnst.errors import UserError

__all__ = ["KernelFault", "installed", "pool", "transfers"]

MODULES = {"cupy": library, "cupy.cuda": cuda, "cupy.cuda.cublas": cublas}


@contextmanager
def installed(order: str = "forward") -> Iterator[None]:
    """Put the emulator in CuPy's place within the block; CuPy itself, if it was imported, is back afterwards.

    Parameters
    ----------
    order : "forward" or "reverse", in which blocks, and the threads of one, take turns

    Raises
    ------
    UserError
        If NumPy is too old: before version 2 it gave other dtypes than CuPy 14.
    """
    if int(np.__version__.split(".")[0]) < 2:
        raise UserError(
            f"The emulated GPU needs NumPy 2, and this is {np.__version__}: update it (pip install -U numpy)."
        )
    if order not in ("forward", "reverse"):
        raise ValueError(f"the order is forward or reverse, not {order!r}")
    order_before, modules_before = launch.order, _take_out()
    launch.order = order
    sys.modules.update(MODULES)
    pool.free_all_blocks()  # of those who computed before
    try:
        yield
    finally:
        launch.order = order_before
        _take_out()
        sys.modules.update(modules_before)


def _take_out():
    """Remove CuPy, real or emulated, from ``sys.modules``; return its modules by name."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "cupy"}
