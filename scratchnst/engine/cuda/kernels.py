"""Kernels: compiled once, launched with arguments that fit.

A ``.cu`` file beside this one holds the kernels of an operation as plain CUDA C.  It is written for a type ``real``,
and compiled for float or double by NVRTC through CuPy when it is first needed; CuPy keeps the result on disk.

A GPU takes whatever bytes it is given as a kernel's arguments, and a wrong type there ends in wrong numbers or in a
crash later on.  So each launch compares its arguments with the kernel's parameters, as the source declares them.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from scratchnst.engine.cuda import device
from scratchnst.errors import UserError

FOLDER = Path(__file__).parent
REAL = {np.dtype("float32"): "float", np.dtype("float64"): "double"}
INTEGERS = {"int": np.int32, "long long": np.int64}
ELEMENTS = {"double": ("float64",), "int": ("int32",), "unsigned char": ("uint8", "bool")}
THREADS = 256  # of a block, unless there are reasons for another number
LARGEST_GRID = 2**31 - 1, 65535, 65535  # blocks, of any GPU
LARGEST_BLOCK = 1024  # threads
NULL = np.uint64(0)
_INCLUDE = re.compile(r'#include "(\w+\.cuh)"$')
_KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(([^)]*)\)')


class KernelParameter(NamedTuple):
    """One parameter of a kernel: its type without const and *, and whether it is a pointer."""

    name: str
    type: str
    is_pointer: bool


def launch(file: str, name: str, grid: tuple, block: tuple, dtype: Any, *arguments: Any, **macros: int) -> None:
    """Run a kernel: `grid` blocks of `block` threads each.

    It returns before the kernel has run; the GPU runs one after the other.  A grid without blocks does nothing.

    Parameters
    ----------
    file : name of a ``.cu`` file here, without the suffix
    name : of a kernel in it
    grid, block : one to three numbers each
    dtype : float32 or float64, what ``real`` stands for
    arguments : an array or None for a pointer, a number for any other parameter
    macros : what the source is compiled with besides, NAME=number

    Raises
    ------
    ValueError
        If arguments do not fit the kernel's parameters, or grid or block is larger than a GPU takes.
    UserError
        If the file has no such kernel, or does not compile.
    """
    if 0 in grid:
        return
    if any(map(operator.gt, grid, LARGEST_GRID)) or not 0 < math.prod(block) <= LARGEST_BLOCK:
        raise ValueError(f"{name}: a GPU takes no grid of {grid} blocks of {block} threads")
    kernel = _kernel(device.library(), file, name, np.dtype(dtype), tuple(sorted(macros.items())))
    if len(arguments) != len(kernel.fitting):
        raise ValueError(f"{name} takes {len(kernel.fitting)} arguments, not {len(arguments)}")
    values = tuple([fitting(argument) for fitting, argument in zip(kernel.fitting, arguments)])
    with device.step(kernel.step):
        kernel.function(grid, block, values)


def launch_each(file: str, name: str, count: int, dtype: Any, *arguments: Any) -> None:
    """Run a kernel that has a thread for each of `count` elements; see `launch`."""
    launch(file, name, (blocks(count, THREADS),), (THREADS,), dtype, *arguments)


def blocks(count: int, threads: int) -> int:
    """Return how many blocks of so many threads `count` of something need, one thread for each."""
    return -(-count // threads)


@cache
def source(file: str) -> str:
    """Return the text of a ``.cu`` file, with the text of what it includes in its place.

    NVRTC could include it, but CuPy looks up what it has compiled before by this text alone.
    """
    lines = (FOLDER / f"{file}.cu").read_text().splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        if included := _INCLUDE.match(line):
            lines[number - 1] = (
                f"{_named(included[1])}{(FOLDER / included[1]).read_text()}{_named(f'{file}.cu', number)}"
            )
    return _named(f"{file}.cu") + "".join(lines)


def _named(name: str, line: int = 0) -> str:
    """Return the directive that tells compilers the file of the next line, and the number of the line before it."""
    return f'#line {line + 1} "{name}"\n'


@cache
def signatures(file: str) -> dict[str, list[KernelParameter]]:
    """Return name of each kernel in a file -> its parameters."""
    text = re.sub(r"//[^\n]*", "", source(file))
    return {name: [_parameter(part) for part in inside.split(",")] for name, inside in _KERNEL.findall(text)}


def _parameter(declaration: str) -> KernelParameter:
    words = declaration.replace("*", " * ").split()
    kind = " ".join(word for word in words[:-1] if word not in ("const", "*", "__restrict__"))
    return KernelParameter(words[-1], kind, "*" in words)


class _Kernel(NamedTuple):
    """A compiled kernel, prepared for fast launches: for each parameter the function that converts an argument."""

    step: str
    fitting: list[Callable[[Any], Any]]
    function: Callable


@cache
def _kernel(library: ModuleType, file: str, name: str, dtype: np.dtype, macros: tuple[tuple[str, int], ...]) -> _Kernel:
    if dtype not in REAL:
        raise ValueError(f"kernels take float32 or float64, not {dtype}: convert the array with astype")
    if name not in signatures(file):
        raise UserError(
            f"{file}.cu has no kernel {name}, which {file}.py launches; it has {', '.join(signatures(file))}."
        )
    fitting = [_fitting(name, parameter, dtype) for parameter in signatures(file)[name]]
    try:
        function = _module(library, file, REAL[dtype], macros).get_function(name)
    except library.cuda.compiler.CompileException as error:
        raise UserError(f"{file}.cu does not compile:\n{str(error).strip()}") from error
    return _Kernel(f"{file}.{name}", fitting, function)


@cache
def _module(library: ModuleType, file: str, real: str, macros: tuple[tuple[str, int], ...]) -> Any:
    defines = [f"-D{key}={value}" for key, value in macros]
    return library.RawModule(code=source(file), options=("-std=c++17", f"-DREAL={real}", *defines))


def _fitting(kernel: str, parameter: KernelParameter, dtype: np.dtype) -> Callable[[Any], Any]:
    """Return what makes of an argument the one that CuPy passes on, or raises a ValueError."""
    if parameter.is_pointer:
        wanted = (dtype,) if parameter.type == "real" else ELEMENTS[parameter.type]
        return partial(_pointer, f"{kernel}: {parameter.name}", tuple(map(np.dtype, wanted)))
    if parameter.type in INTEGERS:
        return partial(_integer, f"{kernel}: {parameter.name}", parameter.type, INTEGERS[parameter.type])
    return dtype.type if parameter.type == "real" else np.float64


def _pointer(what: str, wanted: tuple[np.dtype, ...], argument: Any) -> Any:
    if argument is None:
        return NULL
    if argument.dtype not in wanted:
        raise ValueError(f"{what} is of {' or '.join(map(str, wanted))}, not of {argument.dtype}")
    if not argument.flags.c_contiguous:
        raise ValueError(f"{what}: its numbers must lie one after the other in memory")
    return argument


def _integer(what: str, name: str, integer: type, argument: Any) -> Any:
    try:
        return integer(operator.index(argument))
    except (OverflowError, TypeError):
        raise ValueError(f"{what} = {argument} does not fit {name}") from None
