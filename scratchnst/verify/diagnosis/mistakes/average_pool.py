"""Mistakes in the backward of 2x2 average pooling: `scratchnst.ops.average_pool`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes import squares
from scratchnst.verify.diagnosis.mistakes.case import GradientCase, InputMistakes, KnownMistake, upstream_mistakes


def right(case: GradientCase) -> Array | None:
    """Equation (b)."""
    return squares.spread(case.grad_y, case.x.shape) / 4 if squares.is_pooling(case) else None


def mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dx."""
    x, g = case.x, case.grad_y
    yield KnownMistake(
        "winner-takes-all",
        "that of max pooling, all of grad_y for the largest of each square: a mean hands a quarter to each of the four",
        squares.spread(g, x.shape) * squares.winner(x),
    )
    for corner, name in enumerate(squares.CORNERS):
        alone = squares.one_corner(g, x.shape, corner)
        text = f"at the {name} pixel of each square and zero at the other three: all four get 1/4 grad_y"
        yield KnownMistake("one-corner-only", f"the right one {text}", alone / 4)
        yield KnownMistake("one-corner-takes-all", f"all of grad_y {text}", alone)
    right = squares.spread(g, x.shape) / 4
    for name, part in (
        ("top row", np.s_[:, 0::2]),
        ("bottom row", np.s_[:, 1::2]),
        ("left column", np.s_[:, :, 0::2]),
        ("right column", np.s_[:, :, 1::2]),
    ):
        kept = np.zeros(x.shape)
        kept[part] = right[part]
        sentence = f"the right one in the {name} of each square and zero in the other: all four pixels get 1/4 grad_y"
        yield KnownMistake("half-of-square-only", sentence, kept)
    yield KnownMistake(
        "tiled",
        "1/4 grad_y laid out as tiles beside each other: each of its numbers fills one square, np.repeat, not np.tile",
        squares.tiled(g, x.shape) / 4,
    )
    yield from upstream_mistakes(lambda g: squares.spread(g, x.shape) / 4, g)


FACTORS = {
    4.0: (
        "average-factor",
        "4 times the right one: the factor 1/4 of the mean is missing, equation (b) of average_pool",
    ),
    2.0: ("average-factor", "twice the right one: a mean of four has the factor 1/4, not 1/2"),
    0.25: ("average-factor-twice", "1/4 of the right one: the factor 1/4 of the mean is taken twice"),
}
INPUTS = (InputMistakes(right, mistakes, FACTORS, regions=squares.left_over),)
