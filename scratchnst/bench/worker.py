"""The process of one contender: it answers requests, see `scratchnst.bench.service`, until its parent is gone."""

import os
import pickle
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import IO, NoReturn

from scratchnst.system import startup


def main(plain: bool, libraries: Sequence[str]) -> NoReturn:
    """Set up this process, then answer the requests that come on standard input.

    Requests, pickled (name, arguments), come in, and a pickled dict for each goes out on what was standard output.

    Parameters
    ----------
    plain : bool
        Whether to leave the process as Python starts it; else it is set up as that of the command line.
    libraries : sequence of str
        Modules to import at once, while other workers start.
    """
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print does not belong to the results
    sys.stdout = sys.stderr
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # if memory runs out, end this process and no other
    if not plain:
        startup.prepare()
    from scratchnst.bench.service import Service  # not before: it imports NumPy

    for name in libraries:
        with suppress(ImportError):  # the contender reports it
            import_module(name)
    requests: SimpleQueue = SimpleQueue()
    Thread(target=_receive, args=(sys.stdin.buffer, requests), daemon=True).start()
    service = Service()
    while True:
        do, arguments = requests.get()
        pickle.dump(service.answer(do, **arguments), replies)
        replies.flush()


def _receive(source: IO[bytes], requests: SimpleQueue) -> None:
    """Queue requests; end the process, even amid a computation, when the parent has closed its end."""
    with suppress(EOFError, OSError, pickle.UnpicklingError):
        while True:
            requests.put(pickle.load(source))
    os._exit(0)
