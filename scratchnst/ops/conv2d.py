r"""Convolution: each output pixel is a weighted sum of the input pixels around it, in all channels.

Equation, with x taken as zero outside the image and r = (kh - 1)/2, s = (kw - 1)/2 for odd kernels::

    y[n,p,q,k] = b[k] + sum_{i,j,c} x[n, p+i-r, q+j-s, c] w[i,j,c,k]                               (a)

(Signal processing calls this a cross-correlation; neural networks call it a convolution.)

Derivation of ``forward``.  Lay the kh x kw x C numbers that pixel (p, q) looks at in one row: that row is
``windows[n,p,q]``.  With w reshaped to (kh kw C, K), the sum over i, j, c in (a) is a matrix product::

    y = windows w + b                                                                              (b)

Derivation of ``backward``.  Let g = dL/dy.  The chain rule adds up every path from an unknown to L.

* dL/db[k] = sum_{n,p,q} g[n,p,q,k], since b[k] is added to every pixel of channel k.
* dL/dw[i,j,c,k] = sum_{n,p,q} x[n, p+i-r, q+j-s, c] g[n,p,q,k], since w[i,j,c,k] multiplies exactly those
  x.  With the rows of (b): dL/dw = windows^T g.                                                    (c)
* x[n,u,v,c] enters y[n,p,q,k] through w[i,j,c,k] whenever u = p+i-r and v = q+j-s, so

      dL/dx[n,u,v,c] = sum_{i,j,k} g[n, u-i+r, v-j+s, k] w[i,j,c,k].

  Count the kernel from its other end, i = kh-1-i', j = kw-1-j'.  Then -i + r = i' - r, and

      dL/dx[n,u,v,c] = sum_{i',j',k} g[n, u+i'-r, v+j'-s, k] w[kh-1-i', kw-1-j', c, k]:             (d)

  again (a), a convolution of g, with the kernel flipped in both directions and its channels exchanged.

Cached: x, for (c), and w, for (d), both by reference.  Behind a ReLU, which keeps the same x anyway, that costs
no memory; keeping the windows instead would cost kh kw times as much.

Differs from the paper: nothing (VGG's convolutions are 3x3, stride 1, zero padding).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array, array_module

# Windows are gathered for this many pixels at a time: few enough for the processor's cache, enough for BLAS.
PIXELS_PER_STRIP = 2048


def forward(x: Array, w: Array, b: Array) -> tuple[Array, tuple[Array, Array]]:
    """Convolve `x` with `w` and add `b`: equation (b).

    Parameters
    ----------
    x : (N, H, W, C) array
    w : (kh, kw, C, K) array, kh and kw odd
    b : (K,) array

    Returns
    -------
    y : (N, H, W, K) array of x's dtype
    cache : what `backward` needs, (x, w)

    Raises
    ------
    ValueError
        If a kernel side is even or the channels of `x`, `w` and `b` do not match.
    """
    check_odd(w)
    check_channels(x, w, b)
    y = _convolve(x, w)
    y += b
    return y, (x, w)


def backward(grad_y: Array, cache: tuple[Array, Array]) -> tuple[Array, Array, Array]:
    """Return dL/dx, dL/dw and dL/db, in the shapes of x, w and b, from `grad_y` = dL/dy (N, H, W, K)."""
    return backward_input(grad_y, cache), *backward_parameters(grad_y, cache)


def backward_input(grad_y: Array, cache: tuple[Array, Array]) -> Array:
    """Return dL/dx alone, equation (d): all that is needed when the weights stay as they are."""
    _, w = cache
    return _convolve(grad_y, w[::-1, ::-1].swapaxes(2, 3))


def backward_parameters(grad_y: Array, cache: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return dL/dw, equation (c), and dL/db."""
    x, w = cache
    kh, kw = w.shape[:2]
    grad_w = array_module(x).zeros((w[..., 0].size, w.shape[3]), x.dtype)
    for image, rows, windows in strips(_padded(x, kh, kw), kh, kw):
        grad_w += windows.T @ grad_y[image, rows].reshape(-1, w.shape[3])
    return grad_w.reshape(w.shape), grad_y.sum(axis=(0, 1, 2))


