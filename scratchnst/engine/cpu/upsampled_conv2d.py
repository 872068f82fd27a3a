r"""Nearest upsampling, reflection padding and a 3x3 convolution in one: products of the small image alone.

The contract is that of `scratchnst.engine.textbook.upsampled_conv2d`, y = w on u with u[f] = x[f // 2] along rows and
columns.  Most of what it multiplies there are equal pixels, 2.25 times as much as is needed.

Rows first.  Row f of y reads rows f-1, f and f+1 of u, which show two rows of x, and between rows P-1 and P of x lie
the centres of rows 2P-1 and 2P of y::

    y[2P-1] = x[P-1] (w[0] + w[1]) + x[P] w[2],      y[2P] = x[P-1] w[0] + x[P] (w[1] + w[2])      (a)

At the upper edge u[-1] = u[1] = x[0] by reflection, and x[-1] in (a) stands for u[-2] and u[-1]: x[-1] = x[0], and
x[H] = x[H-1] likewise.  So with matrices S_a that say which weights are added, for e = 0, 1::

    y[2P-1+a] = sum_e x[P-1+e] sum_i S_a[e,i] w[i],     S_0 = (1 1 0; 0 0 1),  S_1 = (1 0 0; 0 1 1)      (b)

With columns the same::

    y[2P-1+a, 2Q-1+b, k] = sum_{e,f,c} x[P-1+e, Q-1+f, c] M[a,e,f,c,b,k]                           (c)
    M[a,e,f,c,b,k] = sum_{i,j} S_a[e,i] S_b[f,j] w[i,j,c,k]                                        (d)

The 2x2 outputs around each corner (P, Q) of pixels, 0 <= P <= H, look at the 2x2 pixels around it: for each a a product
of windows of 4 C numbers with 2 K columns, which lie side by side in y.  The first and last row and column of these
outputs do not belong to y.

Derivation of ``backward``.  With g = dL/dy, zero outside of y:

* dL/dM[a] = windows^T g[2P-1+a], and (d) is linear in w: dL/dw[i,j] = sum S_a[e,i] S_b[f,j] dL/dM[a,e,f,:,b].   (e)
* x[p] is read with e = 1 by the outputs around P = p, and with e = 0 by those around P = p + 1.  These are rows 2p-1 to
  2p+2 of y; row 2p-1+t has t = 2 (1-e) + a.  So::

      dL/dx[p, q, c] = sum_{t,v,k} g[2p-1+t, 2q-1+v, k] M[a,e,f,c,b,k],    t = 2 (1-e) + a, v = 2 (1-f) + b      (f)

  a product of windows of 4x4 gradients, two apart.  What rows -1 and H get is added to rows 0 and H-1, which they
  repeat, and columns likewise.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_convolution, check_images, check_shape
from scratchnst.engine.cpu import banded, conv2d, patches, threads
from scratchnst.engine.textbook.upsampled_conv2d import Cache, check_side, upsampled
from scratchnst.ops.conv2d import check_channels
from scratchnst.ops.strided_conv2d import check_fit

ADDED = np.array([[[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]]])  # S of equation (b)


def forward(x: Array, w: Array, b: Array) -> tuple[Array, Cache]:
    """Upsample `x` (N, H, W, C), convolve it with `w` (3, 3, C, K), and add `b` (K,): equation (c).

    `x` is float32 or float64, and so is all that is computed; `w` and `b` are converted.

    Returns
    -------
    y : (N, 2H, 2W, K) array
    cache : (x, shape of x, w)

    Raises
    ------
    ValueError
        If `x` is neither, `w` or `b` is complex, the kernel is not 3x3, or channels do not match.
    """
    check_convolution(x, w, b)
    check_channels(x, w, b)
    check_side(w)
    (count, height, width, channels), outputs = x.shape, w.shape[3]
    check_fit((count, 2 * height + 2, 2 * width + 2, channels), w.shape, 1)
    y = np.empty((*upsampled(x.shape)[:3], outputs), x.dtype)
    matrices = _kernel(w, x.dtype).reshape(2, 4 * channels, 2 * outputs)
    biases = np.tile(b.astype(x.dtype), y.shape[2])

    def job(image, top, bottom):
        Z = threads.buffer("products", (bottom - top, 2, width + 1, 2 * outputs), x.dtype)
        for start, stop, windows in _corners(x, image, top, bottom):
            for a, matrix in enumerate(matrices):
                banded.multiply(windows, matrix, Z[start:stop, a])
        rows = y[image, max(2 * top - 1, 0) : 2 * bottom - 1]
        Z = Z.reshape(2 * (bottom - top), (2 * width + 2) * outputs)[int(top == 0) :][: len(rows)]
        np.add(Z[:, outputs : len(biases) + outputs], biases, out=rows.reshape(len(rows), len(biases)))

    threads.run(job, _strips(y.shape, height + 1, channels, outputs))
    return y, (x, x.shape, w)


def backward(grad_y: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Return dL/dx, dL/dw and dL/db from `grad_y` = dL/dy."""
    return backward_input(grad_y, cache), *backward_parameters(grad_y, cache)


