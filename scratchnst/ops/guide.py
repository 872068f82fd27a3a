r"""Guidance: features multiplied by how much their position counts, the same for all channels.

Gatys et al., "Controlling Perceptual Factors in Neural Style Transfer", CVPR 2017, equation 2, element by element::

    y[n,p,q,c] = x[n,p,q,c] T[p,q]                                                                 (a)

T is the guide of a region.  The Gram matrix of y, equation 3, is that of the region alone, the guided Gram matrix::

    G[i,j] = sum_m T[m]^2 F[m,i] F[m,j]

So a position counts by T^2, and the guide of a mask is its root.  `of_mask` gives it the mean square 1, sum_m T[m]^2 =
M: then G is a sum over as many positions as of a whole picture, however small the region, and equation 4 needs no other
divisor.

Derivation of ``backward``.  Each y depends on the one x beside it, with slope T::

    dL/dx[n,p,q,c] = T[p,q] dL/dy[n,p,q,c]                                                         (b)

With the gradient of equation 4, (G - A) (T F) / (N^2 M^2), for dL/dy, T enters a second time: dE/dF at a position is
T^2 times what it would be without a guide.

Cached: T.

Differs from the paper: there sum_m T[m]^2 = 1, and the divisor M^2 of equation 4 is left out; that is the same loss.
And its T is in proportion to the mask and not to its root: with that, where two styles share a pixel, half each, each
would count for a quarter.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array


def forward(x: Array, T: Array) -> tuple[Array, Array]:
    """Return y = x T, equation (a), of x's dtype, and the cache, T.

    Parameters
    ----------
    x : (N, H, W, C) array
    T : (1, H, W, 1) array of x's dtype

    Raises
    ------
    ValueError
        If T has another shape; NumPy would repeat it in another way, or take a guide for each channel.
    """
    if T.shape != (1, *x.shape[1:3], 1):
        raise ValueError(f"a guide of features {x.shape} has the shape {(1, *x.shape[1:3], 1)}, not {T.shape}")
    return x * T, T


def backward(grad_y: Array, cache: Array) -> Array:
    """Return dL/dx from `grad_y` = dL/dy: equation (b)."""
    T = cache
    return grad_y * T


def of_mask(mask: np.ndarray) -> np.ndarray:
    """Return the guide T, float64, with the mean square 1, of a mask (H, W) of 0 or more that is not 0 everywhere."""
    mask = np.asarray(mask, np.float64)
    return np.sqrt(mask / mask.mean())


def forward_loops(x: Array, T: Array) -> Array:
    """Equation (a), one element at a time."""
    y = np.zeros_like(x)
    for n, p, q, c in np.ndindex(*x.shape):
        y[n, p, q, c] = x[n, p, q, c] * T[0, p, q, 0]
    return y


def backward_loops(grad_y: Array, x: Array, T: Array) -> Array:
    """Equation (b), one element at a time."""
    grad_x = np.zeros_like(x)
    for n, p, q, c in np.ndindex(*x.shape):
        grad_x[n, p, q, c] += T[0, p, q, 0] * grad_y[n, p, q, c]
    return grad_x
