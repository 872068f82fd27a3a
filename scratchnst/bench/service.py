"""What a contender's process is asked to do, and what it replies: dicts of facts, or {"failed": why}.

The requests are the methods of `Service`, and those of the contender itself: ``check``, ``run`` and ``steps``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from scratchnst.bench import device_ladder, ladder
from scratchnst.bench.accuracy import Accuracy
from scratchnst.bench.limit import Copy, Product, Sgemm
from scratchnst.bench.machine import DeviceFacts
from scratchnst.bench.names import ANY_STYLE, COPY, ONE_STYLE, OURS, PEERS, PRODUCT, SGEMM, TRAINING, doing, tf32
from scratchnst.bench.ours import Ours
from scratchnst.bench.painter import AnyStylePainter, Painter
from scratchnst.bench.peer import Peer
from scratchnst.bench.peer_painter import PeerAnyStylePainter, PeerPainter, PeerTrainer
from scratchnst.bench.trainer import Trainer
from scratchnst.engine.cpu.threads import set_count
from scratchnst.errors import UserError

CONTENDERS: dict[str, Callable[..., Any]] = {  # each takes the size and the device
    OURS: Ours,
    tf32(OURS): partial(Ours, precision="tf32"),
    **{name: partial(Peer, memory_format=form) for name, form in PEERS.items()},
    **{tf32(name): partial(Peer, memory_format=form, tf32=True) for name, form in PEERS.items()},
    SGEMM: Sgemm,
    PRODUCT: Product,
    tf32(PRODUCT): partial(Product, precision="tf32"),
    COPY: Copy,
    "accuracy": Accuracy,
    "facts": DeviceFacts,
    **{doing(OURS, task): partial(Trainer, task=task) for task in TRAINING},
    **{
        doing(name, task): partial(PeerTrainer, memory_format=form, task=task)
        for task in TRAINING
        for name, form in PEERS.items()
    },
    doing(OURS, ONE_STYLE): Painter,
    doing(OURS, ANY_STYLE): AnyStylePainter,
    **{
        doing(name, task): partial(kind, memory_format=form)
        for task, kind in ((ONE_STYLE, PeerPainter), (ANY_STYLE, PeerAnyStylePainter))
        for name, form in PEERS.items()
    },
}
CPU_RUNGS = {name: partial(ladder.Rung, way=name) for name in ladder.RUNGS}
DEVICE_RUNGS = {name: partial(device_ladder.DeviceRung, name=name) for name in device_ladder.RUNGS}
OUT_OF_MEMORY = "allocate memory", "out of memory", "outofmemory"  # as libraries say it


class Service:
    """Makes one contender and answers requests."""

    contender: Any

    def answer(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Return the reply to the request `do`."""
        try:
            return getattr(self if hasattr(self, do) else self.contender, do)(**arguments)
        except MemoryError:
            return {"failed": "out of memory"}
        except UserError as error:
            return {"failed": str(error)}
        except Exception as error:  # the other contenders go on
            what = str(error).partition("\n")[0]
            short = any(sign in what.lower() for sign in OUT_OF_MEMORY)
            return {"failed": "out of memory" if short else f"{type(error).__name__}: {what}"}

    def set_up(self, contender: str, size: int, threads: int, device: str = "cpu") -> dict[str, Any]:
        """Make the contender, which computes on that many threads."""
        set_count(threads)
        threadpool_limits(threads, user_api="blas")
        known: dict[str, Callable[..., Any]] = {**CONTENDERS, **(CPU_RUNGS if device == "cpu" else DEVICE_RUNGS)}
        self.contender = known[contender](size, device)
        self.contender.rest()
        return {}

    def gradient(self) -> dict[str, Any]:
        """Return loss and gradient of one evaluation."""
        loss, gradient = self.contender.compared()
        reply = {"loss": loss, "gradient": self.contender.on_host(gradient)}
        self.contender.rest()
        return reply

    def evaluate(self, calls: int = 1) -> dict[str, Any]:
        """Return the seconds of an evaluation, the mean of `calls`, one after the other."""
        seconds = self.contender.seconds(self.contender.evaluate, calls)
        self.contender.rest()
        return {"seconds": seconds}

    def peak(self) -> dict[str, Any]:
        """Return the most bytes of memory taken: on a GPU by arrays, else by this process."""
        return self.contender.peak() or {"bytes": peak_memory()}


def peak_memory() -> int | None:
    """Return the most bytes of memory that this process has had at a time, or None where the system does not tell."""
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
