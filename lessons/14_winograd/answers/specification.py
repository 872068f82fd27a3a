"""The exercise: Winograd's convolution of a row and both its gradients, multiplications counted."""

from __future__ import annotations

import numpy as np

from scratchnst.classroom.grader import Derivative, Drawn, Exercise, Function, Mistake, Property, Verified, Worked


def plain(x, w):
    """By the definition."""
    return np.array([sum(x[p + j] * w[j] for j in range(3)) for p in range(len(x) - 2)])


def convolve(x, w, multiply):
    """By the definition."""
    return plain(x, w)


def backward_input(grad_y, x, w, multiply):
    """By the definition: y[p] += x[p + j] w[j] reversed."""
    grad_x = np.zeros(len(x))
    for p, j in np.ndindex(len(grad_y), 3):
        grad_x[p + j] += grad_y[p] * w[j]
    return grad_x


def backward_kernel(grad_y, x, w, multiply):
    """By the definition: y[p] += x[p + j] w[j] reversed."""
    return np.array([sum(grad_y[p] * x[p + j] for p in range(len(grad_y))) for j in range(3)])


def multiply(a, b):
    """the product of a and b, element by element"""
    return np.multiply(a, b)


def draw(random, length):
    """A row of pixels and a kernel."""
    return random.standard_normal(length), random.standard_normal(3), multiply


def draw_backward(random, length):
    """The same behind an upstream gradient."""
    return random.standard_normal(length - 2), *draw(random, length)


def counted(arguments_of):
    """Return the property that a function makes do with four multiplications a tile."""

    def complaint(function, random):
        count = 0

        def multiply(a, b):
            """the product of a and b, counted"""
            nonlocal count
            count += np.broadcast(a, b).size
            return np.multiply(a, b)

        length = 20
        function(*arguments_of(random, length)[:-1], multiply)
        tiles = (length - 2) // 2
        if not count:
            return "multiply was never called: every product of pixels, weights or gradients goes through it."
        if count <= 4 * tiles:
            return None
        advice = "Which numbers do you multiply before they have been taken to the points?"
        if count == 4 * (tiles + 1):
            advice = "You seem to cut a row into tiles that is longer than y: transpose the steps from x to y instead."
        return f"It takes {count} multiplications for {tiles} tiles of two outputs; {4 * tiles} are enough. {advice}"

    return Property("four multiplications a tile", complaint)


def products(x, w):
    """The four products of each tile, (tiles, 4)."""
    d = np.stack([x[start : len(x) - 2 + start : 2] for start in range(4)])
    return np.stack(
        [
            (d[0] - d[2]) * w[0],
            (d[1] + d[2]) / 2 * (w[0] + w[1] + w[2]),
            (d[2] - d[1]) / 2 * (w[0] - w[1] + w[2]),
            (d[3] - d[1]) * w[2],
        ],
        axis=1,
    )


def combined(M, a, b):
    """Outputs M0 + a (M1 + M2) and a (M1 - M2) + b M3 of each tile."""
    return np.stack([M[:, 0] + a * (M[:, 1] + M[:, 2]), a * (M[:, 1] - M[:, 2]) + b * M[:, 3]], axis=1).ravel()


EVALUATION = np.array([[1.0, 0, 0, 0], [1, 1, 1, 1], [1, -1, 1, -1], [0, 0, 0, 1]])
B = np.linalg.inv(EVALUATION)
A = np.array([[1.0, 0], [1, 1], [1, -1], [0, 1]])


def at_points(w):
    """The kernel's values at 0, 1, -1 and infinity."""
    return np.array([w[0], w.sum(), w[0] - w[1] + w[2], w[2]])


def not_transposed(x, w, multiply):
    """With B d in the place of B^T d."""
    pieces = np.stack([x[start : start + 4] for start in range(0, len(x) - 2, 2)])
    return ((pieces @ B.T * at_points(w)) @ A).ravel()


def transposed_too_much(grad_y, x, w, multiply):
    """With B^T in the place of B on the way back."""
    grad_x = np.zeros(len(x))
    for start in range(0, len(grad_y), 2):
        grad_x[start : start + 4] += B.T @ (A @ grad_y[start : start + 2] * at_points(w))
    return grad_x


def overlap_lost(grad_y, x, w, multiply):
    """Where tiles overlap, the later one's gradient alone."""
    grad_x = np.zeros(len(x))
    for start in range(0, len(grad_y), 2):
        grad_x[start : start + 4] = np.convolve(grad_y[start : start + 2], w)
    return grad_x


def derivative(of):
    """What both gradients are the derivative of."""
    return Derivative(
        plain,
        of=(of,),
        inputs=lambda x, w, multiply: (x, w),
        arguments=lambda x, w: (x, w, multiply),
    )


