"""The exercise: the moments of a channel and adaptive instance normalisation, forward and backward."""

from __future__ import annotations

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
from scratchnst.ops import adain as operation
from scratchnst.ops import moments as operation_of_moments
from scratchnst.ops.instance_norm import EPSILON

IMAGE, BATCH, ALL_CHANNELS = (1, 2), (0, 1, 2), (1, 2, 3)  # axes


def both_moments(x):
    """Equation (a), one pixel at a time."""
    return operation_of_moments.forward_loops(x)


def both_moments_backward(grad_y, x):
    """Every path from the moments to the pixels, one pixel at a time."""
    return operation_of_moments.backward_loops(grad_y, x)


def adapted(content, style):
    """Equation (d), one pixel at a time."""
    return operation.forward_loops(content, style)


def adapted_backward(grad_y, content, style):
    """Equations (e) and (f), then (c), one pixel at a time."""
    return operation.backward_loops(grad_y, content, style)


def otherwise(x, *, axes=IMAGE, spared=0, root=lambda variance: np.sqrt(variance + EPSILON)):
    """The moments in one line; the keyword-only arguments make mistakes of it."""
    mean, deviation = x.mean(axes, keepdims=True), root(x.var(axes, ddof=spared, keepdims=True))
    return np.stack([np.broadcast_to(each, (len(x), 1, 1, x.shape[3]))[:, 0, 0] for each in (mean, deviation)], axis=1)


def about(x, centre, square=np.square, mean=None):
    """The moments with the deviation from another centre, and perhaps another mean."""
    squares = square(x - centre)
    return np.stack([x.mean(IMAGE) if mean is None else mean, np.sqrt(squares.mean(IMAGE) + EPSILON)], axis=1)


def statistics(x):
    """z and s, (N, H, W, C) and (N, 1, 1, C)."""
    s = np.sqrt(x.var(IMAGE, keepdims=True) + EPSILON)
    return (x - x.mean(IMAGE, keepdims=True)) / s, s


def of_moments(grad_y, x, *, mean=1.0, deviation=1.0, slope=lambda z, s, x: z, pixels=lambda x: x[0, :, :, 0].size):
    """Equation (c), with so much of each path; other arguments make mistakes of it, too."""
    z, s = statistics(x)
    parts = mean * grad_y[:, 0, None, None] + deviation * slope(z, s, x) * grad_y[:, 1, None, None]
    return parts / pixels(x)


def of_content(grad_y, content, style, *, mean=1.0, deviation=1.0, scale=None, z_in_front=True, power=1):
    """Equation (e), with so much of the paths through mean and deviation; other arguments make mistakes of it, too."""
    (z, s), a = statistics(content), statistics(style)[1] if scale is None else scale(content, style)
    h = a * grad_y
    means = mean * h.mean(IMAGE, keepdims=True)
    means = means + deviation * (z if z_in_front else 1) * (h * z).mean(IMAGE, keepdims=True)
    return (h - means) / s**power


def of_style(grad_y, content, style, *, mean=1.0, deviation=1.0, times=lambda z, s, content, style: z, upstream=None):
    """Equations (f) and (c), with so much of each path; other arguments make mistakes of it, too."""
    array = times(*statistics(content), content, style)
    gradients = np.stack([mean * grad_y.sum(IMAGE), deviation * (grad_y * array).sum(IMAGE)], axis=1)
    return of_moments(gradients if upstream is None else upstream(gradients), style)


def in_content(**changes):
    """A mistake in dL/dcontent alone."""
    return with_result(adapted_backward, 0, lambda _, *arguments: of_content(*arguments, **changes))


def in_style(**changes):
    """A mistake in dL/dstyle alone."""
    return with_result(adapted_backward, 1, lambda _, *arguments: of_style(*arguments, **changes))


def _pixels(x):
    return x[0, :, :, 0].size


