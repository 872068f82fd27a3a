"""The exercise of lesson 13: Winograd's convolution of a row of pixels with three weights, and both gradients."""

from __future__ import annotations

import numpy as np

from scratchnst.lessons.grader import Derivative, Drawn, Exercise, Function, Mistake, Property, Verified, Worked


def multiply(first, second):
    """(array, array) -> array, counts its multiplications"""
    return np.multiply(first, second)


def at(row, place):
    """A number of a row, zero beyond its ends."""
    return row[place] if 0 <= place < len(row) else 0.0


def convolve(x, w):
    """The sum as it stands."""
    return np.array([sum(at(x, p + i - 1) * w[i] for i in range(3)) for p in range(len(x))])


def convolve_row(x, w, multiply):
    """With six multiplications for two outputs."""
    return convolve(x, w)


def backward_input(grad_y, w, multiply):
    """The product rule: each output throws what it has to say at three pixels."""
    grad_x = np.zeros(len(grad_y) + 2)
    for p in range(len(grad_y)):
        grad_x[p : p + 3] += grad_y[p] * w
    return grad_x[1:-1]


def backward_weights(grad_y, x, multiply):
    """The same with respect to the weights."""
    return np.array([sum(grad_y[p] * at(x, p + i - 1) for p in range(len(x))) for i in range(3)])


