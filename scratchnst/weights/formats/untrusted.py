"""Bytes and texts that anyone may have written: read within bounds, and shown with care."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np

from scratchnst.errors import UserError

DAMAGED = "it is damaged or incomplete: get it again."

_AT_ONCE = 1 << 20  # bytes; a file that promises more than it holds is found out before memory is spent on it

# What struct, zlib, zipfile, json, codecs and NumPy raise on bytes that are not what they expect.
_DAMAGE = (
    ArithmeticError, EOFError, LookupError, OSError, RuntimeError, ValueError,
    struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@contextmanager
def damage_told() -> Iterator[None]:
    """Turn what hostile or damaged bytes make the libraries raise into a UserError."""
    try:
        yield
    except _DAMAGE:
        raise UserError(DAMAGED) from None


def read_exactly(file: IO[bytes], count: int) -> bytearray:
    """Return the next `count` bytes, holding no more memory than the file has bytes.

    Raises
    ------
    UserError
        If the file ends before.
    """
    data = bytearray()
    while len(data) < count:
        piece = file.read(min(count - len(data), _AT_ONCE))
        if not piece:
            raise UserError("it ends too early: it is damaged or incomplete; get it again.")
        data += piece
    return data


def native_floats(data: bytes | bytearray, dtype: np.dtype) -> np.ndarray:
    """Return the numbers in `data` as a flat array in this machine's byte order."""
    return np.frombuffer(data, dtype).astype(dtype.newbyteorder("="))


def shown(text: str, most: int = 60) -> str:
    """Return the beginning of `text` in characters that no terminal obeys, for a message."""
    return ascii(text)[1:-1][:most]
