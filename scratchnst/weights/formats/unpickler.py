"""A pickle run as far as it builds plain values, and no further.

A pickle is a program, and Python's unpickler runs it: it imports and calls what the file names.  `Unpickler` here
knows only the instructions that build plain values, and for the few names that its caller allows it takes stand-ins.
It is not a subclass of pickle.Unpickler, because refusing imports is not enough there: an index in the memo makes that
one allocate gigabytes, and a dict's key of nested pairs keeps it hashing forever.
"""

from __future__ import annotations

import io
import pickle
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any

from scratchnst.errors import UserError
from scratchnst.weights.formats.untrusted import read_exactly, shown

LARGEST_PICKLE = 1 << 18  # bytes, without the numbers; VGG's has some KiB, and each can cost a hundred of memory


@dataclass(frozen=True)
class Global:
    """What a pickle calls by module and name; `make` is our own stand-in for it, if it may be called at all."""

    name: str
    make: Callable[..., Any] | None


@dataclass(frozen=True)
class Span:
    """Where in the file a string of bytes lies that was passed over."""

    start: int
    length: int


class Stateful(ABC):
    """A stand-in that a pickle may give a state after it is made."""

    @abstractmethod
    def set_state(self, state: Any) -> None:
        """Take over `state`, whose form anyone may have chosen."""


class Unpickler:
    """Runs a pickle as far as it builds numbers, strings, tuples, lists and dicts, and refuses everything else.

    Parameters
    ----------
    file : stands at the beginning of the pickle, and at its end after `load`
    vocabulary : "module.name" -> what is called in its place, or None for a name that may stand but not be called
    persistent : gives the meaning of a persistent identity; None refuses them

    Notes
    -----
    Memory and time are bounded by LARGEST_PICKLE, the bytes that are read.  Long byte strings are passed over and
    become a `Span`.  Of a dict only what has a string for its key is kept.  Instructions: pickletools in the standard
    library.
    """

    def __init__(
        self,
        file: IO[bytes],
        vocabulary: Mapping[str, Callable[..., Any] | None],
        persistent: Callable[[Any], Any] | None = None,
    ):
        self._file = file
        self._vocabulary = vocabulary
        self._persistent = persistent
        self._left = LARGEST_PICKLE
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """Return the pickled object.

        Raises
        ------
        UserError
            If the pickle wants anything else, or is too long.  Nonsense may raise what `damage_told` expects.
        """
        while (opcode := self._take(1)) != pickle.STOP:
            if opcode not in _INSTRUCTIONS:
                raise UserError("it holds more than arrays: save the network's state_dict() and give that.")
            _INSTRUCTIONS[opcode](self)
        return self._stack.pop()

    def _take(self, count):
        """The next bytes of the program."""
        self._left -= count
        if self._left < 0:
            raise UserError(f"its description is longer than {LARGEST_PICKLE} bytes: save the state_dict() alone.")
        return bytes(read_exactly(self._file, count))

    def _number(self, form):
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _push_number(self, form):
        self._stack.append(self._number(form))

    def _push_text(self, form, encoding):
        self._stack.append(self._take(self._number(form)).decode(encoding))

    def _push_long(self):
        self._stack.append(int.from_bytes(self._take(self._number("<B")), "little", signed=True))

    def _pass_over(self, form):
        length = self._number(form)
        if length < 0:
            raise ValueError(length)
        self._stack.append(Span(self._file.tell(), length))
        self._file.seek(length, io.SEEK_CUR)

    def _push_tuple(self, count):
        items = [self._stack.pop() for _ in range(count)]
        self._stack.append(tuple(reversed(items)))

    def _mark(self):
        self._marked.append(self._stack)
        self._stack = []

    def _pop_marked(self):
        items, self._stack = self._stack, self._marked.pop()
        return items

    def _push_marked_tuple(self):
        items = tuple(self._pop_marked())
        self._stack.append(items)

    def _put(self, form):
        self._memo[self._number(form)] = self._stack[-1]

    def _memoize(self):
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, form):
        self._stack.append(self._memo[self._number(form)])

    def _append(self, items):
        if not isinstance(self._stack[-1], list):
            raise ValueError("no list")
        self._stack[-1].extend(items)

    def _set_items(self, items):
        if not isinstance(self._stack[-1], dict):
            raise ValueError("no dict")
        self._stack[-1].update(_dict(zip(items[::2], items[1::2])))

    def _line(self):
        line = self._file.readline(self._left + 1)
        self._left -= len(line)
        if self._left < 0 or not line.endswith(b"\n"):
            raise ValueError("no end of line")
        return line[:-1].decode()

    def _push_global(self, module, name):
        full = f"{module}.{name}"
        if full not in self._vocabulary:
            raise UserError(
                f"it asks for {shown(full)}, and only arrays may be in it: save the network's state_dict() "
                "and give that."
            )
        self._stack.append(Global(full, self._vocabulary[full]))

    def _push_stack_global(self):
        name, module = self._stack.pop(), self._stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise ValueError("no name")
        self._push_global(module, name)

    def _call(self):
        arguments, called = self._stack.pop(), self._stack.pop()
        if not (isinstance(called, Global) and called.make and isinstance(arguments, tuple)):
            raise UserError("it wants something called that is no array: save the network's state_dict() anew.")
        try:
            self._stack.append(called.make(*arguments))
        except TypeError:
            raise UserError(f"it misuses {called.name}: the file is damaged.") from None

    def _build(self):
        state = self._stack.pop()
        if isinstance(self._stack[-1], Stateful):
            self._stack[-1].set_state(state)
        elif not isinstance(self._stack[-1], dict):  # an OrderedDict's attributes: versions of modules
            raise UserError("it wants something changed that is no array: save the network's state_dict() anew.")

    def _push_persistent(self):
        if self._persistent is None:
            raise ValueError("no storages here")
        self._stack.append(self._persistent(self._stack.pop()))


