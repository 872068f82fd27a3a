"""Exercise 15: a loss for labels in doubt, and the way back through a classifier that reads squares.

Write the two functions below, each in place of its `raise` line.  You need nothing but NumPy.  Check them with

    scratchnst check 15

as often as you like; `scratchnst check 15 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def smoothed_cross_entropy(z, labels, e):
    """Return the cross-entropy for labels that are not quite certain, and its gradient.

    Where labels may be wrong it is wiser to believe them only to the share 1 - e, and to spread the rest e evenly over
    all T textures, the label's own among them.  So the target probabilities of picture n are

        q[n, k] = (1 - e) [k = labels[n]] + e / T

    and with p the softmax of the logits the loss is

        L = -1/N sum_n sum_k q[n, k] ln p[n, k]

    For e = 0 this is the loss of the lesson.

    Parameters
    ----------
    z : (N, T), the logits: any numbers, also very large ones
    labels : (N,), integers from 0 to T - 1
    e : number from 0 to 1

    Returns
    -------
    loss : number, L
    grad_z : dL/dz, (N, T), in the dtype of z
    """
    raise NotImplementedError("write this")


def energy_backward(grad_z, F, V):
    """Return the gradients of a classifier that reads the mean square of each channel.

    The classifier of the lesson reads each channel's mean.  Style is rather in the Gram matrix (lesson 10), whose
    diagonal, divided by the number of positions M = H W, holds the mean squares

        s[n, c] = 1/M sum over positions of F[n, i, j, c]^2        and        z[n, t] = sum_c s[n, c] V[c, t] + d[t]

    Parameters
    ----------
    grad_z : dL/dz, (N, T)
    F : features, (N, H, W, C)
    V : the matrix, (C, T)

    Returns
    -------
    grad_F : dL/dF, (N, H, W, C)
    grad_V : dL/dV, (C, T)
    grad_d : dL/dd, (T,)
    """
    raise NotImplementedError("write this")
