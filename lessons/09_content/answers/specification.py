"""The exercise: equation 1 of what enters a ReLU, and equation 2."""

from __future__ import annotations

import numpy as np

from scratchnst.classroom.grader import Derivative, Drawn, Exercise, Function, Mistake, Verified, Worked


def forward(z, P):
    """Equation 1, one unit at a time."""
    return sum(0.5 * (max(a, 0.0) - b) ** 2 for a, b in zip(z.ravel(), P.ravel()))


def backward(grad_y, z, P):
    """Equation 2, one unit at a time."""
    slopes = [a - b if a > 0 else 0.0 for a, b in zip(z.ravel(), P.ravel())]
    return grad_y * np.array(slopes).reshape(z.shape)


def draw_forward(random, *shape):
    """What enters a ReLU, and features, of which some are 0 as behind a ReLU."""
    return random.standard_normal(shape), np.maximum(random.standard_normal(shape) + 0.5, 0)


def draw_backward(random, *shape):
    """A weight besides, and some units on the kink."""
    z, P = draw_forward(random, *shape)
    z.flat[:2] = 0
    return float(random.uniform(0.5, 3)), z, P


def draw_off_the_kink(random, *shape):
    """For finite differences, which a kink disturbs."""
    return float(random.uniform(0.5, 3)), *draw_forward(random, *shape)


def _relu(z):
    return np.maximum(z, 0)


def _halved(difference):
    return 0.5 * np.sum(difference**2)


FORWARD = Function(
    name="content_forward",
    reference=forward,
    returns="loss",
    draw=draw_forward,
    tests=(
        Worked("the lesson's four units", ([[1.0, -5.0], [2.0, 3.0]], [[1.0, 2.0], [0.0, 1.0]]), 6.0),
        Worked("features that match, though z does not", ([[-3.0, 2.0]], [[0.0, 2.0]]), 0.0),
        Drawn("one image", (1, 4, 4, 2)),
        Drawn("several images of odd size", (3, 5, 7, 2)),
    ),
    mistakes={
        "relu-missing": Mistake(
            "You compare z itself with P. Equation 1 compares features: what stands between z and F?",
            lambda z, P: _halved(z - P),
        ),
        "half-missing": Mistake(
            "It is twice as large as it should be: read equation 1 once more, from its beginning.",
            lambda z, P: 2 * _halved(_relu(z) - P),
        ),
        "mean-for-sum": Mistake(
            "It looks like a mean. Equation 1 adds the squares up, and divides by no number of units.",
            lambda z, P: _halved(_relu(z) - P) / z.size,
        ),
        "mean-of-squares": Mistake(
            "It looks like a mean of squares without the half. What does equation 1 do in place of a mean?",
            lambda z, P: 2 * _halved(_relu(z) - P) / z.size,
        ),
        "root": Mistake(
            "It looks like a length: a root of a sum of squares. Is there a root in equation 1?",
            lambda z, P: np.sqrt(np.sum((_relu(z) - P) ** 2)),
        ),
        "absolute-values": Mistake(
            "You add up how far features are off, not the squares of that.",
            lambda z, P: 0.5 * np.sum(np.abs(_relu(z) - P)),
        ),
    },
    hints=(
        "Two things happen to z before it is compared with P: which operation makes features of it?",
        "Make F of z. Then follow equation 1 from the inside: difference, square, sum over everything, half.",
        "np.sum without an axis adds up all elements of an array, whatever its shape.",
    ),
    read='the section "Equation 1"',
)

