"""Exercise 9: the content loss of what enters a ReLU, and its gradient.

Write the two functions below, each in place of its `raise` line.  You need nothing but NumPy.  Check them with

    scratchnst check 9

as often as you like; `scratchnst check 9 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def content_forward(z, P):
    """Return the content loss, equation 1, of the features that a ReLU makes of z.

    Parameters
    ----------
    z : array (N, H, W, C), what enters the ReLU of the layer
    P : array of the same shape, the features of the content image, behind its ReLU

    Returns
    -------
    loss : number
    """
    raise NotImplementedError("write this")


def content_backward(grad_y, z, P):
    """Return dL/dz, where L depends on z through the content loss alone.

    This is equation 2, times what comes from above.  Where z is 0, the slope of the ReLU is taken as 0.

    Parameters
    ----------
    grad_y : number, the derivative of L with respect to the content loss, for example its weight alpha
    z, P : what `content_forward` was given

    Returns
    -------
    grad_z : array of z's shape and dtype
    """
    raise NotImplementedError("write this")
