"""The exercise: central differences of an array, and Richardson's extrapolation."""

from __future__ import annotations

import numpy as np

from scratchnst.classroom.grader import Drawn, Exercise, Function, Mistake, Property, Worked


def cubes(x):
    """x -> sum of x**3"""
    return float(np.sum(x**3))


def total(x):
    """x -> sum of x"""
    return float(np.sum(x))


def entangled(x):
    """x -> (sum of sin(x)) * (sum of exp(x / 2))"""
    return float(np.sin(x).sum() * np.exp(x / 2).sum())


def differences(f, x, h):
    """Along the unit vectors."""
    gradient = np.zeros(x.size)
    for number, direction in enumerate(np.eye(x.size)):
        ahead, behind = (x + way * h * direction.reshape(x.shape) for way in (1, -1))
        gradient[number] = (f(ahead) - f(behind)) / (ahead - behind).sum()
    return gradient.reshape(x.shape)


def by_formula(formula):
    """A mistake that computes each slope by a formula of (f, x, its direction, h)."""

    def wrong(f, x, h):
        directions = np.eye(x.size).reshape(x.size, *x.shape)
        return np.array([formula(f, x, direction, h) for direction in directions]).reshape(x.shape)

    return wrong


def piling_up(f, x, h):
    """Every element stays where its last nudge left it."""
    there, gradient = x.copy(), np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        here = there[index]
        there[index] = here + h
        ahead, far = f(there), there[index]
        there[index] = here - h
        gradient[index] = (ahead - f(there)) / (far - there[index])
    return gradient


def all_at_once(f, x, h):
    """The whole array moves."""
    return np.full_like(x, (f(x + h) - f(x - h)) / ((x + h) - (x - h)).flat[0])


ONE_SIDED = "This looks to one side only, so its error is of order h. Where must the second value be taken?"
TURNED_ROUND = "Every slope has the wrong sign: which of the two values is to be subtracted from which?"

GRADIENT = Function(
    name="numerical_gradient",
    reference=differences,
    returns="gradient",
    draw=lambda random, *shape: (entangled, random.standard_normal(shape), 0.1),
    tests=(
        Worked("one number by hand", (cubes, [2.0], 0.1), [12.01]),
        Worked("two numbers by hand", (cubes, [1.0, -2.0], 0.5), [3.25, 12.25]),
        Drawn("a loss in which the elements meet", (4,)),
        Drawn("a small picture", (2, 3, 3)),
        Worked("a step of 1e-15, which the computer rounds", (total, [1.0], 1e-15), [1.0]),
    ),
    mistakes={
        "one-sided": Mistake(ONE_SIDED, by_formula(lambda f, x, v, h: (f(x + h * v) - f(x)) / h)),
        "one-sided-by-the-true-step": Mistake(
            ONE_SIDED, by_formula(lambda f, x, v, h: (f(x + h * v) - f(x)) / ((x + h * v) - x).sum())
        ),
        "half-missing": Mistake(
            "Every slope is twice as large as it should be. How far apart are the two places at which f is taken?",
            by_formula(lambda f, x, v, h: (f(x + h * v) - f(x - h * v)) / h),
        ),
        "sign": Mistake(TURNED_ROUND, by_formula(lambda f, x, v, h: (f(x - h * v) - f(x + h * v)) / (2 * h))),
        "sign-by-the-true-step": Mistake(TURNED_ROUND, lambda f, x, h: -differences(f, x, h)),
        "nudges-pile-up": Mistake(
            "The first slope is right, the others are not: an element that was nudged is not put back before the next "
            "one is. What does your array look like in the second round?",
            piling_up,
        ),
        "all-at-once": Mistake(
            "All slopes come out alike: it looks as if the whole array moved. Which elements may move when the slope "
            "with respect to one of them is wanted?",
            all_at_once,
        ),
        "planned-step": Mistake(
            "All is right but for one thing: you divide by the step that was planned. With h = 1e-15 the element goes "
            "to the nearest number that the computer knows. How do you find out how far that is?",
            by_formula(lambda f, x, v, h: (f(x + h * v) - f(x - h * v)) / (2 * h)),
        ),
    },
    hints=(
        "Begin with a single element, x[0] say: which two arrays do you hand to f?",
        "np.ndindex(*x.shape) runs through the indices of an array of any shape. In each round make two arrays that "
        "differ from x in one place only.",
        "The distance that was really moved is the difference of that one element in the two arrays, since both hold "
        "numbers that the computer knows.",
    ),
    read='the sections "Calculus: the truncation error" and "Arithmetic: the round-off error"',
)


