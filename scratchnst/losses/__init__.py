"""The losses, each a page of the textbook: content (equations 1, 2), style (3, 4, 6), and those that are options.

Each keeps the contract of `scratchnst.ops`.  A loss on a layer's features F also names the statistic that it compares:

    statistic = None     F itself, position by position: the losses of parts of an image add up (content loss)
    statistic = gram     an operation with forward and backward, whose results for parts of an image add up, and
                         whose cache is what it was given: F or, of a pair of layers, (F, K)

In the second case the loss is a distance of the sum S from the target, and it has two functions more::

    loss, cache = distance(S, target, pixels)         pixels: positions that have entered S
    grad_S      = distance_backward(grad_loss, cache)

So an image may be computed in strips, and how S is added up does not depend on the loss.  The target is the S of
another image; if that has M' positions and not M, its S times M / M', which has the same mean: `as_target`.
`of_statistic` makes the loss's forward and backward of these.

A statistic whose results for parts of an image do not add up says ``joined = True``, and has numbers for each position,
(N, rows, W, K): the parts are joined, and take memory for all positions.  It has an ``as_target`` of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from scratchnst.arrays import Array


def of_statistic(
    statistic: ModuleType, distance: Callable, distance_backward: Callable
) -> tuple[Callable[..., tuple], Callable[[float, tuple], Any]]:
    """Return ``forward`` and ``backward`` of the loss that is a distance of statistics.

    It takes features F (N, H, W, C), or those of two layers, the deeper one last, and the target.
    """

    def forward(*features_and_target: Array) -> tuple:
        *features, target = features_and_target
        S, statistic_cache = statistic.forward(*features)
        loss, distance_cache = distance(S, target, features[-1].shape[1] * features[-1].shape[2])
        return loss, (statistic_cache, distance_cache)

    def backward(grad_loss: float, cache: tuple) -> Any:
        statistic_cache, distance_cache = cache
        return statistic.backward(distance_backward(grad_loss, distance_cache), statistic_cache)

    return forward, backward


def is_joined(statistic: ModuleType | None) -> bool:
    """Return whether a statistic's results for parts of an image are joined, and not added up."""
    return getattr(statistic, "joined", False)


def as_target(statistic: ModuleType, S: Array, theirs: int, pixels: int) -> Array:
    """Return what an S of `theirs` positions is as the target of an image of `pixels` positions."""
    return statistic.as_target(S, pixels) if is_joined(statistic) else S * S.dtype.type(pixels / theirs)
