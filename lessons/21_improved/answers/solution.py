"""The exercise, solved: geometric weights, shifted and cross-layer Gram matrices."""

from __future__ import annotations

import numpy as np


def geometric_weights(layers):
    """Halves of halves, divided by their sum."""
    w = 2.0 ** -np.arange(layers)
    return w / w.sum()


def shifted_gram_backward(grad_G, F, s):
    """The Gram matrix's backward, at F + s; the shift itself has the slope 1."""
    X = matrix(F + s)
    return (X @ (grad_G + grad_G.T)).reshape(F.shape)


def cross_gram(F, K):
    """One product, at the resolution of K."""
    P = at_resolution_of(K, F)
    return matrix(P).T @ matrix(K)


def cross_gram_backward(grad_G, F, K):
    """Each layer gets the other one's features; F's gradient is spread over its squares."""
    P = at_resolution_of(K, F)
    grad_P = (matrix(K) @ grad_G.T).reshape(P.shape)
    grad_K = (matrix(P) @ grad_G).reshape(K.shape)
    return (grad_P if P is F else spread(grad_P, F.shape)), grad_K


def matrix(F):
    """A row for each position."""
    return F.reshape(-1, F.shape[2])


def at_resolution_of(K, F):
    """F itself, or the means of its squares."""
    if F.shape[:2] == K.shape[:2]:
        return F
    height, width = K.shape[:2]
    return sum(F[i : 2 * height : 2, j : 2 * width : 2] for i in (0, 1) for j in (0, 1)) / 4


def spread(grad_P, shape):
    """A quarter to each pixel of a square, nothing to what is in none."""
    height, width = grad_P.shape[:2]
    grad_F = np.zeros(shape)
    for i, j in np.ndindex(2, 2):
        grad_F[i : 2 * height : 2, j : 2 * width : 2] = grad_P / 4
    return grad_F
