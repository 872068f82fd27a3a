"""A worker as its master sees it, see `scratchnst.bench.service`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from scratchnst.bench.worker import PLAIN


class Lost(Exception):
    """The contender cannot go on; the message says why."""


class Process:
    """A worker for one contender, to be set up with `settings`; a context manager that leaves nothing running.

    It is `plain` as Python is, or set up as the command line, and begins with importing `libraries`.
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
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scratchnst.bench.worker", *([PLAIN] if plain else []), *libraries],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the master, who ends us
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.requests, self.replies = self.process.stdin, self.process.stdout
        self.settings = {"contender": contender, "size": size, "threads": threads, "device": device}

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_) -> None:
        self.end()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Send a request and return its reply.

        Raises
        ------
        Lost
            If the request failed, or the worker was killed or died over it.
        """
        try:
            print(json.dumps({"do": do, **arguments}), file=self.requests, flush=True)
            line = self.replies.readline()
        except OSError:
            line = ""
        if not line.endswith("\n"):
            raise Lost(_cause(self.process.wait()))
        reply = json.loads(line)
        if "failed" in reply:
            raise Lost(reply["failed"])
        return reply

    def end(self) -> None:
        """Kill the worker, if it still lives."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.requests, self.replies):
            with suppress(OSError):  # what is left to write, nobody reads
                pipe.close()


def _cause(status: int) -> str:
    """Say why a worker ended with this status."""
    if status == -9:  # SIGKILL, which Windows lacks
        return "killed, as systems do when memory runs out"
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
