r"""Style loss of a pair of layers: the squared distance between cross-layer Gram matrices.

With G the cross-layer Gram matrix (`scratchnst.losses.cross_gram`) of the image at a layer of N channels and a deeper
one of N' channels and M pixels, A that of the style image::

    E = 1 / (4 N N' M^2) sum_{i,j} (G[i,j] - A[i,j])^2                                             (a)

For a pair of one layer with itself this is equation 4.  M counts the pixels of the deeper layer, where the common
resolution is: G / M is a mean over positions, the same as if the deeper layer had been upsampled.

Derivation of ``backward``.  dE/dG = 2 (G - A) / (4 N N' M^2), and equations (c) of `cross_gram` lead on to both
layers, P being F averaged down to the resolution of K::

    dE/dK = P (G - A) / (2 N N' M^2),      dE/dP = K (G - A)^T / (2 N N' M^2)                      (b)

The 2 stays.  In equation 6 it is taken by the symmetric Gram matrix, in which F stands twice; here each of the two
layers stands in it once.

Cached: F and K, by reference, the matrix G - A, and N N' M^2.

Differs from the paper: it names no factor; this one has equation 4 as its special case.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.losses import cross_gram
from scratchnst.losses.style_loss import distance, distance_backward

statistic = cross_gram  # a sum over positions


def forward(F: Array, K: Array, A: Array) -> tuple[float, tuple[tuple[Array, Array], tuple]]:
    """Return the style loss E, equation (a), and the cache.

    Parameters
    ----------
    F : (N, H, W, C) array, the activations of a layer
    K : (N, H', W', C') array, those of a deeper one, see `cross_gram`
    A : (N, C, C') or (1, C, C') array, the cross-layer Gram matrix of the style image, as for `style_loss`

    Returns
    -------
    E : float, summed in float64; a batch's losses are added up
    cache : what `backward` needs
    """
    G, features = cross_gram.forward(F, K)
    E, distance_cache = distance(G, A, K.shape[1] * K.shape[2])
    return E, (features, distance_cache)


def backward(grad_y: float, cache: tuple[tuple[Array, Array], tuple]) -> tuple[Array, Array]:
    """Return dL/dF and dL/dK from `grad_y` = dL/dE: equation (b)."""
    features, distance_cache = cache
    return cross_gram.backward(distance_backward(grad_y, distance_cache), features)


def forward_loops(F: Array, K: Array, A: Array) -> float:
    """Equation (a), one square at a time."""
    G = cross_gram.forward_loops(F, K)
    E = 0.0
    for n, i, j in np.ndindex(*G.shape):
        E += float(G[n, i, j] - A[n % len(A), i, j]) ** 2 / (4 * _norm(G, K))
    return E


def backward_loops(grad_y: float, F: Array, K: Array, A: Array) -> tuple[Array, Array]:
    """Each square of equation (a), then each product of the Gram matrix, reversed."""
    G = cross_gram.forward_loops(F, K)
    grad_G = np.zeros_like(G)
    for n, i, j in np.ndindex(*G.shape):
        grad_G[n, i, j] = grad_y * 2 * (G[n, i, j] - A[n % len(A), i, j]) / (4 * _norm(G, K))
    return cross_gram.backward_loops(grad_G, F, K)


def _norm(G, K):
    """N N' M^2."""
    _, height, width, _ = K.shape
    return G.shape[1] * G.shape[2] * (height * width) ** 2
