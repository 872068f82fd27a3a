"""Reflection padding, then a convolution with a stride: `scratchnst.engine.textbook.reflected_conv2d`, fast.

It is computed in one of two ways, of which `choose` names the faster one, from the shapes alone, by the times that
``python -m scratchnst.engine.cpu.measure`` prints:

    winograd   3x3 kernels with stride 1, unless channels or pixels are few
    banded     all others

Neither pads the image: its mirror images are read with each strip.

dL/dx by Winograd's way.  `scratchnst.engine.cpu.winograd` has zeros around the image, and so has its gradient: that of
the padded image, without the margin.  What is missing is the margin, one pixel wide, folded onto the rows and columns
that it shows.  Row -1 of the padded image is read by row 0 of the output alone, with row 0 of the kernel, and is shown
in row 1; the last one, and the columns, likewise.  So four convolutions in one dimension are added, of an edge of
dL/dy with an edge of the kernel.  (Those of the rows have the corners, those of the columns do not.)
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_convolution, check_images, check_shape
from scratchnst.engine.cpu import banded, conv2d, threads, winograd
from scratchnst.engine.textbook.reflected_conv2d import Cache, margins
from scratchnst.ops.conv2d import check_channels
from scratchnst.ops.reflection_pad import check_size
from scratchnst.ops.strided_conv2d import check_fit

ENOUGH_CHANNELS, ENOUGH_PAIRS, ENOUGH_PIXELS = 16, 512, 128  # pairs of an input channel and an output channel


def choose(shape: tuple[int, ...], kernel: tuple[int, ...], stride: int) -> str:
    """Return the name of the faster way for images of `shape` (N, H, W, C) and a `kernel` (kh, kw, C, K)."""
    suits = kernel[:2] == (3, 3) and stride == 1 and shape[0] > 0
    channels, outputs = kernel[2:]
    many = min(channels, outputs) >= ENOUGH_CHANNELS and channels * outputs >= ENOUGH_PAIRS
    return "winograd" if suits and many and shape[1] * shape[2] >= ENOUGH_PIXELS else "banded"


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
    (count, height, width, channels), (rows, columns) = x.shape, margins(w)
    check_size(x.shape, rows, columns)
    check_fit((count, height + 2 * rows, width + 2 * columns, channels), w.shape, stride)
    if choose(x.shape, w.shape, stride) == "winograd":
        y, _ = winograd.convolve(x, w, b, reflected=True)
    else:
        y = banded.convolve(x, w, b, stride)
    return y, (x, x.shape, w, stride)


def backward(grad_y: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Return dL/dx, dL/dw and dL/db from `grad_y` = dL/dy."""
    return backward_input(grad_y, cache), *backward_parameters(grad_y, cache)


def backward_input(grad_y: Array, cache: Cache) -> Array:
    """Return dL/dx alone."""
    _, shape, w, stride = cache
    _check_gradient(grad_y, shape, w, stride)
    if choose(shape, w.shape, stride) == "winograd":
        return _winograd_back(grad_y, w)
    return banded.convolve_back(grad_y, w, stride, shape)


def backward_parameters(grad_y: Array, cache: Cache) -> tuple[Array, Array]:
    """Return dL/dw and dL/db."""
    x, shape, w, stride = cache
    _check_gradient(grad_y, shape, w, stride)
    grad_b = conv2d.bias_gradient(grad_y, None)
    if choose(shape, w.shape, stride) == "winograd":
        return winograd.kernel_gradient(x, grad_y, reflected=True), grad_b
    return banded.kernel_gradient(x, grad_y, stride, w.shape), grad_b


def _winograd_back(grad_y, w):
    """Return dL/dx, with the margin's gradient folded onto the pixels that it shows."""
    grad_x = winograd.convolve_flipped(grad_y, w)
    with threads.blas_on_one_thread():
        for edge, shown in ((0, 1), (-1, -2)):
            row = _along(grad_y[:, edge], w[edge], 2)
            grad_x[:, shown] += row[:, 1:-1]
            grad_x[:, shown, 1] += row[:, 0]
            grad_x[:, shown, -2] += row[:, -1]
            grad_x[:, :, shown] += _along(grad_y[:, :, edge], w[:, edge], 1)
    return grad_x


def _along(g, w, margin):
    """Return the convolution of `g` (N, L, K), `margin` zeros at its ends, with the flipped `w` (3, C, K)."""
    count, length, outputs = g.shape
    padded = np.zeros((count, length + 2 * margin, outputs), g.dtype)
    padded[:, margin : margin + length] = g
    windows = np.concatenate([padded[:, :-2], padded[:, 1:-1], padded[:, 2:]], axis=2)
    return windows @ w[::-1].swapaxes(1, 2).astype(g.dtype).reshape(3 * outputs, -1)


def _check_gradient(grad_y, shape, w, stride):
    height, width = (-(-side // stride) for side in shape[1:3])
    check_shape("gradient", grad_y, (shape[0], height, width, w.shape[3]))
    check_images(grad_y)
