r"""Which step?  How the error of a central difference depends on h, without knowing the right derivative.

Along a line phi(t) = f(x + t v) the central difference D(h), see `scratchnst.verify.methods.differences`,
has two errors ::

    D(h) - phi'(0) = h^2/6 phi'''(0) + ...                     truncation, falls as h^2
                   + (rounding of phi(h) and phi(-h)) / 2h     round-off, rises as h^-1

whose sum is a V against h on logarithmic axes.  Each is estimated by itself:

* Truncation.  Steps are half a decade apart.  The next larger step has ten times the error, so that ::

      D(sqrt(10) h) - D(h) = 9 h^2/6 phi'''(0) + ...,      truncation(h) = |D(sqrt(10) h) - D(h)| / 9        (a)

  That holds where h is small enough for the first term to rule.  It is where all smaller steps that have been tried
  agree, within their round-off.

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

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.verify.methods.differences import Direction, Sides, as_float64, both_sides, moved
from scratchnst.verify.methods.kinks import Pattern, crossed
from scratchnst.verify.report import Curve

SAFETY = 20  # times the estimated error is the largest that a numerical derivative may have
SINGLE, DOUBLE = (float(np.finfo(dtype).eps) for dtype in ("float32", "float64"))
TELLING = 0.1  # the largest error, beside the size of derivatives, of one that tells anything
RATIO = math.sqrt(10)  # of neighbouring steps: half a decade
LADDER = range(-18, 2)  # half decades, 1e-9 to 3 times the typical size of x
USUAL = -10  # the rung that serves a usual function, where none can be found
LOWEST, HIGHEST = -28, 14  # as far as the ladder is lengthened where its end is not good enough

# Spacings of the difference table, in the typical size of x.  The first one shows rounding to float32 inside a float64
# function, those that follow are for functions that are not smooth at that scale.
SPACINGS = {
    "float64": (3e-7, 3e-8, 3e-9, 3e-10, 3e-11, 3e-12),
    "float32": (1e-3, 1e-4, 1e-5, 1e-6),
}
WIDER = {"float64": (3e-5, 3e-3), "float32": (1e-2, 1e-1)}
TABLE = range(-5, 6)
ORDERS = (3, 4, 5)


@dataclass(frozen=True)
class Noise:
    """How far values of a function scatter.

    Attributes
    ----------
    level : e, the size of the noise in values near x
    relative : the same for values far from x, over their size
    is_measured : whether the values near x differ enough to show it; if not, level is the last bit of the output
    """

    level: float
    relative: float
    is_measured: bool = True

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

    Attributes
    ----------
    y : f at x
    size : root of the sum of squares of the summands of <weights, y>, as which their last bits add up
    unit : the typical size of x's elements, the yardstick of steps: their median, zeros aside
    resolution : the machine epsilon of the coarsest type that all values other than y fit into; None before the first
    calls : how often f was called
    failure : the last exception of f, away from x
    """

    def __init__(self, f: Callable, x: Array, weights: Array = 1.0, patterns: Callable[[Array], Pattern] | None = None):
        self.f, self.x, self.weights, self.patterns = f, x, weights, patterns
        self.y = as_float64(f(x.copy()))
        self.size = _root_of_squares(weights * self.y)
        sizes = abs(x[x != 0])
        self.unit = float(array_module(x).median(sizes)) if sizes.size else 1.0
        self.here = patterns(x.copy()) if patterns else {}
        self.failure: Exception | None = None
        self.calls = 0
        self.resolution: float | None = None

    def __call__(self, x: Array) -> float:
        """Return how much <weights, f> rises from the centre to `x`; NaN where f has no finite value there."""
        self.calls += 1
        try:
            with np.errstate(all="ignore"):
                y = as_float64(self.f(x))
                rise = float((self.weights * (y - self.y)).sum())
                if self.resolution != DOUBLE and bool((y != self.y).any()):
                    self.resolution = max(self.resolution or 0.0, _resolution(y))
        except Exception as error:
            self.failure = error
            return math.nan
        return rise if math.isfinite(rise) else math.nan

    def crossed(self, direction: Direction, step: float) -> dict[str, Array]:
        """Which units cross a kink within `step` to either side."""
        return crossed(self.patterns, self.x, direction, step, self.here) if self.patterns else {}


