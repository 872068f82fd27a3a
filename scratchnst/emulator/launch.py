"""A launch: a kernel runs on copies of its arguments, with guard zones around, and what it did is looked through.

On a GPU most of these mistakes would go unnoticed, or come out as an error long afterwards.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterable
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from scratchnst.emulator import memory
from scratchnst.emulator.arrays import ndarray
from scratchnst.emulator.compiler import Kernel, Parameter, compile, is_sanitizing

LARGEST_GRID = 2**31 - 1, 2**16 - 1, 2**16 - 1  # blocks
LARGEST_BLOCK = 1024, 1024, 64  # threads
LEAST_GUARD, LARGEST_GUARD = 4096, 1 << 20  # bytes before an array and after it; as many as it has, within these bounds
# In each byte of a zone: as floats 1.5e16 to 1.8e25, as doubles 1.1e127 to 1.7e200, finite and far too large.  They
# differ from buffer to buffer, for a thread beyond the ends of all arrays may copy a number from one zone into another.
SENTINELS = range(0x5A, 0x6A)
ALIGNMENT = 512  # bytes: where CuPy's arrays begin, and what starts inside of them begins as far beyond
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


class KernelFault(Exception):
    """What no kernel may do, or no caller with a kernel, although a GPU might let it pass."""


class Function:
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
        # CuPy launches one block where no block, and one thread where no thread is asked for
        grid, block = (tuple(max(1, size) for size in (*sizes, 1, 1)[:3]) for sizes in (grid, block))
        self._check_size(grid, block)
        parameters, values = self.kernel.parameters, list(args)
        if len(values) != len(parameters):
            raise KernelFault(f"{self.name} takes {len(parameters)} arguments, not {len(values)}")
        for position, (parameter, value) in enumerate(zip(parameters, values)):
            _check_type(self._place(position), parameter, value)
        buffers = [
            _Buffer(one.host, SENTINELS[i % 16]) if isinstance(one, ndarray) else None for i, one in enumerate(values)
        ]
        _share(buffers)
        self._check_overlap(buffers)
        self._run(grid, block, values, buffers)
        self._look_through(buffers)

    def _check_size(self, grid, block):
        threads = block[0] * block[1] * block[2]
        sizes, largest = (*grid, *block, threads), (*LARGEST_GRID, *LARGEST_BLOCK, self.kernel.most_threads)
        if any(size > most for size, most in zip(sizes, largest)):
            raise CUDADriverError(1)

    def _place(self, position):
        return f"{self.name}, argument {position} ({self.kernel.parameters[position].name})"

    def _check_overlap(self, buffers):
        """An array given twice is one array to the kernel as well; two that overlap otherwise have no place here."""
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

    def _look_through(self, buffers):
        """Compare the guard zones, and what is constant, with what they were; copy the rest back into the arrays."""
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


class _Buffer:
    """A copy of an array, between two guard zones that begin at its very ends.

    AddressSanitizer has guard zones of its own, around everything that is allocated.
    """

    def __init__(self, array: np.ndarray, sentinel: int):
        self.array, self.size, self.sentinel = array, array.nbytes, sentinel
        self.guard = 0 if is_sanitizing() else min(max(LEAST_GUARD, self.size), LARGEST_GUARD)
        spare = 0 if is_sanitizing() else ALIGNMENT
        self._memory = np.empty(self.size + 2 * self.guard + spare, np.uint8)
        if spare:
            inside = (self._start() - memory.owner(array).ctypes.data) % ALIGNMENT
            self._memory = self._memory[(inside - self._memory.ctypes.data - self.guard) % ALIGNMENT :]
        self._numbers = self._memory[self.guard : self.guard + self.size]
        self._zones = self._memory[: self.guard], self._memory[self.guard + self.size :]
        for zone in self._zones:
            zone.fill(sentinel)
        self._numbers[...] = self._bytes()

    def _start(self) -> int:
        return self.array.ctypes.data

    def _bytes(self) -> np.ndarray:
        return self.array.reshape(-1).view(np.uint8)

    @property
    def address(self) -> int:
        """A null pointer for an array without numbers, as CuPy has it."""
        return self._numbers.ctypes.data if self.size else 0

    def overlaps(self, other: _Buffer) -> bool:
        return self._start() < other._start() + other.size and other._start() < self._start() + self.size

    def damaged_side(self) -> str:
        """Return where the nearest byte is that is not what it was, or nothing."""
        before, after = ((zone != self.sentinel).nonzero()[0] for zone in self._zones)
        if before.size:
            return f"{_distance(self.guard - 1 - before[-1])} before its first element"
        return f"{_distance(after[0])} after its last element" if after.size else ""

    def has_changed(self) -> bool:
        return not np.array_equal(self._numbers, self._bytes())

    def copy_back(self) -> None:
        self._bytes()[...] = self._numbers


def _distance(between: int) -> str:
    return f"{between} bytes" if between else "right"


def _share(buffers: list[_Buffer | None]) -> None:
    """Let the same array given twice be the same buffer."""
    known: dict[tuple[int, int], _Buffer] = {}
    for position, buffer in enumerate(buffers):
        if buffer is not None:
            buffers[position] = known.setdefault((buffer._start(), buffer.size), buffer)


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

    def __init__(self, code: str, *, options: tuple[str, ...] = (), backend: str = "nvrtc"):
        if not isinstance(options, tuple):
            raise TypeError("options must be a tuple")
        self.code, self.options = code, options

    def compile(self, log_stream: Any = None) -> None:
        compile(self.code, self.options)

    def get_function(self, name: str) -> Function:
        kernels = compile(self.code, self.options)
        if name not in kernels:
            raise CUDADriverError(500)
        return Function(kernels[name])
