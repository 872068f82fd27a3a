"""Exercise 3: the backward of a matrix product, and the way back through a chain.

Write the two functions below, each in place of its `raise` line.  You need nothing but NumPy.  Check them with

    scratchnst check 3

as often as you like; `scratchnst check 3 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def matmul_backward(grad_y, x, w):
    """Return dL/dx and dL/dw of the matrix product y = x w.

    Parameters
    ----------
    grad_y : (M, K) array, dL/dy
    x : (M, C) array, the left factor
    w : (C, K) array, the right factor

    Returns
    -------
    grad_x : (M, C) array of x's dtype
    grad_w : (C, K) array of w's dtype
    """
    raise NotImplementedError("write this")


def chain_gradient(operations, x):
    """Run x through a chain of operations that ends in a loss, and come back with the gradient.

    Parameters
    ----------
    operations : list of pairs (forward, backward), the first operation first; they keep the contract of the lesson,
        forward(x) -> (y, cache) and backward(grad_y, cache) -> grad_x; the last forward makes one number
    x : array, the input of the first operation

    Returns
    -------
    L : number, what the last operation makes
    grad_x : array of x's shape, dL/dx
    """
    raise NotImplementedError("write this")
