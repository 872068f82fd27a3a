"""Read zip archives that anyone may have written, in bounded memory."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from scratchnst.errors import UserError
from scratchnst.weights.formats.untrusted import damage_told, read_exactly

LARGEST_DIRECTORY = 1 << 20  # bytes
LOCAL_FILE = b"PK\x03\x04"


class LimitedFile(io.BufferedReader):
    """A file of which little can be read at once: zipfile would read a directory of any size, and keep it."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next `size` bytes at most."""
        if size is not None and size > LARGEST_DIRECTORY:
            raise UserError("it is an archive of far too many entries: give another file.")
        return super().read(size)


def archive_names(path: Path) -> list[str]:
    """Return the names in a zip archive; only the first of a damaged one, and none of any other file."""
    with LimitedFile(io.FileIO(path)) as file:
        head = file.read(30)
        if not head.startswith(LOCAL_FILE):
            return []
        first = file.read(int.from_bytes(head[26:28], "little")).decode("latin-1")
        try:
            with damage_told(), zipfile.ZipFile(file) as archive:
                return archive.namelist()
        except UserError:
            return [first]


def open_entry(archive: zipfile.ZipFile, name: str, compressions: tuple[int, ...]) -> IO[bytes]:
    """Return an entry of `archive`, ready to be read, if it is compressed in one of these ways.

    Raises
    ------
    UserError
        If it is compressed in another.  (Of LZMA and bzip2 Python unpacks more than it was asked for.)
    """
    if archive.getinfo(name).compress_type not in compressions:
        raise UserError("it is compressed in a way that its format does not use: pack it again, not compressed.")
    return archive.open(name)


class _Window(io.RawIOBase):
    """A part of a file, as a file: of an entry of an archive, zipfile reads all that is skipped."""

    def __init__(self, file: IO[bytes], start: int, size: int):
        self.file, self.start, self.size, self.place = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self.place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.size}[whence]
        return self.place

    def readinto(self, buffer, /) -> int:
        self.file.seek(self.start + self.place)
        data = self.file.read(max(min(len(buffer), self.size - self.place), 0))
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)


@contextmanager
def inner_file(path: Path, name: str, largest: int) -> Iterator[IO[bytes]]:
    """Open an entry of a zip archive, to be read anywhere; a packed one is unpacked into memory.

    Raises
    ------
    UserError
        If the archive is damaged, or the entry is packed and declares more than `largest` bytes.
    """
    with LimitedFile(io.FileIO(path)) as file, damage_told(), zipfile.ZipFile(file) as archive:
        entry = archive.getinfo(name)
        if entry.compress_type == zipfile.ZIP_STORED:
            file.seek(entry.header_offset)
            lengths = struct.unpack_from("<2H", file.read(30), 26)
            yield io.BufferedReader(_Window(file, entry.header_offset + 30 + sum(lengths), entry.file_size))
            return
        if entry.file_size > largest:
            raise UserError(f"its {name} is packed and larger than {largest} bytes: unpack it and give that.")
        with open_entry(archive, name, (zipfile.ZIP_DEFLATED,)) as packed:
            yield io.BytesIO(read_exactly(packed, entry.file_size))
