"""Mistakes in the backward of the total variation: `scratchnst.losses.total_variation`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes.case import (
    GradientCase,
    InputMistakes,
    KnownMistake,
    paper_quantities,
    without_border,
)

WRAPPED = (
    "the right one with differences around the border, as np.roll makes them: the first pixel has no neighbour on the "
    "other side"
)


def right(case: GradientCase) -> Array | None:
    """Equation (b)."""
    return None if case.grad_y.ndim or case.x.ndim != 4 else sum(parts_of(case).values())


def mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dV/dx."""
    yield from of_differences(parts_of(case), "equation (b) of total_variation", ("+2d", "-2d"))
    wrapped = sum(2 * case.x - np.roll(case.x, 1, axis) - np.roll(case.x, -1, axis) for axis in (1, 2))
    yield KnownMistake("wrapped", WRAPPED, 2 * case.grad_y * wrapped)
    sentence = "that of the sum of |d|, grad_y times the signs of the differences: the derivative of d^2 is 2d"
    yield KnownMistake("absolute-differences", sentence, sum(parts_of(case, np.sign).values()) / 2)


def of_differences(parts: dict, text: str, slopes: tuple[str, str]) -> Iterator[KnownMistake]:
    """Mistakes with the slopes of all differences, from `parts_of`; `slopes` are those of an end and of a start."""
    gradient = sum(parts.values())
    end_slope, start_slope = slopes
    ends = f"the end gets {end_slope}, the start {start_slope}, {text}"
    for axis, words in ((1, "down the columns"), (2, "along the rows")):
        kept = sum(part for (other, _), part in parts.items() if other != axis)
        yield KnownMistake("axis-missing", f"the right one without the differences {words}: add both, {text}", kept)
        sentence = f"the right one with the wrong sign for the differences {words}: {ends}"
        yield KnownMistake("axis-sign", sentence, 2 * kept - gradient)
    for (axis, end), part in parts.items():
        words = f"{'end' if end else 'start'} of the differences {('down the columns', 'along the rows')[axis - 1]}"
        sentence = f"the right one without the slopes at the {words}: {ends}"
        yield KnownMistake("one-end-missing", sentence, gradient - part)
    for end, missing in ((True, "start"), (False, "end")):
        kept = sum(part for (_, which), part in parts.items() if which is end)
        sentence = f"the right one without the slopes at the {missing} of each difference: {ends}"
        yield KnownMistake("one-end-only", sentence, kept)
    yield KnownMistake(
        "ends-same-sign",
        f"the right one with the same sign at both ends of each difference: {ends}",
        sum(part if end else -part for (_, end), part in parts.items()),
    )
    sentence = "the right one with the border set to zero: pixels on the border have neighbours, too, only fewer"
    yield KnownMistake("border-lost", sentence, without_border(gradient, 1, 1))


def parts_of(case: GradientCase, slope: Callable[[Array], Array] = lambda d: d) -> dict:
    """(axis, whether at the end of the differences) -> its part of the gradient."""
    parts = {}
    for axis in (1, 2):
        d = 2 * case.grad_y * slope(np.diff(case.x, axis=axis))
        before = [(0, 0)] * 4
        before[axis] = (1, 0)
        after = [(0, 0)] * 4
        after[axis] = (0, 1)
        parts[axis, True], parts[axis, False] = np.pad(d, before), -np.pad(d, after)
    return parts


FACTORS = {
    0.5: (
        "square-factor-missing",
        "half the right one: the 2 of the square is missing, equation (b) of total_variation",
    )
}
INPUTS = (InputMistakes(right, mistakes, FACTORS, quantities=paper_quantities),)
