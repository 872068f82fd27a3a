"""The exercise: geometric weights, shifted and cross-layer Gram matrices."""

from __future__ import annotations

from functools import partial

import numpy as np

from scratchnst.classroom.grader import Derivative, Drawn, Exercise, Function, Mistake, Property, Verified, Worked
from scratchnst.losses import cross_gram as page
from scratchnst.losses import gram


def geometric_weights(layers):
    """From the deepest layer up: each has twice the weight of the one below."""
    weights = [1.0]
    while len(weights) < layers:
        weights.insert(0, 2 * weights[0])
    return np.array([weight / sum(weights) for weight in weights])


def shifted_gram(F, s):
    """One product at a time."""
    return gram.forward_loops((F + s)[np.newaxis])[0]


def shifted_gram_backward(grad_G, F, s):
    """The product rule on each product."""
    return gram.backward_loops(grad_G[np.newaxis], (F + s)[np.newaxis])[0]


def cross_gram(F, K):
    """One product at a time."""
    return page.forward_loops(F[np.newaxis], K[np.newaxis])[0]


def cross_gram_backward(grad_G, F, K):
    """The product rule on each product."""
    grad_F, grad_K = page.backward_loops(grad_G[np.newaxis], F[np.newaxis], K[np.newaxis])
    return grad_F[0], grad_K[0]


def rows(F):
    """A row for each position."""
    return F.reshape(-1, F.shape[2])


def shifted(grad_G, F, s, *, shift=1.0, both=lambda g: g + g.T, more=0.0):
    """Equation (c); the keyword-only arguments make mistakes of it."""
    return (rows(F + shift * s) @ both(grad_G)).reshape(F.shape) + more * s


def first_pixels(F, K):
    """Of each square the first pixel alone, if there are squares."""
    height, width = K.shape[:2]
    return F if F.shape == (*K.shape[:2], F.shape[2]) else F[: 2 * height : 2, : 2 * width : 2]


def behind_a_pool(F, K):
    """4 where squares of F are averaged, else 1."""
    return 1 if F.shape[:2] == K.shape[:2] else 4


def backward(grad_G, F, K, *, of_F=1.0, of_K=1.0, undivided=False):
    """Equations (f) and (g), each with a factor."""
    grad_F, grad_K = cross_gram_backward(grad_G, F, K)
    return of_F * grad_F * (behind_a_pool(F, K) if undivided else 1), of_K * grad_K


def one_pixel(grad_G, F, K):
    """All of a square's gradient to its first pixel."""
    grad_F, grad_K = cross_gram_backward(grad_G, F, K)
    if behind_a_pool(F, K) == 1:
        return grad_F, grad_K
    kept = np.zeros(F.shape)
    kept[::2, ::2] = 4
    return grad_F * kept, grad_K


def of_first_pixels(grad_G, F, K):
    """dL/dK with the first pixel of each square for its mean."""
    grad_F, _ = cross_gram_backward(grad_G, F, K)
    return grad_F, (rows(first_pixels(F, K)) @ grad_G).reshape(K.shape)


def summed(grad_G, F, K):
    """dL/dK with the sum of each square for its mean."""
    return backward(grad_G, F, K, of_K=behind_a_pool(F, K))


def draw_number(random, layers):
    """A number of layers."""
    return (layers,)


def draw_shifted(random, height, width, channels):
    """An upstream gradient that is not symmetric, features and a shift."""
    return random.standard_normal((channels, channels)), random.standard_normal((height, width, channels)), -1.5


