"""Reflection padding and a convolution with a stride in one, on windows: `scratchnst.engine.cuda.windows`.

The contract is that of `scratchnst.engine.textbook.reflected_conv2d`.
"""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_convolution, check_images, check_shape
from scratchnst.engine.cuda import windows
from scratchnst.engine.cuda.conv2d import bias_gradient
from scratchnst.engine.cuda.reflection_pad import padded
from scratchnst.engine.textbook.reflected_conv2d import Cache, margins
from scratchnst.ops.conv2d import check_channels
from scratchnst.ops.reflection_pad import check_size
from scratchnst.ops.strided_conv2d import check_fit


def forward(x: Array, w: Array, b: Array, stride: int = 1) -> tuple[Array, Cache]:
    """Convolve `x` (N, H, W, C), continued by reflection, with `w` (kh, kw, C, K), and add `b` (K,).

    `x` is float32 or float64, and so is all that is computed; `w` and `b` are converted.

    Returns
    -------
    y : (N, ceil(H / stride), ceil(W / stride), K) array
    cache : (x, shape of x, w, stride)

    Raises
    ------
    ValueError
        If `x` is neither, `w` or `b` is complex, a kernel side is even, the image has no more than kh // 2 rows or
        kw // 2 columns, channels do not match, or `stride` is 0 or less.
    """
    check_convolution(x, w, b)
    check_channels(x, w, b)
    check_size(x.shape, *margins(w))
    check_fit(padded(x.shape, *margins(w)), w.shape, stride)
    return windows.convolve(x, w, b, stride, margins(w)), (x, x.shape, w, stride)


def backward(grad_y: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Return dL/dx, dL/dw and dL/db from `grad_y` = dL/dy."""
    return backward_input(grad_y, cache), *backward_parameters(grad_y, cache)


def backward_input(grad_y: Array, cache: Cache) -> Array:
    """Return dL/dx alone."""
    _, shape, w, stride = cache
    _check(grad_y, shape, w, stride)
    return windows.convolve_back(grad_y, w, stride, shape, margins(w))


def backward_parameters(grad_y: Array, cache: Cache) -> tuple[Array, Array]:
    """Return dL/dw and dL/db."""
    x, shape, w, stride = cache
    _check(grad_y, shape, w, stride)
    return windows.kernel_gradient(x, grad_y, w.shape, stride, margins(w)), bias_gradient(grad_y, None)


def _check(grad_y, shape, w, stride):
    check_shape("gradient", grad_y, windows.convolved(shape, w.shape, stride, margins(w)))
    check_images(grad_y)
