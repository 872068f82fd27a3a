"""The exercise: equation 3, its derivative for any upstream gradient, and equation 6."""

from __future__ import annotations

from functools import partial

import numpy as np

from scratchnst.classroom.grader import Derivative, Drawn, Exercise, Function, Mistake, Verified, Worked
from scratchnst.losses import gram, style_loss

TOGETHER = [[[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]  # the lesson's four positions as 2x2 pixels
APART = [[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]]


def gram_reference(F):
    """Equation 3, one product at a time."""
    return gram.forward_loops(F[np.newaxis])[0]


def gram_backward_reference(grad_G, F):
    """The product rule, one product at a time."""
    return gram.backward_loops(grad_G[np.newaxis], F[np.newaxis])[0]


def style_reference(grad_y, z, A):
    """Each square and each product reversed, then the ReLU, one number at a time."""
    F = np.maximum(z, 0)
    grad_F = style_loss.backward_loops(grad_y, F[np.newaxis], A[np.newaxis])[0]
    passed = [g if value > 0 else 0.0 for g, value in zip(grad_F.ravel(), z.ravel())]
    return np.array(passed).reshape(z.shape)


def draw_features(random, *shape):
    """Features as behind a ReLU."""
    return np.maximum(random.standard_normal(shape) + 0.3, 0)


def draw_gram_backward(random, *shape):
    """A gradient without symmetry, and features."""
    return random.standard_normal((shape[2], shape[2])), draw_features(random, *shape)


def draw_off_the_kink(random, *shape):
    """A weight, what enters a ReLU, and the Gram matrix of another image."""
    return (
        float(random.uniform(0.5, 3)),
        random.standard_normal(shape) + 0.3,
        gram_reference(draw_features(random, *shape)),
    )


def draw_style(random, *shape):
    """With a unit on the kink, beside others that are active."""
    grad_y, z, A = draw_off_the_kink(random, *shape)
    z[0, 0] = 1
    z[0, 0, 0] = 0
    return grad_y, z, A


def _matrix(F):
    return F.reshape(-1, F.shape[2])


GRAM = Function(
    name="gram_forward",
    reference=gram_reference,
    returns="G",
    draw=draw_features,
    tests=(
        Worked("orange strokes: together", (TOGETHER,), [[2.0, 2.0], [2.0, 2.0]]),
        Worked("orange here, strokes there: apart", (APART,), [[2.0, 0.0], [0.0, 2.0]]),
        Drawn("one image", (4, 4, 3)),
        Drawn("an image that is not square", (3, 7, 4)),
        Drawn("more channels than positions", (2, 2, 6)),
        Drawn("float32 stays float32", (3, 4, 2), dtype="float32"),
    ),
    mistakes={
        "positions-by-positions": Mistake(
            "You multiply every position with every position. A Gram matrix has a row and a column for each *channel*; "
            "over what does equation 3 sum?",
            lambda F: _matrix(F) @ _matrix(F).T,
        ),
        "mean-over-positions": Mistake(
            "It is the mean over positions. In equation 3 positions are added up; who divides by M, and where?",
            lambda F: _matrix(F).T @ _matrix(F) / len(_matrix(F)),
        ),
        "normalised": Mistake(
            "It is divided by positions and channels. Equation 3 divides by nothing.",
            lambda F: _matrix(F).T @ _matrix(F) / F.size,
        ),
        "centred": Mistake(
            "It looks like a covariance: each channel's mean has been taken off first. Equation 3 leaves features as "
            "they are.",
            lambda F: (_matrix(F) - _matrix(F).mean(axis=0)).T @ (_matrix(F) - _matrix(F).mean(axis=0)),
        ),
        "rows-mixed-up": Mistake(
            "The numbers of a position have come apart. Reshaped to (N, -1), a row is no channel: an array keeps its "
            "numbers in the order of its last axis. Which shape keeps each position's channels together?",
            lambda F: F.reshape(F.shape[2], -1) @ F.reshape(F.shape[2], -1).T,
        ),
        "sums-only": Mistake(
            "It is the product of the channels' sums. Multiply at each position first, then add up: what is together "
            "must be together at the same place.",
            lambda F: np.outer(_matrix(F).sum(axis=0), _matrix(F).sum(axis=0)),
        ),
    },
    hints=(
        "First make a matrix of F, a row for each position and a column for each channel.",
        "reshape keeps the last axis together if you leave its length as it is, and -1 stands for whatever is left.",
        "Equation 3 sums over the first index of both factors. A matrix product sums over the last index of the first "
        "factor, so one of them has to be transposed: which?",
    ),
    read='the section "Counting what occurs together"',
)

GRAM_BACKWARD = Function(
    name="gram_backward",
    reference=gram_backward_reference,
    returns="grad_F",
    draw=draw_gram_backward,
    derivative=Derivative(gram_reference),
    tests=(
        Worked("the element (0, 0) of G", ([[1.0, 0.0], [0.0, 0.0]], [[[3.0, 4.0]]]), [[[6.0, 0.0]]]),
        Worked("the element (0, 1) of G", ([[0.0, 1.0], [0.0, 0.0]], [[[3.0, 4.0]]]), [[[4.0, 3.0]]]),
        Drawn("one image", (4, 4, 3)),
        Drawn("an image that is not square", (3, 7, 4)),
        Drawn("float32 stays float32", (3, 4, 2), dtype="float32"),
        Verified("the gradient, checked numerically", (3, 4, 2)),
    ),
    mistakes={
        "column-only": Mistake(
            "You have one of the two sums of step 3: where a feature stands in a *column* of G. Where else does it "
            "stand?",
            lambda grad_G, F: F @ grad_G,
        ),
        "row-only": Mistake(
            "You have one of the two sums of step 3: where a feature stands in a *row* of G. Where else does it stand?",
            lambda grad_G, F: F @ grad_G.T,
        ),
        "symmetry-assumed": Mistake(
            "You take the two sums of step 3 for equal. They are, where grad_G is symmetric; it need not be.",
            lambda grad_G, F: 2 * F @ grad_G,
        ),
        "symmetry-assumed-transposed": Mistake(
            "You take the two sums of step 3 for equal, and double the one for rows. They are equal where grad_G is "
            "symmetric; it need not be.",
            lambda grad_G, F: 2 * F @ grad_G.T,
        ),
        "halved": Mistake(
            "You take the mean of the two sums of step 3. Both count in full.",
            lambda grad_G, F: F @ (grad_G + grad_G.T) / 2,
        ),
        "doubled": Mistake(
            "Your gradient is twice the right one: you have both sums of step 3, and the 2 that was to stand for them.",
            lambda grad_G, F: 2 * F @ (grad_G + grad_G.T),
        ),
    },
    hints=(
        "Read step 3 with grad_G in the place of D: two sums, and nothing about symmetry yet.",
        "Look at the sum over i of D[i, b] F[a, i], and at that over j of D[b, j] F[a, j]: which is a matrix product "
        "F D, and which needs a transposed D?",
        "F @ something works on (H, W, N) as well: it multiplies the last axis. Here it is a sum of two matrices.",
    ),
    read='the steps 2 to 4 of the section "Equation 6, step by step"',
)


def equation_6(
    grad_y,
    z,
    A,
    *,
    features=lambda z: np.maximum(z, 0),
    passes=np.greater,
    style=1,
    factor=1,
    powers=(2, 2),
    share=lambda z: 1,
):
    """Equation 6, divided by N and M to these powers; the keyword-only arguments make mistakes of it."""
    F, N, M = features(z), z.shape[2], z.shape[0] * z.shape[1]
    norm = N ** powers[0] * M ** powers[1]
    return factor * grad_y / norm * (F @ (gram_reference(F) / share(z) - style * A)) * passes(z, 0)


STYLE = Function(
    name="style_backward",
    reference=style_reference,
    returns="grad_z",
    draw=draw_style,
    derivative=Derivative(
        lambda z, A: style_loss.forward_loops(np.maximum(z, 0)[np.newaxis], A[np.newaxis]),
        kinks=lambda z, A: {"relu": (z > 0).astype(int)},
    ),
    tests=(
        Worked(
            "one position, one channel: N = M = 1",
            (1.0, [[[2.0]]], [[1.0]]),
            [[[6.0]]],
        ),
        Worked(
            "the lesson's example, through the ReLU",
            (64.0, [[[1.0, -3.0], [1.0, 0.5]], [[-2.0, 1.0], [-2.0, 1.0]]], [[2.0, 2.0], [2.0, 2.0]]),
            [[[0.0, 0.0], [-0.75, -1.375]], [[0.0, 0.25], [0.0, 0.25]]],
        ),
        Drawn("with a weight from above", (4, 4, 3)),
        Drawn("an image that is not square", (3, 5, 4)),
        Drawn("float32 stays float32", (3, 4, 2), dtype="float32"),
        Verified("the gradient, checked numerically", (3, 4, 2), draw=draw_off_the_kink),
    ),
    mistakes={
        "mask-missing": Mistake(
            "Your gradient is that with respect to F. One step is left, to what enters the ReLU.",
            partial(equation_6, passes=lambda z, _: 1),
        ),
        "relu-missing-altogether": Mistake(
            "You have taken z for the features. What makes F of z?",
            partial(equation_6, features=np.copy, passes=lambda z, _: 1),
        ),
        "relu-missing-forward": Mistake(
            "You have the mask of the ReLU, but the features in front of it are z itself. What makes F of z?",
            partial(equation_6, features=np.copy),
        ),
        "mask-inverted": Mistake(
            "Your gradient passes exactly where it must not: on which side of 0 does a ReLU pass?",
            partial(equation_6, passes=np.less_equal),
        ),
        "mask-at-zero": Mistake(
            "Your gradient is right but at the kink: where z is 0 the slope is taken as 0. Does your comparison "
            "include 0?",
            partial(equation_6, passes=np.greater_equal),
        ),
        "gram-divided": Mistake(
            "Your Gram matrix is divided by positions and channels before the style's is taken away. Equation 3 "
            "divides by nothing; where does equation 4?",
            partial(equation_6, share=lambda z: z.size),
        ),
        "gram-mean": Mistake(
            "Your Gram matrix is a mean over positions before the style's is taken away. Equation 3 is a sum; where "
            "does equation 4 divide?",
            partial(equation_6, share=lambda z: z[:, :, 0].size),
        ),
        "four-kept": Mistake(
            "Your gradient is a quarter of the right one: equation 4's 4 is still there. The square and the product "
            "rule bring a 2 each.",
            partial(equation_6, factor=1 / 4),
        ),
        "factor-half": Mistake(
            "Your gradient is half the right one. There are two factors of 2, from the square and from the product "
            "rule: which have you counted?",
            partial(equation_6, factor=1 / 2),
        ),
        "factor-two": Mistake(
            "Your gradient is twice the right one. Which of its factors of 2 has equation 4's 4 already taken away?",
            partial(equation_6, factor=2),
        ),
        "norm-not-squared": Mistake(
            "You divide by N M. What does equation 4 divide by?", partial(equation_6, powers=(1, 1))
        ),
        "norm-missing": Mistake(
            "You do not divide by anything. What stands in front of the sum of equation 4?",
            partial(equation_6, powers=(0, 0)),
        ),
        "positions-missing": Mistake(
            "You divide by N^2 alone. What else does equation 4 divide by?", partial(equation_6, powers=(2, 0))
        ),
        "channels-missing": Mistake(
            "You divide by M^2 alone. What else does equation 4 divide by?", partial(equation_6, powers=(0, 2))
        ),
        "positions-not-squared": Mistake(
            "You divide by N^2 M. Equation 4 has M, the number of positions, squared as well.",
            partial(equation_6, powers=(2, 1)),
        ),
        "channels-not-squared": Mistake(
            "You divide by N M^2. Equation 4 has N, the number of channels, squared as well.",
            partial(equation_6, powers=(1, 2)),
        ),
        "sign": Mistake(
            "Your gradient has the wrong sign: is it G - A or A - G that equation 4 squares, and what is its "
            "derivative with respect to G?",
            partial(equation_6, factor=-1),
        ),
        "style-forgotten": Mistake(
            "The style plays no part in your gradient: you have G in the place of G - A.",
            partial(equation_6, style=0),
        ),
        "upstream-ignored": Mistake(
            "Your gradient is right for a weight of 1: which of the arguments have you not used?",
            lambda grad_y, z, A: equation_6(1.0, z, A),
        ),
    },
    hints=(
        "Three steps, one behind the other: make F of z; equation 6's first case; the ReLU's mask.",
        "N is the number of channels, M that of positions: which numbers of z.shape are they? G you have computed "
        "before.",
        "Multiply the features with G - A along their last axis, divide by both N^2 and M^2, weigh with grad_y, and "
        "let pass what z > 0 lets pass.",
    ),
    read='the section "Equation 6, step by step", steps 5 and 6',
)

EXERCISE = Exercise(
    "Gram matrices and equation 6",
    (GRAM, GRAM_BACKWARD, STYLE),
    answers=("scratchnst.losses.gram", "scratchnst.losses.style_loss"),
)
