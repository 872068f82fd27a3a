r"""Gram matrix: how strongly each pair of a layer's channels is active at the same places.

Equation 3 of the paper.  With F of one image as (M, C), M = H W pixels by C channels (the paper's F, transposed)::

    G[i,j] = sum_m F[m,i] F[m,j],      G = F^T F                                                   (3)

All positions are added up: G forgets where things are and keeps which features go together, the style.

Derivation of ``backward``.  Let g = dL/dG.  F[m,c] enters row c of G, as G[c,j] with slope F[m,j], and column
c, as G[i,c] with slope F[m,i] (the diagonal G[c,c] = F[m,c]^2 + ... twice, once in each)::

    dL/dF[m,c] = sum_j g[c,j] F[m,j] + sum_i g[i,c] F[m,i],      dL/dF = F (g + g^T)               (a)

For the symmetric g of a style loss that is 2 F g: the factor 2 that turns the 4 of equation 4 into the 1 of
equation 6, together with the 2 of the square.

Cached: F, by reference.

Differs from the paper: F is transposed.  In float32 the sum over m runs in float32, inside BLAS, to about 1e-6 of G.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array


def forward(x: Array) -> tuple[Array, Array]:
    """Return the Gram matrices (N, C, C) of activations `x` (N, H, W, C), and the cache, x: equation 3."""
    F = _matrix(x)
    return F.swapaxes(1, 2) @ F, x


def backward(grad_y: Array, cache: Array) -> Array:
    """Return dL/dx (N, H, W, C) from `grad_y` = dL/dG (N, C, C): equation (a)."""
    x = cache
    F = _matrix(x)
    return (F @ (grad_y + grad_y.swapaxes(1, 2))).reshape(x.shape)


def _matrix(x):
    """View (N, H, W, C) activations as one (H W, C) matrix F an image."""
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2], x.shape[3])


def forward_loops(x: Array) -> Array:
    """Equation 3, one product at a time."""
    count, height, width, channels = x.shape
    G = np.zeros((count, channels, channels), x.dtype)
    for n, p, q in np.ndindex(count, height, width):
        for i, j in np.ndindex(channels, channels):
            G[n, i, j] += x[n, p, q, i] * x[n, p, q, j]
    return G


def backward_loops(grad_y: Array, x: Array) -> Array:
    """The product rule on each product of equation 3."""
    count, height, width, channels = x.shape
    grad_x = np.zeros_like(x)
    for n, p, q in np.ndindex(count, height, width):
        for i, j in np.ndindex(channels, channels):
            grad_x[n, p, q, i] += grad_y[n, i, j] * x[n, p, q, j]
            grad_x[n, p, q, j] += grad_y[n, i, j] * x[n, p, q, i]
    return grad_x
