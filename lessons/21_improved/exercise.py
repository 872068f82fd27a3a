"""Exercise 21: geometric weights, the Gram matrix of shifted features backward, and cross-layer Gram matrices.

Write the four functions below, each in place of its `raise` line; a function may call those above it.  You need
nothing but NumPy.  Check them with

    scratchnst check 21

as often as you like; `scratchnst check 21 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def geometric_weights(layers):
    """Return weights of which each is half the one before, and the sum is 1, equation (a).

    Parameters
    ----------
    layers : int, how many layers there are

    Returns
    -------
    w : (layers,) array, the weight of the layer nearest the image first
    """
    raise NotImplementedError("write this")


def shifted_gram_backward(grad_G, F, s):
    """Return dL/dF from dL/dG, G being the Gram matrix of F + s, equation (c).

    Parameters
    ----------
    grad_G : (N, N) array, which need not be symmetric
    F : (H, W, N) array
    s : number

    Returns
    -------
    grad_F : (H, W, N) array
    """
    raise NotImplementedError("write this")


def cross_gram(F, K):
    """Return the cross-layer Gram matrix, equation (d), F being averaged over 2x2 squares if K is behind a pool.

    Parameters
    ----------
    F : (H, W, N) array, the features of a layer
    K : (H, W, N') array, those of a deeper one; or (H // 2, W // 2, N') behind a pool

    Returns
    -------
    G : (N, N') array
    """
    raise NotImplementedError("write this")


def cross_gram_backward(grad_G, F, K):
    """Return dL/dF and dL/dK from dL/dG, equations (f) and (g).

    Parameters
    ----------
    grad_G : (N, N') array
    F, K : what `cross_gram` was given

    Returns
    -------
    grad_F : array of F's shape
    grad_K : array of K's shape
    """
    raise NotImplementedError("write this")
