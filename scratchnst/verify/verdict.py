r"""The verdict on one gradient, by all methods.

Derivatives by each element of a sample, and along a few random directions, are found numerically, each with an
estimate of its error, see `scratchnst.verify.methods.steps`; the gradient under test is not used for that.  It is wrong
where it differs from them by more than ::

    tolerance = SAFETY (truncation + round-off) + rounding of the gradient itself                    (a)

The last is how much the gradient changes when x is moved by some units in the last place.  An element whose tolerance
is not small beside the largest element cannot be judged, and is counted as such.

On a kink a gradient is whatever lies between the slopes on both sides; it is wrong if it does not.

The verdict is "fail" if any method finds the gradient wrong.  It is "pass" if at least half of the sampled elements
could be judged, all of those are right, the elements not sampled are right along some direction, and the Taylor
remainder shrinks with order 2.  Otherwise it is "inconclusive".

The derivative is that of the function as it is computed.  Where an ill-conditioned algorithm computes a function that
differs from the intended one by more than the tolerance, a right gradient of the intended one fails.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.verify.methods.differences import as_float64, on_host
from scratchnst.verify.methods.measurement import (
    REFERENCE_SECONDS,
    ElementDerivatives,
    FunctionMeasurement,
    ScalarFunction,
)
from scratchnst.verify.methods.steps import SAFETY, USABLE, Line, v_curve
from scratchnst.verify.methods.taylor import order_of_convergence, remainders
from scratchnst.verify.report import InputReport, WorstElement

RIGHT_ORDER, WRONG_ORDER = 1.8, 1.5
TRUSTWORTHY = 1e-6  # largest relative error of the central difference that a complex step is compared with
COMPLEX_ACCURACY = 1e-9  # of a complex step: functions of complex numbers lose digits where the real ones do not
KINK_ACCURACY = 1e-6  # of gradients on kinks, over the scale
SHIFTS = 50  # the gradient's rounding, in units of its change when x moves by some units in the last place
SUSPECTS = 100  # number of elements in which PyTorch disagrees that are examined for kinks
ROUNDINGS = 100  # rounding of sums, in units in the last place


@dataclass(frozen=True)
class Gradient:
    """A gradient to be judged.

    Attributes
    ----------
    values : at x, float64
    nearby : factor -> the gradient with all inputs multiplied by it, or None if it is known at x only
    precision : relative precision of the values, if they are coarser than x
    """

    values: Array
    nearby: Callable | None = None
    precision: float = 0.0


def judge(
    function: ScalarFunction,
    gradient: Gradient,
    samples: int | None = None,
    seed: int = 0,
    on_element: Callable[[int, int], None] | None = None,
) -> InputReport:
    """Return the verdict on the gradient of a function; see the top of this file.

    Parameters
    ----------
    function, gradient : under test
    samples : number of elements that are compared one by one, drawn at random; None compares all
    seed : of sample and directions
    on_element : called with (done, total) after each element of the sample
    """
    return _Verdict(function, gradient, samples, np.random.default_rng(seed), on_element).report()


class _Verdict:
    """The comparison of a gradient with numerical derivatives."""

    def __init__(self, function, gradient, samples, random, on_element):
        self.function, self.gradient = function, gradient
        self.sample = random.permutation(function.x.size)[:samples]
        indices = self.sample.tolist()
        self.measurement = FunctionMeasurement(function, indices, random)
        self.elements = elements = ElementDerivatives(self.measurement)
        start = time.perf_counter()
        elements.measure(indices, on_element)
        self.seconds = (time.perf_counter() - start) / len(indices)
        self.got = on_host(gradient.values).reshape(-1)
        known = np.abs(elements.slopes[~np.isnan(elements.slopes)])
        self.largest = float(known.max()) if known.size else 0.0
        self.scale = max(self.measurement.scale, self.largest)
        self.shift = self._shift()
        self.reasons: list[str] = []
        self.caught_by: list[str] = []

    def report(self) -> InputReport:
        """Compare by each method, then decide."""
        function, elements = self.function, self.elements
        kinks, judged = elements.kinks(), self.sample[self.is_judged(self.sample)]
        precision = float(self.tolerance(judged).max()) / self.unit if judged.size else None
        if self.is_wrong(self.sample).any():
            self.caught_by.append("elements")
        self._kinks()
        order, directions = self._directions()
        complex_error, autograd_error = self._complex_step(), self._autograd()
        self._adjoint()
        self._order(order)
        if self.caught_by:
            verdict = "fail"
            self._find_the_error()
        else:
            self._doubts(judged.size, directions, order)
            verdict = "inconclusive" if self.reasons else "pass"
        worst = self._worst()
        return InputReport(
            name=function.name,
            shape=tuple(function.x.shape),
            dtype=str(function.x.dtype),
            verdict=verdict,
            reasons=tuple(self.reasons),
            checked=self.sample.size,
            judged=judged.size,
            total=self.got.size,
            relative_error=abs(worst.got - worst.expected) / self.unit if worst else None,
            precision=precision,
            worst=worst,
            directions=directions,
            curve=self._curve(),
            order=order,
            adjoint=function.adjoint.error if function.adjoint else None,
            complex_step=complex_error,
            autograd=autograd_error,
            kinks=kinks,
            coarse=self.measurement.noise.is_coarse,
            caught_by=tuple(self.caught_by),
            got=self.got.reshape(function.x.shape),
            expected=elements.slopes.reshape(function.x.shape),
        )

    @property
    def unit(self):
        """What relative errors are relative to: the largest element or, where all vanish, the scale."""
        return self.largest or self.scale or 1.0

    def _curve(self):
        pilots = self.measurement.pilots
        return v_curve(list(pilots.values()), self.got[list(pilots)].tolist(), self.measurement.rung, self.unit)

    def tolerance(self, indices):
        """Equation (a) of the elements at `indices`."""
        return self.elements.tolerances[indices] + self.rounding()

    def rounding(self):
        """The rounding error of the gradient's elements."""
        return self._unit_rounding() * self.scale + self.shift

    def is_judged(self, indices):
        """Whether the tolerance is small enough to tell right from wrong."""
        limit = self.measurement.limit * self.scale
        return np.isfinite(self.elements.slopes[indices]) & (self.tolerance(indices) <= limit)

    def is_wrong(self, indices):
        """Whether the gradient differs by more than the tolerance, and that is not too large to tell."""
        slopes, tolerance = self.elements.slopes[indices], self.tolerance(indices)
        return (tolerance <= USABLE * self.scale) & (np.abs(self.got[indices] - slopes) > tolerance)

    def _unit_rounding(self):
        noise = self.measurement.noise
        own = float(np.finfo(self.function.x.dtype).eps)
        return ROUNDINGS * max(own, noise.relative / 4 if noise.is_coarse else 0.0, self.gradient.precision)

    def _shift(self):
        """How much most elements of the gradient may change when x moves by some units in the last place."""
        if self.gradient.nearby is None:
            return 0.0
        units = self._unit_rounding() / ROUNDINGS * 4
        shift = np.zeros_like(self.got)
        for factor in (1 + units, 1 - units):
            try:
                near = on_host(as_float64(self.gradient.nearby(factor))).reshape(-1)
            except Exception:  # the gradient is judged at x, even if it fails nearby
                continue
            if near.shape == shift.shape and np.isfinite(near).all():
                shift = np.maximum(shift, np.abs(near - self.got))
        return SHIFTS * float(np.quantile(shift, 0.75))

    def _directions(self):
        """Compare along the random directions; return the order of convergence and the number of usable directions."""
        orders, usable = [], 0
        for name, line in self.measurement.lines.items():
            best = line.best()
            if best is None:
                continue
            promised, rounding = self._promise(line)
            tolerance = SAFETY * best.error + rounding
            size = max(line.variation(best.rung), self.scale * math.sqrt(self.got.size))
            if abs(promised - best.slope) > tolerance and tolerance <= USABLE * size:
                slopes = f"a slope of {promised:.10g}, the function has {best.slope:.10g}"
                self._catch("directions", f"Along {name} the gradient promises {slopes}.")
            elif tolerance > self.measurement.limit * size:
                continue
            usable += 1
            order = order_of_convergence(*remainders(line, promised, rounding, best.rung + 1))
            if order is not None:
                orders.append(order)
        return (float(np.median(orders)) if orders else None), usable

    def _promise(self, line):
        """The slope along a line that follows from the gradient, and its rounding error."""
        v = on_host(line.direction).reshape(-1).astype("float64")
        rounding = self._unit_rounding() * float(np.linalg.norm(self.got * v))
        return float(np.sum(self.got * v)), rounding + self.shift * math.sqrt(v.size)

    def _order(self, order):
        if order is not None and order < WRONG_ORDER and self.caught_by:
            self._catch("order", f"The Taylor remainder shrinks with order {order:.2f} of the step, not 2.")

    def _kinks(self):
        """Compare the elements on kinks with the slopes on both sides, between which a gradient lies."""
        for index, sides in self.elements.sides.items():
            got, rounding = self.got[index], max(self._unit_rounding(), KINK_ACCURACY)
            tolerance = SAFETY * sides.error + rounding * self.scale  # nearby, the gradient is another
            if tolerance > USABLE * self.scale or sides.lower - tolerance <= got <= sides.upper + tolerance:
                continue
            place = tuple(map(int, np.unravel_index(index, self.function.x.shape)))
            self._catch(
                "kinks",
                f"At {place}, on a kink, a gradient lies between the slopes on both sides, {sides.lower:.10g} and "
                f"{sides.upper:.10g}; it is {got:.10g}.",
            )
            self.elements.slopes[index] = np.clip(0, sides.lower, sides.upper)  # the usual choice
            self.elements.tolerances[index] = tolerance

    def _complex_step(self):
        """Compare with the complex step, if that agrees with the central difference."""
        line = next(iter(self.measurement.lines.values()))
        best = line.best()
        if self.function.complex_slope is None or best is None:
            return None
        slope = self.function.complex_slope(line.direction)
        if slope is None or not abs(slope - best.slope) <= SAFETY * best.error <= TRUSTWORTHY * abs(slope):
            return None
        promised, rounding = self._promise(line)
        size = float(np.linalg.norm(self.got * on_host(line.direction).reshape(-1)))
        if abs(promised - slope) > rounding + COMPLEX_ACCURACY * size:
            self._catch("complex step", f"The complex step finds the slope {slope:.10g}, the gradient {promised:.10g}.")
        return abs(promised - slope) / max(abs(slope), abs(promised)) if slope or promised else 0.0

    def _adjoint(self):
        identity = self.function.adjoint
        if identity is not None and not identity.holds:
            sides = f"<A v, u> = {identity.left:.10g}, <v, A^T u> = {identity.right:.10g}"
            self._catch("adjoint", f"The function is linear, and backward is not its transpose: {sides}.")

    def _autograd(self):
        """Compare with PyTorch, except for elements on a kink, where conventions differ."""
        if self.function.autograd is None:
            return None
        difference = np.abs(self.got - np.asarray(self.function.autograd, "float64").reshape(-1))
        scale = float(np.abs(self.function.autograd).max()) or self.scale or 1.0
        suspects = np.flatnonzero(difference > self.rounding() + 1e-10 * scale)
        unknown = np.setdiff1d(suspects, self.elements.indices)
        self.elements.measure(unknown[np.argsort(-difference[unknown])[:SUSPECTS]].tolist())
        on_kink = np.isnan(self.elements.slopes[suspects])
        if not on_kink.all():
            size = float(difference[suspects[~on_kink]].max()) / scale
            self._catch("autograd", f"PyTorch's gradient differs by {size:.1e} of its largest element.")
        difference[suspects[on_kink]] = 0
        return float(difference.max()) / scale

    def _catch(self, method, sentence):
        if method not in self.caught_by:
            self.caught_by.append(method)
            self.reasons.append(sentence)

    def _find_the_error(self):
        """State the worst element, from derivatives by all elements or, if these take too long, by halving."""
        rest = np.setdiff1d(np.arange(self.got.size), self.elements.indices)
        if rest.size * self.seconds <= REFERENCE_SECONDS:
            self.elements.measure(rest.tolist())
        elif "elements" not in self.caught_by and "directions" in self.caught_by:
            self.elements.measure([self._halve()])
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
        """An element whose error shows along a direction: the half with the larger error is halved again and again."""
        lines = self.measurement.lines.values()
        line, rung = next((line, best.rung) for line in lines if (best := line.best()))
        direction = on_host(line.direction).reshape(-1)
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
        """The element that deviates most, of the wrong ones or, if there are none, of those judged."""
        measured = np.array(self.elements.indices)
        wrong, judged = measured[self.is_wrong(measured)], measured[self.is_judged(measured)]
        candidates = wrong if wrong.size else judged
        if not candidates.size:
            return None
        slopes = self.elements.slopes
        flat = int(candidates[np.argmax(np.abs(self.got[candidates] - slopes[candidates]))])
        index = tuple(map(int, np.unravel_index(flat, self.function.x.shape)))
        return WorstElement(index, float(self.got[flat]), float(slopes[flat]))

    def _doubts(self, judged, directions, order):
        """Add the reasons why a gradient that no method finds wrong is inconclusive."""
        sampled, total = len(self.sample), self.got.size
        if judged < sampled / 2 or judged < min(3, sampled):
            self.reasons.append(
                f"Only {judged} of {sampled} elements could be judged: {self.elements.on_kink} sit on a kink, "
                f"{sampled - judged - self.elements.on_kink} drown in round-off or have no stable slope."
            )
        unknown = total - judged - self.elements.on_kink
        if not directions and unknown:
            self.reasons.append(
                f"No random direction is free of kinks and noise, so nothing is known of {unknown} elements that were "
                "not judged one by one" + (": compare all of them with samples=None." if sampled < total else ".")
            )
        if order is not None and order < RIGHT_ORDER:
            self.reasons.append(
                f"The Taylor remainder shrinks with order {order:.2f} of the step, where a smooth function with the "
                "right gradient has 2."
            )
        failure = self.measurement.probe.failure
        if self.reasons and failure is not None:
            self.reasons.append(f"Near x the function raises {type(failure).__name__}: {failure}")
