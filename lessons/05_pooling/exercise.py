"""Exercise 5: average pooling backward, and max pooling forward and backward.

Write the three functions below, each in place of its `raise` line, without loops over pixels: slices such as
x[:, 0::2, 1::2] take the same pixel out of every square.  You need nothing but NumPy.  Check them with

    scratchnst check 5

as often as you like; `scratchnst check 5 --hint` gives a hint.

Heights and widths may be odd.  The last row or column then belongs to no square.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def average_pool_backward(grad_y, shape):
    """Return dL/dx of 2x2 average pooling.

    Parameters
    ----------
    grad_y : (N, H // 2, W // 2, C) array, dL/dy
    shape : (N, H, W, C), the shape of x

    Returns
    -------
    grad_x : array of that shape and of grad_y's dtype
    """
    raise NotImplementedError("write this")


def max_pool_forward(x):
    """Return the largest number of each 2x2 square of x, and which of the four it is.

    Parameters
    ----------
    x : (N, H, W, C) array

    Returns
    -------
    y : (N, H // 2, W // 2, C) array of x's dtype
    winner : (N, H // 2, W // 2, C) array of whole numbers: 0 for upper left, 1 for upper right, 2 for lower left and 3
        for lower right; of several that are equally large, the smallest number
    """
    raise NotImplementedError("write this")


def max_pool_backward(grad_y, winner, shape):
    """Return dL/dx of 2x2 max pooling.

    Parameters
    ----------
    grad_y : (N, H // 2, W // 2, C) array, dL/dy
    winner : array of the same shape, as `max_pool_forward` returns it
    shape : (N, H, W, C), the shape of x

    Returns
    -------
    grad_x : array of that shape and of grad_y's dtype
    """
    raise NotImplementedError("write this")
