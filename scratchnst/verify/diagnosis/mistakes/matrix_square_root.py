"""Mistakes in the backward of the matrix square root: `scratchnst.ops.matrix_square_root`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes.case import GradientCase, InputMistakes, KnownMistake, upstream_mistakes

EPSILON = 1e-10


def right(case: GradientCase) -> Array | None:
    """Equation (c)."""
    x = case.x
    if x.ndim != 3 or not x.shape[1] == x.shape[2] > 0 or x.shape != case.grad_y.shape or not np.isfinite(x).all():
        return None
    return _divided(x, case.grad_y, _sum)


def mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dA."""
    A, g = case.x, case.grad_y
    text = "D[i,j] = g'[i,j] / (r[i] + r[j]) with g' = V^T g V, equation (c) of matrix_square_root"
    for key, words, divisor in (
        ("root-product", "r[i] r[j], the product of two roots,", lambda a, b: a * b),
        ("root-eigenvalues", "l[i] + l[j], the sum of two eigenvalues,", lambda a, b: a**2 + b**2),
        ("root-of-sum", "sqrt(l[i] + l[j]), the root of the sum,", lambda a, b: np.sqrt(a**2 + b**2)),
    ):
        yield KnownMistake(
            key, f"the right one with {words} in the place of r[i] + r[j]: {text}", _divided(A, g, divisor)
        )
    for key, words, kept in (
        ("eigenvectors-held-fixed", "the diagonal of D alone, as if V did not depend on A", np.eye(A.shape[1])),
        ("root-diagonal-missing", "D without its diagonal", 1 - np.eye(A.shape[1])),
    ):
        yield KnownMistake(key, f"the right one with {words}: {text}", _divided(A, g, _sum, kept))
    elementwise = "the derivative of a number's root, element by element, g / (2 S): a matrix's root is none of these;"
    for upstream in (g, _symmetric(g)):
        with np.errstate(divide="ignore", invalid="ignore"):
            yield KnownMistake("root-elementwise", f"{elementwise} {text}", upstream / (2 * case.output))
    V, r = _eigen(A)
    inverse = (V / r[:, np.newaxis]) @ V.swapaxes(1, 2)
    commuting = "S^(-1) g / 2, with 2 r[i] in the place of r[i] + r[j], which is right only where g and S commute:"
    for upstream in (g, _symmetric(g)):
        for gradient in (inverse @ upstream / 2, upstream @ inverse / 2, _symmetric(inverse @ upstream / 2)):
            yield KnownMistake("root-commuting", f"{commuting} {text}", gradient)
    sentence = "the right one for g, not (g + g^T) / 2: A counts as its symmetric part, and dL/dA is symmetric"
    yield KnownMistake("root-not-symmetrised", sentence, _divided(A, g, _sum, symmetric=False))
    for gradient in (np.triu(case.right), np.tril(case.right)):
        yield KnownMistake("root-one-triangle", "one triangle of the right one: dL/dA is symmetric", gradient)
    yield from upstream_mistakes(lambda g: _divided(A, g, _sum), g)


def _symmetric(g):
    return (g + g.swapaxes(1, 2)) / 2


def _sum(a, b):
    return a + b


def _eigen(A):
    """V and the roots r of the eigenvalues."""
    eigenvalues, V = np.linalg.eigh(_symmetric(A))
    return V, np.sqrt(np.maximum(eigenvalues, 0) + EPSILON)


def _divided(A, g, divisor, kept=1.0, symmetric=True):
    """V D V^T, in which D is V^T g V divided by a function of r[i] and r[j], and multiplied by `kept`."""
    V, r = _eigen(A)
    turned = V.swapaxes(1, 2) @ (_symmetric(g) if symmetric else g) @ V
    return V @ (kept * turned / divisor(r[:, :, np.newaxis], r[:, np.newaxis])) @ V.swapaxes(1, 2)


FACTORS = {
    2: ("half-missing", "twice the right one: where i = j, the divisor r[i] + r[j] is 2 r[i], equation (c)"),
    0.5: ("root-half-twice", "half the right one: the divisor is r[i] + r[j] and has no factor 2, equation (c)"),
}
INPUTS = (InputMistakes(right, mistakes, FACTORS, axes=("image", "row", "column")),)
