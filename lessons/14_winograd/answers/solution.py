"""The exercise, solved: Winograd's convolution of a row of pixels, forward and back.

The points are 0, 1, -1 and infinity, and the matrices evaluate polynomials there, as in the lesson.
"""

from __future__ import annotations

import numpy as np

A = np.array([[1.0, 0], [1, 1], [1, -1], [0, 1]])
G = np.array([[1.0, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 1]])
B = np.linalg.inv(np.array([[1.0, 0, 0, 0], [1, 1, 1, 1], [1, -1, 1, -1], [0, 0, 0, 1]]))


def tiles(x):
    """The four pixels that each pair of outputs looks at, (tiles, 4)."""
    return np.lib.stride_tricks.sliding_window_view(x, 4)[::2]


def convolve(x, w, multiply):
    """To the points, multiply there, and back: a row for each tile."""
    M = multiply(tiles(x) @ B, G @ w)
    return (M @ A).ravel()


def backward_input(grad_y, x, w, multiply):
    """The steps transposed, from the last to the first; where tiles overlap, their gradients add up."""
    grad_M = grad_y.reshape(-1, 2) @ A.T
    grad_tiles = multiply(grad_M, G @ w) @ B.T
    grad_x = np.zeros(len(x))
    grad_x[:-2] += grad_tiles[:, :2].ravel()
    grad_x[2:] += grad_tiles[:, 2:].ravel()
    return grad_x


def backward_kernel(grad_y, x, w, multiply):
    """The steps from w to y transposed; all tiles share the kernel, so they add up."""
    grad_M = grad_y.reshape(-1, 2) @ A.T
    grad_U = multiply(tiles(x) @ B, grad_M).sum(axis=0)
    return G.T @ grad_U
