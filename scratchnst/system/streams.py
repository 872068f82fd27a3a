"""Standard input, output and error as the program needs them, whatever they are when it starts.

Only the standard library is imported here.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any

from scratchnst.errors import OutputError


def prepare() -> None:
    """Make the three streams ones that are there, can show every character, and fail as the program expects.

    What was closed is nowhere.  Where standard error cannot be written, what is told is lost and the work goes on;
    where standard output cannot, an `OutputError` is raised, or a BrokenPipeError if its reader has ended.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # else files would be opened under these numbers
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = _Output(sys.stdout or open(1, "w", closefd=False))  # noqa: SIM115
    sys.stderr = _Stream(sys.stderr or open(2, "w", closefd=False))  # noqa: SIM115


class _Stream(io.TextIOWrapper):
    """Writes to the file of another stream; after its first error, which is passed over, to nowhere."""

    def __init__(self, stream: Any):
        self._replaced = stream  # which would close the file if nobody held it
        buffering = stream.line_buffering, stream.write_through
        super().__init__(stream.buffer, stream.encoding, "backslashreplace", None, *buffering)

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._fail(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())  # what is left to be written would fail again


class _Output(_Stream):
    """The same, but errors are raised."""

    def _fail(self, error: OSError) -> None:
        super()._fail(error)
        if isinstance(error, BrokenPipeError):
            raise error
        raise OutputError(
            f"standard output cannot be written ({error.strerror or error}): send it elsewhere."
        ) from error
