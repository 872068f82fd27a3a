"""Style loss, `scratchnst.losses.style_loss`: the squared distance of Gram matrices."""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_shape
from scratchnst.engine.cuda import gram, squares
from scratchnst.losses import of_statistic
from scratchnst.losses.style_loss import distance_backward, norm_of

statistic = gram


def distance(G: Array, A: Array, pixels: int) -> tuple[Array, tuple[Array, float]]:
    """Return E, equation 4, of Gram matrices `G` (N, C, C) of so many pixels against `A`, and the cache.

    The loss is an array without dimensions, float64, see `sums.total`.
    """
    check_shape("target", A, (1 if len(A) == 1 else len(G), *G.shape[1:]))
    A = A if len(A) == len(G) else A.repeat(len(G), axis=0)
    norm = norm_of(G, pixels)
    E, difference = squares.distance(G, A, 1 / (4 * norm))
    return E, (difference, norm)


forward, backward = of_statistic(statistic, distance, distance_backward)
