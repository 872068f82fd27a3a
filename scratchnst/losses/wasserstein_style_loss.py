r"""Style loss of one layer by the Wasserstein distance of normal distributions: means and covariances.

The features F[m], C numbers at each of the M positions of the image, have a mean and a covariance K, those of the style
mean' and K'.  Take both for normally distributed.  The squared Wasserstein distance is what it costs, in squares of
distances and on average, to move the one distribution to the other.  For normal ones it has a closed form (D. C.
Dowson, B. V. Landau, "The Frechet Distance between Multivariate Normal Distributions", Journal of Multivariate
Analysis 12, 1982)::

    E = 1/C ( |mean - mean'|^2 + tr K + tr K' - 2 tr Q ),     Q = (R K R)^(1/2),   R = K'^(1/2)    (a)

with the symmetric roots of `scratchnst.ops.matrix_square_root`.  K and K' both stand for the covariance + e I, e being
EPSILON times the mean square of the style's features: where channels depend on each other, as in grey and in constant
pictures, a covariance has eigenvalues of zero, whose roots have no slope.

Derivation of ``backward``.  K enters the trace and Q.  dtr K = tr dK, so dL/dK has I/C from there.  Q is the root of
P = R K R: with dL/dQ = -2/C I, `matrix_square_root.backward` solves Sylvester's equation for dL/dP, and P's two
factors R, which are constant, pass it on::

    dL/dK = 1/C I + R (dL/dP) R                                                                    (b)

Since dL/dQ is a multiple of I, the equation has the solution dL/dP = -1/C Q^(-1), and (b) is 1/C (I - T) with
T = R Q^(-1) R.  With the covariance = F^T F / M - mean mean^T this makes, for each position::

    dE/dF[m] = 2/(C M) ( mean - mean' + (I - T) (F[m] - mean) )
             = 2/(C M) ( F[m] - (mean' + T (F[m] - mean)) )                                        (c)

T K T = R Q^(-1) R K R Q^(-1) R = R R = K': the brackets hold the map that moves the one distribution to the other at
the least cost.  Each feature is pulled to where the best transport would put it.

The moments are read from `moment_matrix`, a sum over positions.  With its products = F^T F / M, dL/dproducts = dL/dK,
and the mean gets 2/C (mean - mean') and, through the covariance, -2 (dL/dK) mean.

Precision: from the moment matrix on all is computed in float64, and by NumPy on the CPU for arrays of CuPy's, too, as
the roots are.  Rounding of float32 sums changes K by 1e-6 of the mean square, a hundredth of e.

Cached: F, by reference; of the moment matrix, what `distance_backward` needs: matrices.

Differs from the paper: it compares Gram matrices, mean products of channels, and so mean and covariance in one.  Source
of the style loss: K. Crowson, "style-transfer-pytorch", 2021, which also has EPSILON, for features around 1.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array, array_module, asnumpy
from scratchnst.losses import moment_matrix, of_statistic
from scratchnst.ops import matrix_square_root

statistic = moment_matrix

EPSILON = 1e-4
LEAST = 1e-12  # of the mean square, for a style without any activation
ROUNDING = 1e-9  # of e^2: P's eigenvalues are e^2 at least, but for rounding


def distance(S: Array, target: Array, pixels: int) -> tuple[float, tuple]:
    """Return E, equation (a), of moment matrices `S` (N, C + 1, C + 1) against `target`, one or N, and the cache."""
    target = asnumpy(target)
    e = epsilon(target)
    mean, K = mean_and_covariance(asnumpy(S), e)
    mean_s, K_s = mean_and_covariance(target, e)
    R, _ = matrix_square_root.forward(K_s, 0)
    Q, root_cache = matrix_square_root.forward(R @ K @ R, ROUNDING * e**2)
    of_mean = mean - mean_s
    traces = K.trace(axis1=1, axis2=2) + K_s.trace(axis1=1, axis2=2) - 2 * Q.trace(axis1=1, axis2=2)
    E = ((of_mean**2).sum() + traces.sum()) / mean.shape[1]
    return float(E), (S, mean, of_mean, R, root_cache)


def distance_backward(grad_y: float, cache: tuple) -> Array:
    """Return dL/dS, of S's shape and dtype, from `grad_y` = dL/dE: equation (b)."""
    *arrays, root_cache = cache
    S, mean, of_mean, R = map(asnumpy, arrays)
    channels = mean.shape[1]
    factor = grad_y / channels
    identity = np.eye(channels)[None].repeat(len(S), axis=0)
    grad_P = matrix_square_root.backward(-2 * factor * identity, root_cache)
    grad_K = factor * identity + R @ grad_P @ R
    grad_mean = 2 * factor * of_mean - 2 * (grad_K @ mean[:, :, None])[:, :, 0]
    return array_module(arrays[0]).asarray(moment_matrix.moments_backward(grad_mean, grad_K, S))


def epsilon(target: Array) -> Array:
    """Return e, (N, 1), of the style's moment matrices."""
    _, products = moment_matrix.moments(target)
    return EPSILON * (products.diagonal(axis1=1, axis2=2).mean(axis=1, keepdims=True) + LEAST)


def mean_and_covariance(S: Array, e: Array) -> tuple[Array, Array]:
    """Return the means (N, C) and K (N, C, C), the covariance + e I, of moment matrices."""
    mean, products = moment_matrix.moments(S)
    return mean, products - mean[:, :, None] * mean[:, None] + e[:, :, None] * np.eye(mean.shape[1])


forward, backward = of_statistic(statistic, distance, distance_backward)


def forward_loops(F: Array, target: Array) -> float:
    """Equation (a) with NumPy's covariance, and tr Q from the eigenvalues of K K', which are those of P."""
    E = 0.0
    for features, S in _pairs(F, target):
        (mean, K), (mean_s, K_s) = _of_features(features, epsilon(S)), mean_and_covariance(S, epsilon(S))
        roots = np.sqrt(np.linalg.eigvals(K @ K_s[0]).real)
        E += (np.sum((mean - mean_s[0]) ** 2) + np.trace(K) + np.trace(K_s[0]) - 2 * roots.sum()) / len(mean)
    return float(E)


def backward_loops(grad_y: float, F: Array, target: Array) -> Array:
    """Equation (c), one position at a time, with the roots of the iteration in `matrix_square_root`."""
    grad_F = np.zeros_like(F)
    for features, S, grad in zip(*zip(*_pairs(F, target)), grad_F.reshape(len(F), -1, F.shape[3])):
        (mean, K), (mean_s, K_s) = _of_features(features, epsilon(S)), mean_and_covariance(S, epsilon(S))
        R = matrix_square_root.forward_loops(K_s, 0)[0]
        T = R @ np.linalg.inv(matrix_square_root.forward_loops((R @ K @ R)[None], 0)[0]) @ R
        for m, feature in enumerate(features):
            grad[m] = grad_y * 2 * (feature - (mean_s[0] + T @ (feature - mean))) / features.size
    return grad_F


def _pairs(F, target):
    """Yield the features (M, C) of each image and its style's moment matrix (1, C + 1, C + 1), float64."""
    for n, image in enumerate(F.astype("float64")):
        yield image.reshape(-1, F.shape[3]), target[n % len(target)][None].astype("float64")


def _of_features(features, e):
    """Mean and K of the features (M, C) of one image."""
    channels = features.shape[1]
    covariance = np.cov(features.T, bias=True).reshape(channels, channels)
    return features.mean(axis=0), covariance + e[0] * np.eye(channels)
