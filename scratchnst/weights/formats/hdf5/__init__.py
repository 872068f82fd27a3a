"""Read HDF5 files that anyone may have written, without the library HDF5.

The library searches without end in some damaged files, where no signal reaches it, allocates what a file declares and
follows links to other files.  This reader knows what h5py writes for networks ("HDF5 File Format Specification Version
3.0", The HDF Group): groups of all kinds, numbers in one piece or in chunks, packed or not.  It is bounded: of a file's
structure it reads `MOST_STRUCTURE` bytes at most, which ends every search in a circle, and of numbers as many as the
file has, once each.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np

from scratchnst.errors import UserError
from scratchnst.weights.assembly import check_declared
from scratchnst.weights.formats.hdf5 import groups, headers, numbers
from scratchnst.weights.formats.hdf5.source import Fields, Source, damaged
from scratchnst.weights.formats.untrusted import shown

SIGNATURE = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Node:
    """A group or an array in a file.

    Attributes
    ----------
    source : the bytes of the file
    address : where its header is
    name : its path in the file, without a slash in front
    """

    source: Source
    address: int
    name: str = ""

    @cached_property
    def messages(self) -> headers.Messages:
        """What its header says."""
        return headers.read(self.source, self.address)

    @property
    def is_array(self) -> bool:
        """Whether it is an array, else it is a group."""
        return bool(headers.DATASPACE in self.messages and headers.LAYOUT in self.messages)

    @cached_property
    def links(self) -> dict[str, int | None]:
        """Name -> address of everything in a group, None for what is a link to somewhere else."""
        return {} if self.is_array else groups.links(self.source, self.messages)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The sides of an array, None if it is declared to hold nothing."""
        return headers.shape(self.messages[headers.DATASPACE][0])

    @property
    def ndim(self) -> int:
        """The number of an array's axes."""
        return len(self.shape or ())

    def attribute(self, name: str) -> str | int | None:
        """Return an attribute that is a text or a whole number, or None if there is no such attribute.

        Raises
        ------
        UserError
            If it is something else.
        """
        return headers.attribute(self.source, self.messages, name)

    def child(self, name: str) -> Node | None:
        """Return what is called `name` in a group, or None.

        Raises
        ------
        UserError
            If it is a link to somewhere else.
        """
        path = f"{self.name}/{name}" if self.name else name
        if name not in self.links:
            return None
        address = self.links[name]
        if address is None:
            raise UserError(
                f"{shown(path)} is a link to somewhere else, which is not followed: give a file that is complete."
            )
        return Node(self.source, address, path)


def is_hdf5(path: Path) -> bool:
    """Return whether the file begins as an HDF5 file does."""
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


@contextmanager
def opened(file: str | os.PathLike | IO[bytes]) -> Iterator[Node]:
    """Open an HDF5 file, by its path or where it is open already, and give its root group.

    Raises
    ------
    UserError
        For whatever is wrong with the file, now or while its contents are read.
    """
    try:
        if isinstance(file, str | os.PathLike):
            with open(file, "rb") as opened_file:
                yield _root(Source(opened_file))
        else:
            yield _root(Source(file))
    except (struct.error, zlib.error, ValueError, LookupError, ArithmeticError) as error:
        raise damaged(shown(str(error), most=200)) from None


def _root(source):
    """The root group, once the superblock is that of a complete file."""
    fields = Fields(source.take(0, min(source.size, 96)))
    if fields.bytes(8) != SIGNATURE:
        raise damaged("it does not begin as one")
    version = fields.number(1)
    if version in (0, 1):
        fields.skip(4)
        sizes = fields.bytes(2)
        fields.skip(9 + 4 * version)
        base, _, end, _, _, root = (fields.number(8) for _ in range(6))
    elif version in (2, 3):
        sizes = fields.bytes(2)
        fields.skip(1)
        base, _, end, root = (fields.number(8) for _ in range(4))
    else:
        raise damaged(f"the version {version} of its superblock is not known")
    if sizes != b"\x08\x08" or base:
        raise damaged("its addresses are not counted in 8 bytes from its beginning")
    if end > source.size:
        raise damaged(f"it has {source.size} bytes of {end}")
    return Node(source, root)


def member(group: Node, name: str) -> Node | None:
    """Return what `name`, a path, is in `group`, None if there is nothing, or raise a UserError if it is elsewhere."""
    current: Node | None = group
    for part in name.split("/"):
        current = current.child(part) if current else None
    return current


def arrays(group: Node) -> dict[str, Node]:
    """Return path -> array of all in `group` and below it, each once; a file's own links in circles end there.

    Raises
    ------
    UserError
        If there is a link to somewhere else.
    """
    found, waiting, seen = {}, [group], {group.address}
    while waiting:
        node = waiting.pop()
        if node.is_array:
            found[node.name] = node
        children = {child.address: child for child in map(node.child, reversed(node.links)) if child}
        waiting += [child for address, child in children.items() if address not in seen]
        seen.update(children)
    return found


def read_array(name: str, node: Node | None) -> np.ndarray:
    """Return the numbers of what may be a kernel or a bias; `name` is what to call it.

    Raises
    ------
    UserError
        If it is no array of floating-point numbers, declares a size that no layer has, keeps its numbers in another
        file, or has been read before under another name.
    """
    if node is None or not node.is_array or node.shape is None:
        raise UserError(f"it has no array {name}: get the file again.")
    dtype = headers.datatype(node.messages[headers.DATATYPE][0])
    if dtype.kind != "f":
        raise UserError(f"{name} holds something else than floating-point numbers: it is no file of weights.")
    check_declared(name, node.shape)
    return numbers.read(node.source, name, node.messages, node.shape, dtype)
