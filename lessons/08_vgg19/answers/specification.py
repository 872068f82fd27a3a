"""The exercise: a unit's receptive field, and a walk back in which the gradients of two losses meet."""

from __future__ import annotations

from functools import partial

import numpy as np

from scratchnst.classroom.grader import Derivative, Drawn, Exercise, Function, Mistake, Verified, Worked, with_result
from scratchnst.ops import average_pool, conv2d, relu


def seen(rows, unit, length):
    """Every pixel alone is sent down the table; those that reach the unit count."""
    pixels = np.eye(length, dtype=bool)  # a row of the image for each pixel: only that one is lit
    for row in rows:
        if row == "pool":
            pixels = pixels[:, 0::2] | pixels[:, 1::2]
        else:
            wide = np.pad(pixels, ((0, 0), (1, 1)))
            pixels = wide[:, :-2] | wide[:, 1:-1] | wide[:, 2:]
    lit = np.flatnonzero(pixels[:, unit])
    return lit[0], lit[-1]


def draw_unit(random, *rows):
    """A unit in the middle of an image that is large enough."""
    return list(rows), int(random.integers(9, 11)), 20 << rows.count("pool")


def read_by(first, last):
    """What a pooling reads."""
    return 2 * first, 2 * last + 1


def followed(rows, unit, length, *, order=reversed, widen=(1, 1), pool=read_by, clip=True):
    """From the unit to the image; the keyword-only arguments make mistakes of it."""
    first = last = unit
    for row in order(rows):
        first, last = pool(first, last) if row == "pool" else (first - widen[0], last + widen[1])
    return (max(first, 0), min(last, length - 1)) if clip else (first, last)


