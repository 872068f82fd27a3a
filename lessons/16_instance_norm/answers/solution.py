"""The exercise, solved: instance normalisation with a scale and a shift, forward and backward."""

from __future__ import annotations

import numpy as np

EPSILON = 1e-5
PIXELS = (1, 2)  # axes


def normalise(x):
    """The mean is subtracted before squaring."""
    centred = x - x.mean(axis=PIXELS, keepdims=True)
    variance = (centred**2).mean(axis=PIXELS, keepdims=True)
    s = np.sqrt(variance + EPSILON)
    return centred / s, s


def forward(x, scale, shift):
    """Two axes of length 1 let a row (C,) meet all pixels of its image."""
    z, _ = normalise(x)
    return scale[:, None, None] * z + shift[:, None, None]


def backward_parameters(grad_y, x):
    """All pixels of an image share its scale and its shift: a sum over the pixels, equation (b)."""
    z, _ = normalise(x)
    return (grad_y * z).sum(axis=PIXELS), grad_y.sum(axis=PIXELS)


def backward_input(grad_y, x, scale):
    """The three paths, equation (c): itself, the mean, the variance."""
    z, s = normalise(x)
    grad_z = scale[:, None, None] * grad_y
    through_mean = grad_z.mean(axis=PIXELS, keepdims=True)
    through_variance = z * (grad_z * z).mean(axis=PIXELS, keepdims=True)
    return (grad_z - through_mean - through_variance) / s
