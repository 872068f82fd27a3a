"""Exercise 11: a step of Adam, and the two loops of L-BFGS.

Write the two functions below, each in place of its `raise` line.  You need nothing but NumPy.  Check them with

    scratchnst check 11

as often as you like; `scratchnst check 11 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def adam_step(x, g, m, v, t, rate):
    """Take one step of Adam, with beta_1 = 0.9, beta_2 = 0.999 and epsilon = 1e-8.

    Parameters
    ----------
    x : array, the unknowns
    g : array of x's shape, the gradient there
    m, v : arrays of x's shape, the running means of the gradient and of its square up to now
    t : number of this step, 1 for the first, before which m and v are zero
    rate : how far a usual gradient moves x

    Returns
    -------
    x_next, m_next, v_next : arrays, what the next step is to be called with; the running means without the correction
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
