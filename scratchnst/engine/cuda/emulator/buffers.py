"""What a kernel works on: a copy of each array, between guard zones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np

from scratchnst.engine.cuda.emulator import memory
from scratchnst.engine.cuda.emulator.compiler import is_sanitizing

LEAST_GUARD, LARGEST_GUARD = 4096, 1 << 20  # bytes before an array and after it; as many as it has, within these bounds
# In each byte of a zone: as floats 1.5e16 to 1.8e25, as doubles 1.1e127 to 1.7e200, finite and far too large.  They
# differ from buffer to buffer, for a thread beyond the ends of all arrays may copy a number from one zone into another.
SENTINELS = range(0x5A, 0x6A)
ALIGNMENT = 512  # bytes: where CuPy's arrays begin, and what starts inside of them begins as far beyond


def copied(arrays: Sequence[np.ndarray | None]) -> list[Buffer | None]:
    """Return a buffer for each array, the same one where an array comes again; None for None."""
    known: dict[tuple[int, int], Buffer] = {}
    buffers: list[Buffer | None] = []
    for array, sentinel in zip(arrays, cycle(SENTINELS)):
        if array is None:
            buffers.append(None)
            continue
        place = array.ctypes.data, array.nbytes
        if place not in known:
            known[place] = Buffer(array, sentinel)
        buffers.append(known[place])
    return buffers


class Buffer:
    """A copy of an array, between two guard zones that begin at its very ends.

    AddressSanitizer has guard zones of its own, around everything that is allocated.
    """

    def __init__(self, array: np.ndarray, sentinel: int):
        self.array, self.start, self.size, self.sentinel = array, array.ctypes.data, array.nbytes, sentinel
        self.guard = 0 if is_sanitizing() else min(max(LEAST_GUARD, self.size), LARGEST_GUARD)
        spare = 0 if is_sanitizing() else ALIGNMENT
        self._memory = np.empty(self.size + 2 * self.guard + spare, np.uint8)
        if spare:
            inside = (self.start - memory.owner(array).ctypes.data) % ALIGNMENT
            self._memory = self._memory[(inside - self._memory.ctypes.data - self.guard) % ALIGNMENT :]
        self._numbers = self._memory[self.guard : self.guard + self.size]
        self._zones = self._memory[: self.guard], self._memory[self.guard + self.size :]
        for zone in self._zones:
            zone.fill(sentinel)
        self._numbers[...] = self._bytes()

    def _bytes(self) -> np.ndarray:
        return self.array.reshape(-1).view(np.uint8)

    @property
    def address(self) -> int:
        """A null pointer for an array without numbers, as CuPy has it."""
        return self._numbers.ctypes.data if self.size else 0

    def overlaps(self, other: Buffer) -> bool:
        return self.start < other.start + other.size and other.start < self.start + self.size

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
