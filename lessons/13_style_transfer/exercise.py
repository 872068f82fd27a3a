"""Exercise 13: the whole of equation 7 with its gradients, and a loss on rough pictures.

Write the two functions below, each in place of its `raise` line.  You need nothing but NumPy.  Check them with

    scratchnst check 13

as often as you like; `scratchnst check 13 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def equation_7(F1, F2, P, A1, A2, alpha, beta, w1, w2):
    """Return alpha L_content + beta (w1 E_1 + w2 E_2), and its gradients.

    There are two layers.  Both have a style loss, equation 4, with the Gram matrices A1 and A2 as targets; the second
    has a content loss as well, equation 1, with the target P.

    Parameters
    ----------
    F1 : (M1, N1) array, activations of the first layer, M1 pixels by N1 channels
    F2 : (M2, N2) array, activations of the second layer
    P : (M2, N2) array, the content image's activations of the second layer
    A1, A2 : (N1, N1) and (N2, N2) arrays, the style image's Gram matrices of the two layers
    alpha, beta : numbers, the weights of content and style
    w1, w2 : numbers, the weights of the two layers in the style loss, equation 5

    Returns
    -------
    loss : number
    grad_F1, grad_F2 : arrays of the shapes of F1 and F2, the gradients of `loss`; not cut off where F is 0, which is
        the business of the ReLU's backward
    """
    raise NotImplementedError("write this")


def total_variation(x):
    """Return the total variation of a picture, and its gradient.

    V is the sum of (end - start)^2 over all pairs of neighbours, one below the other and one beside the other, in each
    channel by itself.

    Parameters
    ----------
    x : (H, W, C) array

    Returns
    -------
    V : number
    grad_x : (H, W, C) array
    """
    raise NotImplementedError("write this")
