"""Exercise 13: Winograd's convolution of a row, forwards and backwards.

A row of pixels of any length is convolved with three weights, with zeros on both sides,

    y[p] = x[p - 1] w[0] + x[p] w[1] + x[p + 1] w[2]

two outputs at a time.  Products of data with weights, and of data with dL/dy, are dear: make them by `multiply`, which
each function is given.  It multiplies two arrays element by element, as `*` does, and counts.  It may count four for
two outputs, or for what is left of two at the end of the row.  To add, to subtract and to halve costs nothing, nor do
products with matrices of fixed numbers.

Write the three functions below, each in place of its `raise` line; functions and matrices of your own beside them are
welcome.  Check them with

    scratchnst check 13

as often as you like; `scratchnst check 13 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def convolve_row(x, w, multiply):
    """Return y.

    Parameters
    ----------
    x : (L,) array
    w : (3,) array
    multiply : (array, array) -> array, counts its multiplications

    Returns
    -------
    y : (L,) array
    """
    raise NotImplementedError("write this")


def backward_input(grad_y, w, multiply):
    """Return dL/dx.

    Parameters
    ----------
    grad_y : (L,) array, dL/dy
    w : (3,) array
    multiply : (array, array) -> array, counts its multiplications

    Returns
    -------
    grad_x : (L,) array
    """
    raise NotImplementedError("write this")


def backward_weights(grad_y, x, multiply):
    """Return dL/dw.

    Parameters
    ----------
    grad_y : (L,) array, dL/dy
    x : (L,) array
    multiply : (array, array) -> array, counts its multiplications

    Returns
    -------
    grad_w : (3,) array
    """
    raise NotImplementedError("write this")
