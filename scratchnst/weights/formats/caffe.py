"""Reader of Caffe's .caffemodel: Oxford's VGG_ILSVRC_19_layers and Gatys's vgg_normalised.

A caffemodel is one message NetParameter in protocol buffers.  The fields read here, with the numbers that
BVLC's src/caffe/proto/caffe.proto gives them:

NetParameter      name 1, layers 2 (the old kind, in both files above), layer 100 (the newer kind)
V1LayerParameter  name 4, blobs 6
LayerParameter    name 1, blobs 7
BlobProto         num 1, channels 2, height 3, width 4, or shape 7; data 5, double_data 8
BlobShape         dim 1

A convolution has two blobs: the kernel (C_out, C_in, kh, kw) and the bias, (C_out,) or (1, 1, 1, C_out).  The
library protobuf parses the file; it is told these fields alone, and skips all others.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from scratchnst.errors import UserError
from scratchnst.models import vgg
from scratchnst.weights.assembly import FileWeights, check_declared
from scratchnst.weights.formats.untrusted import DAMAGED

NAME = "Caffe"

LARGEST_FILE = 2**30  # bytes, all of which are read at once; VGG19 with its classifier has 575 MB

# Bytes that a file may hold besides numbers.  A layer of two bytes takes sixty in memory, so a file of such layers
# would take thirty times its own size; the genuine ones have a few kilobytes of names and settings.
LARGEST_REMAINDER = 2**24

_Field = descriptor_pb2.FieldDescriptorProto
_ONE, _MANY = _Field.LABEL_OPTIONAL, _Field.LABEL_REPEATED
_TYPES = {
    "bytes": _Field.TYPE_BYTES,  # names as well, which need not be valid UTF-8
    "int64": _Field.TYPE_INT64,
    "float": _Field.TYPE_FLOAT,
    "double": _Field.TYPE_DOUBLE,
}

_NUMBERS = {"data": (5, _MANY, "float"), "double_data": (8, _MANY, "double")}

_CAFFE = {
    "BlobShape": {"dim": (1, _MANY, "int64")},
    "BlobProto": {
        "num": (1, _ONE, "int64"),
        "channels": (2, _ONE, "int64"),
        "height": (3, _ONE, "int64"),
        "width": (4, _ONE, "int64"),
        "shape": (7, _ONE, "BlobShape"),
        **_NUMBERS,
    },
    "V1LayerParameter": {"name": (4, _ONE, "bytes"), "blobs": (6, _MANY, "BlobProto")},
    "LayerParameter": {"name": (1, _ONE, "bytes"), "blobs": (7, _MANY, "BlobProto")},
    "NetParameter": {"layers": (2, _MANY, "V1LayerParameter"), "layer": (100, _MANY, "LayerParameter")},
}

# The same file read as one layer with one blob: protocol buffers merge a field that is repeated, so this counts the
# numbers of all layers.
_CENSUS = {
    "BlobProto": {"diff": (6, _MANY, "float"), **_NUMBERS},
    "V1LayerParameter": {"blobs": (6, _ONE, "BlobProto")},
    "LayerParameter": {"blobs": (7, _ONE, "BlobProto")},
    "NetParameter": {"layers": (2, _ONE, "V1LayerParameter"), "layer": (100, _ONE, "LayerParameter")},
}


def _message_class(package: str, messages: dict[str, dict[str, tuple[int, Any, str]]]) -> Any:
    """Return the class of the NetParameter among `messages`: field -> (number, label, type)."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto2")
    for message, fields in messages.items():
        description = file.message_type.add(name=message)
        for name, (number, label, type_) in fields.items():
            field = description.field.add(name=name, number=number, label=label)
            if type_ in messages:
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".{package}.{type_}"
            else:
                field.type = _TYPES[type_]
                field.options.packed = label == _MANY
    pool = (
        descriptor_pool.DescriptorPool()
    )  # not the default one, in which another library may have registered Caffe's names
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.NetParameter"))


NetParameter = _message_class("scratchnst_caffe", _CAFFE)
_Census = _message_class("scratchnst_census", _CENSUS)


