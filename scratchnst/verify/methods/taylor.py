r"""The Taylor remainder: a gradient is right if what it leaves out vanishes with the square of the step.

Along a direction v, for a function f with gradient g and second derivative H at x ::

    R(h) = f(x + h v) - f(x) - h <g, v> = h^2/2 <v, H v> + O(h^3)                                  (a)

An error d in the gradient adds -h <d, v>, which outweighs h^2 as h shrinks.  So on logarithmic axes R is a straight
line of slope 2 if the gradient is right, and of slope 1, at least at small steps, if it is wrong.  That slope, the
order of convergence, needs no tolerance to be judged.

Only clean steps count: no kink on the way, and a remainder well above the noise of f.  A linear function leaves none:
its remainder is round-off at every step, and so there is no order to speak of.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scratchnst.verify.methods.steps import Line

ABOVE_NOISE = 30  # a remainder that many times the noise is known to 3 %
FEWEST, MOST = 3, 6  # clean steps that an order is fitted to, the smallest ones


def remainders(
    line: Line, slope: float, rounding: float = 0.0, highest: int | None = None
) -> tuple[list[float], list[float]]:
    """Return the clean steps h, ascending, and |R(h)| there: equation (a).

    Parameters
    ----------
    line : f along v, evaluated on a ladder of steps
    slope : <g, v>
    rounding : how exactly <g, v> is known, absolutely
    highest : rung of the ladder above which kinks may lie that nobody declared
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
