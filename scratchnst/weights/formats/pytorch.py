"""Reader of what torch.save makes of a state dict, without PyTorch and without executing anything in the file.

Since PyTorch 1.6 a zip archive, its entries not compressed (torch/serialization.py)::

    archive/data.pkl     a pickle of the dict; each tensor is a call that names a storage, an offset, sizes and strides
    archive/data/0 ...   the storages, raw numbers
    archive/byteorder    b"little" or b"big", in newer files

before that, one after another::

    five pickles         a magic number, the protocol's version, the writer's system, the dict, the storages' names
    the storages         in the order of their names, each a count (int64) and raw numbers, little-endian

The pickle is run by `scratchnst.weights.formats.unpickler`, which makes tensors and nothing else.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scratchnst.errors import UserError
from scratchnst.models import vgg
from scratchnst.weights.assembly import LARGEST_KERNEL, FileWeights
from scratchnst.weights.formats.archives import LOCAL_FILE, LimitedFile, archive_names, open_entry
from scratchnst.weights.formats.torch_names import (
    OUTPUTS_FIRST,
    Declared,
    collect,
    has_plain_names,
    meaningful,
    unwrapped,
)
from scratchnst.weights.formats.unpickler import LARGEST_PICKLE, Global, Unpickler, ordered_dict
from scratchnst.weights.formats.untrusted import damage_told, native_numbers, read_exactly
from scratchnst.weights.published import checksum

NAME = "PyTorch"

# Weights by torchvision and by Oxford have the same names and shapes; only the file's SHA-256, which begins with these
# digits, distinguishes them.
PREPROCESSING_BY_SHA256 = {
    "dcbb9e9d": vgg.PREPROCESSINGS["torchvision"],  # vgg19
    "397923af": vgg.PREPROCESSINGS["torchvision"],  # vgg16
    "d01eb7cb": vgg.PREPROCESSINGS["oxford"],  # vgg19
    "00b39a1b": vgg.PREPROCESSINGS["oxford"],  # vgg16
}

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_MAGIC_INSTRUCTION = pickle.LONG1 + b"\x0a" + _MAGIC_NUMBER.to_bytes(10, "little")
_UNCOMPRESSED = (zipfile.ZIP_STORED,)
_DTYPES = {
    "torch.DoubleStorage": "f8", "torch.FloatStorage": "f4", "torch.HalfStorage": "f2", "torch.BFloat16Storage": "V2",
    "torch.LongStorage": "i8", "torch.IntStorage": "i4", "torch.ShortStorage": "i2", "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1", "torch.BoolStorage": "?",
}  # fmt: skip

# (a storage's key, the first byte, how many) -> these bytes
ReadBytes = Callable[[str, int, int], bytearray]


def recognises(path: Path) -> bool:
    """Return whether the file is of one of PyTorch's two formats."""
    with path.open("rb") as file:
        head = file.read(32)  # newer protocols of pickle put a frame around the magic number
        if head.startswith(pickle.PROTO) and _MAGIC_INSTRUCTION in head:
            return True
    return any(name.endswith("/data.pkl") for name in archive_names(path))


def read(path: Path) -> FileWeights:
    """Return the convolutions of the state dict in the file.

    Raises
    ------
    UserError
        If the file is damaged, wants anything but tensors made, or does not hold VGG's convolutions.
    """
    with state_dict(io.FileIO(path)) as arrays:
        found = {name: arrays[key] for name, key in meaningful(arrays).items()}
        return collect(found, OUTPUTS_FIRST, _preprocessing(path, found))


@contextmanager
def state_dict(raw: io.FileIO | io.BytesIO, kinds: str = "f") -> Iterator[dict[str, Declared]]:
    """Open a state dict, to be closed after its arrays are loaded.

    Parameters
    ----------
    raw : the file, opened unbuffered, or in memory
    kinds : NumPy's letters for the kinds of numbers that an array may hold

    Yields
    ------
    Name -> array.

    Raises
    ------
    UserError
        If the file is damaged or wants anything but tensors made, or an array that is loaded holds other numbers.
    """
    with LimitedFile(raw) as file, damage_told():
        is_zip = file.read(len(LOCAL_FILE)) == LOCAL_FILE
        file.seek(0)
        state, order, read_bytes = _open_zip(file) if is_zip else _open_legacy(file)
        if not isinstance(state, dict):
            raise UserError("it does not hold a state dict: save the network's state_dict() and give that.")
        tensors = {name: value for name, value in unwrapped(state).items() if isinstance(value, _Tensor)}
        yield {name: _declared(tensor, order, read_bytes, kinds) for name, tensor in tensors.items()}


def _preprocessing(path, names):
    """By Gatys's names, or by the beginning of the SHA-256; None if neither is known."""
    if has_plain_names(names):
        return vgg.OXFORD_PREPROCESSING
    return PREPROCESSING_BY_SHA256.get(checksum(path, "sha256")[:8])


# ---------------------------------------------------------------------------------------------- zip archives


