"""The exercise: moments and adaptive instance normalisation, forward and backward."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from scratchnst.classroom.grader import (
    Derivative,
    Drawn,
    Exercise,
    Function,
    Mistake,
    Property,
    Verified,
    Worked,
    with_result,
)
from scratchnst.ops import adain as package
from scratchnst.ops import moments as package_moments

EPSILON = 1e-5
IMAGE, BATCH, ALL_CHANNELS, CHANNELS_FIRST = (1, 2), (0, 1, 2), (1, 2, 3), (2, 3)  # axes


def moments(x):
    """Equation (a), one pixel at a time."""
    y = package_moments.forward_loops(x)
    return y[:, 0], y[:, 1]


def moments_backward(grad_m, grad_s, x):
    """Equation (c), one pixel at a time."""
    return package_moments.backward_loops(np.stack([grad_m, grad_s], axis=1), x)


def adain(content, style):
    """Equation (d), one pixel at a time."""
    return package.forward_loops(content, style)


def adain_backward(grad_y, content, style):
    """Equations (e), (f) and (g), one pixel at a time."""
    return package.backward_loops(grad_y, content, style)


def stacked_moments(x):
    """Mean and deviation in one array (N, 2, C), as the gradient check needs one result."""
    return package_moments.forward_loops(x)


def otherwise(x, *, axes=IMAGE, spared=0, deviation=lambda variance: np.sqrt(variance + EPSILON)):
    """Mean and deviation in a few lines; the keyword-only arguments make mistakes of them."""
    shape = x.shape[::3]
    mean, s = x.mean(axes, keepdims=True), deviation(x.var(axes, ddof=spared, keepdims=True))
    return tuple(np.broadcast_to(each, (len(x), 1, 1, x.shape[3])).reshape(shape) for each in (mean, s))


def through(grad_m, grad_s, x, *, mean=1.0, slope=lambda z, s, x: z, pixels=None):
    """Equation (c), with so much of the mean's path and another slope of the deviation; mistakes are made of it."""
    m, s = (_spread(row) for row in moments(x))
    M = x[0, :, :, 0].size if pixels is None else pixels(x)
    return (mean * _spread(grad_m) + _spread(grad_s) * slope((x - m) / s, s, x)) / M


def normalised(content):
    """z of the content."""
    m, s = (_spread(row) for row in moments(content))
    return (content - m) / s


def coloured(content, style, *, scale=lambda s, s_style: s_style, shift=lambda m, m_style: m_style, z=normalised):
    """Equation (d) with another scale and shift, each of (content's, style's); mistakes are made of it."""
    (m, s), (m_style, s_style) = (tuple(_spread(row) for row in moments(each)) for each in (content, style))
    return scale(s, s_style) * z(content) + shift(m, m_style)


def by_content(grad_y, content, style, *, mean=1.0, variance=1.0, factor=lambda s, s_style: s_style / s):
    """Equation (e), with so much of the paths through mean and variance, and another factor in front."""
    z, s, s_style = normalised(content), _spread(moments(content)[1]), _spread(moments(style)[1])
    means = mean * grad_y.mean(IMAGE, keepdims=True) + variance * z * (grad_y * z).mean(IMAGE, keepdims=True)
    return factor(s, s_style) * (grad_y - means)


def by_style(grad_y, content, style, *, z=normalised, gradients=None, **changes):
    """Equations (f) and (g), with something else in the place of the content's z, or other changes."""
    g_m, g_s = grad_y.sum(IMAGE), (grad_y * z(content)).sum(IMAGE)
    if gradients:
        g_m, g_s = gradients(g_m, g_s)
    return through(g_m, g_s, style, **changes)


def content_mistake(**changes):
    """A mistake in dL/dcontent alone."""
    return with_result(adain_backward, 0, lambda _, *arguments: by_content(*arguments, **changes))


def style_mistake(**changes):
    """A mistake in dL/dstyle alone."""
    return with_result(adain_backward, 1, lambda _, *arguments: by_style(*arguments, **changes))


def _spread(row):
    return row[:, np.newaxis, np.newaxis]


