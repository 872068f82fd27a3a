"""The exercise, solved: covariance, the square root of a matrix forward and backward, whitening and colouring."""

from __future__ import annotations

import numpy as np

EPSILON = 1e-5


def covariance(x):
    """The mean is subtracted first; then it is a Gram matrix, a pixel."""
    X = x - x.mean(axis=0)
    return X.T @ X / len(x)


def square_root(K):
    """In the eigenbasis, roots of numbers."""
    eigenvalues, V = np.linalg.eigh(K)
    r = np.sqrt(eigenvalues)
    return V @ np.diag(r) @ V.T


def square_root_backward(grad_S, K):
    """The Sylvester equation, solved in the eigenbasis."""
    eigenvalues, V = np.linalg.eigh(K)
    r = np.sqrt(eigenvalues)
    g = V.T @ ((grad_S + grad_S.T) / 2) @ V
    D = g / (r[:, None] + r[None, :])
    return V @ D @ V.T


def whiten_and_colour(x, style):
    """The inverse root of the own covariance, then the root of the style's."""
    root, root_of_style = square_root(with_e(covariance(x))), square_root(with_e(covariance(style)))
    white = (x - x.mean(axis=0)) @ np.linalg.inv(root)
    return white @ root_of_style + style.mean(axis=0)


def with_e(K):
    """Equation (f)."""
    e = EPSILON * (1 + np.trace(K) / len(K))
    return K + e * np.eye(len(K))
