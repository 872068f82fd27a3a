"""Mistakes in the backward of moments: `scratchnst.ops.moments`."""

from __future__ import annotations

from collections.abc import Iterator

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes.case import (
    GradientCase,
    InputMistakes,
    KnownMistake,
    image_quantities,
    upstream_mistakes,
)
from scratchnst.verify.diagnosis.mistakes.instance_norm import BATCH, Statistics, other_deviations

TEXT = "x enters through the mean and through the deviation, equation (c) of moments"
ROOT = "ds/dvariance = 1/(2 s), and dvariance/dx = 2/M (x - mean), so that ds/dx = z/M, equation (b) of moments"


def right(case: GradientCase) -> Array | None:
    """Equation (c)."""
    x = case.x
    fits = x.ndim == 4 and x.size > 0 and case.grad_y.shape == (x.shape[0], 2, x.shape[3])
    return gradient(Statistics(x).z, case.grad_y) if fits else None


def mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dx."""
    z = Statistics(case.x).z
    yield from own_mistakes(case.x, case.grad_y)
    yield from upstream_mistakes(lambda g: gradient(z, g), case.grad_y)


def own_mistakes(x: Array, g: Array) -> Iterator[KnownMistake]:
    """Mistakes in dL/dx, `g` (N, 2, C) being that of the moments, but for those in the use of `g`."""
    own, pixels = Statistics(x), x.shape[1] * x.shape[2]
    z, s, centred = own.z, own.s, own.centred
    for key, words, mean, deviation in (
        ("mean-path-missing", "without the path through the mean", 0, 1),
        ("deviation-path-missing", "without the path through the deviation", 1, 0),
        ("mean-path-sign", "with the path through the mean subtracted", -1, 1),
        ("deviation-path-sign", "with the path through the deviation subtracted", 1, -1),
        ("mean-not-averaged", "with the path through the mean not divided by M", pixels, 1),
        ("deviation-not-averaged", "with the path through the deviation not divided by M", 1, pixels),
    ):
        yield KnownMistake(key, f"the right one {words}: {TEXT}", gradient(deviation * z, g, mean))
    sentence = "the right one with the gradients of mean and deviation exchanged: grad_y holds that of the mean first"
    yield KnownMistake("moments-exchanged", sentence, gradient(z, g[:, ::-1]))
    for key, words, slope in (
        ("gradient-of-variance", "the derivative of the variance, 2/M (x - mean), in the place of s's", 2 * centred),
        ("s-missing", "(x - mean)/M in the place of z/M: 1/s is left out", centred),
        ("s-twice", "z/(M s) in the place of z/M: it is divided by s twice", z / s),
        ("square-factor-missing", "z/(2 M) in the place of z/M: the 2 of the square is left out", z / 2),
        ("root-factor-missing", "2 z/M in the place of z/M: the 1/2 of the root is left out", 2 * z),
        ("not-centred", "x/(M s) in the place of z/M: the mean is not subtracted", x / s),
        ("s-for-z", "s/M in the place of z/M", s + 0 * x),
    ):
        yield KnownMistake(key, f"the right one with {words}; {ROOT}", gradient(slope, g))
    if pixels > 1:
        sentence = (
            "the right one with a factor 1 - 1/M in the path through the deviation: the mean moves in all squares, not "
            "in that of x[j] alone, and there it cancels"
        )
        yield KnownMistake("own-square-only", sentence, gradient((1 - 1 / pixels) * z, g))
        spared = pixels / (pixels - 1)
        sentence = f"the right one with M - 1 for M in the path through the deviation: {TEXT}"
        for slope in (spared * z, spared**0.5 * z):
            yield KnownMistake("unbiased-variance", sentence, gradient(slope, g))
    for key, sentence, other in other_deviations(x):
        yield KnownMistake(key, sentence, gradient(other.z, g))
    if len(x) > 1:
        sentence = "the right one with mean and deviation over all images of the batch: each image has its own"
        of_batch = Statistics(x, BATCH).z
        for upstream in (g, g / len(x), g.mean(0, keepdims=True)):
            yield KnownMistake("statistics-of-batch", sentence, gradient(of_batch, upstream))


def gradient(slope: Array, g: Array, mean: float = 1.0) -> Array:
    """Return equation (c) of `g` (N, 2, C), with `slope` (N, H, W, C) for z; `mean` is M times dmean/dx, 1 if right."""
    return (mean * g[:, 0, None, None] + slope * g[:, 1, None, None]) / (slope.shape[1] * slope.shape[2])


INPUTS = (InputMistakes(right, mistakes, quantities=image_quantities),)
