"""Exercise 19: the moments of a channel and adaptive instance normalisation, forward and backward.

Write the four functions below, each in place of its `raise` line, without loops over pixels; a function may call those
above it.  You need nothing but NumPy.  Check them with

    scratchnst check 19

as often as you like; `scratchnst check 19 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401

EPSILON = 1e-5


def moments(x):
    """Return the mean and the deviation of each channel of each image.

    Parameters
    ----------
    x : (N, H, W, C) array

    Returns
    -------
    y : (N, 2, C) array of x's dtype: y[:, 0] has the means, y[:, 1] the deviations, the roots of variance + EPSILON
    """
    raise NotImplementedError("write this")


def moments_backward(grad_y, x):
    """Return dL/dx of `moments`.

    Parameters
    ----------
    grad_y : (N, 2, C) array, dL/dy: the means' first
    x : (N, H, W, C) array, what `moments` was given

    Returns
    -------
    grad_x : (N, H, W, C) array of x's dtype
    """
    raise NotImplementedError("write this")


def adain(content, style):
    """Give each channel of each image of the content the mean and the deviation of its style's.

    Parameters
    ----------
    content : (N, H, W, C) array
    style : (N, H', W', C) array, a style for each image

    Returns
    -------
    y : (N, H, W, C) array of content's dtype
    """
    raise NotImplementedError("write this")


def adain_backward(grad_y, content, style):
    """Return dL/dcontent and dL/dstyle of `adain`.

    Parameters
    ----------
    grad_y : (N, H, W, C) array, dL/dy
    content : (N, H, W, C) array, what `adain` was given
    style : (N, H', W', C) array, likewise

    Returns
    -------
    grad_content : (N, H, W, C) array of content's dtype
    grad_style : (N, H', W', C) array of style's dtype
    """
    raise NotImplementedError("write this")
