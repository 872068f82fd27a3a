"""Reader of NumPy's .npz and .npy files, without unpickling them.

.npz    a zip archive of .npy files, one an array, each named after its array
.npy    a magic string, a version, the length of the header, the header, and the numbers or, of an array of objects,
        a pickle (numpy.lib.format)

A header is the source of a Python dict, {'descr': '<f4', 'fortran_order': False, 'shape': (64,), }.  All programs write
it in this form, so it is matched, not evaluated.  (NumPy's own reader unpacks a header of any length before it refuses
it.)

An .npz holds conv1_1.weight, conv1_1_W or features.0.weight and the like, an .npy a pickled dict: of these names, or,
as the widespread vgg19.npy, of conv1_1 -> [kernel, bias].  The dict is read by `unpickler`, which makes nothing but
arrays; their numbers are read when they are needed.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Callable, Mapping
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from scratchnst.errors import UserError
from scratchnst.models import vgg
from scratchnst.weights.assembly import FileWeights
from scratchnst.weights.formats.archives import LimitedFile, archive_names, open_entry
from scratchnst.weights.formats.torch_names import (
    OUTPUTS_FIRST,
    OUTPUTS_LAST,
    Declared,
    collect,
    has_plain_names,
    meaningful,
    unwrapped,
)
from scratchnst.weights.formats.unpickler import Global, Span, Unpickler, ordered_dict
from scratchnst.weights.formats.untrusted import damage_told, native_numbers, read_exactly

NAME = "NumPy archive"
LONGEST_HEADER = 10_000  # bytes, NumPy's own bound
NOT_FLOATS = "its weights are not floating-point numbers of 16, 32 or 64 bits: give another file."
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # numpy.savez and numpy.savez_compressed
_MAGIC = b"\x93NUMPY"
_LENGTH_SIZES = {b"\1\0": 2, b"\2\0": 4}  # by version, the bytes that hold the header's length
_SIDES = rb"(?:[0-9]+L?(?:, *|(?=\))))*"  # the L is Python 2's
_HEADER = re.compile(
    rb"\{'descr': *'([^']*)', *'fortran_order': *(True|False), *'shape': *\((" + _SIDES + rb")\),? *\}\s*"
)
_PARTS = {"W": "weight", "b": "bias"}


def recognises(path: Path) -> bool:
    """Return whether the file is an .npy file, or a zip archive of some."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) == _MAGIC:
            return True
    return any(name.endswith(".npy") for name in archive_names(path))


def read(path: Path) -> FileWeights:
    """Return the convolutions in the file.

    Kernels are (kh, kw, C_in, C_out) or PyTorch's (C_out, C_in, kh, kw); the first one, which has three input
    channels, tells for all.

    Raises
    ------
    UserError
        If the file is damaged, wants anything but arrays made, or does not hold VGG's convolutions as floating-point
        numbers, or the first kernel leaves open how kernels are laid out.
    """
    with LimitedFile(FileIO(path)) as file, damage_told():
        is_npy = file.read(len(_MAGIC)) == _MAGIC
        file.seek(0)
        if is_npy:
            return _collect(_unpickled(file), lambda array: _declared(file, array))
        with zipfile.ZipFile(file) as archive:
            entries = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
            return _collect(entries, lambda name: _declared_entry(archive, name))


def _collect(found, declare):
    """Return the convolutions among what was `found`, by name; `declare` makes each of them a Declared."""
    names = {_dotted(name): name for name in found}
    of_vgg = {name: names[dotted] for name, dotted in meaningful(names).items()}
    arrays = {name: declare(found[own]) for name, own in of_vgg.items()}
    as_gatys = has_plain_names(of_vgg) and of_vgg["conv1_1.weight"].endswith("conv1_1.weight")
    preprocessing = vgg.OXFORD_PREPROCESSING if as_gatys else None
    return collect(arrays, _axes(arrays), preprocessing)


def _dotted(name):
    """conv1_1_W -> conv1_1.weight"""
    match = re.fullmatch(r"(.*conv[0-9]_[0-9])_([Wb])", name)
    return f"{match[1]}.{_PARTS[match[2]]}" if match else name


def _axes(found):
    """Return how the kernels are laid out, by the first one: it has 3 x 3 pixels and 3 channels, and not 3 filters."""
    first = found.get("conv1_1.weight") or found.get("features.0.weight")
    match first and first.shape:
        case (3, 3, 3, filters) if filters != 3:
            return OUTPUTS_LAST
        case (filters, 3, 3, 3) if filters != 3:
            return OUTPUTS_FIRST
        case None:
            raise UserError("it holds no kernel of a first layer, conv1_1: give a file that begins with this layer.")
    raise UserError("the kernel of conv1_1 is not 3 x 3 x 3 and a number of filters: give a file of VGG's weights.")


