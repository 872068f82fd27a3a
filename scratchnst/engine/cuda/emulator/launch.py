"""A launch: a kernel runs on guarded copies of its arguments, and afterwards these are checked.

On a GPU most of these mistakes would go unnoticed, or come out as an error long afterwards.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterable
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from scratchnst.engine.cuda.emulator.arrays import ndarray
from scratchnst.engine.cuda.emulator.buffers import copied
from scratchnst.engine.cuda.emulator.compiler import Kernel, Parameter, compile
from scratchnst.errors import UserError

LARGEST_GRID = 2**31 - 1, 2**16 - 1, 2**16 - 1  # blocks
LARGEST_BLOCK = 1024, 1024, 64  # threads
_PYTHONS: dict[Any, str] = {bool: "bool", int: "int64", float: "float64"}  # numbers, as CuPy passes them on
order = "forward"  # or "reverse": which of the blocks, and of the threads of one, has the first turn
_lock = threading.Lock()  # the kernels of a library share their fibers


class CUDADriverError(RuntimeError):
    """Stands for ``cupy.cuda.driver.CUDADriverError``: a launch that is refused."""

    TEXTS: ClassVar = {
        1: "CUDA_ERROR_INVALID_VALUE: invalid argument",
        500: "CUDA_ERROR_NOT_FOUND: named symbol not found",
    }

    def __init__(self, status: int):
        self.status = status
        super().__init__(self.TEXTS[status])


class KernelFault(UserError):
    """A mistake in a kernel or its launch, which a GPU might not report."""


class RawKernel:
    """Stands for ``cupy.RawKernel``, and is called like it."""

    def __init__(self, kernel: Kernel):
        self.kernel, self.name = kernel, kernel.name

    def __call__(
        self, grid: tuple, block: tuple, args: Iterable[Any], *, shared_mem: int = 0, stream: Any = None
    ) -> None:
        """Run the kernel to its end: grid[0] x grid[1] x grid[2] blocks of block[0] x block[1] x block[2] threads.

        Raises
        ------
        CUDADriverError
            If a GPU would refuse the launch.
        KernelFault
            If the arguments do not fit the parameters, or the kernel has written where it must not, or some threads
            of a block have missed a barrier.
        """
        if shared_mem:
            raise KernelFault(f"{self.name}: the emulated GPU has no dynamic shared memory")
        if not (isinstance(grid, tuple) and isinstance(block, tuple)):
            raise TypeError("grid and block are tuples")
        # CuPy launches one block where no block, and one thread where no thread is asked for
        grid, block = (tuple(max(1, size) for size in (*sizes, 1, 1)[:3]) for sizes in (grid, block))
        self._check_size(grid, block)
        parameters, values = self.kernel.parameters, list(args)
        if len(values) != len(parameters):
            raise KernelFault(f"{self.name} takes {len(parameters)} arguments, not {len(values)}")
        for position, (parameter, value) in enumerate(zip(parameters, values)):
            _check_type(self._place(position), parameter, value)
        buffers = copied([value.host if isinstance(value, ndarray) else None for value in values])
        self._check_overlap(buffers)
        self._run(grid, block, values, buffers)
        self._check_buffers(buffers)

    def _check_size(self, grid, block):
        threads = block[0] * block[1] * block[2]
        sizes, largest = (*grid, *block, threads), (*LARGEST_GRID, *LARGEST_BLOCK, self.kernel.most_threads)
        if any(size > most for size, most in zip(sizes, largest)):
            raise CUDADriverError(1)

    def _place(self, position):
        return f"{self.name}, argument {position} ({self.kernel.parameters[position].name})"

    def _check_overlap(self, buffers):
        """An array given twice is one array to the kernel as well; others that overlap are refused."""
        for (first, one), (second, other) in combinations(enumerate(buffers), 2):
            if one is None or other is None or not one.overlaps(other):
                continue
            pair = self.kernel.parameters[first], self.kernel.parameters[second]
            is_only_read = all(parameter.is_constant for parameter in pair)
            is_expected = not any(parameter.is_restricted for parameter in pair)
            if one is not other or not (is_only_read or is_expected):
                raise KernelFault(f"{self._place(second)} overlaps with argument {first} ({pair[0].name})")

    def _run(self, grid, block, values, buffers):
        # a place in memory for each argument, where the kernel finds a number or the address of an array
        words = [np.array(np.uint64(buffer.address) if buffer else value) for value, buffer in zip(values, buffers)]
        addresses = (ctypes.c_void_p * len(words))(*[word.ctypes.data for word in words])
        sizes = [(ctypes.c_uint * 3)(*three) for three in (grid, block)]
        with _lock:
            problem = self.kernel.run(*sizes, ctypes.addressof(addresses), order == "reverse")
        if problem:
            raise KernelFault(f"{self.name}: {problem.decode()}")

    def _check_buffers(self, buffers):
        """Compare guard zones and constant arrays with what they were; copy the other arrays back."""
        written = {id(buffer) for buffer, one in zip(buffers, self.kernel.parameters) if not one.is_constant}
        for position, buffer in enumerate(buffers):
            if buffer is None:
                continue
            side = buffer.damaged_side()
            if side:
                raise KernelFault(f"{self._place(position)}: the kernel has written {side}")
            if id(buffer) in written:
                buffer.copy_back()
            elif buffer.has_changed():
                raise KernelFault(f"{self._place(position)}: the kernel has written into what it declares const")


def _check_type(place: str, parameter: Parameter, value: Any) -> None:
    """A GPU takes the bytes it is given; here they must be what the parameter is."""
    if not parameter.is_pointer:
        type_ = _PYTHONS.get(type(value), getattr(value, "dtype", type(value)))
        if isinstance(value, ndarray) or str(type_) != parameter.type:
            raise KernelFault(f"{place} is of {parameter.type}, not of {type_}")
    elif isinstance(value, ndarray):
        if value.dtype.name.replace("bool", "uint8") != parameter.type.replace("bool", "uint8"):
            raise KernelFault(f"{place} points to {parameter.type}, not to {value.dtype}")
        if not value.flags.c_contiguous:
            raise KernelFault(f"{place}: its numbers do not lie one after the other in memory")
    elif not (isinstance(value, np.uint64) and value == 0):
        raise KernelFault(f"{place} is a pointer: give an array or numpy.uint64(0)")


class RawModule:
    """Stands for ``cupy.RawModule``: the kernels of a source."""

    def __init__(self, code: str, *, options: tuple[str, ...] = ()):
        if not isinstance(options, tuple):
            raise TypeError("options must be a tuple")
        self.code, self.options = code, options

    def get_function(self, name: str) -> RawKernel:
        kernels = compile(self.code, self.options)
        if name not in kernels:
            raise CUDADriverError(500)
        return RawKernel(kernels[name])
