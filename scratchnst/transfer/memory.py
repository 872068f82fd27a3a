"""Estimate how much memory a run needs, and choose strips with which it needs no more than there is.

It is the GPU's memory if the engine computes on one, else that of the process.
"""

from __future__ import annotations

import ctypes
import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from scratchnst.engine import Engine, cpu, meta
from scratchnst.engine.cpu import threads
from scratchnst.errors import UserError
from scratchnst.optimize import BYTES_PER_BOUNDED_UNKNOWN, BYTES_PER_UNKNOWN, ON_THE_CPU
from scratchnst.system import startup
from scratchnst.transfer.objective import Objective

STRIPS = (math.inf, *(2**exponent << 20 for exponent in range(9, -1, -1)))  # 512 MB ... 1 MB: the fastest first
RUN_BYTES_PER_UNKNOWN = 16  # of the start and the last image, which `stylize` keeps
KEPT_FREE = 0.05  # of the memory that is available, for everything else


@dataclass(frozen=True)
class MemoryEstimate:
    """What a run will need.

    Attributes
    ----------
    peak : bytes at most: of the whole process or, on a GPU, of all arrays there and the fragments between them
    largest_strip : as for `Objective`
    """

    peak: int
    largest_strip: float

    def in_words(self) -> str:
        """Return how much memory it is, and whether in strips, in words."""
        peak = in_words(self.peak)
        if self.largest_strip == math.inf:
            return peak
        return f"{peak}, large layers in strips of {in_words(self.largest_strip)}, and twice"


def evaluation(objective: Objective, largest_strip: float = math.inf) -> int:
    """Return the bytes that a call of `objective` takes at most, apart from images, weights and targets.

    It is called with arrays that have no numbers, see `scratchnst.engine.meta`.
    """
    network = objective.network
    engine: Any = meta.of(network.engine.name)
    for layer in network.layers:
        engine.describe(layer.rule.operation(network.pooling), layer.rule.inputs, layer.rule.shape)
    dry = objective.with_engine(engine)
    dry.largest_strip = largest_strip
    x = engine.asarray(meta.MetaArray(engine.ledger, objective.shape, "float64"))
    before = engine.ledger.now
    dry.evaluate(x)
    return engine.ledger.peak - before


def estimate(
    objective: Objective, optimizer: str, bounded: bool = False, largest_strip: float = math.inf
) -> MemoryEstimate:
    """Return what a run of `objective` will need."""
    engine, run = objective.network.engine, evaluation(objective, largest_strip)
    if engine is where_vectors_are(engine, optimizer):
        run += vectors(math.prod(objective.shape), optimizer, bounded)
    peak = resident(engine) + run
    return MemoryEstimate(int(engine.memory_factor * peak), largest_strip)


def where_vectors_are(engine: Engine, optimizer: str) -> Engine:
    """Return the engine in whose memory an optimiser's vectors are: SciPy's are on the CPU."""
    return cpu if optimizer in ON_THE_CPU and engine.has_own_memory else engine


def vectors(unknowns: int, optimizer: str, bounded: bool = False) -> int:
    """Return the bytes that an optimiser and `stylize` hold for so many unknowns."""
    optimizers = BYTES_PER_BOUNDED_UNKNOWN if bounded else BYTES_PER_UNKNOWN
    return unknowns * (optimizers[optimizer] + RUN_BYTES_PER_UNKNOWN)


def fit(objective: Objective, optimizer: str, limit: int, bounded: bool = False) -> MemoryEstimate:
    """Set the largest strips with which `objective` stays within `limit` bytes, and return the estimate.

    Raises
    ------
    UserError
        If it stays within the limit with none.
    """
    threads.release()  # buffers of a coarser scale
    engine = objective.network.engine
    engine.release_memory()
    for largest_strip in STRIPS:
        found = estimate(objective, optimizer, bounded, largest_strip)
        if found.peak <= limit:
            objective.largest_strip = largest_strip
            if largest_strip < math.inf and not engine.has_own_memory:
                startup.give_memory_back()
            return found
    height, width, _ = objective.shape
    raise UserError(too_large(height, width, found.peak, optimizer, limit, engine))


def too_large(height: int, width: int, needed: int, optimizer: str, limit: int, engine: Engine = cpu) -> str:
    """Return the message that there is not enough memory."""
    whose = "a GPU's memory" if engine.has_own_memory else "memory"
    return (
        f"{width}x{height} pixels need at least {in_words(needed)} of {whose} with the optimiser {optimizer}, and "
        f"{in_words(limit)} are there: choose a smaller size"
        + ("." if optimizer == "adam" else ", or an optimiser that remembers less.")
    )


def resident(engine: Engine = cpu) -> int:
    """Return the bytes that this process holds in the engine's memory, after free ones were given back."""
    if engine.has_own_memory:
        return engine.memory_in_use()
    with suppress(OSError, AttributeError, TypeError):  # only glibc has malloc_trim
        ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss


def limit(engine: Engine = cpu) -> int:
    """Return the bytes that this process may hold: its own and what is free in the machine and in its container.

    For an engine on a GPU it is the GPU's memory.
    """
    if engine.has_own_memory:
        return resident(engine) + int((1 - KEPT_FREE) * engine.free_memory())
    free = psutil.virtual_memory().available
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):  # no container, or none with a limit
        free = min(free, int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return resident() + int((1 - KEPT_FREE) * max(free, 0))


def in_words(size: float) -> str:
    """Return a number of bytes with its unit: 640 MB, 2.4 GB, 5.2 MB, 1 KB."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e3:.0f} KB" if size < 1e5 else f"{size / 1e6:.2g} MB" if size < 1e7 else f"{size / 1e6:.0f} MB"
