"""Exercise 10: a Gram matrix, its backward for any gradient from above, and equation 6.

Write the three functions below, each in place of its `raise` line.  You need nothing but NumPy.  Check them with

    scratchnst check 10

as often as you like; `scratchnst check 10 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def gram_forward(F):
    """Return the Gram matrix of one image's features, equation 3.

    Parameters
    ----------
    F : array (H, W, N), the features, not yet a matrix

    Returns
    -------
    G : array (N, N)
    """
    raise NotImplementedError("write this")


def gram_backward(grad_G, F):
    """Return dL/dF from dL/dG, whatever the loss behind G may be: grad_G need not be symmetric.

    Parameters
    ----------
    grad_G : array (N, N)
    F : array (H, W, N), what `gram_forward` was given

    Returns
    -------
    grad_F : array (H, W, N)
    """
    raise NotImplementedError("write this")


def style_backward(grad_y, z, A):
    """Return dL/dz, where L depends on z through one layer's style loss alone: equation 6, times what comes from above.

    The features are F = max(z, 0), the loss is equation 4.  Where z is 0, the slope of the ReLU is taken as 0.

    Parameters
    ----------
    grad_y : number, the derivative of L with respect to E, for example the layer's weight
    z : array (H, W, N), what enters the ReLU of the layer
    A : array (N, N), the Gram matrix of the style

    Returns
    -------
    grad_z : array (H, W, N), of z's dtype
    """
    raise NotImplementedError("write this")
