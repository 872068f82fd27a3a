"""Mistakes in the backward of the absolute total variation: `scratchnst.losses.absolute_variation`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes.case import GradientCase, InputMistakes, KnownMistake, paper_quantities
from scratchnst.verify.diagnosis.mistakes.total_variation import WRAPPED, of_differences, parts_of

TEXT = "equation (b) of absolute_variation"


def right(case: GradientCase) -> Array | None:
    """Equation (b)."""
    return None if case.grad_y.ndim or case.x.ndim != 4 else sum(_signs(case).values())


def mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dV/dx."""
    yield from of_differences(_signs(case), TEXT, ("+sign(d)", "-sign(d)"))
    wrapped = sum(np.sign(case.x - np.roll(case.x, step, axis)) for axis in (1, 2) for step in (1, -1))
    yield KnownMistake("wrapped", WRAPPED, case.grad_y * wrapped)
    sentence = f"that of the sum of d^2: the slope of |d| is sign(d), {TEXT}"
    for factor in (1, 2):
        yield KnownMistake("squared-differences", sentence, sum(parts_of(case).values()) * factor / 2)


def _signs(case):
    """(axis, whether at the end of the differences) -> its part of the gradient."""
    return parts_of(case, lambda d: np.sign(d) / 2)


def kinks(case: GradientCase) -> Array:
    """Pixels that equal a neighbour."""
    parts = {}
    for axis in (1, 2):
        equal = np.diff(case.x, axis=axis) == 0
        for end in (True, False):
            parts[axis, end] = np.pad(equal, [(0, 0) if other != axis else (end, not end) for other in range(4)])
    return np.logical_or.reduce(list(parts.values()))


INPUTS = (InputMistakes(right, mistakes, quantities=paper_quantities, kinks=kinks),)