def computational_noise(probe: Probe, directions: Iterable[Direction]) -> Noise:
    """Measure how far values of a function scatter around x, equation (b), along some of `directions`.

    The largest of the first three that are free of kinks counts; if none of these is, the first one that is.  Where f
    does not change along any, its values may be rounded to few digits, and wider spacings are tried.
    """
    directions = list(directions)
    tables: list[_Table] = []
    for number, direction in enumerate(directions):
        if number >= 3 and any(table.is_noise for table in tables):
            break
        tables.append(_noise_along(probe, direction))
    if all(table.is_flat for table in tables):
        tables = [_wider_table(probe, direction) for direction in directions]
    found = [table for table in tables if table.is_noise]
    epsilon = max(float(np.finfo(probe.x.dtype).eps), probe.resolution or 0.0)
    level = max([epsilon * probe.size, *(table.level for table in found)])
    usual = epsilon * max([probe.size, *(float(abs(probe.x).max()) * table.secant for table in found)])
    if level > 1e5 * usual > 0:
        epsilon = max(epsilon, SINGLE)
    return Noise(level, 4 * epsilon, not all(table.is_flat for table in tables))


def _resolution(y):
    """The machine epsilon of the coarsest type that holds the numbers `y` exactly."""
    fits = (dtype for dtype in ("float16", "float32") if bool((y.astype(dtype) == y).all()))
    return float(np.finfo(next(fits, "float64")).eps)


@dataclass(frozen=True)
class _Table:
    """What a difference table shows: the noise and how steep f is, both 0 if f does not change, NaN at a kink."""

    level: float
    secant: float

    @property
    def is_flat(self) -> bool:
        return self.level == self.secant == 0

    @property
    def is_noise(self) -> bool:
        return not self.is_flat and not math.isnan(self.level)


FLAT, KINKED = _Table(0.0, 0.0), _Table(math.nan, math.nan)


def _noise_along(probe, direction) -> _Table:
    """The noise along a direction, at the widest spacing where it is noise: where a hundredth of it shows as much.

    What is left of a smooth function, or of a kink, shrinks with the spacing; noise does not, until the steps of a
    function that is rounded to few digits are wider than the table, which then shows no change.
    """
    dtype = str(probe.x.dtype)
    table = functools.cache(lambda spacing: _difference_table(probe, direction, spacing))
    if table(SPACINGS[dtype][0]).is_flat:
        return FLAT
    for spacing, hundredth in zip(SPACINGS[dtype], SPACINGS[dtype][2:]):
        wide, narrow = table(spacing), table(hundredth)
        if narrow.is_flat or narrow.level >= wide.level / 10:
            return max(wide, narrow, key=lambda table: table.level)
    return KINKED


def _wider_table(probe, direction) -> _Table:
    tables = (_difference_table(probe, direction, spacing) for spacing in WIDER[str(probe.x.dtype)])
    return next((table for table in tables if not table.is_flat), FLAT)


def _difference_table(probe, direction, spacing) -> _Table:
    """Equation (b) at one spacing."""
    step = spacing * probe.unit
    if probe.crossed(direction, step * TABLE[-1]):
        return KINKED
    values = np.array([probe(moved(probe.x, direction, number * step)) for number in TABLE])
    if not np.isfinite(values).all():
        return KINKED
    if len(np.unique(values)) <= len(values) // 2:
        return FLAT
    levels = []
    for order in ORDERS:
        differences = np.diff(values, order)
        gamma = math.factorial(order) ** 2 / math.factorial(2 * order)
        levels.append(math.sqrt(gamma / len(differences)) * _root_of_squares(differences))
    return _Table(max(levels), abs(values[-1] - values[0]) / (len(values) - 1) / step)


def _root_of_squares(values) -> float:
    """The root of the sum of squares, of numbers however large."""
    largest = float(abs(values).max())
    return largest * float(((values / largest) ** 2).sum()) ** 0.5 if 0 < largest < math.inf else largest


