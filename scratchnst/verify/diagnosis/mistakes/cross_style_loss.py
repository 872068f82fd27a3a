"""Mistakes in the backward of the style loss of a pair of layers: `scratchnst.losses.cross_style_loss`.

The style's Gram matrix A may be an argument without a gradient; the mistakes do not need it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes.case import GradientCase, InputMistakes, KnownMistake, paper_quantities
from scratchnst.verify.diagnosis.mistakes.cross_gram import averaged, side_of, spread


def right(case: GradientCase) -> Array | None:
    """The gradient given, if it is that of a distance of cross-layer Gram matrices with the loss of equation (a)."""
    side = side_of(case.inputs)
    if case.grad_y.ndim or not case.grad_y or not side or len(case.inputs) > 3 or np.isnan(case.right).any():
        return None
    difference = _difference(case, side)
    if difference is None:
        return None
    loss = np.sum(difference**2) / (4 * _norm(case))
    is_right = abs(loss - case.output) <= 1e-4 * abs(case.output)
    return case.right if is_right and np.allclose(_gradient(case, side, difference), case.right, rtol=1e-4) else None


def mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dF and dL/dK."""
    side = side_of(case.inputs)
    difference = _difference(case, side) if side else None
    if side is None or difference is None:
        return
    P, K = averaged(case.inputs[0], side), _matrix(case.inputs[1])
    sentence = "the right one with G for G - A: the style's Gram matrix A is not subtracted, equation (b)"
    yield KnownMistake("target-not-subtracted", sentence, _gradient(case, side, P.swapaxes(1, 2) @ K))
    if len(P) > 1:
        sentence = "the right one with G - A of the first image for all: each image has its own Gram matrix"
        first = np.broadcast_to(difference[:1], difference.shape)
        yield KnownMistake("gram-of-first-image", sentence, _gradient(case, side, first))
    yield KnownMistake(
        "masked-here",
        "the right one where the features are positive and 0 elsewhere: the network's own ReLU does that",
        case.right * (case.x > 0),
    )


def _matrix(x):
    return x.reshape(len(x), -1, x.shape[3])


def _norm(case):
    """N N' M^2."""
    F, K = case.inputs[:2]
    return float(F.shape[3] * K.shape[3]) * float(K.shape[1] * K.shape[2]) ** 2


def _gradient(case, side, difference):
    """Equation (b) with a matrix in the place of G - A."""
    F, K = case.inputs[:2]
    slope = float(case.grad_y) / (2 * _norm(case))
    if case.position == 0:
        return spread(_matrix(K) @ difference.swapaxes(1, 2) * slope, F.shape, side)
    return (averaged(F, side) @ difference * slope).reshape(K.shape)


def _difference(case, side):
    """G - A, solved from the right gradient, or None where that has no one solution."""
    F, K = case.inputs[:2]
    slope = float(case.grad_y) / (2 * _norm(case))
    known, wanted = _matrix(K), averaged(case.right, side) * side**2 if case.position == 0 else None
    if wanted is None:
        known, wanted = averaged(F, side), _matrix(case.right)
    if np.isnan(wanted).any() or known.shape[1] < known.shape[2] or any(np.linalg.cond(image) > 1e4 for image in known):
        return None
    solved = np.stack([np.linalg.lstsq(image, part / slope, rcond=None)[0] for image, part in zip(known, wanted)])
    return solved.swapaxes(1, 2) if case.position == 0 else solved


FACTORS = {
    2.0: (
        "taken-as-symmetric",
        "twice the right one: the factor 2 of a symmetric Gram matrix, as in equation 6; a cross-layer one is none",
    ),
    0.5: ("factor-2-missing", "half the right one: the factor 2 of the square is missing, equation (b)"),
    4.0: ("quarter-missing", "4 times the right one: the 1/4 of equation (a) is missing"),
    -1.0: ("difference-reversed", "minus the right one: the difference is G - A, not A - G"),
}
INPUTS = (InputMistakes(right, mistakes, FACTORS, quantities=paper_quantities, highest_power=2),) * 2
