r"""Which step?  How the error of a central difference depends on h, without knowing the right derivative.

Along a line phi(t) = f(x + t v) the central difference D(h), see `scratchnst.verify.differences`, has two errors ::

    D(h) - phi'(0) = h^2/6 phi'''(0) + ...                     truncation, falls as h^2
                   + (rounding of phi(h) and phi(-h)) / 2h     round-off, rises as h^-1

whose sum is a V against h on logarithmic axes.  Each is estimated by itself:

* Truncation.  Steps are half a decade apart.  The next larger step has ten times the error, so that ::

      D(sqrt(10) h) - D(h) = 9 h^2/6 phi'''(0) + ...,      truncation(h) = |D(sqrt(10) h) - D(h)| / 9        (a)

  If the next smaller step has been tried as well, it is a second witness: it has a tenth of the error, so the
  difference to it is 9/10 of the truncation.  The larger of the two counts.

* Round-off.  Let values of phi carry noise of size e.  Values at equally spaced points a tiny distance apart differ
  smoothly but for the noise; differences of differences, taken k times, wipe out what is smooth and leave noise of
  known variance (R. W. Hamming's difference table; J. More, S. Wild, "Estimating computational noise", SIAM J. Sci.
  Comput. 33, 2011)::

      e^2 = (k!)^2 / (2k)!  mean (k-th differences)^2,      roundoff(h) = e / h                               (b)

  The last bit of the output is noise at least, however regular its neighbours look.

The best step has the smallest sum.  No step serves that crosses a kink.  Kinks that nobody declared are seen in the
slopes on the two sides: their difference is h phi''(0) for a smooth function, shrinking with h, but stays as it is
where there is a kink.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchnst.backend import array_module
from scratchnst.verify.differences import Direction, Sides, as_float64, both_sides, moved
from scratchnst.verify.kinks import Pattern, crossed
from scratchnst.verify.report import Curve

Array = Any

RATIO = math.sqrt(10)  # of neighbouring steps: half a decade
LADDER = range(-18, 2)  # half decades, 1e-9 to 3 times the typical size of x
LOWEST, HIGHEST = -28, 14  # as far as the ladder is lengthened where its end is not good enough

# Spacings of the difference table, in the typical size of x.  The first two are smooth for any sane function, and the
# first one shows rounding to float32 inside a float64 function.  The others serve where f does not change over these.
SPACINGS = {"float64": (3e-7, 3e-9, 3e-5, 3e-3), "float32": (1e-3, 1e-4, 1e-2, 1e-1)}
TABLE = range(-4, 5)
ORDERS = (4, 5, 6)


@dataclass(frozen=True)
class Noise:
    """How far values of a function scatter.

    Attributes
    ----------
    level : e, the size of the noise in values near x
    relative : the same for values far from x, over their size
    """

    level: float
    relative: float

    @property
    def is_coarse(self) -> bool:
        """Whether values scatter as if they were computed in float32, or worse."""
        return self.relative > 1e-9

    def at(self, value: float) -> float:
        """The noise of a value that has risen by `value`."""
        return self.level + self.relative * abs(value)


class Probe:
    """A scalar function around a point: how much it rises when x moves, and which kinks lie on the way.

    Where f has an array of outputs, the scalar is <weights, f>.  Values at x are subtracted before they are summed:
    outputs that do not change cancel exactly, and their rounding with them.
    """

    def __init__(self, f: Callable, x: Array, weights: Array = 1.0, patterns: Callable[[Array], Pattern] | None = None):
        self.f, self.x, self.weights, self.patterns = f, x, weights, patterns
        self.y = as_float64(f(x.copy()))
        self.here = patterns(x.copy()) if patterns else {}
        self.failure: Exception | None = None
        self.calls = 0

    def __call__(self, x: Array) -> float:
        """Return how much <weights, f> rises from the centre to `x`; NaN where f has no finite value there."""
        self.calls += 1
        try:
            with np.errstate(all="ignore"):
                change = as_float64(self.f(x)) - self.y
                rise = float((self.weights * change).sum())
        except Exception as error:
            self.failure = error
            return math.nan
        return rise if math.isfinite(rise) else math.nan

    def crossed(self, direction: Direction, step: float) -> dict[str, Array]:
        """Which units cross a kink within `step` to either side."""
        return crossed(self.patterns, self.x, direction, step, self.here) if self.patterns else {}

    @property
    def size(self) -> float:
        """Root of the sum of squares of the summands of <weights, f>: their last bits add up like that."""
        return float(((self.weights * self.y) ** 2).sum() ** 0.5)

    @property
    def unit(self) -> float:
        """The typical size of x's elements, the yardstick of steps: their median, zeros aside."""
        sizes = abs(self.x[self.x != 0])
        return float(array_module(self.x).median(sizes)) if sizes.size else 1.0


