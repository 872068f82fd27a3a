"""The exercise, solved: a layer's loss with its gradient, the way from images to styles, and a bound."""

from __future__ import annotations

import numpy as np


def layer_loss(F, P, A, energy, alpha, beta):
    """Equations (a) and (b) and their gradients, all images at once."""
    count, height, width, channels = F.shape
    positions = height * width
    matrix = F.reshape(count, positions, channels)
    D = matrix.swapaxes(1, 2) @ matrix / positions - A
    size = (A**2).sum(axis=(1, 2), keepdims=True)
    content = ((F - P) ** 2).sum() / (positions * energy)
    style = (D**2 / size).sum()
    of_content = 2 * alpha / (positions * energy) * (F - P)
    of_style = 4 * beta / positions * matrix @ (D / size)
    loss = (alpha * content + beta * style) / count
    return loss, (of_content + of_style.reshape(F.shape)) / count


def rows_backward(grad_y, z, mixture):
    """A sum over the pixels of each image, then one over the images, each with its share of the style."""
    of_scale = (grad_y * z).sum(axis=(1, 2))
    of_shift = grad_y.sum(axis=(1, 2))
    return mixture.T @ of_scale, mixture.T @ of_shift


def bounded(grad_w, grad_b, bound):
    """One factor for both, computed in float64: in float32 the squares of large numbers are infinite."""
    squares = [(array.astype(np.float64) ** 2).sum() for array in (grad_w, grad_b)]
    norm = np.sqrt(sum(squares))
    factor = bound / norm if norm > bound else 1.0
    return grad_w * grad_w.dtype.type(factor), grad_b * grad_b.dtype.type(factor)