def _declared_entry(archive, name):
    """The array that an .npy file in an archive declares."""
    with open_entry(archive, name, _COMPRESSIONS) as file:
        descr, is_fortran, shape = _header(file)

    def load():
        dtype = _float_type(descr)
        with open_entry(archive, name, _COMPRESSIONS) as file:
            _header(file)
            data = read_exactly(file, math.prod(shape) * dtype.itemsize)
        return _in_order(data, dtype, is_fortran, shape)

    return Declared(shape, load)


def _float_type(descr):
    """The dtype that is described, like <f4, if it is one of those read here."""
    if not re.fullmatch("[<>=|]f[248]", descr):
        raise UserError(NOT_FLOATS)
    return np.dtype(descr)


def _in_order(data, dtype, is_fortran, shape):
    """An array of these bytes."""
    return native_numbers(data, dtype).reshape(shape, order="F" if is_fortran else "C")


def _header(file):
    """Return the type of the numbers that follow in an .npy file, whether columns come first, and the shape."""
    head = read_exactly(file, 8)
    length_size = _LENGTH_SIZES.get(bytes(head[6:]))
    if not head.startswith(_MAGIC) or length_size is None:
        raise UserError("an array in it is of a newer format than is known here: save it anew as plain numbers.")
    length = int.from_bytes(read_exactly(file, length_size), "little")
    if length > LONGEST_HEADER:
        raise UserError(f"an array in it has a header longer than {LONGEST_HEADER} bytes: the file is damaged.")
    match = _HEADER.fullmatch(read_exactly(file, length))
    if not match:
        raise UserError("the header of an array in it is damaged: get it again.")
    descr, is_fortran, sides = (group.decode("latin-1") for group in match.groups())
    return descr, is_fortran == "True", tuple(map(int, re.findall("[0-9]+", sides)))


# ---------------------------------------------------------------------------------------------- pickled dicts


def _unpickled(file):
    """The pickled arrays of the dict in an .npy file, by the names of an .npz."""
    descr, _, shape = _header(file)
    if not descr.startswith("|O") or shape != ():
        raise UserError("it is a single array: give a file with the kernels and biases of all layers.")
    value = Unpickler(file, _VOCABULARY).load()
    match value:
        case _Array(data=[dict(layers)]):
            return dict(_named_arrays(unwrapped(layers)))
    raise UserError("it does not hold a dict of arrays: give a file with the kernels and biases of all layers.")


def _named_arrays(layers):
    for name, value in layers.items():
        match value:
            case [_Array() as kernel, _Array() as bias]:
                yield f"{name}_W", kernel
                yield f"{name}_b", bias
            case _Array():
                yield name, value


def _declared(file, array):
    return Declared(array.shape, lambda: _load(file, array))


def _load(file, array):
    """The numbers of a pickled array, which lie in the file or, if they are few, in the pickle."""
    dtype = _float_type(array.dtype.order + array.dtype.code)
    length = math.prod(array.shape) * dtype.itemsize
    return _in_order(_bytes(file, array.data, length), dtype, array.is_fortran, array.shape)


def _bytes(file, data, length):
    """The bytes that a pickle has for an array of this length."""
    match data:
        case Span(start=start, length=found) if found == length:
            file.seek(start)
            return read_exactly(file, length)
        case bytes(found) if len(found) == length:
            return found
        case str(text) if len(text) == length:
            return text.encode("latin-1")  # Python 2's str
    raise UserError("an array in it has a shape that does not fit its numbers: the file is damaged.")


class _Type:
    """numpy.dtype: made of a code such as "f4"; its state is the byte order."""

    def __init__(self, code: Any, *_flags: Any):
        self.code, self.order = code if isinstance(code, str) else "", "="

    def __setstate__(self, state: Any) -> None:
        """Take the byte order out of (version, order, ...)."""
        match state:
            case (int(), "<" | ">" | "=" | "|" as order, *_):
                self.order = order
            case _:
                raise UserError("the type of an array in it is damaged: get it again.")


class _Array:
    """numpy.ndarray: made empty; its state is everything else."""

    shape: tuple[int, ...] = ()
    dtype: _Type = _Type("O8")
    is_fortran = False
    data: Any = None

    def __setstate__(self, state: Any) -> None:
        """Take over (version, shape, type, whether columns come first, numbers)."""
        match state:
            case (int(), tuple(shape), _Type() as dtype, bool(is_fortran), data) if all(
                type(side) is int and side >= 0 for side in shape
            ):
                self.shape, self.dtype, self.is_fortran, self.data = shape, dtype, is_fortran, data
            case _:
                raise UserError("the description of an array in it is damaged: get it again.")


def _reconstruct(kind, _shape, _code):
    """NumPy's function that makes an empty array."""
    if not (isinstance(kind, Global) and kind.name == "numpy.ndarray"):
        raise UserError("it holds another kind of array than NumPy's own: save plain arrays.")
    return _Array()


_VOCABULARY: Mapping[str, Callable[..., Any] | None] = {
    "numpy.core.multiarray._reconstruct": _reconstruct,
    "numpy._core.multiarray._reconstruct": _reconstruct,
    "numpy.ndarray": None,
    "numpy.dtype": _Type,
    "collections.OrderedDict": ordered_dict,
}