@dataclass(frozen=True)
class DerivativeEstimate:
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
        ahead, behind = self._slopes(rung)
        return abs(ahead - behind)

    def is_smooth(self, rung: int) -> bool:
        """Whether the bend shrinks with h, from the rung above to this one, or is no more than noise."""
        return self.bend(rung) <= max(0.55 * self.bend(rung + 1), 40 * self.roundoff(rung))

    def estimate(self, rung: int) -> DerivativeEstimate | None:
        """The derivative at this rung with its error, equations (a) and (b); None where a kink forbids it."""
        if not (self.is_clear(rung) and self.is_clear(rung + 1) and self.is_smooth(rung)):
            return None
        slope = self.at(rung).slope
        truncation = abs(self.at(rung + 1).slope - slope) / 9
        estimate = DerivativeEstimate(slope, truncation, self.roundoff(rung), rung)
        return estimate if self._smaller_steps_agree(estimate) else None

    def _smaller_steps_agree(self, estimate):
        smaller = [rung for rung in self.sides if rung < estimate.rung and self.is_clear(rung)]
        return all(
            abs(self.at(rung).slope - estimate.slope) <= SAFETY * (estimate.error + self.roundoff(rung))
            for rung in smaller
        )

    def sweep(self) -> DerivativeEstimate | None:
        """Try every step of the ladder, and more beyond its end if the best lies there; return the best estimate."""
        low, high = LADDER[0], LADDER[-1]
        for rung in LADDER:
            self.at(rung)
        best = self.best()
        while self.changes and (best is None or best.error > 1e-10 * self.variation(best.rung)):
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

    def best(self) -> DerivativeEstimate | None:
        """The best of the estimates at steps tried so far."""
        rungs = sorted(self.sides)[:-1]
        found = [estimate for rung in rungs if rung + 1 in self.sides and (estimate := self.estimate(rung))]
        return min(found, key=lambda estimate: estimate.error, default=None)

    def descend(self, rung: int, good_enough: float, hopeless: float) -> DerivativeEstimate | None:
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

    def variation(self, rung: int) -> float:
        """How steep f is over the step at this rung: the larger secant."""
        return max(map(abs, self._slopes(rung)))

    def _slopes(self, rung):
        """Ahead and behind; NaN where the step is too small to move x."""
        sides = self.at(rung)
        return (
            sides.ahead / sides.forth if sides.forth else math.nan,
            -sides.behind / sides.back if sides.back else math.nan,
        )

    @property
    def changes(self) -> list[float]:
        """How much f changes over each step tried, leaving out where it does not."""
        rises = [abs(rise) for sides in self.sides.values() for rise in sides[:2]]
        return [rise for rise in rises if 0 < rise < math.inf]

    @property
    def has_kink(self) -> bool:
        """Whether the slopes on the two sides stay apart down to the smallest step that still tells."""
        telling = [rung for rung in sorted(self.sides) if self.bend(rung) > 40 * self.roundoff(rung)]
        return bool(telling) and not any(self.is_smooth(rung) for rung in telling[:3] if rung + 1 in self.sides)


def common_rung(lines: Sequence[Line]) -> tuple[int, float]:
    """Return the rung of the ladder that serves most lines best, and the error that these do not exceed there.

    Most is four in five: the others are close to a kink.  Lines that no step serves, on a kink, have no say.
    """
    bests = [(line, best) for line in lines if (best := line.best())]
    scale = max((line.variation(best.rung) for line, best in bests), default=0.0)
    served = [line for line, best in bests if SAFETY * best.error <= TELLING * scale]
    rungs = set.intersection(*(set(line.sides) for line in served)) if served else set()

    def error(rung):
        errors = sorted(estimate.error if (estimate := line.estimate(rung)) else math.inf for line in served)
        return errors[math.ceil(0.8 * len(errors)) - 1]

    usable = [rung for rung in rungs if rung + 1 in rungs]
    if not usable:
        return USUAL, 0.0
    chosen = min(usable, key=lambda rung: (error(rung), -rung))
    return chosen, error(chosen)


def v_curve(lines: Sequence[Line], slopes: Sequence[float], rung: int, scale: float) -> Curve:
    """Return the V-curve of several lines: at each step the largest error among those that cross no kink there.

    Parameters
    ----------
    lines : swept lines
    slopes : what the gradient under test says of each
    rung : the step that was chosen
    scale : that errors are divided by
    """
    rungs = sorted({each for line in lines for each in line.sides})
    bests = {id(line): line.best() for line in lines}
    table: dict[str, list[float]] = {"error": [], "truncation": [], "roundoff": [], "scatter": []}
    for each in rungs:
        clear = [(line, slope) for line, slope in zip(lines, slopes) if each in line.sides and line.is_clear(each)]
        estimates = [estimate for line, _ in clear if each + 1 in line.sides and (estimate := line.estimate(each))]
        scatter = [line.at(each).slope - best.slope for line, _ in clear if (best := bests[id(line)])]
        table["error"].append(_largest([line.at(each).slope - slope for line, slope in clear], scale))
        table["truncation"].append(_largest([estimate.truncation for estimate in estimates], scale))
        table["roundoff"].append(_largest([line.roundoff(each) for line, _ in clear], scale))
        table["scatter"].append(_largest(scatter, scale))
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
    return _exponent(right[:4], 0.1), _exponent(left, 1.0)


def _exponent(points, straightness):
    """The exponent p of sizes ~ h^p; None for points that are too few or, by that many decades, not on a line."""
    if len(points) < 3:
        return None
    exponents, sizes = np.array(points).T
    line = np.polyfit(exponents / 2, np.log10(sizes), 1)
    off = np.abs(np.polyval(line, exponents / 2) - np.log10(sizes)).max()
    return float(line[0]) if off < straightness else None


def _largest(values, scale):
    """The largest size, in units of `scale`; NaN if there is none."""
    return max(map(abs, values), default=math.nan) / (scale or 1.0)
