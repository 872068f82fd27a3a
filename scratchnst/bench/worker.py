"""The process of one contender: it answers requests, see `scratchnst.bench.service`, until its parent is gone."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import NoReturn

from scratchnst.system import startup


def main(connection: Connection, plain: bool, libraries: Sequence[str]) -> NoReturn:
    """Set up this process, then answer the requests that come over `connection`.

    Parameters
    ----------
    connection : Connection
        Requests, (name, arguments), come in, and a dict for each goes out.
    plain : bool
        Whether to leave the process as Python starts it; else it is set up as that of the command line.
    libraries : sequence of str
        Modules to import at once, while other workers start.
    """
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print does not belong to the results
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # if memory runs out, end this process and no other
    if not plain:
        startup.prepare()
    from scratchnst.bench.service import Service  # not before: it imports NumPy

    for name in libraries:
        with suppress(ImportError):  # the contender reports it
            import_module(name)
    requests: SimpleQueue = SimpleQueue()
    Thread(target=_receive, args=(connection, requests), daemon=True).start()
    service = Service()
    while True:
        do, arguments = requests.get()
        connection.send(service.answer(do, **arguments))


def _receive(connection: Connection, requests: SimpleQueue) -> None:
    """Queue requests; end the process, even amid a computation, when the parent has closed its end."""
    with suppress(EOFError, OSError):
        while True:
            requests.put(connection.recv())
    os._exit(0)
