"""The exercise: equation 7 with its gradients, and the total variation of a picture."""

from __future__ import annotations

from functools import partial

import numpy as np

from scratchnst.classroom.grader import Derivative, Drawn, Exercise, Function, Mistake, Verified, Worked, with_result


def style(F, A):
    """Equation 4 and its gradient, square by square."""
    M, N = F.shape
    G = np.sum([np.outer(row, row) for row in F], axis=0)
    factor, grad_F = 1 / (4 * N**2 * M**2), np.zeros_like(F)
    for i, j in np.ndindex(N, N):
        slope = factor * 2 * (G[i, j] - A[i, j])
        grad_F[:, i] += slope * F[:, j]
        grad_F[:, j] += slope * F[:, i]
    return factor * np.sum((G - A) ** 2), grad_F


def parts(F1, F2, P, A1, A2):
    """(content, E1, E2), and their gradients (at F2, at F1, at F2)."""
    (E1, grad_1), (E2, grad_2) = style(F1, A1), style(F2, A2)
    content = sum((F2 - P).ravel() ** 2) / 2
    return (content, E1, E2), (F2 - P, grad_1, grad_2)


def equation_7(F1, F2, P, A1, A2, alpha, beta, w1, w2):
    """As it stands."""
    factors = alpha, beta * w1, beta * w2
    return weighted(F1, F2, P, A1, A2, factors, factors)


def weighted(F1, F2, P, A1, A2, in_loss, in_gradient):
    """With factors before content, E1 and E2, in the loss and in the gradients."""
    losses, (grad_content, grad_1, grad_2) = parts(F1, F2, P, A1, A2)
    content, first, second = in_gradient
    loss = sum(factor * each for factor, each in zip(in_loss, losses))
    return loss, first * grad_1, content * grad_content + second * grad_2


def mistaken(change, in_loss=False, in_gradient=True):
    """A mistake in the factors: `change` makes them of (alpha, beta, w1, w2, sizes of F1, of F2)."""

    def wrong(F1, F2, P, A1, A2, alpha, beta, w1, w2):
        right, factors = (alpha, beta * w1, beta * w2), change(alpha, beta, w1, w2, F1.size, F2.size)
        return weighted(F1, F2, P, A1, A2, factors if in_loss else right, factors if in_gradient else right)

    return wrong


def draw_layers(random, M1, N1, M2, N2):
    """Activations, targets of another image, and weights no two of which are alike."""
    F1, S1 = np.maximum(random.standard_normal((2, M1, N1)) + 0.3, 0)
    F2, S2, P = np.maximum(random.standard_normal((3, M2, N2)) + 0.3, 0)
    return F1, F2, P, S1.T @ S1, S2.T @ S2, 0.7, 30.0, 0.2, 0.45


