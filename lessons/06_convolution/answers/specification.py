"""The exercise: a dilated convolution, by products of matrices."""

from __future__ import annotations

from functools import partial

import numpy as np

from scratchnst.classroom.grader import Drawn, Exercise, Function, Mistake, Property, Worked


def convolve(x, w, b, dilation):
    """By the definition, one multiplication at a time."""
    (count, height, width, _), (kh, kw, channels, outputs) = x.shape, w.shape
    y = np.zeros((count, height, width, outputs)) + b
    for n, p, q, k in np.ndindex(*y.shape):
        for i, j, c in np.ndindex(kh, kw, channels):
            u, v = p + (i - kh // 2) * dilation, q + (j - kw // 2) * dilation
            if 0 <= u < height and 0 <= v < width:
                y[n, p, q, k] += x[n, u, v, c] * w[i, j, c, k]
    return y


def draw(random, count, height, width, channels, kh, kw, outputs, dilation):
    """Images, a kernel and a bias."""
    x = random.standard_normal((count, height, width, channels))
    return x, random.standard_normal((kh, kw, channels, outputs)), random.standard_normal(outputs), dilation


def repeated(x, w, b, dilation, *, mode):
    """With the image continued in one of NumPy's ways, not by zeros."""
    rows, columns = (side // 2 * dilation for side in w.shape[:2])
    padded = np.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)), mode=mode)
    return convolve(padded, w, b, dilation)[:, rows : rows + x.shape[1], columns : columns + x.shape[2]]


