"""Exercise 7: the way back through a convolution without padding.

The lesson puts zeros around the image.  Here there are none: the kernel is laid only where it lies on the image as a
whole, so that y has kh - 1 rows and kw - 1 columns less than x ("valid" convolution).

    y[n, p, q, k] = b[k] + sum over i, j, c of x[n, p + i, q + j, c] w[i, j, c, k]

kh and kw may be odd or even: without padding no pixel needs to be in the middle of the kernel.

Write the two functions below, each in place of its `raise` line.  You need nothing but NumPy.  Check them with

    scratchnst check 7

as often as you like; `scratchnst check 7 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def backward_input(grad_y, x, w):
    """Return dL/dx.

    Parameters
    ----------
    grad_y : (N, H - kh + 1, W - kw + 1, K) array, dL/dy
    x : (N, H, W, C) array, what the convolution was given
    w : (kh, kw, C, K) array

    Returns
    -------
    grad_x : (N, H, W, C) array
    """
    raise NotImplementedError("write this")


def backward_parameters(grad_y, x, w):
    """Return dL/dw and dL/db.

    Parameters
    ----------
    grad_y : (N, H - kh + 1, W - kw + 1, K) array, dL/dy
    x : (N, H, W, C) array, what the convolution was given
    w : (kh, kw, C, K) array

    Returns
    -------
    grad_w : (kh, kw, C, K) array
    grad_b : (K,) array
    """
    raise NotImplementedError("write this")
