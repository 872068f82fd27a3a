"""Read zip archives that anyone may have written, in bounded memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from scratchnst.errors import UserError
from scratchnst.weights.formats.untrusted import damage_told

LARGEST_DIRECTORY = 1 << 20  # bytes
LOCAL_FILE = b"PK\x03\x04"
_AT_ONCE = 1 << 20  # bytes


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


@contextmanager
def unpacked(path: Path, name: str, largest: int) -> Iterator[Path]:
    """Give a copy of an entry of a zip archive, which is there until the end of the block.

    Raises
    ------
    UserError
        If the archive is damaged, or the entry is larger than `largest` bytes.
    OSError
        If there is no room for the copy.
    """
    with TemporaryDirectory() as folder:
        copy = Path(folder, name)
        with copy.open("wb") as target:
            for block in _blocks(path, name, largest):
                target.write(block)
        yield copy


def _blocks(path, name, largest):
    """The bytes of an entry, some at a time."""
    with LimitedFile(io.FileIO(path)) as file, damage_told(), zipfile.ZipFile(file) as archive:
        if archive.getinfo(name).file_size > largest:
            raise UserError(f"its {name} has more than {largest} bytes: unpack it and give that.")
        with open_entry(archive, name, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)) as entry:
            while block := entry.read(_AT_ONCE):
                yield block
