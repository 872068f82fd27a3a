"""Mistakes in the backward of the Gram matrix: `scratchnst.losses.gram`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes.case import (
    GradientCase,
    InputMistakes,
    KnownMistake,
    paper_quantities,
    upstream_mistakes,
)


def right(case: GradientCase) -> Array | None:
    """Equation (a)."""
    x, g = case.x, case.grad_y
    if x.ndim != 4 or g.shape != (x.shape[0], x.shape[3], x.shape[3]):
        return None
    return _product(x, g + g.swapaxes(1, 2))


def mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dx."""
    x, g = case.x, case.grad_y
    transposed = g.swapaxes(1, 2)
    symmetric, diagonal = g + transposed, g * np.eye(g.shape[1])
    text = "F[m,c] enters row c and column c of G, dL/dF = F (g + g^T), equation (a) of gram"
    once = "the right one with the diagonal of g counted once: G[c,c] = F[m,c]^2 + ... has the slope 2 F[m,c];"
    for key, words, matrix in (
        ("gram-not-symmetrised", "F g, the half that comes through the rows of G:", g),
        ("gram-transposed", "F g^T, the half that comes through the columns of G:", transposed),
        ("gram-taken-as-symmetric", "2 F g, which is right for a symmetric g only:", 2 * g),
        ("gram-transposed-taken-as-symmetric", "2 F g^T, which is right for a symmetric g only:", 2 * transposed),
        ("gram-antisymmetric", "F (g - g^T):", g - transposed),
        ("gram-antisymmetric", "F (g^T - g):", transposed - g),
        ("gram-diagonal-once", once, symmetric - diagonal),
        ("gram-diagonal-missing", "the right one without the diagonal of g:", symmetric - 2 * diagonal),
        ("gram-one-triangle", "F times the upper triangle of g + g^T alone:", np.triu(symmetric)),
        ("gram-one-triangle", "F times the lower triangle of g + g^T alone:", np.tril(symmetric)),
    ):
        yield KnownMistake(key, f"{words} {text}", _product(x, matrix))
    yield KnownMistake(
        "gram-not-transposed-back",
        "the right numbers in the wrong places: a (C, M) matrix must be transposed to (M, C) before it is reshaped to "
        "(H, W, C)",
        _product(x, symmetric).reshape(len(x), -1, x.shape[3]).swapaxes(1, 2).reshape(x.shape),
    )
    if len(x) > 1:
        own = "each image has its own Gram matrix"
        first, total = np.broadcast_to(symmetric[:1], g.shape), np.broadcast_to(symmetric.sum(0), g.shape)
        sentence = f"the right one with the upstream gradient of the first image for all: {own}"
        yield KnownMistake("gram-of-first-image", sentence, _product(x, first))
        sentence = f"the right one with the upstream gradients of all images added up: {own}"
        yield KnownMistake("gram-of-summed-images", sentence, _product(x, total))
    yield from upstream_mistakes(lambda g: _product(x, g + g.swapaxes(1, 2)), g)


def _product(x, matrix):
    """F times `matrix`, image by image, in the shape of x."""
    return (x.reshape(len(x), -1, x.shape[3]) @ matrix).reshape(x.shape)


FACTORS = {0.5: ("gram-half", "half the right one: F enters G twice, dL/dF = F (g + g^T), equation (a) of gram")}
INPUTS = (InputMistakes(right, mistakes, FACTORS, quantities=paper_quantities, highest_power=2),)
