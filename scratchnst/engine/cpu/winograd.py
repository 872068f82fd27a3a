r"""Winograd's convolution: 3x3 kernels on tiles of 4x4 outputs, with a quarter of the multiplications.

S. Winograd, "Arithmetic Complexity of Computations", 1980; A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural
Networks", CVPR 2016, arXiv:1509.09308.

One dimension first.  From m + 2 inputs d, a kernel w of three weights makes m outputs::

    y[p] = sum_j d[p+j] w[j],     p < m                                                            (a)

That is 3 m multiplications.  To get by with m + 2, look at another problem: the product of two polynomials,
s(t) = v(t) w(t), with m coefficients v[p] and three w[j], and hence m + 2 coefficients

    s[k] = sum_{p+j=k} v[p] w[j].                                                                  (b)

A polynomial with m + 2 coefficients is known from its values at m + 2 points, and there s(t) = v(t) w(t) is one
multiplication each.  (One of our points is infinity, where a polynomial's value is its leading coefficient: that of s
is the product of those of v and w.)  Let V_n be the matrix that evaluates n coefficients at the points: rows
(1, t, ..., t^(n-1)), for infinity (0, ..., 0, 1).  With * element by element::

    s = V_{m+2}^-1 [(V_m v) * (V_3 w)]                                                             (c)

For a given w, (b) is a matrix product s = T v with T[p+j,p] = w[j], and (a) is its transpose, y = T^T d.  So transpose
(c), its factors in reverse order, and there is Winograd's algorithm::

    y = A^T [(G w) * (B^T d)],     A = V_m,   B = V_{m+2}^-1,   G = V_3                            (d)

In two dimensions, transform rows and then columns.  For tile t, summed over input channels c::

    D[t] = B^T d[t] B,   U = G w G^T,   M[t,:,:,k] = sum_c D[t,:,:,c] U[:,:,c,k],   y[t] = A^T M[t] A      (e)

For each of the (m+2)^2 pairs of points the sum over c is a matrix product of tiles by channels with channels by
channels, and BLAS does it.  With m = 4 an output takes 36/16 = 2.25 multiplications for each pair of channels where
(a), in two dimensions, takes 9.

Derivation of the backward pass.

* dL/dx is a convolution of g = dL/dy with the flipped kernel, equation (d) of `scratchnst.ops.conv2d`: (e) again, and
  U need not be made anew.  The flipped kernel, v[j] = w[2-j], is the polynomial v(t) = t^2 w(1/t), hence

      v(-t) = t^2 w(-1/t),   v(0) = w(inf),   v(inf) = w(0).                                       (f)

  The points are such that -1/t is one of them for every t.  So w's values at the points are, in another order and
  times t^2, those of v at the negated points; the factors may as well go to the rows of B^T.
* dL/dw: y is linear in U, and U in w.  Transpose (e) from its end::

    dL/dM[t] = A g[t] A^T,   dL/dU[:,:,c,k] = sum_t D[t,:,:,c] dL/dM[t,:,:,k],   dL/dw = G^T dL/dU G       (g)

Rounding.  The points decide how much (e) magnifies it.  These are the best of a search over small fractions that
include 1 (see `_convolve` for its use); the usual 0, 1, -1, 2, -2 make errors 1.5 times as large (B. Barabasz et al.,
"Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks", arXiv:1803.10986).  In
float32 the error is about 2e-6 of a typical output, where a direct convolution's is 4e-7.

NaN and infinity.  A tile that looks at one of them is NaN as a whole, in all channels, where a direct convolution has
nine pixels of NaN or infinity around it.  All other tiles are as they would be without it.

How it is laid out.  An image is cut into blocks of tiles, a job each, whose intermediate results stay in the
processor's cache: they go from one piece of memory to another and back.  D and M are (6, rows of tiles, tiles in a row,
6, channels), so that everything is a product with matrices whose rows lie at equal distances.  That is all BLAS asks
for, so no tile is ever copied, not even the overlapping ones of the input.  Where an image has few tiles, making U
takes about as long as multiplying with it: a session, `scratchnst.engine.sessions`, keeps it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import as_strided

from scratchnst.arrays import Array
from scratchnst.engine import sessions
from scratchnst.engine.convolution import flipped
from scratchnst.engine.cpu import patches, threads

TILE = 4  # m
FINITE_POINTS = (0, 1, -1, 1 / 2, -2)
MINUS_INVERSE = [5, 2, 1, 4, 3, 0]  # where -1/t stands among them, infinity being the last
POINTS = len(FINITE_POINTS) + 1
TILES_PER_BLOCK = (128, 256)  # as many as BLAS needs, as few as the cache holds
FEW_NUMBERS = 8192  # of a block at a point, of few channels: Python's part of the time shrinks with the blocks' number
FEWEST_BLOCKS = 8  # of an image that is not small
OUTPUTS_OF_A_PRODUCT = 64
KERNEL = "kernel at points"  # U, by the name of its memory
FEW_TILES = 256  # in an image, up to which U is worth keeping; BLAS multiplies more of them slowly with its transpose


@dataclass(frozen=True)
class Matrices:
    """The matrices A (6, 4) and B (6, 6) of equation (d)."""

    A: Array
    B: Array


@cache
def matrices(dtype: np.dtype) -> Matrices:
    """Return the matrices that go with the values of a kernel at the points."""
    return Matrices(_evaluation(TILE).astype(dtype), np.linalg.inv(_evaluation(TILE + 2)).astype(dtype))


@cache
def matrices_of_flipped(dtype: np.dtype) -> Matrices:
    """Return the matrices that go with the same values, but convolve with the flipped kernel: equation (f)."""
    A, V = _evaluation(TILE, negated=True), _evaluation(TILE + 2, negated=True)
    squares = np.array([point**2 or 1 for point in FINITE_POINTS] + [1])  # 0 and infinity only change places
    return Matrices(A[MINUS_INVERSE].astype(dtype), (np.linalg.inv(V) * squares)[:, MINUS_INVERSE].astype(dtype))


@cache
def kernel_matrix(dtype: np.dtype) -> Array:
    """Return G w G^T as a matrix on the nine weights, (6, 6, 9)."""
    G = _evaluation(3)
    return np.kron(G, G).reshape(POINTS, POINTS, 9).astype(dtype)


def _evaluation(n, negated=False):
    """V_n: its rows evaluate a polynomial of n coefficients at the points, or at those times -1."""
    points = [-point if negated else point for point in FINITE_POINTS]
    return np.array([[point**k for k in range(n)] for point in points] + [[0] * (n - 1) + [1]], float)


def convolve(
    x: Array,
    w: Array,
    b: Array | None = None,
    relu: bool = False,
    mask: Array | None = None,
    reflected: bool = False,
) -> tuple[Array, Array | None]:
    """Return y, the convolution of `x` (N, H, W, C) with `w` (3, 3, C, K), and where it is positive: equation (e).

    Around the image are zeros or, if it is `reflected`, its mirror images.
    """
    return _convolve(x, _kernel_at_points(w, x), matrices(x.dtype), b, relu, mask, reflected)


def convolve_back(grad_y: Array, w: Array, mask: Array | None = None) -> Array:
    """Return dL/dx, the convolution of `grad_y`, zero where `mask` is False, with the flipped kernel: equation (f)."""
    if tiles(grad_y.shape) > FEW_TILES:
        return convolve_flipped(grad_y, w, mask)
    U = _kernel_at_points(w, grad_y).swapaxes(2, 3)
    return _convolve(grad_y, U, matrices_of_flipped(grad_y.dtype), mask=mask)[0]


def convolve_flipped(grad_y: Array, w: Array, mask: Array | None = None) -> Array:
    """Return the same from the flipped kernel's own values at the points: faster, unless a session has w's."""
    kernel = flipped(w)
    U = _transform_kernel(kernel, threads.buffer(KERNEL, (POINTS, POINTS, *kernel.shape[2:]), grad_y.dtype))
    return _convolve(grad_y, U, matrices(grad_y.dtype), mask=mask)[0]


def _convolve(x, U, transforms, b=None, relu=False, mask=None, reflected=False):
    """Return the first and the last part of equation (e)."""
    channels, outputs = U.shape[2:]
    y = np.empty((*x.shape[:3], outputs), x.dtype)
    positive = np.empty(y.shape, bool) if relu else None
    blocks = cut(y.shape, max(channels, outputs))

    def job(block, start, stop):  # output channels
        memory, spare = _memory(block, channels, stop - start, x.dtype)
        D = _input_at_points(transforms.B.T, x, mask, block, memory, spare, reflected)
        M = _shaped(spare, (*D.shape[:4], stop - start))
        for row in range(POINTS):
            points, products = _by_points(D[row]), _by_points(M[row])
            for first, last in _products(start, stop):
                np.matmul(points, U[row, ..., first:last], out=products[..., first - start : last - start])
        if b is not None:
            # b is a constant image, the same in each output.  Since A^T [0, 1, 0, 0, 0, 0] = [1, 1, 1, 1], for the
            # point 1 is second, adding b to M there adds it to each y.
            M[1, ..., 1, :] += b[start:stop]
        _write_output(transforms.A.T, M, block, memory, spare, y, positive, slice(start, stop))

    parts = _parts(outputs, len(blocks))
    threads.run(job, [(block, *part) for block in blocks for part in parts])
    return y, positive


def kernel_gradient(
    x: Array,
    grad_y: Array,
    mask: Array | None = None,
    kernel: tuple[int, int] = (3, 3),
    reflected: bool = False,
) -> Array:
    """Return dL/dw (3, 3, C, K), equation (g); `grad_y` is taken as zero where `mask`, if there is one, is False."""
    channels, outputs = x.shape[3], grad_y.shape[3]
    blocks = cut(x.shape, max(channels, outputs))
    grad_w = np.empty((9, channels, outputs), x.dtype)

    def job(start, stop):  # input channels
        grad_U = np.zeros((POINTS, POINTS, stop - start, outputs), x.dtype)
        for block in blocks:
            memory, spare = _memory(block, stop - start, outputs, x.dtype)
            other = threads.buffer("block's gradient", (POINTS**2 * block.height * block.width * outputs,), x.dtype)
            D = _input_at_points(matrices(x.dtype).B.T, x[..., start:stop], None, block, memory, spare, reflected)
            grad_M = _gradient_at_points(grad_y, mask, block, other, spare)
            grad_U += _by_points(D).swapaxes(2, 3) @ _by_points(grad_M)
        columns = grad_U.reshape(POINTS**2, -1)
        grad_w[:, start:stop] = (kernel_matrix(x.dtype).reshape(-1, 9).T @ columns).reshape(9, stop - start, outputs)

    threads.run(job, threads.pieces(channels, max(16, -(-channels // threads.count()))))
    return grad_w.reshape(3, 3, channels, outputs)


@dataclass(frozen=True)
class TileBlock:
    """A rectangle of an image's tiles; its sides count tiles."""

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