def draw(random, *shape):
    """Images, each channel with a mean and a contrast of its own."""
    means, contrasts = random.standard_normal((shape[0], 1, 1, shape[3])), random.uniform(0.3, 2, (shape[0], 1, 1, 1))
    return 3 * means + contrasts * random.standard_normal(shape)


def draw_moments(random, *shape):
    return (draw(random, *shape),)


def draw_moments_backward(random, *shape):
    """Upstream gradients for each channel of each image, and images."""
    return random.standard_normal(shape[::3]) + 0.5, random.standard_normal(shape[::3]), draw(random, *shape)


def draw_pair(random, *shape):
    """A content, and a style of other sides."""
    return draw(random, *shape), draw(random, shape[0], shape[1] + 1, shape[2] + 2, shape[3])


def draw_same(random, *shape):
    """A content, and a style of the same shape."""
    return draw(random, *shape), draw(random, *shape)


def draw_backward(random, *shape):
    """An upstream gradient besides."""
    return random.standard_normal(shape) + 0.5, *draw_pair(random, *shape)


def large_mean(function, random):
    """A variance that is a difference of two large numbers loses its digits."""
    x = random.standard_normal((1, 4, 5, 2))
    apart = np.abs(function(x + 1e6)[1] - moments(x)[1]).max()
    if apart < 1e-6:
        return None
    return (
        f"A million is added to all pixels and s changes by {apart:.1g}, though it should stay. The mean of x^2 minus "
        "the square of the mean is a difference of two large numbers (lesson 2): when is the mean to be subtracted?"
    )


def own_moments(function, random):
    """AdaIN with a picture's own moments leaves it as it is."""
    x = draw(random, 2, 3, 4, 2)
    apart = np.abs(function(x, x) - x).max()
    return None if apart < 1e-6 else f"A content in its own style should stay as it is; it changes by {apart:.1g}."


X, STYLE = (
    [[[[14.0], [8.0]], [[0.0], [6.0]]]],
    [[[[1.0], [3.0]]]],
)  # the lesson's: mean 7, variance 25; mean 2, variance 1
S, S_STYLE = math.sqrt(25 + EPSILON), math.sqrt(1 + EPSILON)
Z, Z_STYLE = [7 / S, 1 / S, -7 / S, -1 / S], [-1 / S_STYLE, 1 / S_STYLE]
FIRST = [[[[1.0], [0.0]], [[0.0], [0.0]]]]  # g of the lesson


def _square(numbers):
    return np.reshape(numbers, (1, 2, 2, 1))


TESTS = (
    Drawn("one image, one channel", (1, 4, 5, 1)),
    Drawn("channels", (1, 4, 5, 3)),
    Drawn("several images", (3, 5, 4, 2)),
    Drawn("float32 stays float32", (2, 4, 5, 3), dtype="float32"),
)
OWN = "Mean and deviation belong to the pixels of one channel of one image: over which axes is to be averaged?"

MOMENTS = Function(
    name="moments",
    reference=moments,
    returns=("m", "s"),
    draw=draw_moments,
    tests=(
        Worked("the lesson's four pixels", (X,), ([[7.0]], [[S]])),
        Worked("a channel of one number", (np.full((1, 2, 2, 1), 3.0),), ([[3.0]], [[EPSILON**0.5]])),
        *TESTS,
        Property("a large mean beside a small contrast", large_mean),
    ),
    mistakes={
        "moments-of-batch": Mistake(
            f"Yours are the moments of all images of the batch together. {OWN}", partial(otherwise, axes=BATCH)
        ),
        "moments-of-all-channels": Mistake(
            f"Yours are the moments of all channels of an image together. {OWN}", partial(otherwise, axes=ALL_CHANNELS)
        ),
        "unbiased-variance": Mistake(
            "m is right. In s you divide the sum of squares by M - 1. What does equation (a) divide by?",
            partial(otherwise, spared=1),
        ),
        "epsilon-missing": Mistake(
            "m is right. There is no EPSILON in your s. What is its derivative for a channel of one number?",
            partial(otherwise, deviation=np.sqrt),
        ),
        "epsilon-outside-root": Mistake(
            "m is right. Your s is the root of the variance, plus EPSILON. Where does EPSILON stand in equation (a)?",
            partial(otherwise, deviation=lambda variance: np.sqrt(variance) + EPSILON),
        ),
        "root-missing": Mistake(
            "m is right. Your s is the variance: what makes a deviation of it?",
            partial(otherwise, deviation=lambda variance: variance + EPSILON),
        ),
        "mean-kept": Mistake(
            "m is right. Your s is the root of the mean of the squares of x: what is to be subtracted before squaring?",
            with_result(moments, 1, lambda s, x: np.sqrt((x**2).mean(IMAGE) + EPSILON)),
        ),
        "order": Mistake("m and s come in the wrong order.", lambda x: moments(x)[::-1]),
    },
    hints=(
        "Take one channel of one image: which numbers belong to its mean? Those are the axes over which to average.",
        "NumPy's mean takes several axes at once, axis=(1, 2), and returns an array (N, C). To subtract it from x it "
        "needs two axes of length 1 between N and C: m[:, np.newaxis, np.newaxis].",
        "Subtract the mean first. The variance is the mean of the squares of what is left, over the same axes; then "
        "comes EPSILON, then the root.",
    ),
    read='the section "Two numbers of a channel"',
)

