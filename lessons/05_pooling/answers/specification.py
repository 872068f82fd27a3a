"""The exercise: average pooling backward, max pooling forward and backward."""

from __future__ import annotations

from functools import partial

import numpy as np

from scratchnst.classroom.grader import Derivative, Drawn, Exercise, Function, Mistake, Verified, Worked, with_result

ODD_FORGOTTEN = (
    "It is right where both sides are even. With an odd one, the last row or column belongs to no square: which shape "
    "must grad_x have, and what stands there?"
)


def squares(shape):
    """The index of each output and the four pixels of its square, in reading order."""
    for n, p, q, c in np.ndindex(shape[0], shape[1] // 2, shape[2] // 2, shape[3]):
        yield (n, p, q, c), [(n, 2 * p + i, 2 * q + j, c) for i in (0, 1) for j in (0, 1)]


def pooled_shape(shape):
    """The shape of the output for an input of `shape`."""
    return shape[0], shape[1] // 2, shape[2] // 2, shape[3]


def average(x):
    """One square at a time."""
    y = np.zeros(pooled_shape(x.shape))
    for index, pixels in squares(x.shape):
        y[index] = sum(x[pixel] for pixel in pixels) / 4
    return y


def maximum(x, *, size=float, order=(0, 1, 2, 3)):
    """One square at a time; the keyword-only arguments make mistakes of it."""
    y, winner = np.zeros(pooled_shape(x.shape)), np.zeros(pooled_shape(x.shape), int)
    for index, pixels in squares(x.shape):
        winner[index] = max(order, key=lambda number: size(x[pixels[number]]))
        y[index] = x[pixels[winner[index]]]
    return y, winner


def average_backward(grad_y, shape):
    """One square at a time."""
    return handed_out(grad_y, shape, lambda index, number: 1 / 4)


def maximum_backward(grad_y, winner, shape):
    """One square at a time."""
    return handed_out(grad_y, shape, lambda index, number: number == winner[index])


def handed_out(grad_y, shape, share):
    """Give each pixel of a square, counted from 0, its share of the square's number."""
    grad_x = np.zeros(shape)
    for index, pixels in squares(shape):
        for number, pixel in enumerate(pixels):
            grad_x[pixel] = share(index, number) * grad_y[index]
    return grad_x


def draw_average(random, *shape):
    """grad_y and the shape of x."""
    return random.standard_normal(pooled_shape(shape)), shape


def draw_maximum(random, *shape):
    """grad_y, winners and the shape of x."""
    return random.standard_normal(pooled_shape(shape)), random.integers(0, 4, pooled_shape(shape)), shape


def draw_tied(random, *shape):
    """Few different numbers, so that there are ties."""
    return random.integers(-2, 3, shape).astype(float)


def some_picture(shape):
    """Any x of that shape: average pooling is linear, and its backward knows no more of x."""
    return (np.random.default_rng(0).standard_normal(shape),)


def picture_with(winner, shape):
    """An x of that shape with these winners."""
    return (maximum_backward(np.ones(winner.shape), winner, shape),)


def even(backward):
    """A mistake that cuts odd sides off."""

    def wrong(*arguments):
        *rest, shape = arguments
        return backward(*rest, (shape[0], shape[1] // 2 * 2, shape[2] // 2 * 2, shape[3]))

    return wrong


AVERAGE_BACKWARD = Function(
    name="average_pool_backward",
    reference=average_backward,
    returns="grad_x",
    draw=draw_average,
    derivative=Derivative(
        average, "average_pool", inputs=lambda shape: some_picture(shape), arguments=lambda x: (x.shape,)
    ),
    tests=(
        Worked(
            "four by four by hand",
            ([[[[4.0], [8.0]], [[-4.0], [0.0]]]], (1, 4, 4, 1)),
            [[[[1.0], [1.0], [2.0], [2.0]]] * 2 + [[[-1.0], [-1.0], [0.0], [0.0]]] * 2],
        ),
        Drawn("several pictures and channels", (2, 4, 6, 3)),
        Drawn("odd sides", (2, 5, 7, 3)),
        Drawn("float32 stays float32", (2, 4, 5, 2), dtype="float32"),
        Verified("the gradient, checked numerically", (1, 4, 5, 2)),
    ),
    mistakes={
        "average-factor": Mistake(
            "Every slope goes to the right pixels, but with the wrong factor. By how much does the mean of four "
            "numbers move when one of them moves by h?",
            lambda grad_y, shape: 4 * average_backward(grad_y, shape),
        ),
        "one-corner-only": Mistake(
            "Only one pixel of each square gets its share. All four have entered the mean.",
            lambda grad_y, shape: handed_out(grad_y, shape, lambda index, number: (number == 0) / 4),
        ),
        "tiled": Mistake(
            "The whole of grad_y is laid out several times, side by side. Each of its numbers should fill one square: "
            "how do np.tile and np.repeat differ?",
        ),
        "odd-forgotten": Mistake(ODD_FORGOTTEN, even(average_backward)),
    },
    hints=(
        "Take one number of grad_y. Which pixels of x went into that output, and how much does each of them get?",
        "Begin with zeros of the given shape. The upper left pixels of all squares, grad_x[:, 0::2, 0::2], are as many "
        "as there are numbers in grad_y, if both sides are even. What about the other three corners?",
        "For odd sides, let the slices end at the last even number of rows and columns: height = H // 2 * 2. What they "
        "leave out stays zero.",
    ),
    read='the sections "Average pooling" and "Odd sizes"',
)

COUNTED_DOWN = "y is right. The winners are counted down the columns; they should be counted along the rows."

MAX_FORWARD = Function(
    name="max_pool_forward",
    reference=maximum,
    returns=("y", "winner"),
    draw=lambda random, *shape: random.standard_normal(shape),
    tests=(
        Worked("one square by hand", ([[[[1.0], [2.0]], [[4.0], [3.0]]]],), ([[[[4.0]]]], [[[[2.0]]]])),
        Worked("a tie", ([[[[0.0], [5.0]], [[5.0], [5.0]]]],), ([[[[5.0]]]], [[[[1.0]]]])),
        Worked("all negative", ([[[[-4.0], [-3.0]], [[-2.0], [-1.0]]]],), ([[[[-1.0]]]], [[[[3.0]]]])),
        Drawn("several pictures and channels", (2, 4, 6, 3)),
        Drawn("odd sides", (2, 5, 7, 3)),
        Drawn("many ties", (2, 6, 6, 2), draw=draw_tied),
    ),
    mistakes={
        "smallest-wins": Mistake(
            "The smallest number of each square has won.", partial(maximum, size=lambda number: -number)
        ),
        "largest-size-wins": Mistake(
            "The number that is largest without its sign has won. Is -4 larger than -1?",
            partial(maximum, size=abs),
        ),
        "last-of-ties": Mistake(
            "All is right but for ties: of several that are equally large, the first one in reading order is to win.",
            partial(maximum, order=(3, 2, 1, 0)),
        ),
        "winner-transposed": Mistake(
            COUNTED_DOWN, with_result(maximum, 1, lambda winner, x: winner % 2 * 2 + winner // 2)
        ),
        "corners-down-the-columns": Mistake(
            COUNTED_DOWN,
            with_result(maximum, 1, lambda winner, x: maximum(x.transpose(0, 2, 1, 3))[1].transpose(0, 2, 1, 3)),
        ),
        "counted-from-one": Mistake(
            "y is right. The winners are counted from 1; the upper left one should be 0.",
            with_result(maximum, 1, lambda winner, x: winner + 1),
        ),
    },
    hints=(
        "Take the four corners of all squares as four arrays with the help of slices. Then compare these four, number "
        "by number.",
        "np.stack makes one array of the four, with a new axis in front. Along this axis there is a largest number, "
        "and a place where it stands.",
        "NumPy has a function for the largest along an axis and another one for its place; look up which place it "
        "gives when several are equal. For odd sides, let the slices end at an even number.",
    ),
    read='the sections "Max pooling", "Ties" and "Odd sizes"',
)


MAX_BACKWARD = Function(
    name="max_pool_backward",
    reference=maximum_backward,
    returns="grad_x",
    draw=draw_maximum,
    derivative=Derivative(
        lambda x: maximum(x)[0],
        "max_pool",
        inputs=picture_with,
        arguments=lambda x: (maximum(x)[1], x.shape),
    ),
    tests=(
        Worked(
            "four by four by hand",
            ([[[[4.0], [8.0]], [[-4.0], [6.0]]]], np.array([[[[3], [2]], [[0], [1]]]]), (1, 4, 4, 1)),
            [
                [
                    [[0.0], [0.0], [0.0], [0.0]],
                    [[0.0], [4.0], [8.0], [0.0]],
                    [[-4.0], [0.0], [0.0], [6.0]],
                    [[0.0], [0.0], [0.0], [0.0]],
                ]
            ],
        ),
        Drawn("several pictures and channels", (2, 4, 6, 3)),
        Drawn("odd sides", (2, 5, 7, 3)),
        Drawn("float32 stays float32", (2, 4, 5, 2), dtype="float32"),
        Verified("the gradient, checked numerically", (1, 4, 5, 2)),
    ),
    mistakes={
        "all-take-it": Mistake(
            "All four pixels of a square get the slope. Three of them did not reach the output: what happens to y when "
            "one of these is nudged?",
            lambda grad_y, winner, shape: 4 * average_backward(grad_y, shape),
        ),
        "shared-evenly": Mistake(
            "This is the backward of average pooling. Who gets the slope of a maximum?",
            lambda grad_y, winner, shape: average_backward(grad_y, shape),
        ),
        "winner-transposed": Mistake(
            "The slopes arrive in the right squares, but upper right and lower left are exchanged: which number stands "
            "for which corner?",
            lambda grad_y, winner, shape: maximum_backward(grad_y, winner % 2 * 2 + winner // 2, shape),
        ),
        "losers-take-it": Mistake(
            "The three that have not won get the slope, and the winner does not: look at the comparison.",
            lambda grad_y, winner, shape: handed_out(grad_y, shape, lambda index, number: number != winner[index]),
        ),
        "odd-forgotten": Mistake(ODD_FORGOTTEN, even(maximum_backward)),
    },
    hints=(
        "Begin with zeros of the given shape and look at one corner of all squares, grad_x[:, 0::2, 0::2] say. Which "
        "numbers of grad_y belong there?",
        "Those of the squares that corner number 0 has won. The comparison of winner with a number gives an array that "
        "is true there.",
        "Do the same for each of the four corners, with its own number: a loop over four corners is no loop over "
        "pixels. For odd sides, let the slices end at an even number.",
    ),
    read='the sections "Max pooling" and "Odd sizes"',
)

EXERCISE = Exercise(
    "average pooling backward, max pooling forward and backward",
    (AVERAGE_BACKWARD, MAX_FORWARD, MAX_BACKWARD),
    answers=("scratchnst.ops.average_pool", "scratchnst.ops.max_pool"),
)
