"""The exercise: a smoothed cross-entropy, and the way back through a classifier that reads squares."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.special import log_softmax, softmax

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
from scratchnst.verify import check_gradient


def smoothed(z, labels, e, *, others=False, truth=True, axis=1, number=len):
    """By the definition; the keyword-only arguments make mistakes of it."""
    one_hot = np.eye(z.shape[1])[labels]
    rest = e * (1 - one_hot) / (z.shape[1] - 1) if others else e / z.shape[1] * np.ones_like(one_hot)
    q = (1 - e) * one_hot + (rest if truth else rest * (1 - one_hot))
    return -np.sum(q * log_softmax(z, axis)) / number(z), (softmax(z, axis) - q) / number(z)


def draw_logits(random, count, textures, size=2.0):
    """Logits, labels, and a share of doubt."""
    z = size * random.standard_normal((count, textures))
    return z, random.integers(0, textures, count), float(random.uniform(0.1, 0.4))


def draw_raised(random, count, textures):
    """Logits whose exponentials are no numbers, and whose differences are small."""
    z, labels, e = draw_logits(random, count, textures)
    return z + 1000, labels, e


def slopes_agree(function, random):
    """The learner's gradient is that of the learner's loss, as far as differences can tell."""
    z, labels, e = draw_logits(random, 3, 4)
    report = check_gradient(lambda z: function(z, labels, e), z)
    return None if report.passed else "Your gradient is not that of your loss: differences of the loss disagree."


SMOOTHED = Function(
    name="smoothed_cross_entropy",
    reference=smoothed,
    returns=("loss", "grad_z"),
    draw=draw_logits,
    tests=(
        Worked(
            "the lesson's three logits, without doubt",
            (np.log([[1.0, 2.0, 1.0]]), np.array([0]), 0.0),
            (np.log(4), [[-0.75, 0.5, 0.25]]),
        ),
        Worked(
            "equal logits of two textures, believed to one half",
            ([[0.0, 0.0]], np.array([1]), 0.5),
            (np.log(2), [[0.25, -0.25]]),
        ),
        Drawn("several pictures", (4, 5)),
        Drawn("as many pictures as textures", (3, 3)),
        Drawn("very large logits", (3, 4), draw=draw_raised),
        Drawn("logits that are far apart", (3, 4), draw=lambda random, n, t: draw_logits(random, n, t, size=2000.0)),
        Drawn("float32 stays float32", (3, 4), dtype="float32"),
        Property("the gradient, checked numerically", slopes_agree),
    ),
    mistakes={
        "doubt-ignored": Mistake(
            "Your results are those for labels that are certain: which argument have you not used?",
            lambda z, labels, e: smoothed(z, labels, 0.0),
        ),
        "doubt-for-others-only": Mistake(
            "The rest e goes to the wrong textures alone. Does the label's own texture get a part of it?",
            partial(smoothed, others=True),
        ),
        "label-short": Mistake(
            "At the label q is 1 - e. Do your target probabilities sum to 1?", partial(smoothed, truth=False)
        ),
        "gradient-of-certain-labels": Mistake(
            "The loss is right; the gradient is that for certain labels. Derive it anew with q in place of [k = t].",
            with_result(smoothed, 1, lambda _, z, labels, e: smoothed(z, labels, 0.0)[1]),
        ),
        "gradient-not-a-mean": Mistake(
            "The loss is right; your gradient is that of the sum over the pictures. What is the loss?",
            with_result(smoothed, 1, lambda grad_z, *_: grad_z * len(grad_z)),
        ),
        "sum-over-pictures": Mistake(
            "You add up the pictures' losses; L is their mean.", partial(smoothed, number=lambda z: 1)
        ),
        "mean-over-all": Mistake(
            "You divide by the number of all logits. Over which of the two indices is L a mean, over which a sum?",
            partial(smoothed, number=np.size),
        ),
        "uphill": Mistake(
            "The loss is right; the gradient has the wrong sign. Must the loss rise or fall with the label's logit?",
            with_result(smoothed, 1, lambda grad_z, *_: -grad_z),
        ),
        "targets-missing": Mistake(
            "The loss is right; the gradient is p without what is true. Where does the first summand of L_n go?",
            with_result(smoothed, 1, lambda _, z, labels, e: softmax(z, axis=1) / len(z)),
        ),
        "softmax-over-pictures": Mistake(
            "Your probabilities sum to 1 over the pictures: along which axis do those of one picture lie?",
            partial(smoothed, axis=0),
        ),
    },
    hints=(
        "Make an array q first, (N, T), and check that its rows sum to 1. Then follow the lesson with q in the place "
        "of the one-hot rows.",
        "For the loss you need the logarithm of p. Written as z minus the logarithm of a sum, and with the largest "
        "logit taken off before, it never overflows and never is the logarithm of zero.",
        "In the derivative of L_n by z_k, the logarithm of the sum is counted with all of q, whose sum is 1; what "
        "remains is what the lesson has, one-hot replaced by q, and the mean's 1/N.",
    ),
    read='the section "The loss: cross-entropy"',
)


def energies_to_logits(F, V, d):
    """z of features, by its definition: sums over positions and channels."""
    return np.einsum("nijc,nijc,ct->nt", F, F, V) / (F.shape[1] * F.shape[2]) + d


def energy_gradients(grad_z, F, V, *, factor=2.0, positions=None, read=None, inner=None):
    """The three gradients; the last arguments make mistakes of them."""
    M = F.shape[1] * F.shape[2]
    s = np.einsum("nijc,nijc->nc", F, F) / M if read is None else read(F)
    outer = np.einsum("nt,ct->nc", grad_z, V)
    grad_F = factor / (positions or M) * np.einsum("nijc,nc->nijc", F if inner is None else inner(F), outer)
    return grad_F, np.einsum("nc,nt->ct", s, grad_z), np.einsum("nt->t", grad_z)


def channel_means(F):
    """Each picture's mean of each channel."""
    return F.mean(axis=(1, 2))


