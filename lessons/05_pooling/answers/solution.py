"""The exercise, solved: average and max pooling, without loops over pixels."""

from __future__ import annotations

import numpy as np


def corners(x):
    """Four views of x: the upper left pixels of all squares, then upper right, lower left, lower right."""
    height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    return [x[:, i:height:2, j:width:2] for i in (0, 1) for j in (0, 1)]


def average_pool_backward(grad_y, shape):
    """A quarter for each of the four; what no square holds keeps its zero."""
    grad_x = np.zeros(shape, grad_y.dtype)
    for corner in corners(grad_x):
        corner[...] = grad_y / 4
    return grad_x


def max_pool_forward(x):
    """argmax takes the first of several largest."""
    four = np.stack(corners(x))
    return four.max(axis=0), four.argmax(axis=0)


def max_pool_backward(grad_y, winner, shape):
    """Each of the four gets grad_y where it has won."""
    grad_x = np.zeros(shape, grad_y.dtype)
    for number, corner in enumerate(corners(grad_x)):
        corner[...] = grad_y * (winner == number)
    return grad_x
