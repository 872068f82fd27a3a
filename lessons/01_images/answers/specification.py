"""The exercise: a loss on the mean colour of a picture with its gradient, and gradient descent."""

from __future__ import annotations

import numpy as np

from scratchnst.classroom.grader import Derivative, Drawn, Exercise, Function, Mistake, Verified, Worked, with_result


def mean_colour(x, colour):
    """One channel after the other."""
    loss, grad_x = 0.0, np.zeros_like(x)
    pixels = x.shape[0] * x.shape[1]
    for c in range(3):
        mean = sum(x[:, :, c].ravel()) / pixels
        loss += (mean - colour[c]) ** 2 / 2
        grad_x[:, :, c] = (mean - colour[c]) / pixels
    return loss, grad_x


def draw_picture(random, height, width):
    """A picture and the colour it should have."""
    return random.uniform(0, 255, (height, width, 3)), random.uniform(0, 255, 3)


def each_pixel(x, colour):
    """As if every pixel should have the colour."""
    return 0.5 * np.sum((x - colour) ** 2), x - colour


def one_mean(x, colour):
    """The mean of all three channels in the place of each."""
    difference = x.mean() - colour
    return 0.5 * np.sum(difference**2), np.ones_like(x) * difference / (x.size / 3)


MEAN_COLOUR = Function(
    name="mean_colour_loss",
    reference=mean_colour,
    returns=("loss", "grad_x"),
    draw=draw_picture,
    derivative=Derivative(lambda x, colour: mean_colour(x, colour)[0], of=(None, 0), upstream=False),
    tests=(
        Worked(
            "two pixels by hand",
            ([[[1.0, 2.0, 3.0], [5.0, 2.0, 1.0]]], [1.0, 2.0, 4.0]),
            (4.0, [[[1.0, 0.0, -1.0], [1.0, 0.0, -1.0]]]),
        ),
        Worked("a picture that has the colour", ([[[7.0, 8.0, 9.0]]], [7.0, 8.0, 9.0]), (0.0, [[[0.0, 0.0, 0.0]]])),
        Drawn("a square picture", (4, 4)),
        Drawn("a picture higher than wide", (7, 3)),
        Drawn("float32 stays float32", (5, 4), dtype="float32"),
        Verified("the gradient, checked numerically", (4, 5)),
    ),
    mistakes={
        "share-missing": Mistake(
            "The loss is right, and so is the sign of each slope, but the slopes are too large. You found how fast the "
            "loss changes with the mean. When one pixel of many moves by h, by how much does the mean move?",
            with_result(mean_colour, 1, lambda grad_x, x, colour: grad_x * x[:, :, 0].size),
        ),
        "share-of-all-numbers": Mistake(
            "The loss is right and the slopes are a third of what they should be. How many numbers is the mean of one "
            "channel made of?",
            with_result(mean_colour, 1, lambda grad_x, *_: grad_x / 3),
        ),
        "sign": Mistake(
            "The loss is right and every slope has the wrong sign. If the picture is too red, does a redder pixel "
            "raise the loss or lower it?",
            with_result(mean_colour, 1, lambda grad_x, *_: -grad_x),
        ),
        "one-slope-a-channel": Mistake(
            "grad_x has one slope for each channel, but it must have one for each number of the picture: each pixel "
            "has a slope of its own, even if they turn out alike.",
            with_result(mean_colour, 1, lambda grad_x, x, colour: grad_x[0, 0] * x[:, :, 0].size),
        ),
        "each-pixel": Mistake(
            "This compares every pixel with the colour, so that the end of the walk would be one flat colour. Only the "
            "mean of all pixels should have it: take the mean first, the difference afterwards.",
            each_pixel,
        ),
        "difference-of-each-pixel": Mistake(
            "The loss is right, but each slope is made with its own pixel. The loss knows pixels by their mean alone: "
            "can two pixels of a channel have different slopes?",
            with_result(mean_colour, 1, lambda grad_x, x, colour: (x - colour) / x[:, :, 0].size),
        ),
        "one-mean": Mistake(
            "It looks as if there were one mean for the whole array. Each channel has a mean of its own: over which "
            "axes must it be taken?",
            one_mean,
        ),
        "half-in-gradient-only": Mistake(
            "The gradient is right, but the loss is twice as large: they belong to different functions. Which factor "
            "stands in front of the sum?",
            with_result(mean_colour, 0, lambda loss, *_: 2 * loss),
        ),
        "results-exchanged": Mistake(
            "The two results are right, but the gradient comes first: the loss is to be returned before it.",
            lambda x, colour: mean_colour(x, colour)[::-1],
        ),
        "half-missing": Mistake(
            "Loss and gradient are both twice as large as they should be: look at the factor in front of the sum.",
            lambda x, colour: tuple(2 * each for each in mean_colour(x, colour)),
        ),
    },
    hints=(
        "Two things are chained here: a pixel moves the mean of its channel, and the mean moves the loss. Find each "
        "slope by itself, for one pixel, on paper.",
        "The loss has the slope m[c] - colour[c] with respect to m[c], as in the lesson. And m[c] is a sum over all "
        "pixels of the channel, divided by their number: what is its slope with respect to one of them?",
        "Multiply the two slopes: three numbers come out, one for each channel, the same for all pixels. NumPy repeats "
        "an array of shape (3,) over rows and columns when it meets one of shape (H, W, 3).",
    ),
    read='the sections "One number of the picture, one slope" and "All slopes at once: the gradient"',
)