BACKWARD = Function(
    name="content_backward",
    reference=backward,
    returns="grad_z",
    draw=draw_backward,
    derivative=Derivative(forward, kinks=lambda z, P: {"relu": (z > 0).astype(int)}),
    tests=(
        Worked(
            "the lesson's four units",
            (1.0, [[1.0, -5.0], [2.0, 3.0]], [[1.0, 2.0], [0.0, 1.0]]),
            [[0.0, 0.0], [2.0, 2.0]],
        ),
        Worked("with a weight from above", (10.0, [[1.0, 4.0]], [[3.0, 3.0]]), [[-20.0, 10.0]]),
        Worked("the kink: where z is 0, so is the slope", (1.0, [[0.0, 1.0]], [[2.0, 0.0]]), [[0.0, 1.0]]),
        Drawn("one image", (1, 4, 4, 2)),
        Drawn("several images of odd size", (3, 5, 7, 2)),
        Drawn("float32 stays float32", (2, 3, 4, 2), dtype="float32"),
        Verified("the gradient, checked numerically", (2, 4, 5, 3), draw=draw_off_the_kink),
    ),
    mistakes={
        "mask-missing": Mistake(
            "Your gradient is that with respect to F. One step is left to z: through which operation?",
            lambda grad_y, z, P: grad_y * (_relu(z) - P),
        ),
        "relu-missing-altogether": Mistake(
            "Your gradient is grad_y (z - P), as if there were no ReLU at all.", lambda grad_y, z, P: grad_y * (z - P)
        ),
        "sign": Mistake(
            "Your gradient has the wrong sign. A feature that is too large: does the loss grow or fall as it grows?",
            lambda grad_y, z, P: grad_y * (P - _relu(z)) * (z > 0),
        ),
        "factor-two": Mistake(
            "Your gradient is twice as large as it should be. The square brings a 2; what takes it away?",
            lambda grad_y, z, P: 2 * grad_y * (_relu(z) - P) * (z > 0),
        ),
        "factor-half": Mistake(
            "Your gradient is half as large as it should be. You have kept the half of equation 1; what does the "
            "derivative of the square bring?",
            lambda grad_y, z, P: 0.5 * grad_y * (_relu(z) - P) * (z > 0),
        ),
        "mean-for-sum": Mistake(
            "Your gradient is divided by the number of units, as that of a mean would be.",
            lambda grad_y, z, P: grad_y * (_relu(z) - P) * (z > 0) / z.size,
        ),
        "upstream-ignored": Mistake(
            "Your gradient is right for a weight of 1: which of the arguments have you not used?",
            lambda grad_y, z, P: 1.0 * (_relu(z) - P) * (z > 0),
        ),
        "mask-from-content": Mistake(
            "You let the gradient pass where the content's features are above 0. It has to pass another ReLU: "
            "that of the image which changes.",
            lambda grad_y, z, P: grad_y * (_relu(z) - P) * (P > 0),
        ),
        "mask-from-difference": Mistake(
            "You let the gradient pass where F - P is positive. What decides whether a ReLU passes a gradient is what "
            "went *into* it.",
            lambda grad_y, z, P: grad_y * (_relu(z) - P) * (_relu(z) > P),
        ),
        "mask-inverted": Mistake(
            "Your gradient passes exactly where it must not: on which side of 0 does a ReLU pass?",
            lambda grad_y, z, P: grad_y * (_relu(z) - P) * (z <= 0),
        ),
        "mask-at-zero": Mistake(
            "Your gradient is right but at the kink: where z is 0 the slope is taken as 0. Does your comparison "
            "include 0?",
            lambda grad_y, z, P: grad_y * (_relu(z) - P) * (z >= 0),
        ),
    },
    hints=(
        "There are two steps: from the loss back to F, and from F back to z. Write down each by itself.",
        "The first is the derivative of half a square. The second is the ReLU's backward, lesson 4: it needs to know "
        "where z > 0.",
        "Both are products element by element, and grad_y is a factor of the whole. Three factors, then.",
    ),
    read='the sections "Its gradient" and "Equation 2, and where F < 0"',
)

EXERCISE = Exercise(
    "the content loss and its gradient", (FORWARD, BACKWARD), answers=("scratchnst.losses.content_loss",)
)
