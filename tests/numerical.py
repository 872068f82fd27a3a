"""Derivatives by central differences, for judging the hand-written ones."""

from __future__ import annotations

import numpy as np


def central_differences(f, x, step):
    """Return dL/dx, of x's shape, of a scalar function by (f(x + h) - f(x - h)) / 2h in every element."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[index] += step
        behind[index] -= step
        gradient[index] = (f(ahead) - f(behind)) / (2 * step)
    return gradient


def relative_error(a, b):
    """Return the largest |a - b| over the largest |b|."""
    return np.max(np.abs(a - b)) / np.max(np.abs(b))