MOMENTS_BACKWARD = Function(
    name="moments_backward",
    reference=moments_backward,
    returns="grad_x",
    draw=draw_moments_backward,
    tests=(
        Worked("the lesson's four pixels", ([[4.0]], [[10.0]], X), _square([(4 + 10 * number) / 4 for number in Z])),
        Worked("a channel of one number", ([[4.0]], [[10.0]], np.full((1, 2, 2, 1), 3.0)), np.ones((1, 2, 2, 1))),
        *TESTS,
    ),
    mistakes={
        "mean-path-missing": Mistake(
            "The path through the mean is missing. By how much does m rise when all pixels do?",
            partial(through, mean=0),
        ),
        "deviation-path-missing": Mistake(
            "The path through the deviation is missing: grad_s has no part in your gradient.",
            partial(through, slope=lambda z, s, x: 0 * z),
        ),
        "exchanged": Mistake(
            "The two gradients are exchanged: which of them belongs to the mean?",
            lambda grad_m, grad_s, x: through(grad_s, grad_m, x),
        ),
        "gradient-of-variance": Mistake(
            "You have the derivative of the variance, 2/M (x - m). What does the root bring?",
            partial(through, slope=lambda z, s, x: 2 * s * z),
        ),
        "s-missing": Mistake(
            "The path through the deviation has x - m in it. By what is that to be divided in equation (b)?",
            partial(through, slope=lambda z, s, x: s * z),
        ),
        "s-twice": Mistake(
            "In the path through the deviation you divide by s once too often.",
            partial(through, slope=lambda z, s, x: z / s),
        ),
        "square-factor-missing": Mistake(
            "The path through the deviation is half of what it should be. The root brings a factor 1/2; what does the "
            "square bring?",
            partial(through, slope=lambda z, s, x: z / 2),
        ),
        "root-factor-missing": Mistake(
            "The path through the deviation is twice what it should be. The square brings a factor 2; what does the "
            "root bring?",
            partial(through, slope=lambda z, s, x: 2 * z),
        ),
        "not-centred": Mistake(
            "In the path through the deviation stands x / s: the mean is to be subtracted.",
            partial(through, slope=lambda z, s, x: x / s),
        ),
        "own-square-only": Mistake(
            "The path through the deviation has a factor 1 - 1/M too much. The mean is in all the squares, not in one: "
            "what do its parts add up to?",
            partial(through, slope=lambda z, s, x: z * (1 - 1 / x[0, :, :, 0].size)),
        ),
        "unbiased-variance": Mistake(
            "The path through the deviation is divided by M - 1. The variance here is divided by M.",
            partial(through, slope=lambda z, s, x: z / (1 - 1 / x[0, :, :, 0].size)),
        ),
        "not-averaged": Mistake(
            "Your gradient is M times what it should be. What is the derivative of a mean by one of its M numbers?",
            partial(through, pixels=lambda x: 1),
        ),
        "deviation-not-averaged": Mistake(
            "The path through the mean is right. The one through the deviation is M times what it should be.",
            partial(through, slope=lambda z, s, x: z * x[0, :, :, 0].size),
        ),
        "mean-not-averaged": Mistake(
            "The path through the deviation is right. The one through the mean is M times what it should be.",
            lambda grad_m, grad_s, x: through(grad_m * x[0, :, :, 0].size, grad_s, x),
        ),
        "deviation-sign": Mistake(
            "The path through the deviation has the wrong sign: does s rise or fall when a pixel above the mean rises?",
            partial(through, slope=lambda z, s, x: -z),
        ),
    },
    hints=(
        "Two paths lead from a pixel: by how much does the mean rise when the pixel does, and by how much s?",
        "By 1/M, and by z/M, where z is the pixel less the mean, divided by s. Each is multiplied by what comes from "
        "above.",
        "grad_m and grad_s are (N, C): two axes of length 1 let them meet the pixels. The sum of the two paths is "
        "divided by M, rows times columns.",
    ),
    read='the section "The derivative of a deviation"',
)

