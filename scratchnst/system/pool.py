"""Processes that share jobs; one that dies is replaced, and its job done again."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from queue import SimpleQueue
from threading import Thread
from typing import Any

from scratchnst.system import startup
from scratchnst.system.process import Ended, Process

ATTEMPTS = 3  # at a job whose process dies


def replies(module: str, arguments: Sequence[Sequence[Any]], jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    """Yield the number of each job and its reply, as they come.

    Parameters
    ----------
    module : whose function ``work(parent, *a)`` receives a job and sends its reply, again and again
    arguments : the a of each process; there are as many processes, but no more than jobs
    jobs : pickle can take each of them

    A job in which so many processes die as there are `ATTEMPTS` is given up: its reply is the last `Ended`.
    """
    waiting, heard = deque(enumerate(jobs)), SimpleQueue[Any]()
    begun: Counter[int] = Counter()
    with ExitStack() as stack:

        def start(own: Sequence[Any]) -> Process:
            return stack.enter_context(Process(module, *own, plain=startup.record() is None))

        def begin(process: Process, own: Sequence[Any]) -> None:
            if not waiting:
                process.end()
                return
            number, job = waiting.popleft()
            begun[number] += 1
            Thread(target=lambda: heard.put((process, own, number, _ask(process, job))), daemon=True).start()

        for own in arguments[: len(jobs)]:
            begin(start(own), own)
        left = len(jobs)
        while left:
            process, own, number, reply = heard.get()
            if isinstance(reply, Ended):
                process.end()
                process = start(own)
                if begun[number] < ATTEMPTS:
                    waiting.appendleft((number, jobs[number]))
                    begin(process, own)
                    continue
            begin(process, own)
            left -= 1
            yield number, reply


def _ask(process: Process, job: Any) -> Any:
    """Return the reply to a job, or the `Ended` of its process."""
    try:
        process.send(job)
        return process.receive()
    except Ended as error:
        return error
