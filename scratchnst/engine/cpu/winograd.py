r"""Winograd's convolution: a 3x3 kernel on tiles, with less than a third of the multiplications.

S. Winograd, "Arithmetic Complexity of Computations", 1980; A. Lavin, S. Gray, "Fast Algorithms for Convolutional
Neural Networks", CVPR 2016, arXiv:1509.09308; the points are from B. Barabasz et al., "Error Analysis and Improving the
Accuracy of Winograd Convolution for Deep Neural Networks", 2018, arXiv:1803.10986.

One dimension first.  From m + 2 inputs d a kernel w of three weights makes m outputs::

    y[p] = sum_j d[p+j] w[j],     p < m                                                            (a)

That is 3 m multiplications.  To get by with m + 2, look at another problem: the product of two polynomials,
s(t) = v(t) w(t), with m coefficients v[p], three w[j] and hence m + 2 coefficients

    s[k] = sum_{p+j=k} v[p] w[j].                                                                  (b)

A polynomial with m + 2 coefficients is known from its values at m + 2 points, and a value of s is one
multiplication: s(t) = v(t) w(t).  (The point infinity stands for the leading coefficient, which is also the product
of the two leading coefficients.)  Let V_n be the matrix that evaluates n coefficients at our m + 2 points, its rows
(1, t, t^2, ..., t^(n-1)), and for infinity (0, ..., 0, 1).  Then::

    s = V_{m+2}^-1 [(V_m v) * (V_3 w)],     * element by element                                   (c)

Read (b) as a matrix for given w: s = T v, with T[p+j,p] = w[j].  Equation (a) is its transpose: y = T^T d.
Transposing (c), whose factors then stand in reverse order, gives Winograd's algorithm::

    y = A^T [(G w) * (B^T d)],     A = V_m,  G = V_3,  B^T = V_{m+2}^-T                            (d)

Two dimensions: transform along the columns, then along the rows.  Summed over input channels c, for tile t::

    y[t] = A^T M[t] A,   M[t,:,:,k] = sum_c D[t,:,:,c] U[:,:,c,k],   D[t] = B^T d[t] B,   U = G w G^T      (e)

The sum over c is a matrix product over tiles and channels for each of the (m+2)^2 points: BLAS does it.  Per output
and pair of channels that is (m+2)^2 / m^2 multiplications, 2.25 for m = 4, in place of 9.

Derivation of the backward pass.

* dL/dx is a convolution of dL/dy with the flipped kernel, as `scratchnst.ops.conv2d` derives, equation (d) there: the
  same function again.
* dL/dw: in (e) y is linear in U, so transpose it from the end.  With g = dL/dy::

    dL/dM[t] = A g[t] A^T,   dL/dU[:,:,c,k] = sum_t D[t,:,:,c] dL/dM[t,:,:,k],   dL/dw = G^T dL/dU G       (f)

How it is laid out.  An image is cut into blocks of tiles, a job each, whose intermediate results stay in the
processor's cache: two pieces of memory, from one to the other and back.  All transforms are products of a small matrix
with (m+2) x C matrices that lie in the block with a stride between their rows: BLAS reads them where they are, and no
tile is ever copied.  What belongs to one tile is (m+2) x (tile) x (m+2) x C, so that each point's matrix of tiles and
channels again has one stride between its rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from scratchnst.engine.cpu import patches, threads

Array = Any

POINTS = {4: (0, 1, -1, 1 / 2, -2), 6: (0, 1, -1, 2, -2, 1 / 2, -1 / 2)}  # and infinity; by tile size m
TILES_PER_BLOCK = (128, 256)


@dataclass(frozen=True)
class Transforms:
    """The matrices of equation (d): A (m+2, m), B (m+2, m+2), and G for two dimensions at once.

    G w G^T is linear in the nine weights of w: a row for each point, (m+2, m+2, 9).
    """

    A: Array
    B: Array
    G: Array

    @property
    def tile(self) -> int:
        """m, the outputs along each side of a tile."""
        return self.A.shape[1]


@dataclass(frozen=True)
class Block:
    """A rectangle of an image's tiles, counted in tiles."""

    image: int
    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left


@cache
def transforms(tile: int, dtype: str = "float64") -> Transforms:
    """Return the matrices of equation (d) for m = `tile` outputs."""
    A, V, G = (_evaluation(tile, n) for n in (tile, tile + 2, 3))
    both = np.kron(G, G).reshape(tile + 2, tile + 2, 9)
    return Transforms(A.astype(dtype), np.linalg.inv(V).astype(dtype), both.astype(dtype))


