"""Exercise 20: covariance, the square root of a matrix forward and backward, whitening and colouring.

Write the four functions below, each in place of its `raise` line, without loops; a function may call those above it.
You need nothing but NumPy, and of that np.linalg.eigh.  Check them with

    scratchnst check 20

as often as you like; `scratchnst check 20 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401

EPSILON = 1e-5


def covariance(x):
    """Return the covariance of the channels, equation (a).

    Parameters
    ----------
    x : (M, C) array, a row for each pixel

    Returns
    -------
    K : (C, C) array
    """
    raise NotImplementedError("write this")


def square_root(K):
    """Return the symmetric root without negative eigenvalues, equation (b).

    Parameters
    ----------
    K : (C, C) array, symmetric, with positive eigenvalues

    Returns
    -------
    S : (C, C) array
    """
    raise NotImplementedError("write this")


def square_root_backward(grad_S, K):
    """Return dL/dK, symmetric, equation (e).

    Parameters
    ----------
    grad_S : (C, C) array, dL/dS, which need not be symmetric
    K : (C, C) array, what `square_root` was given

    Returns
    -------
    grad_K : (C, C) array
    """
    raise NotImplementedError("write this")


def whiten_and_colour(x, style):
    """Give pixels the mean and the covariance of a style's, equation (c), with e I added to both, equation (f).

    Parameters
    ----------
    x : (M, C) array, a row for each pixel
    style : (M', C) array, likewise

    Returns
    -------
    y : (M, C) array
    """
    raise NotImplementedError("write this")
