"""The mean and the deviation of each channel, `scratchnst.ops.moments`, by the sums of the instance normalisation.

With d = x - pivot and m = mean - pivot, see `scratchnst.engine.instance_norm`, equation (c) of the operation reads ::

    dL/dx = along d + offset,   along = 1/M dL/ds / s,   offset = 1/M dL/dmean - along m

so that z is never computed.
"""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images, check_shape
from scratchnst.engine.cpu.instance_norm import pivots, scaled, sums
from scratchnst.ops.instance_norm import EPSILON, check_pixels
from scratchnst.ops.moments import stacked


def forward(x: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    """Return the means and the deviations, (N, 2, C), of `x` (N, H, W, C), and what `backward` needs."""
    check_images(x)
    check_pixels(x)
    pivot, pixels = pivots(x), x.shape[1] * x.shape[2]
    first, second, d = sums(x, pivot, None, None)
    mean = first / pixels
    deviation = ((second / pixels - mean * mean).clip(0) + EPSILON) ** 0.5
    return stacked(pivot + mean, deviation).astype(x.dtype), (d, mean, deviation)


def backward(grad_y: Array, cache: tuple[Array, Array, Array]) -> Array:
    """Return dL/dx (N, H, W, C) from `grad_y` (N, 2, C)."""
    d, mean, deviation = cache
    check_shape("gradient", grad_y, (len(d), 2, d.shape[3]))
    pixels = d.shape[1] * d.shape[2]
    along = grad_y[:, 1] / deviation / pixels
    grad_x, _ = scaled(d.copy(), d, mean, along, grad_y[:, 0] / pixels - along * mean, relu=False)
    return grad_x
