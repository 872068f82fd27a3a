"""The exercise: the gradients of a convolution without padding."""

from __future__ import annotations

import numpy as np

from scratchnst.classroom.grader import Derivative, Drawn, Exercise, Function, Mistake, Verified, Worked, with_result


def products(x, w):
    """Every term of the convolution: output (n, p, q, k), input (n, p + i, q + j, c), weight (i, j, c, k)."""
    (count, height, width, _), (kh, kw, _, _) = x.shape, w.shape
    for n, p, q in np.ndindex(count, height - kh + 1, width - kw + 1):
        for i, j, c, k in np.ndindex(*w.shape):
            yield (n, p, q, k), (n, p + i, q + j, c), (i, j, c, k)


def convolve(x, w, b=0.0):
    """y += x w, one term at a time."""
    y = np.zeros((len(x), x.shape[1] - w.shape[0] + 1, x.shape[2] - w.shape[1] + 1, w.shape[3])) + b
    for output, pixel, weight in products(x, w):
        y[output] += x[pixel] * w[weight]
    return y


def backward_input(grad_y, x, w):
    """grad_x += grad_y w, one term at a time."""
    grad_x = np.zeros(x.shape)
    for output, pixel, weight in products(x, w):
        grad_x[pixel] += grad_y[output] * w[weight]
    return grad_x


def backward_parameters(grad_y, x, w):
    """grad_w += grad_y x, one term at a time."""
    grad_w, grad_b = np.zeros(w.shape), np.zeros(w.shape[3])
    for output, pixel, weight in products(x, w):
        grad_w[weight] += grad_y[output] * x[pixel]
    for output in np.ndindex(*grad_y.shape):
        grad_b[output[3]] += grad_y[output]
    return grad_w, grad_b


def draw(random, count, height, width, channels, kh, kw, outputs):
    """An upstream gradient, images and a kernel."""
    shapes = (
        (count, height - kh + 1, width - kw + 1, outputs),
        (count, height, width, channels),
        (kh, kw, channels, outputs),
    )
    return tuple(random.standard_normal(shape) for shape in shapes)


def last_place(grad_y, x, w):
    """What is left of grad_x if each place of the kernel overwrites what the places before have written."""
    grad_x = np.zeros(x.shape)
    (height, width), (kh, kw) = grad_y.shape[1:3], w.shape[:2]
    for i, j in np.ndindex(kh, kw):
        grad_x[:, i : i + height, j : j + width] = grad_y @ w[i, j].T
    return grad_x


