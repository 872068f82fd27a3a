"""The exercise: instance normalisation with a scale and a shift, forward and backward."""

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
from scratchnst.ops import instance_norm

EPSILON = instance_norm.EPSILON
IMAGE, BATCH, ALL_CHANNELS, CHANNELS_FIRST = (1, 2), (0, 1, 2), (1, 2, 3), (2, 3)  # axes


def normalised(x):
    """One channel of one image at a time."""
    z, s = np.zeros(x.shape), np.zeros((len(x), 1, 1, x.shape[3]))
    for n, c in np.ndindex(len(x), x.shape[3]):
        pixels = x[n, :, :, c].ravel().tolist()
        mean = sum(pixels) / len(pixels)
        deviation = math.sqrt(sum((pixel - mean) ** 2 for pixel in pixels) / len(pixels) + EPSILON)
        z[n, :, :, c], s[n, 0, 0, c] = (x[n, :, :, c] - mean) / deviation, deviation
    return z, s


def scaled_and_shifted(x, scale, shift):
    """Equation (a), one pixel at a time."""
    return instance_norm.forward_loops(x, scale, shift)


def parameters_backward(grad_y, x):
    """Equation (b), one pixel at a time."""
    return instance_norm.backward_loops(grad_y, x, np.ones((len(x), x.shape[3])))[1:]


def input_backward(grad_y, x, scale):
    """The three paths, one pixel at a time."""
    return instance_norm.backward_loops(grad_y, x, scale)[0]


def otherwise(x, *, axes=IMAGE, spared=0, deviation=lambda variance: np.sqrt(variance + EPSILON), centre=1):
    """z and s in one line; the keyword-only arguments make mistakes of it."""
    s = deviation(x.var(axis=axes, ddof=spared, keepdims=True))
    return (x - centre * x.mean(axis=axes, keepdims=True)) / s, s


def through(grad_y, x, scale, *, mean=1.0, variance=1.0, axes=IMAGE, statistics=normalised, z=None):
    """Equation (c), with so much of the paths through mean and variance; other arguments make mistakes of it, too."""
    own, s = statistics(x)
    h, z = _spread(scale) * grad_y, own if z is None else z(x, own, s)
    means = mean * h.mean(axes, keepdims=True) + variance * z * (h * z).mean(axes, keepdims=True)
    return (h - means) / s


def same_for_all(grad_y, x, scale):
    """Equation (c) without the z in front of its last mean."""
    (z, s), h = normalised(x), _spread(scale) * grad_y
    return (h - h.mean(IMAGE, keepdims=True) - (h * z).mean(IMAGE, keepdims=True)) / s


def _spread(row):
    return row[:, np.newaxis, np.newaxis]


def draw(random, *shape):
    """Images, each channel with a mean and a contrast of its own."""
    means, contrasts = random.standard_normal((shape[0], 1, 1, shape[3])), random.uniform(0.3, 2, (shape[0], 1, 1, 1))
    return 3 * means + contrasts * random.standard_normal(shape)


def draw_forward(random, *shape):
    """Images, and a scale and a shift for each."""
    return draw(random, *shape), random.uniform(0.5, 2, shape[::3]), random.standard_normal(shape[::3])


def draw_parameters(random, *shape):
    """An upstream gradient, and images."""
    return random.standard_normal(shape) + 0.5, draw(random, *shape)


def draw_input(random, *shape):
    """A scale besides."""
    return *draw_parameters(random, *shape), random.uniform(0.5, 2, shape[::3])


def large_mean(function, random):
    """A variance that is a difference of two large numbers loses its digits."""
    x = random.standard_normal((1, 4, 5, 2))
    z, _ = function(x + 1e6)
    apart = np.abs(z - normalised(x)[0]).max()
    if apart < 1e-6:
        return None
    return (
        f"A million is added to all pixels and z changes by {apart:.1g}, though it should stay. The mean of x^2 minus "
        "the square of the mean is a difference of two large numbers (lesson 2): when is the mean to be subtracted?"
    )


SQUARE = [[[[14.0], [8.0]], [[0.0], [6.0]]]]  # the lesson's: mean 7, variance 25
S = math.sqrt(25 + EPSILON)
Z = [7 / S, 1 / S, -7 / S, -1 / S]


def _square(numbers):
    return np.reshape(numbers, (1, 2, 2, 1))


TESTS = (
    Drawn("one image, one channel", (1, 4, 5, 1)),
    Drawn("channels", (1, 4, 5, 3)),
    Drawn("several images", (3, 5, 4, 2)),
    Drawn("float32 stays float32", (2, 4, 5, 3), dtype="float32"),
)
VERIFIED = Verified("the gradient, checked numerically", (2, 3, 4, 2))
CHECK = "Print mean and variance of your z for one channel of one image: they should be 0 and 1."

