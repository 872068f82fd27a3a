r"""The Taylor remainder: a gradient is right if the remainder vanishes with the square of the step.

Along a direction v, for a function f with gradient g and second derivative H at x ::

    R(h) = f(x + h v) - f(x) - h <g, v> = h^2/2 <v, H v> + O(h^3)                                  (a)

An error d in the gradient adds -h <d, v>, which is larger than the h^2 term for small h.  So on logarithmic axes R is
a straight line of slope 2 if the gradient is right, and of slope 1, at least at small steps, if it is wrong.  To judge
that slope, the order of convergence, no tolerance is needed.

A step is used if it crosses no kink and its remainder is well above the noise of f.  The remainder of a linear function
is round-off at every step, so it has no order of convergence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scratchnst.verify.methods.steps import Line

ABOVE_NOISE = 30  # smallest remainder over the noise, so that it is known to 3 %
FEWEST, MOST = 3, 6  # number of steps that an order is fitted to


def remainders(
    line: Line, slope: float, rounding: float = 0.0, highest: int | None = None
) -> tuple[list[float], list[float]]:
    """Return the usable steps h, ascending, and |R(h)| there: equation (a).

    Parameters
    ----------
    line : f along v
    slope : <g, v>
    rounding : absolute rounding error of <g, v>
    highest : largest rung to use, above which undeclared kinks may lie
    """
    steps, sizes = [], []
    for rung in sorted(line.sides):
        if not line.is_clear(rung) or (highest is not None and rung > highest):
            continue
        h, rise = line.step(rung), line.at(rung).ahead
        remainder = abs(rise - h * slope)
        if remainder > ABOVE_NOISE * (line.noise.at(rise) + h * rounding):
            steps.append(h)
            sizes.append(remainder)
    return steps, sizes


def order_of_convergence(steps: Sequence[float], sizes: Sequence[float]) -> float | None:
    """Fit the exponent p of sizes ~ steps^p to the smallest steps; None if they are too few."""
    if len(steps) < FEWEST:
        return None
    exponent, _ = np.polyfit(np.log(steps[:MOST]), np.log(sizes[:MOST]), 1)
    return float(exponent)
