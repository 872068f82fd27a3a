"""Reader of MatConvNet's imagenet-vgg-verydeep-19.mat, a MATLAB file of version 5 (save -v6 or -v7).

The file holds the variable ``layers``, a cell array of structs or an array of structs, each with its fields in
any order: name, type and, in a convolution, weights, a cell {kernel, bias}; oldest files have filters and biases
instead.  Some files hold all of it in a variable ``net``.

Kernels are (kh, kw, C_in, C_out), biases a row or a column.  MatConvNet's importer (utils/import-caffe.py)
transposed Caffe's kernels and reversed the first one's channels, so the network takes RGB.  The documentation of
vl_nnconv has width before height, and tools that believe it transpose once more; but the numbers of the genuine
file that can be seen in print lie at the same kh and kw as Keras's.  The mean to subtract is
``normalization.averageImage``, from beta16 on ``meta.normalization.averageImage``.

scipy reads such files, but believes what they declare: it inflates without a limit, descends into nested cells
by recursion in C, makes arrays before it knows that their contents follow, and looks types up in a C array
without comparing them with its length.  So the declarations are walked first, in little memory, and only a file
that keeps within bounds is handed to scipy.
"""

from __future__ import annotations

import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import scipy.io

from scratchnst import vgg
from scratchnst.errors import UserError
from scratchnst.network import Preprocessing
from scratchnst.weights.formats.untrusted import DAMAGED
from scratchnst.weights.holding import Holding, check_declared

NAME = "MatConvNet"

VARIABLES = ("layers", "normalization", "meta", "net")

# Bounds of the walk.  The genuine file has 575 MB, read once and made into arrays once; some thousand arrays,
# most of them the names of classes; and is four cells and structs deep.
MOST_BYTES = 2**31
MOST_ARRAYS = 100_000
MOST_FIELDS = 1000
DEEPEST = 16
LONGEST_NAMES = 2**16

HEADER = 128
CHUNK = 2**18

# Types of data elements, and classes of arrays, as "MAT-File Format" (The MathWorks) numbers them.
INTEGER_32 = {5, 6}
NUMBER_SIZES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
NAME_TYPES = {1, 16}
TEXT_TYPES = {1, 2, 4, 16, 17, 18}
MATRIX, COMPRESSED = 14, 15
CELL, STRUCT, CHARACTERS, OPAQUE = 1, 2, 4, 17
NUMBER_CLASSES = {6: 8, 7: 4, 8: 1, 9: 1, 10: 2, 11: 2, 12: 4, 13: 4, 14: 8, 15: 8}  # class -> bytes of a number
COMPLEX = 0x800


def recognises(path: Path) -> bool:
    """Return whether the file at `path` begins like a MATLAB file of version 5 or 7.3.

    Version 7.3 is HDF5 behind MATLAB's header: ask this before the readers of HDF5, since `read` says what to do.
    """
    with path.open("rb") as file:
        head = file.read(HEADER)
    return head.startswith(b"MATLAB ") and b"MAT-file" in head[:116] and head[126:] in (b"IM", b"MI")


def read(path: Path) -> Holding:
    """Return the convolutions of VGG in the MATLAB file at `path`, and its mean colour.

    Raises
    ------
    UserError
        If the file is of version 7.3, damaged, exceeds the bounds above, or holds no or doubtful convolutions.
    """
    with path.open("rb") as file:
        order = _byte_order(file.read(HEADER))
        _walk(file, order)
        file.seek(0)
        contents = _load(file)
    net = _first_struct(contents.get("net")) if "layers" not in contents else None
    find = contents.get if net is None else lambda name: _field(net, name)
    arrays: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for layer in _structs(find("layers")):
        name = _text(_field(layer, "name"))
        if name not in vgg.kernel_shapes():
            continue
        if name in arrays:
            raise UserError(f"it holds {name} twice: give one that tells which is right.")
        arrays[name] = _convolution(name, layer)
    if not arrays:
        raise UserError("it holds no layer named conv1_1 ... conv5_4: give MatConvNet's VGG19.")
    return Holding(arrays, _preprocessing(find))


def _byte_order(head):
    """The sign of the byte order for struct, from the last four bytes of the header: the version and "MI"."""
    versions = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}
    if head[124:] in (b"\x00\x02IM", b"\x02\x00MI"):
        raise UserError("it is a MATLAB file of version 7.3: save it in MATLAB with -v7 and give that.")
    if not head.startswith(b"MATLAB ") or head[124:] not in versions:  # scipy takes zeros for another version
        raise UserError(DAMAGED)
    return versions[head[124:]]


