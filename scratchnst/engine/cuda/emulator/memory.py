"""The memory of the emulated GPU: how much of it arrays take, and what is copied between it and the CPU's.

The numbers lie in ordinary memory, in arrays of NumPy's.  Here they are only counted: each array that owns its numbers
is entered when it is made and removed when it is deleted.
"""

from __future__ import annotations

import gc
import weakref
from bisect import bisect_left, insort
from collections import deque
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


class _Chunk:
    """A part of a block of memory, with its neighbours in the block."""

    def __init__(self, size: int, before: _Chunk | None = None, after: _Chunk | None = None):
        self.size, self.before, self.after = size, before, after

    @property
    def is_whole(self) -> bool:
        """Whether it is all of its block."""
        return self.before is self.after is None

    def split(self, size: int) -> _Chunk | None:
        """Keep `size` bytes, and return a chunk of the others, if there are any."""
        if self.size == size:
            return None
        rest = _Chunk(self.size - size, self, self.after)
        if self.after:
            self.after.before = rest
        self.size, self.after = size, rest
        return rest

    def merge(self) -> None:
        """Become one with the next."""
        assert self.after is not None
        self.size += self.after.size
        self.after = self.after.after
        if self.after:
            self.after.before = self


class MemoryPool:
    """Stands for ``cupy.cuda.MemoryPool``, which keeps what is freed until `free_all_blocks`.

    As CuPy's, it cuts what is wanted out of the smallest free chunk that is large enough, and asks the GPU for a new
    block only where there is none.  Neighbours that are free become one again.  So an array may find no room although
    enough is free, but not in one piece; and a block goes back to the GPU only when all of it is free.

    Attributes
    ----------
    peak : the most bytes that arrays have taken at once, since this was last set; CuPy has no such number
    """

    def __init__(self) -> None:
        self.peak = 0
        self._used = self._total = self._limit = 0
        self._owners: set[int] = set()
        self._free: list[_Chunk] = []  # from the smallest to the largest
        self._deleted: deque[tuple[int, _Chunk]] = (
            deque()
        )  # arrays are deleted at any moment, also within these methods

    def used_bytes(self) -> int:
        self._remove_deleted()
        return self._used

    def total_bytes(self) -> int:
        return self._total

    def free_bytes(self) -> int:
        return self._total - self.used_bytes()

    def free_all_blocks(self) -> None:
        self._remove_deleted()
        self._total -= sum(chunk.size for chunk in self._free if chunk.is_whole)
        self._free = [chunk for chunk in self._free if not chunk.is_whole]

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
        """Count the array that owns the numbers of this one, until it is deleted.

        Raises
        ------
        OutOfMemoryError
            If there is no room for it.
        """
        array = owner(array)
        self._remove_deleted()
        if id(array) in self._owners or not array.nbytes:
            return
        chunk = self._take(-(-array.nbytes // UNIT) * UNIT)
        self._owners.add(id(array))
        self._used += chunk.size
        self.peak = max(self.peak, self._used)
        weakref.finalize(array, self._deleted.append, (id(array), chunk)).atexit = False

    def _take(self, size: int) -> _Chunk:
        place = bisect_left(self._free, size, key=_size)
        if place == len(self._free):
            return self._new_block(size)
        chunk = self._free.pop(place)
        if rest := chunk.split(size):
            insort(self._free, rest, key=_size)
        return chunk

    def _new_block(self, size: int) -> _Chunk:
        if self._total + size > (self._limit or CAPACITY):
            gc.collect()
            self.free_all_blocks()
        if self._total + size > (self._limit or CAPACITY):
            raise OutOfMemoryError(size, self._total, self._limit)
        self._total += size
        return _Chunk(size)

    def _remove_deleted(self) -> None:
        while self._deleted:
            identity, chunk = self._deleted.popleft()
            self._owners.remove(identity)
            self._used -= chunk.size
            while chunk.after in self._free:
                self._free.remove(chunk.after)
                chunk.merge()
            while chunk.before in self._free:
                chunk = chunk.before
                self._free.remove(chunk)
                chunk.merge()
            insort(self._free, chunk, key=_size)


def _size(chunk: _Chunk) -> int:
    return chunk.size


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
    """Record `size` bytes copied to the device."""
    for record in _observers:
        record.to_device.append(size)


def copied_to_host(size: int) -> None:
    """Record `size` bytes copied to the host."""
    for record in _observers:
        record.to_host.append(size)


def owner(array: np.ndarray) -> np.ndarray:
    """Return the array whose memory this one looks into, which may be itself."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
