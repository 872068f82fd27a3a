r"""ReLU: negative numbers become zero, the others pass.

Equation::

    y = max(x, 0)                                                                                  (a)

Derivation of ``backward``.  Where x > 0, y = x and dy/dx = 1; where x < 0, y = 0 and dy/dx = 0.  Each y
depends on its own x alone, so the chain rule reads, element by element::

    dL/dx = dL/dy  where x > 0,   0 elsewhere                                                      (b)

At x = 0 the two slopes differ: a kink.  We take 0, as deep-learning libraries do.

Cached: y.  It tells as well as x where x > 0, and the next layer keeps y as its input anyway.

Differs from the paper: nothing.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array, array_module


def forward(x: Array) -> tuple[Array, Array]:
    """Return y = max(x, 0), of x's shape and dtype, and the cache, which is y; NaN stays NaN."""
    y = array_module(x).maximum(x, 0)
    return y, y


def backward(grad_y: Array, cache: Array) -> Array:
    """Return dL/dx from `grad_y` = dL/dy: equation (b)."""
    y = cache
    return grad_y * (y > 0)


def forward_loops(x: Array) -> Array:
    """Equation (a), one element at a time."""
    y = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        if x[index] > 0:
            y[index] = x[index]
    return y


def backward_loops(grad_y: Array, x: Array) -> Array:
    """Equation (b), one element at a time."""
    grad_x = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        if x[index] > 0:
            grad_x[index] = grad_y[index]
    return grad_x
