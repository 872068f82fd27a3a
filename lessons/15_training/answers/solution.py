"""The exercise, solved: a smoothed cross-entropy, and the way back through a classifier."""

import numpy as np


def smoothed_cross_entropy(z, labels, e):
    """The largest logit is taken off first; the rest e belongs to all textures alike."""
    count, textures = z.shape
    z = z - z.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    q = np.full_like(z, e / textures)
    q[np.arange(count), labels] += 1 - e
    loss = -(q * log_p).sum() / count
    return loss, (np.exp(log_p) - q) / count


def energy_backward(grad_z, F, V):
    """Through the matrix as in the lesson, through the square with 2 F."""
    positions = F.shape[1] * F.shape[2]
    s = (F**2).sum(axis=(1, 2)) / positions
    grad_s = grad_z @ V.T
    grad_F = 2 / positions * F * grad_s[:, np.newaxis, np.newaxis]
    return grad_F, s.T @ grad_z, grad_z.sum(axis=0)
