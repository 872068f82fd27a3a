"""The exercise, solved: the way back through a convolution without padding."""

from __future__ import annotations

import numpy as np


def backward_input(grad_y, x, w):
    """For each weight, every output hands its gradient to the pixel that it has seen through it."""
    grad_x = np.zeros_like(x)
    (_, height, width, _), (kh, kw, _, _) = grad_y.shape, w.shape
    for i in range(kh):
        for j in range(kw):
            grad_x[:, i : i + height, j : j + width] += grad_y @ w[i, j].T
    return grad_x


def backward_parameters(grad_y, x, w):
    """Each weight collects its pixel times the gradient of each output; the bias collects the gradients alone."""
    (_, height, width, outputs), (kh, kw, channels, _) = grad_y.shape, w.shape
    grad_w = np.zeros_like(w)
    for i in range(kh):
        for j in range(kw):
            seen = x[:, i : i + height, j : j + width].reshape(-1, channels)
            grad_w[i, j] = seen.T @ grad_y.reshape(-1, outputs)
    return grad_w, grad_y.sum(axis=(0, 1, 2))
