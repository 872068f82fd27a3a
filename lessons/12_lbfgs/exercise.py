"""Exercise 12: the line search's cubic, and the two loops of L-BFGS.

Write the two functions below, each in place of its `raise` line.  You need nothing but NumPy.  Check them with

    scratchnst check 12

as often as you like; `scratchnst check 12 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def cubic_minimum(a, b):
    """Return where a cubic polynomial is lowest, of which value and slope are known at two places.

    It may be a parabola, that is, the cubic term may be zero; and one of the two places may be the cubic's maximum.
    The cubics of the check all have a minimum: a place where the slope is zero and rises.

    Parameters
    ----------
    a, b : (t, value, slope) each, three numbers; the two t are different, and that of b may be the smaller one

    Returns
    -------
    t : number, where the cubic has its minimum
    """
    raise NotImplementedError("write this")


def two_loops(q, pairs):
    """Return H q by the two loops of L-BFGS, without any matrix.

    H is what the BFGS updates make of gamma I, one update a pair, with gamma = (s . y) / (y . y) of the newest pair; if
    there are no pairs, it is I.

    Parameters
    ----------
    q : (n,) array
    pairs : list of pairs (s, y) of (n,) arrays, the oldest first

    Returns
    -------
    product : (n,) array, H q
    """
    raise NotImplementedError("write this")
