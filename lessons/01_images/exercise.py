"""Exercise 1: a first loss that is about style, and gradient descent on any loss.

Write the two functions below, each in place of its `raise` line.  You need nothing but NumPy.  Check them with

    scratchnst check 1

as often as you like; `scratchnst check 1 --hint` gives a hint.  When both are right, put them together: let `descend`
take the content picture of the lesson to the mean colour of the style picture.  A good step length may surprise you.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def mean_colour_loss(x, colour):
    """Return how far the mean colour of a picture is from a colour that we want, and the gradient of that.

    With m[c] the mean of channel c over all pixels of x, the loss is half the sum of (m[c] - colour[c])**2 over the
    channels.  To find the gradient, ask by how much m[c] moves when a single pixel of channel c does.

    Parameters
    ----------
    x : (H, W, 3) array, the picture
    colour : (3,) array, the colour that its mean should have

    Returns
    -------
    loss : number
    grad_x : (H, W, 3) array of x's dtype, the slope of the loss with respect to every number of x
    """
    raise NotImplementedError("write this")


def descend(loss_and_gradient, x, step, count):
    """Walk downhill: take `count` steps of gradient descent from x.

    Parameters
    ----------
    loss_and_gradient : function, picture -> (loss, gradient)
    x : array of any shape, where the walk starts; it is not to be changed
    step : number, the step length
    count : whole number of steps

    Returns
    -------
    x_end : array of x's shape, where the walk ends
    losses : (count + 1,) array, the loss at the start and after each step
    """
    raise NotImplementedError("write this")
