r"""The verdict on one gradient: all methods together.

Each element of a sample, and all elements at once along a few random directions, get a numerical derivative with an
error of its own, see `scratchnst.verify.steps`: nothing of the gradient under test enters.  The gradient is wrong where
it differs from that by more than ::

    tolerance = SAFETY (truncation + round-off) + rounding of the gradient itself                    (a)

The last is found by moving x by some units in the last place: by how much the gradient changes then, it cannot be known
any better.  An element whose tolerance is not small beside the largest one cannot be judged, and counts as such.

The verdict is "fail" if any method finds the gradient wrong.  It is "pass" if at least half of the sampled elements
could be judged, all of those are right, the elements not sampled are right along some direction, and the Taylor
remainder shrinks with order 2.  Otherwise it is "inconclusive".
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from scratchnst.backend import array_module
from scratchnst.verify.adjoint import Adjoint
from scratchnst.verify.differences import as_float64
from scratchnst.verify.kinks import Pattern, merged
from scratchnst.verify.report import InputReport, Kinks, Worst
from scratchnst.verify.steps import SAFETY, Estimate, Line, Noise, Probe, common_rung, computational_noise, v_curve
from scratchnst.verify.taylor import order_of_convergence, remainders

Array = Any

PILOTS = 6  # elements, of those sampled, with a whole sweep of steps each
JUDGEABLE = {"fine": 1e-3, "coarse": 1e-2}  # largest tolerance, beside the largest element, in float64 and float32
TELLING = 0.1  # the largest tolerance, beside the same, for a gradient to be called wrong
RIGHT_ORDER, WRONG_ORDER = 1.8, 1.5
TRUSTWORTHY = 1e-6  # relative precision of the central difference that a complex step is tried against
ROUNDINGS = 100  # units in the last place that any sum may be off by
REFERENCE_SECONDS = 10.0  # what a numerical gradient in every element may take, to tell what is wrong


@dataclass(frozen=True)
class Function:
    """A scalar function of one array, <weights, f(x)>, with all that is known of it but its gradient.

    Attributes
    ----------
    name : of the input
    x : where, float32 or float64
    f : x -> y, an array or a number
    weights : the upstream gradient, of y's shape
    patterns : x -> which units are on which side of their kink, or None
    complex_slope : direction -> slope by a complex step, or None where there is none; None if it cannot be had at all
    adjoint : (transposed) what the adjoint identity gave, or None
    autograd : PyTorch's gradient, or None
    """

    name: str
    x: Array
    f: Callable
    weights: Array = 1.0
    patterns: Callable[[Array], Pattern] | None = None
    complex_slope: Callable[[Array], float | None] | None = None
    adjoint: Adjoint | None = None
    autograd: Array | None = None


@dataclass(frozen=True)
class Gradient:
    """A gradient to be judged.

    Attributes
    ----------
    values : at x, float64
    nearby : factor -> the gradient where all inputs are multiplied by it, or None if it is known at x alone
    precision : relative precision of the values, if they are coarser than x
    """

    values: Array
    nearby: Callable | None = None
    precision: float = 0.0


class Measurement:
    """What is measured of a function around x, whatever its gradient is said to be."""

    def __init__(self, function: Function, sample: list[int], random: np.random.Generator):
        x = function.x
        self.probe = Probe(function.f, x, function.weights, function.patterns)
        directions = random_directions(x, random)
        self.noise = computational_noise(self.probe, [*directions, *sample[:PILOTS]])
        self.lines = [Line(self.probe, direction, self.noise) for direction in directions]
        for line in self.lines:
            line.sweep()
        self.pilots = {index: Line(self.probe, index, self.noise) for index in sample[:PILOTS]}
        for line in self.pilots.values():
            line.sweep()
        self._correct_noise()
        self.rung = common_rung(list(self.pilots.values()))
        self.scale = max([self._steepness(line) for line in self.pilots.values()])
        self.scale = max([self.scale, *(self._steepness(line) / math.sqrt(x.size) for line in self.lines)])
        self.limit = JUDGEABLE["coarse" if self.is_coarse else "fine"]

    def _steepness(self, line):
        """The size of a derivative along a line, or of its changes nearby where it vanishes."""
        best = line.best()
        steepness = line.variation(self.rung if best is None else best.rung)
        return steepness if math.isfinite(steepness) else 0.0

    def _correct_noise(self):
        """Mend the noise of a function that does not change near x: its last digit tells nothing then.

        If it changes nowhere, there is no noise.  If it changes at large steps, by as little as a ten-billionth of its
        largest change, then that is the size of its own rounding somewhere inside.
        """
        lines = [*self.lines, *self.pilots.values()]
        changes = [change for line in lines for change in line.changes]
        if not changes:
            self.noise = Noise(0.0, 0.0, False)
        elif not self.noise.is_measured and min(changes) < 1e-10 * max(changes):
            self.noise = replace(self.noise, level=max(self.noise.level, min(changes)))
        for line in lines:
            line.noise = self.noise

    @property
    def is_coarse(self) -> bool:
        """Whether the function is computed in float32, by itself or because its input is."""
        return self.noise.is_coarse or self.probe.x.dtype == np.float32

    def element(self, index: int) -> tuple[Line, Estimate | None]:
        """Differentiate with respect to one element, at the common step or, if that does not serve, a smaller one."""
        if index in self.pilots:
            return self.pilots[index], self.pilots[index].best()
        line = Line(self.probe, index, self.noise)
        usual = max((pilot.error for line in self.pilots.values() if (pilot := line.estimate(self.rung))), default=0.0)
        good_enough = max(10 * usual, 1e-10 * self.scale)
        return line, line.descend(self.rung, good_enough, self.limit * self.scale / SAFETY)


@dataclass
class Elements:
    """Numerical derivatives element by element, flat: NaN and infinite tolerance where there is none."""

    indices: list[int]
    slopes: np.ndarray
    tolerances: np.ndarray
    crossed: int = 0
    closer: int = 0
    stuck: int = 0
    undeclared: int = 0
    units: dict[str, Array] = field(default_factory=dict)

    @classmethod
    def of(cls, size: int) -> Elements:
        """None measured yet, of `size`."""
        return cls([], np.full(size, np.nan), np.full(size, np.inf))

    def measure(self, measurement: Measurement, indices: list[int], on_element: Callable | None = None) -> None:
        """Differentiate with respect to the elements at `indices`."""
        for done, index in enumerate(indices, start=1):
            line, estimate = measurement.element(index)
            self.indices.append(index)
            if estimate is not None:
                self.slopes[index] = estimate.slope
                self.tolerances[index] = SAFETY * estimate.error
            self._count_kinks(line, estimate, measurement.rung)
            if on_element:
                on_element(done, len(indices))

    def _count_kinks(self, line, estimate, rung):
        units = merged(*(line.units[each] for each in (rung, rung + 1) if each in line.units))
        undeclared = not units and estimate is None and line.has_kink
        self.units = merged(self.units, units)
        self.undeclared += undeclared
        self.crossed += bool(units) or undeclared
        self.closer += bool(units) and estimate is not None
        self.stuck += (bool(units) or undeclared) and estimate is None

    def kinks(self) -> Kinks:
        """What kinks did to these elements."""
        counts = {name: int(mask.sum()) for name, mask in self.units.items()}
        examples = {name: tuple(map(int, np.argwhere(on_host(mask))[0])) for name, mask in self.units.items()}
        return Kinks(self.crossed, self.closer, self.stuck, counts, examples, self.undeclared)


def judge(
    function: Function,
    gradient: Gradient,
    samples: int | None = None,
    seed: int = 0,
    on_element: Callable[[int, int], None] | None = None,
) -> InputReport:
    """Return the verdict on the gradient of a function; see the top of this file.

    Parameters
    ----------
    function, gradient : what they are
    samples : how many elements are compared one by one, drawn at random; None compares all
    seed : of sample and directions
    on_element : called with (done, total) after each element of the sample
    """
    random = np.random.default_rng(seed)
    sample = [int(index) for index in random.permutation(function.x.size)[:samples]]
    measurement = Measurement(function, sample, random)
    elements = Elements.of(function.x.size)
    start = time.perf_counter()
    elements.measure(measurement, sample, on_element)
    seconds = (time.perf_counter() - start) / len(sample)
    return _Verdict(function, gradient, measurement, elements, sample, seconds).report()


def numerical_gradient(function: Function) -> np.ndarray | None:
    """Return the gradient by central differences in every element, NaN at kinks; None where that would take long."""
    sample = list(range(function.x.size))
    start = time.perf_counter()
    measurement = Measurement(function, sample, np.random.default_rng(0))
    seconds = (time.perf_counter() - start) / (measurement.probe.calls or 1)
    if 4 * seconds * len(sample) > REFERENCE_SECONDS:
        return None
    elements = Elements.of(len(sample))
    elements.measure(measurement, sample)
    return elements.slopes.reshape(function.x.shape)


def random_directions(x: Array, random: np.random.Generator) -> list[Array]:
    """Return three random directions in which every element counts about equally, with random signs.

    In the second one equal elements move together, so that what ties in x stays tied and the winner of a max pool is
    not in doubt; in the third one, besides, zeros stay where they are.
    """
    values, where = np.unique(on_host(x), return_inverse=True)
    free = _signed(random, x.shape)
    tied = _signed(random, values.shape)[where].reshape(x.shape)
    still = np.where(on_host(x) == 0, 0.0, _signed(random, values.shape)[where].reshape(x.shape))
    xp = array_module(x)
    return [xp.asarray(direction, x.dtype) for direction in (free, tied, still if still.any() else free)]


def _signed(random, shape):
    return random.uniform(0.5, 1.5, shape) * random.choice([-1.0, 1.0], shape)


def on_host(x: Array) -> np.ndarray:
    """Return a NumPy array, copied from the GPU where it is there."""
    return x if isinstance(x, np.ndarray) else x.get() if hasattr(x, "get") else np.asarray(x)


class _Verdict:
    """Compares a gradient with all that was measured."""

    def __init__(self, function, gradient, measurement, elements, sample, seconds):
        self.function, self.gradient = function, gradient
        self.measurement, self.elements = measurement, elements
        self.sample, self.seconds = np.array(sample), seconds
        self.got = on_host(gradient.values).reshape(-1)
        known = np.abs(elements.slopes[~np.isnan(elements.slopes)])
        self.largest = float(known.max()) if known.size else 0.0
        self.scale = max(measurement.scale, self.largest)
        self.shift = self._shift()
        self.reasons: list[str] = []
        self.caught_by: list[str] = []

    def report(self) -> InputReport:
        """Every method in turn, then the verdict."""
        function, measurement = self.function, self.measurement
        kinks, judged = self.elements.kinks(), int(self.is_judged(self.sample).sum())
        self._elements()
        order, directions = self._directions()
        self._order(order)
        complex_error = self._complex_step()
        self._adjoint()
        autograd_error = self._autograd()
        if self.caught_by:
            self._find_the_error()
            verdict = "fail"
        else:
            self._doubts(judged, directions, order)
            verdict = "inconclusive" if self.reasons else "pass"
        unit = self.largest or self.scale or 1.0
        pilots = measurement.pilots
        curve = v_curve(list(pilots.values()), self.got[list(pilots)].tolist(), measurement.rung, unit)
        worst = self._worst()
        seen = self._judged_tolerances()
        return InputReport(
            name=function.name,
            shape=tuple(function.x.shape),
            dtype=str(function.x.dtype),
            verdict=verdict,
            reasons=tuple(self.reasons),
            checked=len(self.sample),
            judged=judged,
            total=function.x.size,
            relative_error=None
            if worst is None
            else abs(worst.got - worst.expected) / (self.largest or self.scale or 1),
            precision=float(seen.max()) / (self.largest or self.scale or 1) if seen.size else None,
            worst=worst,
            directions=directions,
            curve=curve,
            order=order,
            adjoint=function.adjoint.error if function.adjoint else None,
            complex_step=complex_error,
            autograd=autograd_error,
            kinks=kinks,
            coarse=measurement.noise.is_coarse,
            caught_by=tuple(self.caught_by),
            got=self.got.reshape(function.x.shape),
            expected=self.elements.slopes.reshape(function.x.shape),
        )

    def tolerance(self, indices):
        """Equation (a) of the elements at `indices`."""
        return self.elements.tolerances[indices] + self.rounding(indices)

    def rounding(self, indices):
        """How exactly the gradient can be known."""
        return self._unit_rounding() * self.scale + np.maximum(8 * self.shift[indices], self._usual_shift())

    def is_judged(self, indices):
        """Whether the tolerance is small enough to tell right from wrong."""
        limit = self.measurement.limit * self.scale
        return np.isfinite(self.elements.slopes[indices]) & (self.tolerance(indices) <= limit)

    def is_wrong(self, indices):
        """Whether the gradient differs by more than the tolerance, and that is not too large to tell."""
        slopes, tolerance = self.elements.slopes[indices], self.tolerance(indices)
        return (tolerance <= TELLING * self.scale) & (np.abs(self.got[indices] - slopes) > tolerance)

    def _unit_rounding(self):
        noise = self.measurement.noise
        own = float(np.finfo(self.function.x.dtype).eps)
        return ROUNDINGS * max(own, noise.relative / 4 if noise.is_coarse else 0.0, self.gradient.precision)

    def _shift(self):
        """By how much each element of the gradient changes when x moves by some units in the last place."""
        if self.gradient.nearby is None:
            return np.zeros_like(self.got)
        units = self._unit_rounding() / ROUNDINGS * 4
        shift = np.zeros_like(self.got)
        for factor in (1 + units, 1 - units):
            try:
                near = on_host(as_float64(self.gradient.nearby(factor))).reshape(-1)
            except Exception:  # a gradient that fails nearby tells nothing, and is judged at x all the same
                continue
            if near.shape == shift.shape and np.isfinite(near).all():
                shift = np.maximum(shift, np.abs(near - self.got))
        return shift

    def _usual_shift(self):
        return 20 * float(np.quantile(self.shift, 0.75))

    def _judged_tolerances(self):
        judged = self.sample[self.is_judged(self.sample)]
        return self.tolerance(judged)

    def _elements(self):
        wrong = self.sample[self.is_wrong(self.sample)]
        if wrong.size:
            self.caught_by.append("elements")

    def _directions(self):
        """Judge along the random directions; return the order of convergence and how many directions served."""
        orders, served = [], 0
        for number, line in enumerate(self.measurement.lines):
            best = line.best()
            if best is None:
                continue
            v = on_host(line.direction).reshape(-1).astype("float64")
            promised = float(np.sum(self.got * v))
            rounding = self._unit_rounding() * float(np.linalg.norm(self.got * v))
            rounding += 8 * abs(float(np.sum(self.shift * np.abs(v)))) / math.sqrt(v.size)
            rounding += self._usual_shift() * math.sqrt(v.size)
            tolerance = SAFETY * best.error + rounding
            size = max(line.variation(best.rung), self.scale * math.sqrt(v.size))
            if abs(promised - best.slope) > tolerance and tolerance <= TELLING * size:
                self._catch("directions", _direction_sentence(number, promised, best.slope))
            elif tolerance > self.measurement.limit * size:
                continue
            served += 1
            order = order_of_convergence(*remainders(line, promised, rounding, best.rung + 1))
            if order is not None:
                orders.append(order)
        return (float(np.median(orders)) if orders else None), served

    def _order(self, order):
        if order is not None and order < WRONG_ORDER and self.caught_by:
            self._catch("order", f"The Taylor remainder shrinks with order {order:.2f} of the step, not 2.")

    def _complex_step(self):
        """Compare with the complex step, if it agrees with the central difference and so can be trusted."""
        line = self.measurement.lines[0]
        best = line.best()
        slope = self.function.complex_slope(line.direction) if self.function.complex_slope and best else None
        if slope is None or not abs(slope - best.slope) <= SAFETY * best.error <= TRUSTWORTHY * abs(slope):
            return None
        v = on_host(line.direction).reshape(-1).astype("float64")
        promised = float(np.sum(self.got * v))
        size = float(np.linalg.norm(self.got * v))
        rounding = self._unit_rounding() * size + 8 * float(np.sum(self.shift * np.abs(v)))
        rounding += self._usual_shift() * math.sqrt(v.size)
        if abs(promised - slope) > rounding:
            self._catch("complex step", f"The complex step finds the slope {slope:.10g}, the gradient {promised:.10g}.")
        return abs(promised - slope) / max(abs(slope), abs(promised)) if slope or promised else 0.0

    def _adjoint(self):
        identity = self.function.adjoint
        if identity is not None and not identity.holds:
            sides = f"<A v, u> = {identity.ahead:.10g}, <v, A^T u> = {identity.back:.10g}"
            self._catch("adjoint", f"The function is linear, and backward is not its transpose: {sides}.")

    def _autograd(self):
        """Compare with PyTorch in every element but those that sit on a kink, where conventions may differ."""
        if self.function.autograd is None:
            return None
        theirs = np.asarray(self.function.autograd, "float64").reshape(-1)
        on_kink = self.sample[np.isnan(self.elements.slopes[self.sample])]
        difference = np.abs(self.got - theirs)
        difference[on_kink] = 0
        scale = float(np.abs(theirs).max()) or self.scale or 1.0
        if np.any(difference > self.rounding(slice(None)) + 1e-10 * scale):
            size = difference.max() / scale
            self._catch("autograd", f"PyTorch's gradient differs by {size:.1e} of its largest element.")
        return float(difference.max()) / scale

    def _catch(self, method, sentence):
        if method not in self.caught_by:
            self.caught_by.append(method)
            self.reasons.append(sentence)

    def _find_the_error(self):
        """Name the worst element: by differentiating with respect to all of them or, if that takes long, by halving."""
        rest = np.setdiff1d(np.arange(self.got.size), self.sample)
        if rest.size * self.seconds <= REFERENCE_SECONDS:
            self.elements.measure(self.measurement, rest.tolist())
        elif "elements" not in self.caught_by and "directions" in self.caught_by:
            self.elements.measure(self.measurement, [self._halve()])
        measured = np.array(self.elements.indices)
        wrong = int(self.is_wrong(measured).sum())
        if wrong:
            worst = self._worst()
            self.reasons.insert(
                0,
                f"The gradient is wrong in {wrong} of {int(self.is_judged(measured).sum())} elements judged; "
                f"at {worst.index} it is {worst.got:.10g} and should be {worst.expected:.10g}.",
            )

    def _halve(self):
        """The element whose error shows along a direction: the half that shows more of it is halved again."""
        line = max(self.measurement.lines, key=lambda line: line.best() is not None)
        direction, rung = on_host(line.direction).reshape(-1), line.best().rung
        suspects = np.arange(direction.size)
        while suspects.size > 1:
            halves = np.array_split(suspects, 2)
            suspects = max(halves, key=lambda half: self._error_along(direction, half, rung))
        return int(suspects[0])

    def _error_along(self, direction, elements, rung):
        masked = np.zeros_like(direction)
        masked[elements] = direction[elements]
        xp, shape = array_module(self.function.x), self.function.x.shape
        line = Line(self.measurement.probe, xp.asarray(masked.reshape(shape)), self.measurement.noise)
        slope = line.at(rung).slope
        return abs(float(np.sum(self.got * masked)) - slope)

    def _worst(self):
        """The element that deviates most, of those that are wrong or, if none is, of those that were judged."""
        measured = np.array(self.elements.indices)
        candidates = measured[self.is_wrong(measured)]
        if not candidates.size:
            candidates = measured[self.is_judged(measured)]
        if not candidates.size:
            return None
        slopes = self.elements.slopes
        flat = int(candidates[np.argmax(np.abs(self.got[candidates] - slopes[candidates]))])
        index = tuple(map(int, np.unravel_index(flat, self.function.x.shape)))
        return Worst(index, float(self.got[flat]), float(slopes[flat]))

    def _doubts(self, judged, directions, order):
        """Say what keeps a gradient that nothing speaks against from passing."""
        sampled, total = len(self.sample), self.got.size
        if judged < sampled / 2 or judged < min(3, sampled):
            self.reasons.append(
                f"Only {judged} of {sampled} elements could be judged: {self.elements.stuck} sit on a kink, "
                f"{sampled - judged - self.elements.stuck} drown in round-off or have no stable slope."
            )
        if not directions and sampled < total:
            self.reasons.append(
                f"No random direction is free of kinks and noise, so nothing is known of the {total - sampled} "
                "elements that were not sampled: check all of them with samples=None."
            )
        if order is not None and order < RIGHT_ORDER:
            self.reasons.append(
                f"The Taylor remainder shrinks with order {order:.2f} of the step, where a smooth function with the "
                "right gradient has 2."
            )
        failure = self.measurement.probe.failure
        if self.reasons and failure is not None:
            self.reasons.append(f"Near x the function raises {type(failure).__name__}: {failure}")


def _direction_sentence(number, promised, slope):
    which = ("a random direction", "a random direction in which equal elements move together")[min(number, 1)]
    return f"Along {which} the gradient promises a slope of {promised:.10g}, the function has {slope:.10g}."
