"""Mistakes in the backward of instance normalisation: `scratchnst.ops.instance_norm`.

The gradient with respect to x is added up from its three paths, in a form in which a mistake is a change of one
argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes.case import (
    GradientCase,
    InputMistakes,
    KnownMistake,
    image_quantities,
    upstream_mistakes,
)

EPSILON = 1e-5
IMAGE, BATCH = (1, 2), (0, 1, 2)  # axes


@dataclass(frozen=True)
class Statistics:
    """The mean and s of each channel, over the pixels of each image or of all images; `spared` is 1 for M - 1."""

    x: Array
    axes: tuple[int, ...] = IMAGE
    spared: int = 0
    deviation: Callable[[Array], Array] = lambda variance: np.sqrt(variance + EPSILON)

    @property
    def centred(self) -> Array:
        return self.x - self.x.mean(self.axes, keepdims=True)

    @property
    def s(self) -> Array:
        return self.deviation(self.centred.var(self.axes, ddof=self.spared, keepdims=True))

    @property
    def z(self) -> Array:
        return self.centred / self.s


def right_input(case: GradientCase) -> Array | None:
    """Equation (c)."""
    return through(Statistics(case.inputs[0]), _scaled(case)) if _fits(case) else None


def input_mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dx."""
    x, g = case.inputs[0], case.grad_y
    own, h = Statistics(x), _scaled(case)
    text = "x enters through itself, through the mean and through the variance, equation (c) of instance_norm"
    for key, words, gradient in (
        ("mean-path-missing", "the path through the mean", through(own, h, mean=0)),
        ("variance-path-missing", "the path through the variance", through(own, h, variance=0)),
        ("statistics-held-fixed", "the paths through mean and variance", through(own, h, mean=0, variance=0)),
    ):
        yield KnownMistake(key, f"the right one without {words}: {text}", gradient)
    for name, mean, variance in (("mean", -1, 1), ("variance", 1, -1), ("both", -1, -1)):
        which = "both paths through the statistics" if name == "both" else f"the path through the {name}"
        sentence = f"the right one with {which} added, not subtracted: the two means are taken from g, equation (c)"
        yield KnownMistake(f"{name}-path-sign", sentence, through(own, h, mean, variance))
    pixels = x.shape[1] * x.shape[2]
    sentence = "the right one with sums in the place of the means over the pixels: divide both by M = H W, equation (c)"
    yield KnownMistake("sums-not-averaged", sentence, through(own, h, mean=pixels, variance=pixels))
    yield KnownMistake("scale-missing", "the right one without scale: dL/dz is scale g", through(own, g))
    yield KnownMistake("scale-twice", "the right one times scale: it is taken twice", through(own, h * _scale(case)))
    sentence = "the right one not divided by s = sqrt(variance + EPSILON): dz/dx has the factor 1/s"
    yield KnownMistake("s-missing", sentence, through(own, h) * own.s)
    sentence = "the right one divided by s once too often, as by the variance: the factor is 1/s"
    yield KnownMistake("s-twice", sentence, through(own, h) / own.s)
    for words, array in (("x", x), ("x - mean", own.centred), ("the output y", case.output)):
        sentence = f"the right one with {words} in the place of z in the path through the variance: z = (x - mean) / s"
        yield KnownMistake("not-normalised", sentence, through(own, h, z=array))
    if len(x) > 1:
        own_text = "each image has a mean and a variance of its own, axes 1 and 2"
        of_batch = "mean and variance over all images of the batch, as in batch normalisation"
        for means, axes in (("", BATCH), (", and the means of g and of g z over those of each image", IMAGE)):
            gradient = through(Statistics(x, BATCH), h, axes=axes)
            yield KnownMistake("statistics-of-batch", f"the right one with {of_batch}{means}: {own_text}", gradient)
        sentence = f"the right one with the means of g and of g z over all images of the batch: {own_text}"
        for gradient in (through(own, g, axes=BATCH) * _scale(case), through(own, h, axes=BATCH)):
            yield KnownMistake("means-over-batch", sentence, gradient)
    for key, sentence, other in other_deviations(x):
        yield KnownMistake(key, sentence, through(other, h))
    if pixels > 1:
        sentence = "the right one with M - 1 for M in the path through the variance: it is the mean over all M pixels"
        yield KnownMistake("unbiased-variance", sentence, through(own, h, variance=pixels / (pixels - 1)))
    yield from upstream_mistakes(lambda g: through(own, g * _scale(case)), g)


def right_scale(case: GradientCase) -> Array | None:
    """Equation (b)."""
    return (case.grad_y * Statistics(case.inputs[0]).z).sum(IMAGE) if _fits(case) else None


