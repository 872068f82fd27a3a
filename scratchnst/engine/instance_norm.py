"""The instance normalisation of a fast engine: the contract of `scratchnst.ops.instance_norm`, in two passes each way.

The first pass adds up, the second computes each number from these sums.  With d = x - pivot, where pivot is any number
near the mean of a channel of an image, and m = mean - pivot, the equations of `scratchnst.ops.instance_norm` read::

    m = 1/M sum d,   variance = 1/M sum d^2 - m^2,   y = scale/s d + (shift - scale/s m)                       (a)
    dL/dshift = sum g,   dL/dscale = (sum g d - m sum g) / s                                                  (b)
    dL/dx = scale/s (g + along d + offset),   along = -1/M dL/dscale / s,   offset = -1/M dL/dshift - along m (c)

The sums are sum u and sum u d, on the way there of u = d, on the way back of u = g.  How many digits the variance loses
when m^2 is subtracted depends on how far pivot is from the mean in units of s; it must not be far.

What is kept is x, by reference, and a few numbers for each channel; with a ReLU y > 0, one byte a number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images, check_shape
from scratchnst.ops.instance_norm import EPSILON, check_shapes

PerChannel = Array  # (N, C), float64 unless it is said otherwise


class InstanceNorm:
    """The instance normalisation of an engine, with and without a ReLU behind it.

    The functions whose names begin with ``backward`` take the cache of `forward` or of `forward_relu`.

    Parameters
    ----------
    pivots : x -> (N, C) array of x's dtype
    sums : (x, pivot, g, mask) -> (sum u, sum u d), and u in whatever form `scaled` and `projected` take; u is d if g is
        None, else g, which is zero where the mask, if it is not None, is False
    scaled : (u, x, pivot, factor, offset, relu) -> y = factor d + offset, and y > 0; with relu y becomes max(y, 0),
        else y > 0 is None
    projected : (u, x, pivot, factor, along, offset) -> factor (g + along d + offset)
    """

    def __init__(self, pivots: Callable, sums: Callable, scaled: Callable, projected: Callable):
        self.pivots, self.sums, self.scaled, self.projected = pivots, sums, scaled, projected

    def forward(self, x: Array, scale: Array, shift: Array) -> tuple[Array, tuple]:
        """Normalise `x` (N, H, W, C), multiply by `scale` (N, C) and add `shift` (N, C).

        `x` is float32 or float64, and so is all that is returned.

        Returns
        -------
        y : (N, H, W, C) array
        cache : what the functions backward need, all of it for dL/dx, too

        Raises
        ------
        ValueError
            If `x` is neither, or has no pixels, or `scale` or `shift` has another shape.
        """
        y, _, cache = self._normalised(x, scale, shift, relu=False)
        return y, cache

    def forward_relu(self, x: Array, scale: Array, shift: Array) -> tuple[Array, tuple]:
        """Return max(y, 0) of the y of `forward`, and the cache, which ends with y > 0."""
        y, positive, cache = self._normalised(x, scale, shift, relu=True)
        return y, (*cache, positive)

    def backward(self, grad_y: Array, cache: tuple) -> tuple[Array, Array, Array]:
        """Return dL/dx, dL/dscale and dL/dshift from `grad_y` = dL/dy."""
        u, grad_scale, grad_shift = self._parameters(grad_y, cache)
        grad_x = self._input(u, grad_scale, grad_shift, cache)
        return grad_x, grad_scale.astype(grad_x.dtype), grad_shift.astype(grad_x.dtype)

    def backward_input(self, grad_y: Array, cache: tuple) -> Array:
        """Return dL/dx alone."""
        return self._input(*self._parameters(grad_y, cache), cache)

    def backward_parameters(self, grad_y: Array, cache: tuple) -> tuple[Array, Array]:
        """Return dL/dscale and dL/dshift."""
        _, grad_scale, grad_shift = self._parameters(grad_y, cache)
        return grad_scale.astype(grad_y.dtype), grad_shift.astype(grad_y.dtype)

    def _normalised(self, x, scale, shift, relu):
        """Equation (a): y, y > 0, and what the way back needs of it."""
        check_images(x)
        check_shapes(x, scale, shift)
        pivot = self.pivots(x)
        first, second, u = self.sums(x, pivot, None, None)
        mean = first / _pixels(x)
        variance = (second / _pixels(x) - mean * mean).clip(0)
        inverse = (variance + EPSILON) ** -0.5
        factor = scale * inverse
        y, positive = self.scaled(u, x, pivot, factor, shift - factor * mean, relu)
        return y, positive, (x, pivot, mean, inverse, scale)

    def _parameters(self, grad_y, cache) -> tuple[Any, PerChannel, PerChannel]:
        """u, and equation (b)."""
        x, pivot, mean, inverse, _, mask = (*cache, None)[:6]  # that of `forward` has no mask
        check_images(grad_y)
        check_shape("gradient", grad_y, x.shape)
        grad_shift, product, u = self.sums(x, pivot, grad_y, mask)
        return u, (product - mean * grad_shift) * inverse, grad_shift

    def _input(self, u, grad_scale, grad_shift, cache) -> Array:
        """Equation (c)."""
        x, pivot, mean, inverse, scale = cache[:5]
        along = -grad_scale * inverse / _pixels(x)
        return self.projected(u, x, pivot, scale * inverse, along, -grad_shift / _pixels(x) - along * mean)


def _pixels(x):
    return x.shape[1] * x.shape[2]