def _load(file) -> dict[str, Any]:
    """Return what scipy finds in `file`, which has been walked."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # scipy warns of variables that it gives up on: damaged as well
            # mat_dtype: numbers that happen to be whole are stored as integers, and become floating-point again
            return scipy.io.loadmat(file, variable_names=VARIABLES, mat_dtype=True)
    except Exception as error:  # scipy answers damage with whatever its parsing stumbles over, IOError too
        raise UserError(DAMAGED) from error


# What the file holds ------------------------------------------------------------------------------------------


def _structs(value):
    """Return the structs in an array of structs, or in a cell array of them."""
    if not isinstance(value, np.ndarray):
        return []
    if value.dtype.names:
        return list(value.flat)
    if value.dtype != object:
        return []
    return [item for cell in value.flat if isinstance(cell, np.ndarray) and cell.dtype.names for item in cell.flat]


def _first_struct(value):
    return next(iter(_structs(value)), None)


def _field(record, name):
    return record[name] if record is not None and name in record.dtype.names else None


def _text(value):
    is_text = isinstance(value, np.ndarray) and value.dtype.kind == "U" and value.size == 1
    return str(value.flat[0]) if is_text else ""


def _convolution(name, layer):
    """Return (kernel, bias) of one layer."""
    weights = _field(layer, "weights")
    if isinstance(weights, np.ndarray) and weights.dtype == object and weights.size >= 2:
        kernel, bias = weights.flat[0], weights.flat[1]
    else:
        kernel, bias = _field(layer, "filters"), _field(layer, "biases")
    if not (_is_floating(kernel) and _is_floating(bias)):
        raise UserError(f"{name} should hold a kernel and a bias of floating-point numbers: give MatConvNet's VGG19.")
    check_declared(f"the kernel of {name}", kernel.shape)
    check_declared(f"the bias of {name}", bias.shape)
    if kernel.ndim != 4 or bias.size != max(bias.shape, default=0):
        raise UserError(
            f"{name} has a kernel of shape {kernel.shape} and a bias of shape {bias.shape}, "
            "which are no convolution's: give MatConvNet's VGG19."
        )
    return _native(kernel), _native(bias.reshape(-1))


def _native(array):
    """The same numbers in this machine's byte order, row by row."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def _is_floating(value):
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _preprocessing(find):
    """Return RGB less the average image's mean colour, Oxford's where there is no average image."""
    normalization = _first_struct(find("normalization"))
    if normalization is None:
        normalization = _first_struct(_field(_first_struct(find("meta")), "normalization"))
    image = _field(normalization, "averageImage")
    if image is None or image.size < 3:  # the importer wrote [0, 0] for none
        return vgg.OXFORD_RGB
    colours = image.reshape(-1, 3) if image.size == 3 or image.shape[2:] == (3,) else None
    if colours is None or not _is_floating(colours) or not np.isfinite(colours).all():
        raise UserError("its average image is none of RGB colours: get the file again.")
    mean = colours.mean(axis=0, dtype=np.float64)
    if np.allclose(mean, vgg.OXFORD_RGB.mean, rtol=0, atol=1e-3):  # of float32, or summed: the same colour is meant
        return vgg.OXFORD_RGB
    return Preprocessing("RGB", 1.0, tuple(mean.tolist()), (1.0, 1.0, 1.0))


# The walk -----------------------------------------------------------------------------------------------------


def _walk(file: BinaryIO, order: str) -> None:
    """Refuse a file whose variables exceed the bounds, looking at them in the order in which scipy will."""
    budget = {"bytes": MOST_BYTES, "arrays": MOST_ARRAYS}
    while tag := file.read(8):
        if len(tag) < 8:
            raise UserError(DAMAGED)
        type_, count = struct.unpack(f"{order}2I", tag)
        following = file.tell() + count
        chunks = _plain(file, count)
        if type_ == COMPRESSED:
            stream = _Stream(_inflated(chunks), order, budget)
            type_ = stream.words(2)[0]
        else:
            stream = _Stream(chunks, order, budget)
        if type_ != MATRIX or count == 0:
            raise UserError(DAMAGED)
        _walk_variable(stream)
        file.seek(following)


def _plain(file, count) -> Iterator[bytes]:
    """Yield the next `count` bytes of `file`, or as many as there are."""
    while count and (chunk := file.read(min(count, CHUNK))):
        count -= len(chunk)
        yield chunk


def _inflated(chunks) -> Iterator[bytes]:
    """Yield what `chunks` inflate to, never much at once."""
    inflater = zlib.decompressobj()
    try:
        for chunk in chunks:
            while chunk and not inflater.eof:
                yield inflater.decompress(chunk, CHUNK)
                chunk = inflater.unconsumed_tail
        while rest := inflater.decompress(b"", CHUNK):
            yield rest
    except zlib.error as error:
        raise UserError(DAMAGED) from error


