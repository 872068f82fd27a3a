"""Reflection padding, then a convolution with a stride: the two of the textbook, behind the names of one operation.

An image of height H is padded by r = (kh - 1)/2 on each side, so that a window's centre stands on every s-th pixel of
the image.  The output has floor((H + 2 r - kh)/s) + 1 = floor((H - 1)/s) + 1 rows, H/s rounded up.

Cached: x, for the gradient of the parameters alone, which pads it once more, and x's shape, w and s.
"""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.ops import reflection_pad, strided_conv2d
from scratchnst.ops.conv2d import check_odd

Cache = tuple[Array, tuple[int, ...], Array, int]


def forward(x: Array, w: Array, b: Array, stride: int = 1) -> tuple[Array, Cache]:
    """Convolve `x`, continued by reflection, with `w`, windows `stride` pixels apart, and add `b`.

    Parameters
    ----------
    x : (N, H, W, C) array
    w : (kh, kw, C, K) array, kh and kw odd
    b : (K,) array
    stride : 1 or more

    Returns
    -------
    y : (N, ceil(H / stride), ceil(W / stride), K) array of x's dtype
    cache : what `backward` needs, (x, shape of x, w, stride)

    Raises
    ------
    ValueError
        If a kernel side is even, the image has no more than kh // 2 rows or kw // 2 columns, the channels of `x`, `w`
        and `b` do not match, or `stride` is 0 or less.
    """
    check_odd(w)
    padded, _ = reflection_pad.forward(x, *margins(w))
    y, _ = strided_conv2d.forward(padded, w, b, stride)
    return y, (x, x.shape, w, stride)


def backward(grad_y: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Return dL/dx, dL/dw and dL/db from `grad_y` = dL/dy."""
    return backward_input(grad_y, cache), *backward_parameters(grad_y, cache)


def backward_input(grad_y: Array, cache: Cache) -> Array:
    """Return dL/dx alone."""
    _, (count, height, width, channels), w, stride = cache
    rows, columns = margins(w)
    padded = count, height + 2 * rows, width + 2 * columns, channels
    return reflection_pad.backward(strided_conv2d.transposed(grad_y, w, stride, padded), (rows, columns))


def backward_parameters(grad_y: Array, cache: Cache) -> tuple[Array, Array]:
    """Return dL/dw and dL/db."""
    x, _, w, stride = cache
    padded, _ = reflection_pad.forward(x, *margins(w))
    return strided_conv2d.backward_parameters(grad_y, (padded, w, stride))


def margins(w: Array) -> tuple[int, int]:
    """Return how many rows and columns are added on each side of the image for a kernel `w` (kh, kw, C, K)."""
    return w.shape[0] // 2, w.shape[1] // 2
