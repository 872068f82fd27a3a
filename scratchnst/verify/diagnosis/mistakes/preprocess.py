"""Mistakes in the backward of preprocessing: `scratchnst.ops.preprocess`.

Its settings are no inputs; they are found from the right gradient, in which channel order[c] is scale / std[c] times
channel c of grad_y.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes.case import (
    GradientCase,
    InputMistakes,
    KnownMistake,
    image_quantities,
    upstream_mistakes,
)


def right(case: GradientCase) -> Array | None:
    """Equation (b)."""
    settings = _settings(case)
    return None if settings is None else _gradient(case.grad_y, *settings)


def mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dx."""
    settings = _settings(case)
    assert settings is not None
    order, factor = settings
    g, number = case.grad_y, np.arange(3)
    if (order != number).any():
        yield KnownMistake(
            "channel-order-not-reversed",
            "the right one with its channels in the network's order: channel c of y is channel order[c] of x, "
            "grad_x[..., order] = ...",
            _gradient(g, number, factor),
        )
        yield KnownMistake(
            "factor-in-wrong-order",
            "the right one with std in the order of x's channels: std stands in the network's order, like grad_y's "
            "channels; divide before reordering",
            _gradient(g, order, factor[order]),
        )
    else:
        sentence = "the right one with its channels reversed: this network takes them in the order of x"
        yield KnownMistake("channels-reversed", sentence, _gradient(g, number[::-1], factor))
    for shift in (1, 2):
        sentence = "the right one with its channels moved round by one: channel c of y is channel order[c] of x"
        yield KnownMistake("channels-rotated", sentence, np.roll(_gradient(g, order, factor), shift, 3))
    if np.ptp(factor) > 1e-6 * np.abs(factor).max():
        for key, words, factors in (
            ("not-divided", "with the same factor {0} in all channels: the division by std is missing,", np.ones(3)),
            ("multiplied", "with std multiplied in place of divided by, and {0} before it:", 1 / factor),
            ("divided-twice", "divided by std once too often, and {0} before it:", factor**2),
        ):
            sentence = f"the right one {words} the factor is scale / std[c]"
            yield KnownMistake(f"std-{key}", sentence, np.zeros_like(g), (_gradient(g, order, factors),))
    yield KnownMistake(
        "mean-in-gradient",
        "the right one plus constants for each channel, ({0}, {1}, {2}), as when the mean is subtracted from the "
        "gradient, too: a constant has no part in dL/dx",
        _gradient(g, order, factor),
        tuple(np.broadcast_to(number == channel, g.shape).astype(float) for channel in number),
    )
    yield from upstream_mistakes(lambda g: _gradient(g, order, factor), g)


def _settings(case):
    """Order and factors of the channels of grad_y, or None where the right gradient has another form."""
    g, expected = case.grad_y, case.right
    if g.shape != expected.shape or g.ndim != 4 or g.shape[3] != 3:
        return None
    order, factor = np.zeros(3, int), np.zeros(3)
    for channel in range(3):
        fits = [_ratio(expected[..., channel], g[..., source]) for source in range(3)]
        sources = [source for source, ratio in enumerate(fits) if ratio is not None]
        if len(sources) != 1:
            return None
        order[sources[0]], factor[sources[0]] = channel, fits[sources[0]]
    return (order, factor) if sorted(order) == [0, 1, 2] else None


def _ratio(wanted, given):
    """The constant c of wanted = c given, over the numbers known, or None where there is none."""
    known = np.isfinite(wanted)
    if known.sum() < 2 or not given[known].any():
        return None
    ratio = (wanted[known] @ given[known]) / (given[known] @ given[known])
    fits = np.abs(wanted[known] - ratio * given[known]).max() <= 1e-4 * np.abs(wanted[known]).max()
    return ratio if fits and ratio else None


def _gradient(g, order, factor):
    gradient = np.empty_like(g)
    gradient[..., order] = g * factor
    return gradient


SCALE = (
    "scale",
    "{factor} times the right one: the factor is scale / std[c], and scale is left out, if it is {inverse}",
)
INPUTS = (InputMistakes(right, mistakes, any_factor=SCALE, quantities=image_quantities),)
