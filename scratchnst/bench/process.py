"""A contender's process as its parent sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scratchnst.system import process
from scratchnst.system.process import Ended


class Lost(Exception):
    """The contender cannot go on; the message says why."""


class Process(process.Process):
    """A process for one contender, to be set up with `settings`; a context manager that kills it at the end.

    `libraries` are those of `scratchnst.bench.worker.work`; the process is `plain`, or as that of the command line.
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
        super().__init__("scratchnst.bench.worker", list(libraries), plain=plain)

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Send a request and return its reply.

        Raises
        ------
        Lost
            If the request failed, or the process has ended.
        """
        try:
            self.send((do, arguments))
            reply = self.receive()
        except Ended as error:
            raise Lost(str(error)) from None
        if "failed" in reply:
            raise Lost(reply["failed"])
        return reply
