r"""Convolution of few channels, with a stride, of an image continued by reflection: several outputs in one product.

Equation (b) of `scratchnst.ops.strided_conv2d`, y = windows w, is one matrix product, but for few channels a slow one.
A window is kh pieces of memory, one for each of its rows, of kw C numbers: with 3 channels and a 5x5 kernel five pieces
of 60 bytes, so that copying takes as long as multiplying.  And with 3 output channels the product is too thin for BLAS.

Several outputs at once.  Outputs q, q+1, ..., q+m-1 of a row, with stride s, look at kw + (m-1) s neighbouring columns
between them::

    y[p, q+a, k] = sum_{i,j,c} x[s p + i, s q + s a + j, c] w[i,j,c,k],      a < m                 (a)

With j' = s a + j counting these columns, that is a product again, of a longer window with a larger matrix::

    y[p, q+a, k] = sum_{i,j',c} x[s p + i, s q + j', c] W[i,j',c,a,k],    W[i, s a + j, c, a, k] = w[i,j,c,k]      (b)

W is w once for each a, moved down by s a columns, zero elsewhere: a banded matrix, kh (kw + (m-1) s) C by m K.  Its
zeros are multiplied too; but a window is copied for every m-th pixel only, its pieces are longer, and the product is m
times as wide.  The m K results of a window lie side by side in y, so that the product is written where it belongs.

Derivation of the kernel's gradient.  dL/dW = windows^T g, with rows of m outputs' gradients for g; and each w[i,j,c,k]
stands in W m times::

    dL/dw[i,j,c,k] = sum_a dL/dW[i, s a + j, c, a, k]                                              (c)

Derivation of dL/dx.  Let G be the gradient of the padded image.  Its row u gets g[p] w[i] where u = s p + i.  Write
u = s P + a with a < s, and i = s d + a; then p = P - d::

    G[s P + a, s Q + b, c] = sum_{d,e,k} g[P - d, Q - e, k] w[s d + a, s e + b, c, k]              (d)

For each of the s s phases (a, b) this is a convolution of g with stride 1, whose kernel is every s-th weight, flipped.
For each a, the s phases b read the same window and lie side by side in G: one product of s C columns.  Where kh is no
multiple of s, the last phases have one d less than the first: their windows are the others' without the first row.
At last the margins of G are folded onto the pixels that they show, as `scratchnst.ops.reflection_pad` derives.  A job
folds its own strip, for the first and the last have all the rows that are shown in the mirrors beside them.

How it is multiplied.  OpenBLAS copies both matrices before it multiplies them, unless they are small; with few channels
that costs a third of the time.  So a product is cut into products of a million multiplications at most, which are done
at once where the processor has AVX-512.
"""

from __future__ import annotations

import math

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.cpu import patches, threads

NUMBERS_PER_STRIP, NUMBERS_OF_WINDOWS = 131072, 131072  # of pixels and of their windows: few enough for the cache
PRODUCT, FEWEST_ROWS = 1_000_000, 128  # multiplications in a product, and windows in one that is added up
FEW_CHANNELS, OUTPUTS_AT_ONCE = 8, 2  # by `scratchnst.engine.cpu.measure`


