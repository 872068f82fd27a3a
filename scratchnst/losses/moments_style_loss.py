r"""Style loss of one layer by moments: means and deviations of the channels, compared with those of the style.

Equation, for C channels with mean[c] and deviation s[c] over the M positions of the image, mean' and s' those of the
style::

    E = 1/C sum_c (mean[c] - mean'[c])^2 + (s[c] - s'[c])^2,     s = sqrt(variance + EPSILON)      (a)

Each summand is the squared Wasserstein distance of two normal distributions of one variable: what it costs, on average,
to move the numbers of one so that they are distributed as the other.  `wasserstein_style_loss` is the same for all
channels together, whose covariances count there, too.

Derivation of ``backward``.  The slopes of the moments are those of `scratchnst.ops.moments`: dmean/dF[m] = 1/M and
ds/dF[m] = z[m]/M, with z = (F - mean) / s.  With the squares' 2::

    dE/dF[m] = 2/(C M) (mean - mean' + (s - s') z[m])
             = 2/(C M) (F[m] - (mean' + s' z[m]))                                                  (b)

where, since s z = F - mean, the brackets hold what F[m] differs from adaptive instance normalisation,
`scratchnst.ops.adain`: each number is pulled to where AdaIN would put it.

The moments are read from `moment_matrix`, a sum over positions.  With its variance = q - mean^2, q[c] the mean of F^2,
dE/dq = (s - s') / (C s), and the mean gets 2/C (mean - mean') and, through the variance, -2 mean dE/dq.

Precision: in float32 the variance of a channel of almost one number is rounding; negative, it counts as 0.

Cached: F, by reference; of the moment matrix, what `distance_backward` needs.

Differs from the paper: it compares Gram matrices, whose diagonal is M (mean^2 + variance).  Source: Y. Li, N. Wang,
J. Liu, X. Hou, "Demystifying Neural Style Transfer", IJCAI 2017, arXiv 1701.01036, section 4.2: the statistics of batch
normalisation.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array, array_module, as_number
from scratchnst.losses import moment_matrix, of_statistic
from scratchnst.ops import moments
from scratchnst.ops.instance_norm import EPSILON

statistic = moment_matrix


def distance(S: Array, target: Array, pixels: int) -> tuple[float, tuple]:
    """Return E, equation (a), of moment matrices `S` (N, C + 1, C + 1) against `target`, one or N, and the cache."""
    mean, deviation = _mean_and_deviation(S)
    mean_s, deviation_s = _mean_and_deviation(target)
    of_mean, of_deviation = mean - mean_s, deviation - deviation_s
    E = ((of_mean**2).sum() + (of_deviation**2).sum()) / mean.shape[1]
    return as_number(E), (S, mean, deviation, of_mean, of_deviation)


def distance_backward(grad_y: float, cache: tuple) -> Array:
    """Return dL/dS, of S's shape and dtype, from `grad_y` = dL/dE."""
    S, mean, deviation, of_mean, of_deviation = cache
    factor = grad_y / mean.shape[1]
    grad_variance = factor * of_deviation / deviation
    grad_mean = 2 * factor * of_mean - 2 * mean * grad_variance
    identity = array_module(S).asarray(np.eye(mean.shape[1]))
    return moment_matrix.moments_backward(grad_mean, grad_variance[:, None] * identity, S)


def _mean_and_deviation(S):
    """Means and deviations (N, C) of moment matrices."""
    mean, products = moment_matrix.moments(S)
    variance = products.diagonal(axis1=1, axis2=2) - mean**2
    return mean, (variance.clip(0) + EPSILON) ** 0.5


forward, backward = of_statistic(statistic, distance, distance_backward)


def forward_loops(F: Array, target: Array) -> float:
    """Equation (a), one channel at a time, with the moments by the loops of `scratchnst.ops.moments`."""
    y, (mean_s, deviation_s) = moments.forward_loops(F.astype("float64")), _mean_and_deviation(target)
    E = 0.0
    for n, c in np.ndindex(len(F), F.shape[3]):
        style = n % len(target), c
        E += ((y[n, 0, c] - mean_s[style]) ** 2 + (y[n, 1, c] - deviation_s[style]) ** 2) / F.shape[3]
    return E


def backward_loops(grad_y: float, F: Array, target: Array) -> Array:
    """Equation (b), one number at a time."""
    y, (mean_s, deviation_s) = moments.forward_loops(F.astype("float64")), _mean_and_deviation(target)
    grad_F = np.zeros_like(F)
    for n, p, q, c in np.ndindex(*F.shape):
        style = n % len(target), c
        wanted = mean_s[style] + deviation_s[style] * (F[n, p, q, c] - y[n, 0, c]) / y[n, 1, c]
        grad_F[n, p, q, c] = grad_y * 2 * (F[n, p, q, c] - wanted) / F[0].size
    return grad_F