def cut(shape: tuple[int, ...], channels: int) -> list[TileBlock]:
    """Cut images (N, H, W, ...) into blocks; wide ones, since what is written row by row is written fast.

    The number of threads does not count, so that rounding does not depend on it.
    """
    count, down, across = shape[0], -(-shape[1] // TILE), -(-shape[2] // TILE)
    fewest, most = TILES_PER_BLOCK
    suited = max(channels // 2, FEW_NUMBERS // max(channels, 1))
    most = int(np.clip(min(suited, count * down * across // FEWEST_BLOCKS), fewest, most))
    columns = threads.pieces(across, 32)
    rows = threads.pieces(down, most // min(across, 32))
    return [
        TileBlock(image, *vertical, *horizontal)
        for image in range(count)
        for vertical in rows
        for horizontal in columns
    ]


def workspace(shape: tuple[int, ...], kernel: tuple[int, ...]) -> dict[str, int]:
    """Return how many numbers all threads' buffers hold, by name, after a `convolve` of images of `shape`."""
    channels, outputs = kernel[2:]
    blocks = cut(shape, max(channels, outputs))
    parts = _parts(outputs, len(blocks))
    busy = min(threads.count(), len(blocks) * len(parts))
    part = max((stop - start for start, stop in parts), default=0)
    sizes = [_sizes(block, channels, part) for block in blocks]
    buffers = {f"block {index}": busy * max(size[index] for size in sizes) for index in (0, 1) if sizes}
    return buffers | {KERNEL: POINTS**2 * channels * outputs}


def tiles(shape: tuple[int, ...]) -> int:
    """Return the number of tiles of an image of images (N, H, W, ...)."""
    return -(-shape[1] // TILE) * -(-shape[2] // TILE)


def _parts(outputs, blocks):
    """Cut the output channels into pieces of whole products, so that all threads have work."""
    products = -(-outputs // OUTPUTS_OF_A_PRODUCT)
    parts = threads.pieces(products, max(1, products * blocks // threads.count()))
    return [(first * OUTPUTS_OF_A_PRODUCT, min(last * OUTPUTS_OF_A_PRODUCT, outputs)) for first, last in parts]


def _products(start, stop):
    """Cut output channels into those of single products, which must not depend on the number of threads.

    In products of other widths BLAS adds in another order.
    """
    return [(first, min(first + OUTPUTS_OF_A_PRODUCT, stop)) for first in range(start, stop, OUTPUTS_OF_A_PRODUCT)]


def _memory(block, channels, outputs, dtype):
    """Return two pieces of the thread's memory: for pixels, D, half of A^T M A; and for half of D, M, A^T M A."""
    sizes = _sizes(block, channels, outputs)
    return [threads.buffer(f"block {index}", (size,), dtype) for index, size in enumerate(sizes)]


def _sizes(block, channels, outputs):
    tiles = block.height * block.width
    half_of_D = (TILE * block.height + 2) * block.width * POINTS * channels
    return (
        max(POINTS**2 * tiles * channels, TILE * POINTS * tiles * outputs),
        max(half_of_D, POINTS**2 * tiles * outputs),
    )


def _shaped(memory, shape):
    return memory[: math.prod(shape)].reshape(shape)


def _by_points(array):
    """View (..., rows of tiles, tiles in a row, points, channels) as a matrix (tiles, channels) for each point."""
    *outer, height, width, points, channels = array.shape
    return array.reshape(*outer, height * width, points, channels).swapaxes(-3, -2)


def _input_at_points(B_T, x, mask, block, memory, spare, reflected):
    """Return D = B^T d B of a block, in `memory`."""
    pixels = _shaped(memory, (TILE * block.height + 2, TILE * block.width + 2, x.shape[3]))
    patches.read(x, mask, block.image, TILE * block.top - 1, TILE * block.left - 1, pixels, reflected)
    return _at_points(B_T, pixels, block, memory, spare)


def _gradient_at_points(grad_y, mask, block, memory, spare):
    """Return dL/dM = A g A^T of a block, in `memory`."""
    pixels = _shaped(memory, (TILE * block.height, TILE * block.width, grad_y.shape[3]))
    patches.read(grad_y, mask, block.image, TILE * block.top, TILE * block.left, pixels)
    return _at_points(matrices(memory.dtype).A, pixels, block, memory, spare)


def _at_points(matrix, pixels, block, memory, spare):
    """Apply `matrix` to rows and columns of the tiles that begin at every fourth pixel; `memory` may hold `pixels`."""
    side, channels = matrix.shape[1], pixels.shape[2]
    half = _shaped(spare, (len(pixels), block.width, POINTS, channels))
    down, right, channel = pixels.strides
    rows = as_strided(pixels, (len(pixels), block.width, side, channels), (down, TILE * right, right, channel))
    np.matmul(matrix, rows, out=half)
    down, across, _, channel = half.strides
    shape = block.height, block.width, side, POINTS * channels
    columns = as_strided(half, shape, (TILE * down, across, down, channel))
    whole = _shaped(memory, (POINTS, block.height, block.width, POINTS, channels))
    np.matmul(matrix, columns, out=_columns(whole))
    return whole


def _columns(array):
    """View (points, rows of tiles, tiles in a row, points, channels) as a matrix of columns for each tile."""
    return array.reshape(*array.shape[:3], -1).transpose(1, 2, 0, 3)


def _write_output(A_T, M, block, memory, spare, y, positive, channels):
    """Write A^T M A, of a block whose M lies in `spare`, into these channels of `y`."""
    half = _shaped(memory, (TILE, *M.shape[1:]))
    np.matmul(A_T, _columns(M), out=_columns(half))
    whole = _shaped(spare, (TILE, block.height, block.width, TILE, M.shape[4]))
    np.matmul(A_T, half, out=whole)
    for row, values in enumerate(whole.reshape(TILE, block.height, block.width * TILE, M.shape[4])):
        rows = slice(TILE * block.top + row, TILE * block.bottom, TILE)
        here = block.image, rows, slice(TILE * block.left, TILE * block.right), channels
        target = y[here]  # the last tiles may reach beyond the image, where these slices end
        values = values[: target.shape[0], : target.shape[1]]
        patches.write(values, target, None if positive is None else positive[here])


def _kernel_at_points(w, x):
    """Return U = G w G^T, (6, 6, C, K), of x's dtype; it is good until the calling thread asks for another."""
    shape = POINTS, POINTS, *w.shape[2:]
    if tiles(x.shape) > FEW_TILES or not sessions.is_keeping():
        return _transform_kernel(w, threads.buffer(KERNEL, shape, x.dtype))
    return sessions.kept(KERNEL, w, x.dtype, lambda: _transform_kernel(w, np.empty(shape, x.dtype)))


def _transform_kernel(w, U):
    """Write U: for each input channel and row of points a product of 6 x 9 and 9 x K."""
    GG = kernel_matrix(U.dtype)

    def job(start, stop):  # input channels
        kernel = _readable(w[:, :, start:stop], U.dtype).reshape(9, stop - start, w.shape[3]).swapaxes(0, 1)
        for row in range(POINTS):
            np.matmul(GG[row], kernel, out=U[row, :, start:stop].swapaxes(0, 1))

    threads.run(job, threads.pieces(w.shape[2], 32))
    return U


def _readable(w, dtype):
    """Return `w` as BLAS can read it; a transposed one is copied a cache line at a time, which is twice as fast."""
    if w.dtype == dtype and w.strides[3] == w.itemsize and min(w.strides) > 0:
        return w
    copy = threads.buffer("kernel", w.shape, dtype)
    for start in range(0, w.shape[3], 16):
        copy[..., start : start + 16] = w[..., start : start + 16]
    return copy