def _convolve(x, w):
    """Equation (b) without the bias."""
    return convolve(_padded(x, *w.shape[:2]), w)


def _padded(x, kh, kw):
    r, s = kh // 2, kw // 2
    return array_module(x).pad(x, ((0, 0), (r, r), (s, s), (0, 0)))


def convolve(x: Array, w: Array, stride: int = 1) -> Array:
    """Return windows w, a pixel for each window, `stride` pixels apart, that lies within `x` (N, H, W, C).

    It takes them strip by strip: windows of the whole image would fill the memory.
    """
    kh, kw, _, channels = w.shape
    height, width = (x.shape[1] - kh) // stride + 1, (x.shape[2] - kw) // stride + 1
    y = array_module(x).empty((x.shape[0], height, width, channels), x.dtype)
    matrix = w.reshape(-1, channels)
    for image, rows, windows in strips(x, kh, kw, stride):
        y[image, rows] = (windows @ matrix).reshape(-1, width, channels)
    return y


def strips(x: Array, kh: int, kw: int, stride: int = 1) -> Iterator[tuple[int, slice, Array]]:
    """Yield (image, slice of rows of the result, their windows as a (pixels, kh kw C) matrix); see `convolve`."""
    windows = array_module(x).lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(1, 2))  # a view, (N,P,Q,C,kh,kw)
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
    count, height, width = windows.shape[:3]
    step = max(1, PIXELS_PER_STRIP // width)
    for image in range(count):
        for top in range(0, height, step):
            rows = slice(top, min(top + step, height))
            yield image, rows, windows[image, rows].reshape(-1, kh * kw * x.shape[3])


def check_odd(w: Array) -> None:
    """Raise a ValueError unless the sides of the kernel `w` are odd."""
    if w.shape[0] % 2 == 0 or w.shape[1] % 2 == 0:
        raise ValueError(f"a kernel's sides must be odd, so that it has a centre; got {w.shape[0]}x{w.shape[1]}")


def check_channels(x: Array, w: Array, b: Array) -> None:
    """Raise a ValueError unless `x`, `w` and `b` have the same channels."""
    if x.shape[3] != w.shape[2] or b.shape != w.shape[3:]:
        raise ValueError(f"channels do not match: input {x.shape}, kernel {w.shape}, bias {b.shape}")


def forward_loops(x: Array, w: Array, b: Array) -> Array:
    """Equation (a), one multiplication at a time."""
    y = np.zeros((*x.shape[:3], w.shape[3]), x.dtype)
    for n, p, q, k in np.ndindex(*y.shape):
        y[n, p, q, k] = b[k]
    for n, p, q, u, v, i, j, c, k in _products(x, w):
        y[n, p, q, k] += x[n, u, v, c] * w[i, j, c, k]
    return y


def backward_loops(grad_y: Array, x: Array, w: Array) -> tuple[Array, Array, Array]:
    """The product rule, one multiplication at a time: y += x w gives grad_x += grad_y w and grad_w += grad_y x."""
    grad_x, grad_w, grad_b = np.zeros_like(x), np.zeros_like(w), np.zeros(w.shape[3], w.dtype)
    for n, p, q, u, v, i, j, c, k in _products(x, w):
        grad_x[n, u, v, c] += grad_y[n, p, q, k] * w[i, j, c, k]
        grad_w[i, j, c, k] += grad_y[n, p, q, k] * x[n, u, v, c]
    for n, p, q, k in np.ndindex(*grad_y.shape):
        grad_b[k] += grad_y[n, p, q, k]
    return grad_x, grad_w, grad_b


def _products(x, w):
    """Every term of equation (a): output (n, p, q, k), input (n, u, v, c), weight (i, j, c, k)."""
    count, height, width, _ = x.shape
    kh, kw, _, _ = w.shape
    for n, p, q in np.ndindex(count, height, width):
        for i, j, c, k in np.ndindex(*w.shape):
            u, v = p + i - kh // 2, q + j - kw // 2
            if 0 <= u < height and 0 <= v < width:
                yield n, p, q, u, v, i, j, c, k
