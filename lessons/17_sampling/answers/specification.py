"""The exercise: padding and upsampling backward, and a convolution with a stride, forward and backward."""

from __future__ import annotations

from functools import partial

import numpy as np

from scratchnst.classroom.grader import Derivative, Drawn, Exercise, Function, Mistake, Verified, Worked, with_result


def shown(i, length):
    """The row of the image that stands at row i, counted from the image's first."""
    if i < 0:
        return -i
    return i if i < length else 2 * (length - 1) - i


def reflect(x, rows, columns):
    """One pixel at a time."""
    y = np.zeros((len(x), x.shape[1] + 2 * rows, x.shape[2] + 2 * columns, x.shape[3]))
    for n, p, q, c in np.ndindex(*y.shape):
        y[n, p, q, c] = x[n, shown(p - rows, x.shape[1]), shown(q - columns, x.shape[2]), c]
    return y


def reflect_backward(grad_y, x, rows, columns, *, place=shown):
    """Each assignment reversed; another `place` makes a mistake of it."""
    grad_x = np.zeros(x.shape)
    for n, p, q, c in np.ndindex(*grad_y.shape):
        grad_x[n, place(p - rows, x.shape[1]), place(q - columns, x.shape[2]), c] += grad_y[n, p, q, c]
    return grad_x


def last_path(grad_y, x, rows, columns):
    """The gradient if of the places at which a pixel is shown the last one alone counts."""
    grad_x = np.zeros(x.shape)
    for n, p, q, c in np.ndindex(*grad_y.shape):
        grad_x[n, shown(p - rows, x.shape[1]), shown(q - columns, x.shape[2]), c] = grad_y[n, p, q, c]
    return grad_x


def repeated_at_the_end(i, length):
    """`shown` with a second mirror that shows the outermost row once more."""
    return shown(i, length) if i < length else 2 * length - 1 - i