def convolve(x: Array, w: Array, b: Array, stride: int) -> Array:
    """Return the convolution of `x` (N, H, W, C), reflected, with `w` (kh, kw, C, K), plus `b` (K,)."""
    count, height, width, _ = x.shape
    outputs = w.shape[3]
    y = np.empty((count, -(-height // stride), -(-width // stride), outputs), x.dtype)
    together = outputs_at_once(w.shape, stride)
    groups = -(-y.shape[2] // together)
    matrix = _banded(w, together, stride, x.dtype)
    biases = np.tile(b.astype(x.dtype), y.shape[2])

    def job(image, top, bottom):
        rows = y[image, top:bottom].reshape(bottom - top, -1)
        shape = bottom - top, groups, together * outputs
        fits = y.shape[2] % together == 0
        products = rows.reshape(shape) if fits else threads.buffer("products", shape, x.dtype)
        for start, stop, windows in _windows_of_image(x, image, top, bottom, w.shape, stride, together):
            multiply(windows, matrix, products[start:stop])
        np.add(products.reshape(bottom - top, -1)[:, : rows.shape[1]], biases, out=rows)

    threads.run(job, _strips(y.shape, w.shape, stride))
    return y


def convolve_back(grad_y: Array, w: Array, stride: int, shape: tuple[int, ...]) -> Array:
    """Return dL/dx of this `shape` (N, H, W, C) from `grad_y` = dL/dy: equation (d)."""
    kh, kw, channels, outputs = w.shape
    height, width = shape[1:3]
    r, s = kh // 2, kw // 2
    down, across = -(-kh // stride), -(-kw // stride)  # the rows and columns of g that a pixel's gradient comes from
    together = outputs_at_once(w.shape, stride)
    matrices = [_banded(kernel, together, 1, grad_y.dtype) for kernel in _phases(w, stride)]
    groups = -(-(width + 2 * s) // (together * stride))
    grad_x = np.empty(shape, grad_y.dtype)

    def job(image, top, bottom):
        first, last = (top + r if top else 0), bottom + (r if bottom < height else 2 * r)  # rows of the padded image
        begin, end = first // stride, -(-last // stride)
        pixels = threads.buffer(
            "pixels", (end - begin + down - 1, groups * together + across - 1, outputs), grad_y.dtype
        )
        patches.read(grad_y, None, image, begin - down + 1, 1 - across, pixels)
        G = threads.buffer("products", (end - begin, stride, groups, together * stride * channels), grad_y.dtype)
        for start, stop, windows in windows_of(pixels, G.shape[::2], (down, across + together - 1), (1, together)):
            for a, matrix in enumerate(matrices):
                multiply(windows[..., windows.shape[2] - len(matrix) :], matrix, G[start:stop, a])
        padded = G.reshape((end - begin) * stride, groups * together * stride, channels)
        padded = padded[first - begin * stride : last - begin * stride, : width + 2 * s]
        above = 0 if top else r
        _fold(padded.swapaxes(0, 1), s, s)
        _fold(padded, above, 0 if bottom < height else r)
        grad_x[image, top:bottom] = padded[above:, s : s + width][: bottom - top]

    threads.run(job, _strips(shape, w.shape, 1, 2 * (r + 1)))
    return grad_x


def kernel_gradient(x: Array, grad_y: Array, stride: int, kernel: tuple[int, ...]) -> Array:
    """Return dL/dw of the shape `kernel` (kh, kw, C, K) from `grad_y` = dL/dy: equation (c)."""
    kw, outputs = kernel[1], kernel[3]
    together = outputs_at_once(kernel, stride)
    grad_w = np.zeros(kernel, x.dtype)
    band = _banded(grad_w, together, stride, x.dtype)  # its shape; zeros

    def job(image, top, bottom):
        total = np.zeros_like(band)
        g = grad_y[image, top:bottom]
        if g.shape[1] % together:
            g = threads.buffer("gradient", (bottom - top, -(-g.shape[1] // together) * together, outputs), x.dtype)
            patches.read(grad_y, None, image, top, 0, g)
        for start, stop, windows in _windows_of_image(x, image, top, bottom, kernel, stride, together):
            add_products(windows, g[start:stop], total)
        return total

    total = (threads.total(job, _strips(grad_y.shape, kernel, stride)) + band).reshape(
        kernel[0], kw + (together - 1) * stride, kernel[2], together, outputs
    )
    for a in range(together):
        grad_w += total[:, a * stride : a * stride + kw, :, a]
    return grad_w


def outputs_at_once(kernel: tuple[int, ...], stride: int) -> int:
    """Return m of equation (b), how many outputs are computed in one product."""
    return OUTPUTS_AT_ONCE if stride == 1 and min(kernel[2:]) <= FEW_CHANNELS else 1


def _banded(w, together, stride, dtype):
    """Return W of equation (b) as a matrix, (kh (kw + (together - 1) stride) C, together K)."""
    kh, kw, channels, outputs = w.shape
    length = kw + (together - 1) * stride
    W = np.zeros((kh, length, channels, together, outputs), dtype)
    for a in range(together):
        W[:, a * stride : a * stride + kw, :, a] = w
    return W.reshape(kh * length * channels, together * outputs)


def _phases(w, stride):
    """Return for each a of equation (d) the kernel that convolves g to rows s P + a of G, (d, e, K, s C)."""
    kh, kw, channels, outputs = w.shape
    down, across = -(-kh // stride), -(-kw // stride)
    phases = np.zeros((down, stride, across, stride, channels, outputs), w.dtype)
    phases.reshape(down * stride, across * stride, channels, outputs)[:kh, :kw] = w
    flipped = phases[::-1, :, ::-1].transpose(1, 0, 2, 5, 3, 4)
    flipped = flipped.reshape(stride, down, across, outputs, stride * channels)
    return [kernel[int(a + (down - 1) * stride >= kh) :] for a, kernel in enumerate(flipped)]


def _windows_of_image(x, image, top, bottom, kernel, stride, together):
    """Yield the windows that rows top to bottom of the output look at: see `windows_of`."""
    kh, kw = kernel[:2]
    groups = -(-x.shape[2] // (stride * together))
    shape = (bottom - top - 1) * stride + kh, (groups * together - 1) * stride + kw, x.shape[3]
    pixels = threads.buffer("pixels", shape, x.dtype)
    patches.read(x, None, image, top * stride - kh // 2, -(kw // 2), pixels, reflected=True)
    size = kh, kw + (together - 1) * stride
    return windows_of(pixels, (bottom - top, groups), size, (stride, stride * together))


def windows_of(pixels, count, size, step):
    """Yield (start, stop, windows of these rows, (rows, windows in a row, numbers)), of `size` pixels, `step` apart."""
    down, right, _ = pixels.strides
    strides = down * step[0], right * step[1], down
    shape = *count, size[0], size[1] * pixels.shape[2]
    piece = np.dtype((np.void, max(shape[3], 1) * pixels.itemsize))  # a window's row: NumPy copies it as one element
    for start, stop in threads.pieces(count[0], NUMBERS_OF_WINDOWS // max(math.prod(shape[1:]), 1)):
        windows = threads.buffer("windows", (stop - start, *shape[1:]), pixels.dtype)
        if windows.size:
            pieces = np.ndarray(windows.shape[:3], piece, pixels[start * step[0] :], strides=strides)
            windows.view(piece)[..., 0] = pieces
        yield start, stop, windows.reshape(stop - start, shape[1], shape[2] * shape[3])


def multiply(windows, matrix, products):
    """Write windows times matrix, in pieces."""
    for start, stop in threads.pieces(windows.shape[1], PRODUCT // max(matrix.size, 1)):
        np.matmul(windows[:, start:stop], matrix, out=products[:, start:stop])


def add_products(windows, g, total):
    """Add windows^T g to `total`, in pieces; `g` has as many rows of pixels, and as many numbers beside each window."""
    pixels = windows.shape[0] * windows.shape[1]
    windows, g = windows.reshape(pixels, len(total)), g.reshape(pixels, total.shape[1])
    for start, stop in threads.pieces(pixels, max(PRODUCT // max(total.size, 1), FEWEST_ROWS)):
        total += windows[start:stop].T @ g[start:stop]


def _strips(shape, kernel, stride, fewest=1):
    """Cut images (N, H, W, ...) into strips; a pixel of these has s s C numbers of input, and K of output."""
    numbers = shape[2] * max(stride**2 * kernel[2], kernel[3], 1)
    return threads.strips(shape, max(NUMBERS_PER_STRIP // max(numbers, 1), fewest))


def _fold(rows, before, after):
    """Add the first and last rows of a padded image to the rows that they show."""
    end = len(rows) - after
    rows[before + 1 : 2 * before + 1] += rows[:before][::-1]
    rows[end - 1 - after : end - 1] += rows[end:][::-1]
