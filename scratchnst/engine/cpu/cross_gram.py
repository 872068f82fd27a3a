"""Cross-layer Gram matrices, `scratchnst.losses.cross_gram`, summed over pieces of the image."""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images, check_shape
from scratchnst.engine.cpu import average_pool, threads
from scratchnst.engine.cpu.gram import PIXELS_OF_A_PRODUCT, PIXELS_OF_A_SUM, _matrix, _pieces
from scratchnst.losses.cross_gram import pools_between


def forward(x: Array, y: Array) -> tuple[Array, tuple[Array, Array]]:
    """Return the Gram matrices (N, C, C') of activations `x` (N, H, W, C) and `y` of a deeper layer, and the cache."""
    check_images(x)
    check_images(y)
    P, K = _matrix(_halved(x, y)[0]), _matrix(y)
    G = np.empty((len(P), P.shape[2], K.shape[2]), x.dtype)
    for one, other, target in zip(P, K, G):
        target[...] = threads.total(
            lambda start, stop, P=one, K=other: P[start:stop].T @ K[start:stop], _pieces(one, PIXELS_OF_A_SUM)
        )
    return G, (x, y)


def backward(grad_y: Array, cache: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return dL/dx (N, H, W, C) and dL/dy (N, H', W', C') from `grad_y` = dL/dG (N, C, C')."""
    x, y = cache
    halved, shapes = _halved(x, y)
    P, K = _matrix(halved), _matrix(y)
    check_shape("gradient", grad_y, (len(P), P.shape[2], K.shape[2]))
    grad_P, grad_K = np.empty(P.shape, x.dtype), np.empty(K.shape, y.dtype)

    def job(image, start, stop):
        np.matmul(K[image, start:stop], grad_y[image].T, out=grad_P[image, start:stop])
        np.matmul(P[image, start:stop], grad_y[image], out=grad_K[image, start:stop])

    threads.run(job, [(image, *piece) for image in range(len(P)) for piece in _pieces(P[image], PIXELS_OF_A_PRODUCT)])
    grad_x = grad_P.reshape(halved.shape)
    for shape in reversed(shapes):
        grad_x = average_pool.backward(grad_x, shape)
    return grad_x, grad_K.reshape(y.shape)


def _halved(x, y):
    """Return `x` at the resolution of `y`, and the shapes that were halved on the way."""
    shapes = []
    for _ in range(pools_between(x.shape, y.shape)):
        shapes.append(x.shape)
        x, _ = average_pool.forward(x)
    return x, shapes
