r"""The choice of the step: the error of a central difference against h, without knowing the right derivative.

Along a line phi(t) = f(x + t v) the central difference D(h), see `scratchnst.verify.methods.differences`,
has two errors ::

    D(h) - phi'(0) = h^2/6 phi'''(0) + ...                     truncation, falls as h^2
                   + (rounding of phi(h) and phi(-h)) / 2h     round-off, rises as h^-1

whose sum is a V against h on logarithmic axes.  Each is estimated by itself:

* Truncation.  Steps are half a decade apart.  The next larger step has ten times the error, so that ::

      D(sqrt(10) h) - D(h) = 9 h^2/6 phi'''(0) + ...,      truncation(h) = |D(sqrt(10) h) - D(h)| / 9        (a)

  This holds where h is so small that the first term dominates.  It does if the derivatives at all smaller steps tried
  agree within their round-off.

* Round-off.  Let values of phi have noise of size e.  Over equally spaced points very close together the k-th
  differences of a smooth function vanish, and those of the noise have a known variance (R. W. Hamming's difference
  table; J. More, S. Wild, "Estimating computational noise", SIAM J. Sci. Comput. 33, 2011)::

      e^2 = (k!)^2 / (2k)!  mean (k-th differences)^2,      roundoff(h) = e / h                               (b)

  The noise is at least the last bit of the output.

The best step has the smallest sum.  A step that crosses a kink is not used.  Undeclared kinks are found from the slopes
on the two sides: for a smooth function their difference, the bend, is h phi''(0), which shrinks with h at every smaller
step; at a kink it does not, though it may from one step to the next, where the larger one reaches another kink.

Steps are powers of sqrt(10) times the typical size of x; the exponent is called a rung.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.verify.methods.differences import Direction, Sides, as_float64, both_sides, moved
from scratchnst.verify.methods.kinks import Pattern, crossed
from scratchnst.verify.report import Curve

SAFETY = 20  # largest error of a numerical derivative over the estimated one
SINGLE, DOUBLE = (float(np.finfo(dtype).eps) for dtype in ("float32", "float64"))
NOISY_BEND, SURE_BEND = 4, 400  # a bend that may be noise, and one that is known well, in round-offs
SHRINKS = 0.55  # largest part of the bend that a smooth function has at the next smaller step, where theory says 0.32
USABLE = 0.1  # largest error of a derivative that is used at all, over the size of derivatives
RATIO = math.sqrt(10)  # of neighbouring steps: half a decade
LADDER = range(-18, 2)  # rungs that are always tried, 1e-9 to 3 times the typical size of x
DEFAULT_RUNG = -10  # the rung where none can be chosen
LOWEST, HIGHEST = -28, 14  # rungs that are tried where the end of the ladder is the best

# Spacings of the difference table, in the typical size of x.  At the first one rounding to float32 inside a float64
# function shows; the others are for functions that are not smooth at that scale.
SPACINGS = {"float64": (3e-7, 3e-8, 3e-9, 3e-10, 3e-11, 3e-12), "float32": (1e-3, 1e-4, 1e-5, 1e-6)}
WIDER = {"float64": (3e-5, 3e-3), "float32": (1e-2, 1e-1)}
TABLE = range(-5, 6)
ORDERS = (3, 4, 5)


@dataclass(frozen=True)
class Noise:
    """The size of the noise in values of a function.

    Attributes
    ----------
    level : e, the size of the noise in values near x
    relative : the same for values far from x, over their size
    is_measured : whether values near x differ at all; if not, level is the last bit of the output
    """

    level: float
    relative: float
    is_measured: bool = True

    @property
    def is_coarse(self) -> bool:
        """Whether the noise is that of float32 or larger."""
        return self.relative > 1e-9

    def at(self, value: float) -> float:
        """The noise of a value that differs by `value` from that at x."""
        return self.level + self.relative * abs(value)


class Probe:
    """A scalar function around a point: its change when x moves, and the kinks that are crossed.

    Where f has an array of outputs, the scalar is <weights, f>.  Outputs at x are subtracted before the sum: outputs
    that do not change contribute no rounding error.

    Attributes
    ----------
    y : f at x
    size : root of the sum of squares of the summands of <weights, y>, to which the sum's rounding error is proportional
    unit : the typical size of x's elements, in units of which steps are taken: the median of those that are not zero
    resolution : the machine epsilon of the coarsest type that holds all values other than y; None before the first
    calls : number of calls of f
    failure : the last exception of f, away from x
    """

    def __init__(
        self, f: Callable, x: Array, weights: Array | float = 1.0, patterns: Callable[[Array], Pattern] | None = None
    ):
        self.f, self.x, self.weights, self.patterns = f, x, weights, patterns
        self.y = as_float64(f(x.copy())).copy()  # f may return one buffer each time
        self.size = _root_of_squares(weights * self.y)
        sizes = abs(x[x != 0])
        self.unit = float(array_module(x).median(sizes)) if sizes.size else 1.0
        self.here = patterns(x.copy()) if patterns else {}
        self.failure: Exception | None = None
        self.calls = 0
        self.resolution: float | None = None

    def __call__(self, x: Array) -> float:
        """Return <weights, f> at `x` less that at the centre; NaN where f has no finite value."""
        self.calls += 1
        try:
            with np.errstate(all="ignore"):
                y = as_float64(self.f(x))
                rise = float(self._rises(y).sum())
                if self.resolution != DOUBLE and bool((y != self.y).any()):
                    self.resolution = max(self.resolution or 0.0, _resolution(y))
        except Exception as error:
            self.failure = error
            return math.nan
        return rise if math.isfinite(rise) else math.nan

    def rises(self, x: Array) -> Array:
        """Return weights * f at `x` less that at the centre, output by output."""
        return self._rises(as_float64(self.f(x)))

    def _rises(self, y):
        return self.weights * (y - self.y)

    def crossed(self, direction: Direction, step: float) -> dict[str, Array]:
        """Which units cross a kink between -step and step."""
        return crossed(self.patterns, self.x, direction, step, self.here) if self.patterns else {}


def computational_noise(probe: Probe, directions: Iterable[Direction]) -> Noise:
    """Measure the noise of a function around x, equation (b), along some of `directions`.

    The result is the largest of the first three that cross no kink or, if all three do, of the first one that does
    not.  Where f does not change along any, its values may be rounded to few digits, and wider spacings are tried.
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
    """The noise from a difference table, and the slope of f; both are 0 if f does not change, NaN at a kink."""

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
    """The noise along a direction, at the widest spacing at which a hundredth of the spacing gives as much.

    Differences of a smooth function, or across a kink, shrink with the spacing; noise does not, unless the function is
    rounded to so few digits that it does not change within the table.
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
    """The root of the sum of squares, without overflow."""
    largest = float(abs(values).max())
    return largest * float(((values / largest) ** 2).sum()) ** 0.5 if 0 < largest < math.inf else largest


@dataclass(frozen=True)
class DerivativeEstimate:
    """A numerical derivative at the step of a `rung`, and the two parts of its error."""

    slope: float
    truncation: float
    roundoff: float
    rung: int

    @property
    def error(self) -> float:
        """Both parts."""
        return self.truncation + self.roundoff


class SideSlopes(NamedTuple):
    """What a derivative may be on a kink: anything from `lower` to `upper`, both known up to `error`."""

    lower: float
    upper: float
    error: float


class Line:
    """A function along x + t v, evaluated at t = +-h for the steps h of rungs, each when it is first needed."""

    def __init__(self, probe: Probe, direction: Direction, noise: Noise):
        self.probe, self.direction, self.noise = probe, direction, noise
        self.sides: dict[int, Sides] = {}
        self.units: dict[int, dict[str, Array]] = {}

    def step(self, rung: int) -> float:
        """h at this rung."""
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
        return (
            math.isfinite(sides.ahead + sides.behind)
            and min(sides.step_ahead, sides.step_behind) > 0
            and not self.units[rung]
        )

    def roundoff(self, rung: int) -> float:
        """The noise over h."""
        sides = self.at(rung)
        return self.noise.at(max(abs(sides.ahead), abs(sides.behind))) / self.step(rung)

    def bend(self, rung: int) -> float:
        """The difference of the slopes ahead and behind: h phi''(0), or the jump of a kink."""
        ahead, behind = self._slopes(rung)
        return abs(ahead - behind)

    def is_smooth(self, rung: int) -> bool:
        """Whether the bend is smaller than at the rung above, or no more than noise."""
        return self.bend(rung) <= max(SHRINKS * self.bend(rung + 1), NOISY_BEND * self.roundoff(rung))

    def estimate(self, rung: int) -> DerivativeEstimate | None:
        """The derivative at this rung with its error, equations (a) and (b); None where there is a kink."""
        if not (self.is_clear(rung) and self.is_clear(rung + 1) and self.is_smooth(rung)) or self.has_kink:
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
        """Try every rung of the ladder, and more beyond its end if the best is there; return the best estimate."""
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
        """The estimate with the smallest error, of the steps tried so far."""
        rungs = sorted(self.sides)[:-1]
        found = [estimate for rung in rungs if rung + 1 in self.sides and (estimate := self.estimate(rung))]
        return min(found, key=lambda estimate: estimate.error, default=None)

    def descend(self, rung: int, target_error: float, max_roundoff: float) -> DerivativeEstimate | None:
        """Return the best estimate at `rung` and smaller steps.

        Stops where its error is at most `target_error`, where round-off alone is larger than that error, or where it is
        larger than `max_roundoff`.
        """
        best = None
        while rung >= LOWEST:
            self.at(rung - 1)
            estimate = self.estimate(rung)
            if estimate is not None and (best is None or estimate.error < best.error):
                best = estimate
            if best is not None and (best.error <= target_error or self.roundoff(rung) > best.error):
                break
            if self.roundoff(rung) > max_roundoff:
                break
            rung -= 1
        return best and self.estimate(best.rung)  # None if a smaller step has shown a kink

    def variation(self, rung: int) -> float:
        """The larger of the slopes ahead and behind, in size."""
        return max(map(abs, self._slopes(rung)))

    def _slopes(self, rung):
        """The slopes ahead and behind; NaN where the step is too small to change x."""
        sides = self.at(rung)
        return (
            sides.ahead / sides.step_ahead if sides.step_ahead else math.nan,
            -sides.behind / sides.step_behind if sides.step_behind else math.nan,
        )

    def side_slopes(self) -> SideSlopes | None:
        """The slopes ahead and behind, of the steps tried; None where they have no stable value.

        An output on a kink may have the slope of either side or, where several kinks come together, none.
        """
        errors = {rung: self._side_error(rung) for rung in self.sides if {rung - 1, rung + 1} <= self.sides.keys()}
        rung = min(errors, key=lambda each: errors[each], default=0)
        error = errors.get(rung, math.inf)
        smaller = [each for each in self.sides if each < rung and not any(map(math.isnan, self._slopes(each)))]
        if not smaller or not all(self._sides_agree(rung, each, error) for each in smaller):
            return None
        steps = self.sides[rung].step_ahead, -self.sides[rung].step_behind
        xp, x = array_module(self.probe.x), self.probe.x
        ahead, behind = (self.probe.rises(moved(x, self.direction, step)) / step for step in steps)
        ends = xp.stack([ahead, behind, xp.where(abs(ahead - behind) > SAFETY * error, 0.0, ahead)])
        return SideSlopes(float(ends.min(axis=0).sum()), float(ends.max(axis=0).sum()), error)

    def _side_error(self, rung):
        """The error of the slopes ahead and behind: that of a one-sided difference is h/2 phi''(0) + ..., and noise."""
        pairs = zip(self._slopes(rung), self._slopes(rung + 1))
        error = max(abs(slope - wider) for slope, wider in pairs) / (RATIO - 1) + 2 * self.roundoff(rung)
        return error if math.isfinite(sum(self._slopes(rung)) + error) else math.inf

    def _sides_agree(self, rung, other, error):
        pairs = zip(self._slopes(rung), self._slopes(other))
        return all(abs(slope - narrow) <= SAFETY * (error + self.roundoff(other)) for slope, narrow in pairs)

    @property
    def changes(self) -> list[float]:
        """The sizes of f's changes over the steps tried, without zeros."""
        rises = [abs(rise) for sides in self.sides.values() for rise in sides[:2]]
        return [rise for rise in rises if 0 < rise < math.inf]

    @property
    def has_kink(self) -> bool:
        """Whether the slopes on the two sides differ down to the smallest step that is not dominated by round-off.

        Of the steps at which the bend is no noise, the smallest with a smaller one beside it tells: there the bend has
        shrunk, unless it is the jump of a kink.
        """
        sure = (r for r in sorted(self.sides) if r - 1 in self.sides and self.bend(r) > SURE_BEND * self.roundoff(r))
        rung = next(sure, None)
        return rung is not None and self.bend(rung - 1) > SHRINKS * self.bend(rung)