def backward_input(grad_y: Array, cache: Cache) -> Array:
    """Return dL/dx alone: equation (f)."""
    _, shape, w = cache
    _check(grad_y, shape, w)
    (_, height, width, channels), outputs = shape, w.shape[3]
    M = _kernel(w, grad_y.dtype)[:, ::-1, ::-1]  # (a, 1-e, 1-f, c, b, k)
    matrix = M.transpose(1, 0, 2, 4, 5, 3).reshape(16 * outputs, channels)
    grad_x = np.empty(shape, grad_y.dtype)

    def job(image, top, bottom):
        first, last = top - (top == 0), bottom + (bottom == height)
        pixels = threads.buffer("pixels", (2 * (last - first) + 2, 2 * width + 6, outputs), grad_y.dtype)
        patches.read(grad_y, None, image, 2 * first - 1, -3, pixels)
        repeated = threads.buffer("products", (last - first, width + 2, channels), grad_y.dtype)
        for start, stop, windows in banded.windows_of(pixels, repeated.shape[:2], (4, 4), (2, 2)):
            banded.multiply(windows, matrix, repeated[start:stop])
        repeated[:, 1] += repeated[:, 0]
        repeated[:, -2] += repeated[:, -1]
        if top == 0:
            repeated[1] += repeated[0]
        if bottom == height:
            repeated[-2] += repeated[-1]
        grad_x[image, top:bottom] = repeated[top - first :, 1:-1][: bottom - top]

    threads.run(job, _strips(grad_y.shape, height, channels, outputs))
    return grad_x


def backward_parameters(grad_y: Array, cache: Cache) -> tuple[Array, Array]:
    """Return dL/dw, equation (e), and dL/db."""
    x, shape, w = cache
    _check(grad_y, shape, w)
    (_, height, width, channels), outputs = shape, w.shape[3]
    zeros = np.zeros((2, 4 * channels, 2 * outputs), x.dtype)  # the sum, where there are no images

    def job(image, top, bottom):
        total = np.zeros_like(zeros)
        g = threads.buffer("gradient", (2, bottom - top, 2 * width + 2, outputs), x.dtype)
        for a in range(2):
            patches.read(grad_y[:, 1 - a :: 2], None, image, top - 1 + a, -1, g[a])
        for start, stop, windows in _corners(x, image, top, bottom):
            for a in range(2):
                banded.add_products(windows, g[a, start:stop], total[a])
        return total

    grad_M = zeros + threads.total(job, _strips(grad_y.shape, height + 1, channels, outputs))
    grad_M = grad_M.reshape(2, 2, 2, channels, 2, outputs)
    added = ADDED.astype(x.dtype)
    columns = np.tensordot(added, grad_M, axes=((0, 1), (4, 2)))  # (j, a, e, C, K)
    return np.tensordot(added, columns, axes=((0, 1), (1, 2))), conv2d.bias_gradient(grad_y, None)


def _kernel(w, dtype):
    """Return M of equation (d), (a, e, f, C, b, K)."""
    added = ADDED.astype(dtype)
    rows = np.tensordot(added, w.astype(dtype), axes=(2, 0))  # (a, e, j, C, K)
    return np.tensordot(added, rows, axes=(2, 2)).transpose(2, 3, 1, 4, 0, 5)


def _corners(x, image, top, bottom):
    """Yield the windows around the corners of rows top to bottom of them: see `banded.windows_of`."""
    _, height, width, channels = x.shape
    pixels = threads.buffer("pixels", (bottom - top + 1, width + 2, channels), x.dtype)
    patches.read(x, None, image, top - 1, -1, pixels)
    pixels[:, 0], pixels[:, -1] = pixels[:, 1], pixels[:, -2]
    if top == 0:
        pixels[0] = pixels[1]
    if bottom == height + 1:
        pixels[-1] = pixels[-2]
    return banded.windows_of(pixels, (bottom - top, width + 1), (2, 2), (1, 1))


def _strips(shape, rows, channels, outputs):
    """Cut `rows` rows of pixels, or of corners, of each image into strips; y has this `shape`."""
    numbers = shape[2] // 2 * max(channels, 4 * outputs, 1)
    return threads.strips((shape[0], rows), max(banded.NUMBERS_PER_STRIP // numbers, 1))


def _check(grad_y, shape, w):
    check_shape("gradient", grad_y, (*upsampled(shape)[:3], w.shape[3]))
    check_images(grad_y)
