"""The exercise, solved: the whole of equation 7 with its gradients, and a loss on rough pictures."""

from __future__ import annotations

import numpy as np


def style_loss(F, A):
    """Equation 4, and equation 6 before the ReLU."""
    (M, N), difference = F.shape, F.T @ F - A
    return np.sum(difference**2) / (4 * N**2 * M**2), F @ difference / (N**2 * M**2)


def equation_7(F1, F2, P, A1, A2, alpha, beta, w1, w2):
    """Each loss with its weights; where two of them meet, at F2, their gradients add up."""
    (E1, grad_1), (E2, grad_2) = style_loss(F1, A1), style_loss(F2, A2)
    content = np.sum((F2 - P) ** 2) / 2
    loss = alpha * content + beta * (w1 * E1 + w2 * E2)
    grad_F1 = beta * w1 * grad_1
    grad_F2 = alpha * (F2 - P) + beta * w2 * grad_2
    return loss, grad_F1, grad_F2


def total_variation(x):
    """A pixel is the end of one difference and the start of the next, in both directions."""
    down, right = x[1:] - x[:-1], x[:, 1:] - x[:, :-1]
    grad_x = np.zeros_like(x)
    grad_x[1:] += 2 * down
    grad_x[:-1] -= 2 * down
    grad_x[:, 1:] += 2 * right
    grad_x[:, :-1] -= 2 * right
    return np.sum(down**2) + np.sum(right**2), grad_x
