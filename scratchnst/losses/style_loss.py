r"""Style loss of one layer: the squared distance between Gram matrices.

Equation 4 of the paper, G the Gram matrix of the image at a layer of N channels and M = H W pixels, A that of
the style image::

    E = 1 / (4 N^2 M^2) sum_{i,j} (G[i,j] - A[i,j])^2                                              (4)

The style loss is a weighted sum of E over layers, equation 5; `scratchnst.transfer.objective` adds it up.

In the paper the style image has as many pixels as the image, M' = M.  Equation 4 is then the distance of two means over
positions, and as such needs no equal sizes::

    E = 1 / (4 N^2) sum_{i,j} (G[i,j] / M - A'[i,j] / M')^2,      which is (4) with A = A' M / M'

where A' is the Gram matrix of a style of M' pixels.  So A is what the objective hands over, and nothing below changes.

Derivation of ``backward``.  The square gives dE/dG = 2 (G - A) / (4 N^2 M^2) = (G - A) / (2 N^2 M^2).  G - A is
symmetric, so `gram.backward` multiplies it by 2 F::

    dE/dF = F (G - A) / (N^2 M^2)                                                                  (a)

The paper's equation 6 goes one step further, through the ReLU that made F (the paper's F is ours transposed,
hence its F^T)::

    dE/dF = F (G - A) / (N^2 M^2)  where F > 0,   0 where F < 0                                    (6)

As in equation 2, what the paper writes as F < 0 is F = 0 here, where the ReLU cut off.  `equation_6` states that;
`backward` below is (a), and the network's own ReLU does the rest.

Cached: F, by reference, the (C, C) matrix G - A, and N^2 M^2.

Differs from the paper: the style may have another size.  Others divide otherwise: a table is in the README.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.losses import gram

statistic = gram  # a sum over positions


def forward(F: Array, A: Array) -> tuple[float, tuple[Array, tuple]]:
    """Return the style loss E, equation 4, and the cache.

    Parameters
    ----------
    F : (N, H, W, C) array, the activations of the image; a batch's losses are added up
    A : (N, C, C) or (1, C, C) array, the Gram matrix of the style image, times M / M' if that has M' positions and not
        the M = H W of F

    Returns
    -------
    E : float, summed in float64
    cache : what `backward` needs
    """
    G, _ = gram.forward(F)
    E, distance_cache = distance(G, A, F.shape[1] * F.shape[2])
    return E, (F, distance_cache)


def backward(grad_y: float, cache: tuple[Array, tuple]) -> Array:
    """Return dL/dF, of F's shape and dtype, from `grad_y` = dL/dE: equation (a)."""
    F, distance_cache = cache
    return gram.backward(distance_backward(grad_y, distance_cache), F)


def distance(G: Array, A: Array, pixels: int) -> tuple[float, tuple[Array, float]]:
    """Return E, equation 4, of Gram matrices `G` (N, C, C) of so many pixels against `A`, and the cache."""
    difference, norm = G - A, norm_of(G, pixels)
    E = float((difference.astype("float64") ** 2).sum()) / (4 * norm)
    return E, (difference, norm)


def distance_backward(grad_y: float, cache: tuple[Array, float]) -> Array:
    """Return dL/dG = grad_y (G - A) / (2 N^2 M^2), of G's shape and dtype."""
    difference, norm = cache
    return difference * difference.dtype.type(grad_y / (2 * norm))


def norm_of(G: Array, pixels: int) -> float:
    """Return N^2 M^2 of equation 4, N channels, M pixels; of a pair of layers with N and N' channels N N' M^2."""
    return float(G.shape[-2]) * float(G.shape[-1]) * float(pixels) ** 2


def equation_6(F: Array, A: Array) -> Array:
    """Return equation 6 of the paper, the gradient of E with respect to the input of the ReLU that made `F`.

    `F` is (M, C), one image's activations as a matrix; `A` is (C, C).
    """
    M, N = F.shape
    G = F.T @ F
    return array_module(F).where(F > 0, F @ (G - A) / (N**2 * M**2), F.dtype.type(0))


def forward_loops(F: Array, A: Array) -> float:
    """Equations 3 and 4, one product and one square at a time."""
    G = gram.forward_loops(F)
    _, height, width, channels = F.shape
    E = 0.0
    for n, i, j in np.ndindex(*G.shape):
        E += float(G[n, i, j] - A[n % len(A), i, j]) ** 2 / (4 * channels**2 * (height * width) ** 2)
    return E


def backward_loops(grad_y: float, F: Array, A: Array) -> Array:
    """Each square of equation 4, then each product of equation 3, reversed."""
    G = gram.forward_loops(F)
    _, height, width, channels = F.shape
    grad_G = np.zeros_like(G)
    for n, i, j in np.ndindex(*G.shape):
        grad_G[n, i, j] = grad_y * 2 * (G[n, i, j] - A[n % len(A), i, j]) / (4 * channels**2 * (height * width) ** 2)
    return gram.backward_loops(grad_G, F)
