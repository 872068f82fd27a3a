"""Exercise 2: central differences of an array, and a slope with two orders more.

Write the two functions below, each in place of its `raise` line.  You need nothing but NumPy.  Check them with

    scratchnst check 2

as often as you like; `scratchnst check 2 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def numerical_gradient(f, x, h):
    """Return the slope of f with respect to every element of x, each by a central difference.

    Where x + h or x - h is no number that the computer knows, divide by the distance that x really moved.

    Parameters
    ----------
    f : function, array -> number
    x : array of any shape; it is not to be changed
    h : number, the step to either side

    Returns
    -------
    gradient : array of x's shape
    """
    raise NotImplementedError("write this")


def extrapolated_slope(f, x, h):
    """Return the slope of f at x with an error of order h**4, from two central differences.

    The central difference D(h) is f' + C h**2 + (terms with h**4 and higher), with a C that does not depend on h.  So
    D(h/2) is off by a quarter of that.  Weigh the two so that the error of order h**2 goes away and f' remains.

    Parameters
    ----------
    f : function, number -> number
    x : number
    h : number, the larger one of the two steps

    Returns
    -------
    slope : number, made of D(h) and D(h/2)
    """
    raise NotImplementedError("write this")
