"""A contender's process as its parent sees it."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from multiprocessing import get_context
from typing import Any

from scratchnst.bench import worker
from scratchnst.transfer.job import uninterrupted

SPAWN = get_context("spawn")  # a new interpreter, in which nothing has been imported


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
        self.connection, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=worker.main, args=(theirs, plain, libraries), daemon=True)
        with uninterrupted():  # which the new process inherits: on Ctrl-C its parent ends it
            self.process.start()
        theirs.close()

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
            self.connection.send((do, arguments))
            reply = self.connection.recv()
        except (OSError, EOFError):
            self.process.join()
            raise Lost(_cause(self.process.exitcode)) from None
        if "failed" in reply:
            raise Lost(reply["failed"])
        return reply

    def end(self) -> None:
        """Kill the process, if it still runs."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def _cause(status: int | None) -> str:
    """Say why a process ended with this status."""
    if status == -9:  # SIGKILL, which Windows lacks
        return "killed, as systems do when memory runs out"
    if status is not None and status < 0:
        return f"ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
