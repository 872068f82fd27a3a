"""Nearest upsampling, then reflection padding and a 3x3 convolution: the two of this engine, one after the other.

The contract is that of `scratchnst.engine.textbook.upsampled_conv2d`.
"""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.cuda import reflected_conv2d, upsample
from scratchnst.engine.textbook.upsampled_conv2d import Cache, check_side, reflected_cache, upsampled


def forward(x: Array, w: Array, b: Array) -> tuple[Array, Cache]:
    """Return y (N, 2H, 2W, K) of `x` (N, H, W, C), `w` (3, 3, C, K) and `b` (K,), and the cache, (x, its shape, w)."""
    check_side(w)
    y, _ = reflected_conv2d.forward(upsample.forward(x)[0], w, b)
    return y, (x, x.shape, w)


def backward(grad_y: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Return dL/dx, dL/dw and dL/db from `grad_y` = dL/dy."""
    return backward_input(grad_y, cache), *backward_parameters(grad_y, cache)


def backward_input(grad_y: Array, cache: Cache) -> Array:
    """Return dL/dx alone."""
    _, shape, w = cache
    return upsample.backward(reflected_conv2d.backward_input(grad_y, reflected_cache(None, shape, w)), upsampled(shape))


def backward_parameters(grad_y: Array, cache: Cache) -> tuple[Array, Array]:
    """Return dL/dw and dL/db."""
    x, shape, w = cache
    return reflected_conv2d.backward_parameters(grad_y, reflected_cache(upsample.forward(x)[0], shape, w))
