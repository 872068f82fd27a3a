"""A convolution, then a ReLU: the two of the textbook, behind the names of one operation.

Cached: what the two cache, (x, w) and y.
"""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.ops import conv2d, relu


def forward(x: Array, w: Array, b: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    """Return y = max(x * w + b, 0) and the cache (x, w, y)."""
    z, _ = conv2d.forward(x, w, b)
    y, _ = relu.forward(z)
    return y, (x, w, y)


def backward(grad_y: Array, cache: tuple) -> tuple[Array, Array, Array]:
    """Return dL/dx, dL/dw and dL/db from `grad_y` = dL/dy."""
    x, w, y = cache
    return conv2d.backward(relu.backward(grad_y, y), (x, w))


def backward_input(grad_y: Array, cache: tuple) -> Array:
    """Return dL/dx alone."""
    x, w, y = cache
    return conv2d.backward_input(relu.backward(grad_y, y), (x, w))


def backward_parameters(grad_y: Array, cache: tuple) -> tuple[Array, Array]:
    """Return dL/dw and dL/db."""
    x, w, y = cache
    return conv2d.backward_parameters(relu.backward(grad_y, y), (x, w))
