"""Cross-layer Gram matrices, `scratchnst.losses.cross_gram`: average pooling, and products of matrices by cuBLAS."""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images, check_shape
from scratchnst.engine.cuda import average_pool, products
from scratchnst.engine.cuda.gram import _matrix
from scratchnst.losses.cross_gram import pools_between


def forward(x: Array, y: Array) -> tuple[Array, tuple[Array, Array]]:
    """Return the Gram matrices (N, C, C') of activations `x` (N, H, W, C) and `y` of a deeper layer, and the cache."""
    check_images(x)
    check_images(y)
    return products.multiply_tall(_matrix(_halved(x, y)[0]), _matrix(y)), (x, y)


def backward(grad_y: Array, cache: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return dL/dx (N, H, W, C) and dL/dy (N, H', W', C') from `grad_y` = dL/dG (N, C, C')."""
    x, y = cache
    check_shape("gradient", grad_y, (len(x), x.shape[3], y.shape[3]))
    P, shapes = _halved(x, y)
    grad_x = products.multiply(_matrix(y), grad_y, transpose_b=True).reshape(P.shape)
    for shape in reversed(shapes):
        grad_x = average_pool.backward(grad_x, shape)
    return grad_x, products.multiply(_matrix(P), grad_y).reshape(y.shape)


def _halved(x, y):
    """Return `x` at the resolution of `y`, and the shapes that were halved on the way."""
    shapes = []
    for _ in range(pools_between(x.shape, y.shape)):
        shapes.append(x.shape)
        x, _ = average_pool.forward(x)
    return x, shapes
