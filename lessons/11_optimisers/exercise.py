"""Exercise 11: a step of Adam, and the settings of the fastest momentum.

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


def best_momentum(lowest, highest):
    """Return the rate and the beta with which momentum comes down a bowl fastest.

    With momentum u becomes beta u + g, and then x becomes x - rate u, from u = 0.  "Fastest" means: of all rates and
    all beta from 0 to 1, those whose slowest coordinate shrinks by the smallest factor a step in the long run, all
    curvatures from `lowest` to `highest` being possible.

    Parameters
    ----------
    lowest, highest : smallest and largest curvature, 0 < lowest <= highest

    Returns
    -------
    rate, beta : numbers
    """
    raise NotImplementedError("write this")
