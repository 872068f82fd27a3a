"""A process of this program's own, as the process that started it sees it; `scratchnst.system.child` is its other side.

Only the standard library is imported here.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

import scratchnst
from scratchnst.system.signals import uninterrupted

PROGRAM = "import sys; sys.path[:] = {path!r}; from scratchnst.system.child import main; main(*{arguments!r})"


class Ended(Exception):
    """The process has ended; the message says why."""


class Process:
    """A process that answers requests; a context manager that kills it at the end.

    Parameters
    ----------
    module : the name of the one whose function ``work(parent, *arguments)`` it runs, `scratchnst.system.child.main`
    arguments : of that function, in plain Python
    plain : whether to leave the process as Python starts it; else it is set up as that of the command line
    """

    def __init__(self, module: str, *arguments: Any, plain: bool = False):
        program = PROGRAM.format(path=_path(), arguments=(module, arguments, plain))
        with uninterrupted([signal.SIGINT]):  # which the new process inherits: on Ctrl-C its parent ends it
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-c", program],  # isolated: else Python looks into the current folder first
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        self.requests = cast(IO[bytes], self.process.stdin)
        self.replies = cast(IO[bytes], self.process.stdout)

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.end()

    def send(self, request: Any) -> None:
        """Send a request, which pickle can take; raise `Ended` if nobody is there to read it."""
        try:
            pickle.dump(request, self.requests)
            self.requests.flush()
        except OSError:
            raise Ended(self._cause()) from None

    def receive(self) -> Any:
        """Wait for the next reply and return it; raise `Ended` if none comes any more."""
        try:
            return pickle.load(self.replies)
        except (OSError, EOFError, pickle.UnpicklingError):
            raise Ended(self._cause()) from None

    def end(self) -> None:
        """Kill the process, if it still runs."""
        self.process.kill()
        self.process.wait()
        self.replies.close()
        with suppress(OSError):  # a request that it has not read
            self.requests.close()

    def _cause(self) -> str:
        """Say why the process has ended."""
        status = self.process.wait()
        if status == -9:  # SIGKILL, which Windows lacks
            return "killed, as systems do when memory runs out"
        if status < 0:
            return f"ended by {signal.Signals(-status).name}"
        return f"ended with status {status}"


def _path() -> list[str]:
    """Where the process finds modules: as here, but where this program lies comes last, and no folder that is here."""
    home = str(Path(scratchnst.__file__).resolve().parents[1])
    here = {"", os.getcwd(), home}
    return [*(path for path in sys.path if path not in here), home]
