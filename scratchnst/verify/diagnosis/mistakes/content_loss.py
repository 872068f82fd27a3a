"""Mistakes in the backward of the content loss: `scratchnst.losses.content_loss`.

The target P may be an argument without a gradient; it is found from the right gradient, grad_y (F - P).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes.case import GradientCase, InputMistakes, KnownMistake, paper_quantities


def right(case: GradientCase) -> Array | None:
    """Equation (a); with P unknown, the gradient given, if it agrees with the loss."""
    if case.grad_y.ndim or not case.grad_y or case.x.ndim != 4 or len(case.inputs) > 2:
        return None
    if len(case.inputs) == 2:
        F, P = case.inputs
        return None if P.shape != F.shape else case.grad_y * (F - P) * (1, -1)[case.position]
    loss = 0.5 * np.sum((case.right / case.grad_y) ** 2)
    return case.right if np.isnan(loss) or abs(loss - case.output) <= 1e-4 * abs(case.output) else None


def mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dF."""
    F, gradient, grad_y = case.inputs[0], right(case), float(case.grad_y)
    assert gradient is not None
    sentence = "grad_y F: the content image's features P are not subtracted, dL/dF = F - P"
    yield KnownMistake("target-not-subtracted", sentence, grad_y * F)
    yield KnownMistake(
        "masked-here",
        "the right one where F > 0 and 0 elsewhere: that is equation 2, which goes through the ReLU before; here the "
        "network's own ReLU does that",
        gradient * (F > 0),
    )
    size, sign = np.abs(gradient / grad_y), np.sign(gradient / grad_y)
    for key, words, wrong in (
        ("square", "the square of F - P: the derivative of a square is twice its root", gradient**2 / grad_y),
        ("size", "|F - P|: the derivative keeps the sign of F - P", size * grad_y),
        ("sign", "the sign of F - P: that is the derivative of |F - P|, not of its square", sign * grad_y),
    ):
        yield KnownMistake(f"{key}-of-difference", words, wrong)


FACTORS = {
    2.0: ("half-missing", "twice the right one: the 1/2 of equation 1 takes the 2 of the square, dL/dF = F - P"),
    0.5: ("square-factor-missing", "half the right one: the square's 2 takes the 1/2 of equation 1, dL/dF = F - P"),
    -1.0: ("difference-reversed", "minus the right one: the difference is F - P, not P - F"),
}
INPUTS = (InputMistakes(right, mistakes, FACTORS, quantities=paper_quantities),) * 2  # F and P
