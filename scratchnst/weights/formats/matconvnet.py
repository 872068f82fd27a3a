"""Reader of MatConvNet's imagenet-vgg-verydeep-19.mat, a MATLAB file of version 5 (save -v6 or -v7).

The file holds the variable ``layers``, a cell array of structs or an array of structs, each with its fields in
any order: name, type and, in a convolution, weights, a cell {kernel, bias}; oldest files have filters and biases
instead.  Some files hold all of it in a variable ``net``.

Kernels are (kh, kw, C_in, C_out), biases a row or a column.  MatConvNet's importer (utils/import-caffe.py)
transposed Caffe's kernels and reversed the first one's channels, so the network takes RGB.  The documentation of
vl_nnconv has width before height, and some tools therefore transpose once more; but published numbers of the genuine
file lie at the same kh and kw as Keras's.  The mean to subtract is ``normalization.averageImage``, from beta16 on
``meta.normalization.averageImage``.

The format ("MAT-File Format", The MathWorks): behind a header follow elements, each with its type, its size in bytes
and its contents.  An element may be an array, again of elements: flags, which tell its class, its sides, its name, and
what is in it, numbers or, in a cell array or an array of structs, arrays.  A variable may be compressed as a whole.

`scipy.io.loadmat` is not used, since it does not check what a file declares: it inflates without a limit, reads nested
cells by recursion in C, allocates arrays before it knows that their contents follow, and looks types up in a C array
without comparing them with its length.  It would also keep the classifier, six sevenths of the file.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from scratchnst.errors import UserError
from scratchnst.models import vgg
from scratchnst.models.network import Preprocessing
from scratchnst.weights.assembly import LARGEST_KERNEL, FileWeights, check_declared
from scratchnst.weights.formats.untrusted import DAMAGED, damage_told, read_exactly

NAME = "MatConvNet"

VARIABLES = ("layers", "normalization", "meta", "net")

# The genuine file has 575 MB, 20 million numbers in convolutions, some thousand arrays, most of them names of classes,
# and cells and structs nested four deep.
MOST_BYTES = 2**31
MOST_NUMBERS = 2**25
MOST_ARRAYS = 100_000
MOST_FIELDS = 1000
DEEPEST = 16
LONGEST_NAMES = 2**16  # bytes, of all fields of a struct together
LONGEST_TEXT = 64  # bytes; no name of a layer is longer

HEADER = 128
CHUNK = 2**18

# Types of elements and classes of arrays, by the numbers that the format gives them.
MATRIX, COMPRESSED = 14, 15
INTEGERS = {5, 6}
NAMES = {1, 16}
TEXTS = {1, 2, 4, 16, 17, 18}
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
CELL, STRUCT, CHARACTERS, OPAQUE = 1, 2, 4, 17
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
COMPLEX = 0x800


def recognises(path: Path) -> bool:
    """Return whether the file at `path` begins like a MATLAB file of version 5 or 7.3.

    Version 7.3 is HDF5 behind MATLAB's header: ask this before the readers of HDF5, since `read` says what to do.
    """
    with path.open("rb") as file:
        head = file.read(HEADER)
    return head.startswith(b"MATLAB ") and b"MAT-file" in head[:116] and head[126:] in (b"IM", b"MI")


def read(path: Path) -> FileWeights:
    """Return the convolutions of VGG in the MATLAB file at `path`, and its mean colour.

    Raises
    ------
    UserError
        If the file is of version 7.3, damaged, exceeds the bounds above, or holds no or doubtful convolutions.
    """
    with path.open("rb") as file, damage_told():
        variables = _variables(file)
    net = variables if "layers" in variables else _first_struct(variables.get("net"))
    arrays: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for layer in _structs(net.get("layers")):
        name = layer.get("name")
        if not isinstance(name, str) or name not in vgg.kernel_shapes():
            continue
        if name in arrays:
            raise UserError(f"it holds {name} twice: give one that tells which is right.")
        arrays[name] = _convolution(name, layer)
    if not arrays:
        raise UserError("it holds no layer named conv1_1 ... conv5_4: give MatConvNet's VGG19.")
    return FileWeights(arrays, _preprocessing(net))


# ---------------------------------------------------------------------------------------------- variables


def _structs(value) -> Iterator[dict[str, Any]]:
    """Yield the structs in an array of structs, or in a cell array of them."""
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _structs(item)


def _first_struct(value):
    return next(_structs(value), {})


def _convolution(name, layer):
    """Return (kernel, bias) of one layer."""
    match layer:
        case {"weights": [np.ndarray() as kernel, np.ndarray() as bias, *_]}:
            pass
        case {"filters": np.ndarray() as kernel, "biases": np.ndarray() as bias}:
            pass
        case _:
            raise UserError(f"{name} should hold a kernel and a bias: give MatConvNet's VGG19.")
    check_declared(f"the kernel of {name}", kernel.shape)
    check_declared(f"the bias of {name}", bias.shape)
    if kernel.ndim != 4 or bias.size != max(bias.shape, default=0):
        raise UserError(
            f"{name} has a kernel of shape {kernel.shape} and a bias of shape {bias.shape}, "
            "which are no convolution's: give MatConvNet's VGG19."
        )
    return np.ascontiguousarray(kernel), bias.reshape(-1)


def _preprocessing(net):
    """Return RGB less the average image's mean colour, Oxford's where there is no average image."""
    normalization = _first_struct(net.get("normalization"))
    normalization = normalization or _first_struct(_first_struct(net.get("meta")).get("normalization"))
    image = normalization.get("averageImage")
    if not isinstance(image, np.ndarray) or image.size < 3:  # the importer wrote [0, 0] for none
        return vgg.OXFORD_RGB
    check_declared("the average image", image.shape)
    if not (image.size == 3 or image.shape[2:] == (3,)) or not np.isfinite(image).all():
        raise UserError("its average image is none of RGB colours: get the file again.")
    mean = image.reshape(-1, 3).mean(axis=0, dtype=np.float64)
    if np.allclose(mean, vgg.OXFORD_RGB.mean, rtol=0, atol=1e-3):  # the same colour, rounded
        return vgg.OXFORD_RGB
    return Preprocessing("RGB", 1.0, tuple(mean.tolist()), (1.0, 1.0, 1.0))


# ---------------------------------------------------------------------------------------------- the format


def _variables(file: BinaryIO) -> dict[str, Any]:
    """Return the VARIABLES: arrays, texts, cells as lists, and arrays of structs as lists of dicts."""
    order = _byte_order(file.read(HEADER))
    budget = {"bytes": MOST_BYTES, "numbers": MOST_NUMBERS, "arrays": MOST_ARRAYS}
    variables = {}
    while tag := file.read(8):
        type_, count = struct.unpack(f"{order}2I", tag)
        following = file.tell() + count
        elements = _Elements(file, order, budget)
        if type_ == COMPRESSED:
            elements = _Elements(io.BufferedReader(_Inflated(file, count), CHUNK), order, budget)
            type_, _ = elements.words(2)
        if type_ != MATRIX:
            raise UserError(DAMAGED)
        elements.spend("arrays", 1)
        class_, shape, name = _head(elements)
        if name in variables:
            raise UserError(DAMAGED)
        if name in VARIABLES:
            variables[name] = _value(elements, class_, shape, depth=0)
            if elements.file is not file:
                elements.finish()
        file.seek(following)
    return variables


def _byte_order(head):
    """Return struct's sign for the byte order, from the last four bytes of the header: the version and "MI"."""
    versions = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}
    if head[124:] in (b"\x00\x02IM", b"\x02\x00MI"):
        raise UserError("it is a MATLAB file of version 7.3: save it in MATLAB with -v7 and give that.")
    if not head.startswith(b"MATLAB ") or head[124:] not in versions:
        raise UserError(DAMAGED)
    return versions[head[124:]]


