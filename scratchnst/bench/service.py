"""What a worker is asked to do, and its answers.

It reads one JSON object a line, a request, and writes one for each, its reply.

    {"do": "set_up", "contender": "torch contiguous", "size": 512, "threads": 2}   {}
    {"do": "check"}                        what the contender says of itself: errors, bytes
    {"do": "check", "file": "g.npy"}       {"loss": 12.3}, and the gradient lies in the file
    {"do": "evaluate"}                     {"seconds": 1.2}
    {"do": "run", "iterations": 100}       {"run_seconds": 120, "iterations": 100, "evaluations": 104, "loss": 1.5}
    {"do": "peak"}                         {"bytes": 800000000}, the most memory that this process has had

A request that fails is answered with {"failed": why}.

A contender is a class: ``Contender(size, threads)`` sets it up, ``evaluate()`` is what is timed.  Not all of them have
``check()`` and ``run(iterations)``; where evaluate returns (loss, gradient) the worker itself does the check.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, NoReturn, TextIO

import numpy as np
from threadpoolctl import threadpool_limits

from scratchnst.bench.accuracy import Accuracy
from scratchnst.bench.ladder import RUNGS, Rung
from scratchnst.bench.limit import Sgemm
from scratchnst.bench.ours import Ours
from scratchnst.bench.peer import PEERS, Peer
from scratchnst.engine.cpu.threads import set_count
from scratchnst.errors import UserError

CONTENDERS: Mapping[str, Callable[..., Any]] = {
    "scratchnst": Ours,
    **{name: partial(Peer, memory_format=memory_format) for name, memory_format in PEERS.items()},
    "sgemm": Sgemm,
    **{name: partial(Rung, way=name) for name in RUNGS},
    "accuracy": Accuracy,
}


class Service:
    """The requests, each a method that returns the reply."""

    def __init__(self):
        self.contender: Any = None

    def answer(self, line: str) -> dict[str, Any]:
        """Return the reply to one line."""
        try:
            request = json.loads(line)
            do = request.pop("do")
            if do not in ("set_up", "check", "evaluate", "run", "peak"):
                raise ValueError(f"there is no request {do!r}")
            return getattr(self, do)(**request)
        except MemoryError:
            return {"failed": "out of memory"}
        except UserError as error:
            return {"failed": str(error)}
        except Exception as error:  # the others shall go on
            what = str(error).partition("\n")[0]
            return {"failed": "out of memory" if "allocate memory" in what else f"{type(error).__name__}: {what}"}

    def set_up(self, contender: str, size: int, threads: int) -> dict[str, Any]:
        set_count(threads)
        threadpool_limits(threads, user_api="blas")
        self.contender = CONTENDERS[contender](size, threads)
        return {}

    def check(self, file: str | None = None) -> dict[str, Any]:
        if file is None:
            return self.contender.check()
        loss, gradient = self.contender.evaluate()
        np.save(file, gradient)
        return {"loss": loss}

    def evaluate(self) -> dict[str, Any]:
        self.contender.evaluate()  # the others have been in the caches; in a run it follows upon itself
        started = time.perf_counter()
        self.contender.evaluate()
        return {"seconds": time.perf_counter() - started}

    def run(self, iterations: int) -> dict[str, Any]:
        return self.contender.run(iterations)

    def peak(self) -> dict[str, Any]:
        return {"bytes": peak_memory()}


def peak_memory() -> int | None:
    """Return the most bytes of memory that this process has had at a time, or None where that cannot be told."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def serve() -> NoReturn:
    """Answer requests; the end of the input ends the process, whatever it is doing."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # if memory runs out, end this process and no other
    service, replies, lines = Service(), _own_stdout(), SimpleQueue[str]()
    Thread(target=_read, args=[lines], daemon=True).start()
    while True:
        print(json.dumps(service.answer(lines.get())), file=replies, flush=True)


def _read(lines: SimpleQueue[str]) -> None:
    """Read requests; when there are no more the master is gone, and nobody waits for what is going on."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def _own_stdout() -> TextIO:
    """Return stdout, and let whatever else writes to it write to stderr."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return replies