ADAIN = Function(
    name="adain",
    reference=adain,
    returns="y",
    draw=draw_pair,
    tests=(
        Worked("the lesson's content and style", (X, STYLE), _square([2 + S_STYLE * number for number in Z])),
        *TESTS,
        Drawn("content and style of one size", (2, 3, 4, 2), draw=draw_same),
        Property("a content in its own style", own_moments),
    ),
    mistakes={
        "exchanged": Mistake(
            "You give the style the moments of the content. Whose places does y have?",
            lambda content, style: coloured(style, content),
        ),
        "content-kept": Mistake(
            "Your y has the moments of the content. Whose are to be put in their place?",
            partial(coloured, scale=lambda s, s_style: s, shift=lambda m, m_style: m),
        ),
        "normalisation-missing": Mistake(
            "The moments of the style are added and multiplied, but those of the content are still there.",
            partial(coloured, z=lambda content: content),
        ),
        "not-divided": Mistake(
            "The content's mean is taken away, its deviation is not.",
            partial(coloured, z=lambda content: content - content.mean(IMAGE, keepdims=True)),
        ),
        "scale-missing": Mistake(
            "y has the style's mean, but not its deviation.", partial(coloured, scale=lambda s, s_style: 1)
        ),
        "shift-missing": Mistake(
            "y has the style's deviation, but not its mean.", partial(coloured, shift=lambda m, m_style: 0)
        ),
        "scale-and-shift-exchanged": Mistake(
            "You multiply by the style's mean and add its deviation.",
            lambda content, style: _spread(moments(style)[0]) * normalised(content) + _spread(moments(style)[1]),
        ),
        "mean-of-content": Mistake(
            "y has the style's deviation, and the content's own mean.", partial(coloured, shift=lambda m, m_style: m)
        ),
        "variance-for-deviation": Mistake(
            "You multiply by the style's variance. What makes a deviation of it?",
            partial(coloured, scale=lambda s, s_style: s_style**2),
        ),
        "first-style-for-all": Mistake(
            "Every image gets the moments of the first style. Each has a style of its own.",
            lambda content, style: coloured(content, np.repeat(style[:1], len(style), axis=0)),
        ),
    },
    hints=(
        "Two pairs of moments, each from the function above. Which pair is taken away, which is put in?",
        "Subtract the content's mean and divide by its deviation: that is z. Multiply by the style's deviation and "
        "add its mean.",
        "The moments are (N, C), and each meets an array (N, H, W, C): two axes of length 1 between N and C.",
    ),
    read='the section "Adaptive instance normalisation"',
)

