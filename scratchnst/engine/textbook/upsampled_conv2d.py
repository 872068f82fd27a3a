"""Nearest upsampling, then reflection padding and a 3x3 convolution: the textbook's, behind the names of one operation.

Cached: x, for the gradient of the parameters alone, which upsamples it once more, and x's shape and w.
"""

from __future__ import annotations

from typing import Any

from scratchnst.arrays import Array
from scratchnst.engine.textbook import reflected_conv2d
from scratchnst.ops import upsample

Cache = tuple[Array, tuple[int, ...], Array]


def forward(x: Array, w: Array, b: Array) -> tuple[Array, Cache]:
    """Upsample `x`, convolve it, continued by reflection, with `w`, and add `b`.

    Parameters
    ----------
    x : (N, H, W, C) array
    w : (3, 3, C, K) array
    b : (K,) array

    Returns
    -------
    y : (N, 2H, 2W, K) array of x's dtype
    cache : what `backward` needs, (x, shape of x, w)

    Raises
    ------
    ValueError
        If the kernel is not 3x3, or the channels of `x`, `w` and `b` do not match.
    """
    check_side(w)
    y, _ = reflected_conv2d.forward(upsample.forward(x)[0], w, b)
    return y, (x, x.shape, w)


def backward(grad_y: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Return dL/dx, dL/dw and dL/db from `grad_y` = dL/dy."""
    return backward_input(grad_y, cache), *backward_parameters(grad_y, cache)


def backward_input(grad_y: Array, cache: Cache) -> Array:
    """Return dL/dx alone."""
    _, shape, w = cache
    return upsample.backward(reflected_conv2d.backward_input(grad_y, reflected_cache(None, shape, w)), None)


def backward_parameters(grad_y: Array, cache: Cache) -> tuple[Array, Array]:
    """Return dL/dw and dL/db."""
    x, shape, w = cache
    return reflected_conv2d.backward_parameters(grad_y, reflected_cache(upsample.forward(x)[0], shape, w))


def reflected_cache(u: Array | None, shape: tuple[int, ...], w: Array) -> Any:
    """Return the convolution's cache: `u`, which may be None, is the upsampled image, and `shape` that of the image."""
    return u, upsampled(shape), w, 1


def upsampled(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return (N, 2H, 2W, C) of (N, H, W, C)."""
    count, height, width, channels = shape
    return count, 2 * height, 2 * width, channels


def check_side(w: Array) -> None:
    """Raise a ValueError unless the kernel is 3x3."""
    if w.shape[:2] != (3, 3):
        raise ValueError(
            f"an upsampled image is convolved with a 3x3 kernel, not with one of {w.shape[0]}x{w.shape[1]}"
        )
