"""Exercise 17: reflection padding and upsampling backward, and a convolution with a stride, forward and backward.

    reflection padding      y[n, p, q, c] = x[n, m(p - rows), m(q - columns), c], where m(i) is
                            -i for i < 0,  i for 0 <= i < H,  2 (H - 1) - i for i >= H  (W for columns)
    nearest upsampling      y[n, p, q, c] = x[n, p // 2, q // 2, c]
    convolution, stride s   y[n, p, q, k] = b[k] + sum over i, j, c of x[n, s p + i, s q + j, c] w[i, j, c, k]

The convolution has nothing around the image: it has P = (H - kh) // s + 1 rows and Q = (W - kw) // s + 1 columns of
windows.  kh and kw may be odd or even, and s may be larger than both.

Write the five functions below, each in place of its `raise` line, without loops over pixels; a loop over the kernel's
places is none.  You need nothing but NumPy.  Check them with

    scratchnst check 17

as often as you like; `scratchnst check 17 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def reflect_backward(grad_y, x, rows, columns):
    """Return dL/dx of reflection padding.

    Parameters
    ----------
    grad_y : (N, H + 2 rows, W + 2 columns, C) array, dL/dy
    x : (N, H, W, C) array, what the padding was given; H > rows and W > columns
    rows : how many were added above, and as many below; 0 or more
    columns : how many were added on the left, and as many on the right; 0 or more

    Returns
    -------
    grad_x : (N, H, W, C) array of grad_y's dtype
    """
    raise NotImplementedError("write this")


def upsample_backward(grad_y, x):
    """Return dL/dx of nearest upsampling.

    Parameters
    ----------
    grad_y : (N, 2H, 2W, C) array, dL/dy
    x : (N, H, W, C) array, what the upsampling was given

    Returns
    -------
    grad_x : (N, H, W, C) array of grad_y's dtype
    """
    raise NotImplementedError("write this")


def strided_forward(x, w, b, stride):
    """Return the convolution of x with w, windows `stride` pixels apart.

    Parameters
    ----------
    x : (N, H, W, C) array
    w : (kh, kw, C, K) array, kh <= H and kw <= W
    b : (K,) array
    stride : s, 1 or more

    Returns
    -------
    y : (N, P, Q, K) array of x's dtype
    """
    raise NotImplementedError("write this")


def strided_backward_input(grad_y, x, w, stride):
    """Return dL/dx of `strided_forward`.

    Parameters
    ----------
    grad_y : (N, P, Q, K) array, dL/dy
    x, w, stride : as `strided_forward` takes them

    Returns
    -------
    grad_x : (N, H, W, C) array; 0 for a pixel that no window reads
    """
    raise NotImplementedError("write this")


def strided_backward_parameters(grad_y, x, w, stride):
    """Return dL/dw and dL/db of `strided_forward`.

    Parameters
    ----------
    grad_y : (N, P, Q, K) array, dL/dy
    x, w, stride : as `strided_forward` takes them

    Returns
    -------
    grad_w : (kh, kw, C, K) array
    grad_b : (K,) array
    """
    raise NotImplementedError("write this")
