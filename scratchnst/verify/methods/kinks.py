"""Kinks: places where a function has a slope on either side and no derivative.

A ReLU has one at zero, a max pool wherever its winner changes.  A difference taken across a kink is the derivative of
neither side.  It is found from the pattern of the units: the sign of every ReLU's input, the winner of every pool.
Where the pattern at x - h, x and x + h is the same, no kink was crossed.

A pattern is a dictionary, name of the operation or layer -> integer array with one entry for each unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from scratchnst.arrays import Array, array_module
from scratchnst.losses import projections
from scratchnst.models.network import Network
from scratchnst.ops import max_pool
from scratchnst.verify.methods.differences import Direction, moved

Pattern = Mapping[str, Array]


def relu_signs(x: Array) -> Pattern:
    """The sign, -1, 0 or 1, of every element that enters a ReLU."""
    return {"relu": array_module(x).sign(x).astype("int8")}


def pool_winners(x: Array) -> Pattern:
    """The number 0-3 of the pixel that wins in each square of a max pool."""
    _, (_, winner) = max_pool.forward(x)
    return {"max_pool": winner}


def difference_signs(x: Array) -> Pattern:
    """The sign of every difference of an absolute total variation."""
    sign = array_module(x).sign
    return {"down": sign(x[:, 1:] - x[:, :-1]).astype("int8"), "right": sign(x[:, :, 1:] - x[:, :, :-1]).astype("int8")}


def projection_ranks(F: Array) -> Pattern:
    """The positions in the order of their numbers in each direction."""
    P, _ = projections.forward(F)
    return {"sort": P.reshape(len(P), -1, P.shape[3]).argsort(axis=1)}


def network_pattern(network: Network, cache: Mapping[str, Any]) -> Pattern:
    """The units of every layer that has kinks, from the cache that `network.forward` returned.

    For a ReLU that is whether its output is positive, which changes at the kink as the sign of its input does.
    """
    pattern = {}
    for layer in network.layers:
        if layer.name in cache:
            for name, units in layer.rule.kinks(network.pooling, cache[layer.name]).items():
                pattern[f"{layer.name} {name}"] = units
    return pattern


def changes(before: Pattern, after: Pattern) -> dict[str, Array]:
    """Name -> which of its units differ between two patterns; names without any are left out."""
    different = {name: before[name] != after[name] for name in before}
    return {name: units for name, units in different.items() if units.any()}


def crossed(
    patterns: Callable[[Array], Pattern], x: Array, direction: Direction, step: float, here: Pattern | None = None
) -> dict[str, Array]:
    """Name -> which of its units cross a kink between x - step v and x + step v; empty if none does.

    `here` is the pattern at x, which is computed if it is None.
    """
    here = patterns(x) if here is None else here
    ahead = changes(here, patterns(moved(x, direction, step)))
    behind = changes(here, patterns(moved(x, direction, -step)))
    return merged(ahead, behind)


def merged(*several: Mapping[str, Array]) -> dict[str, Array]:
    """The units that are in any of `several`."""
    units: dict[str, Array] = {}
    for each in several:
        for name, mask in each.items():
            units[name] = units[name] | mask if name in units else mask
    return units
