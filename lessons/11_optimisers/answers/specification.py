"""The exercise: a step of Adam, and the settings of the fastest momentum."""

from __future__ import annotations

from functools import partial

import numpy as np

from scratchnst.classroom.grader import Drawn, Exercise, Function, Mistake, Property, Worked, with_result

BETAS = 0.9, 0.999


def adam(x, g, m, v, t, rate, *, betas=BETAS, corrected=(True, True), size=np.sqrt, of=np.square):
    """The equations as they stand; the last arguments make mistakes of them."""
    means = [beta * mean + (1 - beta) * new for beta, mean, new in zip(betas, (m, v), (g, of(g)))]
    first, second = (mean / (1 - beta**t if on else 1) for beta, mean, on in zip(betas, means, corrected))
    return x - rate * first / (size(second) + 1e-8), *means


def draw_step(random, *shape, t=7):
    """In the midst of a run: the mean of the squares is not below the square of the mean."""
    x, g, m = random.standard_normal((3, *shape))
    return x, g, 0.3 * m, 0.01 * m**2 + 0.02 * random.random(shape), t, 0.25


def draw_small(random, n):
    """Gradients not far above epsilon, so late that the corrections are 1."""
    x, g, m, v, t, rate = draw_step(random, n, t=30_000)
    return x, 1e-6 * g, 1e-6 * m, 1e-12 * v, t, rate


def hands_on_corrected(x, g, m, v, t, rate):
    """The corrected means are kept, so that the next step corrects them once more."""
    x_next, m_next, v_next = adam(x, g, m, v, t, rate)
    return x_next, m_next / (1 - BETAS[0] ** t), v_next / (1 - BETAS[1] ** t)


def means_of_before(x, g, m, v, t, rate):
    """The step is taken with the means as they came."""
    _, m_next, v_next = adam(x, g, m, v, t, rate)
    mean, mean_square = m / (1 - BETAS[0] ** t), v / (1 - BETAS[1] ** t)
    return x - rate * mean / (np.sqrt(mean_square) + 1e-8), m_next, v_next


ADAM = Function(
    name="adam_step",
    reference=adam,
    returns=("x_next", "m_next", "v_next"),
    draw=draw_step,
    tolerance=1e-6,  # whether epsilon is added before or after the correction is a matter of taste
    tests=(
        Worked(
            "the first step by hand: each unknown moves by the rate",
            ([1.0, 2.0], [0.5, -4.0], [0.0, 0.0], [0.0, 0.0], 1, 0.1),
            ([0.9, 2.1], [0.05, -0.4], [0.00025, 0.016]),
        ),
        Worked("a gradient of zero", ([3.0], [0.0], [0.0], [0.0], 1, 0.1), ([3.0], [0.0], [0.0])),
        Drawn("the seventh step of several unknowns", (5,)),
        Drawn("an image", (1, 4, 5, 3)),
        Drawn("a late step", (6,), draw=lambda random, n: draw_step(random, n, t=1000)),
        Drawn("a small gradient, late in a run: epsilon counts", (6,), draw=draw_small),
        Drawn("float32 stays float32", (2, 3), dtype="float32"),
    ),
    mistakes={
        "no-correction": Mistake(
            "The means are not corrected: at first they are too small, since they begin at 0.",
            partial(adam, corrected=(False, False)),
        ),
        "m-not-corrected": Mistake(
            "The mean of the squares is corrected, that of the gradient is not.", partial(adam, corrected=(False, True))
        ),
        "v-not-corrected": Mistake(
            "The mean of the gradient is corrected, that of the squares is not.", partial(adam, corrected=(True, False))
        ),
        "corrected-handed-on": Mistake(
            "x is right, but you hand on the corrected means, and the next step would correct them again: the "
            "recursion goes on with the plain ones.",
            hands_on_corrected,
        ),
        "step-number-off-by-one": Mistake(
            "The correction is that of the step before or after: in the first step t is 1, and how much of the first "
            "gradient is in m then?",
            lambda x, g, m, v, t, rate: adam(x, g, m, v, t + 1, rate),
        ),
        "betas-exchanged": Mistake(
            "beta_1 and beta_2 have changed places: which of the two means remembers longer?",
            partial(adam, betas=BETAS[::-1]),
        ),
        "root-missing": Mistake(
            "The step is divided by the mean square: which unit does that have, and which is wanted?",
            partial(adam, size=lambda square: square),
        ),
        "epsilon-inside-root": Mistake(
            "Epsilon stands under the root, where it is ten thousand times as strong: where does the lesson add it?",
            partial(adam, size=lambda square: np.sqrt(square + 1e-8) - 1e-8),
        ),
        "square-missing": Mistake(
            "v is a mean of the gradient's size; it should be that of its square.", partial(adam, of=np.abs)
        ),
        "uphill": Mistake("The step goes uphill.", lambda x, g, m, v, t, rate: adam(x, g, m, v, t, -rate)),
        "means-of-before": Mistake(
            "The means that you return are right, but the step was taken with those of the step before: this step's "
            "gradient belongs into them first.",
            means_of_before,
        ),
    },
    hints=(
        "There are four lines: two means go on, two corrections, and the step. Write the equations of the lesson down "
        "for t = 1 and follow the numbers of the first test through them.",
        "The old mean counts beta, the new number what is left of 1. What is kept for the next step are these means; "
        "the correction is made for this step only.",
        "The correction divides by 1 - beta to the power of t, each mean with its own beta. Then the step is the rate "
        "times the one, divided by the root of the other plus epsilon, against the gradient.",
    ),
    read='the section "Adam"',
)


