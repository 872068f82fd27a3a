"""The exercise, solved: a ReLU, forward and backward."""

from __future__ import annotations

import numpy as np


def relu_forward(x):
    """The larger one of x and 0, number by number."""
    return np.maximum(x, 0)


def relu_backward(grad_y, x):
    """The slope is 1 where x > 0 and 0 elsewhere; the chain rule multiplies it by dL/dy."""
    return grad_y * (x > 0)
