"""Mistakes in the backward of reflection padding: `scratchnst.ops.reflection_pad`.

Along an axis the padding is a matrix with a 1 where a pixel of the image is shown, one column a pixel of the image.  A
mistake is another matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes.case import GradientCase, InputMistakes, KnownMistake, upstream_mistakes

Places: TypeAlias = Callable[[int, int, int], "int | None"]  # see below


def right(case: GradientCase) -> Array | None:
    """Rows and columns folded."""
    return None if _margins(case) is None else gradient(case, case.grad_y, mirrored, mirrored)


def mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dx."""
    g = case.grad_y
    text = "a pixel gets the gradients of all the places at which it is shown"
    shows = "the r rows above the image show rows r, ..., 1 of it"
    for key, words, places in (
        ("mirrors-not-added", f"without what was added around the image: {text}", inside),
        ("edge-repeated", f"for mirrors that repeat the edge (symmetric): {shows}", _symmetric),
        ("edge-for-all", f"for an image continued by its edge: {shows}", edge),
        ("wrapped", f"for an image continued by its other end: {shows}", wrapped),
        ("not-turned-over", f"for added parts that are not turned over, [:, ::-1]: {shows}", _as_they_are),
        ("one-mirror-missing", f"without the mirror below and on the right: {text}", _first_mirror),
        ("one-mirror-missing", f"without the mirror above and on the left: {text}", _second_mirror),
    ):
        yield KnownMistake(key, f"the right one {words}", gradient(case, g, places, places))
    for key, words, of_rows, of_columns in (
        ("rows-not-folded", "rows added above and below", inside, mirrored),
        ("columns-not-folded", "columns added on the left and right", mirrored, inside),
    ):
        yield KnownMistake(key, f"the right one without the {words}: {text}", gradient(case, g, of_rows, of_columns))
    alone = gradient(case, g, inside, inside)
    with_rows, with_columns = gradient(case, g, mirrored, inside), gradient(case, g, inside, mirrored)
    sentence = "the right one without the corners: fold the columns of what has its rows folded"
    yield KnownMistake("corners-not-added", sentence, with_rows + with_columns - alone)
    for words, first, second in (("first", True, False), ("second", False, True), ("first and second", True, True)):
        yield KnownMistake(
            "assigned-not-added",
            f"the right one with what the {words} mirror shows in the place of the pixels' own gradient: +=, not =",
            _assigned(case, first, second),
        )
    shown = gradient(case, np.ones_like(g), mirrored, mirrored)
    sentence = f"the mean of the gradients at the places at which a pixel is shown, and should be their sum: {text}"
    yield KnownMistake("mean-for-sum", sentence, gradient(case, g, mirrored, mirrored) / shown)
    yield from upstream_mistakes(lambda g: gradient(case, g, mirrored, mirrored), g)


def _margins(case):
    """Rows and columns that were added on each side, from the shapes; None where these are not a padding's."""
    x, g = case.x, case.grad_y
    if not x.ndim == g.ndim == 4 or (len(x), x.shape[3]) != (len(g), g.shape[3]) or 0 in x.shape:
        return None
    double = [g.shape[axis] - x.shape[axis] for axis in (1, 2)]
    fits = all(number % 2 == 0 and 0 <= number // 2 < x.shape[axis] for axis, number in zip((1, 2), double))
    return (double[0] // 2, double[1] // 2) if fits else None


def gradient(case: GradientCase, g: Array, of_rows: Places, of_columns: Places) -> Array:
    """Return dL/dx for rows and columns shown at these places."""
    return np.einsum("pu,npqc,qv->nuvc", _matrix(case, 0, of_rows), g, _matrix(case, 1, of_columns))


def _matrix(case, axis, places):
    length, margin = case.x.shape[1 + axis], _margins(case)[axis]
    matrix = np.zeros((length + 2 * margin, length))
    for place in range(len(matrix)):
        shown = places(place - margin, length, margin)
        if shown is not None:
            matrix[place, shown] = 1
    return matrix


def _assigned(case, first, second):
    """The gradient where that of a mirror replaces what there was: the first mirror's, then the second's."""

    def matrix(axis):
        length, margin = case.x.shape[1 + axis], _margins(case)[axis]
        result = _matrix(case, axis, mirrored)
        for pixel in range(1, margin + 1) if first else ():
            result[margin:, pixel] = 0
        for pixel in range(length - 1 - margin, length - 1) if second else ():
            result[: margin + length, pixel] = 0
        return result

    return np.einsum("pu,npqc,qv->nuvc", matrix(0), case.grad_y, matrix(1))


# Functions of a place, the image's length and the margin: the pixel that is shown there, None for none.


def mirrored(i: int, length: int, margin: int) -> int:
    """Equation (a)."""
    return -i if i < 0 else i if i < length else 2 * (length - 1) - i


def inside(i: int, length: int, margin: int) -> int | None:
    """The image alone."""
    return i if 0 <= i < length else None


def _symmetric(i, length, margin):
    return -1 - i if i < 0 else i if i < length else 2 * length - 1 - i


def edge(i: int, length: int, margin: int) -> int:
    """The outermost pixel."""
    return min(max(i, 0), length - 1)


def wrapped(i: int, length: int, margin: int) -> int:
    """The other end."""
    return i % length


def _as_they_are(i, length, margin):
    return i + margin + 1 if i < 0 else i if i < length else i - margin - 1


def _first_mirror(i, length, margin):
    return mirrored(i, length, margin) if i < length else None


def _second_mirror(i, length, margin):
    return mirrored(i, length, margin) if i >= 0 else None


INPUTS = (InputMistakes(right, mistakes),)