def spread_means(F):
    """The means at every position."""
    return np.zeros_like(F) + F.mean(axis=(1, 2), keepdims=True)


def draw_classifier(random, count, height, width, channels, textures):
    """An upstream gradient, features of both signs, and a matrix."""
    F = random.standard_normal((count, height, width, channels)) + 0.5
    return random.standard_normal((count, textures)), F, random.standard_normal((channels, textures))


ENERGY = Function(
    name="energy_backward",
    reference=energy_gradients,
    returns=("grad_F", "grad_V", "grad_d"),
    draw=draw_classifier,
    derivative=Derivative(
        energies_to_logits,
        of=(0, 1, 2),
        inputs=lambda F, V: (F, V, np.zeros(V.shape[1])),
        arguments=lambda F, V, d: (F, V),
    ),
    tests=(
        Worked(
            "two positions, one channel, two textures",
            ([[1.0, 10.0]], [[[[1.0], [3.0]]]], [[2.0, 1.0]]),
            ([[[[12.0], [36.0]]]], [[5.0, 50.0]], [1.0, 10.0]),
        ),
        Drawn("one picture", (1, 3, 3, 2, 4)),
        Drawn("several pictures that are not square", (3, 2, 5, 4, 3)),
        Drawn("as many channels as textures", (2, 3, 4, 3, 3)),
        Drawn("float32 stays float32", (2, 3, 4, 3, 2), dtype="float32"),
        Verified("the gradients, checked numerically", (2, 2, 3, 3, 2)),
    ),
    mistakes={
        "means-read": Mistake(
            "These are the gradients of the lesson's classifier, which reads means. This one reads mean squares.",
            partial(energy_gradients, read=channel_means, inner=np.ones_like, factor=1.0),
        ),
        "square-not-reversed": Mistake(
            "grad_V and grad_d are right; grad_F is the same at every position. What is the derivative of a square?",
            partial(energy_gradients, inner=np.ones_like, factor=1.0),
        ),
        "square-half-reversed": Mistake(
            "grad_V and grad_d are right; grad_F is half of what it should be. What is the derivative of a square?",
            partial(energy_gradients, factor=1.0),
        ),
        "positions-missing": Mistake(
            "grad_V and grad_d are right; grad_F is too large by the number of positions. What is s a mean of?",
            partial(energy_gradients, positions=1),
        ),
        "sum-of-squares": Mistake(
            "grad_F and grad_d are right; grad_V belongs to the sum of the squares, not to their mean.",
            partial(energy_gradients, read=lambda F: (F**2).sum(axis=(1, 2))),
        ),
        "means-in-V": Mistake(
            "grad_F and grad_d are right; grad_V is made with the channels' means. What does V multiply here?",
            partial(energy_gradients, read=channel_means),
        ),
        "square-of-the-mean": Mistake(
            "These are the gradients for the square of the mean. Which comes first here, the mean or the square?",
            partial(energy_gradients, read=lambda F: channel_means(F) ** 2, inner=spread_means),
        ),
        "mean-in-d": Mistake(
            "grad_F and grad_V are right; grad_d is a mean over the pictures. grad_z holds a 1/N already.",
            with_result(energy_gradients, 2, lambda _, grad_z, F, V: grad_z.mean(axis=0)),
        ),
    },
    hints=(
        "Three steps back: through the matrix, as in the lesson; through the mean; through the square. grad_V and "
        "grad_d need no more than the first.",
        "You need s once more for grad_V. For grad_F begin with dL/ds, (N, C): every position of a channel gets the "
        "same share of it, and then it goes through a square.",
        "Lift dL/ds to the shape (N, 1, 1, C), so that it multiplies features at each position; the derivative of a "
        "mean of M squares by one of them has a 2, that feature, and an M below.",
    ),
    read='the section "The way back to all weights"',
)

EXERCISE = Exercise(
    "a loss for labels in doubt, and a classifier that reads squares", (SMOOTHED, ENERGY), answers=("scipy.special",)
)
