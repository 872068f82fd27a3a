"""Read bytes that anyone may have written in bounded memory, and show texts from them safely."""

from __future__ import annotations

import itertools
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np

from scratchnst.errors import UserError

DAMAGED = "it is damaged or incomplete: get it again."

_AT_ONCE = 1 << 20  # bytes; a file that declares more than it holds takes no more memory than it holds

# What struct, zlib, zipfile, json, codecs and NumPy raise if bytes are not what they expect.
_DAMAGE = (
    ArithmeticError, EOFError, LookupError, OSError, RuntimeError, ValueError,
    struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@contextmanager
def damage_told() -> Iterator[None]:
    """Raise a UserError for what the libraries raise because of hostile or damaged bytes."""
    try:
        yield
    except _DAMAGE:
        raise UserError(DAMAGED) from None


def read_exactly(file: IO[bytes], count: int) -> bytearray:
    """Return the next `count` bytes, in no more memory than the file has bytes.

    Raises
    ------
    UserError
        If the file ends earlier.
    """
    data = bytearray()
    while len(data) < count:
        piece = file.read(min(count - len(data), _AT_ONCE))
        if not piece:
            raise UserError("it ends too early: it is damaged or incomplete; get it again.")
        data += piece
    return data


def native_numbers(data: bytes | bytearray, dtype: np.dtype) -> np.ndarray:
    """Return the numbers in `data` as a flat array in this machine's byte order."""
    return np.frombuffer(data, dtype).astype(dtype.newbyteorder("="))


def listed(names: Iterable[str], most: int = 4) -> str:
    """Return the first names in a file, for a message; nothing if there is none."""
    first = [shown(name, 32) for name in itertools.islice(names, most)]
    return f" (it holds {', '.join(first)} ...)" if first else ""


def shown(text: str, most: int = 60) -> str:
    """Return the beginning of `text`, for a message: all but printable ASCII is escaped."""
    return ascii(text)[1:-1][:most]
