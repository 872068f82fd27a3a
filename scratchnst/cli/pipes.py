"""A dash in place of a file: standard input and standard output."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scratchnst.errors import OutputError, UserError

PIPE = Path("-")


@contextmanager
def readable(path: Path) -> Iterator[Path]:
    """Yield the file of a picture; standard input is copied into one."""
    if path != PIPE:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "standard input")
        file.write_bytes(sys.stdin.buffer.read())
        with named(file, file.name):
            yield file


@contextmanager
def writable(path: Path) -> Iterator[Path]:
    """Yield the file for a picture; what stands in for standard output, a PNG, is sent there when the block ends."""
    if path != PIPE:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "standard output.png")
        with named(file, file.stem):
            yield file
        if file.exists():
            send(file.read_bytes())


@contextmanager
def named(file: Path, name: str) -> Iterator[None]:
    """Call a temporary file by a name in the UserErrors of the block."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace(str(file), name)) from None


def send(data: bytes) -> None:
    """Write to standard output.

    Raises
    ------
    OutputError
        If it cannot be written.
    BrokenPipeError
        If its reader has ended.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"standard output cannot be written ({error.strerror or error}): send it elsewhere."
        ) from None


def check_one_input(paths: Sequence[Path]) -> None:
    """Raise a UserError if standard input is to be more than one picture."""
    if list(paths).count(PIPE) > 1:
        raise UserError("standard input is one picture: name the files of the others.")