def _dict(pairs):
    """A dict of the `pairs` whose keys are strings, as the names of arrays are: hashing others could take forever."""
    return {key: value for key, value in pairs if type(key) is str}


def ordered_dict(*arguments: Any) -> dict[str, Any]:
    """Stand in for collections.OrderedDict(), and with a list of pairs, as Python 2 pickled it."""
    match arguments:
        case ():
            return {}
        case ([*pairs],) if all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
            return _dict(pairs)
    raise UserError("a dict in it is damaged: get it again.")


_INSTRUCTIONS: dict[bytes, Callable[[Unpickler], Any]] = {
    pickle.PROTO: lambda self: self._take(1),
    pickle.FRAME: lambda self: self._take(8),  # a hint for reading ahead
    pickle.NONE: lambda self: self._stack.append(None),
    pickle.NEWTRUE: lambda self: self._stack.append(True),
    pickle.NEWFALSE: lambda self: self._stack.append(False),
    pickle.BININT: lambda self: self._push_number("<i"),
    pickle.BININT1: lambda self: self._push_number("<B"),
    pickle.BININT2: lambda self: self._push_number("<H"),
    pickle.BINFLOAT: lambda self: self._push_number(">d"),
    pickle.LONG1: Unpickler._push_long,
    pickle.BINUNICODE: lambda self: self._push_text("<I", "utf-8"),
    pickle.SHORT_BINUNICODE: lambda self: self._push_text("<B", "utf-8"),
    pickle.SHORT_BINSTRING: lambda self: self._push_text("<B", "latin-1"),  # Python 2's str: a name, or bytes
    pickle.SHORT_BINBYTES: lambda self: self._push_text("<B", "latin-1"),
    pickle.BINSTRING: lambda self: self._pass_over("<i"),
    pickle.BINBYTES: lambda self: self._pass_over("<I"),
    pickle.BINBYTES8: lambda self: self._pass_over("<Q"),
    pickle.EMPTY_TUPLE: lambda self: self._stack.append(()),
    pickle.TUPLE1: lambda self: self._push_tuple(1),
    pickle.TUPLE2: lambda self: self._push_tuple(2),
    pickle.TUPLE3: lambda self: self._push_tuple(3),
    pickle.EMPTY_LIST: lambda self: self._stack.append([]),
    pickle.EMPTY_DICT: lambda self: self._stack.append({}),
    pickle.MARK: Unpickler._mark,
    pickle.TUPLE: Unpickler._push_marked_tuple,
    pickle.APPEND: lambda self: self._append([self._stack.pop()]),
    pickle.APPENDS: lambda self: self._append(self._pop_marked()),
    pickle.SETITEM: lambda self: self._set_items([self._stack.pop(), self._stack.pop()][::-1]),
    pickle.SETITEMS: lambda self: self._set_items(self._pop_marked()),
    pickle.BINPUT: lambda self: self._put("<B"),
    pickle.LONG_BINPUT: lambda self: self._put("<I"),
    pickle.MEMOIZE: Unpickler._memoize,
    pickle.BINGET: lambda self: self._get("<B"),
    pickle.LONG_BINGET: lambda self: self._get("<I"),
    pickle.GLOBAL: lambda self: self._push_global(self._line(), self._line()),
    pickle.STACK_GLOBAL: Unpickler._push_stack_global,
    pickle.REDUCE: Unpickler._call,
    pickle.NEWOBJ: Unpickler._call,
    pickle.BUILD: Unpickler._build,
    pickle.BINPERSID: Unpickler._push_persistent,
}
