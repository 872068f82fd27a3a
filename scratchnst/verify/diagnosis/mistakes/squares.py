"""The 2x2 squares of pooling: arrays with a number for each square, and with one for each pixel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes.case import GradientCase, Region

CORNERS = ("top left", "top right", "bottom left", "bottom right")


def is_pooling(case: GradientCase) -> bool:
    """Whether the shapes are those of 2x2 pooling."""
    x, g = case.x, case.grad_y
    return x.ndim == 4 and g.shape == (x.shape[0], x.shape[1] // 2, x.shape[2] // 2, x.shape[3])


def corners(x: Array) -> list[Array]:
    """Four views of `x`, the squares' pixels in reading order."""
    height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    return [x[:, i:height:2, j:width:2] for i in (0, 1) for j in (0, 1)]


def spread(y: Array, shape: tuple[int, ...]) -> Array:
    """Give each square's number to all of its pixels; a row or column that is left over gets 0."""
    x = np.zeros(shape)
    x[:, : 2 * y.shape[1], : 2 * y.shape[2]] = y.repeat(2, 1).repeat(2, 2)
    return x


def one_corner(y: Array, shape: tuple[int, ...], number: int) -> Array:
    """Give each square's number to one of its pixels."""
    x = np.zeros(shape)
    corners(x)[number][...] = y
    return x


def tiled(y: Array, shape: tuple[int, ...]) -> Array:
    """Repeat `y` as a whole twice in each direction, in place of its pixels."""
    x = np.zeros(shape)
    x[:, : 2 * y.shape[1], : 2 * y.shape[2]] = np.tile(y, (1, 2, 2, 1))
    return x


def winner(x: Array) -> Array:
    """1 at the largest pixel of each square, the first in reading order of several, else 0."""
    number = np.argmax(corners(x), axis=0)
    mask = np.zeros_like(x)
    for corner, view in enumerate(corners(mask)):
        view[...] = number == corner
    return mask


def left_over(case: GradientCase) -> Iterator[Region]:
    """The last row or column of an odd height or width, which is in no square."""
    _, height, width, _ = case.x.shape
    mask = np.zeros(case.x.shape, bool)
    mask[:, height // 2 * 2 :] = mask[:, :, width // 2 * 2 :] = True
    names = [name for name, side in (("row", height), ("column", width)) if side % 2]
    if names:
        text = f"in the last {' and '.join(names)}: with an odd number of them the last belongs to no square and gets 0"
        yield Region("left-over-not-zero", text, mask)
