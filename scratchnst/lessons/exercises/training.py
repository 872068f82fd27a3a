"""The exercise of lesson 14: a log-softmax, and a cross-entropy between distributions with its gradient."""

from __future__ import annotations

import math

import numpy as np

from scratchnst.lessons.grader import Derivative, Drawn, Exercise, Function, Mistake, Verified, Worked


def log_softmax(scores):
    """One row at a time, log sum e^z by adding two numbers at a time: log(e^a + e^b) = max + log(1 + e^(min - max))."""
    log_p = np.empty(scores.shape)
    for row, z in enumerate(scores):
        total = -math.inf
        for score in z:
            high, low = max(total, score), min(total, score)
            total = high + math.log1p(math.exp(low - high))
        log_p[row] = z - total
    return log_p


def loss_of(scores, targets, weights):
    """The loss, by its definition."""
    log_p = log_softmax(scores)
    each = [-sum(t * log for t, log in zip(*rows)) for rows in zip(targets, log_p)]
    return sum(weight * loss for weight, loss in zip(weights, each)) / sum(weights)


def cross_entropy(scores, targets, weights):
    """The loss, and its gradient: a score is in each log p of its row, d log p_j / d z_k = [j = k] - p_k."""
    p, grad_scores = np.exp(log_softmax(scores)), np.zeros(scores.shape)
    for n, k in np.ndindex(*scores.shape):
        for j in range(scores.shape[1]):
            slope = (1.0 if j == k else 0.0) - p[n, k]
            grad_scores[n, k] -= weights[n] / sum(weights) * targets[n, j] * slope
    return loss_of(scores, targets, weights), grad_scores


def draw(random, patches, classes):
    """Scores, distributions, and weights one of which is zero."""
    targets = random.uniform(0, 1, (patches, classes)) ** 3
    weights = random.uniform(0.2, 3, patches)
    weights[0] = 0
    scores = 2 * random.standard_normal((patches, classes))
    return scores, targets / targets.sum(axis=1, keepdims=True), weights


def changed(factor):
    """The right loss and gradient, each times a factor that depends on the arguments."""

    def wrong(scores, targets, weights):
        loss, grad_scores = cross_entropy(scores, targets, weights)
        return loss * factor(scores, weights), grad_scores * factor(scores, weights)

    return wrong


def other_gradient(gradient):
    """The right loss, and another gradient, made of the shares of the weights, p and t."""

    def wrong(scores, targets, weights):
        p, shares = np.exp(log_softmax(scores)), (weights / weights.sum())[:, None]
        return loss_of(scores, targets, weights), gradient(shares, p, targets)

    return wrong


LOG_SOFTMAX = Function(
    name="log_softmax",
    reference=log_softmax,
    returns="log_p",
    draw=lambda random, *shape: 2 * random.standard_normal(shape),
    tests=(
        Worked("two equal scores: half and half", ([[3.0, 3.0]],), [[-math.log(2), -math.log(2)]]),
        Worked(
            "the lesson's three scores",
            ([[2.0, 1.0, 0.0]],),
            [
                [
                    2 - math.log(math.e**2 + math.e + 1),
                    1 - math.log(math.e**2 + math.e + 1),
                    -math.log(math.e**2 + math.e + 1),
                ]
            ],
        ),
        Drawn("several patches", (5, 4)),
        Worked("scores of 1000 and -1000", ([[1000.0, 1000.0], [0.0, -1000.0]],), [[-math.log(2)] * 2, [0.0, -1000.0]]),
    ),
    mistakes=(
        Mistake(
            "probabilities",
            "That is the softmax itself, not its logarithm.",
            lambda scores: np.exp(log_softmax(scores)),
        ),
        Mistake(
            "sign",
            "It is minus what it should be: a probability is at most 1; what sign has its logarithm?",
            lambda scores: -log_softmax(scores),
        ),
        Mistake(
            "sum-missing",
            "The largest score of each patch gets the probability 1. What is each exponential divided by in a softmax, "
            "and what becomes of that in a logarithm?",
            lambda scores: scores - scores.max(axis=1, keepdims=True),
        ),
        Mistake(
            "sum-over-everything",
            "All probabilities of all patches together add up to 1. Over which axis does the softmax sum?",
            lambda scores: log_softmax(scores.reshape(1, -1)).reshape(scores.shape),
        ),
        Mistake(
            "sum-over-patches",
            "The probabilities of a class add up to 1 over the patches. Over which axis does the softmax sum?",
            lambda scores: log_softmax(scores.T).T,
        ),
    ),
    hints=(
        "Write log p_k with the softmax put in, and use that the logarithm of a quotient is a difference. One of the "
        "two terms is the score itself.",
        "e^1000 is too large for a number with 64 bits. By which constant can you shift all the scores of a patch "
        "without changing the probabilities, so that no exponential is larger than 1?",
        "Shift by each row's largest score (keepdims=True keeps the shapes fitting). From the shifted scores subtract "
        "the logarithm of the sum of their exponentials, row by row.",
    ),
    read='the section "From scores to a loss", on what adding a constant does',
)

