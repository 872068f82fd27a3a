"""Exercise 4: a ReLU, forward and backward.

Write the two functions below, each in place of its `raise` line.  You need nothing but NumPy.  Check them with

    scratchnst check 4

as often as you like; `scratchnst check 4 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def relu_forward(x):
    """Return what a ReLU makes of x.

    Parameters
    ----------
    x : array of any shape

    Returns
    -------
    y : array of x's shape and dtype
    """
    raise NotImplementedError("write this")


def relu_backward(grad_y, x):
    """Return dL/dx of a ReLU; where x is 0, its slope is taken as 0.

    Parameters
    ----------
    grad_y : array, dL/dy
    x : array of the same shape, what `relu_forward` was given

    Returns
    -------
    grad_x : array of x's shape and dtype
    """
    raise NotImplementedError("write this")
