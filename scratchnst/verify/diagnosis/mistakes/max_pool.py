"""Mistakes in the backward of 2x2 max pooling: `scratchnst.ops.max_pool`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes import squares
from scratchnst.verify.diagnosis.mistakes.case import GradientCase, InputMistakes, KnownMistake, upstream_mistakes


def right(case: GradientCase) -> Array | None:
    """Equation (b), the first of several largest taken as the winner."""
    return squares.spread(case.grad_y, case.x.shape) * squares.winner(case.x) if squares.is_pooling(case) else None


def mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dx."""
    x, g = case.x, case.grad_y
    whole = squares.spread(g, x.shape)
    sentence = "grad_y at all four pixels of each square: only the largest one gets it, the others 0"
    yield KnownMistake("all-take-it", sentence, whole)
    sentence = "that of average pooling, 1/4 grad_y for each of a square: the largest gets all of it"
    yield KnownMistake("shared-evenly", sentence, whole / 4)
    largest = np.max(squares.corners(x), axis=0)
    tied = whole * (x == squares.spread(largest, x.shape))
    yield KnownMistake(
        "ties-counted-twice",
        "the right one with ties counted more than once: where pixels of a square are equally large, only one of them "
        "gets grad_y",
        tied,
    )
    sentence = "grad_y at the smallest pixel of each square: the largest is the winner"
    yield KnownMistake("smallest-wins", sentence, whole * squares.winner(-x))
    sentence = "grad_y at the pixel with the largest |x| of each square: the largest x is the winner, signs count"
    yield KnownMistake("largest-size-wins", sentence, whole * squares.winner(np.abs(x)))
    for corner, name in enumerate(squares.CORNERS):
        sentence = f"grad_y at the {name} pixel of each square, whichever is the largest: the cache must say who won"
        yield KnownMistake("one-corner-only", sentence, squares.one_corner(g, x.shape, corner))
    number = np.argmax(squares.corners(x), axis=0)
    for key, text, other in (
        ("winner-transposed", "row and column within the square exchanged", number % 2 * 2 + number // 2),
        ("winner-reversed", "the pixels of the square counted from the other end", 3 - number),
    ):
        moved = np.zeros_like(x)
        for corner, view in enumerate(squares.corners(moved)):
            view[...] = g * (other == corner)
        yield KnownMistake(key, f"the right one with {text}: count the winner as the forward does", moved)
    yield KnownMistake(
        "tiled",
        "the winners' share of grad_y laid out as tiles beside each other: each of its numbers belongs to one square, "
        "np.repeat, not np.tile",
        squares.tiled(g, x.shape) * squares.winner(x),
    )
    yield from upstream_mistakes(lambda g: squares.spread(g, x.shape) * squares.winner(x), g)


def ties(case: GradientCase) -> Array:
    """Pixels that are as large as another one of their square and no smaller than the rest."""
    largest = squares.spread(np.max(squares.corners(case.x), axis=0), case.x.shape)
    winners = case.x == largest
    count = squares.spread(np.sum(squares.corners(winners), axis=0), case.x.shape)
    return winners & (count > 1)


INPUTS = (InputMistakes(right, mistakes, regions=squares.left_over, kinks=ties),)