NORMALISE = Function(
    name="normalise",
    reference=normalised,
    returns=("z", "s"),
    draw=draw,
    tests=(
        Worked("the lesson's four pixels", (SQUARE,), (_square(Z), _square([S] * 4)[:, :1, :1])),
        Worked(
            "a channel of one number", (np.full((1, 2, 2, 1), 3.0),), (np.zeros((1, 2, 2, 1)), [[[[EPSILON**0.5]]]])
        ),
        *TESTS,
        Property("a large mean beside a small contrast", large_mean),
    ),
    mistakes={
        "statistics-of-batch": Mistake(
            "Mean and variance are taken over all images of the batch, as in batch normalisation. Each image has its "
            "own: over which axes is to be averaged?",
            partial(otherwise, axes=BATCH),
        ),
        "statistics-of-all-channels": Mistake(
            "Mean and variance are taken over all channels of an image together. Each channel has its own: over which "
            "axes is to be averaged?",
            partial(otherwise, axes=ALL_CHANNELS),
        ),
        "statistics-of-a-pixel": Mistake(
            "Mean and variance are taken over the channels of a pixel. They belong to the pixels of a channel: over "
            "which axes is to be averaged?",
            partial(otherwise, axes=(3,)),
        ),
        "axes-of-channels-first": Mistake(
            "Mean and variance are taken over columns and channels. These would be the pixels of arrays "
            "(N, C, H, W); which axes are they here?",
            partial(otherwise, axes=CHANNELS_FIRST),
        ),
        "unbiased-variance": Mistake(
            "You divide the sum of squares by M - 1. What does the lesson's variance divide by?",
            partial(otherwise, spared=1),
        ),
        "epsilon-missing": Mistake(
            "There is no EPSILON in your s. What does it become for a channel of one number throughout?",
            partial(otherwise, deviation=np.sqrt),
        ),
        "epsilon-outside-root": Mistake(
            "Your s is the root of the variance, plus EPSILON. Where does EPSILON stand in equation (a)?",
            partial(otherwise, deviation=lambda variance: np.sqrt(variance) + EPSILON),
        ),
        "root-missing": Mistake(
            f"Your s is the variance, without a root. {CHECK}",
            partial(otherwise, deviation=lambda variance: variance + EPSILON),
        ),
        "mean-kept": Mistake(f"s is right. In z the mean is still there. {CHECK}", partial(otherwise, centre=0)),
        "variance-for-s": Mistake(
            "z is right. In place of s you return the variance.",
            with_result(normalised, 1, lambda s, x: x.var(axis=IMAGE, keepdims=True)),
        ),
        "order": Mistake("z and s come in the wrong order.", lambda x: normalised(x)[::-1]),
    },
    hints=(
        "Take one channel of one image: which numbers belong to its mean? Those are the axes over which to average.",
        "NumPy's mean takes several axes at once, axis=(1, 2), and with keepdims=True its result keeps their places, "
        "as axes of length 1, so that it can be subtracted from x.",
        "Subtract the mean first. The variance is the mean of the squares of what is left, over the same axes; then "
        "comes EPSILON, then the root.",
    ),
    read='the section "Mean 0, variance 1"',
)

FORWARD = Function(
    name="forward",
    reference=scaled_and_shifted,
    returns="y",
    draw=draw_forward,
    tests=(
        Worked("the lesson's four pixels", (SQUARE, [[10.0]], [[20.0]]), _square([20 + 10 * number for number in Z])),
        *TESTS,
    ),
    mistakes={
        "normalisation-missing": Mistake(
            "You scale and shift x as it came in. What is to be done with x first?",
            lambda x, scale, shift: _spread(scale) * x + _spread(shift),
        ),
        "shift-scaled": Mistake(
            "The shift is multiplied by the scale. Which of the two comes first in equation (a)?",
            lambda x, scale, shift: _spread(scale) * (normalised(x)[0] + _spread(shift)),
        ),
        "first-row-for-all": Mistake(
            "Every image is painted with the first image's scale and shift. Each has a row of its own.",
            lambda x, scale, shift: scale[0] * normalised(x)[0] + shift[0],
        ),
        "shift-missing": Mistake(
            "Your y is right but for the shift.", lambda x, scale, shift: _spread(scale) * normalised(x)[0]
        ),
        "scale-missing": Mistake(
            "Your y is right but for the scale.", lambda x, scale, shift: normalised(x)[0] + _spread(shift)
        ),
    },
    hints=(
        "The first step is the function that you have just written. What is left is one number times z plus another "
        "one; which numbers belong to pixel (n, p, q, c)?",
        "scale[n, c] and shift[n, c]. To multiply (N, C) with (N, H, W, C), NumPy needs two axes of length 1 between N "
        "and C.",
        "scale[:, np.newaxis, np.newaxis] has the shape (N, 1, 1, C); np.newaxis and None are the same.",
    ),
    read='the section "Scale and shift"',
)