def _evaluation(tile, n):
    """V_n: its rows evaluate a polynomial of n coefficients at the points and at infinity."""
    return np.array([[point**k for k in range(n)] for point in POINTS[tile]] + [[0] * (n - 1) + [1]], float)


def convolve(
    x: Array, w: Array, b: Array | None = None, relu: bool = False, mask: Array | None = None, tile: int = 4
) -> tuple[Array, Array | None]:
    """Return y, the convolution of `x` (N, H, W, C) with `w` (3, 3, C, K), and where it is positive.

    Parameters
    ----------
    b : (K,) array or None, added to y
    relu : whether y becomes max(y, 0); the second array returned is then y > 0, else None
    mask : boolean array of x's shape or None: x is taken as zero where it is False
    tile : m, the outputs along each side of a tile, 4 or 6
    """
    y = np.empty((*x.shape[:3], w.shape[3]), x.dtype)
    positive = np.empty(y.shape, bool) if relu else None
    matrices = transforms(tile, x.dtype.name)
    blocks = cut(y.shape, max(w.shape[2:]), tile)
    U = _transformed(w, matrices) if len(blocks) > 1 else None  # where one block is all, the job makes what it needs

    def job(block, start, stop):
        there, back = _memory(2, block, max(w.shape[2], stop - start), tile, x.dtype)
        D = _input_at_points(x, mask, block, matrices, there, back)
        kernel = _readable(w[..., start:stop], x.dtype) if U is None else U[..., start:stop]
        M = _shaped(back, (*D.shape[:4], stop - start))
        for row, G_row in enumerate(matrices.G):
            U_row = _transformed_row(kernel, G_row) if U is None else kernel[row]
            np.matmul(_by_point(D[row]), U_row, out=_by_point(M[row]))
        if b is not None:
            M[1, ..., 1, :] += b[start:stop]  # a constant's value at the points (1, 1) goes to every output
        _write_output(M, block, matrices, there, back, y, positive, slice(start, stop))

    slices = -(-threads.count() // max(len(blocks), 1))  # of the output channels, where there are few tiles
    parts = threads.pieces(w.shape[3], max(32, -(-w.shape[3] // slices)))
    threads.run(job, [(block, *part) for block in blocks for part in parts])
    return y, positive


def kernel_gradient(
    x: Array, grad_y: Array, mask: Array | None = None, kernel: tuple[int, int] = (3, 3), tile: int = 4
) -> Array:
    """Return dL/dw (3, 3, C, K), equation (f); `grad_y` is taken as zero where `mask`, if there is one, is False."""
    channels, outputs = x.shape[3], grad_y.shape[3]
    matrices = transforms(tile, x.dtype.name)
    blocks = cut(grad_y.shape, max(channels, outputs), tile)
    grad_w = np.empty((3, 3, channels, outputs), x.dtype)

    def job(start, stop):  # input channels
        grad_U = np.zeros((tile + 2, tile + 2, stop - start, outputs), x.dtype)
        product = np.empty_like(grad_U)
        for block in blocks:
            there, back, spare = _memory(3, block, max(channels, outputs), tile, x.dtype)
            D = _input_at_points(x[..., start:stop], None, block, matrices, there, spare)
            grad_M = _gradient_at_points(grad_y, mask, block, matrices, back, spare)
            np.matmul(_by_point(D).swapaxes(2, 3), _by_point(grad_M), out=product)
            grad_U += product
        points = grad_U.reshape(-1, stop - start, outputs).swapaxes(0, 1)
        weights = matrices.G.reshape(-1, 9).T @ points
        grad_w[:, :, start:stop] = weights.swapaxes(0, 1).reshape(3, 3, stop - start, outputs)

    threads.run(job, threads.pieces(channels, max(16, -(-channels // threads.count()))))
    return grad_w


def cut(shape: tuple[int, ...], channels: int, tile: int) -> list[Block]:
    """Cut images (N, H, W, ...) into blocks: wide ones, whose rows are written fast, of as many tiles as BLAS likes."""
    count, height, width = shape[:3]
    most = int(np.clip(channels // 2, *TILES_PER_BLOCK))
    columns = threads.pieces(-(-width // tile), min(32, most))
    rows = threads.pieces(-(-height // tile), max(1, most // max((right - left for left, right in columns), default=1)))
    return [
        Block(image, *vertical, *horizontal) for image in range(count) for vertical in rows for horizontal in columns
    ]


def _memory(number, block, channels, tile, dtype):
    """Return `number` pieces of the thread's memory, each large enough for every step of a block."""
    size = (tile + 2) ** 2 * block.height * block.width * channels
    return [threads.buffer(f"block {index}", (size,), dtype) for index in range(number)]


def _shaped(memory, shape):
    return memory[: math.prod(shape)].reshape(shape)


def _by_point(array):
    """View (..., tile rows, tile columns, m+2, C) as one matrix (tiles, C) for each point."""
    *outer, height, width, points, channels = array.shape
    return array.reshape(*outer, height * width, points, channels).swapaxes(-3, -2)


def _input_at_points(x, mask, block, matrices, memory, spare):
    """Return D = B^T d B of a block."""
    tile = matrices.tile
    pixels = _shaped(memory, (tile * block.height + 2, tile * block.width + 2, x.shape[3]))
    patches.read(x, mask, block.image, tile * block.top - 1, tile * block.left - 1, pixels)
    return _at_points(matrices.B.T, pixels, block, tile, memory, spare)


def _gradient_at_points(grad_y, mask, block, matrices, memory, spare):
    """Return dL/dM = A g A^T of a block."""
    tile = matrices.tile
    pixels = _shaped(memory, (tile * block.height, tile * block.width, grad_y.shape[3]))
    patches.read(grad_y, mask, block.image, tile * block.top, tile * block.left, pixels)
    return _at_points(matrices.A, pixels, block, tile, memory, spare)


def _at_points(matrix, pixels, block, tile, memory, spare):
    """Transform tiles that begin every `tile` pixels: (m+2, tile rows, tile columns, m+2, C), in `memory`."""
    (points, side), channels = matrix.shape, pixels.shape[2]
    half = _shaped(spare, (len(pixels), block.width, points, channels))  # rows transformed, columns not yet
    down, right, channel = pixels.strides
    rows = as_strided(pixels, (len(pixels), block.width, side, channels), (down, tile * right, right, channel))
    np.matmul(matrix, rows, out=half)
    whole = _shaped(memory, (points, block.height, block.width, points, channels))
    down, across, _, channel = half.strides
    shape = block.height, block.width, side, points * channels
    columns = as_strided(half, shape, (tile * down, across, down, channel))
    np.matmul(matrix, columns, out=whole.reshape(points, *shape[:2], -1).transpose(1, 2, 0, 3))
    return whole


def _write_output(M, block, matrices, there, back, y, positive, channels):
    """Write A^T M A of a block into these channels of `y`."""
    points, height, width, _, outputs = M.shape
    tile = matrices.tile
    half = _shaped(there, (tile, height, width, points, outputs))
    tiles_last = [a.reshape(len(a), height, width, -1).transpose(1, 2, 0, 3) for a in (M, half)]
    np.matmul(matrices.A.T, tiles_last[0], out=tiles_last[1])
    whole = _shaped(back, (tile, height, width * tile, outputs))
    np.matmul(matrices.A.T, half, out=whole.reshape(tile, height, width, tile, outputs))
    columns = slice(tile * block.left, tile * block.right)
    for row in range(tile):
        here = block.image, slice(tile * block.top + row, tile * block.bottom, tile), columns, channels
        target = y[here]  # the last tiles reach beyond the image, where slices of y end
        values = whole[row, : target.shape[0], : target.shape[1]]
        patches.write(values, target, None if positive is None else positive[here])


def _transformed(w, matrices):
    """Return U = G w G^T, (m+2, m+2, C, K); it is good until the calling thread asks for another."""
    points = len(matrices.G)
    U = threads.buffer("transformed kernel", (points, points, *w.shape[2:]), matrices.G.dtype)

    def job(start, stop):
        kernel = _readable(w[:, :, start:stop], U.dtype)
        for G_row, U_row in zip(matrices.G, U):
            _transformed_row(kernel, G_row, U_row[:, start:stop])

    threads.run(job, threads.pieces(w.shape[2], 32))
    return U


def _transformed_row(w, G_row, out=None):
    """Return a row of G w G^T, (m+2, C, K), as one product with 9 weights for each input channel."""
    _, _, channels, outputs = w.shape
    if out is None:
        out = threads.buffer("kernel row", (len(G_row), channels, outputs), w.dtype)
    np.matmul(G_row, w.reshape(9, channels, outputs).swapaxes(0, 1), out=out.swapaxes(0, 1))
    return out


def _readable(w, dtype):
    """Return `w` as BLAS can read it; a transposed one is copied a cache line at a time, which is twice as fast."""
    if w.dtype == dtype and w.strides[3] == w.itemsize and min(w.strides) > 0:
        return w
    copy = threads.buffer("kernel", w.shape, dtype)
    for start in range(0, w.shape[3], 16):
        copy[..., start : start + 16] = w[..., start : start + 16]
    return copy
