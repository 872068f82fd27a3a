"""A pickle is run as far as it builds plain values, and no further.

A pickle is a program, and Python's unpickler runs it: it imports and calls what the file names.  `Unpickler` here is
the standard library's, reduced to the instructions that build plain values, with stand-ins for the few names that its
caller allows.  It derives from the one that is written in Python, since refusing imports is not enough to make the one
written in C safe: an index in the memo makes that one allocate gigabytes.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any, ClassVar

from scratchnst.errors import UserError
from scratchnst.weights.formats.untrusted import DAMAGED, read_exactly, shown

LARGEST_PICKLE = 1 << 18  # bytes, without the numbers; VGG's has some KiB, and each can cost a hundred of memory

_Python: Any = pickle._Unpickler
_ALLOWED = (
    pickle.PROTO, pickle.STOP, pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.BININT, pickle.BININT1,
    pickle.BININT2, pickle.BINFLOAT, pickle.LONG1, pickle.BINUNICODE, pickle.SHORT_BINUNICODE, pickle.SHORT_BINSTRING,
    pickle.SHORT_BINBYTES, pickle.EMPTY_TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3, pickle.TUPLE, pickle.MARK,
    pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS, pickle.SETITEM, pickle.SETITEMS, pickle.BINPUT,
    pickle.LONG_BINPUT, pickle.MEMOIZE, pickle.BINGET, pickle.LONG_BINGET, pickle.GLOBAL, pickle.STACK_GLOBAL,
    pickle.REDUCE, pickle.BINPERSID,
)  # fmt: skip


@dataclass(frozen=True)
class Global:
    """What a pickle calls by module and name; `make` is called in its place, if it may be called at all."""

    name: str
    make: Callable[..., Any] | None

    def __call__(self, *arguments: Any) -> Any:
        """Return what `make` makes of the arguments, which anyone may have chosen."""
        if self.make is None:
            raise UserError("it wants something called that is no array: save the network's state_dict() anew.")
        try:
            return self.make(*arguments)
        except TypeError:
            raise UserError(f"it misuses {self.name}: the file is damaged.") from None


@dataclass(frozen=True)
class Span:
    """Where in the file a string of bytes lies that was passed over."""

    start: int
    length: int


class Names(dict):
    """A dict that ignores items whose key is no string: to hash a key of nested tuples could take forever."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if type(key) is str:
            super().__setitem__(key, value)


class Unpickler(_Python):
    """Runs a pickle as far as it builds numbers, strings, tuples, lists and dicts, and refuses everything else.

    Parameters
    ----------
    file : stands at the beginning of the pickle, and at its end after `load`
    vocabulary : "module.name" -> what is called in its place, or None for a name that may stand but not be called.
        A state is given to what has a method ``__setstate__``
    persistent : gives the meaning of a persistent identity; None refuses them

    Notes
    -----
    Memory and time are bounded by LARGEST_PICKLE, the bytes that are read.  Long byte strings are passed over and
    become a `Span`.  Of a dict only what has a string for its key is kept.
    """

    def __init__(
        self,
        file: IO[bytes],
        vocabulary: Mapping[str, Callable[..., Any] | None],
        persistent: Callable[[Any], Any] | None = None,
    ):
        super().__init__(_Program(file), encoding="latin-1")  # Python 2's str: a name, or bytes
        self._file, self._vocabulary, self._persistent = file, vocabulary, persistent

    def load(self) -> Any:
        """Return the pickled object.

        Raises
        ------
        UserError
            If the pickle wants anything else, or is too long.  Nonsense may raise what `damage_told` expects.
        """
        try:
            return super().load()
        except (pickle.UnpicklingError, AttributeError, TypeError):
            raise UserError(DAMAGED) from None

    def find_class(self, module: str, name: str) -> Global:
        """Return the stand-in for a name; nothing is imported."""
        full = f"{module}.{name}"
        if full not in self._vocabulary:
            raise UserError(
                f"it asks for {shown(full)}, and only arrays may be in it: save the network's state_dict() "
                "and give that."
            )
        return Global(full, self._vocabulary[full])

    def persistent_load(self, pid: Any) -> Any:
        """Return what a persistent identity stands for."""
        return self._persistent(pid) if self._persistent else super().persistent_load(pid)

    def _refuse(self):
        raise UserError("it holds more than arrays: save the network's state_dict() and give that.")

    def _pass_over(self, form):
        (length,) = struct.unpack(form, self.read(struct.calcsize(form)))
        if length < 0:
            raise ValueError(length)
        self.append(Span(self._file.tell(), length))
        self._file.seek(length, io.SEEK_CUR)

    def _build(self):
        state, built = self.stack.pop(), self.stack[-1]
        if hasattr(built, "__setstate__"):
            built.__setstate__(state)
        elif not isinstance(built, dict):  # an OrderedDict's attributes: versions of modules
            raise UserError("it wants something changed that is no array: save the network's state_dict() anew.")

    dispatch: ClassVar[dict[int, Callable[[Any], Any]]] = {
        **dict.fromkeys(range(256), _refuse),
        **{code[0]: _Python.dispatch[code[0]] for code in _ALLOWED},
        pickle.NEWOBJ[0]: _Python.dispatch[pickle.REDUCE[0]],
        pickle.FRAME[0]: lambda self: self.read(8),  # a hint for reading ahead
        pickle.EMPTY_DICT[0]: lambda self: self.append(Names()),
        pickle.BINSTRING[0]: lambda self: self._pass_over("<i"),
        pickle.BINBYTES[0]: lambda self: self._pass_over("<I"),
        pickle.BINBYTES8[0]: lambda self: self._pass_over("<Q"),
        pickle.BUILD[0]: _build,
    }


class _Program:
    """The bytes of a pickle, of which no more than LARGEST_PICKLE are read."""

    def __init__(self, file):
        self.file, self.left = file, LARGEST_PICKLE

    def read(self, count):
        self._spend(count)
        return bytes(read_exactly(self.file, count))

    def readline(self):
        line = self.file.readline(self.left + 1)
        self._spend(len(line))
        return line

    def _spend(self, count):
        self.left -= count
        if self.left < 0:
            raise UserError(f"its description is longer than {LARGEST_PICKLE} bytes: save the state_dict() alone.")


def ordered_dict(*arguments: Any) -> Names:
    """Stand in for collections.OrderedDict(), and with a list of pairs, as Python 2 pickled it."""
    match arguments:
        case ():
            return Names()
        case ([*pairs],) if all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
            return Names((key, value) for key, value in pairs if type(key) is str)
    raise UserError("a dict in it is damaged: get it again.")
