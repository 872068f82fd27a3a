"""What reads an HDF5 file by h5py; `hdf5` runs it in a process of its own.

The library HDF5 searches without end in some damaged files, where Python's signals do not reach it, and allocates what
a file declares.  The process says "ready", reads a task, a line of JSON, and answers with a line: what `describe`
returns, or the sentence with which the file is refused as "error".  For each further line, a list of paths, it writes
the numbers of these arrays.  Nothing of the package is imported here, so it starts soon, with any search path.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from math import prod
from typing import Any

import h5py
import numpy as np

MOST_LINKS = 1 << 14
DEEPEST = 32  # groups within groups

COMPLETE = "give a file that is complete."


class Refused(Exception):
    """A file that is not read further; the message is for the user."""


def describe(file: h5py.File, attributes: Iterable[str]) -> dict[str, Any]:
    """Return the "attributes" of these names, texts and whole numbers, and all "arrays", path -> what is declared.

    Raises
    ------
    Refused
        If there are too many groups and names, or something leads to another file, or an attribute is of another kind.
    Exception
        Whatever h5py raises, for damaged files; `sentence` turns it into what the user is told.
    """
    arrays, links = {}, 0
    waiting: list[tuple[str, h5py.Group, frozenset[h5py.Group]]] = [
        ("", file, frozenset([file]))
    ]  # with the groups above
    while waiting:
        path, group, above = waiting.pop()
        links += len(group)
        if links > MOST_LINKS or len(above) > DEEPEST:
            raise Refused("it has more groups and names than any network: give a file that holds VGG alone.")
        for name in group:
            place = f"{path}{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise Refused(f"{_shown(place)} is a link to somewhere else, which is not followed: {COMPLETE}")
            item = group[name]
            if isinstance(item, h5py.Dataset):
                if item.is_virtual or item.external:  # of a virtual one even the shape may be looked up there
                    raise Refused(f"{_shown(place)} keeps its numbers in another file: {COMPLETE}")
                arrays[place] = _declared(item)
            elif isinstance(item, h5py.Group) and item not in above:  # links in a circle end here
                waiting.append((f"{place}/", item, above | {item}))
    return {"attributes": {name: _value(file, name) for name in attributes if name in file.attrs}, "arrays": arrays}


def numbers(dataset: h5py.Dataset) -> np.ndarray:
    """Return an array as this machine orders bytes."""
    return np.asarray(dataset[()], dataset.dtype.newbyteorder("="))


def sentence(error: Exception) -> str:
    """Return what the user is told of an error."""
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, MemoryError):
        return "reading it takes more memory than any network: it is damaged, get it again."
    if isinstance(error, BlockingIOError) or "already open" in str(error):
        return "another program has it open, or has not closed it properly: close it there first."
    return f"it is not an HDF5 file, or a damaged one ({_shown(str(error))}): get it again."


def _declared(dataset):
    """The fields of `hdf5.Array`."""
    stored, shape, chunks = dataset.id, dataset.shape, dataset.chunks or ()
    kind = stored.get_type()
    held = stored.get_num_chunks() * prod(chunks) * kind.get_size() if chunks else stored.get_storage_size()
    return {
        "shape": shape,
        "dtype": dataset.dtype.name if kind.get_class() == h5py.h5t.FLOAT else None,
        "chunks": chunks,
        "held": 0 if stored.get_create_plist().get_nfilters() else held,
        "written": held >= prod(shape or ()) * kind.get_size(),
    }


def _value(file, name):
    value = file.attrs[name]
    value = value.item() if isinstance(value, np.generic) else value
    value = value.decode() if isinstance(value, bytes) else value
    if not isinstance(value, str | int):
        raise Refused(f"its attribute {name} is neither a text nor a whole number: get it again.")
    return value


def _shown(text):
    return ascii(text)[1:-1][:150]


def _limit(**limits):
    """Limit what this process may take, where the system can do so."""
    with suppress(ImportError):  # Windows
        import resource

        for name, value in limits.items():
            kind = getattr(resource, f"RLIMIT_{name}")
            _, hard = resource.getrlimit(kind)
            with suppress(ValueError, OSError):  # macOS
                resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def main() -> None:
    """Read a task and paths from the standard input, write the answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits
    output = sys.stdout.buffer
    output.write(b"ready\n")
    output.flush()
    task = json.loads(sys.stdin.readline())
    _limit(AS=task["memory"], CPU=task["seconds"] + 5, CORE=0)
    try:
        file = h5py.File(task["path"], "r")
        answer = describe(file, task["attributes"])
    except Exception as error:
        answer = {"error": sentence(error)}
    output.write(json.dumps(answer).encode() + b"\n")
    output.flush()
    for line in sys.stdin:
        for path in json.loads(line):
            output.write(numbers(file[path]).tobytes())
        output.flush()


if __name__ == "__main__":
    main()
