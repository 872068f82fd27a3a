"""Style loss, `scratchnst.losses.style_loss`, on this engine's Gram matrices."""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_shape
from scratchnst.engine.cpu import gram
from scratchnst.losses import of_statistic
from scratchnst.losses.style_loss import distance_backward, norm_of

statistic = gram


def distance(G: Array, A: Array, pixels: int) -> tuple[float, tuple[Array, float]]:
    """Return E, equation 4, of Gram matrices `G` (N, C, C) of so many pixels against `A`, and the cache."""
    check_shape("target", A, (1 if len(A) == 1 else len(G), *G.shape[1:]))
    difference, norm = G - A, norm_of(G, pixels)
    accurate = difference.astype("float64", copy=False)
    return float(np.vdot(accurate, accurate)) / (4 * norm), (difference, norm)


forward, backward = of_statistic(statistic, distance, distance_backward)
