"""The exercise of lesson 7: the gradients of a convolution without zeros around the image."""

from __future__ import annotations

import numpy as np

from scratchnst.lessons.grader import Derivative, Drawn, Exercise, Function, Mistake, Verified, Worked


def forward(x, w, b):
    """Windows that lie within the image, as sums of shifted images."""
    kh, kw = w.shape[:2]
    height, width = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    return b + sum(x[:, i : i + height, j : j + width] @ w[i, j] for i, j in np.ndindex(kh, kw))


def backward_input(grad_y, w):
    """The product rule, output by output: each throws what it has to say at all pixels of its window."""
    (count, rows, columns, _), (kh, kw, channels, _) = grad_y.shape, w.shape
    grad_x = np.zeros((count, rows + kh - 1, columns + kw - 1, channels))
    for n, p, q, i, j in np.ndindex(count, rows, columns, kh, kw):
        grad_x[n, p + i, q + j] += w[i, j] @ grad_y[n, p, q]
    return grad_x


def backward_parameters(grad_y, x, w):
    """The same with respect to the weights."""
    grad_w = np.zeros(w.shape)
    for n, p, q, i, j in np.ndindex(*grad_y.shape[:3], *w.shape[:2]):
        grad_w[i, j] += np.outer(x[n, p + i, q + j], grad_y[n, p, q])
    return grad_w, np.array([grad_y[..., k].sum() for k in range(grad_y.shape[3])])


def draw(random, n, height, width, c, k, kh, kw):
    """Upstream gradient, image and kernel, for an image of `height` x `width`."""
    grad_y = random.standard_normal((n, height - kh + 1, width - kw + 1, k))
    return grad_y, random.standard_normal((n, height, width, c)), random.standard_normal((kh, kw, c, k))


def draw_input(*size):
    """The same without the image."""
    grad_y, _, w = draw(*size)
    return grad_y, w


def inside(grad_y, w):
    """The part of grad_x in the middle that is as large as grad_y."""
    top, left = (w.shape[0] - 1) // 2, (w.shape[1] - 1) // 2
    return np.s_[:, top : top + grad_y.shape[1], left : left + grad_y.shape[2]]


def cut(grad_y, w):
    """What an ordinary padding of half a kernel gives."""
    return backward_input(grad_y, w)[inside(grad_y, w)]


def border_empty(grad_y, w):
    """The same, put back into an image of zeros."""
    grad_x = np.zeros_like(backward_input(grad_y, w))
    grad_x[inside(grad_y, w)] = cut(grad_y, w)
    return grad_x


def of_weights(change):
    """A mistake whose grad_b is right: `change` makes its grad_w of (grad_y, x, w, the right grad_w)."""
    return lambda grad_y, x, w: (change(grad_y, x, w, backward_parameters(grad_y, x, w)[0]), grad_y.sum((0, 1, 2)))


def of_biases(change):
    """A mistake whose grad_w is right: `change` makes its grad_b of grad_y."""
    return lambda grad_y, x, w: (backward_parameters(grad_y, x, w)[0], change(grad_y))


SIZES = (
    Drawn("one image, one channel", (1, 5, 6, 1, 1, 3, 3)),
    Drawn("several images and channels", (2, 5, 7, 3, 4, 3, 3)),
    Drawn("a kernel of 2x4", (2, 6, 6, 3, 2, 2, 4)),
    Drawn("a kernel as large as the image", (2, 3, 5, 2, 3, 3, 5)),
    Drawn("a kernel of one pixel", (2, 3, 4, 3, 2, 1, 1)),
    Drawn("float32 stays float32", (2, 5, 6, 3, 2, 3, 3), dtype="float32"),
    Verified("the gradient, checked numerically", (2, 4, 5, 2, 3, 3, 2)),
)

INPUT = Function(
    name="backward_input",
    reference=backward_input,
    returns="grad_x",
    draw=draw_input,
    derivative=Derivative(
        lambda x, w: forward(x, w, 0),
        inputs=lambda w: (np.linspace(-1, 1, 60 * w.shape[2]).reshape(2, 6, 5, w.shape[2]), w),  # y is linear in x
        arguments=lambda x, w: (w,),
    ),
    tests=(
        Worked(
            "one row by hand: five pixels, three outputs",
            ([[[[2.0], [1.0], [-1.0]]]], [[[[1.0]], [[3.0]], [[-2.0]]]]),
            [[[[2.0], [7.0], [-2.0], [-5.0], [2.0]]]],
        ),
        *SIZES,
    ),
    mistakes=(
        Mistake(
            "kernel-not-flipped",
            "The kernel lies the wrong way round. A pixel is seen by the output at its upper left through the lower "
            "right weight: which weight belongs to which neighbour?",
            lambda grad_y, w: backward_input(grad_y, w[::-1, ::-1]),
        ),
        Mistake(
            "columns-not-flipped",
            "The kernel is flipped along its rows, but not along its columns.",
            lambda grad_y, w: backward_input(grad_y, w[:, ::-1]),
        ),
        Mistake(
            "rows-not-flipped",
            "The kernel is flipped along its columns, but not along its rows.",
            lambda grad_y, w: backward_input(grad_y, w[::-1]),
        ),
        Mistake(
            "channels-reshaped",
            "The channels of the kernel are mixed up: to exchange two axes is not to reshape.",
            lambda grad_y, w: backward_input(grad_y, w.reshape(*w.shape[:2], w.shape[3], w.shape[2]).swapaxes(2, 3)),
        ),
        Mistake(
            "as-large-as-y",
            "Your grad_x is as large as grad_y, but x has more pixels. The ones that are missing lie at the border: "
            "which outputs does a pixel in the corner touch?",
            cut,
        ),
        Mistake(
            "border-empty",
            "Your grad_x is right in the middle and zero around it. Pixels near the border touch fewer outputs, but "
            "not none.",
            border_empty,
        ),
        Mistake(
            "one-weight-only",
            "Only one place of the kernel hands something back: the parts of all places have to be added up.",
            lambda grad_y, w: backward_input(grad_y, w * (np.indices(w.shape)[:2].sum(0) == 0)),
        ),
    ),
    hints=(
        "Take the row by hand: y0 = w0 x0 + w1 x1 + w2 x2, y1 = w0 x1 + ..., y2 = w0 x2 + ... Which of these hold x0, "
        "which hold x2?",
        "From y[p] with x[p + i] follows: x[u] is touched by the outputs p = u - i, if there is such an output. So at "
        "the upper border some p are negative. What stands in for outputs that are not there?",
        "It is a convolution of grad_y with zeros around it, as the lesson's, with the kernel flipped and its channels "
        "exchanged. Its result must be as large as x, which tells how many zeros.",
    ),
    read='the sections "Two dimensions: every output that a pixel touches" and "Channels change places"',
)