def common_rung(lines: Sequence[Line]) -> tuple[int, float]:
    """Return the rung with the smallest error for most lines, and that error.

    Most are four in five: the others are close to a kink.  Lines that have no estimate at any step are left out.
    """
    bests = [(line, best) for line in lines if (best := line.best())]
    scale = max((line.variation(best.rung) for line, best in bests), default=0.0)
    usable = [line for line, best in bests if SAFETY * best.error <= USABLE * scale]
    rungs = set.intersection(*(set(line.sides) for line in usable)) if usable else set()

    def error(rung):
        errors = sorted(estimate.error if (estimate := line.estimate(rung)) else math.inf for line in usable)
        return errors[math.ceil(0.8 * len(errors)) - 1]

    candidates = [rung for rung in rungs if rung + 1 in rungs]
    if not candidates:
        return DEFAULT_RUNG, 0.0
    chosen = min(candidates, key=lambda rung: (error(rung), -rung))
    return chosen, error(chosen)


def v_curve(lines: Sequence[Line], slopes: Sequence[float], rung: int, scale: float) -> Curve:
    """Return the V-curve of several lines: at each step the largest error among those that cross no kink there.

    Parameters
    ----------
    lines : after `Line.sweep`
    slopes : of each line, by the gradient under test
    rung : of the step chosen
    scale : by which errors are divided
    """
    rungs = sorted({each for line in lines for each in line.sides})
    bests = [line.best() for line in lines]
    rows = []
    for each in rungs:
        clear = [row for row in zip(lines, slopes, bests) if each in row[0].sides and row[0].is_clear(each)]
        estimates = [estimate for line, *_ in clear if each + 1 in line.sides and (estimate := line.estimate(each))]
        errors = (
            [line.at(each).slope - slope for line, slope, _ in clear],
            [estimate.truncation for estimate in estimates],
            [line.roundoff(each) for line, *_ in clear],
            [line.at(each).slope - best.slope for line, _, best in clear if best],
        )
        rows.append([max(map(abs, sizes), default=math.nan) / (scale or 1.0) for sizes in errors])
    error, truncation, roundoff, scatter = zip(*rows)
    points = [row for row in zip(rungs, scatter, truncation, roundoff) if row[1] > 0]
    above = [(each, size) for each, size, cut, noise in points if each > rung and cut > 3 * noise]
    below = [(each, size) for each, size, *_ in points if each < rung]
    return Curve(
        steps=tuple(lines[0].step(each) for each in rungs),
        error=error,
        truncation=truncation,
        roundoff=roundoff,
        best=lines[0].step(rung) if rung in rungs else None,
        falls=_exponent(above[:4], 0.1),
        rises=_exponent(below, 1.0),
    )


def _exponent(points, straightness):
    """The exponent p of sizes ~ h^p; None for fewer than 3 points or points off a line by `straightness` decades."""
    if len(points) < 3:
        return None
    exponents, sizes = np.array(points).T
    line = np.polyfit(exponents / 2, np.log10(sizes), 1)
    off = np.abs(np.polyval(line, exponents / 2) - np.log10(sizes)).max()
    return float(line[0]) if off < straightness else None
