r"""Addition of two arrays of the same shape, as at the end of a residual block.

Equation, element by element::

    y = a + b                                                                                      (a)

Derivation of ``backward``.  dy/da = 1 and dy/db = 1, so each of the two gets all of the gradient, not half of it::

    dL/da = dL/dy,   dL/db = dL/dy                                                                 (b)

They are two arrays: whoever gets one may add to it in place.  Where a and b come from one array, by two branches, the
chain rule adds up what comes back through both.

Cached: nothing.

Differs from the paper: its network has no such layer.  Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning
for Image Recognition", CVPR 2016.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array


def forward(a: Array, b: Array) -> tuple[Array, None]:
    """Return y = a + b, of their shape and dtype, and the cache, None.

    Raises
    ------
    ValueError
        If the shapes differ; NumPy would repeat the smaller array, and the gradient would be another one.
    """
    if a.shape != b.shape:
        raise ValueError(f"an addition takes two arrays of one shape, not {a.shape} and {b.shape}")
    return a + b, None


def backward(grad_y: Array, cache: None = None) -> tuple[Array, Array]:
    """Return dL/da and dL/db from `grad_y` = dL/dy, equation (b): two copies."""
    return grad_y.copy(), grad_y.copy()


def forward_loops(a: Array, b: Array) -> Array:
    """Equation (a), one element at a time."""
    y = np.zeros_like(a)
    for index in np.ndindex(*a.shape):
        y[index] = a[index] + b[index]
    return y


def backward_loops(grad_y: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Equation (b), one element at a time."""
    grad_a, grad_b = np.zeros_like(a), np.zeros_like(b)
    for index in np.ndindex(*a.shape):
        grad_a[index] += grad_y[index]
        grad_b[index] += grad_y[index]
    return grad_a, grad_b
