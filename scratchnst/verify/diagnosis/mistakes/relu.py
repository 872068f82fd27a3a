"""Mistakes in the backward of a ReLU: `scratchnst.ops.relu`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes.case import GradientCase, InputMistakes, KnownMistake, upstream_mistakes


def right(case: GradientCase) -> Array | None:
    """Equation (b)."""
    return case.grad_y * (case.x > 0) if np.shape(case.grad_y) == case.x.shape else None


def mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dx."""
    x, g = case.x, case.grad_y
    yield KnownMistake(
        "mask-missing",
        "grad_y without the ReLU's mask: multiply by (x > 0), or by (y > 0), which is the same, but not by (y >= 0), "
        "which is always true",
        g,
    )
    sentence = "grad_y masked by its own sign: the ReLU's mask is that of its input, (x > 0), not (grad_y > 0)"
    yield KnownMistake("mask-from-upstream", sentence, g * (g > 0))
    yield KnownMistake(
        "mask-from-both",
        "the right one with its negative values cut off ('guided backpropagation'): only the sign of x decides, not "
        "that of grad_y",
        g * (x > 0) * (g > 0),
    )
    yield KnownMistake("mask-inverted", "grad_y where x <= 0: the mask is inverted, it is (x > 0)", g * (x <= 0))
    if (x == 0).any():
        sentence = "grad_y where x >= 0: at x = 0, a kink, the ReLU's slope is taken as 0, x > 0"
        yield KnownMistake("mask-at-zero", sentence, g * (x >= 0))
    sentence = "grad_y times the ReLU's output: its slope is wanted, which is 1 where x > 0, not x"
    yield KnownMistake("value-for-slope", sentence, g * np.maximum(x, 0))
    sentence = "grad_y times the sign of x: where x < 0 the slope is 0, not -1"
    yield KnownMistake("sign-for-mask", sentence, g * np.sign(x))
    yield from upstream_mistakes(lambda g: g * (x > 0), g)
    yield KnownMistake(
        "leaky",
        "the right one where x > 0 and {0} grad_y where x < 0, the slope of a leaky ReLU: the slope there is 0",
        g * (x > 0),
        (g * (x < 0),),
    )


INPUTS = (InputMistakes(right, mistakes, kinks=lambda case: case.x == 0),)
