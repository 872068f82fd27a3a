"""Style loss, `scratchnst.losses.style_loss`, on this engine's Gram matrices."""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_shape
from scratchnst.engine.cpu import gram
from scratchnst.losses.style_loss import distance_backward, norm_of

__all__ = ["backward", "distance", "distance_backward", "forward", "statistic"]

statistic = gram


def forward(F: Array, A: Array) -> tuple[float, tuple[Array, tuple]]:
    """Return the style loss E, equation 4 of the paper, and the cache; one A may do for a whole batch."""
    G, _ = gram.forward(F)
    E, distance_cache = distance(G, A, F.shape[1] * F.shape[2])
    return E, (F, distance_cache)


def backward(grad_y: float, cache: tuple[Array, tuple]) -> Array:
    """Return dL/dF, of F's shape and dtype, from `grad_y` = dL/dE."""
    F, distance_cache = cache
    return gram.backward(distance_backward(grad_y, distance_cache), F)


def distance(G: Array, A: Array, pixels: int) -> tuple[float, tuple[Array, float]]:
    """Return E, equation 4, of Gram matrices `G` (N, C, C) of so many pixels against `A`, and the cache."""
    check_shape("target", A, (1 if len(A) == 1 else len(G), *G.shape[1:]))
    difference, norm = G - A, norm_of(G, pixels)
    accurate = difference.astype("float64", copy=False)
    return float(np.vdot(accurate, accurate)) / (4 * norm), (difference, norm)
