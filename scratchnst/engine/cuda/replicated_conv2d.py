"""Replication padding and a convolution in one: `scratchnst.engine.textbook.replicated_conv2d`'s contract.

As with reflection and stride 1, it is the engine's own convolution of the padded image: the pixels that this adds
around the result are cut off, and on the way back they are zeros.
"""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_convolution, check_images, check_shape
from scratchnst.engine.cuda import conv2d, device
from scratchnst.engine.cuda.reflected_conv2d import inside, with_zeros_around
from scratchnst.engine.textbook.replicated_conv2d import Cache, margins
from scratchnst.ops import replicate_pad
from scratchnst.ops.conv2d import check_channels, check_odd


def forward(x: Array, w: Array, b: Array) -> tuple[Array, Cache]:
    """Convolve `x` (N, H, W, C), continued by its outermost pixels, with `w` (kh, kw, C, K), and add `b` (K,).

    `x` is float32 or float64, and so is all that is computed; `w` and `b` are converted.

    Returns
    -------
    y : (N, H, W, K) array
    cache : (x, shape of x, w)

    Raises
    ------
    ValueError
        If `x` is neither, `w` or `b` is complex, a kernel side is even, or channels do not match.
    """
    check_convolution(x, w, b)
    check_odd(w)
    check_channels(x, w, b)
    y, _ = conv2d.convolve(replicate_pad.forward(x, *margins(w))[0], w, b)
    return device.contiguous(y[inside(x.shape, w)]), (x, x.shape, w)


def backward(grad_y: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Return dL/dx, dL/dw and dL/db from `grad_y` = dL/dy."""
    return backward_input(grad_y, cache), *backward_parameters(grad_y, cache)


def backward_input(grad_y: Array, cache: Cache) -> Array:
    """Return dL/dx alone."""
    _, shape, w = cache
    _check(grad_y, shape, w)
    grad_padded = conv2d.backward_input(with_zeros_around(grad_y, w), (None, w))
    return replicate_pad.backward(grad_padded, margins(w))


def backward_parameters(grad_y: Array, cache: Cache) -> tuple[Array, Array]:
    """Return dL/dw and dL/db."""
    x, shape, w = cache
    _check(grad_y, shape, w)
    padded, _ = replicate_pad.forward(x, *margins(w))
    return conv2d.backward_parameters(with_zeros_around(grad_y, w), (padded, w))


def _check(grad_y, shape, w):
    check_shape("gradient", grad_y, (*shape[:3], w.shape[3]))
    check_images(grad_y)