def recognises(path: Path) -> bool:
    """Return whether the file at `path` begins like a NetParameter: with a printable name and a layer, or a layer.

    Protocol buffers have no magic number, so this is a guess, to be made after all other formats.
    """
    with path.open("rb") as file:
        head = file.read(256)
    if head[:1] == b"\x0a":  # field 1, the name, behind its length; Caffe writes it first
        length = head[1] if len(head) > 1 else 0
        name, head = head[2 : 2 + length], head[2 + length :]
        is_name = length < 128 and len(name) == length and all(32 <= byte < 127 for byte in name)
        return is_name and head.startswith((b"\x12", b"\x1a", b"\xa2\x06"))  # a layer of either kind, or an input
    return head.startswith((b"\x12", b"\xa2\x06")) and b"conv" in head


def read(path: Path) -> FileWeights:
    """Return the convolutions of VGG in the caffemodel at `path`.

    The genuine files name the layers conv1_1 ... conv5_4; all others are skipped.  Kernels are transposed from Caffe's
    (C_out, C_in, kh, kw) to (kh, kw, C_in, C_out).  A caffemodel does not hold the preprocessing; it is Oxford's, in
    Gatys's normalised network too.

    Raises
    ------
    UserError
        If the file is damaged, or holds no or doubtful convolutions.
    """
    arrays: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    net = _parse(path)
    for layer in (*net.layers, *net.layer):
        name = layer.name.decode("utf-8", "replace")
        if name not in vgg.kernel_shapes() or not layer.blobs:
            continue  # a layer without blobs has no parameters
        if name in arrays:
            raise UserError(f"it holds {name} twice: give one that tells which is right.")
        arrays[name] = _convolution(name, layer.blobs)
    if not arrays:
        raise UserError("it holds no layer named conv1_1 ... conv5_4 with weights: give one of VGG19.")
    return FileWeights(arrays, vgg.OXFORD_PREPROCESSING)


def _parse(path):
    """Return the file at `path` as a NetParameter; refuse one that would take much more memory than its size."""
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise UserError(f"it has {size} bytes, more than any caffemodel of VGG: get it again.")
    try:
        raw = path.read_bytes()
        if size > LARGEST_REMAINDER and size - _bytes_of_numbers(_Census.FromString(raw)) > LARGEST_REMAINDER:
            raise UserError("it holds more settings than weights, as no VGG does: get it again.")
        return NetParameter.FromString(raw)
    except (DecodeError, MemoryError, ValueError) as error:
        raise UserError(DAMAGED) from error


def _bytes_of_numbers(census):
    blobs = census.layers.blobs, census.layer.blobs
    return sum(4 * (len(blob.data) + len(blob.diff)) + 8 * len(blob.double_data) for blob in blobs)


def _convolution(name, blobs):
    """Return (kernel, bias) of one layer, the kernel as (kh, kw, C_in, C_out)."""
    if len(blobs) != 2:
        raise UserError(f"{name} should hold a kernel and a bias, but holds {len(blobs)} blobs: give a file of VGG19.")
    kernel = _array(f"the kernel of {name}", blobs[0])
    bias = _array(f"the bias of {name}", blobs[1])
    if kernel.ndim != 4 or math.prod(bias.shape[:-1]) != 1 or bias.ndim == 0:
        raise UserError(
            f"{name} has a kernel of shape {kernel.shape} and a bias of shape {bias.shape}, "
            "which are no convolution's: give a file of VGG19."
        )
    return np.ascontiguousarray(kernel.transpose(2, 3, 1, 0)), bias.reshape(-1)


def _array(what, blob):
    """Return a blob's numbers in the shape that it declares, if the two agree."""
    shape = _declared_shape(blob)
    check_declared(what, shape)
    numbers, dtype = (blob.data, np.float32) if blob.data else (blob.double_data, np.float64)
    if len(numbers) != math.prod(shape):
        raise UserError(
            f"{what} declares the shape {shape}, but the file holds {len(numbers)} numbers for it: get it again."
        )
    return np.array(numbers, dtype=dtype).reshape(shape)


def _declared_shape(blob):
    """The newer field, or the four older ones where it is absent."""
    if not blob.HasField("shape"):
        return blob.num, blob.channels, blob.height, blob.width
    return tuple(blob.shape.dim)