EQUATION_7 = Function(
    name="equation_7",
    reference=equation_7,
    returns=("loss", "grad_F1", "grad_F2"),
    draw=draw_layers,
    derivative=Derivative(lambda *arguments: equation_7(*arguments)[0], of=(None, 0, 1), upstream=False),
    tests=(
        Worked(
            "one channel, one pixel and two, by hand",
            ([[2.0]], [[1.0], [2.0]], [[1.0], [0.0]], [[1.0]], [[3.0]], 2.0, 4.0, 0.5, 0.25),
            (8.75, [[12.0]], [[0.5], [5.0]]),
        ),
        Worked(
            "content alone: beta is 0",
            ([[2.0]], [[1.0], [2.0]], [[1.0], [0.0]], [[1.0]], [[3.0]], 2.0, 0.0, 0.5, 0.25),
            (4.0, [[0.0]], [[0.0], [4.0]]),
        ),
        Drawn("layers of different sizes", (6, 3, 4, 5)),
        Drawn("more channels than pixels", (3, 4, 2, 6)),
        Drawn("float32 stays float32", (6, 3, 4, 5), dtype="float32"),
        Verified("the gradients, checked numerically", (5, 2, 4, 3)),
    ),
    mistakes={
        "style-lost": Mistake(
            "At F2 only the content's gradient arrives. Two losses are looking at F2: what does the chain rule do with "
            "two paths that meet?",
            mistaken(lambda alpha, beta, w1, w2, *_: (alpha, beta * w1, 0)),
        ),
        "content-lost": Mistake(
            "At F2 only the style's gradient arrives. Two losses are looking at F2: what does the chain rule do with "
            "two paths that meet?",
            mistaken(lambda alpha, beta, w1, w2, *_: (0, beta * w1, beta * w2)),
        ),
        "alpha-not-in-gradient": Mistake(
            "alpha is in the loss, but not in the gradient: the slope of alpha times something is alpha times its "
            "slope.",
            mistaken(lambda alpha, beta, w1, w2, *_: (1, beta * w1, beta * w2)),
        ),
        "beta-not-in-gradient": Mistake(
            "beta is in the loss, but not in the gradients.", mistaken(lambda alpha, beta, w1, w2, *_: (alpha, w1, w2))
        ),
        "layer-weights-not-in-gradient": Mistake(
            "The weights of the layers are in the loss, but not in the gradients.",
            mistaken(lambda alpha, beta, w1, w2, *_: (alpha, beta, beta)),
        ),
        "no-weights-in-gradient": Mistake(
            "All four weights are in the loss, and none is in the gradients.", mistaken(lambda *_: (1, 1, 1))
        ),
        "alpha-and-beta-exchanged": Mistake(
            "alpha and beta have changed places: which one stands before the content?",
            mistaken(lambda alpha, beta, w1, w2, *_: (beta, alpha * w1, alpha * w2), in_loss=True),
        ),
        "layers-exchanged": Mistake(
            "w1 and w2 have changed places.",
            mistaken(lambda alpha, beta, w1, w2, *_: (alpha, beta * w2, beta * w1), in_loss=True),
        ),
        "layer-weights-missing": Mistake(
            "Both layers count alike: the weights of equation 5 are missing.",
            mistaken(lambda alpha, beta, *_: (alpha, beta, beta), in_loss=True),
        ),
        "squares-missing": Mistake(
            "The style loss is divided by N and M; equation 4 divides by their squares.",
            mistaken(
                lambda alpha, beta, w1, w2, size_1, size_2: (alpha, beta * w1 * size_1, beta * w2 * size_2),
                in_loss=True,
            ),
        ),
        "quarter-kept": Mistake(
            "The gradients of the style are a quarter of what they should be: the 4 of equation 4 meets the 2 of the "
            "square, and another 2. Where does that come from?",
            mistaken(lambda alpha, beta, w1, w2, *_: (alpha, beta * w1 / 4, beta * w2 / 4)),
        ),
        "one-path-only": Mistake(
            "The gradients of the style are half of what they should be: each activation enters G twice, once in a row "
            "and once in a column.",
            mistaken(lambda alpha, beta, w1, w2, *_: (alpha, beta * w1 / 2, beta * w2 / 2)),
        ),
        "half-kept": Mistake(
            "The gradient of the content is half of what it should be: what becomes of the 1/2 of equation 1 when its "
            "square is differentiated?",
            mistaken(lambda alpha, beta, w1, w2, *_: (alpha / 2, beta * w1, beta * w2)),
        ),
        "half-missing": Mistake(
            "The gradients are right, but the content's part of the loss is twice as large: see equation 1.",
            mistaken(
                lambda alpha, beta, w1, w2, *_: (2 * alpha, beta * w1, beta * w2), in_loss=True, in_gradient=False
            ),
        ),
        "quarter-missing": Mistake(
            "The gradients are right, but the style's part of the loss is four times as large: see equation 4.",
            mistaken(
                lambda alpha, beta, w1, w2, *_: (alpha, 4 * beta * w1, 4 * beta * w2), in_loss=True, in_gradient=False
            ),
        ),
    },
    hints=(
        "Three losses: write down for each what it depends on and which factors stand before it. Its gradients have "
        "the same factors.",
        "F1 is seen by one loss, F2 by two. Lessons 9 and 10 have the gradient of each loss by itself, equations 2 and "
        "6, here without the case F < 0.",
        "Write a function for the style loss of one layer that returns E and its gradient, F (G - A) with the factor "
        "of equation 6, and call it twice. Then weigh, and at F2 add what two losses say.",
    ),
    read='the section "One gradient from many terms"',
)


def neighbours(shape, axes=(0, 1)):
    """(start, end) of every difference along these axes, indices of (H, W, C)."""
    for start in np.ndindex(*shape):
        for axis in axes:
            end = (*start[:axis], start[axis] + 1, *start[axis + 1 :])
            if end[axis] < shape[axis]:
                yield start, end