CROSS_ENTROPY = Function(
    name="cross_entropy",
    reference=cross_entropy,
    returns=("loss", "grad_scores"),
    draw=draw,
    derivative=Derivative(loss_of, of=(None, 0), upstream=False),
    tests=(
        Worked(
            "two equal scores, the first class right",
            ([[3.0, 3.0]], [[1.0, 0.0]], [1.0]),
            (math.log(2), [[-0.5, 0.5]]),
        ),
        Worked(
            "two patches, the second counting three times as much",
            ([[3.0, 3.0], [0.0, 0.0]], [[1.0, 0.0], [0.5, 0.5]], [1.0, 3.0]),
            (math.log(2), [[-0.125, 0.125], [0.0, 0.0]]),
        ),
        Drawn("several patches", (5, 4)),
        Drawn("a patch and one without weight", (2, 3)),
        Verified("the gradient, checked numerically", (4, 3)),
        Worked(
            "scores of 1000",
            ([[1000.0, 0.0]], [[0.0, 1.0]], [2.0]),
            (1000.0, [[1.0, -1.0]]),
        ),
    ),
    mistakes=(
        Mistake(
            "not-divided",
            "You sum over the patches and do not divide by the sum of their weights.",
            changed(lambda scores, weights: weights.sum()),
        ),
        Mistake(
            "divided-by-number",
            "You divide by the number of patches. By what is the loss divided in its definition?",
            changed(lambda scores, weights: weights.sum() / len(weights)),
        ),
        Mistake(
            "mean-over-classes",
            "You take a mean over patches and classes: over the classes it is a sum.",
            changed(lambda scores, weights: 1 / scores.shape[1]),
        ),
        Mistake(
            "weights-missing",
            "All patches count alike. Which of the arguments have you not used?",
            lambda scores, targets, weights: cross_entropy(scores, targets, np.ones_like(weights)),
        ),
        Mistake(
            "weights-missing-in-gradient",
            "The loss is right. In its gradient all patches count alike: what is each patch's loss multiplied by?",
            other_gradient(lambda shares, p, t: (p - t) / len(p)),
        ),
        Mistake(
            "gradient-not-divided",
            "The loss is right, and so is its gradient but for a factor: what is the sum over patches divided by?",
            lambda scores, targets, weights: (
                loss_of(scores, targets, weights),
                cross_entropy(scores, targets, weights)[1] * weights.sum(),
            ),
        ),
        Mistake(
            "truth-minus-said",
            "The loss is right, its gradient has the wrong sign: should the score of the right class go up or down for "
            "the loss to fall?",
            other_gradient(lambda shares, p, t: shares * (t - p)),
        ),
        Mistake(
            "said-only",
            "The loss is right. Its gradient has lost a term: the truth does not occur in it.",
            other_gradient(lambda shares, p, t: shares * p),
        ),
        Mistake(
            "truth-only",
            "The loss is right. Its gradient has lost a term: each score also stands in the sum of exponentials.",
            other_gradient(lambda shares, p, t: -shares * t),
        ),
        Mistake(
            "likeliest-only",
            "You take the likeliest class for the truth. The truth is a distribution: what do the other classes add?",
            lambda scores, targets, weights: cross_entropy(
                scores, np.eye(scores.shape[1])[targets.argmax(axis=1)], weights
            ),
        ),
    ),
    hints=(
        "Take one patch with weight 1 first: L = - sum_k t_k log p_k = - sum_k t_k z_k + (sum_k t_k) log sum_j "
        "e^(z_j). What is the sum of the t_k?",
        "Differentiate that by one score z_k: one term gives -t_k, the other what it gave in the lesson. Then bring "
        "the weights in: each patch's loss is multiplied by its share of all the weight, and so is its gradient.",
        "Use log_softmax for the loss; its exponential is what is said. A row of the gradient is what is said minus "
        "what is true, times that patch's share; weights[:, None] multiplies row by row.",
    ),
    read='the section "From scores to a loss"',
)

EXERCISE = Exercise("a cross-entropy with its gradient", (LOG_SOFTMAX, CROSS_ENTROPY))
