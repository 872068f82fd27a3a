"""Mistakes in the backward of the cross-layer Gram matrix: `scratchnst.losses.cross_gram`."""

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


def side_of(inputs: tuple[Array, ...]) -> int | None:
    """How many rows of the first of two layers lie in one of the second: 1, 2, 4 ...; None if they are no such pair."""
    if len(inputs) < 2 or any(layer.ndim != 4 for layer in inputs[:2]) or len(inputs[0]) != len(inputs[1]):
        return None
    shape, deeper = inputs[0].shape[1:3], inputs[1].shape[1:3]
    sides = (2**pools for pools in range(12))
    return next((side for side in sides if (shape[0] // side, shape[1] // side) == deeper), None)


def averaged(x: Array, side: int) -> Array:
    """P: the mean of each square of `side` x `side` pixels of `x`, (N, M, C)."""
    count, height, width, channels = x.shape
    rows, columns = height // side, width // side
    squares = x[:, : rows * side, : columns * side].reshape(count, rows, side, columns, side, channels)
    return squares.mean(axis=(2, 4)).reshape(count, rows * columns, channels)


def spread(grad_P: Array, shape: tuple[int, ...], side: int) -> Array:
    """D^T: each square's number (N, M, C), divided by its pixels, to all of them, in an array of `shape`."""
    count, height, width, channels = shape
    rows, columns = height // side, width // side
    grad_x = np.zeros(shape)
    squares = grad_P.reshape(count, rows, columns, channels) / side**2
    grad_x[:, : rows * side, : columns * side] = squares.repeat(side, axis=1).repeat(side, axis=2)
    return grad_x


def _matrix(x):
    return x.reshape(len(x), -1, x.shape[3])


def _fits(case):
    side = side_of(case.inputs)
    return side and case.grad_y.shape == (len(case.inputs[0]), case.inputs[0].shape[3], case.inputs[1].shape[3])


def _to_x(case, g, rows=None):
    """Equation (c) for the first layer, with other features in the place of the second's."""
    rows = _matrix(case.inputs[1]) if rows is None else rows
    return spread(rows @ g.swapaxes(1, 2), case.inputs[0].shape, side_of(case.inputs) or 1)


def _to_y(case, g, rows=None):
    """Equation (c) for the second layer, with other features in the place of the first's."""
    rows = averaged(case.inputs[0], side_of(case.inputs) or 1) if rows is None else rows
    return (rows @ g).reshape(case.inputs[1].shape)


def right_x(case: GradientCase) -> Array | None:
    """Equation (c): dL/dF."""
    return _to_x(case, case.grad_y) if _fits(case) else None


def right_y(case: GradientCase) -> Array | None:
    """Equation (c): dL/dK."""
    return _to_y(case, case.grad_y) if _fits(case) else None


def x_mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dF."""
    (x, y), g, side = case.inputs[:2], case.grad_y, side_of(case.inputs)
    assert side
    text = "dL/dF = D^T (K g^T), equation (c) of cross_gram"
    if side > 1:
        corner = np.zeros(x.shape)
        corner[:, ::side, ::side] = 1
        sentence = f"the right one at the first pixel of each square alone: {text}"
        yield KnownMistake("one-pixel-of-square", sentence, side**2 * _to_x(case, g) * corner)
    if x.shape[3] == y.shape[3]:
        sentence = f"the right one with K g for K g^T: {text}"
        yield KnownMistake("cross-gram-not-transposed", sentence, _to_x(case, g.swapaxes(1, 2)))
        sentence = f"the right one with the layer's own features for those of the other: {text}"
        yield KnownMistake("own-features", sentence, _to_x(case, g, averaged(x, side)))
    yield from _of_images(lambda g: _to_x(case, g), g)


def y_mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dK."""
    (x, y), g, side = case.inputs[:2], case.grad_y, side_of(case.inputs)
    assert side
    text = "dL/dK = P g, equation (c) of cross_gram, P the means of squares of F"
    if side > 1:
        first = x[:, : y.shape[1] * side : side, : y.shape[2] * side : side]
        sentence = f"the right one with the first pixel of each square for its mean: {text}"
        yield KnownMistake("first-pixel-of-square", sentence, _to_y(case, g, _matrix(first)))
    if x.shape[3] == y.shape[3]:
        sentence = f"the right one with P g^T for P g: {text}"
        yield KnownMistake("cross-gram-not-transposed", sentence, _to_y(case, g.swapaxes(1, 2)))
        sentence = f"the right one with the layer's own features for those of the other: {text}"
        yield KnownMistake("own-features", sentence, _to_y(case, g, _matrix(y)))
    yield from _of_images(lambda g: _to_y(case, g), g)


def _of_images(gradient, g):
    if len(g) > 1:
        sentence = "the right one with the upstream gradients of all images added up: each has its own Gram matrix"
        yield KnownMistake("gram-of-summed-images", sentence, gradient(np.broadcast_to(g.sum(0), g.shape)))
    yield from upstream_mistakes(gradient, g)


TWICE = ("counted-twice", "twice the right one: each layer stands in G once, unlike in equation 3, equation (c)")
NOT_DIVIDED = (
    "square-not-divided",
    "4 times the right one: if a pool lies between the layers, dL/dP is to be divided among the 4 pixels of a square",
)
NOT_AVERAGED = (
    "square-not-averaged",
    "4 times the right one: if a pool lies between the layers, P is the mean of each square, not its sum",
)
INPUTS = (
    InputMistakes(right_x, x_mistakes, {2.0: TWICE, 4.0: NOT_DIVIDED}, quantities=paper_quantities, highest_power=2),
    InputMistakes(right_y, y_mistakes, {2.0: TWICE, 4.0: NOT_AVERAGED}, quantities=paper_quantities, highest_power=2),
)