PARAMETERS = Function(
    name="backward_parameters",
    reference=parameters_backward,
    returns=("grad_scale", "grad_shift"),
    draw=draw_parameters,
    derivative=Derivative(
        scaled_and_shifted,
        operation="instance_norm",
        of=(1, 2),
        inputs=lambda x: (x, np.ones((len(x), x.shape[3])), np.zeros((len(x), x.shape[3]))),
        arguments=lambda x, scale, shift: (x,),
    ),
    tests=(
        Worked(
            "the lesson's four pixels", ([[[[1.0], [0.0]], [[0.0], [2.0]]]], SQUARE), ([[Z[0] + 2 * Z[3]]], [[3.0]])
        ),
        *TESTS,
        VERIFIED,
    ),
    mistakes={
        "summed-over-images": Mistake(
            "You sum over the images as well. Each image has a scale and a shift of its own: which sums are left?",
            lambda grad_y, x: ((grad_y * normalised(x)[0]).sum(BATCH), grad_y.sum(BATCH)),
        ),
        "mean-over-pixels": Mistake(
            "You take means over the pixels. What does the chain rule do with several paths?",
            lambda grad_y, x: ((grad_y * normalised(x)[0]).mean(IMAGE), grad_y.mean(IMAGE)),
        ),
        "not-normalised": Mistake(
            "grad_shift is right. In grad_scale you multiply grad_y with x as it came in. By what is the scale "
            "multiplied in equation (a)?",
            with_result(parameters_backward, 0, lambda _, grad_y, x: (grad_y * x).sum(IMAGE)),
        ),
        "not-divided-by-s": Mistake(
            "grad_shift is right. In grad_scale you multiply grad_y with x - mean. By what is the scale multiplied in "
            "equation (a)?",
            with_result(
                parameters_backward, 0, lambda _, grad_y, x: (grad_y * (x - x.mean(IMAGE, keepdims=True))).sum(IMAGE)
            ),
        ),
        "order": Mistake(
            "grad_scale and grad_shift come in the wrong order.",
            lambda grad_y, x: parameters_backward(grad_y, x)[::-1],
        ),
        "upstream-ignored": Mistake(
            "This would be right if grad_y were 1 everywhere: which of the arguments have you not used?",
            lambda grad_y, x: parameters_backward(np.ones_like(grad_y), x),
        ),
    },
    hints=(
        "y = scale z + shift. By how much does one y move when the scale moves by h, and when the shift does?",
        "By z h, and by h. All pixels of a channel of an image have the same scale; what arrives on several paths is "
        "added up.",
        "Both are sums over rows and columns of each image. What stands in the sum for the scale that is not in the "
        "sum for the shift?",
    ),
    read='the section "Scale and shift"',
)