def best(lowest, highest):
    """Chebyshev's factor r a step, which is the root of beta; at the largest curvature both roots are -r."""
    ratio = np.sqrt(highest / lowest)
    r = (ratio - 1) / (ratio + 1)
    return (1 + r) ** 2 / highest, r**2


def draw_curvatures(random, narrow):
    """A smallest curvature that is not 1, and one that is about `narrow` times as large."""
    lowest = random.uniform(0.1, 0.8)
    return lowest, lowest * narrow * random.uniform(0.8, 1.2)


def slowest_factor(rate, beta, lowest, highest):
    """The largest |r| among the roots of r^2 - (1 + beta - rate curvature) r + beta, over many curvatures."""
    curvatures = np.linspace(lowest, highest, 201)
    return max(np.abs(np.roots([1, -(1 + beta - rate * each), beta])).max() for each in curvatures)


def nothing_nearby_is_faster(function, random):
    """A rate or a beta a little smaller or larger makes some coordinate slower."""
    lowest, highest = draw_curvatures(random, 30)
    rate, beta = function(lowest, highest)
    here = slowest_factor(rate, beta, lowest, highest)
    for by_rate, by_beta in ((0.98, 1), (1.02, 1), (1, 0.98), (1, 1.02)):
        there = slowest_factor(by_rate * rate, by_beta * beta, lowest, highest)
        if there < here - 1e-6:
            return (
                f"For curvatures from {lowest:.3g} to {highest:.3g} your settings shrink the slowest coordinate by "
                f"{here:.4f} a step, but {by_rate:g} times your rate with {by_beta:g} times your beta by {there:.4f}."
            )
    return None


BEST_MOMENTUM = Function(
    name="best_momentum",
    reference=best,
    returns=("rate", "beta"),
    draw=draw_curvatures,
    tests=(
        Worked("curvatures from 1 to 16", (1.0, 16.0), (0.16, 0.36)),
        Worked("a single curvature: one step is enough", (4.0, 4.0), (0.25, 0.0)),
        Drawn("a bowl with a condition number of about 10", (10,)),
        Drawn("a bowl with a condition number of about 2500", (2500,)),
        Property("nothing near these settings is faster", nothing_nearby_is_faster),
    ),
    mistakes={
        "rate-of-plain-descent": Mistake(
            "beta is right, but the rate is the best one without momentum: with it, for which rates are the roots "
            "complex at both ends?",
            with_result(best, 0, lambda _, lowest, highest: 2 / (lowest + highest)),
        ),
        "no-momentum": Mistake(
            "These are the settings of plain gradient descent. Momentum can do better: with its beta above 0 the two "
            "roots of exercise 2 may be complex.",
            lambda lowest, highest: (2 / (lowest + highest), 0.0),
        ),
        "smallest-curvature-taken-for-1": Mistake(
            "The rate is right only if the smallest curvature is 1, as in the lesson's bowl: which unit does a rate "
            "have, if x is in metres and the loss in euros?",
            with_result(best, 0, lambda rate, lowest, _: rate * lowest),
        ),
        "beta-not-squared": Mistake(
            "Your beta is the factor by which a step shrinks what is left. What is the product of the two roots, and "
            "so |r| if they are complex?",
            with_result(best, 1, lambda beta, *_: np.sqrt(beta)),
        ),
        "condition-number-without-root": Mistake(
            "beta is made of the condition number itself, as the factor of plain gradient descent is; with momentum "
            "its root comes in.",
            with_result(best, 1, lambda _, lowest, highest: ((highest - lowest) / (highest + lowest)) ** 2),
        ),
        "exchanged": Mistake(
            "The rate and beta have changed places.", lambda lowest, highest: best(lowest, highest)[::-1]
        ),
    },
    hints=(
        "Do exercise 2 of the lesson on paper: one coordinate with the curvature lambda goes from two old values to a "
        "new one, and powers of r solve that.",
        "The product of the two roots is beta. As long as they are complex both have the same size; they are complex "
        "for all rate times lambda between two bounds, which depend on beta only.",
        "The bounds are the squares of 1 minus and of 1 plus the root of beta. Put the smallest curvature at the lower "
        "bound and the largest at the upper one, take roots on both sides: two linear equations for two unknowns.",
    ),
    read='the section "Momentum", and exercise 2',
)

EXERCISE = Exercise(
    "a step of Adam, and the settings of the fastest momentum", (ADAM, BEST_MOMENTUM), answers=("scratchnst.optimize",)
)
