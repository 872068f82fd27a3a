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
    text = "F[m,c] enters row c and column c of G, dL/dF = F (g + g^T), equation (a) of gram"
    yield KnownMistake(
        "gram-not-symmetrised", f"F g, the half that comes through the rows of G: {text}", _product(x, g)
    )
    yield KnownMistake(
        "gram-transposed", f"F g^T, the half that comes through the columns of G: {text}", _product(x, transposed)
    )
    yield KnownMistake(
        "gram-taken-as-symmetric", f"2 F g, which is right for a symmetric g only: {text}", _product(x, 2 * g)
    )
    yield KnownMistake(
        "gram-transposed-taken-as-symmetric",
        f"2 F g^T, which is right for a symmetric g only: {text}",
        _product(x, 2 * transposed),
    )
    yield KnownMistake("gram-antisymmetric", f"F (g - g^T): {text}", _product(x, g - transposed))
    yield KnownMistake("gram-antisymmetric", f"F (g^T - g): {text}", _product(x, transposed - g))
    diagonal = g * np.eye(g.shape[1])
    yield KnownMistake(
        "gram-diagonal-once",
        f"the right one with the diagonal of g counted once: G[c,c] = F[m,c]^2 + ... has the slope 2 F[m,c]; {text}",
        _product(x, g + transposed - diagonal),
    )
    yield KnownMistake(
        "gram-diagonal-missing",
        f"the right one without the diagonal of g: {text}",
        _product(x, g + transposed - 2 * diagonal),
    )
    for half, name in ((np.triu(g + transposed), "upper"), (np.tril(g + transposed), "lower")):
        yield KnownMistake(
            "gram-one-triangle", f"F times the {name} triangle of g + g^T alone: {text}", _product(x, half)
        )
    product = _product(x, g + transposed)
    yield KnownMistake(
        "gram-not-transposed-back",
        "the right numbers in the wrong places: a (C, M) matrix must be transposed to (M, C) before it is reshaped to "
        "(H, W, C)",
        product.reshape(len(x), -1, x.shape[3]).swapaxes(1, 2).reshape(x.shape),
    )
    if len(x) > 1:
        yield KnownMistake(
            "gram-of-first-image",
            "the right one with the upstream gradient of the first image for all: each image has its own Gram matrix",
            _product(x, np.broadcast_to((g + transposed)[:1], g.shape)),
        )
        yield KnownMistake(
            "gram-of-summed-images",
            "the right one with the upstream gradients of all images added up: each image has its own Gram matrix",
            _product(x, np.broadcast_to((g + transposed).sum(0), g.shape)),
        )
    yield from upstream_mistakes(lambda g: _product(x, g + g.swapaxes(1, 2)), g)


def _product(x, matrix):
    """F times `matrix`, image by image, in the shape of x."""
    return (x.reshape(len(x), -1, x.shape[3]) @ matrix).reshape(x.shape)


FACTORS = {0.5: ("gram-half", "half the right one: F enters G twice, dL/dF = F (g + g^T), equation (a) of gram")}
INPUTS = (InputMistakes(right, mistakes, FACTORS, quantities=paper_quantities, highest_power=2),)
