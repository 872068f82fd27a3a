r"""2x2 average pooling: each output pixel is the mean of a square of four input pixels.

Equation, for p < floor(H/2) and q < floor(W/2)::

    y[n,p,q,c] = 1/4 sum_{i,j in {0,1}} x[n, 2p+i, 2q+j, c]                                        (a)

With an odd height or width the last row or column belongs to no square and is left out, as in VGG.

Derivation of ``backward``.  A pixel x[n,u,v,c] inside a square enters one output, y[n, u//2, v//2, c], with
the factor 1/4; a pixel left out enters none::

    dL/dx[n,u,v,c] = 1/4 dL/dy[n, u//2, v//2, c],   0 for pixels left out                          (b)

Cached: the shape of x; the derivative of a linear map does not depend on x.

Differs from the paper: nothing; like the paper's, it stands where VGG has max pooling.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array, array_module


def forward(x: Array) -> tuple[Array, tuple[int, ...]]:
    """Average the 2x2 squares of `x`: (N, H, W, C) -> (N, H//2, W//2, C), and the cache, x's shape."""
    height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    y = x[:, 0:height:2, 0:width:2] + x[:, 0:height:2, 1:width:2]
    y += x[:, 1:height:2, 0:width:2]
    y += x[:, 1:height:2, 1:width:2]
    y *= x.dtype.type(1 / 4)
    return y, x.shape


def backward(grad_y: Array, cache: tuple[int, ...]) -> Array:
    """Return dL/dx (N, H, W, C) from `grad_y` = dL/dy (N, H//2, W//2, C): equation (b)."""
    shape = cache
    height, width = shape[1] // 2 * 2, shape[2] // 2 * 2
    grad_x = array_module(grad_y).zeros(shape, grad_y.dtype)
    quarter = grad_y * grad_y.dtype.type(1 / 4)
    for i in (0, 1):
        for j in (0, 1):
            grad_x[:, i:height:2, j:width:2] = quarter
    return grad_x


def forward_loops(x: Array) -> Array:
    """Equation (a), one addition at a time."""
    y = np.zeros((x.shape[0], x.shape[1] // 2, x.shape[2] // 2, x.shape[3]), x.dtype)
    for n, p, q, c in np.ndindex(*y.shape):
        for i, j in np.ndindex(2, 2):
            y[n, p, q, c] += x[n, 2 * p + i, 2 * q + j, c] / 4
    return y


def backward_loops(grad_y: Array, x: Array) -> Array:
    """Each addition of equation (a) reversed: y += x/4 gives grad_x += grad_y/4."""
    grad_x = np.zeros_like(x)
    for n, p, q, c in np.ndindex(*grad_y.shape):
        for i, j in np.ndindex(2, 2):
            grad_x[n, 2 * p + i, 2 * q + j, c] += grad_y[n, p, q, c] / 4
    return grad_x
