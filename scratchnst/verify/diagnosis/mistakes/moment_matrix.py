"""Mistakes in the backward of the moment matrix: `scratchnst.losses.moment_matrix`."""

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

TEXT = "dL/dF[m,c] = [F (g' + g'^T)][m,c] + g[c,C] + g[C,c], equation (c) of moment_matrix"


def right(case: GradientCase) -> Array | None:
    """Equation (c)."""
    x, g = case.x, case.grad_y
    if x.ndim != 4 or g.shape != (x.shape[0], x.shape[3] + 1, x.shape[3] + 1):
        return None
    return _gradient(x, g)


def mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dx."""
    x, g = case.x, case.grad_y
    for key, words, products, column, row in (
        ("sums-missing", "without the gradient of the sums t", 2, 0, 0),
        ("products-missing", "without the gradient of the products F^T F", 0, 1, 1),
        ("sums-once", "with the gradient of t from the last column of g alone: t stands in S twice", 2, 1, 0),
        ("sums-once", "with the gradient of t from the last row of g alone: t stands in S twice", 2, 0, 1),
        ("gram-not-symmetrised", "with F g' for F (g' + g'^T)", 1, 1, 1),
    ):
        yield KnownMistake(key, f"the right one {words}: {TEXT}", _gradient(x, g, products, column, row))
    yield from upstream_mistakes(lambda g: _gradient(x, g), g)


def _gradient(x, g, products=2, column=1, row=1):
    """Equation (c), with so many of its two products, and of its sums."""
    inner = g[:, :-1, :-1]
    matrix = (0 * inner, inner, inner + inner.swapaxes(1, 2))[products]
    F = x.reshape(len(x), -1, x.shape[3]) @ matrix
    sums = column * g[:, :-1, -1] + row * g[:, -1, :-1]
    return (F + sums[:, np.newaxis]).reshape(x.shape)


INPUTS = (InputMistakes(right, mistakes, quantities=paper_quantities, highest_power=2),)