def cube(x):
    """x -> x**3"""
    return x**3


def fifth_power(x):
    """x -> x**5"""
    return x**5


def wavy(x):
    """x -> exp(x) sin(x)"""
    return np.exp(x) * np.sin(x)


def slope_by_differences(f, x, h):
    """The weights of f at x - h, x - h/2, x + h/2, x + h, found by hand: (1, -8, 8, -1) / 6h."""
    return (f(x - h) - 8 * f(x - h / 2) + 8 * f(x + h / 2) - f(x + h)) / (6 * h)


def weighed(of_h, of_half):
    """A mistake that weighs D(h) and D(h/2) otherwise."""

    def wrong(f, x, h):
        D, D_half = ((f(x + step) - f(x - step)) / (2 * step) for step in (h, h / 2))
        return of_h * D + of_half * D_half

    return wrong


def order_complaint(function, random):
    """The error must fall to a sixteenth when the step is halved."""
    x = 1 + random.random() / 10
    exact = np.exp(x) * (np.sin(x) + np.cos(x))
    errors = [abs(function(wavy, x, h) - exact) for h in (0.2, 0.1)]
    ratio = errors[0] / max(errors[1], 1e-300)
    if 12 < ratio < 20:
        return None
    return f"When h is halved, the error falls to 1/{ratio:.3g}; with an error of order h**4 it is about 1/16."


ONE_ALONE = "This is one central difference alone. You need two, with different errors."

SLOPE = Function(
    name="extrapolated_slope",
    reference=slope_by_differences,
    returns="slope",
    draw=lambda random, h: (wavy, float(random.uniform(0.5, 1.5)), h),
    tests=(
        Worked("a cube: no error is left", (cube, 2.0, 0.5), 12.0),
        Worked("a fifth power by hand", (fifth_power, 1.0, 1.0), 4.75),
        Drawn("another function", (0.3,)),
        Drawn("a smaller step", (0.01,)),
        Property("the error is of order h**4", order_complaint),
    ),
    mistakes={
        "weights-exchanged": Mistake(
            "The two differences have each other's weight. Which of them is nearer to the slope, and so counts more?",
            weighed(4 / 3, -1 / 3),
        ),
        "weights-of-one-sided": Mistake(
            "These weights remove an error of order h, as a one-sided difference has it. By which factor does the "
            "error of a central difference fall when h is halved?",
            weighed(-1, 2),
        ),
        "weights-not-one": Mistake(
            "The error of order h**2 is gone, but so is the scale: for a straight line both differences are its slope. "
            "What must the two weights add up to?",
            weighed(-1, 4),
        ),
        "mean": Mistake(
            "This is the mean of the two differences. Both are off in the same direction, so what does a mean of them "
            "not remove?",
            weighed(1 / 2, 1 / 2),
        ),
        "weights-added": Mistake(
            "The two weights have the same sign, so that the errors of order h**2 are added. What must be done with "
            "two equal terms to be rid of them?",
            weighed(1 / 3, 4 / 3),
        ),
        "one-difference": Mistake(ONE_ALONE, weighed(0, 1)),
        "larger-difference": Mistake(ONE_ALONE, weighed(1, 0)),
        "larger-steps": Mistake(
            "This is right for the steps h and 2 h: look up which two steps are asked for.",
            lambda f, x, h: slope_by_differences(f, x, 2 * h),
        ),
    },
    hints=(
        "Write D(h) = f' + C h**2 and D(h/2) = f' + C h**2 / 4 below each other: two equations with two "
        "unknowns, f' and C.",
        "Multiply the second equation so that the terms with C are equal in both, and subtract.",
        "What remains on one side is a multiple of f': divide by that number.",
    ),
    read='the section "Calculus: the truncation error"',
)

EXERCISE = Exercise(
    "central differences, and a slope with two orders more",
    (GRADIENT, SLOPE),
    answers=("scratchnst.verify.methods.differences",),
)
