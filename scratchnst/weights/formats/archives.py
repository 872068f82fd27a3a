"""Read zip archives that anyone may have written, in bounded memory."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import IO

from scratchnst.errors import UserError
from scratchnst.weights.formats.untrusted import damage_told

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
