"""Exercise 7, solved: the way back through a convolution that takes no zeros."""

from __future__ import annotations

import numpy as np


def backward_input(grad_y, w):
    """Each pixel collects: a convolution of grad_y, flipped, with kh - 1 rows of zeros at top and bottom.

    A pixel at the border is touched by few outputs, and the zeros stand for those that are missing.
    """
    kh, kw, channels, _ = w.shape
    padded = np.pad(grad_y, ((0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1), (0, 0)))
    count, height, width = padded.shape[0], padded.shape[1] - kh + 1, padded.shape[2] - kw + 1
    grad_x = np.zeros((count, height, width, channels), grad_y.dtype)
    for i, j in np.ndindex(kh, kw):
        grad_x += padded[:, i : i + height, j : j + width] @ w[kh - 1 - i, kw - 1 - j].T
    return grad_x


def backward_parameters(grad_y, x, w):
    """Each weight sums over the outputs that it touches; these see x shifted by its place in the kernel."""
    (_, height, width, outputs), (kh, kw, channels, _) = grad_y.shape, w.shape
    grad_w = np.zeros(w.shape, x.dtype)
    for i, j in np.ndindex(kh, kw):
        shifted = x[:, i : i + height, j : j + width]
        grad_w[i, j] = shifted.reshape(-1, channels).T @ grad_y.reshape(-1, outputs)
    return grad_w, grad_y.sum(axis=(0, 1, 2))