def upsample(x):
    """One pixel at a time."""
    y = np.zeros((len(x), 2 * x.shape[1], 2 * x.shape[2], x.shape[3]))
    for n, p, q, c in np.ndindex(*y.shape):
        y[n, p, q, c] = x[n, p // 2, q // 2, c]
    return y


def upsample_backward(grad_y, x):
    """Each assignment reversed."""
    grad_x = np.zeros(x.shape)
    for n, p, q, c in np.ndindex(*grad_y.shape):
        grad_x[n, p // 2, q // 2, c] += grad_y[n, p, q, c]
    return grad_x


def windows(x, w, stride):
    """Rows and columns of windows."""
    return tuple((x.shape[axis] - w.shape[axis - 1]) // stride + 1 for axis in (1, 2))


def products(x, w, stride):
    """Every term: output (n, p, q, k), input (n, s p + i, s q + j, c), weight (i, j, c, k)."""
    for n, p, q in np.ndindex(len(x), *windows(x, w, stride)):
        for i, j, c, k in np.ndindex(*w.shape):
            yield (n, p, q, k), (n, stride * p + i, stride * q + j, c), (i, j, c, k)


def strided_forward(x, w, b, stride):
    """y += x w, one term at a time."""
    y = np.zeros((len(x), *windows(x, w, stride), w.shape[3])) + b
    for output, pixel, weight in products(x, w, stride):
        y[output] += x[pixel] * w[weight]
    return y


def strided_backward_input(grad_y, x, w, stride):
    """grad_x += grad_y w, one term at a time."""
    grad_x = np.zeros(x.shape)
    for output, pixel, weight in products(x, w, stride):
        grad_x[pixel] += grad_y[output] * w[weight]
    return grad_x


def strided_backward_parameters(grad_y, x, w, stride):
    """grad_w += grad_y x, one term at a time."""
    grad_w, grad_b = np.zeros(w.shape), np.zeros(w.shape[3])
    for output, pixel, weight in products(x, w, stride):
        grad_w[weight] += grad_y[output] * x[pixel]
    for output in np.ndindex(*grad_y.shape):
        grad_b[output[3]] += grad_y[output]
    return grad_w, grad_b


def draw_reflected(random, count, height, width, channels, rows, columns):
    """An upstream gradient, images and margins."""
    shape = (count, height + 2 * rows, width + 2 * columns, channels)
    return random.standard_normal(shape), random.standard_normal((count, height, width, channels)), rows, columns


def draw_upsampled(random, count, height, width, channels):
    """An upstream gradient and images."""
    return tuple(random.standard_normal((count, side * height, side * width, channels)) for side in (2, 1))


def draw_forward(random, count, height, width, channels, kh, kw, outputs, stride):
    """Images, a kernel, biases and a stride."""
    shapes = (count, height, width, channels), (kh, kw, channels, outputs), (outputs,)
    return *(random.standard_normal(shape) for shape in shapes), stride


def draw_backward(random, *size):
    """An upstream gradient, and the arguments without the biases."""
    x, w, _, stride = draw_forward(random, *size)
    return random.standard_normal((len(x), *windows(x, w, stride), w.shape[3])), x, w, stride


def lengths(*settings):
    """Arrays that are as long as a forward's settings say: it is checked with other numbers, but no other shapes."""
    return tuple(np.zeros(setting) for setting in settings)


def row(*values):
    """A row of pixels with one channel, (1, 1, W, 1)."""
    return np.array(values, float)[None, None, :, None]


def kernel(*weights):
    """A kernel of one row, (1, kw, 1, 1)."""
    return np.array(weights, float)[None, :, None, None]


REFLECT = Function(
    name="reflect_backward",
    reference=reflect_backward,
    returns="grad_x",
    draw=draw_reflected,
    derivative=Derivative(
        lambda x, rows, columns: reflect(x, len(rows), len(columns)),
        operation="reflection_pad",
        inputs=lambda x, rows, columns: (x, *lengths(rows, columns)),
        arguments=lambda x, rows, columns: (x, len(rows), len(columns)),
    ),
    tests=(
        Worked(
            "the lesson's row of four pixels, by hand",
            (row(1, 2, 3, 4, 5, 6, 7, 8), row(0, 0, 0, 0), 0, 2),
            row(3, 4 + 2 + 8, 5 + 1 + 7, 6),
        ),
        Drawn("columns of several images", (2, 3, 6, 2, 0, 2)),
        Drawn("rows", (1, 6, 3, 2, 2, 0)),
        Drawn("rows and columns", (2, 7, 8, 3, 2, 3)),
        Drawn("mirrors that overlap", (1, 3, 4, 2, 2, 3)),
        Drawn("float32 stays float32", (1, 6, 5, 2, 2, 1), dtype="float32"),
        Verified("the gradient, checked numerically", (1, 5, 6, 2, 2, 3)),
    ),
    mistakes={
        "mirrors-not-added": Mistake(
            "You return the middle of grad_y. The pixels near an edge are shown a second time, in the mirror: what "
            "does the chain rule do with several paths?",
        ),
        "edge-repeated": Mistake(
            "Your mirrors show the outermost pixel once more. Here it is shown once: which row does the first one "
            "above the image show?",
        ),
        "edge-repeated-at-the-end": Mistake(
            "The mirrors above and on the left are right. The opposite ones show the outermost pixel once more: which "
            "row does the first one below the image show?",
            partial(reflect_backward, place=repeated_at_the_end),
        ),
        "edge-for-all": Mistake(
            "All that was added goes to the outermost pixels. That is for an image continued by its edge; which pixel "
            "does each place show here?",
        ),
        "not-turned-over": Mistake(
            "What was added is added to the pixels next to the edge, but in the wrong order. Write down which pixel "
            "each place above the image shows: does the number rise or fall from the top?",
        ),
        "assigned-not-added": Mistake(
            "What the mirrors show replaces the pixels' own gradient. It is one path more, not another one.",
        ),
        "last-path-only": Mistake(
            "Of the places at which a pixel is shown the last one alone counts. With arrays as indices, NumPy's += "
            "adds once to an element, however often it is named.",
            last_path,
        ),
        "mean-for-sum": Mistake(
            "You take the mean over the places at which a pixel is shown. The chain rule has a sum.",
        ),
        "corners-not-added": Mistake(
            "It is right but for the four corners that were added. They are mirrored along the rows and along the "
            "columns: which pixels do they show?",
        ),
        "rows-not-folded": Mistake("The columns are right. What was added above and below is lost."),
        "columns-not-folded": Mistake("The rows are right. What was added on the left and right is lost."),
        "one-mirror-missing": Mistake(
            "One of two opposite mirrors is missing: there is one above and one below, one on the left and one on the "
            "right.",
        ),
    },
    hints=(
        "Take the row a b c d, continued by two on each side: c b a b c d c b. Write under each of the eight places "
        "which of the four pixels it shows. Each pixel gets the sum of the places under which its name stands.",
        "Do one axis alone first. The middle of grad_y is the image itself. What was added on one side is turned over "
        "and added to the pixels beside the edge, the outermost one excepted.",
        "Then do the same along the other axis with what the first one gave: swapaxes lets one function serve both. "
        "For a margin of 0 a slice such as [-margin:] is everything; count the end from the front instead.",
    ),
    read='the section "Mirrors at the edges"',
)

UPSAMPLE = Function(
    name="upsample_backward",
    reference=upsample_backward,
    returns="grad_x",
    draw=draw_upsampled,
    derivative=Derivative(upsample, operation="upsample"),
    tests=(
        Worked(
            "two pixels by hand",
            ([[[[1.0], [2.0], [5.0], [6.0]], [[3.0], [4.0], [7.0], [-8.0]]]], row(0, 0)),
            row(10, 10),
        ),
        Drawn("several images and channels", (2, 3, 4, 3)),
        Drawn("float32 stays float32", (1, 3, 2, 2), dtype="float32"),
        Verified("the gradient, checked numerically", (1, 3, 4, 2)),
    ),
    mistakes={
        "mean-for-sum": Mistake(
            "It is right but for a factor. A nudge of a pixel by h moves four outputs by h each: what do their slopes "
            "add up to?",
        ),
        "one-corner-only": Mistake("You take one pixel of each square. All four of them show the same pixel of x."),
        "one-corner-missing": Mistake("One of the four pixels of each square is missing."),
        "half-of-square-only": Mistake("You take two of the four pixels of each square."),
        "diagonal-of-square-only": Mistake(
            "You take the two pixels on the diagonal of each square. Both row and column can be even or odd.",
            lambda grad_y, x: grad_y[:, ::2, ::2] + grad_y[:, 1::2, 1::2],
        ),
        "largest-of-square": Mistake(
            "You take the largest gradient of each square, as if one of the four had won. All four paths count.",
        ),
        "tiled": Mistake(
            "You add numbers of grad_y that lie half a picture apart. Which four outputs show one pixel of x? After a "
            "reshape, which two axes lie within a square?",
        ),
    },
    hints=(
        "Which four places of y show the pixel x[n, u, v, c]? Each of them is one path.",
        "grad_y[:, 0::2, 0::2] has the upper left pixel of every square. What are the other three?",
        "Or reshape grad_y so that H and W become two axes each, the second of them of length 2, and sum over the two "
        "short ones.",
    ),
    read='the section "Upsampling: each pixel four times"',
)


def side_by_side(x, w, stride):
    """As many windows as with the stride, but next to each other."""
    (rows, columns), (kh, kw) = windows(x, w, stride), w.shape[:2]
    return x[:, : rows + kh - 1, : columns + kw - 1]


def zeros_around(x, w):
    """The image with zeros around it as in lesson 6."""
    rows, columns = (side // 2 for side in w.shape[:2])
    return np.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)))


def dilated(x, w, b, stride):
    """The kernel's places s pixels apart, in the place of the windows."""
    rows, columns = windows(x, w, stride)
    y = np.zeros((len(x), rows, columns, w.shape[3])) + b
    for i, j in np.ndindex(*w.shape[:2]):
        y += x[:, stride * i : stride * i + rows, stride * j : stride * j + columns] @ w[i, j]
    return y


SIZES = (
    Drawn("one image, one channel, stride 2", (1, 7, 5, 1, 3, 3, 1, 2)),
    Drawn("as many channels in as out", (1, 7, 7, 2, 3, 3, 2, 2)),
    Drawn("more channels in than out", (1, 5, 7, 3, 3, 3, 2, 2)),
    Drawn("sides that leave rows over", (2, 8, 6, 2, 3, 3, 3, 2)),
    Drawn("stride 1", (1, 5, 4, 2, 3, 3, 2, 1)),
    Drawn("a kernel of 2x5, stride 3", (2, 9, 12, 2, 2, 5, 3, 3)),
    Drawn("a stride larger than the kernel", (1, 8, 9, 2, 2, 2, 3, 3)),
    Drawn("float32 stays float32", (1, 7, 6, 2, 3, 3, 2, 2), dtype="float32"),
)

FORWARD = Function(
    name="strided_forward",
    reference=strided_forward,
    returns="y",
    draw=draw_forward,
    tests=(
        # windows (1, 2, 0), (0, -1, 3): y = (1 + 6 + 0, 0 - 3 - 6) + 10
        Worked(
            "the lesson's row of five pixels, by hand, and a bias",
            (row(1, 2, 0, -1, 3), kernel(1, 3, -2), [10.0], 2),
            row(17, 1),
        ),
        *SIZES,
    ),
    mistakes={
        "stride-forgotten": Mistake(
            "y has the right size, but its windows lie side by side. Where does window p begin?",
            lambda x, w, b, stride: strided_forward(side_by_side(x, w, stride), w, b, 1),
        ),
        "all-windows": Mistake(
            "You return all windows, as with stride 1. Which of them are wanted?",
            lambda x, w, b, stride: strided_forward(x, w, b, 1),
        ),
        "stride-in-the-kernel": Mistake(
            "The stride is at the wrong index: your windows lie side by side, and within a window you go s pixels from "
            "one weight to the next.",
            dilated,
        ),
        "zeros-around": Mistake(
            "You put zeros around the image, as in lesson 6. Here there is nothing around it.",
            lambda x, w, b, stride: strided_forward(zeros_around(x, w), w, b, stride),
        ),
        "last-window-missing": Mistake(
            "The last row and column of windows are missing. With H = kh, how many rows of windows are there?",
            lambda x, w, b, stride: strided_forward(x, w, b, stride)[:, :-1, :-1],
        ),
        "kernel-flipped": Mistake(
            "Your kernel is turned by 180 degrees. Forward, the first weight meets the first pixel of the window.",
            lambda x, w, b, stride: strided_forward(x, w[::-1, ::-1], b, stride),
        ),
        "bias-missing": Mistake(
            "The bias is missing.", lambda x, w, b, stride: strided_forward(x, w, np.zeros(len(b)), stride)
        ),
    },
    hints=(
        "Write down the windows of the row of five pixels for a kernel of three weights and stride 2. Which pixels "
        "meet w[0], which w[1]?",
        "For one place (i, j) of the kernel, the pixels that meet it lie s apart, the first at (i, j), and there is "
        "one for each output: a slice with a step takes them all. They are multiplied by a matrix that takes C numbers "
        "to K.",
        "How long may the slice be? P numbers that lie s apart, from i on, end before i + s P.",
    ),
    read='the section "A convolution with a stride"',
)

STRIDED = partial(
    Derivative,
    lambda x, w, b, stride: strided_forward(x, w, b, len(stride)),
    operation="strided_conv2d",
    inputs=lambda x, w, stride: (x, w, np.zeros(w.shape[3]), *lengths(stride)),
    arguments=lambda x, w, b, stride: (x, w, len(stride)),
)


def reshaped(w):
    """A kernel whose gradient is what w gives if its channels are reshaped to (K, C) or, where C = K, left alone."""
    kh, kw, channels, outputs = w.shape
    return w[::-1, ::-1].reshape(kh, kw, outputs, channels).swapaxes(2, 3)[::-1, ::-1]


def up_to_the_last_window(grad_x, w, stride):
    """The rows and columns that some window reads."""
    rows, columns = ((count - 1) * stride + side for count, side in zip(windows(grad_x, w, stride), w.shape))
    return grad_x[:, :rows, :columns]


def last_place(grad_y, x, w, stride):
    """What is left of grad_x if each place of the kernel overwrites what the places before have written."""
    grad_x = np.zeros(x.shape)
    (rows, columns), (kh, kw) = grad_y.shape[1:3], w.shape[:2]
    for i, j in np.ndindex(kh, kw):
        grad_x[:, i : i + stride * rows : stride, j : j + stride * columns : stride] = grad_y @ w[i, j].T
    return grad_x


INPUT = Function(
    name="strided_backward_input",
    reference=strided_backward_input,
    returns="grad_x",
    draw=draw_backward,
    derivative=STRIDED(),
    tests=(
        # y = (x0 w0 + x1 w1 + x2 w2, x2 w0 + x3 w1 + x4 w2): x2 is in both
        Worked(
            "the lesson's row of five pixels, by hand",
            (row(2, 5), row(1, 2, 0, -1, 3), kernel(1, 3, -2), 2),
            row(2 * 1, 2 * 3, 2 * -2 + 5 * 1, 5 * 3, 5 * -2),
        ),
        *SIZES,
        Verified("the gradient, checked numerically", (2, 6, 5, 2, 3, 3, 3, 2)),
    ),
    mistakes={
        "kernel-not-flipped": Mistake(
            "Your gradient is the right one of a kernel turned by 180 degrees. Through which weight has the first "
            "window seen the first pixel?",
            lambda grad_y, x, w, stride: strided_backward_input(grad_y, x, w[::-1, ::-1], stride),
        ),
        "kernel-rows-not-flipped": Mistake(
            "Your kernel is turned around from left to right, but not from top to bottom.",
            lambda grad_y, x, w, stride: strided_backward_input(grad_y, x, w[::-1], stride),
        ),
        "kernel-columns-not-flipped": Mistake(
            "Your kernel is turned around from top to bottom, but not from left to right.",
            lambda grad_y, x, w, stride: strided_backward_input(grad_y, x, w[:, ::-1], stride),
        ),
        "channels-not-exchanged": Mistake(
            "It is right where there is one channel. On the way back K channels come in and C go out: which index of w "
            "is to be summed over? (A reshape to the wanted shape does not move numbers.)",
            lambda grad_y, x, w, stride: strided_backward_input(grad_y, x, reshaped(w), stride),
        ),
        "stride-forgotten": Mistake(
            "Your windows lie side by side: the numbers of grad_y stand next to each other. How far apart are the "
            "windows that they come from, and what is between them?",
        ),
        "repeated-not-spread": Mistake(
            "You repeat each number of grad_y. There is no window between window p and window p + 1: which gradient "
            "has an output that does not exist?",
        ),
        "spread-off-by-one": Mistake(
            "Your gradient is the right one moved by a pixel. Window 0 begins at pixel 0: at which row of what you "
            "convolve must its gradient lie, so that the flipped kernel's last weight meets it there?",
        ),
        "stride-kept": Mistake(
            "You return every s-th pixel of the right gradient: your last convolution has a stride still. Where has "
            "the stride gone, once there are zeros between?",
            lambda grad_y, x, w, stride: strided_backward_input(grad_y, x, w, stride)[:, ::stride, ::stride],
        ),
        "unread-missing": Mistake(
            "It is right up to where the last windows end. What is the gradient of the pixels behind them, which no "
            "window reads?",
            lambda grad_y, x, w, stride: up_to_the_last_window(strided_backward_input(grad_y, x, w, stride), w, stride),
        ),
        "last-place-only": Mistake(
            "Where windows overlap, the last one overwrites the others. A pixel gets the sum over all that read it.",
            last_place,
        ),
    },
    hints=(
        "Which windows read pixel u, and through which weights? In the row of five pixels the answer differs for even "
        "and odd u.",
        "There are two ways. Either go through the kernel's places (i, j): each output hands its gradient, times "
        "w[i, j], on to the pixel that it has seen there, and these pixels are a slice with a step. Or put zeros "
        "between the numbers of grad_y and convolve with stride 1, as the lesson does.",
        "For the second way begin with zeros of H + kh - 1 rows and W + kw - 1 columns; the gradient of window p lies "
        "at row s p + kh - 1. The kernel is flipped along both axes, its channels are exchanged, and there is no bias.",
    ),
    read='the section "Back through the stride: zeros between"',
)


PARAMETERS = Function(
    name="strided_backward_parameters",
    reference=strided_backward_parameters,
    returns=("grad_w", "grad_b"),
    draw=draw_backward,
    derivative=STRIDED(of=(1, 2)),
    tests=(
        Worked(
            "the lesson's row of five pixels, by hand",
            (row(2, 5), row(1, 2, 0, -1, 3), kernel(1, 3, -2), 2),
            (kernel(2 * 1 + 5 * 0, 2 * 2 + 5 * -1, 2 * 0 + 5 * 3), [7.0]),
        ),
        *SIZES,
        Verified("the gradient, checked numerically", (2, 6, 5, 2, 3, 3, 3, 2)),
    ),
    mistakes={
        "stride-forgotten": Mistake(
            "dL/dw is that of windows side by side. Which pixel does w[0, 0] meet in output (1, 1)?",
        ),
        "kernel-gradient-flipped": Mistake(
            "Your dL/dw is turned by 180 degrees. The kernel is flipped for dL/dx; here, which pixel does w[0, 0] meet "
            "in output (0, 0)?",
        ),
        "last-image-only": Mistake(
            "Only the last image counts. All images share the kernel and the bias: what does the chain rule do with "
            "several paths?",
            lambda grad_y, x, w, stride: strided_backward_parameters(grad_y[-1:], x[-1:], w, stride),
        ),
        "mean-over-images": Mistake(
            "You take the mean over the images. The loss is what it is: the chain rule has a sum.",
            lambda grad_y, x, w, stride: tuple(
                gradient / len(x) for gradient in strided_backward_parameters(grad_y, x, w, stride)
            ),
        ),
        "mean-over-outputs": Mistake(
            "You take the mean over the outputs. The chain rule has a sum.",
            lambda grad_y, x, w, stride: tuple(
                gradient / grad_y[..., 0].size for gradient in strided_backward_parameters(grad_y, x, w, stride)
            ),
        ),
        "bias-mean": Mistake(
            "dL/dw is right. In dL/db you take a mean over images and pixels: the bias is added to each of them, and "
            "the chain rule has a sum.",
            with_result(strided_backward_parameters, 1, lambda grad_b, grad_y, *_: grad_y.mean(axis=(0, 1, 2))),
        ),
        "bias-over-channels": Mistake(
            "dL/dw is right. Your dL/db is one number for all output channels, but each of them has a bias of its own: "
            "over which axes of grad_y is to be summed?",
            with_result(strided_backward_parameters, 1, lambda grad_b, grad_y, *_: grad_y.sum()),
        ),
        "order": Mistake(
            "dL/dw and dL/db come in the wrong order.",
            lambda *arguments: strided_backward_parameters(*arguments)[::-1],
        ),
    },
    hints=(
        "w[i, j, c, k] multiplies one pixel for each output (p, q). Which one? Add up that pixel times that output's "
        "gradient, over everything but i, j, c and k.",
        "For one place (i, j), the pixels that meet it are the slice with a step that the forward takes. Sum the "
        "products of its channels with those of grad_y over images, rows and columns: that is a product of matrices.",
        "Reshape the slice to (outputs, C) and grad_y to (outputs, K). Which product of the two is (C, K), and sums "
        "over the outputs? And b[k] is added to every output of channel k.",
    ),
    read='the section "Back through the stride: zeros between"',
)

EXERCISE = Exercise(
    "padding and upsampling backward, a convolution with a stride",
    (REFLECT, UPSAMPLE, FORWARD, INPUT, PARAMETERS),
    answers=(
        "scratchnst.ops.reflection_pad",
        "scratchnst.ops.upsample",
        "scratchnst.ops.strided_conv2d",
        "scratchnst.engine",
    ),
)