def whole_kernel_only(x, w, b, dilation):
    """At the places where the whole kernel lies on the image."""
    rows, columns = (side // 2 * dilation for side in w.shape[:2])
    return convolve(x, w, b, dilation)[:, rows : x.shape[1] - rows, columns : x.shape[2] - columns]


def cornered(x, w, b, dilation):
    """With the kernel's upper left corner, not its middle, on the output pixel."""
    rows, columns = (side // 2 * dilation for side in w.shape[:2])
    padded = np.pad(x, ((0, 0), (0, rows), (0, columns), (0, 0)))
    return convolve(padded, w, b, dilation)[:, rows:, columns:]


def one_way(x, w, b, dilation, *, rows, columns):
    """Dilated along one side of the kernel only: its weights spread out among zeros."""
    if dilation == 1:
        return convolve(x, w, b, 1)
    kh, kw, *channels = w.shape
    down, across = (dilation if dilated else 1 for dilated in (rows, columns))
    spread = np.zeros(((kh - 1) * down + 1, (kw - 1) * across + 1, *channels))
    spread[::down, ::across] = w
    return convolve(x, spread, b, 1)


def windows_weights(w):
    """The kernel that windows meet whose numbers are in the order c, i, j where the weights are in i, j, c."""
    kh, kw, channels, outputs = w.shape
    return w.reshape(channels, kh, kw, outputs).transpose(1, 2, 0, 3)


def many_numbers(function, random):
    """A call that runs into the time limit if it is made of loops: 38 million multiplications."""
    shape = np.shape(function(*draw(random, 1, 64, 64, 32, 3, 3, 32, 2)))
    return None if shape == (1, 64, 64, 32) else f"y has the shape {shape}; it must be (1, 64, 64, 32)."


IMAGE = np.array([[1.0, 2, 0, 1], [3, 1, 1, 0], [0, 2, 4, 1], [1, 0, 2, 3]])[None, :, :, None]
KERNEL = np.array([[0.0, 1, 0], [2, 0, -1], [0, 0, 1]])[:, :, None, None]
BIAS = np.zeros(1)
LESSONS_OUTPUT = np.array([[-1.0, 3, 3, 0], [2, 11, 3, 3], [1, -1, 7, 8], [0, 2, 1, 5]])[None, :, :, None]
# Row 0, say: pixel (0, 0) sees (0, 2) through -1 and (2, 2) through 1; (0, 2) sees (0, 0) through 2.
DILATED_OUTPUT = np.array([[4.0, 0, 2, 4], [1, 3, 6, 2], [-3, 1, 0, 5], [1, -2, 3, 0]])[None, :, :, None]

DILATED = Function(
    name="convolve_dilated",
    reference=convolve,
    returns="y",
    draw=draw,
    tests=(
        Worked("dilation 1: the lesson's image of 4x4 pixels", (IMAGE, KERNEL, BIAS, 1), LESSONS_OUTPUT),
        Worked("dilation 2, on the same image", (IMAGE, KERNEL, BIAS, 2), DILATED_OUTPUT),
        Drawn("channels, and a bias", (1, 5, 6, 3, 3, 3, 4, 1)),
        Drawn("several images, dilation 2", (2, 7, 6, 3, 3, 3, 2, 2)),
        Drawn("a kernel of 3x5, dilation 3", (1, 9, 11, 2, 3, 5, 3, 3)),
        Drawn("a dilation that reaches beyond the image", (1, 3, 4, 2, 3, 3, 2, 4)),
        Drawn("float32 stays float32", (1, 5, 5, 2, 3, 3, 3, 2), dtype="float32"),
        Property("64x64 pixels, 32 channels: quick with products of matrices, endless with loops", many_numbers, True),
    ),
    mistakes={
        "kernel-flipped": Mistake(
            "Your kernel is counted from its other end, as in mathematics. In networks, which pixel does the weight "
            "w[0, 0] meet: the one above and to the left, or the one below and to the right?",
            lambda x, w, b, dilation: convolve(x, w[::-1, ::-1], b, dilation),
        ),
        "kernel-transposed": Mistake(
            "Rows and columns of your kernel have changed places: which of i and j moves down, and which to the right?",
            lambda x, w, b, dilation: convolve(x, w.swapaxes(0, 1), b, dilation),
        ),
        "not-dilated": Mistake(
            "That is the lesson's convolution, of dilation 1. Where does the dilation enter, when the kernel's place "
            "(i, j) is turned into a pixel?",
            lambda x, w, b, dilation: convolve(x, w, b, 1),
        ),
        "rows-only-dilated": Mistake(
            "The kernel's rows lie apart, its columns do not: both directions are dilated.",
            partial(one_way, rows=True, columns=False),
        ),
        "columns-only-dilated": Mistake(
            "The kernel's columns lie apart, its rows do not: both directions are dilated.",
            partial(one_way, rows=False, columns=True),
        ),
        "dilation-off-by-one": Mistake(
            "The pixels looked at lie one too far apart: dilation is the step from one to the next, not the number of "
            "pixels between them.",
            lambda x, w, b, dilation: convolve(x, w, b, dilation + 1),
        ),
        "corner-for-centre": Mistake(
            "Everything is shifted: you lay the kernel's upper left corner on the output pixel. Which place of the "
            "kernel belongs there, and how many zeros does that take on each of the four sides?",
            cornered,
        ),
        "not-padded": Mistake(
            "Only those places are there at which the whole kernel lies on the image; y is to be as large as the "
            "image. What is x outside of it?",
            whole_kernel_only,
        ),
        "padded-wrap": Mistake(
            "What leaves the image at one border comes in at the opposite one (np.roll does that). What is x outside "
            "of the image?",
            partial(repeated, mode="wrap"),
        ),
        "padded-edge": Mistake(
            "The image goes on beyond its border with the border's pixels. What is x outside of the image?",
            partial(repeated, mode="edge"),
        ),
        "bias-missing": Mistake(
            "All is right but for a constant in each output channel: one of the arguments is not used.",
            lambda x, w, b, dilation: convolve(x, w, 0 * b, dilation),
        ),
        "bias-for-each-weight": Mistake(
            "All is right but for a constant in each output channel, which comes in once for each place of the kernel: "
            "how often is it to be added?",
            lambda x, w, b, dilation: convolve(x, w, w.shape[0] * w.shape[1] * b, dilation),
        ),
        "window-order": Mistake(
            "The numbers of your windows do not meet their own weights once there are several channels. "
            "sliding_window_view puts the window's axes last, (C, kh, kw); in which order are those of w?",
            lambda x, w, b, dilation: convolve(x, windows_weights(w), b, dilation),
        ),
        "last-weight-only": Mistake(
            "It is the part of the kernel's last place alone. Does each round of your loop keep what the rounds before "
            "have added up?",
            lambda x, w, b, dilation: convolve(x, last_place(w), b, dilation),
        ),
    },
    hints=(
        "Begin with the lesson's convolution by shifted images. For the kernel's place (i, j), by how many rows and "
        "columns must the image be moved now?",
        "The farthest place of the kernel lies (kh // 2) * dilation rows from its middle. So many zeros are needed "
        "above and below, and likewise left and right; then every moved image is a slice of the padded one.",
        "In the padded image, the pixel that place (0, 0) of the kernel meets for output (0, 0) is (0, 0). For place "
        "(i, j) it is i dilations further down and j dilations further right. Cut out a slice as large as the image "
        "from there, take it through the matrix of its weights, and add it up.",
    ),
    read='the sections "im2col: one matrix product" and "Shifted images: nine matrix products"',
)


def last_place(w):
    """The kernel with all places but the last set to zero."""
    alone = np.zeros_like(w)
    alone[-1, -1] = w[-1, -1]
    return alone


EXERCISE = Exercise("a dilated convolution", (DILATED,), answers=("scratchnst.ops.conv2d", "scratchnst.engine"))
