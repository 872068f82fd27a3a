"""The exercise: the line search's cubic, and the two loops of L-BFGS."""

from __future__ import annotations

from functools import partial

import numpy as np

from scratchnst.classroom.grader import Drawn, Exercise, Function, Mistake, Property, Worked


def minimum(a, b, *, sign=1):
    """The cubic's coefficients from four linear equations, and the zero of its derivative; sign -1: its maximum."""
    (start, *_), (end, *_) = a, b
    rows = [row for t in (0.0, end - start) for row in ([t**3, t**2, t, 1.0], [3 * t**2, 2 * t, 1.0, 0.0])]
    c3, c2, c1, _ = np.linalg.solve(rows, [a[1], a[2], b[1], b[2]])
    root = sign * np.sqrt(c2**2 - 3 * c3 * c1)
    return start + (-c1 / (c2 + root) if sign * c2 > 0 else (root - c2) / (3 * c3))


def with_values(a, b, factor):
    """The minimum if both values are multiplied by a factor."""
    return minimum((a[0], factor * a[1], a[2]), (b[0], factor * b[1], b[2]))


def slopes_taken_as_in_u(a, b):
    """The minimum of the cubic in u that has the slopes in t."""
    return a[0] + (b[0] - a[0]) * minimum((0.0, *a[1:]), (1.0, *b[1:]))


def zero_of_the_line(a, b):
    """Where the straight line through both slopes is zero."""
    (start, _, slope_a), (end, _, slope_b) = a, b
    return start - slope_a * (end - start) / (slope_b - slope_a)


def minimum_of_the_parabola(a, b):
    """Where the parabola through both values with the slope at a is lowest."""
    (start, value_a, slope_a), (end, value_b, _) = a, b
    width = end - start
    return start - slope_a * width**2 / (2 * (value_b - value_a - slope_a * width))


def draw_cubic(random, lowest, highest):
    """A cubic whose minimum lies between `lowest` and `highest` in u, which is 0 at a and 1 at b."""
    start, width = random.standard_normal(), random.uniform(0.5, 2) * random.choice([-1, 1])
    low = start + width * random.uniform(lowest, highest)
    high = low + random.uniform(1, 3) * random.choice([-1, 1])
    derivative = np.polynomial.Polynomial.fromroots([low, high]) * np.sign(low - high)  # it rises at low
    value = derivative.integ(k=random.standard_normal())
    return tuple((float(t), float(value(t)), float(derivative(t))) for t in (start, start + width))


CUBIC_MINIMUM = Function(
    name="cubic_minimum",
    reference=minimum,
    returns="t",
    draw=draw_cubic,
    tolerance=1e-7,
    tests=(
        Worked("t^3 - 3 t, by hand", ((-0.5, 1.375, -2.25), (2.0, 2.0, 9.0)), 1.0),
        Worked("the parabola (t - 1)^2", ((0.0, 1.0, -2.0), (3.0, 4.0, 4.0)), 1.0),
        Worked("t^3 - 3 t with the places exchanged", ((2.0, 2.0, 9.0), (-0.5, 1.375, -2.25)), 1.0),
        Worked("t^3 - 3 t, of which the first place is the maximum", ((-1.0, 2.0, 0.0), (2.0, 2.0, 9.0)), 1.0),
        Worked("the same, of which the second place is the maximum", ((2.0, 2.0, 9.0), (-1.0, 2.0, 0.0)), 1.0),
        Drawn("a minimum between the two places", (0.1, 0.9)),
        Drawn("one beyond the second", (1.2, 3.0)),
        Drawn("one before the first", (-2.0, -0.2)),
    ),
    mistakes={
        "maximum": Mistake(
            "That is where the cubic is highest: of the two zeros of its slope, at which one does the slope rise?",
            partial(minimum, sign=-1),
        ),
        "in-u": Mistake(
            "You return u, which is 0 at a and 1 at b; the place t is wanted.",
            lambda a, b: (minimum(a, b) - a[0]) / (b[0] - a[0]),
        ),
        "first-place-forgotten": Mistake(
            "Your t counts from the first place, not from 0.", lambda a, b: minimum(a, b) - a[0]
        ),
        "slopes-not-in-u": Mistake(
            "The slopes are those in t: how fast does the value change if u goes from 0 to 1, and t by b - a?",
            slopes_taken_as_in_u,
        ),
        "difference-of-values-turned-round": Mistake(
            "The difference of the values comes in with the wrong sign: from a to b, is it that at b minus that at a?",
            partial(with_values, factor=-1),
        ),
        "factor-3-missing": Mistake(
            "The difference of the values is not counted as often as it should be: what is the integral of "
            "u (1 - u) from 0 to 1, and what of u squared?",
            partial(with_values, factor=1 / 3),
        ),
        "slopes-only": Mistake(
            "That is where a straight line through the two slopes is zero. It is right for a parabola; a cubic has a "
            "slope that is bent, and the values say how.",
            zero_of_the_line,
        ),
        "parabola": Mistake(
            "That is the lowest place of a parabola with both values and the slope at a: the slope at b is not used.",
            minimum_of_the_parabola,
        ),
    },
    hints=(
        "Do exercise 2 of the lesson on paper. What is left to do is a quadratic equation.",
        "With C known, divide the slope's formula by the square of 1 - u: it is a quadratic equation in u / (1 - u). "
        "At the minimum the slope goes from below zero to above.",
        "Each root of a quadratic equation can be written in two ways, with the root in the numerator or in the "
        "denominator; where a slope is zero one of the two may be 0 / 0. Written for u itself, one of them is A "
        "divided by the sum of A, C and minus the square root.",
    ),
    read='the section "How far? The line search", and exercise 2',
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
    q,
    pairs,
    gamma=newest_gamma,
    inward=reversed,
    outward=list,
    by="y",
    with_alpha="s",
    with_beta="y",
    alpha_sign=1,
    alphas_of=list,
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
    alphas = list(alphas_of([alphas[number] for number in range(len(pairs))]))
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


def as_the_loops(function, random, *, n, count):
    """The product with an H that is made without a matrix: y is s, each unknown with a curvature of its own."""
    q, curvatures = random.standard_normal(n), random.uniform(0.5, 2, n)
    pairs = [(s, curvatures * s) for s in random.standard_normal((count, n))]
    product, right = function(q, pairs), loops(q, pairs)
    if np.shape(product) != right.shape:
        return f"Your product has the shape {np.shape(product)}; it must be {right.shape}."
    error = np.abs(product - right).max()
    return None if error < 1e-6 * np.abs(right).max() else f"Your product differs by {error:.2g} from the right one."


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
        Property("200,000 unknowns, for which no matrix has room", partial(as_the_loops, n=200_000, count=5), True),
        Property("2,000 pairs, too many for a recursion", partial(as_the_loops, n=4, count=2_000), True),
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
        "alphas-of-other-pairs": Mistake(
            "On the way out each pair gets the alpha of another one: in which order have you kept them?",
            partial(loops, alphas_of=reversed),
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

EXERCISE = Exercise(
    "the line search's cubic, and the two loops of L-BFGS", (CUBIC_MINIMUM, TWO_LOOPS), answers=("scratchnst.optimize",)
)
