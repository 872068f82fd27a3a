"""The exercise: a ReLU forward, and backward with its kink."""

from __future__ import annotations

import numpy as np

from scratchnst.classroom.grader import Derivative, Drawn, Exercise, Function, Mistake, Verified, Worked


def forward(x):
    """One number at a time."""
    return np.array([value if value > 0 else 0.0 for value in x.ravel()]).reshape(x.shape)


def backward(grad_y, x):
    """One number at a time."""
    return np.array([g if value > 0 else 0.0 for g, value in zip(grad_y.ravel(), x.ravel())]).reshape(x.shape)


def draw_backward(random, *shape):
    """With some zeros in x, which sit on the kink."""
    x = random.standard_normal(shape)
    x.flat[:2] = 0
    return random.standard_normal(shape), x


FORWARD = Function(
    name="relu_forward",
    reference=forward,
    returns="y",
    draw=lambda random, *shape: random.standard_normal(shape),
    tests=(
        Worked("four numbers by hand", ([[1.0, -2.0], [0.0, 3.0]],), [[1.0, 0.0], [0.0, 3.0]]),
        Drawn("one image", (1, 4, 4, 2)),
        Drawn("several images of odd size", (3, 5, 7, 2)),
        Drawn("any number of axes", (6,)),
        Drawn("float32 stays float32", (2, 3, 4, 2), dtype="float32"),
    ),
    mistakes={
        "absolute-value": Mistake(
            "It looks like |x|: negative numbers lose their sign, but they are still there.", np.abs
        ),
        "negated": Mistake(
            "The negative numbers pass and the positive ones do not: it is the other way round.",
            lambda x: np.minimum(x, 0),
        ),
        "slope-for-value": Mistake(
            "It looks like the slope of a ReLU, 0 or 1, not like its value.", lambda x: (x > 0) * 1.0
        ),
        "identity": Mistake("It hands on x as it is: what becomes of the negative numbers?", lambda x: x),
        "cut-at-one": Mistake(
            "Positive numbers are cut off at 1: a ReLU has no upper end.", lambda x: np.clip(x, 0, 1)
        ),
    },
    hints=(
        "Take each number by itself: what becomes of 3, of -2, of 0?",
        "There are two cases, x > 0 and the rest. NumPy can treat all numbers of an array at once: look up np.where "
        "and np.maximum.",
        "Each y is the larger one of two numbers, of which x is one. Which is the other?",
    ),
    read='the section "Why something must bend"',
)

BACKWARD = Function(
    name="relu_backward",
    reference=backward,
    returns="grad_x",
    draw=draw_backward,
    derivative=Derivative(forward, operation="relu"),
    tests=(
        Worked(
            "four numbers by hand",
            ([[5.0, 6.0], [-7.0, -8.0]], [[1.0, -2.0], [-3.0, 4.0]]),
            [[5.0, 0.0], [0.0, -8.0]],
        ),
        Worked("the kink: where x is 0, so is the slope", ([1.0, 2.0, 3.0], [0.0, 0.0, 1.0]), [0.0, 0.0, 3.0]),
        Drawn("one image", (1, 4, 4, 2)),
        Drawn("several images of odd size", (3, 5, 7, 2)),
        Drawn("float32 stays float32", (2, 3, 4, 2), dtype="float32"),
        Verified("the gradient, checked numerically", (2, 4, 5, 3)),
    ),
    mistakes={
        "mask-missing": Mistake(
            "Your gradient is grad_y itself, unchanged. What does the loss feel of an x that the ReLU has set to 0?"
        ),
        "mask-from-upstream": Mistake(
            "Your gradient lets pass what is positive in grad_y. Whether a number passes is decided on the way "
            "forward: by which array?",
        ),
        "mask-from-both": Mistake(
            "Your gradient is right where grad_y is positive, and lost where it is negative. A gradient may well be "
            "negative; only one of the two arrays decides what passes.",
        ),
        "mask-inverted": Mistake("Your gradient passes exactly where it must not: which side of 0 has the slope 1?"),
        "mask-at-zero": Mistake(
            "Your gradient is right but at the kink: at x = 0 both slopes, 0 and 1, could be defended, and here 0 is "
            "agreed on. Does your comparison include 0?",
        ),
        "value-for-slope": Mistake(
            "Your gradient is grad_y times the ReLU's value. The chain rule wants its slope: how much does y change "
            "when a positive x changes by a little?",
        ),
        "sign-for-mask": Mistake(
            "Your gradient is grad_y times the sign of x. What is the slope of a ReLU where x < 0?"
        ),
        "upstream-ignored": Mistake(
            "Your gradient is the slope dy/dx alone. The chain rule multiplies it by what comes from above: which of "
            "the arguments have you not used?",
        ),
        "leaky": Mistake("Where x < 0 a part of grad_y still passes, as in a 'leaky' ReLU. What is the slope there?"),
    },
    hints=(
        "Each y depends on its own x alone. So dL/dx = dL/dy times dy/dx, number by number. What can dy/dx be?",
        "Draw y over x and read off the slope left and right of 0. At 0 itself, take that of the left.",
        "Make an array that is 1 where the slope is 1 and 0 elsewhere, a comparison does it, and let it decide which "
        "numbers of grad_y pass.",
    ),
    read='the sections "Backward" and "The kink"',
)

EXERCISE = Exercise("a ReLU, forward and backward", (FORWARD, BACKWARD), answers=("scratchnst.ops.relu",))