FORWARD = Function(
    name="convolve",
    reference=convolve,
    returns="y",
    draw=draw,
    tests=(
        Worked("one tile: the lesson's four pixels", ([1.0, 2, 4, 3], [2.0, 1, 3], multiply), [16.0, 17]),
        Drawn("two tiles", (6,)),
        Drawn("many tiles", (22,)),
        counted(draw),
    ),
    mistakes={
        "kernel-flipped": Mistake(
            "Your kernel is counted from its other end: the first weight belongs to the first of three pixels.",
            lambda x, w, multiply: plain(x, w[::-1]),
        ),
        "outputs-exchanged": Mistake(
            "The two outputs of each tile have changed places: in which order do the columns of A give them?",
            lambda x, w, multiply: plain(x, w).reshape(-1, 2)[:, ::-1].ravel(),
        ),
        "points-not-transposed": Mistake(
            "You take the pixels to the points by B, not by its transpose. Where each row of an array is a tile, on "
            "which side does the matrix stand, and which of the two?",
            not_transposed,
        ),
        "halves-missing": Mistake(
            "The two products in the middle are twice as large as they should be. When a polynomial is found from its "
            "values at 1 and -1, what are their sum and their difference divided by?",
            lambda x, w, multiply: combined(products(x, w), 2, 1),
        ),
        "last-product-negative": Mistake(
            "The first output of each tile is right; in the second, the fourth product has the wrong sign, in the way "
            "there or in the way back, but not in both.",
            lambda x, w, multiply: combined(products(x, w), 1, -1),
        ),
    },
    hints=(
        "Treat one tile first: four pixels, two outputs. The lesson's first section has the four products; its third "
        "has the matrices.",
        "For all tiles at once put them into the rows of an array, (tiles, 4). A matrix that is applied to each row "
        "from the left, as in B^T d, stands on the right, transposed, in a product with all rows.",
        "Take the rows to the points, take w to the points, one call of multiply (it broadcasts), and back from the "
        "points: two outputs in each row, which lie in their order already.",
    ),
    read='the sections "Four multiplications for two outputs" and "Transposing it"',
)

INPUT = Function(
    name="backward_input",
    reference=backward_input,
    returns="grad_x",
    draw=draw_backward,
    derivative=derivative(0),
    tests=(
        Worked(
            "one tile, by hand",
            ([1.0, 2], [1.0, 2, 4, 3], [2.0, 1, 3], multiply),
            [1.0 * 2, 1 * 1 + 2 * 2, 1 * 3 + 2 * 1, 2 * 3],
        ),
        Drawn("two tiles", (6,)),
        Drawn("many tiles", (22,)),
        Verified("the gradient, checked numerically", (8,)),
        counted(draw_backward),
    ),
    mistakes={
        "kernel-flipped": Mistake(
            "Your kernel is counted from its other end: through which weight has y[0] seen x[0]?",
            lambda grad_y, x, w, multiply: np.convolve(grad_y, w[::-1]),
        ),
        "points-transposed": Mistake(
            "Back from the points you take the gradients by the transpose of B. On the way there it was the transpose "
            "that took a tile to the points: what is the transpose of a transpose?",
            transposed_too_much,
        ),
        "overlap-lost": Mistake(
            "Pixels that two tiles look at get what one of them says. What does the chain rule do with two paths?",
            overlap_lost,
        ),
    },
    hints=(
        "For a given w, each step from x to y is linear: cutting into tiles, to the points, multiplying by numbers, "
        "back from the points. Transpose each, and take them from the last to the first.",
        "A matrix transposed is clear. Multiplying each number by another one is its own transpose. And cutting a row "
        "into overlapping tiles copies some pixels: what is the transpose of copying?",
        "grad_y, two in a row, goes to the points by the matrix that brought outputs back from there. After multiply "
        "come the gradients of each tile's four pixels. Add them up in their places: the first two of each tile in one "
        "go, the last two, which lie two pixels further on, in another.",
    ),
    read='the section "The way back"',
)

KERNEL = Function(
    name="backward_kernel",
    reference=backward_kernel,
    returns="grad_w",
    draw=draw_backward,
    derivative=derivative(1),
    tests=(
        Worked(
            "one tile, by hand",
            ([1.0, 2], [1.0, 2, 4, 3], [2.0, 1, 3], multiply),
            [1.0 * 1 + 2 * 2, 1 * 2 + 2 * 4, 1 * 4 + 2 * 3],
        ),
        Drawn("two tiles", (6,)),
        Drawn("many tiles", (22,)),
        Verified("the gradient, checked numerically", (8,)),
        counted(draw_backward),
    ),
    mistakes={
        "kernel-gradient-flipped": Mistake(
            "Your gradient stands in the opposite order: w[0] meets the first of the three pixels of an output.",
            lambda grad_y, x, w, multiply: backward_kernel(grad_y, x, w, multiply)[::-1],
        ),
        "last-tile-only": Mistake(
            "Only the last tile counts. All tiles share the kernel: what does the chain rule do with many paths?",
            lambda grad_y, x, w, multiply: backward_kernel(grad_y[-2:], x[-4:], w, multiply),
        ),
        "mean-over-tiles": Mistake(
            "You take the mean over the tiles. The chain rule has a sum.",
            lambda grad_y, x, w, multiply: backward_kernel(grad_y, x, w, multiply) / (len(grad_y) // 2),
        ),
    },
    hints=(
        "For given pixels, each step from w to y is linear: to the points, multiplying by the pixels' values there, "
        "back from the points. Transpose each, and take them from the last to the first.",
        "At the points, a tile's values of the pixels and its gradients are multiplied, element by element. The "
        "kernel's values at the points are the same for all tiles: what becomes of all these products?",
        "You have both factors from the other two functions. Their products, (tiles, 4), added up over the tiles are "
        "the gradient at the points. The matrix that took w there, transposed, brings it back to three numbers.",
    ),
    read='the section "The way back"',
)

EXERCISE = Exercise(
    "Winograd's convolution of a row, forward and back",
    (FORWARD, INPUT, KERNEL),
    answers=("scratchnst.engine.cpu.winograd",),
)