class _Stream:
    """The bytes of one variable: taken, or skipped over, at the cost of the file's budget."""

    def __init__(self, chunks: Iterator[bytes], order: str, budget: dict[str, int]):
        self.chunks, self.order, self.budget = chunks, order, budget
        self.chunk = b""
        self.position = 0  # in the chunk

    def spend(self, what: str, count: int) -> None:
        self.budget[what] -= count
        if self.budget[what] < 0:
            raise UserError(f"it declares more {what} than VGG19 has: it is damaged, get it again.")

    def skip(self, count: int) -> None:
        for _ in self._pieces(count):
            pass

    def take(self, count: int) -> bytes:
        if count > LONGEST_NAMES:
            raise UserError(DAMAGED)
        return b"".join(self._pieces(count))

    def _pieces(self, count):
        self.spend("bytes", count)
        while count:
            if self.position == len(self.chunk):
                following = next(self.chunks, None)
                if following is None:
                    raise UserError(DAMAGED)
                self.chunk, self.position = following, 0
            piece = self.chunk[self.position : self.position + count]
            self.position += len(piece)
            count -= len(piece)
            yield piece

    def words(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f"{self.order}{count}I", self.take(4 * count))

    def element(self, types, skipped: bool = False) -> tuple[int, int, bytes]:
        """Return (type, size in bytes, contents) of the next element, whose type must be one of `types`."""
        type_, count = self.words(2)
        small = type_ >> 16  # the small format: type and size share one word, the contents are in the other
        if (type_ & 0xFFFF if small else type_) not in types or small > 4:
            raise UserError(DAMAGED)
        if small:
            return type_ & 0xFFFF, small, struct.pack(f"{self.order}I", count)[:small]
        contents = b""
        if skipped:
            self.skip(count)
        else:
            contents = self.take(count)
        self.skip(-count % 8)
        return type_, count, contents


def _walk_variable(stream):
    """Walk one variable behind its tag; of those that scipy passes over, only the head that it reads."""
    stream.spend("arrays", 1)
    class_, shape, name = _walk_head(stream)
    if name.decode("latin-1") in VARIABLES:
        _walk_contents(stream, class_, shape, depth=0)


def _walk_head(stream):
    """Return the class, shape and name of the array that begins here."""
    flags = stream.words(4)[2]  # behind their own tag
    class_, shape = flags & 0xFF, ()
    if flags & COMPLEX:
        class_ = 0  # refused where it is read: no weights are complex
    if flags & 0xFF != OPAQUE:
        _, count, contents = stream.element(INTEGER_32)
        if count > 4 * 32 or count % 4:
            raise UserError(DAMAGED)
        shape = struct.unpack(f"{stream.order}{count // 4}i", contents)
    return class_, shape, stream.element(NAME_TYPES)[2]


def _walk_contents(stream, class_, shape, depth):
    """Walk what follows the head of an array of `class_` and `shape`."""
    if depth > DEEPEST or any(side < 0 for side in shape):
        raise UserError(DAMAGED)
    size = math.prod(shape)
    if class_ in NUMBER_CLASSES:
        stream.spend("bytes", size * NUMBER_CLASSES[class_])
        type_, count, _ = stream.element(NUMBER_SIZES, skipped=True)
        if count != size * NUMBER_SIZES[type_]:
            raise UserError(DAMAGED)
    elif class_ == CHARACTERS:
        _, count, _ = stream.element(TEXT_TYPES, skipped=True)
        stream.spend("bytes", 16 * max(count, size))  # decoded, made an array, and that made strings
    elif class_ == CELL:
        _walk_parts(stream, size, depth)
    elif class_ == STRUCT:
        fields = _number_of_fields(stream)
        stream.spend("arrays", size + fields)  # there is a record even of no fields, and fields even of no record
        _walk_parts(stream, size * fields, depth)
    else:
        raise UserError("it holds objects, functions, or sparse or complex numbers: give MatConvNet's VGG19.")


def _number_of_fields(stream):
    """Return how many names follow, all of one length, which comes first."""
    _, count, contents = stream.element(INTEGER_32)
    length = struct.unpack(f"{stream.order}i", contents)[0] if count == 4 else 0
    names = stream.element(NAME_TYPES)[2]
    if length <= 0 or len(names) > MOST_FIELDS * length:
        raise UserError(DAMAGED)
    return len(names) // length


def _walk_parts(stream, count, depth):
    """Walk the `count` arrays in a cell array or an array of structs."""
    stream.spend("arrays", count)
    for _ in range(count):
        type_, length = stream.words(2)
        if type_ != MATRIX:
            raise UserError(DAMAGED)
        if length:  # an empty array may have a tag alone
            class_, shape, _ = _walk_head(stream)
            _walk_contents(stream, class_, shape, depth + 1)
