"""Exercise 7: the way back through a convolution that takes no zeros.

This convolution has no zeros around the image: only windows that lie within it count, and so y is smaller than x,

    y[n, p, q, k] = b[k] + sum over i, j, c of x[n, p + i, q + j, c] w[i, j, c, k]

with H - kh + 1 rows and W - kw + 1 columns.  Write its three gradients below, each in place of a `raise` line.  Ask of
each number: which outputs does it touch, and through what?  Check them with

    scratchnst check 7

as often as you like; `scratchnst check 7 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def backward_input(grad_y, w):
    """Return dL/dx.

    Parameters
    ----------
    grad_y : (N, H - kh + 1, W - kw + 1, K) array, dL/dy
    w : (kh, kw, C, K) array, kh and kw odd or even

    Returns
    -------
    grad_x : (N, H, W, C) array of grad_y's dtype
    """
    raise NotImplementedError("write this")


def backward_parameters(grad_y, x, w):
    """Return dL/dw and dL/db.

    Parameters
    ----------
    grad_y : (N, H - kh + 1, W - kw + 1, K) array, dL/dy
    x : (N, H, W, C) array
    w : (kh, kw, C, K) array

    Returns
    -------
    grad_w : (kh, kw, C, K) array of x's dtype
    grad_b : (K,) array of x's dtype
    """
    raise NotImplementedError("write this")