def draw_pair(random, height, width, channels, others, pool):
    """Features of two layers."""
    sides = (height // 2, width // 2) if pool else (height, width)
    return random.standard_normal((height, width, channels)), random.standard_normal((*sides, others))


def draw_backward(random, height, width, channels, others, pool):
    """An upstream gradient and features of two layers."""
    return random.standard_normal((channels, others)), *draw_pair(random, height, width, channels, others, pool)


def is_gram(function, random):
    """Of a layer with itself it is equation 3."""
    F = random.standard_normal((3, 4, 2))
    if np.allclose(function(F, F.copy()), gram.forward(F[np.newaxis])[0][0]):
        return None
    return "Of a layer with itself your matrix should be the Gram matrix of lesson 10."


# The lesson's numbers.
F, K = [[[1.0], [3.0], [0.0], [2.0]], [[5.0], [7.0], [2.0], [0.0]]], [[[2.0, 10.0], [1.0, -1.0]]]
GRADIENT_F = [[[0.5], [0.5], [0.25], [0.25]]] * 2
PIXELS = [[[2.0, 0.0], [0.0, 2.0]]]

WEIGHTS = Function(
    name="geometric_weights",
    reference=geometric_weights,
    returns="w",
    draw=draw_number,
    tests=(
        Worked("three layers", (3,), [4 / 7, 2 / 7, 1 / 7]),
        Worked("one layer", (1,), [1.0]),
        Drawn("VGG19's sixteen", (16,)),
    ),
    mistakes={
        "rising": Mistake(
            "Your weights rise with the depth. Where does the paper look for a style, near the image or far from it?",
            lambda layers: geometric_weights(layers)[::-1],
        ),
        "not-divided": Mistake(
            "Your last weight is 1: these are the paper's, and here they are divided by something.",
            lambda layers: geometric_weights(layers) * (2**layers - 1),
        ),
        "sum-below-one": Mistake(
            "Your first weight is one half, whatever the number of layers. What is the sum of your weights?",
            lambda layers: 0.5 ** np.arange(1, layers + 1),
        ),
        "linear": Mistake(
            "Your weights fall by the same difference at each step. By what do they fall in equation (a)?",
            lambda layers: np.arange(layers, 0, -1) / (layers * (layers + 1) / 2),
        ),
        "equal": Mistake(
            "All your weights are equal: these are equation 5's.", lambda layers: np.full(layers, 1 / layers)
        ),
    },
    hints=(
        "Write down powers of 2 first, the largest for the layer nearest the image. Then let their sum be 1.",
        "2.0 ** -np.arange(layers) begins with 1, and each is half the one before.",
        "Divide them by their sum.",
    ),
    read='the section "All layers, and geometric weights"',
)

SHIFTED = Function(
    name="shifted_gram_backward",
    reference=shifted_gram_backward,
    returns="grad_F",
    draw=draw_shifted,
    derivative=Derivative(shifted_gram),
    tests=(
        Worked("two pixels by hand", ([[0.0, 1.0], [0.0, 0.0]], PIXELS, -1.0), [[[-1.0, 1.0], [1.0, -1.0]]]),
        Worked("without a shift", ([[1.0]], [[[3.0]]], 0.0), [[[6.0]]]),
        Drawn("three channels", (2, 4, 3)),
        Verified("the gradient, checked numerically", (2, 3, 2)),
    ),
    mistakes={
        "shift-forgotten": Mistake("Right for s = 0. With which features was G made?", partial(shifted, shift=0.0)),
        "shift-subtracted": Mistake("You subtract s. Equation (b) adds it.", partial(shifted, shift=-1.0)),
        "shift-in-gradient": Mistake(
            "Your gradient is the right one plus s. What is the derivative of F + s with respect to F?",
            partial(shifted, more=1.0),
        ),
        "not-symmetrised": Mistake(
            "You multiply by dL/dG alone. F + s stands in G twice: once in a row, once where?",
            partial(shifted, both=lambda g: g),
        ),
        "transposed": Mistake(
            "You multiply by the transpose of dL/dG alone. F + s stands in G twice.",
            partial(shifted, both=lambda g: g.T),
        ),
        "taken-as-symmetric": Mistake(
            "Right for a symmetric dL/dG. What stands in place of the factor 2 for another one?",
            partial(shifted, both=lambda g: 2 * g),
        ),
    },
    hints=(
        "Let X = F + s. Which gradient has the Gram matrix of X with respect to X? And X with respect to F?",
        "Lesson 10: X (g + g^T), positions as rows. The derivative of F + s with respect to F is 1.",
        "Reshape F + s to (H W, N), multiply by grad_G plus its transpose, reshape back.",
    ),
    read='the section "Activation shift"',
)

CROSS = Function(
    name="cross_gram",
    reference=cross_gram,
    returns="G",
    draw=draw_pair,
    tests=(
        Worked("the lesson's pair, behind a pool", (F, K), [[9.0, 39.0]]),
        Worked("two layers of one size", ([[[2.0], [3.0]]], [[[1.0], [10.0]]]), [[32.0]]),
        Drawn("other channels", (4, 6, 3, 2, False)),
        Drawn("behind a pool", (4, 6, 3, 2, True)),
        Drawn("odd sides", (5, 7, 2, 3, True)),
        Property("a layer with itself", is_gram),
    ),
    mistakes={
        "four-times": Mistake(
            "Behind a pool your matrix is 4 times the right one. Do you add the pixels of a square up, or repeat those "
            "of K? Equation (d) has the mean of a square.",
            lambda F, K: behind_a_pool(F, K) * cross_gram(F, K),
        ),
        "first-pixel": Mistake(
            "Of each square you take the first pixel alone.", lambda F, K: rows(first_pixels(F, K)).T @ rows(K)
        ),
        "transposed": Mistake(
            "Your matrix has a row for each channel of K. For which layer's channels are the rows in equation (d)?",
            lambda F, K: cross_gram(F, K).T,
        ),
        "averaged": Mistake(
            "Your matrix is divided by the number of positions. Equation (d) is a sum; the loss divides it.",
            lambda F, K: cross_gram(F, K) / (K.shape[0] * K.shape[1]),
        ),
    },
    hints=(
        "Bring F to the resolution of K first. Then one product of matrices is enough.",
        "F[0::2, 0::2], F[0::2, 1::2] and two more are the four pixels of all squares; mind a last row in none.",
        "With rows for positions, P^T K has the sums of products over all positions.",
    ),
    read='the section "Two layers"',
)

BACKWARD = Function(
    name="cross_gram_backward",
    reference=cross_gram_backward,
    returns=("grad_F", "grad_K"),
    draw=draw_backward,
    derivative=Derivative(cross_gram, of=(0, 1)),
    tests=(
        Worked("the lesson's pair", ([[1.0, 0.0]], F, K), (GRADIENT_F, [[[4.0, 0.0], [1.0, 0.0]]])),
        Drawn("two layers of one size", (3, 4, 3, 2, False)),
        Drawn("behind a pool", (4, 6, 3, 2, True)),
        Drawn("odd sides", (5, 7, 2, 3, True)),
        Verified("the gradients, checked numerically", (4, 5, 2, 3, True)),
    ),
    mistakes={
        "quarter-missing": Mistake(
            "Behind a pool your grad_F is 4 times the right one. What share of its square has a pixel?",
            partial(backward, undivided=True),
        ),
        "one-pixel": Mistake(
            "You hand a square's gradient to its first pixel alone. Which pixels are in its mean?", one_pixel
        ),
        "first-pixel": Mistake(
            "Your grad_K is made with the first pixel of each square, not with its mean.", of_first_pixels
        ),
        "sum-for-mean": Mistake("Your grad_K is made with the sum of each square, not with its mean.", summed),
        "twice-F": Mistake(
            "Your grad_F is twice the right one. How often does F stand in this G?", partial(backward, of_F=2.0)
        ),
        "twice-K": Mistake(
            "Your grad_K is twice the right one. How often does K stand in this G?", partial(backward, of_K=2.0)
        ),
    },
    hints=(
        "Treat K as a constant, and G is linear in P. Then the other way round.",
        "dL/dP has the shape of P: which product of K and dL/dG has it? Then go back through the mean of a square.",
        "K times the transpose of dL/dG, spread with a quarter to each pixel of a square; and P times dL/dG.",
    ),
    read='the section "Its gradient"',
)

EXERCISE = Exercise(
    "geometric weights, shifted and cross-layer Gram matrices",
    (WEIGHTS, SHIFTED, CROSS, BACKWARD),
    answers=("scratchnst.losses.cross_gram", "scratchnst.losses.gram"),
)
