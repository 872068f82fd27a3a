"""Mistakes in the backward of adaptive instance normalisation: `scratchnst.ops.adain`.

It is composed of two operations, and so are its mistakes: those of an instance normalisation whose scale and shift are
the style's moments, those of moments, and those in what joins the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes import instance_norm, moments
from scratchnst.verify.diagnosis.mistakes.case import (
    GradientCase,
    InputMistakes,
    KnownMistake,
    image_quantities,
    upstream_mistakes,
)
from scratchnst.verify.diagnosis.mistakes.instance_norm import IMAGE, Statistics, through


def right_content(case: GradientCase) -> Array | None:
    """Equation (b)."""
    return instance_norm.right_input(_normalisation(case)) if _fits(case) else None


def content_mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dcontent."""
    inner = _normalisation(case)
    content, scale, shift = inner.inputs
    yield from instance_norm.input_mistakes(inner)
    own, of_style = Statistics(content), scale[:, None, None]
    right = through(own, case.grad_y * of_style)
    text = "the scale is the style's deviation and the divisor the content's, equation (b) of adain"
    for key, words, factor in (
        ("deviations-cancelled", "one deviation both as scale and as divisor", own.s / of_style),
        ("content-and-style-exchanged", "the two deviations exchanged", (own.s / of_style) ** 2),
        ("mean-for-deviation", "the style's mean as scale", shift[:, None, None] / of_style),
    ):
        yield KnownMistake(key, f"the right one with {words}: {text}", right * factor)
    if content.shape == case.inputs[1].shape:
        of_other = _of_moments(case, case.grad_y, own.z)
        yield KnownMistake("gradient-of-style", "that of the style: the content's comes first", of_other)


def right_style(case: GradientCase) -> Array | None:
    """Equations (c) and (d)."""
    return _of_moments(case, case.grad_y, Statistics(case.inputs[0]).z) if _fits(case) else None


def style_mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dstyle."""
    (content, style), g = case.inputs, case.grad_y
    own = Statistics(content)
    sentence = "zero: the style is an input, too, and reaches y through its mean and its deviation"
    yield KnownMistake("style-missing", sentence, np.zeros_like(style))
    pixels, style_pixels = (each.shape[1] * each.shape[2] for each in case.inputs)
    if pixels != style_pixels:
        sentence = "the right one divided by the content's M and not by M', the style's pixels: equation (d) of adain"
        yield KnownMistake("content-pixels", sentence, _of_moments(case, g, own.z) * style_pixels / pixels)
    yield from moments.own_mistakes(style, _gradient_of_moments(g, own.z))
    text = "the gradient of the style's deviation is the sum of g z over the content's pixels, equation (c) of adain"
    for key, words, array in (
        ("not-normalised", "g times the content", content),
        ("not-normalised", "g (content - mean)", own.centred),
        ("output-for-normalised", "g y, the output", case.output),
    ):
        yield KnownMistake(key, f"the right one with the sum of {words}: {text}", _of_moments(case, g, array))
    of_moments = _gradient_of_moments(g, own.z)
    for key, words, other in (
        ("summed-over-images", "sums over all images of the batch", of_moments.sum(0, keepdims=True)),
        ("first-image-only", "those of the first image for all", of_moments[:1]),
    ):
        sentence = f"the right one with {words} as gradients of the style's moments: each image has a style of its own"
        if len(g) > 1:
            yield KnownMistake(key, sentence, moments.gradient(Statistics(style).z, other))
    if content.shape == style.shape:
        of_style = Statistics(style)
        sentence = f"the right one with the style's z in the place of the content's: {text}"
        yield KnownMistake("style-for-content", sentence, _of_moments(case, g, of_style.z))
        of_other = through(own, g * of_style.s)
        yield KnownMistake("gradient-of-content", "that of the content: the style's comes second", of_other)
    yield from upstream_mistakes(lambda g: _of_moments(case, g, own.z), g)


def _fits(case):
    """Whether the shapes are those of an adaptive instance normalisation."""
    if len(case.inputs) != 2 or any(each.ndim != 4 or each.size == 0 for each in case.inputs):
        return False
    content, style = case.inputs
    return content.shape[::3] == style.shape[::3] and case.grad_y.shape == content.shape


def _normalisation(case):
    """The case of the instance normalisation, with the style's moments as scale and shift."""
    content, style = case.inputs
    scale, shift = Statistics(style).s[:, 0, 0], style.mean(IMAGE)
    return replace(case, inputs=(content, scale, shift), position=0)


def _gradient_of_moments(g, z):
    """Equation (c), (N, 2, C)."""
    return np.stack([g.sum(IMAGE), (g * z).sum(IMAGE)], axis=1)


def _of_moments(case, g, z):
    """Equation (d) of (c)."""
    return moments.gradient(Statistics(case.inputs[1]).z, _gradient_of_moments(g, z))


def _pixels(case):
    """The numbers of images, and of the pixels of content and style."""
    content, style = ((each.shape[1] * each.shape[2]) for each in case.inputs)
    return {
        "images": (case.x.shape[0], "the number of images"),
        "M": (content, "pixels of the content"),
        "M'": (style, "pixels of the style"),
    }


INPUTS = (
    InputMistakes(right_content, content_mistakes, quantities=image_quantities),
    InputMistakes(right_style, style_mistakes, quantities=_pixels),
)