def _moments_of(style):
    """Mean and deviation, (N, 1, 1, C) each."""
    return both_moments(style).swapaxes(0, 1)[:, :, None, None]


def draw(random, *shape):
    """Images, each channel with a mean and a deviation of its own."""
    means, deviations = random.standard_normal((shape[0], 1, 1, shape[3])), random.uniform(0.3, 2, (shape[0], 1, 1, 1))
    return (3 * means + deviations * random.standard_normal(shape),)


def draw_backward(random, *shape):
    """Gradients of the moments, and images."""
    return random.standard_normal((shape[0], 2, shape[3])) + 0.5, *draw(random, *shape)


def draw_pair(random, images, height, width, style_height, style_width, channels):
    """Contents and styles."""
    (content,), (style,) = (
        draw(random, images, height, width, channels),
        draw(random, images, style_height, style_width, channels),
    )
    return content, style


def draw_pair_backward(random, *size):
    """An upstream gradient besides."""
    content, style = draw_pair(random, *size)
    return random.standard_normal(content.shape) + 0.5, content, style


def large_mean(function, random):
    """A variance that is a difference of two large numbers loses its digits."""
    x = random.standard_normal((1, 4, 5, 2))
    apart = np.abs(function(x + 1e6) - both_moments(x))[:, 1].max()
    if apart < 1e-6:
        return None
    return (
        f"A million is added to all pixels and the deviation changes by {apart:.1g}, though it should stay. The mean "
        "of x^2 minus the square of the mean is a difference of two large numbers (lesson 2): when is the mean to be "
        "subtracted?"
    )


FOUR, TWO = [[[[14.0], [8.0]], [[0.0], [6.0]]]], [[[[10.0], [30.0]]]]  # the lesson's: means 7, 20; variances 25, 100
S, S_STYLE = np.sqrt(25 + EPSILON), np.sqrt(100 + EPSILON)
Z, Z_STYLE = np.array([7, 1, -7, -1]) / S, np.array([-10, 10]) / S_STYLE
FLAT = np.full((1, 2, 2, 1), 3.0)


def _square(numbers):
    return np.reshape(numbers, (1, 2, 2, 1))


TESTS = (
    Drawn("one image, one channel", (1, 4, 5, 1)),
    Drawn("channels", (1, 4, 5, 3)),
    Drawn("several images", (3, 5, 4, 2)),
    Drawn("float32 stays float32", (2, 4, 5, 3), dtype="float32"),
)
PAIRS = (
    Drawn("as many pixels in content and style", (1, 4, 5, 4, 5, 1)),
    Drawn("a style of another size, and channels", (1, 4, 5, 3, 2, 3)),
    Drawn("several images, each with its own style", (3, 5, 4, 2, 4, 2)),
    Drawn("float32 stays float32", (2, 4, 5, 3, 3, 3), dtype="float32"),
)
AXES = "Each channel of each image has its own: over which axes is to be averaged?"