class _Inflated(io.RawIOBase):
    """What the next `count` bytes of a file inflate to; no more is inflated than is read."""

    def __init__(self, file: BinaryIO, count: int):
        self.file, self.left = file, count
        self.packed = b""
        self.inflater = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while not (data := self.inflater.decompress(self.packed, len(buffer))) and not self.inflater.eof:
            self.packed = self.file.read(min(self.left, CHUNK))
            self.left -= len(self.packed)
            if not self.packed:
                raise UserError(DAMAGED)
        self.packed = self.inflater.unconsumed_tail
        buffer[: len(data)] = data
        return len(data)


class _Elements:
    """Reads or skips the elements of one variable; what is read counts against the file's budget."""

    def __init__(self, file: Any, order: str, budget: dict[str, int]):
        self.file, self.order, self.budget = file, order, budget

    def spend(self, what: str, count: int) -> None:
        self.budget[what] -= count
        if self.budget[what] < 0:
            raise UserError(f"it declares more {what} than VGG19 has: it is damaged, get it again.")

    def take(self, count: int) -> bytearray:
        self.spend("bytes", count)
        return read_exactly(self.file, count)

    def skip(self, count: int) -> None:
        for start in range(0, count, CHUNK):
            self.take(min(CHUNK, count - start))

    def finish(self) -> None:
        """Read what is left, so that a wrong checksum is found."""
        while piece := self.file.read(CHUNK):
            self.spend("bytes", len(piece))

    def words(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f"{self.order}{count}I", self.take(4 * count))

    def next(self, types, longest: int) -> tuple[int, int, bytes | None]:
        """Return type, size in bytes, and contents of the next element; None for contents longer than `longest`.

        Its type must be one of `types`.
        """
        type_, count = self.words(2)
        small = type_ >> 16  # the small format: type and size are in one word, the contents in the other
        if (type_ & 0xFFFF if small else type_) not in types or small > 4:
            raise UserError(DAMAGED)
        if small:
            return type_ & 0xFFFF, small, struct.pack(f"{self.order}I", count)[:small]
        contents = bytes(self.take(count)) if count <= longest else None
        if contents is None:
            self.skip(count)
        self.skip(-count % 8)
        return type_, count, contents

    def next_contents(self, types, longest: int) -> bytes:
        """Return the contents of the next element, which must not be longer."""
        _, _, contents = self.next(types, longest)
        if contents is None:
            raise UserError(DAMAGED)
        return contents

    def next_words(self) -> tuple[int, ...]:
        """Return the integers in the next element."""
        return tuple(np.frombuffer(self.next_contents(INTEGERS, 4 * 32), f"{self.order}u4").tolist())

    def next_name(self) -> bytes:
        """Return the name, or the names, in the next element."""
        return self.next_contents(NAMES, LONGEST_NAMES)


