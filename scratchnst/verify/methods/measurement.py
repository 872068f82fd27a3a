"""Numerical derivatives of a scalar function at a point, without use of the gradient under test.

Derivatives element by element and along a few random directions, each with an estimate of its error.  One step serves
most elements: it is found by trying all steps for a few of them, the pilots.  Elements that cross a kink at this step,
or whose truncation error is too large, get smaller steps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.verify.methods.adjoint import Adjoint
from scratchnst.verify.methods.differences import on_host
from scratchnst.verify.methods.kinks import Pattern, merged
from scratchnst.verify.methods.steps import (
    SAFETY,
    USABLE,
    DerivativeEstimate,
    Line,
    Noise,
    Probe,
    SideSlopes,
    common_rung,
    computational_noise,
)
from scratchnst.verify.report import Kinks

PILOTS = 6  # number of sampled elements for which all steps are tried
JUDGEABLE = {"fine": 1e-3, "coarse": 1e-2}  # largest tolerance over the largest element, in float64 and float32
REFERENCE_SECONDS = 10.0  # largest time that derivatives by all elements may take, for the diagnosis


@dataclass(frozen=True)
class ScalarFunction:
    """A scalar function of one array, <weights, f(x)>, with all that is known of it except its gradient.

    Attributes
    ----------
    name : of the input
    x : the point, float32 or float64
    f : x -> y, an array or a number
    weights : the upstream gradient, of y's shape
    patterns : x -> which units are on which side of their kink, or None
    complex_slope : direction -> slope by a complex step, or None where that fails; None if x is not in float64
    adjoint : both sides of the adjoint identity, or None
    autograd : PyTorch's gradient, or None
    """

    name: str
    x: Array
    f: Callable
    weights: Array | float = 1.0
    patterns: Callable[[Array], Pattern] | None = None
    complex_slope: Callable[[Array], float | None] | None = None
    adjoint: Adjoint | None = None
    autograd: Array | None = None


class FunctionMeasurement:
    """A function around x: its noise, derivatives along random directions and by the pilots, and the step for others.

    Attributes
    ----------
    lines : name of a random direction -> the function along it
    pilots : flat index of an element -> the function along it
    rung : the common step, as a power of the ratio of steps
    scale : the size of derivatives, or of their changes nearby where they vanish
    limit : the largest tolerance, in units of the scale, of an element that counts as judged
    target_error : the error below which no smaller step is tried
    """

    def __init__(self, function: ScalarFunction, sample: list[int], random: np.random.Generator):
        x = function.x
        self.probe = Probe(function.f, x, function.weights, function.patterns)
        directions = random_directions(x, random)
        self.noise = computational_noise(self.probe, [*directions.values(), *sample[:PILOTS]])
        self.lines = {name: Line(self.probe, direction, self.noise) for name, direction in directions.items()}
        for line in self.lines.values():
            line.sweep()
        self.pilots = {index: Line(self.probe, index, self.noise) for index in sample[:PILOTS]}
        for line in self.pilots.values():
            line.sweep()
        self._correct_noise()
        self.rung, error = common_rung(list(self.pilots.values()))
        steepness = [self._steepness(line) for line in self.pilots.values()]
        steepness += [self._steepness(line) / math.sqrt(x.size) for line in self.lines.values()]
        self.scale = max(steepness)
        self.limit = JUDGEABLE["coarse" if self.is_coarse else "fine"]
        self.target_error = max(10 * error, 1e-10 * self.scale)

    def _steepness(self, line):
        """The size of a derivative along a line, or of its changes nearby where it vanishes."""
        best = line.best()
        steepness = line.variation(self.rung if best is None else best.rung)
        return steepness if math.isfinite(steepness) else 0.0

    def _correct_noise(self):
        """Correct the noise of a function that does not change near x, where values do not show it.

        If the function changes nowhere, there is no noise.  If it changes at large steps only, a smallest change below
        a ten-billionth of the largest is taken as the rounding of its intermediate results.
        """
        lines = [*self.lines.values(), *self.pilots.values()]
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

    def element(self, index: int) -> tuple[Line, DerivativeEstimate | None]:
        """Differentiate with respect to one element, at the common step or, if that does not serve, a smaller one."""
        if index in self.pilots:
            return self.pilots[index], self.pilots[index].best()
        line = Line(self.probe, index, self.noise)
        return line, line.descend(self.rung, self.target_error, self.limit * self.scale / SAFETY)


class ElementDerivatives:
    """Numerical derivatives by single elements, flat: NaN and infinite tolerance where there is none.

    Attributes
    ----------
    indices : of the elements tried
    slopes, tolerances : of all elements
    sides : index of an element on a kink -> the slopes on both sides, where these are known
    crossed, at_smaller_step, on_kink, undeclared, units : counts and units of `Kinks`
    """

    def __init__(self, measurement: FunctionMeasurement):
        self.measurement = measurement
        size = measurement.probe.x.size
        self.indices: list[int] = []
        self.slopes, self.tolerances = np.full(size, np.nan), np.full(size, np.inf)
        self.sides: dict[int, SideSlopes] = {}
        self.crossed = self.at_smaller_step = self.on_kink = self.undeclared = 0
        self.units: dict[str, Array] = {}

    def measure(self, indices: list[int], on_element: Callable | None = None) -> None:
        """Differentiate with respect to the elements at `indices`."""
        for done, index in enumerate(indices, start=1):
            line, estimate = self.measurement.element(index)
            self.indices.append(index)
            if estimate is not None and SAFETY * estimate.error > USABLE * self.measurement.scale:
                estimate = None
            if estimate is not None:
                self.slopes[index] = estimate.slope
                self.tolerances[index] = SAFETY * estimate.error
            self._count_kinks(line, estimate, self.measurement.rung)
            if on_element:
                on_element(done, len(indices))

    def _count_kinks(self, line, estimate, rung):
        units = merged(*(line.units[each] for each in (rung, rung + 1) if each in line.units))
        undeclared = not units and estimate is None and line.has_kink
        self.units = merged(self.units, units)
        self.undeclared += undeclared
        self.crossed += bool(units) or undeclared
        self.at_smaller_step += bool(units) and estimate is not None
        if (units or undeclared) and estimate is None:
            self.on_kink += 1
            several = sum(int(mask.sum()) for mask in units.values()) > 1  # each may take the slope of another side
            sides = None if several else line.side_slopes()
            if sides is not None:
                self.sides[line.direction] = sides

    def kinks(self) -> Kinks:
        """The kinks that these elements cross."""
        counts = {name: int(mask.sum()) for name, mask in self.units.items()}
        examples = {name: tuple(map(int, np.argwhere(on_host(mask))[0])) for name, mask in self.units.items()}
        return Kinks(self.crossed, self.at_smaller_step, self.on_kink, counts, examples, self.undeclared)


def numerical_gradient(function: ScalarFunction) -> np.ndarray | None:
    """Return the gradient by central differences in every element, NaN at kinks; None where that would take long."""
    sample = list(range(function.x.size))
    start = time.perf_counter()
    measurement = FunctionMeasurement(function, sample, np.random.default_rng(0))
    seconds = (time.perf_counter() - start) / (measurement.probe.calls or 1)
    if 4 * seconds * len(sample) > REFERENCE_SECONDS:
        return None
    elements = ElementDerivatives(measurement)
    elements.measure(sample)
    return elements.slopes.reshape(function.x.shape)


def random_directions(x: Array, random: np.random.Generator) -> dict[str, Array]:
    """Return three random directions by name, whose elements have random signs and sizes of 0.5 to 1.5.

    In the second, equal elements of x have equal components: ties in x remain ties, so a max pool's winner does not
    change.  In the third, elements of x that are zero have the component zero, too.  Where x has no equal elements, or
    no zeros, these are like the first.
    """
    values, where = np.unique(on_host(x), return_inverse=True)
    where = where.reshape(x.shape)
    free, tied, still = "a random direction", "a second random direction", "a third random direction"
    directions = {free: _signed(random, x.shape), tied: _signed(random, values.shape)[where]}
    directions[still] = np.where(values == 0, 0.0, _signed(random, values.shape))[where]
    if values.size < x.size:
        directions["a random direction in which equal elements move together"] = directions.pop(tied)
    if (values == 0).any() and values.size > 1:
        directions["a random direction in which zeros stay"] = directions.pop(still)
    xp = array_module(x)
    return {name: xp.asarray(direction, x.dtype) for name, direction in directions.items() if direction.any()}


def _signed(random, shape):
    return random.uniform(0.5, 1.5, shape) * random.choice([-1.0, 1.0], shape)
