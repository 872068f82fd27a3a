"""Replication padding, then a convolution: the two of the textbook, behind the names of one operation.

An image is padded by (kh - 1)/2 rows on each side, and as many columns as the kernel asks for, so that its size stays.

Cached: x, for the gradient of the parameters alone, which pads it once more, and x's shape and w.
"""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.textbook.reflected_conv2d import margins
from scratchnst.ops import replicate_pad, strided_conv2d
from scratchnst.ops.conv2d import check_odd

Cache = tuple[Array, tuple[int, ...], Array]


def forward(x: Array, w: Array, b: Array) -> tuple[Array, Cache]:
    """Convolve `x`, continued by its outermost pixels, with `w`, and add `b`.

    Parameters
    ----------
    x : (N, H, W, C) array
    w : (kh, kw, C, K) array, kh and kw odd
    b : (K,) array

    Returns
    -------
    y : (N, H, W, K) array of x's dtype
    cache : what `backward` needs, (x, shape of x, w)

    Raises
    ------
    ValueError
        If a kernel side is even, or the channels of `x`, `w` and `b` do not match.
    """
    check_odd(w)
    padded, _ = replicate_pad.forward(x, *margins(w))
    y, _ = strided_conv2d.forward(padded, w, b, 1)
    return y, (x, x.shape, w)


def backward(grad_y: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Return dL/dx, dL/dw and dL/db from `grad_y` = dL/dy."""
    return backward_input(grad_y, cache), *backward_parameters(grad_y, cache)


def backward_input(grad_y: Array, cache: Cache) -> Array:
    """Return dL/dx alone."""
    _, (count, height, width, channels), w = cache
    rows, columns = margins(w)
    padded = count, height + 2 * rows, width + 2 * columns, channels
    return replicate_pad.backward(strided_conv2d.transposed(grad_y, w, 1, padded), (rows, columns))


def backward_parameters(grad_y: Array, cache: Cache) -> tuple[Array, Array]:
    """Return dL/dw and dL/db."""
    x, _, w = cache
    padded, _ = replicate_pad.forward(x, *margins(w))
    return strided_conv2d.backward_parameters(grad_y, (padded, w, 1))
