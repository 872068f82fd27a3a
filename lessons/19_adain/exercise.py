"""Exercise 19: moments and adaptive instance normalisation, forward and backward.

Write the four functions below, each in place of its `raise` line, without loops over pixels; a function may call those
above it.  You need nothing but NumPy.  Check them with

    scratchnst check 19

as often as you like; `scratchnst check 19 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401

EPSILON = 1e-5


def moments(x):
    """Return mean and deviation of each channel of each image, equation (a).

    Parameters
    ----------
    x : (N, H, W, C) array

    Returns
    -------
    m : (N, C) array of x's dtype
    s : (N, C) array of x's dtype, the root of variance + EPSILON
    """
    raise NotImplementedError("write this")


def moments_backward(grad_m, grad_s, x):
    """Return dL/dx, equation (c).

    Parameters
    ----------
    grad_m, grad_s : (N, C) arrays, dL/dm and dL/ds
    x : (N, H, W, C) array, what `moments` was given

    Returns
    -------
    grad_x : (N, H, W, C) array of x's dtype
    """
    raise NotImplementedError("write this")


def adain(content, style):
    """Give each channel of each image of the content the moments of the style's, equation (d).

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
    """Return dL/dcontent and dL/dstyle, equations (e), (f) and (g).

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
