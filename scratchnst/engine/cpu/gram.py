"""Gram matrices, `scratchnst.ops.gram`, summed over pieces of the image."""

from __future__ import annotations

from typing import Any

import numpy as np

from scratchnst.engine.cpu import threads
from scratchnst.engine.cpu.checks import check_images, check_shape

Array = Any


def forward(x: Array) -> tuple[Array, Array]:
    """Return the Gram matrices (N, C, C) of activations `x` (N, H, W, C), and the cache, x."""
    check_images(x)
    F = _matrix(x)
    G = np.empty((len(F), F.shape[2], F.shape[2]), x.dtype)
    for one, target in zip(F, G):
        target[...] = threads.total(lambda start, stop, F=one: F[start:stop].T @ F[start:stop], _pieces(one))
    return G, x


def backward(grad_y: Array, cache: Array) -> Array:
    """Return dL/dx (N, H, W, C) from `grad_y` = dL/dG (N, C, C)."""
    x = cache
    F = _matrix(x)
    check_shape("gradient", grad_y, (len(F), F.shape[2], F.shape[2]))
    grad_x = np.empty(F.shape, x.dtype)
    both = grad_y + grad_y.swapaxes(1, 2)

    def job(image, start, stop):
        np.matmul(F[image, start:stop], both[image], out=grad_x[image, start:stop])

    threads.run(job, [(image, *piece) for image in range(len(F)) for piece in _pieces(F[image])])
    return grad_x.reshape(x.shape)


def _matrix(x):
    """View (N, H, W, C) activations as one (H W, C) matrix F an image."""
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2], x.shape[3])


def _pieces(F):
    """Cut the pixels into pieces, few, because each sum over one is a matrix, and as many whatever the threads are."""
    return threads.pieces(len(F), max(1024, -(-len(F) // 16)))