def _head(elements):
    """Return the class, shape and name of the array that begins here."""
    flags = elements.words(4)[2]  # behind their own tag
    class_ = flags & 0xFF
    shape = () if class_ == OPAQUE else elements.next_words()
    return None if flags & COMPLEX else class_, shape, elements.next_name().decode("latin-1")


def _value(elements, class_, shape, depth):
    """Return what is in an array of `class_` and `shape`, behind its head."""
    if depth > DEEPEST:
        raise UserError(DAMAGED)
    if class_ in CLASSES:
        return _numbers(elements, shape, CLASSES[class_])
    if class_ == CHARACTERS:
        return _text(elements, shape)
    if class_ == CELL:
        return _parts(elements, math.prod(shape), depth)
    if class_ == STRUCT:
        return _records(elements, math.prod(shape), depth)
    raise UserError("it holds objects, functions, or sparse or complex numbers: give MatConvNet's VGG19.")


def _numbers(elements, shape, class_):
    """Return an array, or zeros that take no memory where it is larger than any kernel.

    MATLAB stores floating-point numbers that are whole as integers.
    """
    size = math.prod(shape)
    is_wanted = size <= LARGEST_KERNEL
    type_, count, contents = elements.next(NUMBERS, longest=8 * size if is_wanted else 0)
    stored = np.dtype(elements.order + NUMBERS[type_])
    if count != size * stored.itemsize:
        raise UserError(DAMAGED)
    if not is_wanted:
        return np.broadcast_to(np.zeros((), class_), shape)
    elements.spend("numbers", size)
    with np.errstate(all="ignore"):  # their class may not hold the stored numbers
        return np.frombuffer(contents, stored).astype(class_).reshape(shape, order="F")


def _text(elements, shape):
    """Return a row of characters, None if it is long; names are ASCII, which wider encodings pad with zeros."""
    _, _, contents = elements.next(TEXTS, LONGEST_TEXT)
    is_row = contents is not None and shape[:1] == (1,)
    return contents.replace(b"\0", b"").decode("latin-1") if is_row else None


def _records(elements, count, depth):
    """Return an array of structs: the length of the fields' names, the padded names, and field after field."""
    (length,) = elements.next_words()
    names = elements.next_name()
    if length == 0 or len(names) > MOST_FIELDS * length:
        raise UserError(DAMAGED)
    names = [names[start : start + length] for start in range(0, len(names), length)]
    fields = [name.partition(b"\0")[0].decode("latin-1") for name in names]
    elements.spend("arrays", count)  # a record takes memory even without fields
    return [dict(zip(fields, _parts(elements, len(fields), depth))) for _ in range(count)]


def _parts(elements, count, depth):
    """Return the next `count` arrays, those in a cell array or a struct."""
    elements.spend("arrays", count)
    return [_part(elements, depth + 1) for _ in range(count)]


def _part(elements, depth):
    type_, length = elements.words(2)
    if type_ != MATRIX:
        raise UserError(DAMAGED)
    if not length:  # an empty array may have a tag alone
        return None
    class_, shape, _ = _head(elements)
    return _value(elements, class_, shape, depth)
