"""Exercise 14: a cross-entropy that large scores, unsure truths and patches of different weight cannot upset.

The lesson's truth is one class. Here it is a distribution t over the classes: (0, 1, 0) says as much as "the second",
and (0.5, 0.5, 0) says that it is the first or the second. And each of the N patches has a weight, so that some count
more than others. With the softmax p of each patch's scores,

    L = sum over n of weights[n] (- sum over k of t[n, k] log p[n, k])  /  sum over n of weights[n]

Write the two functions below, each in place of its `raise` line. You need nothing but NumPy. Check them with

    scratchnst check 14

as often as you like; `scratchnst check 14 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def log_softmax(scores):
    """Return the logarithm of each score's probability; no score is too large, such as 1000 or -1000.

    Parameters
    ----------
    scores : (N, K) array, one row a patch

    Returns
    -------
    log_p : (N, K) array, finite
    """
    raise NotImplementedError("write this")


def cross_entropy(scores, targets, weights):
    """Return the loss L above, and its gradient with respect to the scores.

    Parameters
    ----------
    scores : (N, K) array
    targets : (N, K) array, 0 or more, each row adding up to 1: the distributions t
    weights : (N,) array, 0 or more

    Returns
    -------
    loss : number
    grad_scores : (N, K) array
    """
    raise NotImplementedError("write this")
