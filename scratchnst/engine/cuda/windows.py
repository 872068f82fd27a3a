"""Convolutions with a stride as products of matrices on windows: windows.cu and cuBLAS.

It is the textbook's way, `scratchnst.ops.strided_conv2d`, with pieces of the image for its strips.  Where the image is
continued by reflection, `margins` are the rows and columns added on each side, and the kernels find what is shown there
in the image itself: the continued image is nowhere in memory.

On the way back dL/dwindows = dL/dy w^T is a product, too; then a thread for each number of x adds up the windows in
which it stands.  Unlike equation (e) there, this multiplies no zeros, of which there are three for each number of dL/dy
where the stride is 2.

Pieces.  Windows hold kh kw times the numbers of x, or a quarter of that with stride 2.  A piece of them has at most
`NUMBERS` numbers, 268 MB in float32, whatever the image's size, or one row of pixels, if that has more.

On paper: a window's number is written and read once, for 2 K operations, and its memory limits the speed where K is 16
or 32, as at the ends of a small network.
"""

from __future__ import annotations

import math

from scratchnst.arrays import Array
from scratchnst.engine.cuda import device, kernels, products

NUMBERS = 2**26  # that windows may have at a time
THREADS = 256  # of a block

Shape = tuple[int, ...]
Margins = tuple[int, int]


def convolve(x: Array, w: Array, b: Array, stride: int, margins: Margins = (0, 0)) -> Array:
    """Return y (N, P, Q, K), equation (b) of `scratchnst.ops.strided_conv2d`, of `x` (N, H, W, C) within margins."""
    x, matrix = device.readable(x), _matrix(w, x.dtype)
    y = device.empty(convolved(x.shape, w.shape, stride, margins), x.dtype)
    y[...] = device.readable(b, x.dtype)
    for rows in pieces(y.shape, w.shape):
        windows = _gathered(x, rows, y.shape, w.shape, stride, margins)
        products.multiply(windows, matrix, _rows(y, rows), accumulate=True)
        del windows  # before there are those of the next piece
    return y


def convolve_back(grad_y: Array, w: Array, stride: int, shape: Shape, margins: Margins = (0, 0)) -> Array:
    """Return dL/dx of this `shape` (N, H, W, C)."""
    grad_y, matrix = device.readable(grad_y), _matrix(w, grad_y.dtype)
    grad_x = device.zeros(shape, grad_y.dtype)
    sizes = _sizes(grad_y.shape, w.shape, stride, margins, shape)
    for rows in pieces(grad_y.shape, w.shape):
        grad_windows = products.multiply(_rows(grad_y, rows), matrix, transpose_b=True)
        top, bottom = _read(rows, grad_y.shape, w.shape, stride, shape, margins)
        grid, where = (bottom - top, kernels.blocks(shape[2] * shape[3], THREADS)), (*rows, top)
        kernels.launch("windows", "windows_add", grid, (THREADS,), grad_y.dtype, grad_windows, grad_x, *where, *sizes)
        del grad_windows
    return grad_x


def kernel_gradient(x: Array, grad_y: Array, kernel: Shape, stride: int, margins: Margins = (0, 0)) -> Array:
    """Return dL/dw, windows^T dL/dy, for a `kernel` (kh, kw, C, K)."""
    x, grad_y = device.readable(x), device.readable(grad_y, x.dtype)
    grad_w = device.zeros(kernel, x.dtype)
    for rows in pieces(grad_y.shape, kernel):
        windows = _gathered(x, rows, grad_y.shape, kernel, stride, margins)
        grad_w += products.multiply_tall(windows, _rows(grad_y, rows)).reshape(kernel)
        del windows
    return grad_w


def convolved(shape: Shape, kernel: Shape, stride: int, margins: Margins = (0, 0)) -> Shape:
    """Return the shape (N, P, Q, K) of what becomes of images of `shape` (N, H, W, C)."""
    height, width = ((shape[1 + axis] + 2 * margins[axis] - kernel[axis]) // stride + 1 for axis in (0, 1))
    return shape[0], height, width, kernel[3]


def pieces(shape: Shape, kernel: Shape) -> list[tuple[int, int]]:
    """Cut the rows of windows of results (N, P, Q, K), counted through all images, into pieces: (first, last + 1)."""
    (count, height, width, _), (kh, kw, channels, _) = shape, kernel
    most = max(1, NUMBERS // max(1, width * kh * kw * channels))
    rows = count * height
    return [(first, min(first + most, rows)) for first in range(0, rows, most)]


def workspace(shape: Shape, kernel: Shape, stride: int, margins: Margins = (0, 0)) -> int:
    """Return how many numbers of windows there are in memory at a time, forward or back, of images of `shape`."""
    y = convolved(shape, kernel, stride, margins)
    rows = max((last - first for first, last in pieces(y, kernel)), default=0)
    return rows * y[2] * math.prod(kernel[:3])


def _gathered(x, rows, of_y, kernel, stride, margins):
    """Return these rows of windows, (1, pixels, kh kw C)."""
    (first, last), (kh, kw, channels, _) = rows, kernel
    windows = device.empty((1, (last - first) * of_y[2], kh * kw * channels), x.dtype)
    grid = last - first, kh, kernels.blocks(of_y[2] * kw * channels, THREADS)
    sizes = _sizes(of_y, kernel, stride, margins, x.shape)
    kernels.launch("windows", "windows_gather", grid, (THREADS,), x.dtype, x, windows, first, *sizes)
    return windows


def _sizes(of_y, kernel, stride, margins, of_x):
    """The sizes that both kernels take, in their order."""
    return *of_y[1:3], *kernel[:2], stride, *margins, *of_x[1:]


def _read(rows, of_y, kernel, stride, of_x, margins):
    """Return the rows of x, counted through all images, (top, bottom + 1), that these rows of windows read."""

    def row(of_windows, offset):
        image, p = divmod(of_windows, of_y[1])
        return image * of_x[1] + min(max(stride * p - margins[0] + offset, 0), of_x[1])

    first, last = rows
    return row(first, 0), row(last - 1, kernel[0])


def _matrix(w, dtype):
    """Return the kernel (kh, kw, C, K) as a stack of one matrix, (1, kh kw C, K)."""
    return device.readable(w, dtype).reshape(1, math.prod(w.shape[:3]), w.shape[3])


def _rows(y, rows):
    """Return these rows of images (N, P, Q, K), counted through all images, as a stack of one matrix (1, pixels, K)."""
    (count, height, width, channels), (first, last) = y.shape, rows
    return y.reshape(count * height, width, channels)[first:last].reshape(1, (last - first) * width, channels)