MOMENTS = Function(
    name="moments",
    reference=both_moments,
    returns="y",
    draw=draw,
    tests=(
        Worked("the lesson's four pixels", (FOUR,), [[[7.0], [S]]]),
        Worked("a channel of one number", (FLAT,), [[[3.0], [EPSILON**0.5]]]),
        *TESTS,
        Property("a large mean beside a small deviation", large_mean),
    ),
    mistakes={
        "statistics-of-batch": Mistake(
            f"Mean and deviation are taken over all images of the batch. {AXES}", partial(otherwise, axes=BATCH)
        ),
        "statistics-of-all-channels": Mistake(
            f"Mean and deviation are taken over all channels of an image together. {AXES}",
            partial(otherwise, axes=ALL_CHANNELS),
        ),
        "statistics-of-a-pixel": Mistake(
            "Mean and deviation are taken over the channels of each pixel. They belong to the pixels of a channel: "
            "over which axes is to be averaged?",
            lambda x: np.stack([x.mean(3), np.sqrt(x.var(3) + EPSILON)], axis=1),
        ),
        "unbiased-variance": Mistake(
            "You divide the sum of squares by M - 1. What does the lesson's variance divide by?",
            partial(otherwise, spared=1),
        ),
        "epsilon-missing": Mistake(
            "There is no EPSILON in your deviation. What is its slope for a channel of one number throughout?",
            partial(otherwise, root=np.sqrt),
        ),
        "epsilon-outside-root": Mistake(
            "Your deviation is the root of the variance, plus EPSILON. Where does EPSILON stand in equation (a)?",
            partial(otherwise, root=lambda variance: np.sqrt(variance) + EPSILON),
        ),
        "root-missing": Mistake(
            "In place of the deviation you return the variance. Which of the two is measured in the units of x?",
            partial(otherwise, root=lambda variance: variance + EPSILON),
        ),
        "variance-without-epsilon": Mistake(
            "In place of the deviation you return the variance, and without EPSILON. Which of the two is measured in "
            "the units of x?",
            partial(otherwise, root=lambda variance: variance),
        ),
        "not-centred": Mistake(
            "The means are right. The deviation is measured from 0: what is to be subtracted before you square?",
            lambda x: about(x, 0),
        ),
        "mean-distance": Mistake(
            "The means are right. In place of the deviation you return the mean of the absolute differences. Equation "
            "(a) has squares and a root.",
            lambda x: np.stack([x.mean(IMAGE), np.abs(x - x.mean(IMAGE, keepdims=True)).mean(IMAGE)], axis=1),
        ),
        "mean-not-averaged": Mistake(
            "The deviations are right. In place of the means you return sums over the pixels.",
            lambda x: about(x, x.mean(IMAGE, keepdims=True), mean=x.sum(IMAGE)),
        ),
        "sum-throughout": Mistake(
            "In place of the mean you have a sum over the pixels, in the result and in the deviation.",
            lambda x: about(x, x.sum(IMAGE, keepdims=True), mean=x.sum(IMAGE)),
        ),
        "squares-not-averaged": Mistake(
            "The means are right. In the variance you have the sum of the squares, not their mean.",
            lambda x: about(x, x.mean(IMAGE, keepdims=True), lambda d: _pixels(d) * d**2),
        ),
        "order": Mistake(
            "Means and deviations come in the wrong order: the means are first.", lambda x: both_moments(x)[:, ::-1]
        ),
    },
    hints=(
        "Take one channel of one image: which numbers belong to its mean? Those are the axes over which to average.",
        "NumPy's mean takes several axes at once, axis=(1, 2). What comes out has the shape (N, C); to subtract it "
        "from x it needs two axes of length 1, as in mean[:, None, None].",
        "Subtract, square, average over the same axes, add EPSILON, take the root. np.stack puts two arrays (N, C) "
        "into one; along which axis do they become (N, 2, C)?",
    ),
    read='the section "Two numbers of a channel"',
)

