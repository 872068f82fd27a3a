r"""Convolution with a stride: a window for every s-th pixel only, and nothing around the image.

Equation, for p <= floor((H - kh)/s) and q <= floor((W - kw)/s), kernels of any sides::

    y[n,p,q,k] = b[k] + sum_{i,j,c} x[n, s p + i, s q + j, c] w[i,j,c,k]                           (a)

With s = 1 and zeros around x this is `scratchnst.ops.conv2d`.

Derivation of ``forward``, as there: row ``windows[n,p,q]`` holds the kh kw C numbers that pixel (p, q) looks at, and::

    y = windows w + b                                                                              (b)

Derivation of ``backward``.  Let g = dL/dy.

* dL/db[k] = sum_{n,p,q} g[n,p,q,k], and dL/dw = windows^T g, as there.                            (c)
* x[n,u,v,c] enters y[n,p,q,k] through w[i,j,c,k] whenever u = s p + i and v = s q + j.  Spread g out, with zeros
  between::

      G[n, s p, s q, k] = g[n,p,q,k],    0 at all other places                                     (d)

  so that a term for each (p, q) becomes one for each (i, j), those without a window being zero::

      dL/dx[n,u,v,c] = sum_{i,j,k} G[n, u-i, v-j, k] w[i,j,c,k]

  Count the kernel from its other end, i = kh-1-i', j = kw-1-j'::

      dL/dx[n,u,v,c] = sum_{i',j',k} G[n, u+i'-(kh-1), v+j'-(kw-1), k] w[kh-1-i', kw-1-j', c, k]   (e)

  This is (a) with stride 1, of G with kh - 1 rows and kw - 1 columns of zeros before it, and with the kernel flipped
  and its channels exchanged.  A layer whose forward is (e) is called a transposed convolution: (a) is a product of x
  with a matrix, (e) one of g with the transposed matrix.

Where do G's numbers lie?  Window p begins at row s p of x, and so g's row p lies at row s p + kh - 1 of the array that
(e) reads.  That array has H + kh - 1 rows, for H to come out.

A pixel that no window reads has the gradient zero: (e) finds zeros alone.  These are the last rows, from
s floor((H - kh)/s) + kh on, and where s > kh those between two windows; columns likewise.

Cached: x, w and s, the arrays by reference.

Differs from the paper: VGG has no such convolution.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.ops.conv2d import check_channels, convolve, strips


def forward(x: Array, w: Array, b: Array, stride: int = 1) -> tuple[Array, tuple[Array, Array, int]]:
    """Convolve `x` with `w`, windows `stride` pixels apart, and add `b`: equation (b).

    Parameters
    ----------
    x : (N, H, W, C) array
    w : (kh, kw, C, K) array
    b : (K,) array
    stride : 1 or more

    Returns
    -------
    y : (N, (H - kh) // stride + 1, (W - kw) // stride + 1, K) array of x's dtype
    cache : what `backward` needs, (x, w, stride)

    Raises
    ------
    ValueError
        If the kernel does not fit into the image, the channels of `x`, `w` and `b` do not match, or `stride` is 0 or
        less.
    """
    check_channels(x, w, b)
    check_fit(x.shape, w.shape, stride)
    y = convolve(x, w, stride)
    y += b
    return y, (x, w, stride)


def backward(grad_y: Array, cache: tuple[Array, Array, int]) -> tuple[Array, Array, Array]:
    """Return dL/dx, dL/dw and dL/db, in the shapes of x, w and b, from `grad_y` = dL/dy (N, P, Q, K)."""
    return backward_input(grad_y, cache), *backward_parameters(grad_y, cache)


def backward_input(grad_y: Array, cache: tuple[Array, Array, int]) -> Array:
    """Return dL/dx alone."""
    x, w, stride = cache
    return transposed(grad_y, w, stride, x.shape)


def transposed(grad_y: Array, w: Array, stride: int, shape: tuple[int, ...]) -> Array:
    """Return dL/dx of this `shape` (N, H, W, C): equation (e), the transposed convolution."""
    (count, height, width, _), (kh, kw, _, channels) = shape, w.shape
    spread = array_module(grad_y).zeros((count, height + kh - 1, width + kw - 1, channels), grad_y.dtype)
    spread[:, kh - 1 : height : stride, kw - 1 : width : stride] = grad_y
    return convolve(spread, w[::-1, ::-1].swapaxes(2, 3))


def backward_parameters(grad_y: Array, cache: tuple[Array, Array, int]) -> tuple[Array, Array]:
    """Return dL/dw, equation (c), and dL/db."""
    x, w, stride = cache
    kh, kw = w.shape[:2]
    grad_w = array_module(x).zeros((w[..., 0].size, w.shape[3]), x.dtype)
    for image, rows, windows in strips(x, kh, kw, stride):
        grad_w += windows.T @ grad_y[image, rows].reshape(-1, w.shape[3])
    return grad_w.reshape(w.shape), grad_y.sum(axis=(0, 1, 2))


def check_fit(shape: tuple[int, ...], kernel: tuple[int, ...], stride: int) -> None:
    """Raise a ValueError unless a `kernel` (kh, kw, C, K) fits into images of `shape`, and `stride` is 1 or more."""
    if shape[1] < kernel[0] or shape[2] < kernel[1]:
        raise ValueError(
            f"a kernel of {kernel[0]}x{kernel[1]} does not fit into an image of {shape[1]}x{shape[2]} pixels"
        )
    if stride < 1:
        raise ValueError(f"the stride is 1 or more, not {stride}")


def forward_loops(x: Array, w: Array, b: Array, stride: int = 1) -> Array:
    """Equation (a), one multiplication at a time."""
    height, width = (x.shape[1] - w.shape[0]) // stride + 1, (x.shape[2] - w.shape[1]) // stride + 1
    y = np.zeros((x.shape[0], height, width, w.shape[3]), x.dtype)
    for n, p, q, k in np.ndindex(*y.shape):
        y[n, p, q, k] = b[k]
        for i, j, c in np.ndindex(*w.shape[:3]):
            y[n, p, q, k] += x[n, stride * p + i, stride * q + j, c] * w[i, j, c, k]
    return y


def backward_loops(grad_y: Array, x: Array, w: Array, stride: int = 1) -> tuple[Array, Array, Array]:
    """The product rule, one multiplication at a time: y += x w gives grad_x += grad_y w and grad_w += grad_y x."""
    grad_x, grad_w, grad_b = np.zeros_like(x), np.zeros_like(w), np.zeros(w.shape[3], w.dtype)
    for n, p, q, k in np.ndindex(*grad_y.shape):
        grad_b[k] += grad_y[n, p, q, k]
        for i, j, c in np.ndindex(*w.shape[:3]):
            grad_x[n, stride * p + i, stride * q + j, c] += grad_y[n, p, q, k] * w[i, j, c, k]
            grad_w[i, j, c, k] += grad_y[n, p, q, k] * x[n, stride * p + i, stride * q + j, c]
    return grad_x, grad_w, grad_b
