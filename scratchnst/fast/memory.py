"""How much memory a painting takes, and whether it is painted in strips.

That is decided by what the machine has in all, or by the user, but not by what happens to be free: strips round
otherwise.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scratchnst.engine import meta
from scratchnst.engine.cpu import threads
from scratchnst.fast import strips
from scratchnst.images import fitted_shape
from scratchnst.models import adain_net, transform_net
from scratchnst.models.network import Network
from scratchnst.system import startup
from scratchnst.system.capacity import capacity, resident

ARRAYS_OF_A_STRIP = 2  # as large as its widest layer: a convolution and its norm
WORKSPACE, OF_A_THREAD = 6_000_000, 9_000_000  # bytes of buffers of the engine, and of what stays between arrays
HOLES = 22  # bytes a pixel, where memory stays with the process, see `scratchnst.system.startup`; measured
PHOTO, PAINTING, TO_WRITE = 12, 12, 27  # bytes a pixel; the last clips and rounds


@dataclass(frozen=True)
class Outlook:
    """What painting a photograph will take.

    Attributes
    ----------
    peak : bytes of the process, or of a GPU's memory, at most
    in_strips : whether it is painted in strips
    """

    peak: int
    in_strips: bool


def outlook(network: Network, height: int, width: int, limit: int | None = None) -> Outlook:
    """Return what a photograph of this size takes: whole, if that is within the limit, else in strips.

    Without a limit, strips are for what is too large for the machine.  `peak` may be above the limit.
    """
    engine = network.engine
    in_strips = needs_strips(network, height, width, limit)
    run = strips_of(network, height, width) if in_strips else whole(network, height, width)
    pixels = 0 if engine.has_own_memory else height * width
    peak = max(run + pixels * _beside(network), pixels * (PHOTO + PAINTING + TO_WRITE))
    return Outlook(int(resident(engine) + engine.memory_factor * peak), in_strips)


def needs_strips(network: Network, height: int, width: int, limit: int | None = None) -> bool:
    """Return whether a photograph of this size takes more than the limit, or than suits the machine, as a whole."""
    engine = network.engine
    needed = whole(network, height, width) + height * width * _beside(network)
    return engine.memory_factor * needed > (capacity(engine) if limit is None else limit - resident(engine))


def whole(network: Network, height: int, width: int, layers: Sequence[str] = (transform_net.OUTPUT,)) -> int:
    """Return the bytes that the network takes at most, for a picture of this size and for what becomes of it.

    It is run, as far as some layers need it, with arrays that have no numbers, see `scratchnst.engine.meta`.
    """
    engine: Any = meta.of(network.engine.name)
    for layer in network.layers:
        engine.describe(layer.rule.operation(network.pooling), layer.rule.inputs, layer.rule.shape)
    x: Any = meta.MetaArray(engine.ledger, (1, *_padded(network, height, width), 3), _dtype(network))
    replace(network, engine=engine).features(x, layers)
    return engine.ledger.peak + _workspace(network)


def strips_of(network: Network, height: int, width: int) -> int:
    """Return the bytes that `strips.Painter` takes at most for a picture of this size, and its painting."""
    shapes, layers = network.shapes(*_padded(network, height, width)), strips.kept_layers(network)
    numbers, kept = [], 0
    for name, needed in layers.items():
        numbers.append(kept + math.prod(shapes[name]))
        kept = sum(math.prod(shapes[one]) for one in needed)
    widest = max(math.prod(shape) for shape in shapes.values())
    size = np.dtype(_dtype(network)).itemsize
    most = max(max(numbers, default=0) * size, kept * size + height * width * PAINTING)
    return most + ARRAYS_OF_A_STRIP * min(strips.NUMBERS_PER_STRIP, widest) * size + _workspace(network)


def largest_size(network: Network, height: int, width: int, limit: int | None, most: int) -> int | None:
    """Return the longest side at which a photograph with these proportions takes `most` bytes or less, or None."""
    longest = max(height, width)
    smallest = -(-transform_net.SMALLEST_SIDE * longest // min(height, width))

    def is_too_large(size):
        return outlook(network, *fitted_shape((height, width), size), limit).peak > most

    found = bisect(range(smallest, longest + 1), False, key=is_too_large)
    return smallest + found - 1 if found else None


def _beside(network):
    """Return the bytes a pixel that the process has beside what the network takes."""
    if network.engine.has_own_memory:
        return 0
    prepared = PHOTO if adain_net.has_margin(network) else 0  # with a margin, beside the photograph itself
    return PHOTO + prepared + (HOLES if startup.keeps_memory() else 0)


def _workspace(network):
    return WORKSPACE + OF_A_THREAD * (1 if network.engine.has_own_memory else threads.count())


def _padded(network, height, width):
    margin = 2 * adain_net.MARGIN if adain_net.has_margin(network) else 0
    return tuple(side + -side % transform_net.STRIDE + margin for side in (height, width))


def _dtype(network):
    return network.parameters[transform_net.OUTPUT][0].dtype
