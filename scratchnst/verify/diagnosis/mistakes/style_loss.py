"""Mistakes in the backward of the style loss: `scratchnst.losses.style_loss`.

The Gram matrix A of the style may be an argument without a gradient; most mistakes do not need it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes.case import GradientCase, InputMistakes, KnownMistake, paper_quantities


def right(case: GradientCase) -> Array | None:
    """Equation (a); with A unknown, the gradient given, if it agrees with the loss."""
    if case.grad_y.ndim or not case.grad_y or case.inputs[0].ndim != 4 or len(case.inputs) > 2 or case.position:
        return None
    F = _matrix(case)
    G = F.swapaxes(1, 2) @ F
    if len(case.inputs) == 2:
        A = case.inputs[1]
        if A.ndim != 3 or A.shape[1:] != G.shape[1:] or len(A) not in (1, len(G)):
            return None
        return _as_input(case, F @ (G - A) * _slope(case))
    return case.right if np.isnan(case.right).any() or _agrees(case, F) else None


def mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dF."""
    F, gradient = _matrix(case), right(case)
    assert gradient is not None
    slope = _slope(case)
    sentence = "F G / (N^2 M^2): the style's Gram matrix A is not subtracted, equation (a) of style_loss"
    yield KnownMistake("target-not-subtracted", sentence, _as_input(case, F @ (F.swapaxes(1, 2) @ F) * slope))
    yield KnownMistake(
        "masked-here",
        "the right one where F > 0 and 0 elsewhere: that is equation 6, which goes through the ReLU before; here the "
        "network's own ReLU does that",
        gradient * (case.x > 0),
    )
    yield KnownMistake(
        "gram-not-transposed-back",
        "the right numbers in the wrong places: a (C, M) matrix must be transposed to (M, C) before it is reshaped to "
        "(H, W, C)",
        _as_input(case, gradient.reshape(F.shape).swapaxes(1, 2)),
    )
    difference = _difference(case, F, gradient)
    if difference is None:
        return
    diagonal = difference * np.eye(F.shape[2])
    text = "dE/dF = F (G - A) / (N^2 M^2), equation (a) of style_loss"
    for key, words, matrix in (
        ("gram-diagonal-once", "the right one with the diagonal of G - A counted half", difference - diagonal / 2),
        ("gram-diagonal-missing", "the right one without the diagonal of G - A", difference - diagonal),
        ("gram-one-triangle", "F times the upper triangle of G - A alone", np.triu(difference)),
        ("gram-one-triangle", "F times the lower triangle of G - A alone", np.tril(difference)),
    ):
        yield KnownMistake(key, f"{words}: {text}", _as_input(case, F @ matrix * slope))
    if len(F) > 1:
        first = np.broadcast_to(difference[:1], difference.shape)
        total = np.broadcast_to(difference.sum(0), difference.shape)
        own = "each image has its own Gram matrix"
        sentence = f"the right one with G - A of the first image for all: {own}"
        yield KnownMistake("gram-of-first-image", sentence, _as_input(case, F @ first * slope))
        sentence = f"the right one with G - A of all images added up: {own}, {text}"
        yield KnownMistake("gram-of-summed-images", sentence, _as_input(case, F @ total * slope))


def _matrix(case):
    F = case.inputs[0]
    return F.reshape(len(F), -1, F.shape[3])


def _as_input(case, matrix):
    return matrix.reshape(case.x.shape)


def _slope(case):
    """grad_y / (N^2 M^2)."""
    _, height, width, channels = case.inputs[0].shape
    return float(case.grad_y) / (float(channels) ** 2 * float(height * width) ** 2)


def _difference(case, F, gradient):
    """G - A, solved from gradient = F (G - A) grad_y / (N^2 M^2), or None where that has no one solution."""
    channels = F.shape[2]
    if np.isnan(gradient).any() or any(np.linalg.cond(image) > 1e4 for image in F) or F.shape[1] < channels:
        return None
    wanted = gradient.reshape(F.shape) / _slope(case)
    return np.stack([np.linalg.lstsq(image, part, rcond=None)[0] for image, part in zip(F, wanted)])


def _agrees(case, F):
    """Whether G - A, solved from the gradient, gives the loss of equation 4; True where it cannot be solved for."""
    difference = _difference(case, F, case.right)
    if difference is None:
        return True
    loss = np.sum(difference**2) * _slope(case) / float(case.grad_y) / 4
    return abs(loss - case.output) <= 1e-4 * abs(case.output)


FACTORS = {
    0.5: (
        "factor-2-missing",
        "half the right one: two factors 2 take the 4 of equation 4; that of the symmetric Gram matrix is missing "
        "(F enters G twice, gram's equation (a)), or that of the square",
    ),
    0.25: (
        "both-factors-2-missing",
        "1/4 of the right one: the factors 2 of the square and of the symmetric Gram matrix are both missing; they "
        "take the 4 of equation 4",
    ),
    2.0: ("quarter-half-taken", "twice the right one: 1/(4 N^2 M^2) takes two factors 2, and one of them is left over"),
    4.0: (
        "quarter-missing",
        "4 times the right one: the 1/4 of equation 4 is missing; it takes the factors 2 of the square and of the "
        "symmetric Gram matrix",
    ),
    -1.0: ("difference-reversed", "minus the right one: the difference is G - A, not A - G"),
}
INPUTS = (InputMistakes(right, mistakes, FACTORS, quantities=paper_quantities, highest_power=2),)
