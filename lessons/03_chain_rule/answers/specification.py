"""The exercise: a matrix product backward, and the way back through a chain."""

from __future__ import annotations

from collections.abc import Callable
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


def square_forward(x):
    """x -> (x**2, x)"""
    return x**2, x


def square_backward(grad_y, cache):
    """grad_y * 2 * cache"""
    return grad_y * 2 * cache


def triple_forward(x):
    """x -> (3 * x, None)"""
    return 3 * x, None


def triple_backward(grad_y, cache):
    """3 * grad_y"""
    return 3 * grad_y


def sine_forward(x):
    """x -> (sin(x), x)"""
    return np.sin(x), x


def sine_backward(grad_y, cache):
    """grad_y * cos(cache)"""
    return grad_y * np.cos(cache)


def difference_forward(x):
    """x -> (x[1:] - x[:-1], None)"""
    return x[1:] - x[:-1], None


def difference_backward(grad_y, cache):
    """the adjoint of the difference"""
    return np.concatenate([-grad_y[:1], grad_y[:-1] - grad_y[1:], grad_y[-1:]])


def running_forward(x):
    """x -> (its running sum, x)"""
    return np.cumsum(x), x


def running_backward(grad_y, cache):
    """the running sum of grad_y, from its end"""
    return np.cumsum((np.zeros_like(cache) + grad_y)[::-1])[::-1]


def total_forward(x):
    """x -> (sum of x, x)"""
    return float(np.sum(x)), x


def total_backward(grad_y, cache):
    """grad_y for every element of cache"""
    return np.zeros_like(cache) + grad_y


class Operation(NamedTuple):
    """A pair as the learner is told of, with a name to show."""

    forward: Callable
    backward: Callable

    def __repr__(self) -> str:
        return f"({self.forward.__name__}, {self.backward.__name__})"


SQUARE, TRIPLE = Operation(square_forward, square_backward), Operation(triple_forward, triple_backward)
SINE, DIFFERENCE = Operation(sine_forward, sine_backward), Operation(difference_forward, difference_backward)
RUNNING, TOTAL = Operation(running_forward, running_backward), Operation(total_forward, total_backward)


def by_recursion(operations, x):
    """The first operation, and the gradient of the rest."""
    if not operations:
        return x, 1.0
    (forward, backward), rest = operations[0], operations[1:]
    y, cache = forward(x)
    L, grad_y = by_recursion(rest, y)
    return L, backward(grad_y, cache)


def walk_through(operations, x):
    """What each forward makes, and the caches."""
    ys, caches = [x], []
    for forward, _ in operations:
        y, cache = forward(ys[-1])
        ys.append(y)
        caches.append(cache)
    return ys, caches


def back_through(operations, caches, grad=1.0):
    """The gradient, handed from one backward to the next, in the order given."""
    for (_, backward), cache in zip(operations, caches):
        grad = backward(grad, cache)
    return grad


def not_reversed(operations, x):
    """The way back begins with the first operation."""
    ys, caches = walk_through(operations, x)
    return ys[-1], back_through(operations, caches)


def caches_not_reversed(operations, x):
    """The operations are reversed, their caches are not."""
    ys, caches = walk_through(operations, x)
    return ys[-1], back_through(operations[::-1], caches)


def begins_with_the_loss(operations, x):
    """The loss in the place of dL/dL."""
    ys, caches = walk_through(operations, x)
    return ys[-1], back_through(operations[::-1], caches[::-1], ys[-1])


def begins_with_minus_one(operations, x):
    """The wrong sign from the beginning of the way back."""
    ys, caches = walk_through(operations, x)
    return ys[-1], back_through(operations[::-1], caches[::-1], -1.0)


def nothing_handed_on(operations, x):
    """Every backward is told 1."""
    ys, caches = walk_through(operations, x)
    return ys[-1], operations[0][1](1.0, caches[0])


CHAIN = Function(
    name="chain_gradient",
    reference=by_recursion,
    returns=("L", "grad_x"),
    draw=lambda random, operations, *shape: (operations, random.uniform(0.5, 1.5, shape)),
    tests=(
        Worked("one operation, the sum", ([TOTAL], [1.0, 2.0]), (3.0, [1.0, 1.0])),
        Worked("two by hand", ([SQUARE, TOTAL], [1.0, -3.0]), (10.0, [2.0, -6.0])),
        Worked("three by hand", ([SQUARE, RUNNING, TOTAL], [1.0, -3.0]), (11.0, [4.0, -6.0])),
        Worked("three on one number", ([SQUARE, TRIPLE, SQUARE], 2.0), (144.0, 288.0)),
        Drawn("the same operation twice", ([SQUARE, SINE, SQUARE, TOTAL], 5)),
        Drawn("shapes that change on the way", ([SINE, DIFFERENCE, SQUARE, DIFFERENCE, SQUARE, TOTAL], 7)),
    ),
    mistakes={
        "not-reversed": Mistake(
            "The way back begins with the first operation. Which operation knows dL/dL = 1, and whom does it tell?",
            not_reversed,
        ),
        "caches-not-reversed": Mistake(
            "The operations are taken in reverse order, but the caches are not: an operation opens a parcel that "
            "another one has packed.",
            caches_not_reversed,
        ),
        "begins-with-the-loss": Mistake(
            "The gradient is too large by the factor L: what is the slope of L with respect to L?", begins_with_the_loss
        ),
        "chain-sign": Mistake(
            "Every slope has the wrong sign. If L rises by a little, by how much does L rise?", begins_with_minus_one
        ),
        "nothing-handed-on": Mistake(
            "It looks as if every backward were told 1, and only the last one's answer kept. What is each backward to "
            "be told?",
            nothing_handed_on,
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