def total_variation(x, *, at_end=2.0, at_start=-2.0, axes=(0, 1), size=np.square, slope=float):
    """One difference after the other, with what it hands to its two ends; the last arguments make mistakes of it."""
    V, grad_x = 0.0, np.zeros_like(x)
    for start, end in neighbours(x.shape, axes):
        difference = x[end] - x[start]
        V += size(difference)
        grad_x[end] += at_end * slope(difference)
        grad_x[start] += at_start * slope(difference)
    return V, grad_x


def wrapped(x):
    """The last row has the first one as its neighbour, and so have columns."""
    down, right = np.roll(x, -1, 0) - x, np.roll(x, -1, 1) - x
    grad_x = 2 * (np.roll(down, 1, 0) - down + np.roll(right, 1, 1) - right)
    return np.sum(down**2) + np.sum(right**2), grad_x


VARIATION = Function(
    name="total_variation",
    reference=total_variation,
    returns=("V", "grad_x"),
    draw=lambda random, *shape: random.uniform(-2, 2, shape),
    derivative=Derivative(lambda x: total_variation(x)[0], of=(None, 0), upstream=False),
    tests=(
        Worked(
            "two by two pixels by hand",
            ([[[1.0], [3.0]], [[2.0], [7.0]]],),
            (46.0, [[[-6.0], [-4.0]], [[-8.0], [18.0]]]),
        ),
        Worked("a single pixel has no neighbours", ([[[5.0]]],), (0.0, [[[0.0]]])),
        Drawn("a picture", (4, 5, 3)),
        Drawn("a single row", (1, 6, 3)),
        Drawn("float32 stays float32", (4, 5, 3), dtype="float32"),
        Verified("the gradient, checked numerically", (4, 3, 2)),
    ),
    mistakes={
        "end-only": Mistake(
            "Each difference hands something to the pixel at its end and nothing to the one at its start, which is "
            "in it as well.",
            partial(total_variation, at_start=0),
        ),
        "start-only": Mistake(
            "Each difference hands something to the pixel at its start and nothing to the one at its end, which is "
            "in it as well.",
            partial(total_variation, at_end=0),
        ),
        "same-sign": Mistake(
            "Both ends of a difference get the same sign. If the one end is raised the difference grows; and if the "
            "other one is?",
            partial(total_variation, at_start=2),
        ),
        "uphill": Mistake(
            "Every slope has the wrong sign: is it the end minus the start?",
            partial(total_variation, at_end=-2, at_start=2),
        ),
        "square-factor-missing": Mistake(
            "V is right, the gradient is half of it: what is the slope of d^2?",
            partial(total_variation, at_end=1, at_start=-1),
        ),
        "columns-missing-in-gradient": Mistake(
            "V is right, but in the gradient only pixels one below the other are neighbours.",
            with_result(total_variation, 1, lambda _, x: total_variation(x, axes=[0])[1]),
        ),
        "rows-missing-in-gradient": Mistake(
            "V is right, but in the gradient only pixels beside each other are neighbours.",
            with_result(total_variation, 1, lambda _, x: total_variation(x, axes=[1])[1]),
        ),
        "down-only": Mistake(
            "Only pixels one below the other count as neighbours.", partial(total_variation, axes=[0])
        ),
        "right-only": Mistake("Only pixels beside each other count as neighbours.", partial(total_variation, axes=[1])),
        "wrapped-around": Mistake(
            "The pixels on one border are compared with those on the opposite one, as np.roll does it. They are no "
            "neighbours.",
            wrapped,
        ),
        "absolute": Mistake(
            "This adds up the sizes of the differences, and its gradient holds their signs. Squares are wanted.",
            partial(total_variation, size=np.abs, slope=np.sign, at_end=1, at_start=-1),
        ),
    },
    hints=(
        "On paper: a row of three pixels, V = (x1 - x0)^2 + (x2 - x1)^2. What are its three slopes? Which pixel stands "
        "in two differences, and with which signs?",
        "The differences of all neighbours, one below the other, are two slices of x, one minus the other. How large "
        "is that array, and to which rows of grad_x does each of its rows belong?",
        "Begin with zeros of x's shape. Each of the two arrays of differences is added, with its factor, to the slice "
        "of grad_x where the differences end, and taken from the slice where they start.",
    ),
    read='the section "A third term: smoothness"',
)

EXERCISE = Exercise(
    "equation 7 with its gradients, and total variation",
    (EQUATION_7, VARIATION),
    answers=("scratchnst.transfer.objective", "scratchnst.losses.style_loss", "scratchnst.losses.total_variation"),
)
