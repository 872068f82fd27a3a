"""The links in a group of an HDF5 file.

An older group has a symbol table: a B-tree with lists of links as leaves, their names in a heap.  A newer one has its
links in its header or, if they are many, in a fractal heap, with a B-tree that tells where each of them lies.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from scratchnst.errors import UserError
from scratchnst.weights.formats.hdf5 import headers
from scratchnst.weights.formats.hdf5.source import UNDEFINED, Fields, Source, damaged

Links = dict[str, int | None]

_LONGEST_NAME = 1024
_SOFT = 2  # the mark of an entry that is a link by name
_ENTRY = struct.Struct("<2QI4x16x")  # name, address, mark
_LINK_RECORD = 11  # bytes: a hash and a place in the heap


def links(source: Source, messages: headers.Messages) -> Links:
    """Return name -> address, None for links to somewhere else, of the group with these messages."""
    found: Links = {}
    for message in messages.get(headers.SYMBOL_TABLE, ()):
        found.update(_symbol_table(source, *struct.unpack_from("<2Q", message)))
    for message in messages.get(headers.LINK, ()):
        found.update([_link(Fields(message))])
    for message in messages.get(headers.LINK_INFO, ()):
        heap, tree = struct.unpack_from("<2Q", message, 10 if message[1] & 1 else 2)
        if heap != UNDEFINED:
            found.update(_dense(source, heap, tree))
    return found


def _name(data):
    return bytes(data[:_LONGEST_NAME]).decode("utf-8", "replace")


# ---------------------------------------------------------------------------------------------- older groups


def _symbol_table(source, tree, heap):
    """Yield name and address of each link."""
    size, _, address = struct.unpack_from("<4x3Q", source.take(heap, 28, b"HEAP"))
    names = source.take(address, size)
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        head = source.take(node, 8)
        if head.startswith(b"TREE"):
            count = int.from_bytes(head[6:8], "little")
            entries = source.take(node + 24, 16 * count)
            nodes += [child for _, child in struct.iter_unpack("<2Q", entries)][::-1]
        elif head.startswith(b"SNOD"):
            entries = source.take(node + 8, _ENTRY.size * int.from_bytes(head[6:8], "little"))
            for offset, link, mark in _ENTRY.iter_unpack(entries):
                name, end, _ = names[offset : offset + _LONGEST_NAME].partition(b"\0")
                if not end:
                    raise damaged("the name of a link is missing")
                yield _name(name), None if mark == _SOFT else link
        else:
            raise damaged(f"there is no list of links at {node}")


# ---------------------------------------------------------------------------------------------- newer groups


def _link(fields):
    """Return name and address of the link that a message describes."""
    version, flags = fields.number(1), fields.number(1)
    if version != 1:
        raise damaged(f"the version {version} of a link is not known")
    kind = fields.number(1) if flags & 8 else 0
    fields.skip((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
    name = _name(fields.bytes(fields.number(1 << (flags & 3))))
    return name, fields.number(8) if kind == 0 else None


def _dense(source, heap, tree):
    """Yield name and address of each link in a heap."""
    opened = _heap(source, heap)
    for record in _records(source, tree):
        yield _link(Fields(opened.find(source, record[4:])))


def _records(source, address):
    """The records of a B-tree that is at most two levels deep: of a thousand links."""
    node_size, record_size, depth, _, root, count = struct.unpack_from("<2xIHHHQH", source.take(address, 34, b"BTHD"))
    if record_size != _LINK_RECORD or depth > 1:
        raise UserError("it has more groups than any network: give a file that holds VGG alone.")
    if root == UNDEFINED:
        return
    leaves = [(root, count)]
    if depth:
        most = (node_size - 10) // record_size  # in a leaf, which the field of a child's number of records must hold
        field = (most.bit_length() + 7) // 8
        data = Fields(source.take(root + 6, count * record_size + (count + 1) * (8 + field)))
        yield from _split(data.bytes(count * record_size))
        leaves = [(data.number(8), data.number(field)) for _ in range(count + 1)]
    for leaf, held in leaves:
        source.take(leaf, 2, b"BTLF")
        yield from _split(source.take(leaf + 6, held * record_size))


def _split(data):
    return [data[start : start + _LINK_RECORD] for start in range(0, len(data), _LINK_RECORD)]


@dataclass(frozen=True)
class _Heap:
    """A fractal heap: blocks that follow each other in a space of their own."""

    blocks: tuple[tuple[int, int, int], ...]  # first place in that space, size, address in the file
    offset_size: int
    length_size: int

    def find(self, source: Source, identity: bytes) -> bytes:
        """Return the object that a heap's identity names."""
        fields = Fields(identity)
        if fields.number(1) & 0xF0:
            raise damaged("a link is stored in an unknown way")
        offset, length = fields.number(self.offset_size), fields.number(self.length_size)
        for first, size, address in self.blocks:
            if first <= offset and offset + length <= first + size:
                return source.take(address + offset - first, length)
        raise damaged("a link lies beyond its heap")


def _heap(source, address):
    """Read the tables of a fractal heap."""
    fields = Fields(source.take(address, 140, b"FRHP"))
    fields.skip(3)
    filters, _, most = fields.number(2), fields.number(1), fields.number(4)
    fields.skip(96)
    width, starting, largest, bits = fields.number(2), fields.number(8), fields.number(8), fields.number(2)
    _, root, rows = fields.number(2), fields.number(8), fields.number(2)
    if filters or not width or not starting:
        raise UserError("its groups are stored in a way that is not read here: write it anew by h5py.")
    offset_size = (bits + 7) // 8
    blocks = tuple(_blocks(source, root, rows, (width, starting, largest, offset_size)))
    return _Heap(blocks, offset_size, (min(largest, most).bit_length() + 7) // 8)


def _blocks(source, root, rows, layout) -> Iterator[tuple[int, int, int]]:
    """Yield first place, size and address of each block that holds links; the table has one level."""
    width, starting, largest, offset_size = layout
    if not rows:
        yield 0, starting, root
        return
    table = Fields(source.take(root + 4 + 1 + 8 + offset_size, 8 * rows * width))
    place = 0
    for row in range(rows):
        size = starting << max(row - 1, 0)
        if size > largest:
            raise UserError("it has more groups than any network: give a file that holds VGG alone.")
        for _ in range(width):
            address = table.number(8)
            if address != UNDEFINED:
                yield place, size, address
            place += size
