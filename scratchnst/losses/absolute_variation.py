r"""Absolute total variation: the absolute differences between neighbouring pixels, small for pictures of flat areas.

Equation (L. I. Rudin, S. Osher, E. Fatemi, "Nonlinear Total Variation Based Noise Removal Algorithms", Physica D 60,
1992; in its anisotropic form, with each difference on its own)::

    V = sum |x[n,p+1,q,c] - x[n,p,q,c]| + sum |x[n,p,q+1,c] - x[n,p,q,c]|                          (a)

Beside the squares of `total_variation`, large differences cost less and small ones more: edges stay, grain goes.

Derivation of ``backward``.  A pixel is the end of one difference d downwards and the start of the next.  The slope of
|d| is sign(d): +1 for d > 0, -1 for d < 0.  The end gets it, the start its negative; likewise along the row::

    dV/dx[end] += sign(d),   dV/dx[start] -= sign(d)       for every difference d                  (b)

At d = 0 is the kink of |d|, where the slopes -1 and +1 meet.  There 0 is taken, the middle of them: neighbours that are
equal do not push each other, and a picture of one colour, the minimum of V, has the gradient 0.

Cached: x, by reference.

Differs from the paper: it has no such term; weight 0 leaves it out.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array, array_module, as_number
from scratchnst.losses.total_variation import differences, neighbours


def forward(x: Array) -> tuple[float, Array]:
    """Return V of images `x` (N, H, W, C), equation (a), summed in float64, and the cache, x."""
    down, right = differences(x)
    return as_number(abs(down).sum(dtype="float64") + abs(right).sum(dtype="float64")), x


def backward(grad_y: float, cache: Array) -> Array:
    """Return dL/dx, of x's shape and dtype, from `grad_y` = dL/dV: equation (b)."""
    x = cache
    xp = array_module(x)
    down, right = map(xp.sign, differences(x))
    grad_x = xp.zeros_like(x)
    grad_x[:, 1:] += down
    grad_x[:, :-1] -= down
    grad_x[:, :, 1:] += right
    grad_x[:, :, :-1] -= right
    return grad_x * x.dtype.type(grad_y)


def forward_loops(x: Array) -> float:
    """Equation (a), one difference at a time."""
    return sum(abs(float(x[end] - x[start])) for start, end in neighbours(x.shape))


def backward_loops(grad_y: float, x: Array) -> Array:
    """Equation (b), one difference at a time."""
    grad_x = np.zeros_like(x)
    for start, end in neighbours(x.shape):
        slope = (x[end] > x[start]) - 1.0 * (x[end] < x[start])
        grad_x[end] += grad_y * slope
        grad_x[start] -= grad_y * slope
    return grad_x
