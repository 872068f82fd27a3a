"""What is measured of a scalar function around a point, whatever its gradient is said to be.

Derivatives element by element and along a few random directions, each with an error of its own.  One step serves most
elements: it is found by sweeping all steps for some of them, the pilots.  Elements that cross a kink there, or bend too
much, get smaller steps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.verify.methods.adjoint import Adjoint
from scratchnst.verify.methods.differences import on_host
from scratchnst.verify.methods.kinks import Pattern, merged
from scratchnst.verify.methods.steps import (
    SAFETY,
    TELLING,
    DerivativeEstimate,
    Line,
    Noise,
    Probe,
    common_rung,
    computational_noise,
)
from scratchnst.verify.report import Kinks

PILOTS = 6  # elements, of those sampled, with a whole sweep of steps each
JUDGEABLE = {"fine": 1e-3, "coarse": 1e-2}  # largest tolerance, beside the largest element, in float64 and float32
REFERENCE_SECONDS = 10.0  # what a numerical gradient in every element may take, to tell what is wrong


@dataclass(frozen=True)
class ScalarFunction:
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


class Measurement:
    """A function around x: its noise, sweeps along random directions and for the pilots, and the step for all others.

    Attributes
    ----------
    lines : name of a random direction -> the function along it
    pilots : flat index of an element -> the function along it
    rung : of the common step
    scale : the size of derivatives, or of their changes nearby where they vanish
    limit : the largest tolerance, in units of the scale, of an element that counts as judged
    good_enough : the error of a derivative that no smaller step is tried for
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
        self.good_enough = max(10 * error, 1e-10 * self.scale)

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
        return line, line.descend(self.rung, self.good_enough, self.limit * self.scale / SAFETY)


@dataclass
class ElementDerivatives:
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
    def of(cls, size: int) -> ElementDerivatives:
        """None measured yet, of `size`."""
        return cls([], np.full(size, np.nan), np.full(size, np.inf))

    def measure(self, measurement: Measurement, indices: list[int], on_element: Callable | None = None) -> None:
        """Differentiate with respect to the elements at `indices`."""
        for done, index in enumerate(indices, start=1):
            line, estimate = measurement.element(index)
            self.indices.append(index)
            if estimate is not None and SAFETY * estimate.error > TELLING * measurement.scale:
                estimate = None
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


def numerical_gradient(function: ScalarFunction) -> np.ndarray | None:
    """Return the gradient by central differences in every element, NaN at kinks; None where that would take long."""
    sample = list(range(function.x.size))
    start = time.perf_counter()
    measurement = Measurement(function, sample, np.random.default_rng(0))
    seconds = (time.perf_counter() - start) / (measurement.probe.calls or 1)
    if 4 * seconds * len(sample) > REFERENCE_SECONDS:
        return None
    elements = ElementDerivatives.of(len(sample))
    elements.measure(measurement, sample)
    return elements.slopes.reshape(function.x.shape)


def random_directions(x: Array, random: np.random.Generator) -> dict[str, Array]:
    """Return random directions by name, in all of which every element counts about equally, with random signs.

    Where elements of x are equal, there is a second one in which equal elements move together: what ties in x stays
    tied, and the winner of a max pool is not in doubt.  Where they are zero, there is a third one in which, besides,
    zeros stay where they are.  Else these are random like the first.
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
