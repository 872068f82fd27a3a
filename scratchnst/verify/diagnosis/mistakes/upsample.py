"""Mistakes in the backward of nearest upsampling: `scratchnst.ops.upsample`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes import squares
from scratchnst.verify.diagnosis.mistakes.case import GradientCase, InputMistakes, KnownMistake, upstream_mistakes


def right(case: GradientCase) -> Array | None:
    """Equation (b)."""
    x, g = case.x, case.grad_y
    fits = x.ndim == 4 and g.shape == (x.shape[0], 2 * x.shape[1], 2 * x.shape[2], x.shape[3])
    return _sums(g) if fits else None


def mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dx."""
    g = case.grad_y
    corners = squares.corners(g)
    text = "x[n, u, v, c] is in all four pixels of its square, add up their gradients"
    for corner, name in zip(corners, squares.CORNERS):
        yield KnownMistake("one-corner-only", f"that of the {name} pixel of each square alone: {text}", corner)
        sentence = f"the right one without the {name} pixel of each square: {text}"
        yield KnownMistake("one-corner-missing", sentence, _sums(g) - corner)
    for name, pair in (("top row", (0, 1)), ("bottom row", (2, 3)), ("left column", (0, 2)), ("right column", (1, 3))):
        half = corners[pair[0]] + corners[pair[1]]
        yield KnownMistake("half-of-square-only", f"that of the {name} of each square alone: {text}", half)
    sentence = f"the largest of the four gradients of each square: {text}"
    yield KnownMistake("largest-of-square", sentence, np.max(corners, axis=0))
    count, height, width, channels = case.x.shape
    yield KnownMistake(
        "tiled",
        "the sum of the four quarters of grad_y: each number of x fills one square, x is not laid out in tiles",
        g.reshape(count, 2, height, 2, width, channels).sum((1, 3)),
    )
    yield from upstream_mistakes(_sums, g)


def _sums(g):
    return np.sum(squares.corners(g), axis=0)


MEAN = (
    "1/4 of the right one: the mean of each square's four gradients, and should be their sum, equation (b) of upsample"
)
FACTORS = {
    0.25: ("mean-for-sum", "1/4 of the right one: the mean of a square's four gradients, and should be their sum"),
    0.5: ("mean-for-sum", "half the right one: the four gradients of a square are added up, without a factor"),
}
INPUTS = (InputMistakes(right, mistakes, FACTORS),)