def computational_noise(probe: Probe, direction: Array) -> Noise:
    """Measure how far values of a function scatter, equation (b), along `direction`."""
    epsilon = float(np.finfo(probe.x.dtype).eps)
    floor = epsilon * probe.size
    found: list[float] = []
    for number, spacing in enumerate(SPACINGS[str(probe.x.dtype)]):
        if number >= 2 and found:
            break
        level = _scatter(probe, direction, spacing * probe.unit)
        if level is not None:
            found.append(level)
    level = max(floor, min(found, default=0.0))
    coarse = level > 1e5 * floor > 0
    return Noise(level, float(np.finfo("float32").eps) if coarse else 4 * epsilon)


def _scatter(probe, direction, spacing):
    """Equation (b) at one spacing; None if a kink lies there, or f hardly changes and the table says nothing."""
    reach = spacing * TABLE[-1]
    if probe.patterns and probe.crossed(direction, reach):
        return None
    values = np.array([probe(moved(probe.x, direction, number * spacing)) for number in TABLE])
    if not np.isfinite(values).all() or len(np.unique(values)) <= len(values) // 2:
        return None
    variances = []
    for order in ORDERS:
        gamma = math.factorial(order) ** 2 / math.factorial(2 * order)
        variances.append(gamma * float(np.mean(np.diff(values, order) ** 2)))
    return math.sqrt(max(variances))


@dataclass(frozen=True)
class Estimate:
    """A derivative found numerically and the two parts of its error; `rung` is the step's place on the ladder."""

    slope: float
    truncation: float
    roundoff: float
    rung: int

    @property
    def error(self) -> float:
        """Both parts."""
        return self.truncation + self.roundoff


class Line:
    """A function along x + t v, evaluated at t = +-h for steps h on a ladder, each when it is first needed."""

    def __init__(self, probe: Probe, direction: Direction, noise: Noise):
        self.probe, self.direction, self.noise = probe, direction, noise
        self.sides: dict[int, Sides] = {}
        self.units: dict[int, dict[str, Array]] = {}

    def step(self, rung: int) -> float:
        """h at this rung of the ladder."""
        return self.probe.unit * RATIO**rung

    def at(self, rung: int) -> Sides:
        """The function on both sides at this rung."""
        if rung not in self.sides:
            self.sides[rung] = both_sides(self.probe, self.probe.x, self.direction, self.step(rung))
            self.units[rung] = self.probe.crossed(self.direction, self.step(rung))
        return self.sides[rung]

    def is_clear(self, rung: int) -> bool:
        """Whether f has values at this rung and no unit crosses its kink."""
        sides = self.at(rung)
        return math.isfinite(sides.ahead + sides.behind) and min(sides.forth, sides.back) > 0 and not self.units[rung]

    def roundoff(self, rung: int) -> float:
        """The noise over h."""
        sides = self.at(rung)
        return self.noise.at(max(abs(sides.ahead), abs(sides.behind))) / self.step(rung)

    def bend(self, rung: int) -> float:
        """How much the slope ahead differs from the slope behind: h phi''(0), or the jump of a kink."""
        sides = self.at(rung)
        return abs(sides.ahead / sides.forth + sides.behind / sides.back)

    def is_smooth(self, rung: int) -> bool:
        """Whether the bend shrinks with h, from the rung above to this one, or is no more than noise."""
        return self.bend(rung) <= max(0.55 * self.bend(rung + 1), 40 * self.roundoff(rung))

    def estimate(self, rung: int) -> Estimate | None:
        """The derivative at this rung with its error, equations (a) and (b); None where a kink forbids it."""
        if not (self.is_clear(rung) and self.is_clear(rung + 1) and self.is_smooth(rung)):
            return None
        slope = self.at(rung).slope
        truncation = abs(self.at(rung + 1).slope - slope) / 9
        if rung - 1 in self.sides and self.is_clear(rung - 1):
            truncation = max(truncation, abs(self.at(rung - 1).slope - slope) / 0.9)
        return Estimate(slope, truncation, self.roundoff(rung), rung)

    def sweep(self) -> Estimate | None:
        """Try every step of the ladder, and more beyond its end if the best lies there; return the best estimate."""
        low, high = LADDER[0], LADDER[-1]
        for rung in LADDER:
            self.at(rung)
        best = self.best()
        while best is None or best.error > 1e-8 * self.variation:
            if (best is None or best.rung <= low + 1) and low > LOWEST:
                low -= 2
            elif best is not None and best.rung >= high - 2 and high < HIGHEST:
                high += 2
            else:
                break
            for rung in (low, low + 1, high - 1, high):
                self.at(rung)
            best = self.best()
        return best

    def best(self) -> Estimate | None:
        """The best of the estimates at steps tried so far."""
        rungs = sorted(self.sides)[:-1]
        found = [estimate for rung in rungs if rung + 1 in self.sides and (estimate := self.estimate(rung))]
        return min(found, key=lambda estimate: estimate.error, default=None)

    def descend(self, rung: int, good_enough: float, hopeless: float) -> Estimate | None:
        """Estimate at `rung` and, while that is not good enough, at smaller steps.

        Stops where the error is at most `good_enough`, where round-off has taken over, or where round-off alone is
        more than `hopeless`.
        """
        best = None
        while rung >= LOWEST:
            estimate = self.estimate(rung)
            if estimate is not None and (best is None or estimate.error < best.error):
                best = estimate
            if best is not None and (best.error <= good_enough or self.roundoff(rung) > best.error):
                break
            if self.roundoff(rung) > hopeless:
                break
            rung -= 1
        return best

    @property
    def variation(self) -> float:
        """How steep f is in the neighbourhood: the largest secant over a step of up to a third of x's size."""
        near = [sides for rung, sides in self.sides.items() if rung <= -1]
        secants = [abs(side) / sides.forth for sides in near for side in sides[:2] if sides.forth > 0]
        return max((secant for secant in secants if math.isfinite(secant)), default=0.0)


