"""Mistakes in the backward of an addition: `scratchnst.ops.addition`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes.case import (
    GradientCase,
    InputMistakes,
    KnownMistake,
    upstream_mistakes,
)


def right(case: GradientCase) -> Array | None:
    """Equation (b)."""
    return case.grad_y if len(case.inputs) == 2 and case.grad_y.shape == case.x.shape else None


def mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/da and dL/db."""
    g, other = case.grad_y, case.inputs[1 - case.position]
    text = "both get all of grad_y, equation (b) of addition"
    yield KnownMistake("one-input-only", f"zero: grad_y goes to the other input alone, and {text}", np.zeros_like(g))
    if other.shape == g.shape:
        sentence = f"grad_y times the other input, as of a product: {text}"
        yield KnownMistake("gradient-of-product", sentence, g * other)
    yield from upstream_mistakes(lambda g: g, g)


FACTORS = {
    0.5: ("shared-evenly", "half the right one: it is not shared between the two, both get all of it"),
    -1.0: ("subtracted", "minus the right one: that of a subtraction"),
}
INPUTS = (InputMistakes(right, mistakes, FACTORS),) * 2
