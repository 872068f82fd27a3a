"""The convolution with a stride, `scratchnst.ops.strided_conv2d`, on windows: `scratchnst.engine.cuda.windows`."""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images, check_kernel, check_shape
from scratchnst.engine.cuda import windows
from scratchnst.engine.cuda.conv2d import bias_gradient
from scratchnst.ops.conv2d import check_channels
from scratchnst.ops.strided_conv2d import check_fit


def forward(x: Array, w: Array, b: Array, stride: int = 1) -> tuple[Array, tuple[Array, Array, int]]:
    """Convolve `x` (N, H, W, C) with `w` (kh, kw, C, K), windows `stride` pixels apart, and add `b` (K,).

    `x` is float32 or float64, and so is all that is computed; `w` and `b` are converted.

    Returns
    -------
    y : (N, (H - kh) // stride + 1, (W - kw) // stride + 1, K) array
    cache : (x, w, stride)

    Raises
    ------
    ValueError
        If `x` is neither, `w` or `b` is complex, the kernel does not fit into the image, channels do not match, or
        `stride` is 0 or less.
    """
    check_kernel(x, w, b)
    check_channels(x, w, b)
    check_fit(x.shape, w.shape, stride)
    return windows.convolve(x, w, b, stride), (x, w, stride)


def backward(grad_y: Array, cache: tuple[Array, Array, int]) -> tuple[Array, Array, Array]:
    """Return dL/dx, dL/dw and dL/db from `grad_y` = dL/dy."""
    return backward_input(grad_y, cache), *backward_parameters(grad_y, cache)


def backward_input(grad_y: Array, cache: tuple[Array, Array, int]) -> Array:
    """Return dL/dx alone."""
    x, w, stride = cache
    _check(grad_y, x.shape, w, stride)
    return windows.convolve_back(grad_y, w, stride, x.shape)


def backward_parameters(grad_y: Array, cache: tuple[Array, Array, int]) -> tuple[Array, Array]:
    """Return dL/dw and dL/db."""
    x, w, stride = cache
    _check(grad_y, x.shape, w, stride)
    return windows.kernel_gradient(x, grad_y, w.shape, stride), bias_gradient(grad_y, None)


def _check(grad_y, shape, w, stride):
    check_shape("gradient", grad_y, windows.convolved(shape, w.shape, stride))
    check_images(grad_y)
