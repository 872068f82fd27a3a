"""Estimate how much memory a run needs, and choose strips with which it needs no more than it may have.

It is the GPU's memory if the engine computes on one, else that of the process.  Strips round otherwise, so that after
many steps pixels differ.  Therefore what the machine has decides about them, or the user, but not what happens to be
free: if that is less, there is no run.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scratchnst.engine import Engine, cpu, meta
from scratchnst.engine.cpu import threads
from scratchnst.errors import UserError
from scratchnst.losses import is_joined
from scratchnst.optimize import BYTES_PER_BOUNDED_UNKNOWN, BYTES_PER_UNKNOWN, ON_THE_CPU
from scratchnst.system import startup
from scratchnst.system.capacity import available, capacity, in_words, resident
from scratchnst.transfer.objective import Objective

TILES = (2048, 1024, 512, 256)  # sides in pixels: the fastest first
STRIPS = (math.inf, *(2**exponent << 20 for exponent in range(9, -1, -1)))  # 512 MB ... 1 MB: the fastest first
KEEP_BYTES_PER_UNKNOWN = 24  # of the picture in which the content is kept, and on the way to it
TILED_BYTES_PER_UNKNOWN = 24  # of an image in tiles: x, m and v in float32, before which the start is in float64 twice
RUN_BYTES_PER_UNKNOWN = 16  # of the start and the best image, which `stylize` keeps
# Where freed memory stays with the process, arrays that are kept for long lie between others, which leaves holes: as
# much as six to eight images in float64, with Adam and L-BFGS, VGG19 and the distilled network, at 256 to 1024 pixels.
HOLES_PER_UNKNOWN = 64  # bytes


@dataclass(frozen=True)
class MemoryEstimate:
    """What a run will need.

    Attributes
    ----------
    peak : bytes at most: of the whole process or, on a GPU, of all arrays there and the fragments between them
    largest_strip, tile : as for `Objective`
    """

    peak: int
    largest_strip: float
    tile: int | None = None

    def in_words(self) -> str:
        """Return how much memory it is, and whether in strips or tiles, in words."""
        peak = in_words(self.peak)
        if self.tile is not None:
            return f"{peak}, in tiles of {self.tile} pixels, by Adam"
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
    dtype = "float64" if objective.tile is None else objective.dtype
    x = engine.asarray(meta.MetaArray(engine.ledger, objective.shape, dtype))
    before = engine.ledger.now
    dry.keep = None
    dry.evaluate(x)
    for_what_is_kept = 0 if objective.keep is None else KEEP_BYTES_PER_UNKNOWN * math.prod(objective.shape)
    return engine.ledger.peak - before + for_what_is_kept


def estimate(
    objective: Objective, optimizer: str, bounded: bool = False, largest_strip: float = math.inf, extra: int = 0
) -> MemoryEstimate:
    """Return what a run of `objective` will need, with `extra` bytes that are not there yet."""
    engine, run = objective.network.engine, evaluation(objective, largest_strip)
    if objective.tile is not None:
        peak = resident(engine) + extra + run + TILED_BYTES_PER_UNKNOWN * math.prod(objective.shape)
        return MemoryEstimate(int(engine.memory_factor * peak), math.inf, objective.tile)
    if engine is where_vectors_are(engine, optimizer):
        run += vectors(math.prod(objective.shape), optimizer, bounded)
    if largest_strip == math.inf and not engine.has_own_memory and startup.keeps_memory():
        run += HOLES_PER_UNKNOWN * math.prod(objective.shape)
    peak = resident(engine) + extra + run
    return MemoryEstimate(int(engine.memory_factor * peak), largest_strip)


def at_size(objective: Objective, height: int, width: int, tile: int | None = None) -> tuple[Objective, int]:
    """Return what stands for `objective` with images of that size, and the bytes of the features that it keeps.

    It can only be estimated: its targets have the shapes of features, but no numbers.
    """
    other = copy.copy(objective)
    other.shape, other.tile = (height, width, 3), tile
    if objective.content is not None:
        other.content = np.broadcast_to(np.zeros((), objective.dtype), other.shape)
    shapes = objective.network.shapes(height, width)
    kept, other.summands = 0, []
    for term in objective.summands:
        if term.guide is not None:
            guide = np.broadcast_to(np.zeros((), objective.dtype), (1, *shapes[term.layer][:2], 1))
            term, kept = replace(term, guide=guide), kept + guide.nbytes
        if term.loss.statistic is None and tile is not None:
            term = replace(term, target=None)
        elif term.loss.statistic is None or is_joined(term.loss.statistic):  # the target is as large as the features
            height_l, width_l, channels = shapes[term.layer]
            shape = (
                (1, height_l, width_l, channels) if term.loss.statistic is None else (1, channels, height_l * width_l)
            )
            target = np.broadcast_to(np.zeros((), objective.dtype), shape)
            term, kept = replace(term, target=target), kept + target.nbytes
        other.summands.append(term)
    if objective.laplacian_target is not None:
        other.laplacian_target = np.broadcast_to(np.zeros((), objective.dtype), (1, *other.shape))
        kept += other.laplacian_target.nbytes
    return other, kept


def where_vectors_are(engine: Engine, optimizer: str) -> Engine:
    """Return the engine in whose memory an optimiser's vectors are: SciPy's are on the CPU."""
    return cpu if optimizer in ON_THE_CPU and engine.has_own_memory else engine


def vectors(unknowns: int, optimizer: str, bounded: bool = False) -> int:
    """Return the bytes that an optimiser and `stylize` hold for so many unknowns."""
    optimizers = BYTES_PER_BOUNDED_UNKNOWN if bounded else BYTES_PER_UNKNOWN
    return unknowns * (optimizers[optimizer] + RUN_BYTES_PER_UNKNOWN)


def fit(
    objective: Objective, optimizer: str, limit: int | None = None, bounded: bool = False, extra: int = 0
) -> MemoryEstimate:
    """Set the largest strips with which `objective` stays within `limit` bytes, and return the estimate.

    Without a limit they are those that suit the machine, and if there are none, the smallest.  `extra` bytes are not
    there yet, but will be.

    Raises
    ------
    UserError
        If it takes more than the limit with all strips, or more than is free.
    """
    threads.release()  # buffers of a coarser scale
    engine = objective.network.engine
    engine.release_memory()
    most = available(engine) if limit is None else limit
    for largest_strip in STRIPS if objective.tile is None else STRIPS[:1]:
        found = estimate(objective, optimizer, bounded, largest_strip, extra)
        if found.peak <= (capacity(engine, largest_strip) if limit is None else limit):
            break
    if found.peak > most:
        height, width, _ = objective.shape
        in_smaller_strips = objective.tile is None and found.largest_strip > STRIPS[-1]
        raise UserError(too_large(height, width, found.peak, optimizer, most, engine, in_smaller_strips))
    objective.largest_strip = found.largest_strip
    if found.largest_strip < math.inf and not engine.has_own_memory:
        startup.give_memory_back()
    return found


def too_large(
    height: int,
    width: int,
    needed: int,
    optimizer: str,
    limit: int,
    engine: Engine = cpu,
    in_smaller_strips: bool = False,
) -> str:
    """Return the message that there is not enough memory; `in_smaller_strips` it might do."""
    whose, there = "a GPU's memory" if engine.has_own_memory else "memory", in_words(limit)
    if in_smaller_strips:
        return (
            f"{width}x{height} pixels need {in_words(needed)} of {whose}, and {there} are free: end other programs, "
            f"choose a smaller size, or give --memory-limit {limit // 10**6}M, so that large layers are computed in "
            "strips."
        )
    return (
        f"{width}x{height} pixels need at least {in_words(needed)} of {whose} with the optimiser {optimizer}, and "
        f"{there} are there: choose a smaller size"
        + ("." if optimizer == "adam" else ", or an optimiser that remembers less.")
    )