MOMENTS_BACKWARD = Function(
    name="moments_backward",
    reference=both_moments_backward,
    returns="grad_x",
    draw=draw_backward,
    derivative=Derivative(both_moments, operation="moments"),
    tests=(
        Worked("the lesson's four pixels, the deviation alone", ([[[0.0], [1.0]]], FOUR), _square(Z / 4)),
        Worked("the mean alone", ([[[1.0], [0.0]]], FOUR), _square([0.25] * 4)),
        Worked("a channel of one number", ([[[4.0], [1.0]]], FLAT), _square([1.0] * 4)),
        *TESTS,
        Verified("the gradient, checked numerically", (2, 3, 4, 2)),
    ),
    mistakes={
        "mean-path-missing": Mistake(
            "The path through the mean is missing: grad_y has a gradient for it, too.", partial(of_moments, mean=0)
        ),
        "deviation-path-missing": Mistake(
            "The path through the deviation is missing: grad_y has a gradient for it, too.",
            partial(of_moments, deviation=0),
        ),
        "mean-path-sign": Mistake(
            "The path through the mean has the wrong sign: does the mean rise or fall when a pixel rises?",
            partial(of_moments, mean=-1),
        ),
        "deviation-path-sign": Mistake(
            "The path through the deviation has the wrong sign: does the deviation rise or fall when a pixel above the "
            "mean rises?",
            partial(of_moments, deviation=-1),
        ),
        "mean-path-not-averaged": Mistake(
            "In the path through the mean the division by M is missing: what is the derivative of a mean by one of its "
            "M numbers?",
            lambda grad_y, x: of_moments(grad_y, x, mean=_pixels(x)),
        ),
        "deviation-path-not-averaged": Mistake(
            "In the path through the deviation the division by M is missing: the variance is a mean of M squares.",
            lambda grad_y, x: of_moments(grad_y, x, deviation=_pixels(x)),
        ),
        "sums-not-averaged": Mistake(
            "Your gradient is M times what it should be: what is the derivative of a mean by one of its M numbers?",
            partial(of_moments, pixels=lambda x: 1),
        ),
        "rows-for-pixels": Mistake(
            "You divide by the number of rows. M counts all pixels of a channel.",
            partial(of_moments, pixels=lambda x: x.shape[1]),
        ),
        "channels-counted": Mistake(
            "You divide by all numbers of an image. M counts the pixels of one channel.",
            partial(of_moments, pixels=lambda x: x[0].size),
        ),
        "images-counted": Mistake(
            "You divide by the pixels of all images. M counts those of one.",
            partial(of_moments, pixels=lambda x: x[..., 0].size),
        ),
        "moments-exchanged": Mistake(
            "The gradients of mean and deviation are exchanged: which comes first in grad_y?",
            lambda grad_y, x: of_moments(grad_y[:, ::-1], x),
        ),
        "gradient-of-variance": Mistake(
            "This is the gradient of mean and variance. From the variance to the deviation there is one more step, the "
            "root's.",
            partial(of_moments, slope=lambda z, s, x: 2 * z * s),
        ),
        "s-missing": Mistake(
            "In the path through the deviation stands x - mean where z should. What is the derivative of a root?",
            partial(of_moments, slope=lambda z, s, x: z * s),
        ),
        "s-twice": Mistake(
            "In the path through the deviation you divide by s once too often.",
            partial(of_moments, slope=lambda z, s, x: z / s),
        ),
        "square-factor-missing": Mistake(
            "The path through the deviation is half of what it should be. The root brings a factor 1/2; what does the "
            "square bring?",
            partial(of_moments, deviation=1 / 2),
        ),
        "root-factor-missing": Mistake(
            "The path through the deviation is twice what it should be. The square brings a factor 2; what does the "
            "root bring?",
            partial(of_moments, deviation=2),
        ),
        "not-centred": Mistake(
            "In the path through the deviation stands x / s where z should: the mean is not subtracted.",
            partial(of_moments, slope=lambda z, s, x: x / s),
        ),
        "not-normalised": Mistake(
            "In the path through the deviation stands x where z should.", partial(of_moments, slope=lambda z, s, x: x)
        ),
        "own-square-only": Mistake(
            "The path through the deviation has a factor 1 - 1/M too much. A pixel moves the mean; in which of the "
            "squares is the mean?",
            lambda grad_y, x: of_moments(grad_y, x, deviation=1 - 1 / _pixels(x)),
        ),
        "unbiased-variance": Mistake(
            "Your z has M - 1 in its deviation. What does the lesson's variance divide by?",
            partial(of_moments, slope=lambda z, s, x: z * s / np.sqrt(x.var(IMAGE, ddof=1, keepdims=True) + EPSILON)),
        ),
        "epsilon-missing": Mistake(
            "There is no EPSILON in your deviation: a channel of one number throughout gets 0/0.",
            partial(of_moments, slope=lambda z, s, x: z * s / x.std(IMAGE, keepdims=True)),
        ),
        "upstream-ignored": Mistake(
            "This would be right if grad_y were 1 everywhere: which of the arguments have you not used?",
            lambda grad_y, x: of_moments(np.ones_like(grad_y), x),
        ),
    },
    hints=(
        "A pixel reaches the loss on two ways, through the mean and through the deviation. Each has its gradient in "
        "grad_y, and paths add.",
        "All pixels have the same part in the mean. In the deviation a pixel has the more part the farther it is from "
        "the mean; the 2 of the square and the 1/2 of the root cancel.",
        "Equation (c): a constant plus a multiple of z, and a division by the number of pixels. The two gradients need "
        "the shape (N, 1, 1, C).",
    ),
    read='the section "The slope of a deviation"',
)