ADAIN_BACKWARD = Function(
    name="adain_backward",
    reference=adain_backward,
    returns=("grad_content", "grad_style"),
    draw=draw_backward,
    derivative=Derivative(
        adain,
        operation="adain",
        of=(0, 1),
        inputs=lambda content, style: (content, style),
        arguments=lambda content, style: (content, style),
    ),
    tests=(
        Worked(
            "the lesson's content and style",
            (FIRST, X, STYLE),
            (
                _square([S_STYLE / S * (first - 1 / 4 - number * Z[0] / 4) for first, number in zip((1, 0, 0, 0), Z)]),
                np.reshape([(1 + Z[0] * number) / 2 for number in Z_STYLE], (1, 1, 2, 1)),
            ),
        ),
        *TESTS,
        Verified("the gradients, checked numerically", (2, 3, 4, 2)),
    ),
    mistakes={
        "content-moments-held-fixed": Mistake(
            "grad_style is right. In grad_content you hold the content's mean and deviation fixed. They are made of "
            "the content, too (lesson 16).",
            content_mistake(mean=0, variance=0),
        ),
        "mean-path-missing": Mistake(
            "grad_style is right. In grad_content the path through the content's mean is missing.",
            content_mistake(mean=0),
        ),
        "variance-path-missing": Mistake(
            "grad_style is right. In grad_content the path through the content's deviation is missing.",
            content_mistake(variance=0),
        ),
        "scale-missing": Mistake(
            "grad_style is right. grad_content lacks a factor: by what is z multiplied in equation (d)?",
            content_mistake(factor=lambda s, s_style: 1 / s),
        ),
        "s-missing": Mistake(
            "grad_style is right. grad_content lacks a division: how far does z move when the content moves by h?",
            content_mistake(factor=lambda s, s_style: s_style),
        ),
        "factor-upside-down": Mistake(
            "grad_style is right. In grad_content the two deviations are exchanged.",
            content_mistake(factor=lambda s, s_style: s / s_style),
        ),
        "style-missing": Mistake(
            "grad_content is right. grad_style is zero: through which two numbers does the style reach y?",
            with_result(adain_backward, 1, lambda _, grad_y, content, style: 0 * style),
        ),
        "style-mean-path-missing": Mistake(
            "grad_content is right. In grad_style the path through the style's mean is missing.",
            style_mistake(mean=0),
        ),
        "style-deviation-path-missing": Mistake(
            "grad_content is right. In grad_style the path through the style's deviation is missing.",
            style_mistake(slope=lambda z, s, x: 0 * z),
        ),
        "means-for-sums": Mistake(
            "grad_content is right. In grad_style you take means over the content's pixels where (f) has sums: all "
            "pixels of y have the same scale and shift.",
            with_result(
                adain_backward,
                1,
                lambda _, grad_y, content, style: by_style(grad_y, content, style) / content[0, :, :, 0].size,
            ),
        ),
        "content-pixels": Mistake(
            "grad_content is right. In grad_style you divide by the number of the content's pixels. Whose pixels is "
            "the style's mean a mean of?",
            with_result(
                adain_backward,
                1,
                lambda _, grad_y, content, style: (
                    by_style(grad_y, content, style) * style[0, :, :, 0].size / content[0, :, :, 0].size
                ),
            ),
        ),
        "not-averaged": Mistake(
            "grad_content is right. grad_style is not divided by M', the number of the style's pixels.",
            style_mistake(pixels=lambda x: 1),
        ),
        "not-normalised": Mistake(
            "grad_content is right. In the sum for the style's deviation stands the content as it came in. By what is "
            "s(p) multiplied in (d)?",
            style_mistake(z=lambda content: content),
        ),
        "moments-exchanged": Mistake(
            "grad_content is right. In grad_style the gradients of mean and deviation are exchanged.",
            style_mistake(gradients=lambda g_m, g_s: (g_s, g_m)),
        ),
        "order": Mistake(
            "The two gradients come in the wrong order.",
            lambda grad_y, content, style: adain_backward(grad_y, content, style)[::-1],
        ),
    },
    hints=(
        "By the content it is the gradient of lesson 16 with the style's deviation as scale. By the style there are "
        "two steps: to its two moments, then to its pixels.",
        "y = s(p) z + m(p), and all pixels have the same s(p) and m(p): what arrives on several paths is added up. The "
        "second step is the function `moments_backward`.",
        "grad_content: s(p)/s(c) times grad_y less its mean less z times the mean of grad_y z. grad_style: "
        "moments_backward of the sum of grad_y and the sum of grad_y z.",
    ),
    read='the section "Adaptive instance normalisation"',
)

EXERCISE = Exercise(
    "moments and adaptive instance normalisation, forward and backward",
    (MOMENTS, MOMENTS_BACKWARD, ADAIN, ADAIN_BACKWARD),
    answers=("scratchnst.ops.moments", "scratchnst.ops.adain"),
)
