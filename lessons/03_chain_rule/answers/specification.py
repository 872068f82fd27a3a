"""The exercise: a matrix product backward, and the way back through a chain."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from scratchnst.classroom.grader import Derivative, Drawn, Exercise, Function, Mistake, Verified, Worked, with_result


def matmul(x, w):
    """One entry at a time."""
    return np.array([[sum(a * b for a, b in zip(row, column)) for column in w.T] for row in x])


def matmul_gradients(grad_y, x, w):
    """Each product x[p, c] w[c, k] of the sum in y[p, k] reversed."""
    grad_x, grad_w = np.zeros_like(x), np.zeros_like(w)
    for p, k in np.ndindex(*grad_y.shape):
        for c in range(x.shape[1]):
            grad_x[p, c] += grad_y[p, k] * w[c, k]
            grad_w[c, k] += grad_y[p, k] * x[p, c]
    return grad_x, grad_w


def draw_matrices(random, M, C, K):
    """grad_y, x and w."""
    return tuple(random.standard_normal(shape) for shape in ((M, K), (M, C), (C, K)))


SUMMED = "grad_x is right. In grad_w an axis is summed away, but every entry of w has a slope of its own."

MATMUL = Function(
    name="matmul_backward",
    reference=matmul_gradients,
    returns=("grad_x", "grad_w"),
    draw=draw_matrices,
    derivative=Derivative(matmul, of=(0, 1)),
    tests=(
        Worked("numbers by hand", ([[2.0]], [[3.0]], [[5.0]]), ([[10.0]], [[6.0]])),
        Worked(
            "two by two by hand",
            ([[1.0, 0.0], [0.0, 10.0]], [[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [0.0, 1.0]]),
            ([[1.0, 0.0], [20.0, 10.0]], [[1.0, 30.0], [2.0, 40.0]]),
        ),
        Drawn("square matrices", (4, 4, 4)),
        Drawn("three different sides", (5, 3, 2)),
        Drawn("float32 stays float32", (4, 2, 3), dtype="float32"),
        Verified("the gradient, checked numerically", (4, 3, 2)),
    ),
    mistakes={
        "w-not-transposed": Mistake(
            "grad_w is right. In grad_x the entries of w are taken in the wrong order: write out the sum for one entry "
            "of grad_x and see whether k runs along a row or along a column of w.",
            with_result(matmul_gradients, 0, lambda _, g, x, w: g @ w),
        ),
        "x-not-transposed": Mistake(
            "grad_x is right. In grad_w the entries of x are taken in the wrong order: write out the sum for one entry "
            "of grad_w and see along which axis of x it runs.",
            with_result(matmul_gradients, 1, lambda _, g, x, w: x @ g),
        ),
        "neither-transposed": Mistake(
            "Both products are made without turning a matrix round, which only square ones allow: write out the sum "
            "for one entry of grad_x, and see along which axis of w it runs.",
            lambda g, x, w: (g @ w, x @ g),
        ),
        "grad-w-summed-over-rows": Mistake(SUMMED, with_result(matmul_gradients, 1, lambda grad_w, *_: grad_w.sum(0))),
        "grad-w-summed-over-columns": Mistake(
            SUMMED, with_result(matmul_gradients, 1, lambda grad_w, *_: grad_w.sum(1))
        ),
        "factors-exchanged": Mistake(
            "grad_x is right. In grad_w the two factors stand in the wrong order, and a product of matrices minds. "
            "Which of them has the rows of w?",
            with_result(matmul_gradients, 1, lambda _, g, x, w: g @ x.T if g.shape[1] == x.shape[1] else g.T @ x),
        ),
        "grad-w-transposed": Mistake(
            "grad_x is right. grad_w has its rows and columns exchanged: it must have the shape of w.",
            with_result(matmul_gradients, 1, lambda _, g, x, w: g.T @ x),
        ),
        "results-exchanged": Mistake(
            "Both gradients are there, but in the wrong order.", lambda g, x, w: matmul_gradients(g, x, w)[::-1]
        ),
        "mean-over-rows": Mistake(
            "grad_x is right and grad_w is too small by the number of rows. Each row of x meets the same w; what comes "
            "in on several paths is added, not averaged.",
            with_result(matmul_gradients, 1, lambda _, g, x, w: x.T @ g / len(x)),
        ),
        "upstream-ignored": Mistake(
            "This would be right if grad_y were all ones: the slopes alone, without what comes from above.",
            lambda g, x, w: matmul_gradients(np.ones_like(g), x, w),
        ),
    },
    hints=(
        "y[p, k] is the sum of x[p, c] w[c, k] over c. Which of the y does x[p, c] enter, and with which factor?",
        "x[p, c] enters the whole row p of y, y[p, k] with the factor w[c, k]. Paths add: grad_x[p, c] is a sum over "
        "k. Do the same for w[c, k], which enters the whole column k of y.",
        "Both sums are matrix products again, of grad_y with one of the factors. The shapes leave little choice: which "
        "product of (M, K) and a transposed (C, K) has the shape (M, C)?",
    ),
    read='the section "Many numbers: the Jacobian"',
)


class Operation(NamedTuple):
    """A pair as the learner is told of, with a name to show."""

    forward: Callable
    backward: Callable

    def __repr__(self) -> str:
        return f"({self.forward.__name__}, {self.backward.__name__})"


def operation(name, forward, backward):
    """A pair under its name."""
    forward.__name__, backward.__name__ = f"{name}_forward", f"{name}_backward"
    return Operation(forward, backward)


SQUARE = operation("square", lambda x: (x**2, x), lambda grad_y, cache: grad_y * 2 * cache)
TRIPLE = operation("triple", lambda x: (3 * x, None), lambda grad_y, cache: 3 * grad_y)
SINE = operation("sine", lambda x: (np.sin(x), x), lambda grad_y, cache: grad_y * np.cos(cache))
DIFFERENCE = operation(
    "difference",
    lambda x: (x[1:] - x[:-1], None),
    lambda grad_y, cache: np.concatenate([-grad_y[:1], grad_y[:-1] - grad_y[1:], grad_y[-1:]]),
)
RUNNING = operation(  # the running sum; backward, that of grad_y from its end
    "running",
    lambda x: (np.cumsum(x), x),
    lambda grad_y, cache: np.cumsum((np.zeros_like(cache) + grad_y)[::-1])[::-1],
)
TOTAL = operation("total", lambda x: (float(np.sum(x)), x), lambda grad_y, cache: np.zeros_like(cache) + grad_y)


def by_recursion(operations, x):
    """The first operation, and the gradient of the rest."""
    if not operations:
        return x, 1.0
    (forward, backward), rest = operations[0], operations[1:]
    y, cache = forward(x)
    L, grad_y = by_recursion(rest, y)
    return L, backward(grad_y, cache)


def there_and_back(operations, x, *, backwards=reversed, caches_backwards=reversed, begin=lambda L: 1.0):
    """The chain in two loops; the keyword-only arguments make mistakes of the way back."""
    y, caches = x, []
    for forward, _ in operations:
        y, cache = forward(y)
        caches.append(cache)
    grad = begin(y)
    for (_, backward), cache in zip(backwards(operations), caches_backwards(caches)):
        grad = backward(grad, cache)
    return y, grad


def nothing_handed_on(grad_x, operations, x):
    """Every backward is told 1."""
    forward, backward = operations[0]
    return backward(1.0, forward(x)[1])


CHAIN = Function(
    name="chain_gradient",
    reference=by_recursion,
    returns=("L", "grad_x"),
    draw=lambda random, operations, *shape: (operations, random.uniform(0.5, 1.5, shape)),
    tests=(
        Worked("one operation, the sum", ([TOTAL], [1.0, 2.0]), (3.0, [1.0, 1.0])),
        Worked("two by hand", ([SQUARE, TOTAL], [1.0, -3.0]), (10.0, [2.0, -6.0])),
        Worked("three by hand", ([SQUARE, RUNNING, TOTAL], [1.0, -3.0]), (11.0, [4.0, -6.0])),
        Worked("three on one number", ([SQUARE, TRIPLE, SQUARE], np.array(2.0)), (144.0, 288.0)),
        Drawn("the same operation twice", ([SQUARE, SINE, SQUARE, TOTAL], 5)),
        Drawn("shapes that change on the way", ([SINE, DIFFERENCE, SQUARE, DIFFERENCE, SQUARE, TOTAL], 7)),
    ),
    mistakes={
        "not-reversed": Mistake(
            "The way back begins with the first operation. Which operation knows dL/dL = 1, and whom does it tell?",
            partial(there_and_back, backwards=list, caches_backwards=list),
        ),
        "caches-not-reversed": Mistake(
            "The operations are taken in reverse order, but the caches are not: an operation opens a parcel that "
            "another one has packed.",
            partial(there_and_back, caches_backwards=list),
        ),
        "begins-with-the-loss": Mistake(
            "The gradient is too large by the factor L: what is the slope of L with respect to L?",
            partial(there_and_back, begin=lambda L: L),
        ),
        "chain-sign": Mistake(
            "Every slope has the wrong sign. If L rises by a little, by how much does L rise?",
            partial(there_and_back, begin=lambda L: -1.0),
        ),
        "nothing-handed-on": Mistake(
            "It looks as if every backward were told 1, and only the last one's answer kept. What is each backward to "
            "be told?",
            with_result(by_recursion, 1, nothing_handed_on),
        ),
    },
    hints=(
        "Look at `edge_loss` in the lesson, which does this for three operations: which lines become one line in a "
        "loop, and what has to be remembered between the two halves?",
        "On the way forward put every cache into a list. On the way back, the operation that came last is asked first, "
        "with its own cache.",
        "What goes forward from operation to operation is y, and begins with x. What goes backward is the gradient: "
        "what does it begin with? Python's reversed() runs through a list from its end.",
    ),
    read='the sections "The contract" and "Chained"',
)

EXERCISE = Exercise("a matrix product backward, and the way back through a chain", (MATMUL, CHAIN))
