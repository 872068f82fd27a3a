r"""Line search: a step along a direction that satisfies the strong Wolfe conditions.

Let phi(t) = f(x + t d) be the loss along the direction d, with phi'(0) < 0.  A step t > 0 is taken if

    phi(t)    <= phi(0) + c1 t phi'(0)        sufficient decrease: at least a share c1 of what the slope predicts
    |phi'(t)| <= c2 |phi'(0)|                 curvature: the slope has become flatter

(equation 3.7 of J. Nocedal, S. Wright, *Numerical Optimization*, 2nd edition, 2006).  Between a step at which phi
falls steeply and one at which it has risen again, such a t exists.  So the search first takes longer and longer steps
until it has an interval (algorithm 3.5 of the book), then makes the interval smaller (algorithm 3.6).  The two differ
only in the choice of the next step, so here they are one loop.

The next step is at the minimum of the cubic p with the values and slopes of phi at two steps, a and b.  With
u = (t - a) / (b - a), which runs from 0 to 1, and the slopes A = phi'(a) (b - a) and B = phi'(b) (b - a) in this unit,
p' is a quadratic with p'(0) = A and p'(1) = B.  For some C it is therefore::

    p'(u) = A (1-u)^2 - 2 C u (1-u) + B u^2

Its integral from 0 to 1, (A - C + B) / 3, is the difference of the values, phi(b) - phi(a), hence::

    C = A + B - 3 (phi(b) - phi(a))

Divide p'(u) = 0 by (1-u)^2 and let v = u / (1-u): B v^2 - 2 C v + A = 0, with the roots v = (C +- D) / B where
D = sqrt(C^2 - A B).  At the minimum p' rises, 2 B v - 2 C > 0, which is the root with + D.  Multiplied by C - D in
numerator and denominator it is v = A / (C - D), which is defined for B = 0 too, and u = v / (1 + v) becomes::

    u = A / (A + C - D)                                             equation 3.59 of the book in this unit
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import NamedTuple

SUFFICIENT_DECREASE, CURVATURE = 1e-4, 0.9  # c1 and c2, the book's choice for quasi-Newton methods
EVALUATIONS = 20  # of phi at most; one or two are usually enough
BEYOND = 2.0, 5.0  # limits of the next step, in u, while there is no interval: the last two are at 0 and 1
BETWEEN = 0.1, 0.9  # its limits in an interval
MIDDLE = 0.5, 0.5  # its limits if the last one left more than half of the interval


class Trial(NamedTuple):
    """A step t with phi(t) and phi'(t)."""

    step: float
    loss: float
    slope: float


def line_search(
    phi: Callable[[float], tuple[float, float]],
    loss: float,
    slope: float,
    step: float,
    c1: float = SUFFICIENT_DECREASE,
    c2: float = CURVATURE,
    evaluations: int = EVALUATIONS,
) -> Trial | None:
    """Return a step that satisfies the strong Wolfe conditions; `phi` was called there last.

    If the evaluations do not suffice, it is the lowest step with a sufficient decrease, or None if there was none.

    Parameters
    ----------
    phi : t -> (phi(t), phi'(t)); what is not finite counts as too far
    loss, slope : phi(0) and phi'(0) < 0
    step : the first t to try, above 0
    c1, c2 : 0 < c1 < c2 < 1
    evaluations : calls of phi at most, one more where the lowest is not the last
    """
    # The step lies between `low`, the lowest so far with a sufficient decrease, and `high`, which is too high or beyond
    # a minimum; as long as there is no `high`, phi falls from `behind` to `low` and beyond.
    behind = low = trial = Trial(0.0, loss, slope)
    high, width = None, math.inf
    for _ in range(evaluations):
        if -slope * step <= sys.float_info.epsilon * abs(loss):
            break  # the predicted decrease is below the loss's rounding error
        trial = _trial(step, *phi(step))
        if trial.loss > loss + c1 * step * slope or trial.loss >= low.loss:
            high = trial
        elif abs(trial.slope) <= -c2 * slope:
            return trial
        else:
            if trial.slope * ((high or trial).step - low.step) >= 0:  # phi rises there: the minimum lies between
                high = low
            behind, low = low, trial
        if high is None:
            step = _along(behind, low, BEYOND)
        else:
            width_before, width = width, abs(high.step - low.step)
            step = _along(low, high, BETWEEN if width <= width_before / 2 else MIDDLE)
    if low.step == 0:
        return None
    if low is not trial:
        phi(low.step)
    return low


def _trial(step, loss, slope):
    """A Trial; what is not finite counts as infinitely high, so that the next step is shorter."""
    is_finite = math.isfinite(loss) and math.isfinite(slope)
    return Trial(step, loss, slope) if is_finite else Trial(step, math.inf, 0.0)


def _along(a, b, limits):
    """The step between a and b, or beyond b, at which the cubic through both is lowest, within limits of u."""
    lowest, highest = limits
    u = _cubic_minimum(a, b)
    if math.isnan(u):  # there is none: the middle, or as far as allowed
        u = 0.5 if highest < 1 else highest
    return a.step + min(max(u, lowest), highest) * (b.step - a.step)


def _cubic_minimum(a, b):
    """Where the cubic with the values and slopes at a and b has its minimum, in u; NaN if it has none."""
    h = b.step - a.step
    A, B = a.slope * h, b.slope * h
    C = A + B - 3 * (b.loss - a.loss)
    under_the_root = C * C - A * B
    if not under_the_root >= 0:
        return math.nan
    D = math.sqrt(under_the_root)
    return A / (A + C - D) if A + C - D else math.nan
