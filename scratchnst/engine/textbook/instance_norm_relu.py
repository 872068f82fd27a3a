"""An instance normalisation, then a ReLU: the two of the textbook, behind the names of one operation.

Cached: what the two cache, (z, scale, 1/s) and y.
"""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.ops import instance_norm, relu


def forward(x: Array, scale: Array, shift: Array) -> tuple[Array, tuple[Array, Array, Array, Array]]:
    """Return y = max(scale z + shift, 0), z being x normalised, and the cache (z, scale, 1/s, y)."""
    normalised, cache = instance_norm.forward(x, scale, shift)
    y, _ = relu.forward(normalised)
    return y, (*cache, y)


def backward(grad_y: Array, cache: tuple) -> tuple[Array, Array, Array]:
    """Return dL/dx, dL/dscale and dL/dshift from `grad_y` = dL/dy."""
    *norm_cache, y = cache
    return instance_norm.backward(relu.backward(grad_y, y), tuple(norm_cache))


def backward_input(grad_y: Array, cache: tuple) -> Array:
    """Return dL/dx alone."""
    *norm_cache, y = cache
    return instance_norm.backward_input(relu.backward(grad_y, y), tuple(norm_cache))


def backward_parameters(grad_y: Array, cache: tuple) -> tuple[Array, Array]:
    """Return dL/dscale and dL/dshift."""
    *norm_cache, y = cache
    return instance_norm.backward_parameters(relu.backward(grad_y, y), tuple(norm_cache))