def walk(loss_and_gradient, x, step, count):
    """All places of the walk, then the losses there."""
    places = [x]
    while len(places) <= count:
        places.append(places[-1] - step * loss_and_gradient(places[-1])[1])
    return places[-1], np.array([loss_and_gradient(place)[0] for place in places])


def bowl(x):
    """x -> (half the sum of x**2, x)"""
    return 0.5 * float(np.sum(x**2)), x.copy()


def trough(x):
    """x -> (sum of x**4 / 4 + x / 3, x**3 + 1/3)"""
    return float(np.sum(x**4 / 4 + x / 3)), x**3 + 1 / 3


def standing_still(loss_and_gradient, x, step, count):
    """The gradient of the start is used for all steps."""
    _, gradient = loss_and_gradient(x)
    places = [x - number * step * gradient for number in range(count + 1)]
    return places[-1], np.array([loss_and_gradient(place)[0] for place in places])


def of_length_one(loss_and_gradient):
    """The same loss with its gradient divided by the gradient's length."""

    def changed(x):
        loss, gradient = loss_and_gradient(x)
        return loss, gradient / np.linalg.norm(gradient)

    return changed


def uphill(loss_and_gradient, x, step, count):
    """The step has the sign of the gradient."""
    return walk(loss_and_gradient, x, -step, count)


DESCEND = Function(
    name="descend",
    reference=walk,
    returns=("x_end", "losses"),
    draw=lambda random, count, *shape: (trough, random.standard_normal(shape), 0.05, count),
    tests=(
        Worked("one step by hand", (bowl, [4.0, -2.0], 0.5, 1), ([2.0, -1.0], [10.0, 2.5])),
        Worked("three steps by hand", (bowl, [8.0], 0.5, 3), ([1.0], [32.0, 8.0, 2.0, 0.5])),
        Worked("no step at all", (bowl, [3.0], 0.5, 0), ([3.0], [4.5])),
        Drawn("another loss, on a picture", (6, 3, 4, 3)),
        Drawn("many steps", (40, 2, 3, 3)),
    ),
    mistakes={
        "uphill": Mistake("The losses grow: the walk goes uphill. In which direction does the gradient point?", uphill),
        "gradient-not-renewed": Mistake(
            "The first step is right. Afterwards the walk goes on in its first direction, as if the slope were the "
            "same everywhere: when is the gradient to be computed?",
            standing_still,
        ),
        "step-ignored": Mistake(
            "The walk takes steps as long as the gradient itself: which argument have you not used?",
            lambda loss_and_gradient, x, step, count: walk(loss_and_gradient, x, 1.0, count),
        ),
        "steps-of-one-length": Mistake(
            "All steps have the length `step`, as if the gradient were divided by its own length. Where the ground is "
            "flat, the walk is to become slow.",
            lambda loss_and_gradient, x, step, count: walk(of_length_one(loss_and_gradient), x, step, count),
        ),
        "last-loss-missing": Mistake(
            "The walk is right, but the loss where it ends is missing: there is one more place than there are steps.",
            with_result(walk, 1, lambda losses, *_: losses[:-1]),
        ),
        "first-loss-missing": Mistake(
            "The walk is right, but the loss at the start is missing: there is one more place than there are steps.",
            with_result(walk, 1, lambda losses, *_: losses[1:]),
        ),
        "one-step-short": Mistake(
            "The walk stops one step too early: count the steps for count = 1 by hand.",
            lambda loss_and_gradient, x, step, count: walk(loss_and_gradient, x, step, count - 1),
        ),
    },
    hints=(
        "Write down what happens for count = 2, line by line: what is computed where, and what is to be remembered?",
        "In each round: compute loss and gradient where you are, remember the loss, go on. After the last step one "
        "loss has not been computed yet.",
        "The step is that of the section 'The walk': opposite to the gradient, times the step length. Make a new array "
        "for the new place, so that the caller's x stays as it is, and turn the list of losses into an array.",
    ),
    read='the section "The walk"',
)

EXERCISE = Exercise("a loss on the mean colour, and gradient descent", (MEAN_COLOUR, DESCEND))
