"""Exercise 18: the perceptual loss of a layer, the way from images to styles, and the bound of a gradient.

Write the three functions below, each in place of its `raise` line, without loops over pixels.  You need nothing but
NumPy.  Check them with

    scratchnst check 18

as often as you like; `scratchnst check 18 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def layer_loss(F, P, A, energy, alpha, beta):
    """Return the loss of a batch, and dL/dF, for one layer that is both a content and a style layer.

    L is the mean over the images of alpha content(n) + beta style(n), equations (a) and (b) with K = J = 1.

    Parameters
    ----------
    F : (N, H, W, C) array, features of the painted images
    P : (N, H, W, C) array, features of the photographs
    A : (N, C, C) array, for each image the Gram matrix of its style's picture, already divided by its positions
    energy : number, E of equation (a)
    alpha, beta : numbers, weights of content and style

    Returns
    -------
    loss : number
    grad_F : (N, H, W, C) array of F's dtype
    """
    raise NotImplementedError("write this")


def rows_backward(grad_y, z, mixture):
    """Return the gradients of all styles' scales and shifts.

    The norm has made y[n, p, q, c] = a[n, c] z[n, p, q, c] + b[n, c], where a = mixture @ scales and
    b = mixture @ shifts; scales and shifts are (S, C).

    Parameters
    ----------
    grad_y : (N, H, W, C) array, dL/dy
    z : (N, H, W, C) array, the normalised pixels
    mixture : (N, S) array, how much of each style each image gets

    Returns
    -------
    grad_scales : (S, C) array of grad_y's dtype
    grad_shifts : (S, C) array of grad_y's dtype
    """
    raise NotImplementedError("write this")


def bounded(grad_w, grad_b, bound):
    """Return the gradients of a kernel and of a bias, scaled down together if they are too large.

    Parameters
    ----------
    grad_w : array of any shape
    grad_b : array of any shape
    bound : number above 0; the norm of both as one vector is at most this afterwards

    Returns
    -------
    bounded_w : array of grad_w's shape and dtype
    bounded_b : array of grad_b's shape and dtype
    """
    raise NotImplementedError("write this")