def common_rung(lines: Sequence[Line]) -> int:
    """Return the rung of the ladder that serves most lines and, among such rungs, serves the worst line best."""
    served = [line for line in lines if line.best() is not None]
    rungs = set.intersection(*(set(line.sides) for line in served)) if served else set()

    def quality(rung):
        errors = [estimate.error if (estimate := line.estimate(rung)) else math.inf for line in served]
        return sum(map(math.isinf, errors)), max((error for error in errors if error < math.inf), default=0.0), -rung

    usable = [rung for rung in rungs if rung + 1 in rungs]
    return min(usable, key=quality) if usable else -10


def v_curve(lines: Sequence[Line], slopes: Sequence[float], rung: int, scale: float) -> Curve:
    """Return the V-curve of several lines: at each step the largest error among those that cross no kink there.

    Parameters
    ----------
    lines : swept lines
    slopes : what the gradient under test says of each
    rung : the step that was chosen
    scale : that errors are divided by
    """
    rungs = [each for each in range(min(LOWEST, rung), HIGHEST) if any(each in line.sides for line in lines)]
    table: dict[str, list[float]] = {"error": [], "truncation": [], "roundoff": [], "scatter": []}
    for each in rungs:
        clear = [(line, slope) for line, slope in zip(lines, slopes) if each in line.sides and line.is_clear(each)]
        estimates = [estimate for line, _ in clear if each + 1 in line.sides and (estimate := line.estimate(each))]
        bests = [(line.at(each).slope, best.slope) for line, _ in clear if (best := line.best())]
        table["error"].append(_largest([line.at(each).slope - slope for line, slope in clear], scale))
        table["truncation"].append(_largest([estimate.truncation for estimate in estimates], scale))
        table["roundoff"].append(_largest([line.roundoff(each) for line, _ in clear], scale))
        table["scatter"].append(_largest([slope - best for slope, best in bests], scale))
    steps = [lines[0].step(each) for each in rungs]
    falls, rises = _branches(rungs, table, rung)
    return Curve(
        tuple(steps),
        tuple(table["error"]),
        tuple(table["truncation"]),
        tuple(table["roundoff"]),
        lines[0].step(rung) if rung in rungs else None,
        falls,
        rises,
    )


def _branches(rungs, table, best):
    """Exponents of h on both sides of the best step."""
    points = list(zip(rungs, table["scatter"], table["truncation"], table["roundoff"]))
    right = [(rung, size) for rung, size, cut, noise in points if rung > best and size > 0 and cut > 3 * noise]
    left = [(rung, size) for rung, size, _, _ in points if rung < best and size > 0]
    return _exponent(right[:6]), _exponent(left)


def _exponent(points):
    if len(points) < 3:
        return None
    rungs, sizes = zip(*points)
    return float(np.polyfit(np.array(rungs) / 2, np.log10(sizes), 1)[0])


def _largest(values, scale):
    """The largest size, in units of `scale`; NaN if there is none."""
    return max(map(abs, values), default=math.nan) / (scale or 1.0)
