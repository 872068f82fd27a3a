"""A contender's process as its parent sees it."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

import scratchnst
from scratchnst.system.signals import uninterrupted

PROGRAM = "import sys; sys.path[:] = {path!r}; from scratchnst.bench.worker import main; main(*{arguments!r})"


class Lost(Exception):
    """The contender cannot go on; the message says why."""


class Process:
    """A process for one contender, to be set up with `settings`; a context manager that kills it at the end.

    `plain` and `libraries` are those of `scratchnst.bench.worker.main`.
    """

    def __init__(
        self,
        contender: str,
        size: int,
        threads: int,
        plain: bool = False,
        device: str = "cpu",
        libraries: Sequence[str] = (),
    ):
        self.settings = {"contender": contender, "size": size, "threads": threads, "device": device}
        program = PROGRAM.format(path=_path(), arguments=(plain, list(libraries)))
        with uninterrupted([signal.SIGINT]):  # which the new process inherits: on Ctrl-C its parent ends it
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-c", program],  # isolated: else Python looks into the current folder first
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        self.requests = cast(IO[bytes], self.process.stdin)
        self.replies = cast(IO[bytes], self.process.stdout)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_) -> None:
        self.end()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Send a request and return its reply.

        Raises
        ------
        Lost
            If the request failed, or the process has ended.
        """
        try:
            self.send(do, **arguments)
            reply = pickle.load(self.replies)
        except (OSError, EOFError, pickle.UnpicklingError):
            raise Lost(_cause(self.process.wait())) from None
        if "failed" in reply:
            raise Lost(reply["failed"])
        return reply

    def send(self, do: str, **arguments: Any) -> None:
        """Send a request, whose reply nobody waits for."""
        pickle.dump((do, arguments), self.requests)
        self.requests.flush()

    def end(self) -> None:
        """Kill the process, if it still runs."""
        self.process.kill()
        self.process.wait()
        self.replies.close()
        with suppress(OSError):  # a request that it has not read
            self.requests.close()


def _path() -> list[str]:
    """Where the process finds modules: as here, but where this program lies comes last, and no folder that is here."""
    home = str(Path(scratchnst.__file__).resolve().parents[1])
    here = {"", os.getcwd(), home}
    return [*(path for path in sys.path if path not in here), home]


def _cause(status: int) -> str:
    """Say why a process ended with this status."""
    if status == -9:  # SIGKILL, which Windows lacks
        return "killed, as systems do when memory runs out"
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
