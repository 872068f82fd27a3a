"""Gram matrices, `scratchnst.losses.gram`, summed over pieces of the image, or, of a small one, made of pieces."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images, check_shape
from scratchnst.engine.cpu import threads

PIXELS_OF_A_SUM, PIXELS_OF_A_PRODUCT = 1024, 128  # at least
CHANNELS_OF_A_GROUP = 128  # at most


def forward(x: Array) -> tuple[Array, Array]:
    """Return the Gram matrices (N, C, C) of activations `x` (N, H, W, C), and the cache, x."""
    check_images(x)
    F = _matrix(x)
    G = np.empty((len(F), F.shape[2], F.shape[2]), x.dtype)
    for one, target in zip(F, G):
        pieces = _pieces(one, PIXELS_OF_A_SUM)
        if len(pieces) == 1:
            _by_channels(one, target)
        else:
            target[...] = threads.total(lambda start, stop, F=one: F[start:stop].T @ F[start:stop], pieces)
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

    threads.run(job, [(image, *piece) for image in range(len(F)) for piece in _pieces(F[image], PIXELS_OF_A_PRODUCT)])
    return grad_x.reshape(x.shape)


def _matrix(x):
    """View (N, H, W, C) activations as one (H W, C) matrix F an image."""
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2], x.shape[3])


def _pieces(F, fewest):
    """Cut the pixels into at most 16 pieces, since the sum over each is a matrix, however many threads there are."""
    return threads.pieces(len(F), max(fewest, -(-len(F) // 16)))


def _by_channels(F, G):
    """Write F^T F into `G`: a product for each pair of groups of channels, and its transpose on the other side."""
    groups = [slice(*piece) for piece in threads.pieces(F.shape[1], CHANNELS_OF_A_GROUP)]

    def job(one, other):
        np.matmul(F[:, one].T, F[:, other], out=G[one, other])
        if one != other:
            G[other, one] = G[one, other].T

    pairs = list(combinations_with_replacement(groups, 2))
    threads.run(job, sorted(pairs, key=lambda pair: pair[0] == pair[1]))  # of one group BLAS computes a half: last