ADAIN = Function(
    name="adain",
    reference=adapted,
    returns="y",
    draw=draw_pair,
    tests=(
        Worked("the lesson's four pixels and two", (FOUR, TWO), _square(20 + S_STYLE * Z)),
        Worked("a content of one number", (FLAT, TWO), _square([20.0] * 4)),
        *PAIRS,
    ),
    mistakes={
        "normalisation-missing": Mistake(
            "You scale and shift the content as it came in. What is to be done with it first?",
            lambda content, style: _moments_of(style)[1] * content + _moments_of(style)[0],
        ),
        "mean-kept": Mistake(
            "The content's mean is still in your z: y should have the style's mean.",
            lambda content, style: _moments_of(style)[1] * content / statistics(content)[1] + _moments_of(style)[0],
        ),
        "deviation-kept": Mistake(
            "The content's deviation is still in your z: y should have the style's deviation.",
            lambda content, style: (
                adapted(content, style) * statistics(content)[1] + _moments_of(style)[0] * (1 - statistics(content)[1])
            ),
        ),
        "moments-exchanged": Mistake(
            "The style's mean scales and its deviation shifts. Which is which in equation (d)?",
            lambda content, style: _moments_of(style)[0] * statistics(content)[0] + _moments_of(style)[1],
        ),
        "shift-missing": Mistake(
            "Your y is right but for the shift: its mean is 0.",
            lambda content, style: adapted(content, style) - _moments_of(style)[0],
        ),
        "scale-missing": Mistake(
            "Your y is right but for the scale: its deviation is 1.",
            lambda content, style: statistics(content)[0] + _moments_of(style)[0],
        ),
        "shift-scaled": Mistake(
            "The style's mean is multiplied by its deviation. Which of the two comes first in equation (d)?",
            lambda content, style: _moments_of(style)[1] * (statistics(content)[0] + _moments_of(style)[0]),
        ),
        "variance-for-deviation": Mistake(
            "You scale by the style's variance. What is the deviation of y then?",
            lambda content, style: _moments_of(style)[1] ** 2 * statistics(content)[0] + _moments_of(style)[0],
        ),
        "deviations-exchanged": Mistake(
            "You multiply by the content's deviation and divide by the style's. Which of them is y to have?",
            lambda content, style: (
                statistics(content)[1] ** 2 / _moments_of(style)[1] * statistics(content)[0] + _moments_of(style)[0]
            ),
        ),
        "content-unchanged": Mistake(
            "The content comes back as it was: you have given it its own moments.",
            lambda content, style: adapted(content, content),
        ),
        "content-and-style-exchanged": Mistake(
            "You give the style the content's moments. Which of the two is to be changed?",
            lambda content, style: adapted(style, content),
        ),
        "content-mean-as-shift": Mistake(
            "The deviation of y is the style's, but its mean is the content's.",
            lambda content, style: _moments_of(style)[1] * statistics(content)[0] + content.mean(IMAGE, keepdims=True),
        ),
        "first-style-for-all": Mistake(
            "Every image gets the first style's moments. Each has a style of its own.",
            lambda content, style: _moments_of(style)[1][:1] * statistics(content)[0] + _moments_of(style)[0][:1],
        ),
    },
    hints=(
        "Two steps: take the content's moments out, put the style's in. The first one is what lesson 16 called z.",
        "z is the content less its mean, divided by its deviation. Both come from your own `moments`, in the shape "
        "(N, 2, C); they need (N, 1, 1, C).",
        "What multiplies z becomes the deviation of y, what is added to it becomes its mean.",
    ),
    read='the section "AdaIN"',
)

