"""The memory of the emulated GPU: how much of it arrays take, and what travels between it and the CPU's.

The numbers lie in ordinary memory, in arrays of NumPy's.  Here is only the account: each array that owns its numbers is
entered when it comes up and struck off when it dies.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

UNIT = 512  # CuPy hands out memory in multiples of so many bytes
CAPACITY = 16 << 30  # bytes of the whole GPU


class OutOfMemoryError(MemoryError):
    """Stands for ``cupy.cuda.memory.OutOfMemoryError``."""

    def __init__(self, size: int, total: int, limit: int = 0):
        limited = f", limit set to: {limit:,} bytes" if limit else ""
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes{limited}).")


class MemoryPool:
    """Stands for ``cupy.cuda.MemoryPool``, which keeps what is freed until `free_all_blocks`.

    Attributes
    ----------
    peak : the most bytes that arrays have taken at once, since somebody set it; CuPy has no such number
    """

    def __init__(self) -> None:
        self.peak = 0
        self._used = self._total = self._limit = 0
        self._owners: set[int] = set()

    def used_bytes(self) -> int:
        return self._used

    def total_bytes(self) -> int:
        return self._total

    def free_bytes(self) -> int:
        return self._total - self._used

    def free_all_blocks(self) -> None:
        self._total = self._used

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        """Refuse arrays beyond `size` bytes in all, or this fraction of the GPU's; 0: no limit."""
        if size is not None and fraction is not None:
            raise ValueError("size and fraction are mutually exclusive")
        if (size or 0) < 0 or not 0 <= (fraction or 0) <= 1:
            raise ValueError("a limit is not negative, and a fraction lies between 0 and 1")
        self._limit = int((fraction or 0) * CAPACITY) if size is None else size

    def get_limit(self) -> int:
        return self._limit

    def enter(self, array: np.ndarray) -> None:
        """Account for the array that owns the numbers of this one, until it dies.

        Raises
        ------
        OutOfMemoryError
            If there is no room for it.
        """
        array = owner(array)
        if id(array) in self._owners:
            return
        size = -(-array.nbytes // UNIT) * UNIT
        if self._used + size > (self._limit or CAPACITY):
            raise OutOfMemoryError(size, self._total, self._limit)
        self._owners.add(id(array))
        self._used += size
        self.peak = max(self.peak, self._used)
        self._total = max(self._total, self._used)
        weakref.finalize(array, self._strike_off, id(array), size).atexit = False

    def _strike_off(self, identity: int, size: int) -> None:
        self._owners.remove(identity)
        self._used -= size


@dataclass
class Transfers:
    """The size in bytes of each copy from one memory to the other, in order."""

    to_device: list[int] = field(default_factory=list)
    to_host: list[int] = field(default_factory=list)


pool = MemoryPool()
_observers: list[Transfers] = []


@contextmanager
def transfers() -> Iterator[Transfers]:
    """Record within the block what is copied between the CPU's memory and the emulated GPU's."""
    record = Transfers()
    _observers.append(record)
    try:
        yield record
    finally:
        _observers.remove(record)


def copied_to_device(size: int) -> None:
    for record in _observers:
        record.to_device.append(size)


def copied_to_host(size: int) -> None:
    for record in _observers:
        record.to_host.append(size)


def owner(array: np.ndarray) -> np.ndarray:
    """Return the array whose memory this one looks into, which may be itself."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
