"""The bytes of an HDF5 file, of which no more are read than a network can have."""

from __future__ import annotations

import io
from typing import IO

from scratchnst.errors import UserError
from scratchnst.weights.formats.untrusted import read_exactly

MOST_STRUCTURE = 1 << 24  # bytes of headers, names and the like; VGG's have 50 KiB
MOST_NUMBERS = 1 << 25  # VGG19's convolutions have 20 million
UNDEFINED = (1 << 64) - 1  # the address of what is not there

_STEP = 320  # bytes that each piece counts more than it has, so that there are not more than 50,000 of them


def damaged(reason: str) -> UserError:
    """Return the error that says what is wrong with the file."""
    return UserError(
        f"it is not an HDF5 file, or a damaged one ({reason}): get it again, unless another program is writing it."
    )


class Source:
    """A file, opened for reading; what is read of it counts against its bounds."""

    def __init__(self, file: IO[bytes]):
        self.file, self.size = file, file.seek(0, io.SEEK_END)
        self._structure, self._numbers = MOST_STRUCTURE, MOST_NUMBERS
        self._places: set[int] = set()

    def take(self, address: int, count: int, signature: bytes = b"") -> bytes:
        """Return `count` bytes of the file's structure, behind `signature`, with which they must begin."""
        self._structure -= count + _STEP
        if self._structure < 0:
            raise UserError("it has more groups and names than any network: give a file that holds VGG alone.")
        data = self.read(address, count + len(signature))
        if not data.startswith(signature):
            raise damaged(f"there is no {signature.decode()} at {address}")
        return data[len(signature) :]

    def read(self, address: int, count: int) -> bytes:
        """Return `count` bytes at `address`."""
        if address + count > self.size:
            raise damaged("it ends too early")
        self.file.seek(address)
        return bytes(read_exactly(self.file, count))

    def spend(self, count: int, place: int) -> None:
        """Count an array of `count` numbers, the first of them at `place`, where no other array may begin."""
        self._numbers -= count
        if self._numbers < 0:
            raise UserError(f"its layers have more than {MOST_NUMBERS} numbers together: give a smaller network.")
        if count and place in self._places:
            raise UserError("two arrays in it are one and the same: it is damaged, get it again.")
        self._places.add(place)


class Fields:
    """Reads one field after the other; all numbers are little-endian."""

    def __init__(self, data: bytes):
        self.data, self.place = data, 0

    @property
    def left(self) -> int:
        """How many bytes follow."""
        return len(self.data) - self.place

    def bytes(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        if count > self.left:
            raise damaged("a description in it ends too early")
        self.place += count
        return self.data[self.place - count : self.place]

    def number(self, size: int) -> int:
        """Return the next number, of `size` bytes."""
        return int.from_bytes(self.bytes(size), "little")

    def skip(self, count: int) -> None:
        """Pass over `count` bytes."""
        self.bytes(count)