def scale_mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dscale."""
    x, g = case.inputs[0], case.grad_y
    own = Statistics(x)
    text = "dL/dscale is the sum of g z over the pixels of each image, equation (b) of instance_norm"
    yield from _summed_over_images(own.z * g, text)
    for key, words, array in (
        ("not-normalised", "g x, x as it came in", x),
        ("not-normalised", "g (x - mean), not divided by s", own.centred),
        ("output-for-normalised", "g y, the output for z", case.output),
    ):
        yield KnownMistake(key, f"the sum of {words}: {text}", (g * array).sum(IMAGE))
    yield KnownMistake("gradient-of-shift", f"that of the shift, the sum of g: {text}", g.sum(IMAGE))
    yield KnownMistake("scale-in-gradient", f"the right one times scale: {text}", case.right * case.x)
    if len(x) > 1:
        sentence = f"the right one with mean and variance over all images of the batch: {text}"
        yield KnownMistake("statistics-of-batch", sentence, (g * Statistics(x, BATCH).z).sum(IMAGE))
    for key, sentence, other in other_deviations(x):
        yield KnownMistake(key, sentence, (g * other.z).sum(IMAGE))
    yield from upstream_mistakes(lambda g: (g * own.z).sum(IMAGE), g)


def right_shift(case: GradientCase) -> Array | None:
    """Equation (b)."""
    return case.grad_y.sum(IMAGE) if _fits(case) else None


def shift_mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dshift."""
    g = case.grad_y
    text = "dL/dshift is the sum of g over the pixels of each image, equation (b) of instance_norm"
    yield from _summed_over_images(g, text)
    gradient = (g * Statistics(case.inputs[0]).z).sum(IMAGE)
    yield KnownMistake("gradient-of-scale", f"that of the scale, the sum of g z: {text}", gradient)
    yield KnownMistake("scale-in-gradient", f"the right one times scale: {text}", g.sum(IMAGE) * case.inputs[1])
    yield from upstream_mistakes(lambda g: g.sum(IMAGE), g)


def _fits(case):
    """Whether the shapes are those of an instance normalisation."""
    if len(case.inputs) != 3 or case.inputs[0].ndim != 4 or case.grad_y.shape != case.inputs[0].shape:
        return False
    x, scale, shift = case.inputs
    return scale.shape == shift.shape == (x.shape[0], x.shape[3]) and x.size > 0


def _scale(case):
    return case.inputs[1][:, np.newaxis, np.newaxis]


def _scaled(case):
    """h = dL/dz."""
    return case.grad_y * _scale(case)


def through(
    own: Statistics,
    h: Array,
    mean: float = 1.0,
    variance: float = 1.0,
    z: Array | None = None,
    axes: tuple[int, ...] | None = None,
) -> Array:
    """Return what comes back to x through itself and, as often as is said, through mean and variance, of h = dL/dz."""
    z, axes = own.z if z is None else z, axes or own.axes
    spared = own.centred.size / own.s.size
    variance = variance * spared / (spared - own.spared)
    means = mean * h.mean(axes, keepdims=True) + variance * z * (h * z).mean(axes, keepdims=True)
    return (h - means) / own.s


def other_deviations(x: Array) -> Iterator[tuple[str, str, Statistics]]:
    """Yield other numbers to divide by than s: (key, text, statistics)."""
    text = "s = sqrt(variance + EPSILON), with the mean of (x - mean)^2 over all M pixels as variance"
    yield (
        "epsilon-outside-root",
        f"the right one divided by sqrt(variance) + EPSILON: {text}",
        Statistics(x, deviation=lambda variance: np.sqrt(variance) + EPSILON),
    )
    yield (
        "epsilon-missing",
        f"the right one divided by sqrt(variance): {text}",
        Statistics(x, deviation=np.sqrt),
    )
    if x.shape[1] * x.shape[2] > 1:
        sentence = f"the right one for the unbiased variance, divided by M - 1: {text}"
        yield "unbiased-variance", sentence, Statistics(x, spared=1)


def _summed_over_images(products, text):
    """Gradients (N, C) in which the images are not kept apart, or all but one are left out."""
    if len(products) > 1:
        for key, words, part in (
            ("summed-over-images", "the sum over all images for each of them", products.sum(BATCH)),
            ("averaged-over-images", "the mean over all images for each of them", products.sum(IMAGE).mean(0)),
        ):
            yield KnownMistake(key, f"{words}: {text}", np.broadcast_to(part, products.shape[::3]))
    if products.shape[1] > 1:
        yield KnownMistake("first-row-only", f"the sum over the first row alone: {text}", products[:, 0].sum(1))


def _pixels(case):
    images, height, width, _ = case.grad_y.shape
    return {"images": (images, "the number of images"), "H": (height, "rows"), "W": (width, "columns")}


OF_IMAGES = ("image", "channel")  # axes
INPUTS = (
    InputMistakes(right_input, input_mistakes, quantities=image_quantities),
    InputMistakes(right_scale, scale_mistakes, quantities=_pixels, axes=OF_IMAGES),
    InputMistakes(right_shift, shift_mistakes, quantities=_pixels, axes=OF_IMAGES),
)
