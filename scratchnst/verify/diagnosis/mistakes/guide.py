"""Mistakes in the backward of guidance: `scratchnst.ops.guide`.

The guide T is an argument without a gradient; it is found from x and y = x T.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes.case import GradientCase, InputMistakes, KnownMistake, upstream_mistakes


def right(case: GradientCase) -> Array | None:
    """Equation (b)."""
    T = _guide(case)
    return None if T is None else case.grad_y * T


def mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dx."""
    T, g = _guide(case), case.grad_y
    assert T is not None
    text = "each y is one x times T, so its gradient is grad_y T, equation (b) of guide"
    yield KnownMistake("guide-left-out", f"grad_y: the guide is left out, {text}", g)
    yield KnownMistake("guide-squared", f"grad_y T^2: the guide counts twice, {text}", g * T**2)
    divided = g / np.where(T == 0, 1, T)
    yield KnownMistake("guide-divided", f"grad_y / T, as of a division: {text}", divided)
    sentence = f"grad_y where T is not 0, and 0 elsewhere, as of a mask without grey: {text}"
    yield KnownMistake("guide-as-black-and-white", sentence, g * (T != 0))
    yield KnownMistake("output-returned", f"grad_y times y in place of T: {text}", g * case.output)
    yield from upstream_mistakes(lambda g: g * T, g)


def _guide(case: GradientCase) -> Array | None:
    """T (1, H, W, 1), if y is x times such a one."""
    x, y = case.inputs[0], case.output
    if len(case.inputs) != 1 or x.ndim != 4 or y.shape != x.shape:
        return None
    size = np.sum(x**2, axis=(0, 3), keepdims=True)
    T = np.sum(x * y, axis=(0, 3), keepdims=True) / np.where(size == 0, 1, size)
    return T if np.allclose(x * T, y, rtol=1e-6, atol=1e-9 * np.abs(y).max()) else None


INPUTS = (InputMistakes(right, mistakes),)
