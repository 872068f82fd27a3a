"""Exercise 16: instance normalisation with a scale and a shift, forward and backward.

Write the four functions below, each in place of its `raise` line, without loops over pixels; a function may call those
above it.  You need nothing but NumPy.  Check them with

    scratchnst check 16

as often as you like; `scratchnst check 16 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401

EPSILON = 1e-5


def normalise(x):
    """Give each channel of each image mean 0 and variance 1.

    Parameters
    ----------
    x : (N, H, W, C) array

    Returns
    -------
    z : (N, H, W, C) array of x's dtype, (x - mean) / s
    s : (N, 1, 1, C) array of x's dtype, the root of variance + EPSILON, of each channel of each image
    """
    raise NotImplementedError("write this")


def forward(x, scale, shift):
    """Normalise x, then multiply by the scale and add the shift.

    Parameters
    ----------
    x : (N, H, W, C) array
    scale, shift : (N, C) arrays, a row for each image

    Returns
    -------
    y : (N, H, W, C) array of x's dtype
    """
    raise NotImplementedError("write this")


def backward_parameters(grad_y, x):
    """Return dL/dscale and dL/dshift.

    Parameters
    ----------
    grad_y : (N, H, W, C) array, dL/dy
    x : (N, H, W, C) array, what `forward` was given

    Returns
    -------
    grad_scale : (N, C) array of x's dtype
    grad_shift : (N, C) array of x's dtype
    """
    raise NotImplementedError("write this")


def backward_input(grad_y, x, scale):
    """Return dL/dx.

    Parameters
    ----------
    grad_y : (N, H, W, C) array, dL/dy
    x : (N, H, W, C) array, what `forward` was given
    scale : (N, C) array, likewise

    Returns
    -------
    grad_x : (N, H, W, C) array of x's dtype
    """
    raise NotImplementedError("write this")
