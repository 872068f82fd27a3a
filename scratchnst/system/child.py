"""A process that `scratchnst.system.process` has started: it serves its parent, and ends when that is gone.

Only the standard library is imported here: NumPy is imported when the process has been set up.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any

from scratchnst.system import startup


class Parent:
    """The process that sends requests, on standard input, and is sent the replies."""

    def __init__(self, replies: IO[bytes]):
        self.replies = replies
        self.requests: SimpleQueue = SimpleQueue()
        source = open(0, "rb", closefd=False)  # noqa: SIM115  # Python could not end while sys.stdin is being read
        Thread(target=self._listen, args=(source,), daemon=True).start()

    def receive(self) -> Any:
        """Wait for the next request and return it."""
        return self.requests.get()

    def send(self, reply: Any) -> None:
        """Send a reply, which pickle can take."""
        pickle.dump(reply, self.replies)
        self.replies.flush()

    def _listen(self, source: IO[bytes]) -> None:
        """Queue requests; end the process, even amid a computation, when the parent has closed its end."""
        with suppress(EOFError, OSError, pickle.UnpicklingError):
            while True:
                self.requests.put(pickle.load(source))
        os._exit(0)


def main(module: str, arguments: Sequence[Any], plain: bool) -> None:
    """Set up this process, as the command line's unless `plain`, and call ``work(parent, *arguments)`` of a module."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print does not belong to the replies
    sys.stdout = sys.stderr
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # if memory runs out, end this process and no other
    if not plain:
        startup.prepare()
    work = import_module(module).work
    work(Parent(replies), *arguments)
