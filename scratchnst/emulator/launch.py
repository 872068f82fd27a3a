"""Kernels compiled by g++ and run on arrays in ordinary memory."""

from __future__ import annotations

import ctypes
import hashlib
import re
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from scratchnst.emulator.arrays import ndarray

HEADER = Path(__file__).with_name("cuda_on_cpu.h")
KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(')
GUARD = 4096  # bytes on either side of a buffer
SENTINEL = 0x5A  # as a float 1.5e16, as a double 1.1e127: finite, and far too large
order = "forward"


@cache
def _build(code: str, options: tuple[str, ...]) -> ctypes.CDLL:
    exports = "".join(f"CU_EXPORT({name})\n" for name in KERNEL.findall(code))
    unit = f'#include "{HEADER}"\n#line 1 "kernel.cu"\n{code}\n{exports}'
    key = hashlib.sha256((unit + HEADER.read_text() + repr(options)).encode()).hexdigest()[:16]
    target = Path(tempfile.gettempdir()) / f"cuda_on_cpu_{key}.so"
    if not target.exists():
        command = ["g++", "-x", "c++", "-std=c++20", "-O2", "-g", "-fPIC", "-shared", "-U_FORTIFY_SOURCE"]
        subprocess.run(
            [*command, "-Wno-unknown-pragmas", *options, "-", "-o", str(target)], input=unit, text=True, check=True
        )
    return ctypes.CDLL(str(target))


def kernel(code: str, name: str, options: tuple[str, ...]) -> Callable:
    """Return a kernel as CuPy does: a function of grid, block and arguments."""
    function = _build(code, options)["cpu_" + name]
    function.restype = ctypes.c_char_p

    def launch(grid, block, arguments):
        guarded = [_guarded(one) if isinstance(one, ndarray) else None for one in arguments]
        values = [
            np.uint64(two[GUARD:].ctypes.data) if two is not None else one for one, two in zip(arguments, guarded)
        ]
        memory = [np.asarray(value).copy() for value in values]
        addresses = (ctypes.c_void_p * len(memory))(*[one.ctypes.data for one in memory])
        error = function(_triple(grid), _triple(block), addresses, int(order == "reverse"))
        if error:
            raise RuntimeError(f"{name}: {error.decode()}")
        for position, (one, two) in enumerate(zip(arguments, guarded)):
            if two is not None:
                if (two[:GUARD] != SENTINEL).any() or (two[GUARD + one.nbytes :] != SENTINEL).any():
                    raise RuntimeError(f"{name} has written outside of its argument {position}")
                one.host.reshape(-1).view(np.uint8)[...] = two[GUARD : GUARD + one.nbytes]

    return launch


def _guarded(array):
    memory = np.full(array.nbytes + 2 * GUARD, SENTINEL, np.uint8)
    memory[GUARD : GUARD + array.nbytes] = np.frombuffer(array.host.tobytes(), np.uint8)
    return memory


def _triple(size: Any) -> Any:
    return (ctypes.c_uint * 3)(*(tuple(size) + (1, 1, 1))[:3])
