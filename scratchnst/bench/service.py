"""What a worker is asked to do, and its answers.

It reads one JSON object a line, a request, and writes one for each, its reply.

    {"do": "set_up", "contender": "torch contiguous", "size": 512, "threads": 2, "device": "cpu"}   {}
    {"do": "check"}                        what the contender says of itself: errors, bytes
    {"do": "check", "file": "g.npy"}       {"loss": 12.3}, and the gradient lies in the file
    {"do": "evaluate"}                     {"seconds": 1.2}; with "calls": 20 the mean of as many, one after the other
    {"do": "steps"}                        {"steps": {"relu.relu_forward": {"calls": 13, "seconds": 0.1}, ...}}, of one
    {"do": "run", "iterations": 100}       {"run_seconds": 120, "iterations": 100, "evaluations": 104, "loss": 1.5}
    {"do": "peak"}                         {"bytes": 800000000}, the most memory that this process has had

A request that fails is answered with {"failed": why}.

A contender is a class: ``Contender(size, threads)`` sets it up, on a GPU with ``device="cuda:0"`` besides, and
``evaluate()`` is what is timed.  Not all of them have ``check()``, ``run(iterations)`` and ``steps()``; where evaluate
returns (loss, gradient) the worker itself does the check.  One on a GPU has ``wait()``, until the GPU has done what it
was told, ``rest()``, to leave its memory to others, ``peak()``, and ``on_host(gradient)``.
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

from scratchnst.bench import device_ladder, device_limit
from scratchnst.bench.accuracy import Accuracy
from scratchnst.bench.device_facts import Facts
from scratchnst.bench.ladder import RUNGS, Rung
from scratchnst.bench.limit import Sgemm
from scratchnst.bench.names import COPY, OURS, PEERS, PRODUCT, SGEMM, tf32
from scratchnst.bench.ours import Ours, OursOnDevice
from scratchnst.bench.peer import Peer, PeerOnDevice
from scratchnst.engine.cpu.threads import set_count
from scratchnst.errors import UserError

CONTENDERS: Mapping[str, Callable[..., Any]] = {
    OURS: Ours,
    **{name: partial(Peer, memory_format=memory_format) for name, memory_format in PEERS.items()},
    SGEMM: Sgemm,
    **{name: partial(Rung, way=name) for name in RUNGS},
    "accuracy": Accuracy,
}
ON_DEVICE: Mapping[str, Callable[..., Any]] = {
    OURS: OursOnDevice,
    tf32(OURS): partial(OursOnDevice, precision="tf32"),
    **{name: partial(PeerOnDevice, memory_format=form) for name, form in PEERS.items()},
    **{tf32(name): partial(PeerOnDevice, memory_format=form, tf32=True) for name, form in PEERS.items()},
    PRODUCT: device_limit.Product,
    tf32(PRODUCT): partial(device_limit.Product, precision="tf32"),
    COPY: device_limit.Copy,
    **{name: partial(device_ladder.Rung, name=name) for name in device_ladder.RUNGS},
    "accuracy": Accuracy,
    "facts": Facts,
}
OUT_OF_MEMORY = "allocate memory", "out of memory", "outofmemory"  # as libraries say it
REQUESTS = "set_up", "check", "evaluate", "steps", "run", "peak"


class Service:
    """The requests, each a method that returns the reply."""

    def __init__(self):
        self.contender: Any = None

    def answer(self, line: str) -> dict[str, Any]:
        """Return the reply to one line."""
        try:
            request = json.loads(line)
            do = request.pop("do")
            if do not in REQUESTS:
                raise ValueError(f"there is no request {do!r}")
            return getattr(self, do)(**request)
        except MemoryError:
            return {"failed": "out of memory"}
        except UserError as error:
            return {"failed": str(error)}
        except Exception as error:  # the others shall go on
            what = str(error).partition("\n")[0]
            short = any(sign in what.lower() for sign in OUT_OF_MEMORY)
            return {"failed": "out of memory" if short else f"{type(error).__name__}: {what}"}

    def set_up(self, contender: str, size: int, threads: int, device: str = "cpu") -> dict[str, Any]:
        set_count(threads)
        threadpool_limits(threads, user_api="blas")
        if device == "cpu":
            self.contender = CONTENDERS[contender](size, threads)
        else:
            self.contender = ON_DEVICE[contender](size, threads, device=device)
        self._if_it_can("rest")
        return {}

    def check(self, file: str | None = None) -> dict[str, Any]:
        if file is None:
            return self.contender.check()
        loss, gradient = self.contender.evaluate()
        np.save(file, self.contender.on_host(gradient) if hasattr(self.contender, "on_host") else gradient)
        self._if_it_can("rest")
        return {"loss": loss}

    def evaluate(self, calls: int = 1) -> dict[str, Any]:
        self.contender.evaluate()  # the others have been in the caches; in a run it follows upon itself
        self._if_it_can("wait")
        started = time.perf_counter()
        for _ in range(calls):
            self.contender.evaluate()
        self._if_it_can("wait")
        seconds = (time.perf_counter() - started) / calls
        self._if_it_can("rest")
        return {"seconds": seconds}

    def steps(self) -> dict[str, Any]:
        return {"steps": self.contender.steps()}

    def run(self, iterations: int) -> dict[str, Any]:
        return self.contender.run(iterations)

    def peak(self) -> dict[str, Any]:
        return self.contender.peak() if hasattr(self.contender, "peak") else {"bytes": peak_memory()}

    def _if_it_can(self, do: str) -> None:
        getattr(self.contender, do, lambda: None)()


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
