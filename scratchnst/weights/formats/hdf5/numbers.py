"""The numbers of an array in an HDF5 file: in its header, in one piece, or in chunks that may be packed."""

from __future__ import annotations

import itertools
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scratchnst.errors import UserError
from scratchnst.weights.assembly import check_declared
from scratchnst.weights.formats.hdf5 import headers
from scratchnst.weights.formats.hdf5.source import UNDEFINED, Fields, Source, damaged

_COMPACT, _CONTIGUOUS, _CHUNKED, _VIRTUAL = range(4)
_DEFLATE, _SHUFFLE, _CHECKSUM = 1, 2, 3
_SINGLE, _IMPLICIT, _FIXED = 1, 2, 3  # how newer files list the chunks
_MOST_CHUNKS = 1 << 14
_OVERHEAD = 1 << 16  # bytes; what cannot be packed becomes a little longer


@dataclass(frozen=True)
class _Chunk:
    """A piece of an array: its first element, and where it lies in the file; `skipped` has a bit a filter."""

    start: tuple[int, ...]
    address: int
    size: int
    skipped: int


def read(source: Source, name: str, messages: headers.Messages, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return the numbers of an array as this machine orders bytes.

    Parameters
    ----------
    source : the file
    name : what to call the array
    messages : those of its header
    shape, dtype : what it declares; the shape has been checked

    Raises
    ------
    UserError
        If its numbers are in another file, were never written, have been read under another name, or are packed in a
        way that is not known here.
    """
    fields = Fields(messages[headers.LAYOUT][0])
    version, class_ = fields.number(1), fields.number(1)
    if class_ == _VIRTUAL or headers.EXTERNAL in messages:
        raise UserError(f"{name} keeps its numbers in another file: give a file that is complete.")
    if version not in (3, 4, 5) or class_ > _VIRTUAL:
        raise damaged(f"the layout of {name} is not known")
    if 0 in shape:
        return np.empty(shape, dtype.newbyteorder("="))
    if class_ == _CHUNKED:
        return _chunked(source, name, fields, version, messages.get(headers.FILTERS), shape, dtype)
    count = math.prod(shape) * dtype.itemsize
    if class_ == _COMPACT:
        data = fields.bytes(fields.number(2))[:count]
    else:
        address = fields.number(8)
        if address == UNDEFINED:
            raise UserError(f"{name} was declared, but its numbers were never written: get the file again.")
        source.spend(math.prod(shape), address)
        data = source.read(address, count)
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _chunked(source, name, fields, version, filters, shape, dtype):
    """An array in chunks, each of which is unpacked to its full size, also where it reaches beyond the array."""
    flags = fields.number(1) if version > 3 else 0
    axes = fields.number(1) - 1  # the last one is the size of a number
    if version == 3:
        address = fields.number(8)
        sides = tuple(fields.number(4) for _ in range(axes))
    else:
        size = fields.number(1)
        sides = tuple(fields.number(size) for _ in range(axes))
        fields.skip(size)
    if axes != len(shape) or min(sides, default=0) < 1:
        raise damaged(f"the chunks of {name} have other axes than the array")
    check_declared(name, sides)
    count = math.prod(-(-side // of_chunk) for side, of_chunk in zip(shape, sides))
    if count > _MOST_CHUNKS:
        raise UserError(f"{name} is in {count} pieces: write it anew in one.")
    starts = list(itertools.product(*(range(0, side, of_chunk) for side, of_chunk in zip(shape, sides))))
    full = math.prod(sides) * dtype.itemsize
    if version == 3:
        chunks = _tree(source, address, axes) if address != UNDEFINED else iter(())
    else:
        address, chunks = _listed(source, name, fields, flags, starts, full)
    source.spend(count * math.prod(sides), address)
    pipeline = _pipeline(name, filters[0]) if filters else []
    array, missing = np.empty(shape, dtype.newbyteorder("=")), set(starts)
    for chunk in chunks:
        if chunk.start not in missing:
            raise damaged(f"{name} has a piece twice or beyond its sides")
        missing.remove(chunk.start)
        data = _unpacked(source, name, chunk, pipeline, full, dtype.itemsize)
        within = tuple(slice(0, side - start) for start, side in zip(chunk.start, shape))
        place = tuple(slice(start, start + side) for start, side in zip(chunk.start, sides))
        array[place] = np.frombuffer(data, dtype).reshape(sides)[within]
    if missing:
        raise UserError(f"{name} was declared, but its numbers were never all written: get the file again.")
    return array


# ---------------------------------------------------------------------------------------------- where chunks are


def _tree(source, address, axes) -> Iterator[_Chunk]:
    """Yield the chunks that a B-tree lists: each key has the size, the skipped filters and the first element."""
    entry = struct.Struct(f"<2I{axes + 1}QQ")
    nodes = [address]
    while nodes:
        node = nodes.pop()
        kind, level, count = struct.unpack_from("<BBH", source.take(node, 4, b"TREE"))
        if kind != 1:
            raise damaged(f"there is no list of pieces at {node}")
        for size, skipped, *start, child in entry.iter_unpack(source.take(node + 24, count * entry.size)):
            if level:
                nodes.append(child)
            else:
                yield _Chunk(tuple(start[:-1]), child, size, skipped)


def _listed(source, name, fields, flags, starts, full):
    """Return the address, and the chunks, of one of the lists of newer files."""
    index = fields.number(1)
    if index == _SINGLE:
        size, skipped = (fields.number(8), fields.number(4)) if flags & 2 else (full, 0)
        address = fields.number(8)
        return address, [_Chunk(starts[0], address, size, skipped)] if address != UNDEFINED else []
    if index == _IMPLICIT:
        address = fields.number(8)
        return address, [_Chunk(start, address + number * full, full, 0) for number, start in enumerate(starts)]
    if index == _FIXED:
        fields.skip(1)
        address = fields.number(8)
        return address, list(_fixed(source, name, address, starts, full)) if address != UNDEFINED else []
    raise UserError(f"{name} is stored in a way that is not read here: write it anew in one piece.")


def _fixed(source, name, address, starts, full) -> Iterator[_Chunk]:
    """Yield the chunks in an array of their addresses and, where they are packed, their sizes."""
    _, packed, entry, page_bits, count, block = struct.unpack_from("<4B2Q", source.take(address, 20, b"FAHD"))
    if count < len(starts) or count > 1 << page_bits:
        raise UserError(f"{name} is in {count} pieces: write it anew in one.")
    data = Fields(source.take(block, 10 + count * entry, b"FADB")[10:])
    for start in starts:
        place = data.number(8)
        size, skipped = (data.number(entry - 12), data.number(4)) if packed else (full, 0)
        if place != UNDEFINED:
            yield _Chunk(start, place, size, skipped)


# ---------------------------------------------------------------------------------------------- filters


def _pipeline(name, message):
    """Return the filters that packed the chunks, in the order in which they did, with their settings."""
    fields = Fields(message)
    version, count = fields.number(1), fields.number(1)
    fields.skip(6 if version == 1 else 0)
    filters = []
    for _ in range(count):
        filter_ = fields.number(2)
        if filter_ not in (_DEFLATE, _SHUFFLE, _CHECKSUM):
            raise UserError(f"{name} is packed by another method than gzip: write it anew without.")
        length = fields.number(2) if version == 1 else 0
        fields.skip(2)
        settings = fields.number(2)
        fields.skip(length + 4 * (settings + (settings & 1 if version == 1 else 0)))
        filters.append(filter_)
    return filters


def _unpacked(source, name, chunk, pipeline, full, itemsize):
    """The `full` bytes of a chunk."""
    if chunk.size > full + _OVERHEAD:
        raise damaged(f"a piece of {name} is larger than it can be")
    data = source.read(chunk.address, chunk.size)
    for number, filter_ in reversed(list(enumerate(pipeline))):
        if chunk.skipped >> number & 1:
            continue
        if filter_ == _CHECKSUM:
            data = data[:-4]
        elif filter_ == _DEFLATE:
            data = zlib.decompressobj().decompress(data, full + 4)
        else:
            data = np.frombuffer(data, "u1").reshape(itemsize, -1).T.tobytes()
    if len(data) != full:
        raise damaged(f"a piece of {name} has not the size that it declares")
    return data
