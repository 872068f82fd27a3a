"""Reflection padding and a convolution with a stride in one: `scratchnst.engine.textbook.reflected_conv2d`'s contract.

With a larger stride it is done on windows, `scratchnst.engine.cuda.windows`.  With stride 1 it is the engine's own
convolution, `scratchnst.engine.cuda.conv2d`, of the padded image; the pixels that this adds around the result are cut
off, and on the way back they are zeros.

On paper, in float32: for a pixel of C channels and K outputs padding and cutting move 8 C and 8 K bytes to and from
memory, and windows 8 kh kw C; and of 3x3 kernels Winograd's way saves most multiplications.
"""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_convolution, check_images, check_shape
from scratchnst.engine.cuda import conv2d, device, reflection_pad, windows
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
    cache = x, x.shape, w, stride
    if stride > 1:
        return windows.convolve(x, w, b, stride, margins(w)), cache
    y, _ = conv2d.convolve(reflection_pad.forward(x, *margins(w))[0], w, b)
    return device.contiguous(y[inside(x.shape, w)]), cache


def backward(grad_y: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Return dL/dx, dL/dw and dL/db from `grad_y` = dL/dy."""
    return backward_input(grad_y, cache), *backward_parameters(grad_y, cache)


def backward_input(grad_y: Array, cache: Cache) -> Array:
    """Return dL/dx alone."""
    _, shape, w, stride = cache
    _check(grad_y, shape, w, stride)
    if stride > 1:
        return windows.convolve_back(grad_y, w, stride, shape, margins(w))
    grad_padded = conv2d.backward_input(with_zeros_around(grad_y, w), (None, w))
    return reflection_pad.backward(grad_padded, (shape, *margins(w)))


def backward_parameters(grad_y: Array, cache: Cache) -> tuple[Array, Array]:
    """Return dL/dw and dL/db."""
    x, shape, w, stride = cache
    _check(grad_y, shape, w, stride)
    if stride > 1:
        return windows.kernel_gradient(x, grad_y, w.shape, stride, margins(w)), conv2d.bias_gradient(grad_y, None)
    return conv2d.backward_parameters(with_zeros_around(grad_y, w), (reflection_pad.forward(x, *margins(w))[0], w))


def inside(shape: tuple[int, ...], w: Array) -> tuple[slice, slice, slice]:
    """Return where images of `shape` lie within those that are padded for a kernel `w`."""
    rows, columns = margins(w)
    return slice(None), slice(rows, rows + shape[1]), slice(columns, columns + shape[2])


def with_zeros_around(grad_y: Array, w: Array) -> Array:
    """Return a gradient of images with zeros where they are padded for a kernel `w`."""
    padded_grad = device.zeros(padded(grad_y.shape, *margins(w)), grad_y.dtype)
    padded_grad[inside(grad_y.shape, w)] = grad_y
    return padded_grad


def _check(grad_y, shape, w, stride):
    check_shape("gradient", grad_y, windows.convolved(shape, w.shape, stride, margins(w)))
    check_images(grad_y)
