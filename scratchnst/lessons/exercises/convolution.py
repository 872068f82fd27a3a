"""The exercise of lesson 6: a dilated convolution."""

from __future__ import annotations

import numpy as np

from scratchnst.lessons.grader import Drawn, Exercise, Function, Mistake, Worked


def convolve(x, w, b, dilation, place=lambda index, length: index):
    """The sum as it stands; `place` says what an index beyond the image of some length stands for."""
    (count, height, width, _), (kh, kw, _, outputs) = x.shape, w.shape
    y = np.zeros((count, height, width, outputs)) + b
    for n, p, q, i, j in np.ndindex(count, height, width, kh, kw):
        u = place(p + dilation * (i - kh // 2), height)
        v = place(q + dilation * (j - kw // 2), width)
        if 0 <= u < height and 0 <= v < width:
            y[n, p, q] += x[n, u, v] @ w[i, j]
    return y


def reference(x, w, b, dilation):
    """One window after the other."""
    return convolve(x, w, b, dilation)


def stretched(x, w, b, rows, columns):
    """A kernel with its weights `rows` and `columns` apart and zeros between, in an ordinary convolution."""
    (kh, kw), channels = w.shape[:2], w.shape[2:]
    large = np.zeros((rows * (kh - 1) + 1, columns * (kw - 1) + 1, *channels))
    large[::rows, ::columns] = w
    return convolve(x, large, b, 1)


def draw(random, n, height, width, c, k, kh, kw, dilation):
    """An image, a kernel and biases."""
    x, w = random.standard_normal((n, height, width, c)), random.standard_normal((kh, kw, c, k))
    return x, w, random.standard_normal(k), dilation


def corner(x, w, b, dilation):
    """Windows that begin at the pixel in the place of having it in their middle."""
    (_, height, width, _), (kh, kw) = x.shape, w.shape[:2]
    below, right = dilation * (kh // 2), dilation * (kw // 2)
    padded = np.pad(x, ((0, 0), (0, 2 * below), (0, 2 * right), (0, 0)))
    return convolve(padded, w, b, dilation)[:, below : below + height, right : right + width]


def not_padded(x, w, b, dilation):
    """Only the outputs whose windows lie within the image."""
    rows, columns = (dilation * (side // 2) for side in w.shape[:2])
    return reference(x, w, b, dilation)[:, rows : x.shape[1] - rows, columns : x.shape[2] - columns]


CONVOLVE = Function(
    name="convolve_dilated",
    reference=reference,
    returns="y",
    draw=draw,
    tests=(
        Worked(
            "one row by hand",
            ([[[[1.0], [2.0], [0.0], [-1.0], [3.0]]]], [[[[1.0]], [[3.0]], [[-2.0]]]], [0.5], 2),
            [[[[3.5], [8.5], [-4.5], [-0.5], [9.5]]]],
        ),
        Drawn("dilation 1, the convolution of the lesson", (1, 4, 5, 2, 3, 3, 3, 1)),
        Drawn("dilation 2", (1, 6, 7, 2, 3, 3, 3, 2)),
        Drawn("several images, a kernel of 5x3", (3, 7, 6, 2, 4, 5, 3, 2)),
        Drawn("a kernel of one pixel", (2, 3, 4, 3, 2, 1, 1, 3)),
        Drawn("gaps larger than the image", (1, 4, 4, 2, 2, 3, 3, 5)),
        Drawn("float32 stays float32", (1, 5, 6, 2, 3, 3, 3, 2), dtype="float32"),
    ),
    mistakes=(
        Mistake(
            "dilation-ignored",
            "This is the convolution of the lesson, without gaps: where does `dilation` come in?",
            lambda x, w, b, dilation: convolve(x, w, b, 1),
        ),
        Mistake(
            "one-gap-too-many",
            "The pixels are one further apart than they should be: a dilation of 1 means neighbours, with nothing "
            "between them.",
            lambda x, w, b, dilation: convolve(x, w, b, dilation + 1),
        ),
        Mistake(
            "rows-only",
            "There are gaps between the rows, but none between the columns.",
            lambda x, w, b, dilation: stretched(x, w, b, dilation, 1),
        ),
        Mistake(
            "columns-only",
            "There are gaps between the columns, but none between the rows.",
            lambda x, w, b, dilation: stretched(x, w, b, 1, dilation),
        ),
        Mistake(
            "kernel-flipped",
            "The kernel is turned round: this is the convolution of signal processing. Compare the signs in front of "
            "i and j with those of the formula.",
            lambda x, w, b, dilation: convolve(x, w[::-1, ::-1], b, dilation),
        ),
        Mistake(
            "kernel-transposed",
            "Rows and columns of the kernel are exchanged: which of the two does i count?",
            lambda x, w, b, dilation: convolve(x, w.swapaxes(0, 1), b, dilation),
        ),
        Mistake(
            "window-off-centre",
            "The windows begin at their pixel. It should be in their middle: how many zeros belong above the image, "
            "and how many below?",
            corner,
        ),
        Mistake(
            "wrapped-around",
            "What leaves the image on one side comes in again on the other, as np.roll and negative indices do it. "
            "Outside the image there are zeros.",
            lambda x, w, b, dilation: convolve(x, w, b, dilation, lambda index, length: index % length),
        ),
        Mistake(
            "border-repeated",
            "Outside the image the pixels of its border are repeated; there should be zeros.",
            lambda x, w, b, dilation: convolve(x, w, b, dilation, lambda index, length: min(max(index, 0), length - 1)),
        ),
        Mistake(
            "not-padded",
            "Your y is too small: windows that reach beyond the image are left out. Zeros around it keep its size; how "
            "far does a window reach now?",
            not_padded,
        ),
        Mistake(
            "bias-missing",
            "The biases are missing.",
            lambda x, w, b, dilation: convolve(x, w, 0 * b, dilation),
        ),
        Mistake(
            "bias-once-a-weight",
            "The biases are added too often: once for each place of the kernel.",
            lambda x, w, b, dilation: convolve(x, w, w.shape[0] * w.shape[1] * b, dilation),
        ),
        Mistake(
            "one-weight-only",
            "Your y knows the last place of the kernel only: each place must add its part to what is there already.",
            lambda x, w, b, dilation: convolve(
                x, np.pad(w[-1:, -1:], ((w.shape[0] - 1, 0), (w.shape[1] - 1, 0), (0, 0), (0, 0))), b, dilation
            ),
        ),
    ),
    hints=(
        "Write the convolution of the lesson first, the sum of shifted images: with a dilation of 1 it must pass. Then "
        "ask of each number in it whether it counts places in the kernel or rows of the image.",
        "A weight in row i of the kernel meets an image that is shifted by dilation (i - r) rows. So the largest shift "
        "is dilation times r: how many rows of zeros does that take above, and how many below?",
        "In the padded image, the part that belongs to the weights [i, j] begins dilation times i rows from its top, "
        "is H rows high, and likewise for the columns. Matrix-multiply it with w[i, j], of shape (C, K), and add up.",
    ),
    read="the section on shifted images",
)

EXERCISE = Exercise("a convolution with gaps", (CONVOLVE,), answers=("scratchnst.ops.conv2d",))