INPUT = Function(
    name="backward_input",
    reference=input_backward,
    returns="grad_x",
    draw=draw_input,
    derivative=Derivative(
        scaled_and_shifted,
        operation="instance_norm",
        inputs=lambda x, scale: (x, scale, np.zeros_like(scale)),
        arguments=lambda x, scale, shift: (x, scale),
    ),
    tests=(
        Worked(
            "the lesson's four pixels",
            ([[[[1.0], [0.0]], [[0.0], [0.0]]]], SQUARE, [[10.0]]),
            _square([10 / S * (first - 1 / 4 - number * Z[0] / 4) for first, number in zip((1, 0, 0, 0), Z)]),
        ),
        *TESTS,
        VERIFIED,
    ),
    mistakes={
        "statistics-held-fixed": Mistake(
            "You have one of the three paths: from a pixel to its own z. Mean and variance are made of x, too.",
            partial(through, mean=0, variance=0),
        ),
        "mean-path-missing": Mistake(
            "The path through the mean is missing. Add up your gradient over the pixels of a channel: what should it "
            "be?",
            partial(through, mean=0),
        ),
        "variance-path-missing": Mistake(
            "The path through the variance is missing. Multiply your gradient with z and add it up over the pixels of "
            "a channel: what should it be?",
            partial(through, variance=0),
        ),
        "mean-path-sign": Mistake(
            "The path through the mean has the wrong sign: does z rise or fall when the mean rises?",
            partial(through, mean=-1),
        ),
        "variance-path-sign": Mistake(
            "The path through the variance has the wrong sign: does |z| rise or fall when the variance rises?",
            partial(through, variance=-1),
        ),
        "both-path-sign": Mistake(
            "The paths through mean and variance have the wrong sign: does z rise or fall when the mean rises?",
            partial(through, mean=-1, variance=-1),
        ),
        "variance-path-half": Mistake(
            "The path through the variance is half of what it should be. The root brings a factor 1/2; what does the "
            "square in the variance bring?",
            partial(through, variance=1 / 2),
        ),
        "variance-path-double": Mistake(
            "The path through the variance is twice what it should be. The square brings a factor 2; what does the "
            "root bring?",
            partial(through, variance=2),
        ),
        "z-of-variance-path-missing": Mistake(
            "In the path through the variance you subtract the same number from all pixels. By how much the variance "
            "moves depends on the pixel: on what of it?",
            same_for_all,
        ),
        "scale-missing": Mistake(
            "Your gradient has no scale in it. Between y and z there is one more step of the chain rule.",
            lambda grad_y, x, scale: through(grad_y, x, np.ones_like(scale)),
        ),
        "s-missing": Mistake(
            "Your gradient is right but for the division by s. How far does z move when a pixel moves by h?",
            lambda grad_y, x, scale: through(grad_y, x, scale) * normalised(x)[1],
        ),
        "s-twice": Mistake(
            "You divide by s once too often, by the variance. How far does z move when a pixel moves by h?",
            lambda grad_y, x, scale: through(grad_y, x, scale) / normalised(x)[1],
        ),
        "sums-not-averaged": Mistake(
            "You have sums over the pixels where equation (c) has means. What is the derivative of a mean by one of "
            "its M numbers?",
            lambda grad_y, x, scale: through(grad_y, x, scale, mean=x[0, ..., 0].size, variance=x[0, ..., 0].size),
        ),
        "mean-path-not-averaged": Mistake(
            "In the path through the mean you have a sum over the pixels. What is the derivative of a mean by one of "
            "its M numbers?",
            lambda grad_y, x, scale: through(grad_y, x, scale, mean=x[0, ..., 0].size),
        ),
        "variance-path-not-averaged": Mistake(
            "In the path through the variance you have a sum over the pixels. The variance is a mean: what is its "
            "derivative by one of the M pixels?",
            lambda grad_y, x, scale: through(grad_y, x, scale, variance=x[0, ..., 0].size),
        ),
        "variance-path-times-s": Mistake(
            "The path through the variance is s times what it should be. Which power of v + EPSILON has the derivative "
            "of z by v?",
            lambda grad_y, x, scale: through(grad_y, x, scale, variance=normalised(x)[1]),
        ),
        "scale-of-means-missing": Mistake(
            "The first term in the bracket is right. The two means are those of grad_y: what comes back to z?",
            lambda grad_y, x, scale: through(grad_y, x, scale, mean=1 / _spread(scale), variance=1 / _spread(scale)),
        ),
        "s-of-means-missing": Mistake(
            "The path through x itself is right. The other two are not divided by s: how far does z move when the mean "
            "moves by h?",
            lambda grad_y, x, scale: through(grad_y, x, scale, mean=normalised(x)[1], variance=normalised(x)[1]),
        ),
        "not-normalised": Mistake(
            "In the path through the variance stands x where z should.",
            partial(through, z=lambda x, z, s: x),
        ),
        "not-divided-by-s": Mistake(
            "In the path through the variance stands x - mean where z should.",
            partial(through, z=lambda x, z, s: z * s),
        ),
        "statistics-of-batch": Mistake(
            "Your gradient is that of batch normalisation: mean and variance, and the means in equation (c), are over "
            "all images.",
            partial(through, axes=BATCH, statistics=partial(otherwise, axes=BATCH)),
        ),
        "means-over-batch": Mistake(
            "z and s are right. The two means in equation (c) are over all images; over which pixels do they run?",
            partial(through, axes=BATCH),
        ),
        "means-over-channels": Mistake(
            "z and s are right. The two means in equation (c) are over all channels; over which numbers do they run?",
            partial(through, axes=ALL_CHANNELS),
        ),
    },
    hints=(
        "Begin with dL/dz: one factor more than dL/dy. Then draw the three arrows that lead from a pixel to the z: "
        "which of them lead to all z of the channel?",
        "Equation (c) has a mean of dL/dz, and a mean of dL/dz times z, each over the pixels of one channel of one "
        "image. keepdims=True keeps them in a shape that can be subtracted.",
        "Three terms in a bracket, and a division by s of the whole. The second is the same for all pixels; the third "
        "is a number times z. Both are subtracted.",
    ),
    read='the section "Three paths"',
)

EXERCISE = Exercise(
    "instance normalisation, forward and backward",
    (NORMALISE, FORWARD, PARAMETERS, INPUT),
    answers=("scratchnst.ops.instance_norm",),
)
