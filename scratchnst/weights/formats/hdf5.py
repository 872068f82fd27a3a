"""Read HDF5 files that anyone may have written: in a process that can be ended, and no more than was checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader, BufferedWriter
from math import ceil, prod
from pathlib import Path
from threading import Timer
from typing import Any, cast

import h5py
import numpy as np

import scratchnst.weights
from scratchnst.errors import UserError
from scratchnst.weights.assembly import check_declared
from scratchnst.weights.formats import hdf5_child
from scratchnst.weights.formats.untrusted import shown

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MOST_NUMBERS = 1 << 25  # of all arrays; VGG19's convolutions have 20 million
FLOATS = ("float16", "float32", "float64")

_PACKAGE = Path(scratchnst.weights.__file__).parent  # what ships in it is no more harmful than the program
_SECONDS, _BYTES_PER_SECOND = 15, 1e7
_MEMORY = 1 << 30  # bytes that the process may take
_DESCRIPTION = 1 << 23  # bytes of names, shapes and attributes
_START = "import runpy, sys; sys.path += sys.argv[2:]; runpy.run_path(sys.argv[1], run_name='__main__')"


@dataclass(frozen=True)
class Array:
    """What a file declares of an array.

    Attributes
    ----------
    shape : its sides, None if it is declared to hold nothing
    dtype : "float32" and the like, None if it holds something else than floating-point numbers
    chunks : the sides of the pieces in which it is stored, none if it is in one
    held : bytes that its numbers take in the file, 0 if they are packed
    written : whether all of them are there
    """

    shape: tuple[int, ...] | None
    dtype: str | None
    chunks: tuple[int, ...]
    held: int
    written: bool

    @property
    def ndim(self) -> int:
        """The number of its axes."""
        return len(self.shape or ())


@dataclass(frozen=True)
class Contents:
    """What is in a file, as far as it was asked for.

    Attributes
    ----------
    attributes : of the root group, those that were asked for and are there
    arrays : path -> array, each by all of its paths
    size : of the file, in bytes
    numbers : returns the numbers of arrays, given their paths
    """

    attributes: Mapping[str, str | int]
    arrays: Mapping[str, Array]
    size: int
    numbers: Callable[[list[str]], list[np.ndarray]]

    def read(self, wanted: Mapping[str, str]) -> dict[str, np.ndarray]:
        """Return the numbers of arrays.

        Parameters
        ----------
        wanted : what to call an array -> its path

        Raises
        ------
        UserError
            If there is no such array or it is none of floating-point numbers, if they declare more than a network has
            or the file can hold, or the file is damaged.
        """
        arrays = [_checked(name, self.arrays.get(path)) for name, path in wanted.items()]
        if sum(prod(array.shape or ()) for array in arrays) > MOST_NUMBERS:
            raise UserError(f"its layers have more than {MOST_NUMBERS} numbers together: give a smaller network.")
        if sum(array.held for array in arrays) > self.size:
            raise UserError("its layers declare more numbers than it holds: it is damaged, get it again.")
        with _told():
            return dict(zip(wanted, self.numbers(list(wanted.values()))))


def is_hdf5(path: Path) -> bool:
    """Return whether the file begins as an HDF5 file does."""
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


@contextmanager
def opened(path: Path, attributes: Iterable[str] = ()) -> Iterator[Contents]:
    """Open an HDF5 file and give what is in it.

    Parameters
    ----------
    path : the file
    attributes : names of attributes of the root group, texts or whole numbers; no others are read

    Raises
    ------
    UserError
        If it is damaged, takes too long, leads to other files, has too many names, or another program is writing it.
    """
    size, task = path.stat().st_size, {"path": str(path), "attributes": list(attributes)}
    if path.resolve().parent == _PACKAGE.resolve():
        with _told():
            file = h5py.File(path, "r")
        with file:
            with _told():
                described = hdf5_child.describe(file, task["attributes"])
            yield _contents(described, size, lambda paths, _: [hdf5_child.numbers(file[path]) for path in paths])
    else:
        with closing(_Child(ceil(_SECONDS + size / _BYTES_PER_SECOND))) as child:
            yield _contents(child.describe(task), size, child.numbers)


@contextmanager
def _told():
    """Raise a UserError for what h5py raises."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(hdf5_child.sentence(error)) from None


def _contents(described, size, numbers):
    arrays = {path: _array(**declared) for path, declared in described["arrays"].items()}
    return Contents(described["attributes"], arrays, size, lambda paths: numbers(paths, arrays))


def _array(shape, chunks, **others):
    return Array(None if shape is None else tuple(shape), chunks=tuple(chunks), **others)


def _checked(name, array):
    """`array`, if it may be a kernel or a bias."""
    if array is None or array.shape is None:
        raise UserError(f"it has no array {name}: get the file again.")
    if array.dtype not in FLOATS:  # another kind may be a text of gigabytes
        raise UserError(f"{name} holds something else than floating-point numbers: it is no file of weights.")
    for shape in (array.shape, array.chunks):  # a piece is always unpacked whole
        check_declared(name, shape)
    if not array.written:
        raise UserError(f"{name} was declared, but its numbers were never all written: get the file again.")
    return array


class _Child:
    """The process that `hdf5_child` describes; it ends when it is closed, or after `seconds`."""

    def __init__(self, seconds: int):
        self.seconds = seconds
        folders = [os.path.dirname(package.__path__[0]) for package in (h5py, np)]
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", _START, hdf5_child.__file__, *folders],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        self.requests = cast(BufferedWriter, self.process.stdin)
        self.answers = cast(BufferedReader, self.process.stdout)
        self.timer = Timer(seconds, self.process.kill)

    def close(self) -> None:
        """End it."""
        self.timer.cancel()
        self.process.kill()
        self.process.communicate()  # closes the pipes and waits

    def describe(self, task: dict[str, Any]) -> dict[str, Any]:
        """Return what the file holds."""
        if self.answers.readline(16) != b"ready\n":
            raise UserError(f"{sys.executable} cannot run h5py, which reads such files: install this program again.")
        self.timer.start()
        self._send({**task, "seconds": self.seconds, "memory": _MEMORY})
        line = self.answers.readline(_DESCRIPTION)
        if len(line) == _DESCRIPTION:
            raise UserError("it has more groups and names than any network: give a file that holds VGG alone.")
        described = json.loads(line) if line.endswith(b"\n") else self._fail()
        if "error" in described:
            raise UserError(shown(described["error"], most=400))
        return described

    def numbers(self, paths: list[str], arrays: Mapping[str, Array]) -> list[np.ndarray]:
        """Return the numbers of these arrays."""
        self._send(paths)
        return [self._next(arrays[path]) for path in paths]

    def _next(self, declared):
        array = np.empty(declared.shape, declared.dtype)
        if self.answers.readinto(array.reshape(-1).view("u1").data) < array.nbytes:
            self._fail()
        return array

    def _send(self, value):
        with suppress(OSError):  # if it has ended, the answer tells
            self.requests.write(json.dumps(value).encode() + b"\n")
            self.requests.flush()

    def _fail(self):
        if self.timer.finished.is_set():
            raise UserError(f"reading it did not end within {self.seconds} s: it is damaged, get it again.")
        raise UserError(hdf5_child.sentence(OSError("h5py could not read its contents")))
