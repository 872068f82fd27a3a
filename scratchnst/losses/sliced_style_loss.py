r"""Style loss of one layer by the sliced Wasserstein distance: how features are distributed, direction by direction.

Equation, P[m,k] the projections of the image's features on C directions (`projections`), and Q[j,k] the j-th smallest
of the M numbers that the style has in direction k, or its quantiles, if it has another number of positions::

    E = 1/(C M) sum_k sum_j (P[(j),k] - Q[j,k])^2                                                  (a)

P[(j),k] being the j-th smallest of P[0,k] ... P[M-1,k].  On a line, the cheapest way to move M numbers to M others
leaves their order as it is: the sum over j, divided by M, is the squared Wasserstein distance of the two distributions
along w[k].  They need not be normal: all moments count, not only mean and covariance, as in `wasserstein_style_loss`.

Derivation of ``backward``.  Let j(m) be the rank of position m in direction k.  A small change of P changes no rank, if
no two numbers are equal: sorting is then a fixed permutation, whose derivative is the same permutation.  P[m,k] stands
in one square, that of its rank::

    dE/dP[m,k] = 2/(C M) (P[m,k] - Q[j(m),k])                                                      (b)

Each number is pulled to the quantile of its rank.  Of all permutations the sorted one has the smallest sum of squares
(if a < b and q < q', then (a - q)^2 + (b - q')^2 < (a - q')^2 + (b - q)^2), so E is the smallest of many smooth
functions: continuous, with a kink where two numbers are equal.  There (b) is one of the slopes that meet: the sort
decides which number comes first.  `projections.backward` carries (b) to the features.

Cached: P[m,k] - Q[j(m),k], at its place m.

Differs from the paper: it compares Gram matrices.  Source: E. Heitz, K. Vanhoey, T. Chambon, L. Belcour, "A Sliced
Wasserstein Loss for Neural Texture Synthesis", CVPR 2021, arXiv 2006.07229; they draw directions anew at each step.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array, array_module, as_number
from scratchnst.losses import of_statistic, projections

statistic = projections


def distance(S: Array, target: Array, pixels: int) -> tuple[float, Array]:
    """Return E, equation (a), of projections `S` (N, H, W, C) against `target`, and the cache.

    Parameters
    ----------
    target : (N, C, H W) or (1, C, H W) array, the style's quantiles, see `projections.as_target`
    """
    count, _, _, channels = S.shape
    columns = S.reshape(count, -1, channels).swapaxes(1, 2).reshape(-1, pixels)
    wanted = target if len(target) == count else target.repeat(count, axis=0)
    difference = (columns - at_ranks(columns, wanted.reshape(-1, pixels))).reshape(count, channels, pixels)
    difference = difference.swapaxes(1, 2).reshape(S.shape)
    return as_number((difference * difference).sum(dtype="float64") / (channels * pixels)), difference


def distance_backward(grad_y: float, cache: Array) -> Array:
    """Return dL/dP, of P's shape and dtype, from `grad_y` = dL/dE: equation (b)."""
    difference = cache
    return difference * difference.dtype.type(2 * grad_y / difference[0].size)


def at_ranks(rows: Array, sorted_rows: Array) -> Array:
    """Return, in the place of each number of `rows`, the one of its rank in the same row of `sorted_rows`."""
    xp = array_module(rows)
    order = rows.argsort(axis=1)
    found = xp.empty_like(sorted_rows)
    found[xp.arange(len(rows))[:, None], order] = sorted_rows
    return found


forward, backward = of_statistic(statistic, distance, distance_backward)


def forward_loops(F: Array, target: Array) -> float:
    """Equation (a), one square at a time."""
    P = projections.forward_loops(F.astype("float64"))
    E = 0.0
    for n, k in np.ndindex(len(F), F.shape[3]):
        for j, number in enumerate(sorted(P[n, :, :, k].ravel())):
            E += (number - target[n % len(target), k, j]) ** 2 / P[0].size
    return float(E)


def backward_loops(grad_y: float, F: Array, target: Array) -> Array:
    """Equation (b), one number at a time; its rank is counted."""
    P = projections.forward_loops(F.astype("float64"))
    grad_P = np.zeros_like(P)
    for n, p, q, k in np.ndindex(*P.shape):
        rank = np.sum(P[n, :, :, k] < P[n, p, q, k])
        grad_P[n, p, q, k] = grad_y * 2 * (P[n, p, q, k] - target[n % len(target), k, rank]) / P[0].size
    return projections.backward_loops(grad_P, F).astype(F.dtype)