def _open_zip(file):
    """Return the pickled object, the byte order and the ReadBytes of an archive."""
    archive = zipfile.ZipFile(file)
    pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise UserError("it is an archive, but not one that PyTorch wrote: give another file.")
    root = pickles[0].removesuffix("data.pkl")
    order = "<"
    if f"{root}byteorder" in archive.namelist():
        with open_entry(archive, f"{root}byteorder", _UNCOMPRESSED) as entry:
            order = ">" if entry.read(6) == b"big" else "<"

    def read_bytes(key, first, count):
        with open_entry(archive, f"{root}data/{key}", _UNCOMPRESSED) as entry:
            entry.seek(first)
            return read_exactly(entry, count)

    with open_entry(archive, pickles[0], _UNCOMPRESSED) as entry:
        # One byte more than allowed, so that the unpickler meets the limit, not an end.
        program = io.BytesIO(entry.read(LARGEST_PICKLE + 1))
    return Unpickler(program, _VOCABULARY, _storage).load(), order, read_bytes


# ---------------------------------------------------------------------------------------------- legacy files


def _open_legacy(file):
    """Return the pickled object, the byte order and the ReadBytes of the older format."""
    storages: dict[str, _Storage] = {}

    def remember(identity):
        storage = _storage(identity)
        return storages.setdefault(storage.key, storage)

    if Unpickler(file, {}).load() != _MAGIC_NUMBER:
        raise UserError("it is not a file that PyTorch wrote: give another file.")
    Unpickler(file, {}).load()  # the version of the protocol; there has only been one
    Unpickler(file, {}).load()  # the writer's byte order and sizes, which the storages do not depend on
    state = Unpickler(file, _VOCABULARY, remember).load()
    keys = Unpickler(file, {}).load()
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise UserError("its list of storages is damaged: get it again.")
    starts = _storage_starts(file, [storages[key] for key in keys])

    def read_bytes(key, first, count):
        file.seek(starts[key] + first)
        return read_exactly(file, count)

    return state, "<", read_bytes


def _storage_starts(file, storages):
    """Return key -> where the numbers of each storage begin; the file stands before the first one's count."""
    starts = {}
    for storage in storages:
        if int.from_bytes(read_exactly(file, 8), "little") != storage.size:
            raise UserError("its storages have not the sizes that their tensors expect: the file is damaged.")
        starts[storage.key] = file.tell()
        file.seek(storage.size * np.dtype(_DTYPES[storage.type]).itemsize, io.SEEK_CUR)
    return starts


# ---------------------------------------------------------------------------------------------- tensors


@dataclass(frozen=True)
class _Storage:
    key: str
    type: str
    size: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _storage(identity):
    """What a persistent identity stands for: ("storage", type, key, device, size), older files end it with None."""
    match identity:
        case ("storage", Global(name=str(name)), str(key), str(), int(size), *view):
            if name in _DTYPES and size >= 0 and view in ([], [None]):
                return _Storage(key, name, size)
    raise UserError("it refers to numbers in a way that is not understood: save the network's state_dict() anew.")


def _tensor(storage, offset, shape, strides, *_gradients):
    """_rebuild_tensor_v2, and its predecessor, which has no arguments about gradients."""
    match (storage, offset, shape, strides):
        case (_Storage(), int(), tuple(), tuple()):
            if len(shape) == len(strides) and all(type(n) is int and n >= 0 for n in (offset, *shape, *strides)):
                return _Tensor(storage, offset, shape, strides)
    raise UserError("the description of a tensor in it is not understood: the file is damaged.")


def _declared(tensor, order, read_bytes, kinds):
    return Declared(tensor.shape, lambda: _load(tensor, order, read_bytes, kinds))


def _load(tensor, order, read_bytes, kinds):
    """The numbers of a tensor, if nothing of it lies outside its storage."""
    dtype = np.dtype(order + _DTYPES[tensor.storage.type])
    if dtype.kind not in kinds:
        raise UserError(f"its weights are stored as {tensor.storage.type}: save them as 32-bit floating-point numbers.")
    steps = zip(tensor.shape, tensor.strides)
    span = 1 + sum((side - 1) * stride for side, stride in steps) if math.prod(tensor.shape) else 0
    if tensor.offset + span > tensor.storage.size or max(span, *tensor.strides) > LARGEST_KERNEL:
        raise UserError("a tensor in it reaches beyond its numbers: the file is damaged.")
    flat = native_numbers(read_bytes(tensor.storage.key, tensor.offset * dtype.itemsize, span * dtype.itemsize), dtype)
    byte_strides = [stride * dtype.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(flat, tensor.shape, byte_strides).copy()


def _size(sides=()):
    """torch.Size, in which old files give a shape."""
    return sides


def _parameter(data, *_gradients):
    return data


_VOCABULARY: dict[str, Callable[..., Any] | None] = {
    "collections.OrderedDict": ordered_dict,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": _size,
    **dict.fromkeys(_DTYPES),
}
