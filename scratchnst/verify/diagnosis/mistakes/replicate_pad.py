"""Mistakes in the backward of replication padding: `scratchnst.ops.replicate_pad`.

As for reflection padding, along an axis it is a matrix with a 1 where a pixel of the image is shown.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes.case import GradientCase, InputMistakes, KnownMistake, upstream_mistakes
from scratchnst.verify.diagnosis.mistakes.reflection_pad import edge, gradient, inside, mirrored, wrapped


def right(case: GradientCase) -> Array | None:
    """Rows and columns gathered."""
    return gradient(case, case.grad_y, edge, edge) if _is_padding(case) else None


def mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dx."""
    g = case.grad_y
    text = "a pixel gets the gradients of all the places at which it is shown"
    shows = "all r rows above the image show its first"
    for key, words, places in (
        ("border-not-added", f"without what was added around the image: {text}", inside),
        ("mirrored", f"for an image continued by its reflection: {shows}", mirrored),
        ("wrapped", f"for an image continued by its other end: {shows}", wrapped),
        ("one-side-missing", f"without what was added below and on the right: {text}", _first_side),
        ("one-side-missing", f"without what was added above and on the left: {text}", _second_side),
        ("added-once", f"with one of the rows that were added on each side: {shows}", _nearest),
    ):
        yield KnownMistake(key, f"the right one {words}", gradient(case, g, places, places))
    for key, words, of_rows, of_columns in (
        ("rows-not-gathered", "rows added above and below", inside, edge),
        ("columns-not-gathered", "columns added on the left and right", edge, inside),
    ):
        yield KnownMistake(key, f"the right one without the {words}: {text}", gradient(case, g, of_rows, of_columns))
    alone = gradient(case, g, inside, inside)
    with_rows, with_columns = gradient(case, g, edge, inside), gradient(case, g, inside, edge)
    sentence = "the right one without the corners: gather the columns of what has its rows gathered"
    yield KnownMistake("corners-not-added", sentence, with_rows + with_columns - alone)
    sentence = "the right one with what was added in the place of the outermost pixels' own gradient: +=, not ="
    yield KnownMistake("assigned-not-added", sentence, gradient(case, g, _without_own, _without_own))
    shown = gradient(case, np.ones_like(g), edge, edge)
    sentence = f"the mean of the gradients at the places at which a pixel is shown, and should be their sum: {text}"
    yield KnownMistake("mean-for-sum", sentence, gradient(case, g, edge, edge) / shown)
    yield from upstream_mistakes(lambda g: gradient(case, g, edge, edge), g)


def _is_padding(case):
    """Whether the shapes are those of an image and of one with as many rows, and columns, on each side."""
    x, g = case.x, case.grad_y
    if not x.ndim == g.ndim == 4 or (len(x), x.shape[3]) != (len(g), g.shape[3]) or 0 in x.shape:
        return False
    return all(g.shape[axis] >= x.shape[axis] and (g.shape[axis] - x.shape[axis]) % 2 == 0 for axis in (1, 2))


# Functions of a place, the image's length and the margin: the pixel that is shown there, None for none.


def _first_side(i, length, margin):
    return edge(i, length, margin) if i < length else None


def _second_side(i, length, margin):
    return edge(i, length, margin) if i >= 0 else None


def _nearest(i, length, margin):
    return edge(i, length, margin) if -1 <= i <= length else None


def _without_own(i, length, margin):
    return None if margin and i in (0, length - 1) else edge(i, length, margin)


INPUTS = (InputMistakes(right, mistakes),)
