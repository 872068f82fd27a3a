r"""Total variation: the squared differences between neighbouring pixels, small for smooth images.

Equation (A. Mahendran, A. Vedaldi, "Understanding Deep Image Representations by Inverting Them", CVPR 2015,
with exponent beta = 2)::

    V = sum (x[n,p+1,q,c] - x[n,p,q,c])^2 + sum (x[n,p,q+1,c] - x[n,p,q,c])^2                      (a)

Derivation of ``backward``.  A pixel is the end of one difference d downwards and the start of the next; in a
square d^2 the end gets the slope +2d, the start -2d.  Likewise along the row::

    dV/dx[end] += 2 d,   dV/dx[start] -= 2 d       for every difference d                          (b)

Cached: x, by reference; the differences would cost twice as much.

Differs from the paper: the paper has no such term; weight 0 leaves it out.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array, array_module


def forward(x: Array) -> tuple[float, Array]:
    """Return the total variation of images `x` (N, H, W, C), equation (a), summed in float64, and the cache, x."""
    down, right = differences(x)
    return float((down * down).sum(dtype="float64") + (right * right).sum(dtype="float64")), x


def backward(grad_y: float, cache: Array) -> Array:
    """Return dL/dx, of x's shape and dtype, from `grad_y` = dL/dV: equation (b)."""
    x = cache
    down, right = differences(x)
    grad_x = array_module(x).zeros_like(x)
    grad_x[:, 1:] += down
    grad_x[:, :-1] -= down
    grad_x[:, :, 1:] += right
    grad_x[:, :, :-1] -= right
    return grad_x * x.dtype.type(2 * grad_y)


def differences(x):
    """Differences from each pixel to the next one, down the columns and along the rows."""
    return x[:, 1:] - x[:, :-1], x[:, :, 1:] - x[:, :, :-1]


def forward_loops(x: Array) -> float:
    """Equation (a), one square at a time."""
    return sum(float(x[end] - x[start]) ** 2 for start, end in neighbours(x.shape))


def backward_loops(grad_y: float, x: Array) -> Array:
    """Equation (b), one difference at a time."""
    grad_x = np.zeros_like(x)
    for start, end in neighbours(x.shape):
        grad_x[end] += grad_y * 2 * (x[end] - x[start])
        grad_x[start] -= grad_y * 2 * (x[end] - x[start])
    return grad_x


def neighbours(shape):
    """Yield the indices of each pixel and of its neighbour below and to the right."""
    for n, p, q, c in np.ndindex(*shape):
        if p + 1 < shape[1]:
            yield (n, p, q, c), (n, p + 1, q, c)
        if q + 1 < shape[2]:
            yield (n, p, q, c), (n, p, q + 1, c)
