r"""Projections: a layer's features seen along random directions, as many as there are channels.

Equation, F[m] the C features at position m, and the directions w[k] the columns of an orthogonal matrix W::

    P[m,k] = sum_c F[m,c] W[c,k],     P = F W                                                      (a)

W W^T = I: the directions are the axes of the features' space, turned at random, and none of it is lost.  They are those
of a random orthogonal matrix (of the QR decomposition of a matrix of normal numbers, the signs of R's diagonal made
positive), drawn with a fixed seed: a loss is then the same function of the image at every step, in every run.

Derivation of ``backward``.  F[m,c] enters P[m,k] with slope W[c,k]::

    dL/dF[m,c] = sum_k dL/dP[m,k] W[c,k],     dL/dF = (dL/dP) W^T                                  (b)

`sliced_style_loss` sorts the projections of the whole image.  As a statistic of a loss, those of an image's parts are
joined, not added: see `scratchnst.losses`.  `as_target` sorts them once for all, and takes as many quantiles as the
image has positions.

Cached: nothing.

Differs from the paper: it has no such operation.  Source: see `sliced_style_loss`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from scratchnst.arrays import Array, array_module

joined = True
SEED = 0


def forward(x: Array) -> tuple[Array, None]:
    """Return the projections P (N, H, W, C) of activations `x` (N, H, W, C), equation (a), and the cache, None."""
    return x @ array_module(x).asarray(directions(x.shape[3]), x.dtype), None


def backward(grad_y: Array, cache: None) -> Array:
    """Return dL/dx (N, H, W, C) from `grad_y` = dL/dP: equation (b)."""
    return grad_y @ array_module(grad_y).asarray(directions(grad_y.shape[3]).T, grad_y.dtype)


def as_target(P: Array, pixels: int) -> Array:
    """Return what a style's projections (N, H', W', C) are compared with: quantiles (N, C, `pixels`), ascending.

    Sorted, the M' numbers of a direction are its quantiles at (i + 1/2) / M'.  Those at (j + 1/2) / `pixels` are
    interpolated between them, linearly; beyond the first and the last they are these.
    """
    xp, theirs = array_module(P), P.shape[1] * P.shape[2]
    quantiles = P.reshape(len(P), theirs, P.shape[3]).swapaxes(1, 2).copy()
    quantiles.sort(axis=2)
    place = ((xp.arange(pixels) + 0.5) * (theirs / pixels) - 0.5).clip(0, theirs - 1)
    lower = place.astype("int64")
    upper = (lower + 1).clip(0, theirs - 1)
    share = (place - lower).astype(P.dtype)
    return quantiles[:, :, lower] * (1 - share) + quantiles[:, :, upper] * share


@lru_cache(maxsize=32)
def directions(channels: int) -> np.ndarray:
    """Return W (C, C), float64."""
    W, R = np.linalg.qr(np.random.default_rng(SEED).standard_normal((channels, channels)))
    W *= np.sign(R.diagonal())
    W.flags.writeable = False
    return W


def forward_loops(x: Array) -> Array:
    """Equation (a), one product at a time."""
    P, W = np.zeros_like(x), directions(x.shape[3])
    for n, p, q, k in np.ndindex(*x.shape):
        for c in range(x.shape[3]):
            P[n, p, q, k] += x[n, p, q, c] * W[c, k]
    return P


def backward_loops(grad_y: Array, x: Array) -> Array:
    """Equation (b), one product at a time."""
    grad_x, W = np.zeros_like(x), directions(x.shape[3])
    for n, p, q, c in np.ndindex(*x.shape):
        for k in range(x.shape[3]):
            grad_x[n, p, q, c] += grad_y[n, p, q, k] * W[c, k]
    return grad_x