PARAMETERS = Function(
    name="backward_parameters",
    reference=backward_parameters,
    returns=("grad_w", "grad_b"),
    draw=draw,
    derivative=Derivative(
        forward,
        of=(1, 2),
        inputs=lambda x, w: (x, w, np.zeros(w.shape[3])),
        arguments=lambda x, w, b: (x, w),
    ),
    tests=(
        Worked(
            "one row by hand: five pixels, three outputs",
            (
                [[[[2.0], [1.0], [-1.0]]]],
                [[[[1.0], [2.0], [0.0], [-1.0], [3.0]]]],
                [[[[1.0]], [[3.0]], [[-2.0]]]],
            ),
            ([[[[4.0]], [[5.0]], [[-4.0]]]], [2.0]),
        ),
        *SIZES,
    ),
    mistakes=(
        Mistake(
            "kernel-gradient-flipped",
            "Your grad_w is the right one, turned round. Which pixel does w[i, j] multiply in y[p, q]? Is anything "
            "turned round there?",
            of_weights(lambda grad_y, x, w, grad_w: grad_w[::-1, ::-1]),
        ),
        Mistake(
            "last-image-only",
            "Your grad_w knows the last image only: a weight is used in all of them.",
            of_weights(lambda grad_y, x, w, grad_w: backward_parameters(grad_y[-1:], x[-1:], w)[0]),
        ),
        Mistake(
            "first-image-only",
            "Your grad_w knows the first image only: a weight is used in all of them.",
            of_weights(lambda grad_y, x, w, grad_w: backward_parameters(grad_y[:1], x[:1], w)[0]),
        ),
        Mistake(
            "averaged-over-images",
            "Your grad_w is divided by the number of images. The loss is the sum of what all images add to it.",
            of_weights(lambda grad_y, x, w, grad_w: grad_w / len(x)),
        ),
        Mistake(
            "averaged-over-places",
            "Your grad_w is divided by the number of outputs: every output that a weight touches counts in full.",
            of_weights(lambda grad_y, x, w, grad_w: grad_w / grad_y[..., 0].size),
        ),
        Mistake(
            "channels-reshaped",
            "Your grad_w holds the right numbers in wrong places: its channels were reshaped where they should have "
            "changed places.",
            of_weights(lambda grad_y, x, w, grad_w: grad_w.swapaxes(2, 3).reshape(w.shape)),
        ),
        Mistake(
            "bias-averaged",
            "grad_w is right, but grad_b is a mean: b is added to every output, and each of them counts in full.",
            of_biases(lambda grad_y: grad_y.mean((0, 1, 2))),
        ),
        Mistake(
            "bias-of-each-image",
            "grad_w is right, but grad_b has one row for each image: all images share the biases.",
            of_biases(lambda grad_y: grad_y.sum((1, 2))),
        ),
        Mistake(
            "bias-of-all-channels",
            "grad_w is right, but grad_b sums over everything: each channel has a bias of its own.",
            of_biases(lambda grad_y: grad_y.sum()),
        ),
    ),
    hints=(
        "In the row by hand, w0 stands in all three equations, each time beside another pixel. Write down dL/dw0 as a "
        "sum of three products, then dL/dw1.",
        "For one place [i, j] of the kernel: y[p, q] meets x[p + i, q + j]. So it meets, in all, the part of "
        "x that begins at row i and column j and is as large as y. No zeros are needed.",
        "Make of that part a matrix with a row for each pixel and a column for each channel, and of grad_y, too. A "
        "product of one, transposed, with the other sums over all pixels and gives (C, K).",
    ),
    read='the section "The weights"',
)

EXERCISE = Exercise(
    "the way back through a convolution without zeros", (INPUT, PARAMETERS), answers=("scratchnst.ops.conv2d",)
)