def in_the_middle(grad_x, grad_y, w):
    """As much of grad_x as there would be if zeros around the image made y as large as it."""
    (top, left), (height, width) = (side // 2 for side in w.shape[:2]), grad_y.shape[1:3]
    return grad_x[:, top : top + height, left : left + width]


def padded(x, w):
    """The image with zeros around it as in the lesson, cut to its size."""
    rows, columns = (side // 2 for side in w.shape[:2])
    return np.pad(x, ((0, 0), (rows, 0), (columns, 0), (0, 0)))[:, : x.shape[1], : x.shape[2]]


def unmoved(grad_w):
    """The kernel's gradient from windows in the order c, i, j, reshaped as if it were i, j, c."""
    return grad_w.transpose(2, 0, 1, 3).reshape(grad_w.shape)


def row(*numbers):
    """A row of pixels with one channel, (1, 1, W, 1)."""
    return np.array(numbers, float)[None, None, :, None]


def kernel(*weights):
    """A kernel of one row, (1, kw, 1, 1)."""
    return np.array(weights, float)[None, :, None, None]


TESTS = (
    Drawn("one image, one channel", (1, 4, 5, 1, 3, 3, 1)),
    Drawn("channels", (1, 5, 4, 3, 3, 3, 2)),
    Drawn("as many channels in as out", (1, 4, 4, 2, 3, 3, 2)),
    Drawn("several images, a kernel of 3x5", (2, 5, 7, 2, 3, 5, 3)),
    Drawn("a kernel with even sides", (1, 4, 5, 2, 2, 4, 3)),
    Drawn("float32 stays float32", (1, 4, 4, 2, 3, 3, 2), dtype="float32"),
    Verified("the gradient, checked numerically", (2, 5, 4, 2, 3, 3, 3)),
)

INPUT = Function(
    name="backward_input",
    reference=backward_input,
    returns="grad_x",
    draw=draw,
    derivative=Derivative(convolve, operation="conv2d"),
    tests=(
        # y = (x0 w0 + x1 w1 + x2 w2, x1 w0 + x2 w1 + x3 w2): x0 is in the first, times w0, x1 in both, ...
        Worked(
            "a row of four pixels, by hand",
            (row(2, 5), row(1, 2, 0, -1), kernel(1, 3, -2)),
            row(2 * 1, 2 * 3 + 5 * 1, 2 * -2 + 5 * 3, 5 * -2),
        ),
        *TESTS,
    ),
    mistakes={
        "kernel-not-flipped": Mistake(
            "Your gradient is the right one of a kernel turned by 180 degrees. Take the row of four pixels: through "
            "which weight has the first output seen the first pixel, and through which the last?",
            lambda grad_y, x, w: backward_input(grad_y, x, w[::-1, ::-1]),
        ),
        "kernel-rows-not-flipped": Mistake(
            "Your kernel is turned around from left to right, but not from top to bottom.",
            lambda grad_y, x, w: backward_input(grad_y, x, w[::-1]),
        ),
        "kernel-columns-not-flipped": Mistake(
            "Your kernel is turned around from top to bottom, but not from left to right.",
            lambda grad_y, x, w: backward_input(grad_y, x, w[:, ::-1]),
        ),
        "zeros-as-in-the-lesson": Mistake(
            "Your gradient has the size of grad_y, as in the lesson, where there are zeros around the image. Here the "
            "image is larger than y: which of its pixels has no output seen?",
            lambda grad_y, x, w: in_the_middle(backward_input(grad_y, x, w), grad_y, w),
        ),
        "last-place-only": Mistake(
            "Places of the kernel overwrite each other: a pixel that several outputs have seen gets what the last one "
            "says, not the sum.",
            last_place,
        ),
        "upstream-ignored": Mistake(
            "Your gradient takes all of grad_y as 1. Which of the arguments have you not used?"
        ),
    },
    hints=(
        "Write out y for a row of four pixels and a kernel of three weights, without zeros around: two equations. "
        "Which of them hold x[0], which x[1]? That is the list of paths to be added up.",
        "There are two ways. Either go through the kernel's places (i, j): each output hands its gradient, times "
        "w[i, j], on to the pixel that it has seen there. Or make it a convolution, as the lesson does; then count how "
        "many zeros grad_y needs around it so that x's size comes out.",
        "For one place (i, j), the pixels seen by all the outputs form a rectangle of x, as large as grad_y, whose "
        "corner is at (i, j). What is added to it is a product of grad_y with the matrix of that place, which here "
        "takes K numbers to C.",
    ),
    read='the sections "Two dimensions: every output that a pixel touches" and "Channels change places"',
)

PARAMETERS = Function(
    name="backward_parameters",
    reference=backward_parameters,
    returns=("grad_w", "grad_b"),
    draw=draw,
    derivative=Derivative(
        convolve,
        operation="conv2d",
        of=(1, 2),
        inputs=lambda x, w: (x, w, np.zeros(w.shape[3])),
        arguments=lambda x, w, b: (x, w),
    ),
    tests=(
        Worked(
            "a row of four pixels, by hand",
            (row(2, 5), row(1, 2, 0, -1), kernel(1, 3, -2)),
            (kernel(2 * 1 + 5 * 2, 2 * 2 + 5 * 0, 2 * 0 + 5 * -1), [7.0]),
        ),
        *TESTS,
    ),
    mistakes={
        "kernel-gradient-flipped": Mistake(
            "Your dL/dw is turned by 180 degrees. The kernel is flipped for dL/dx; here, which pixel does w[0, 0] meet "
            "in output (0, 0)?",
        ),
        "zeros-as-in-the-lesson": Mistake(
            "Your dL/dw is that of an image with zeros around it, as in the lesson. Here there are none: which pixel "
            "does w[0, 0] meet in output (0, 0)?",
            with_result(
                backward_parameters,
                0,
                lambda grad_w, grad_y, x, w: backward_parameters(grad_y, padded(x, w), w)[0],
            ),
        ),
        "last-image-only": Mistake(
            "Only the last image counts. All images share the kernel and the bias: what does the chain rule do with "
            "several paths?",
            lambda grad_y, x, w: backward_parameters(grad_y[-1:], x[-1:], w),
        ),
        "mean-over-images": Mistake(
            "You take the mean over the images. The loss is what it is: the chain rule has a sum.",
            lambda grad_y, x, w: tuple(gradient / len(x) for gradient in backward_parameters(grad_y, x, w)),
        ),
        "mean-over-outputs": Mistake(
            "You take the mean over the outputs. The chain rule has a sum.",
            lambda grad_y, x, w: tuple(
                gradient / grad_y[..., 0].size for gradient in backward_parameters(grad_y, x, w)
            ),
        ),
        "bias-mean": Mistake(
            "dL/dw is right. In dL/db you take a mean over images and pixels: the bias is added to each of them, and "
            "the chain rule has a sum.",
            with_result(backward_parameters, 1, lambda grad_b, grad_y, x, w: grad_y.mean(axis=(0, 1, 2))),
        ),
        "window-order": Mistake(
            "The numbers of your windows are taken for those of other places once there are several channels. "
            "sliding_window_view puts the window's axes last, (C, kh, kw); in which order are those of w?",
            with_result(backward_parameters, 0, lambda grad_w, *_: unmoved(grad_w)),
        ),
        "bias-over-channels": Mistake(
            "dL/dw is right. Your dL/db is one number for all output channels, but each of them has a bias of its own: "
            "over which axes of grad_y is to be summed?",
            with_result(backward_parameters, 1, lambda grad_b, grad_y, x, w: grad_y.sum()),
        ),
        "bias-for-each-image": Mistake(
            "dL/dw is right. Your dL/db has a row for each image, but the images share one bias: what does the chain "
            "rule do with several paths?",
            with_result(backward_parameters, 1, lambda grad_b, grad_y, x, w: grad_y.sum(axis=(1, 2))),
        ),
        "order": Mistake(
            "dL/dw and dL/db come in the wrong order.", lambda grad_y, x, w: backward_parameters(grad_y, x, w)[::-1]
        ),
    },
    hints=(
        "w[i, j, c, k] multiplies one pixel for each output. Which pixel is it for output (p, q)? Add up that pixel "
        "times that output's gradient, over everything but i, j, c and k.",
        "For one place (i, j), the pixels that meet it form a rectangle of x as large as grad_y. Sum the products of "
        "its channels with those of grad_y over images, rows and columns: that is a product of matrices.",
        "Reshape the rectangle to (outputs, C) and grad_y to (outputs, K). Which product of the two is (C, K), and "
        "sums over the outputs? And b[k] is added to every output of channel k: what does each of them say?",
    ),
    read='the section "The weights"',
)

EXERCISE = Exercise(
    "the way back through a convolution",
    (INPUT, PARAMETERS),
    answers=("scratchnst.ops.conv2d", "scratchnst.engine"),
)
