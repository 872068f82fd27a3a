"""The exercise, solved: a Gram matrix, its backward for any gradient from above, and equation 6."""

from __future__ import annotations

import numpy as np


def gram_forward(F):
    """Positions become the rows of a matrix; the product sums over them."""
    matrix = F.reshape(-1, F.shape[2])
    return matrix.T @ matrix


def gram_backward(grad_G, F):
    """Each feature stands in a row of G and in a column: step 3 of the lesson, both sums."""
    return F @ (grad_G + grad_G.T)


def style_backward(grad_y, z, A):
    """Equation 6: F (G - A) / (N^2 M^2), where the ReLU passes it."""
    F = np.maximum(z, 0)
    height, width, N = F.shape
    M = height * width
    positions = F.reshape(M, N)
    difference = positions.T @ positions - A
    return grad_y / (N**2 * M**2) * (F @ difference) * (z > 0)
