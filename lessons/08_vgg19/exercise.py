"""Exercise 8: what a unit sees, and a walk back with two losses on the way.

Write the two functions below, each in place of its `raise` line.  For the second you may use the operations of
`scratchnst.ops` (conv2d, relu, average_pool), as the lesson does.  Check them with

    scratchnst check 8

as often as you like; `scratchnst check 8 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401

from scratchnst.ops import average_pool, conv2d, relu  # noqa: F401


def what_it_sees(rows, unit, length):
    """Return the first and the last pixel that one unit sees, along one axis of the image.

    The lesson's recursion goes down the table and forgets where the image ends.  This one unit is to be followed up,
    from the last row to the image, and what lies beyond the image's border is no pixel.

    Parameters
    ----------
    rows : list of "conv" (3 wide, zeros beyond the border) and "pool" (2 wide), the row next to the image first
    unit : int, the number of the unit in the last row, counted from 0
    length : int, pixels of the image, such that no pooling leaves anything out

    Returns
    -------
    first, last : int, numbers of pixels, both included
    """
    raise NotImplementedError("write this")


def walk_back(grad_1, grad_2, x, w_1, b_1, w_2, b_2):
    """Return dL/dx of a small network with a loss on both of its convolutions.

    The network: F_1 = relu(x * w_1 + b_1), then an average pooling, then F_2 = relu(pooled * w_2 + b_2), where * is a
    convolution.  One loss reads F_1, another reads F_2, and L is their sum.

    Parameters
    ----------
    grad_1 : (N, H, W, K_1) array, what the first loss hands back: its derivative with respect to F_1
    grad_2 : (N, H//2, W//2, K_2) array, what the second hands back, with respect to F_2
    x : (N, H, W, C) array, the input
    w_1, b_1 : kernel (3, 3, C, K_1) and bias (K_1,)
    w_2, b_2 : kernel (3, 3, K_1, K_2) and bias (K_2,)

    Returns
    -------
    grad_x : (N, H, W, C) array
    """
    raise NotImplementedError("write this")
