"""Read HDF5 files that anyone may have written: no links to other files, no array that is larger than a layer's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from scratchnst.errors import UserError
from scratchnst.weights.assembly import check_declared
from scratchnst.weights.formats.untrusted import shown

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: Path) -> bool:
    """Return whether the file begins as an HDF5 file does."""
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file; what h5py raises if it is damaged becomes a UserError."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, AttributeError) as error:
        reason = shown(str(error), most=200)
        raise UserError(f"it is not an HDF5 file, or a damaged one ({reason}): get it again.") from None


def member(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """Return what `name` is in `group`, None if there is nothing, or raise a UserError if it lies in another file."""
    current = group
    for part in name.split("/"):
        if not isinstance(current, h5py.Group) or current.get(part, getlink=True) is None:
            return None
        if not isinstance(current.get(part, getlink=True), h5py.HardLink):
            raise UserError(f"{name} is a link to somewhere else, which is not followed: give a file that is complete.")
        current = current[part]
    return current


def read_array(name: str, dataset: h5py.Dataset | h5py.Group | None) -> np.ndarray:
    """Return the numbers of a dataset that may be a kernel or a bias; `name` is what to call it.

    Raises
    ------
    UserError
        If it is no array of floating-point numbers, declares a size that no layer has, or keeps its numbers in another
        file.
    """
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise UserError(f"it has no array {name}: get the file again.")
    if dataset.dtype.kind != "f":  # another kind may be a text of gigabytes
        raise UserError(f"{name} holds something else than floating-point numbers: it is no file of weights.")
    for shape in (dataset.shape, dataset.chunks or ()):  # a chunk is always unpacked whole
        check_declared(name, shape)
    if dataset.is_virtual or dataset.external:
        raise UserError(f"{name} keeps its numbers in another file: give a file that is complete.")
    return dataset[()]