ADAIN_BACKWARD = Function(
    name="adain_backward",
    reference=adapted_backward,
    returns=("grad_content", "grad_style"),
    draw=draw_pair_backward,
    derivative=Derivative(adapted, operation="adain", of=(0, 1)),
    tests=(
        Worked(
            "the lesson's four pixels and two",
            ([[[[1.0], [0.0]], [[0.0], [0.0]]]], FOUR, TWO),
            (
                _square(S_STYLE / S * (np.array([1, 0, 0, 0]) - 1 / 4 - Z * Z[0] / 4)),
                np.reshape((1 + Z[0] * Z_STYLE) / 2, (1, 1, 2, 1)),
            ),
        ),
        *PAIRS,
        Verified("the gradients, checked numerically", (2, 3, 4, 2, 3, 2)),
    ),
    mistakes={
        "statistics-held-fixed": Mistake(
            "grad_style is right. In grad_content you have one of three paths: the content's mean and deviation are "
            "made of the content, too.",
            in_content(mean=0, deviation=0),
        ),
        "mean-path-missing": Mistake(
            "grad_style is right. In grad_content the path through the content's mean is missing. Add it up over the "
            "pixels of a channel: what should the sum be?",
            in_content(mean=0),
        ),
        "deviation-path-missing": Mistake(
            "grad_style is right. In grad_content the path through the content's deviation is missing. Multiply it "
            "with z and add it up: what should the sum be?",
            in_content(deviation=0),
        ),
        "mean-path-sign": Mistake(
            "In grad_content the path through the mean has the wrong sign: does z rise or fall when the mean rises?",
            in_content(mean=-1),
        ),
        "deviation-path-sign": Mistake(
            "In grad_content the path through the deviation has the wrong sign: does |z| rise or fall when the "
            "deviation rises?",
            in_content(deviation=-1),
        ),
        "sums-not-averaged": Mistake(
            "In grad_content you have sums over the pixels where equation (e) has means.",
            with_result(
                adapted_backward,
                0,
                lambda _, g, content, style: of_content(
                    g, content, style, mean=_pixels(content), deviation=_pixels(content)
                ),
            ),
        ),
        "z-missing": Mistake(
            "In grad_content's path through the deviation you subtract the same number from all pixels. By how much "
            "the deviation moves depends on the pixel: on what of it?",
            in_content(z_in_front=False),
        ),
        "scale-missing": Mistake(
            "grad_style is right. In grad_content there is no scale. Between y and z there is one more step of the "
            "chain rule.",
            in_content(scale=lambda content, style: 1),
        ),
        "mean-for-deviation": Mistake(
            "grad_style is right. In grad_content the style's mean is the scale. By what is z multiplied?",
            in_content(scale=lambda content, style: _moments_of(style)[0]),
        ),
        "deviations-cancelled": Mistake(
            "grad_style is right. In grad_content one deviation is both scale and divisor: one is the style's and one "
            "the content's.",
            in_content(scale=lambda content, style: statistics(content)[1]),
        ),
        "s-missing": Mistake(
            "grad_style is right. grad_content is right but for the division by the content's deviation.",
            in_content(power=0),
        ),
        "s-twice": Mistake(
            "grad_style is right. In grad_content you divide by the content's deviation once too often.",
            in_content(power=2),
        ),
        "style-missing": Mistake(
            "grad_content is right. The style is an input, too: it reaches y through its mean and its deviation.",
            in_style(mean=0, deviation=0),
        ),
        "style-sums-averaged": Mistake(
            "grad_content is right. For the style's moments you take means over the content's pixels. All of these "
            "share the moments: what does the chain rule do with several paths?",
            with_result(adapted_backward, 1, lambda right, g, content, style: right / _pixels(content)),
        ),
        "style-not-normalised": Mistake(
            "grad_content is right. For the style's deviation you multiply grad_y with the content as it came in. By "
            "what is the deviation multiplied in equation (d)?",
            in_style(times=lambda z, s, content, style: content),
        ),
        "style-not-divided-by-s": Mistake(
            "grad_content is right. For the style's deviation you multiply grad_y with the content less its mean. By "
            "what is the deviation multiplied in equation (d)?",
            in_style(times=lambda z, s, content, style: z * s),
        ),
        "output-for-normalised": Mistake(
            "grad_content is right. For the style's deviation you multiply grad_y with y. By what is the deviation "
            "multiplied in equation (d)?",
            in_style(times=lambda z, s, content, style: adapted(content, style)),
        ),
        "style-for-content": Mistake(
            "grad_content is right. For the style's deviation you multiply grad_y with the style's z. Whose z is "
            "multiplied by the deviation in equation (d)?",
            in_style(times=lambda z, s, content, style: statistics(style)[0]),
        ),
        "style-moments-exchanged": Mistake(
            "grad_content is right. The gradients of the style's two moments are exchanged: the mean's comes first.",
            in_style(upstream=lambda gradients: gradients[:, ::-1]),
        ),
        "scale-in-sums": Mistake(
            "grad_content is right. The gradients of the style's moments have the style's deviation as a factor. It "
            "belongs to the way from y to z, and they do not go that way.",
            with_result(adapted_backward, 1, lambda right, g, content, style: right * _moments_of(style)[1]),
        ),
        "style-mean-missing": Mistake(
            "grad_content is right. In grad_style the path through the style's mean is missing.", in_style(mean=0)
        ),
        "style-deviation-missing": Mistake(
            "grad_content is right. In grad_style the path through the style's deviation is missing.",
            in_style(deviation=0),
        ),
        "content-pixels": Mistake(
            "grad_content is right. grad_style is divided by the number of the content's pixels: whose mean is it?",
            with_result(
                adapted_backward, 1, lambda right, g, content, style: right * _pixels(style) / _pixels(content)
            ),
        ),
        "summed-over-images": Mistake(
            "grad_content is right. You sum the gradients of the style's moments over the images. Each has a style of "
            "its own.",
            in_style(upstream=lambda gradients: np.broadcast_to(gradients.sum(0, keepdims=True), gradients.shape)),
        ),
        "order": Mistake(
            "grad_content and grad_style come in the wrong order.",
            lambda grad_y, content, style: adapted_backward(grad_y, content, style)[::-1],
        ),
    },
    hints=(
        "For the content the style's moments are two constants, a scale and a shift: then it is the backward of lesson "
        "16. For the style the content's z is a constant.",
        "Equation (e) has a mean of h and a mean of h z over the content's pixels, with h the scale times grad_y. "
        "Equation (f) has sums of grad_y and of grad_y z over the same pixels.",
        "The two sums are gradients of moments, and you have written the function that takes these to pixels. It wants "
        "them in one array (N, 2, C).",
    ),
    read='the section "The gradient of AdaIN"',
)

EXERCISE = Exercise(
    "moments and AdaIN, forward and backward",
    (MOMENTS, MOMENTS_BACKWARD, ADAIN, ADAIN_BACKWARD),
    answers=("scratchnst.ops.moments", "scratchnst.ops.adain"),
)