SEES = Function(
    name="what_it_sees",
    reference=seen,
    returns=("first", "last"),
    draw=draw_unit,
    tests=(
        Worked("one convolution", (["conv"], 5, 12), (4, 6)),
        Worked("one pooling", (["pool"], 3, 12), (6, 7)),
        Worked("at the border there is less to see", (["conv", "conv"], 0, 12), (0, 2)),
        Worked("and at the other border", (["conv", "conv"], 11, 12), (9, 11)),
        Worked("first a convolution, then a pooling", (["conv", "pool"], 3, 12), (5, 8)),
        Worked("first a pooling, then a convolution", (["pool", "conv"], 3, 12), (4, 9)),
        Drawn("VGG19's first two blocks", ("conv", "conv", "pool", "conv", "conv", "pool")),
        Drawn(
            "VGG19 to its fourth block", (*["conv"] * 2, "pool", *["conv"] * 2, "pool", *["conv"] * 4, "pool", "conv")
        ),
    ),
    mistakes={
        "from-the-wrong-end": Mistake(
            "It looks as if you walk through the rows from the image on. You know what the unit of the *last* row is; "
            "which row do you know next?",
            partial(followed, order=list),
        ),
        "not-clipped": Mistake(
            "It is right in the middle of the image, but near its border you count pixels that are not there.",
            partial(followed, clip=False),
        ),
        "convolution-one-sided": Mistake(
            "A convolution 3 wide reads a unit more on either side; yours grows on one side only.",
            partial(followed, widen=(0, 1)),
        ),
        "convolution-too-wide": Mistake(
            "Your convolutions read three units on either side, as wide as the whole kernel. How far is it from the "
            "middle of a kernel to its end?",
            partial(followed, widen=(3, 3)),
        ),
        "pool-without-its-second": Mistake(
            "A pooling reads two units for each; you have the first of each pair, but of the last pair not the second.",
            partial(followed, pool=lambda a, b: (2 * a, 2 * b)),
        ),
        "pool-halves": Mistake(
            "Your numbers get smaller at a pooling. Going *up* the table, to the image, do units become more or fewer?",
            partial(followed, pool=lambda a, b: (a // 2, b // 2)),
        ),
        "last-excluded": Mistake(
            "Your last is one too far: the pixel behind the last one, as Python's ranges have it. Here the last pixel "
            "itself is asked for.",
            with_result(seen, 1, lambda last, *_: last + 1),
        ),
    },
    hints=(
        "Begin with the unit itself: in the last row it sees the stretch from `unit` to `unit`. Which stretch of the "
        "row above does that stretch read?",
        "A convolution reads one unit more at either end. A pooling's unit p reads 2p and 2p + 1, so a stretch from a "
        "to b reads from where to where?",
        "Loop over the rows from the last to the first and update two numbers; in the end cut off what is below 0 or "
        "beyond the last pixel.",
    ),
    read='the section "What a unit sees"',
)


def network(x, w_1, b_1, w_2, b_2):
    """F_1 and F_2."""
    F_1, _ = relu.forward(conv2d.forward(x, w_1, b_1)[0])
    F_2, _ = relu.forward(conv2d.forward(average_pool.forward(F_1)[0], w_2, b_2)[0])
    return F_1, F_2


def reference(grad_1, grad_2, x, w_1, b_1, w_2, b_2):
    """With the loops of the textbook, and with the two losses one by one: the gradient of a sum is a sum."""
    z_1 = conv2d.forward_loops(x, w_1, b_1)
    pooled = average_pool.forward_loops(relu.forward_loops(z_1))
    z_2 = conv2d.forward_loops(pooled, w_2, b_2)
    grad_pooled, _, _ = conv2d.backward_loops(relu.backward_loops(grad_2, z_2), pooled, w_2)
    deep = average_pool.backward_loops(grad_pooled, z_1)
    grads = [conv2d.backward_loops(relu.backward_loops(grad, z_1), x, w_1)[0] for grad in (grad_1, deep)]
    return grads[0] + grads[1]


def draw(random, count, height, width, channels=2, first=3, second=2):
    """A small network, and what two losses hand back."""
    return (
        random.standard_normal((count, height, width, first)),
        random.standard_normal((count, height // 2, width // 2, second)),
        random.standard_normal((count, height, width, channels)),
        random.standard_normal((3, 3, channels, first)),
        random.standard_normal(first),
        random.standard_normal((3, 3, first, second)),
        random.standard_normal(second),
    )


def losses(x, w_1, b_1, w_2, b_2, grad_1, grad_2):
    """Two losses, linear in the features, whose derivatives are grad_1 and grad_2."""
    F_1, F_2 = network(x, w_1, b_1, w_2, b_2)
    return np.sum(grad_1 * F_1) + np.sum(grad_2 * F_2)


def _walk(grad_1, grad_2, x, *parameters, meet=np.add, relus=(relu.backward,) * 2, pool=average_pool.backward):
    """The walk with one operation exchanged for a wrong one."""
    w_1, b_1, w_2, b_2 = parameters
    z_1, cache_1 = conv2d.forward(x, w_1, b_1)
    pooled, shape = average_pool.forward(np.maximum(z_1, 0))
    z_2, cache_2 = conv2d.forward(pooled, w_2, b_2)
    deep = pool(conv2d.backward_input(relus[1](grad_2, np.maximum(z_2, 0)), cache_2), shape)
    return conv2d.backward_input(relus[0](meet(deep, grad_1), np.maximum(z_1, 0)), cache_1)


def _unmasked(grad_y, cache):
    return grad_y


def _below_the_relu(grad_1, grad_2, x, w_1, *others):
    """grad_1 added to dL/dz_1 in place of dL/dF_1."""
    deep = _walk(0 * grad_1, grad_2, x, w_1, *others)
    return deep + conv2d.backward_input(grad_1, (x, w_1))


def _repeated(grad_y, shape):
    return 4 * average_pool.backward(grad_y, shape)


WALK = Function(
    name="walk_back",
    reference=reference,
    returns="grad_x",
    draw=draw,
    derivative=Derivative(
        losses,
        upstream=False,
        inputs=lambda grad_1, grad_2, *others: (*others, grad_1, grad_2),
        arguments=lambda *inputs: (*inputs[-2:], *inputs[:-2]),
    ),
    tests=(
        Worked(
            "kernels that are 0 but in their centre",
            (
                [[[[1.0], [1.0]], [[1.0], [1.0]]]],
                [[[[8.0]]]],
                [[[[1.0], [2.0]], [[3.0], [-1.0]]]],
                np.pad([[[[2.0]]]], ((1, 1), (1, 1), (0, 0), (0, 0))),
                [0.0],
                np.pad([[[[3.0]]]], ((1, 1), (1, 1), (0, 0), (0, 0))),
                [0.0],
            ),
            [[[[14.0], [14.0]], [[14.0], [0.0]]]],
        ),
        Drawn("one image", (1, 4, 4)),
        Drawn("several images of odd size", (2, 5, 7)),
        Drawn("float32 stays float32", (1, 4, 6), dtype="float32"),
        Verified("the gradient, checked numerically", (1, 4, 4)),
    ),
    mistakes={
        "first-loss-forgotten": Mistake(
            "Only the second loss has an effect. Who else reads F_1, and what does it hand back?",
            partial(_walk, meet=lambda deep, own: deep),
        ),
        "second-loss-forgotten": Mistake(
            "Only the first loss has an effect: what comes back through the pooling is lost on the way.",
            partial(_walk, meet=lambda deep, own: own),
        ),
        "meeting-subtracted": Mistake(
            "Where the two gradients meet you subtract one. L is the sum of the two losses.",
            partial(_walk, meet=np.subtract),
        ),
        "meeting-multiplied": Mistake(
            "Where the two gradients meet you multiply them. If F_1 moves a little, how does a sum of two losses move?",
            partial(_walk, meet=np.multiply),
        ),
        "meeting-averaged": Mistake(
            "Where the two gradients meet you take their mean. L is the sum of the losses, not their mean.",
            partial(_walk, meet=lambda deep, own: (deep + own) / 2),
        ),
        "added-below-the-relu": Mistake(
            "What the first loss hands back comes in one step too late. Is grad_1 the derivative with respect to F_1, "
            "or with respect to what the ReLU was given?",
            _below_the_relu,
        ),
        "relu-1-forgotten": Mistake(
            "The first ReLU is missing on the way back: what does the loss feel of a unit that it has set to 0?",
            partial(_walk, relus=(_unmasked, relu.backward)),
        ),
        "relu-2-forgotten": Mistake(
            "The second ReLU is missing on the way back.", partial(_walk, relus=(relu.backward, _unmasked))
        ),
        "relus-forgotten": Mistake(
            "Both ReLUs are missing on the way back.",
            partial(_walk, relus=(_unmasked, _unmasked)),
        ),
        "pool-without-quarter": Mistake(
            "On its way back through the pooling the gradient has become four times too large: what does each of the "
            "four pixels of a square contribute to their mean?",
            partial(_walk, pool=_repeated),
        ),
    },
    hints=(
        "First walk down, and keep the cache of every operation. Then go through the same operations from the last to "
        "the first; each backward turns the gradient with respect to its output into that with respect to its input.",
        "Start with grad_2, back through the second ReLU, the second convolution and the pooling. What you hold now is "
        "a gradient with respect to F_1. Is it the whole of it?",
        "F_1 has two readers, the first loss and the pooling. Their gradients with respect to F_1 have the same shape: "
        "add them, and only then go on through the first ReLU.",
    ),
    read='the sections "The walk back" and "Where paths meet"',
)

EXERCISE = Exercise(
    "what a unit sees, and a walk back",
    (SEES, WALK),
    answers=("scratchnst.models.receptive_field", "scratchnst.models.network"),
)
