"""What HDF5 says of an object: the messages in its header, and what those of an array and of an attribute mean."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np

from scratchnst.errors import UserError
from scratchnst.weights.formats.hdf5.source import Fields, Source, damaged

Messages = Mapping[int, list[bytes]]  # type -> contents of the messages of this type

DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL, LAYOUT, FILTERS, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE = (
    1, 2, 3, 6, 7, 8, 11, 12, 16, 17,
)  # fmt: skip

_SHARED = 2  # a message's flag: its contents are elsewhere
_TEXT = np.dtype(object)  # of any length, in a heap
_OTHER = np.dtype("V1")
_INTEGER, _FLOAT, _STRING, _VARIABLE = 0, 1, 3, 9
# Size -> first bit and number of bits, exponent's place and size, mantissa's place and size, bias.
_IEEE = {2: (0, 16, 10, 5, 0, 10, 15), 4: (0, 32, 23, 8, 0, 23, 127), 8: (0, 64, 52, 11, 0, 52, 1023)}


def read(source: Source, address: int) -> Messages:
    """Return the messages in the header at `address`."""
    head = Fields(source.take(address, 16))
    if head.data.startswith(b"OHDR"):
        head.skip(5)
        flags = head.number(1)
        head = Fields(source.take(address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0), 8))
        size = head.number(1 << (flags & 3))
        start = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0) + head.place
        return _messages(source, start, size, newer=True, ordered=bool(flags & 4))
    if head.number(1) != 1:
        raise damaged(f"there is no header at {address}")
    head.skip(7)
    return _messages(source, address + 16, head.number(4), newer=False, ordered=False)


def _messages(source, start, size, newer, ordered):
    """The messages in a block of the header, and in those that it names as its continuation."""
    found: dict[int, list[bytes]] = {}
    blocks = [(start, size)]
    for place, length in blocks:  # which grow meanwhile
        fields = Fields(source.take(place, length))
        while fields.left >= (4 + 2 * ordered if newer else 8):
            type_, count, flags = fields.number(1 if newer else 2), fields.number(2), fields.number(1)
            fields.skip(2 * ordered if newer else 3)
            contents = fields.bytes(count)
            if type_ == CONTINUATION:
                following, length = struct.unpack_from("<2Q", contents)
                # The newer block has a signature before its messages and a checksum behind them.
                blocks.append((following + 4, max(length - 8, 0)) if newer else (following, length))
            elif type_ in (DATASPACE, DATATYPE) and flags & _SHARED:
                raise UserError("its arrays share the description of their type: write it anew without named types.")
            else:
                found.setdefault(type_, []).append(contents)
    return found


def shape(message: bytes) -> tuple[int, ...] | None:
    """Return the sides that a dataspace declares, None for no number at all."""
    version, rank, _, kind = message[:4]
    if version not in (1, 2):
        raise damaged(f"the version {version} of a shape is not known")
    if version == 2 and kind == 2:
        return None
    return struct.unpack_from(f"<{rank}Q", message, 8 if version == 1 else 4)


def datatype(message: bytes) -> np.dtype:
    """Return the dtype that is declared: of integers, floating-point numbers or texts, else one of kind V."""
    class_, flags, size = message[0] & 15, message[1], int.from_bytes(message[4:8], "little")
    order = ">" if flags & 1 else "<"
    if class_ == _INTEGER and size in (1, 2, 4, 8):
        return np.dtype(f"{order}{'i' if flags & 8 else 'u'}{size}")
    if class_ == _FLOAT and not flags & 0x40 and struct.unpack_from("<2H4BI", message, 8) == _IEEE.get(size):
        return np.dtype(f"{order}f{size}")
    if class_ == _STRING:
        return np.dtype(f"S{size}") if size < 1 << 31 else _OTHER
    return _TEXT if class_ == _VARIABLE and flags & 15 == 1 else _OTHER


def attribute(source: Source, messages: Messages, name: str) -> str | int | None:
    """Return the text or the whole number that an attribute holds, or None if there is none of this name."""
    for message in messages.get(ATTRIBUTE, ()):
        found, dtype, sides, contents = _attribute(message)
        if found != name.encode():
            continue
        if sides == () and dtype.kind in "iu":
            return int(np.frombuffer(contents, dtype, 1)[0])
        if sides == () and dtype.kind == "S":
            return contents[: dtype.itemsize].rstrip(b"\0").decode()
        if sides == () and dtype == _TEXT:
            return _from_heap(source, contents).decode()
        raise UserError(f"its attribute {name} is neither a text nor a whole number: get it again.")
    return None


def _attribute(message):
    """Return the name, dtype, shape and contents of an attribute; the oldest version pads each to 8 bytes."""
    fields = Fields(message)
    version, flags, *lengths = fields.number(1), fields.number(1), *(fields.number(2) for _ in range(3))
    if version not in (1, 2, 3) or (version > 1 and flags):
        raise damaged("an attribute is described in an unknown way")
    fields.skip(1 if version == 3 else 0)
    parts = []
    for length in lengths:
        parts.append(fields.bytes(length))
        fields.skip(min(-length % 8, fields.left) if version == 1 else 0)
    name, type_, space = parts
    return name.rstrip(b"\0"), datatype(type_), shape(space), fields.bytes(fields.left)


def _from_heap(source, contents):
    """The bytes of a text of any length: its length, the address of a heap, and its number there."""
    length, address, wanted = struct.unpack_from("<IQI", contents)
    size = int.from_bytes(source.take(address, 16, b"GCOL")[4:12], "little")
    fields = Fields(source.take(address + 16, max(size - 16, 0)))
    while fields.left >= 16:
        number, _, _, count = fields.number(2), fields.number(2), fields.number(4), fields.number(8)
        if number == wanted and length <= count:
            return fields.bytes(length)
        if not number:
            break  # what follows is free
        fields.skip(count + -count % 8)
    raise damaged("a text is not where it should be")
