"""Exercise 14: Winograd's convolution of a row of pixels, forward and back, by four multiplications for two outputs.

A row x of an even number L of pixels, four or more, is convolved with three weights, without zeros around it:

    y[p] = x[p] w[0] + x[p + 1] w[1] + x[p + 2] w[2],    p = 0 ... L - 3

Cut y into tiles of two outputs, y[0:2], y[2:4] ...  They look at x[0:4], x[2:6] ..., which overlap by two pixels.

Every product of data with data must go through `multiply`, a function that is handed to you:

    multiply(a, b)     the product of two arrays, element by element, as np.multiply gives it

It counts, and four a tile are allowed in each of the three functions.  Products with matrices of fixed numbers (A, B
and G of the lesson) are free, and so are sums.

Write the three functions below, each in place of its `raise` line.  You need nothing but NumPy.  Check them with

    scratchnst check 14

as often as you like; `scratchnst check 14 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def convolve(x, w, multiply):
    """Return y.

    Parameters
    ----------
    x : (L,) array, L even, 4 or more
    w : (3,) array
    multiply : function, (a, b) -> a * b, arrays that broadcast

    Returns
    -------
    y : (L - 2,) array
    """
    raise NotImplementedError("write this")


def backward_input(grad_y, x, w, multiply):
    """Return dL/dx.

    Parameters
    ----------
    grad_y : (L - 2,) array, dL/dy
    x, w, multiply : as `convolve` takes them

    Returns
    -------
    grad_x : (L,) array
    """
    raise NotImplementedError("write this")


def backward_kernel(grad_y, x, w, multiply):
    """Return dL/dw.

    Parameters
    ----------
    grad_y : (L - 2,) array, dL/dy
    x, w, multiply : as `convolve` takes them

    Returns
    -------
    grad_w : (3,) array
    """
    raise NotImplementedError("write this")
