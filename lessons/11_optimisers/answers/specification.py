"""The exercise: a step of Adam, and the two loops of L-BFGS."""

from __future__ import annotations

from functools import partial

import numpy as np

from scratchnst.classroom.grader import Drawn, Exercise, Function, Mistake, Property, Worked

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


def updated(q, pairs):
    """The matrix H, update by update, times q."""
    size = len(q)
    H = np.eye(size)
    if pairs:
        s, y = pairs[-1]
        H *= (s @ y) / (y @ y)
    for s, y in pairs:
        V = np.eye(size) - np.outer(y, s) / (y @ s)
        H = V.T @ H @ V + np.outer(s, s) / (y @ s)
    return H @ q


def draw_pairs(random, n, count):
    """Steps, and how the gradient of a bowl changes along them."""
    root = random.standard_normal((n, n))
    B = root @ root.T + np.eye(n)
    return random.standard_normal(n), [(s, B @ s) for s in random.standard_normal((count, n))]


def newest_gamma(pairs):
    """(s . y) / (y . y)."""
    s, y = pairs[-1]
    return (s @ y) / (y @ y)


def loops(
    q, pairs, gamma=newest_gamma, inward=reversed, outward=list, by="y", with_alpha="s", with_beta="y", alpha_sign=1
):
    """The two loops with something changed: where they begin, or which of s and y a product is made with."""
    if not pairs:
        return q
    alphas = {}
    for number in inward(range(len(pairs))):
        pair = dict(zip("sy", pairs[number]))
        alphas[number] = (pair[with_alpha] @ q) / (pair["y"] @ pair["s"])
        q = q - alphas[number] * pair[by]
    r = gamma(pairs) * q
    for number in outward(range(len(pairs))):
        pair = dict(zip("sy", pairs[number]))
        beta = (pair[with_beta] @ r) / (pair["y"] @ pair["s"])
        r = r + (alpha_sign * alphas[number] - beta) * pair["s"]
    return r


def secant(function, random):
    """H y = s for the newest pair, which is what BFGS is made for."""
    _, pairs = draw_pairs(random, 6, 4)
    s, y = pairs[-1]
    error = np.abs(function(y, pairs) - s).max()
    return None if error < 1e-8 else f"For the newest pair H y should be s, and differs by {error:.2g}."


TWO_LOOPS = Function(
    name="two_loops",
    reference=updated,
    returns="product",
    draw=draw_pairs,
    tolerance=1e-8,
    tests=(
        Worked("no pairs yet", ([1.0, -2.0], []), [1.0, -2.0]),
        Worked(
            "one pair by hand",
            ([1.0, 1.0], [(np.array([1.0, 0.0]), np.array([2.0, 1.0]))]),
            [0.4, 0.2],
        ),
        Drawn("one pair, five unknowns", (5, 1)),
        Drawn("two pairs", (5, 2)),
        Drawn("as many pairs as unknowns", (6, 6)),
        Drawn("more pairs than unknowns", (3, 8)),
        Property("the secant equation for the newest pair", secant),
    ),
    mistakes={
        "first-loop-from-oldest": Mistake(
            "The way in begins at the wrong end: which update is the outermost, the first one made or the last?",
            partial(loops, inward=list),
        ),
        "second-loop-from-newest": Mistake(
            "The way out has the order of the way in: it begins where the way in has ended.",
            partial(loops, outward=reversed),
        ),
        "both-loops-turned-round": Mistake(
            "Both loops run the wrong way, as if the oldest pair were the newest. Which end of the list is which?",
            partial(loops, inward=list, outward=reversed),
        ),
        "gamma-missing": Mistake(
            "Between the loops the first guess of H is missing: nothing is multiplied by gamma.",
            partial(loops, gamma=lambda pairs: 1.0),
        ),
        "gamma-of-oldest": Mistake(
            "gamma is that of the oldest pair.", partial(loops, gamma=lambda pairs: newest_gamma(pairs[:1]))
        ),
        "gamma-inverted": Mistake(
            "gamma is upside down: H is to take a y to an s.",
            partial(loops, gamma=lambda pairs: 1 / newest_gamma(pairs)),
        ),
        "gamma-of-s": Mistake(
            "gamma looks like (s . s) / (s . y), which also has the right unit, but is another guess.",
            partial(loops, gamma=lambda pairs: (pairs[-1][0] @ pairs[-1][0]) / (pairs[-1][0] @ pairs[-1][1])),
        ),
        "subtracts-s": Mistake(
            "On the way in, multiples of s are subtracted; what does V do to q?", partial(loops, by="s")
        ),
        "alpha-from-y": Mistake(
            "alpha is made with y: which of the two vectors stands beside q in V q?", partial(loops, with_alpha="y")
        ),
        "beta-from-s": Mistake(
            "beta is made with s: V is transposed on the way out, so its two vectors change places.",
            partial(loops, with_beta="s"),
        ),
        "alpha-subtracted": Mistake("On the way out alpha has the wrong sign.", partial(loops, alpha_sign=-1)),
        "alpha-forgotten": Mistake(
            "On the way out alpha is forgotten: H has a second term.", partial(loops, alpha_sign=0)
        ),
        "newest-pair-only": Mistake("Only the newest pair counts.", lambda q, pairs: loops(q, pairs[-1:])),
        "descent-direction": Mistake(
            "Your product has the opposite sign: it is the direction -H q that a search would take. Here H q itself is "
            "wanted.",
            lambda q, pairs: -loops(q, pairs) if pairs else q,
        ),
    },
    hints=(
        "Take the recursion of the lesson and write out, for two pairs, in which order its lines are carried out.",
        "The lines before the recursive call form one loop, those after it another, in the opposite order. What has to "
        "be remembered from the first to the second?",
        "In: from the newest pair to the oldest, keep alpha and take alpha times y away from q. Between: times gamma. "
        "Out: from the oldest to the newest, find beta from what there is now, and add (alpha - beta) times s, with "
        "the alpha of the same pair.",
    ),
    read='the section "L-BFGS: the product without the matrix"',
)

EXERCISE = Exercise("a step of Adam, and the two loops of L-BFGS", (ADAM, TWO_LOOPS), answers=("scratchnst.optimize",))