def four_for_two(draw):
    """The test that functions make four multiplications for two outputs, and none behind the counter's back."""

    def complaint(function, random):
        for length in (6, 7):
            counted: list[int] = []

            def multiply(first, second, counted=counted):
                """(array, array) -> array, counts its multiplications"""
                product = np.multiply(first, second)
                counted.append(product.size)
                return product

            function(*draw(random, length)[:2], multiply)
            total, needed = sum(counted), 4 * ((length + 1) // 2)
            if total > needed:
                return f"For {length} pixels multiply counts {total} multiplications; {needed} must do."
            if total < needed:
                return (
                    f"For {length} pixels multiply counts only {total} multiplications, and Winograd needs {needed}: "
                    "the others are made without it."
                )
        return None

    return Property("four multiplications for two outputs", complaint)


def brackets(x, w, halves=0.5, sign=-1):
    """The lesson's four products, tile after tile."""
    y = np.zeros(len(x) + 1)
    for p in range(0, len(x), 2):
        d = [at(x, p + i - 1) for i in range(4)]
        M = (d[0] - d[2]) * w[0], halves * (d[1] + d[2]) * sum(w), halves * (d[2] - d[1]) * (w[0] - w[1] + w[2])
        y[p], y[p + 1] = sum(M), M[1] + sign * M[2] + (d[3] - d[1]) * w[2]
    return y[: len(x)]


def of_tiles(grad_y, x, change):
    """grad_w, after `change` of each tile's part; (tiles, 3)."""
    parts = [
        [sum(at(grad_y, p + k) * at(x, p + k + i - 1) for k in range(2)) for i in range(3)] for p in range(0, len(x), 2)
    ]
    return change(np.array(parts))


def end_lost(y):
    """Of a row of odd length, the last output is zero."""
    return y * (np.arange(len(y)) < len(y) // 2 * 2)


def draw_kernel(random, length):
    """A row and three weights."""
    return random.standard_normal(length), random.standard_normal(3), multiply


def draw_rows(random, length):
    """Two rows."""
    return random.standard_normal(length), random.standard_normal(length), multiply


ROWS = (
    Drawn("two pixels", (2,)),
    Drawn("eight pixels", (8,)),
    Drawn("a row of odd length", (7,)),
    Drawn("one pixel", (1,)),
)
OFF_CENTRE = Mistake(
    "off-centre",
    "Every window begins at its pixel. The middle one of the three weights belongs to it: how many zeros stand on the "
    "left?",
    lambda x, w, multiply: convolve(np.append(x, [0.0, 0.0]), w)[1:-1],
)

FORWARD = Function(
    name="convolve_row",
    reference=convolve_row,
    returns="y",
    draw=draw_kernel,
    tests=(
        Worked("four pixels by hand", ([1.0, 2.0, 4.0, 3.0], [2.0, 1.0, 3.0], multiply), [7.0, 16.0, 17.0, 11.0]),
        *ROWS,
        four_for_two(draw_kernel),
    ),
    mistakes=(
        OFF_CENTRE,
        Mistake(
            "kernel-flipped",
            "The three weights are taken in the opposite order: which of them meets the pixel on the left?",
            lambda x, w, multiply: convolve(x, w[::-1]),
        ),
        Mistake(
            "halves-missing",
            "The products at the points 1 and -1 come in twice as large as they should.",
            lambda x, w, multiply: brackets(x, w, halves=1.0),
        ),
        Mistake(
            "sign-of-m2",
            "The first output of each pair is right, the second is not: look at the signs with which it takes its "
            "products.",
            lambda x, w, multiply: brackets(x, w, sign=1),
        ),
        Mistake(
            "one-output-too-many",
            "A row of odd length gets one output too many: the last tile reaches beyond its end.",
            lambda x, w, multiply: np.append(convolve(x, w), [x[-1] * w[0]] * (len(x) % 2)),
        ),
        Mistake(
            "end-lost",
            "In a row of odd length the last output is zero. The last tile has one output to give, even if the other "
            "one lies beyond the end.",
            lambda x, w, multiply: end_lost(convolve(x, w)),
        ),
    ),
    hints=(
        "Do one tile first: four numbers d in, two outputs out, as in the lesson's first section. Then ask which four "
        "numbers of the row belong to which two outputs.",
        "The outputs 0 and 1 look at the pixels -1 to 2, the outputs 2 and 3 at the pixels 1 to 4: tiles of four begin "
        "two apart, and the first begins at a zero. How many zeros at the end make the last tile whole?",
        "Put the tiles in the rows of a matrix. One product with a matrix of the lesson takes all of them to the "
        "points, another takes all products back to outputs; in between multiply is called a single time.",
    ),
    read='the sections "Four multiplications for two outputs" and "Transposing it"',
)

INPUT = Function(
    name="backward_input",
    reference=backward_input,
    returns="grad_x",
    draw=draw_kernel,
    derivative=Derivative(
        convolve,
        inputs=lambda w, multiply: (np.arange(7.0), w),  # y is linear in x, and any x will do
        arguments=lambda x, w: (w, multiply),
    ),
    tests=(
        Worked("four pixels by hand", ([1.0, 2.0, 4.0, 3.0], [2.0, 1.0, 3.0], multiply), [5.0, 13.0, 16.0, 15.0]),
        *ROWS,
        four_for_two(draw_kernel),
        Verified("the gradient, checked numerically", (7,)),
    ),
    mistakes=(
        Mistake(
            "kernel-not-flipped",
            "This is the convolution of grad_y with the weights in their order. Looking back is looking in the "
            "opposite direction.",
            lambda grad_y, w, multiply: convolve(grad_y, w),
        ),
        Mistake(
            "input-end-lost",
            "In a row of odd length the last gradient is zero, but the last pixel is seen by two outputs.",
            lambda grad_y, w, multiply: end_lost(backward_input(grad_y, w, multiply)),
        ),
    ),
    hints=(
        "Which outputs does x[u] touch, and through which weights? Lesson 7 has the answer for a row.",
        "It is a convolution again. Of what, with which weights?",
        "You have a function that convolves a row with three weights with few multiplications already. Only what you "
        "hand to it is different now.",
    ),
    read='the section "The way back"',
)

WEIGHTS = Function(
    name="backward_weights",
    reference=backward_weights,
    returns="grad_w",
    draw=draw_rows,
    derivative=Derivative(
        convolve,
        of=(1,),
        inputs=lambda x, multiply: (x, np.ones(3)),
        arguments=lambda x, w: (x, multiply),
    ),
    tests=(
        Worked("four pixels by hand", ([1.0, 2.0, 0.0, -1.0], [1.0, 2.0, 4.0, 3.0], multiply), [-2.0, 2.0, 10.0]),
        *ROWS,
        four_for_two(draw_rows),
        Verified("the gradient, checked numerically", (7,)),
    ),
    mistakes=(
        Mistake(
            "flipped",
            "The three slopes are in the opposite order. Nothing is turned round here: the weight of the left "
            "neighbour meets the left neighbour.",
            lambda grad_y, x, multiply: backward_weights(grad_y, x, multiply)[::-1],
        ),
        Mistake(
            "last-tile-only",
            "Only the last tile counts. The weights are used in all of them, and all of them add up.",
            lambda grad_y, x, multiply: of_tiles(grad_y, x, lambda parts: parts[-1]),
        ),
        Mistake(
            "averaged-over-tiles",
            "The tiles are averaged; they should add up.",
            lambda grad_y, x, multiply: of_tiles(grad_y, x, lambda parts: parts.mean(axis=0)),
        ),
        Mistake(
            "tiles-not-summed",
            "There is one row of slopes for each tile. All tiles share the weights: what becomes of what they say?",
            lambda grad_y, x, multiply: of_tiles(grad_y, x, lambda parts: parts),
        ),
    ),
    hints=(
        "Follow the numbers from w to y: to the points, times the pixels at the points, back to the outputs. Each of "
        "these steps is linear in w.",
        "Transpose each step, and take them in the opposite order: grad_y goes to the points first, by the matrix that "
        "took the products back to outputs.",
        "At the points, multiply is called once, with the pixels and with what grad_y has become; the tiles add up; "
        "and the transpose of the weights' matrix takes four numbers to three.",
    ),
    read='the section "The way back"',
)

EXERCISE = Exercise(
    "Winograd's convolution of a row", (FORWARD, INPUT, WEIGHTS), answers=("scratchnst.engine.cpu.winograd",)
)
