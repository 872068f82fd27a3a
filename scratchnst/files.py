"""Files written whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from scratchnst.errors import UserError


def write_atomically(path: str | os.PathLike, data: bytes) -> None:
    """Write `data` so that at any moment `path`, or the file that it links to, holds the old content or all of the new.

    Raises
    ------
    UserError
        If the file cannot be written; what was there before is intact.
    """
    with _temporary_file_for(path) as (file, target):
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # the content must be on the disk before the name points to it
        file.close()
        os.replace(file.name, target)


def check_writable(path: str | os.PathLike, suffixes: Collection[str] | None = None) -> None:
    """Make sure, before a long computation, that its result can be written to `path`; a file there stays as it is.

    `suffixes` are those allowed, in lower case and with their dots; None allows any.

    Raises
    ------
    UserError
        If the suffix is not allowed, the directory does not exist or takes no file, or `path` exists and is not an
        ordinary file.
    """
    if suffixes is not None:
        check_suffix(path, suffixes)
    with _temporary_file_for(path):
        pass  # os.access would not do: it is wrong for root and on read-only file systems


def check_suffix(path: str | os.PathLike, suffixes: Collection[str]) -> None:
    """Raise a UserError unless `path` ends in one of `suffixes`, in lower or upper case."""
    if Path(path).suffix.lower() not in suffixes:
        raise UserError(f"{path} has no suffix that can be written: use one of {', '.join(suffixes)}.")


@contextmanager
def _temporary_file_for(path: str | os.PathLike) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file beside the target of `path`, and that target; it is deleted afterwards unless it was renamed."""
    try:
        target = _target(path)
        temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            with open(temporary, "xb") as file:  # unlike tempfile's, with the permissions of any new file
                yield file, target
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror or error}): mend this or name another place."
        ) from error


def _target(path: str | os.PathLike) -> Path:
    target = Path(os.path.realpath(path))  # links are followed, since os.replace would replace a link
    if not target.parent.is_dir():
        raise UserError(f"{path} cannot be written, {target.parent} is no directory: create it first.")
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return target
    if stat.S_ISDIR(mode):
        raise UserError(f"{path} is a directory: name a file in it.")
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is a device or the like, not an ordinary file: name another.")
    return target
