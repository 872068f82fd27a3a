"""Convolution, rung 3: Winograd's F(4x4, 3x3), a quarter of the multiplications.

`scratchnst.engine.cpu.winograd` derives it, and equations (e) and (g) are that module's.  Here it is three steps, for
as many tiles at once as fit into a piece of memory::

    D = B^T d B          a kernel, winograd.cu
    M = D U              36 products of matrices in one call of cuBLAS
    y = A^T M A          a kernel, with bias and ReLU

U = G w G^T is made by a kernel too, and kept in a session; so is that of the flipped kernel, with which dL/dx is
convolved.  Where there was a ReLU, the way back applies its mask to what the first step reads.  For dL/dw the products
of D, transposed, with dL/dM are added up, piece by piece.

What limits it.  This is arithmetic on paper with data sheets, in float32; ``scratchnst bench`` measures times.

* The first kernel reads 16 C numbers for a tile (each up to four times, but then from a cache: neighbouring tiles are
  neighbours in a block, or soon follow) and writes 36 C, with 264 C additions and multiplications; the last reads 36 K,
  and writes 16 K and as many bytes for the ReLU's mask, with 196 K.  That is about an operation a byte, where GPUs do
  ten and more: memory is the limit, and what counts is to keep it busy.  Threads of a warp read and write 128 bytes
  side by side; each has 36 reads under way at once; 640 fit on a multiprocessor, since a thread takes 91 of its 65,536
  registers: 92 KB on their way, 41 of them from memory and the others from a cache.  An H200 needs 36 on each of its
  132 if memory answers within a microsecond.  Vectors like float4 would not carry more, and take four times the
  registers.
* The products read D, write M, and take 72 C K operations a tile: C K / (2 (C + K)) a byte, 16 for 64 channels, 128
  for 512.  They read U as well, which counts where tiles are few: with the image below 64 of 128 are left for
  conv4_2-4, and 26 for conv5_1.  Arithmetic takes longer than memory from 14 on (H200: 67 teraflops, 4.8 TB/s), 25
  (T4: 8.1 and 0.32), or, with TF32, 103 (H200: 495).  So in float32 arithmetic is the limit of all of VGG19, save on a
  T4 of the first two layers; with TF32 memory is the limit of all, until at 1024x1024 pixels conv4_2-4 have 102.

VGG19 with an image of 512x512 pixels takes 47 G operations one way, and 2.7 GB to and from memory if no cache helps:
conv1_2 has 16384 tiles, 302 MB of D and M and 0.6 MB of U, conv5_1 64 tiles, 9 MB and 37.7 MB.  Even conv5_1 has 256
blocks of threads for an H200's 132 multiprocessors.

Pieces.  D and M of a piece have at most `NUMBERS` numbers, 268 MB in float32, whatever the image's size.  Pieces of a
tenth of that would stay in an H200's L2 cache, of 50 MB, and spare D and M most of their way through memory; a T4's, of
4 MB, is too small for any.  But a piece costs three calls from Python, of 10 microseconds and more, in which memory
moves 150 MB.  So pieces are large, and of the layers above all but conv1_2 are one.
"""

from __future__ import annotations

import math

from scratchnst.arrays import Array
from scratchnst.engine import sessions
from scratchnst.engine.cuda import device, kernels, products

TILE = 4  # pixels a side
POINTS = 36  # of a tile
NUMBERS = 2**26  # that D and M may have together
THREADS = 128  # of a block
WARP = 32  # threads that read and write together
LONGEST_ROW = 2**28  # numbers in a row of an image, so that kernels can count six rows in an int
KERNEL = "kernel at points"  # U


def convolve(
    x: Array, w: Array, b: Array | None = None, relu: bool = False, mask: Array | None = None
) -> tuple[Array, Array | None]:
    """Return y, the convolution of `x` (N, H, W, C) with `w` (3, 3, C, K), and where it is positive: equation (e)."""
    U = _kernel_at_points(w, x.dtype)
    return _convolve(x, U, False, w.shape[3], device.readable(b, x.dtype), relu, mask)


def convolve_back(grad_y: Array, w: Array, mask: Array | None = None) -> Array:
    """Return dL/dx, the convolution of `grad_y`, zero where `mask` is False, with the flipped kernel: equation (e)."""
    U = _kernel_at_points(w, grad_y.dtype, flip=True)
    return _convolve(grad_y, U, True, w.shape[2], mask=mask)[0]


def _convolve(x, U, transpose, outputs, b=None, relu=False, mask=None):
    """Convolve with U (36, C, K), or, if `transpose`, with U (36, K, C) transposed."""
    x, mask = device.readable(x), device.readable(mask)
    channels = x.shape[3]
    _check(x.shape, max(channels, outputs))
    y = device.empty((*x.shape[:3], outputs), x.dtype)
    positive = device.empty(y.shape, bool) if relu else None
    for first, count in pieces(x.shape, channels + outputs):
        D = _at_points("winograd_input", x, mask, first, count)
        M = products.multiply(D, U, transpose_b=transpose)
        _launch_tiles("winograd_output", y, first, count, M, b, y, positive)
        del D, M  # before there are those of the next piece
    return y, positive


def kernel_gradient(x: Array, grad_y: Array, mask: Array | None = None, kernel: tuple[int, int] = (3, 3)) -> Array:
    """Return dL/dw (3, 3, C, K), equation (g); `grad_y` is taken as zero where `mask`, if there is one, is False."""
    x, grad_y, mask = device.readable(x), device.readable(grad_y, x.dtype), device.readable(mask)
    channels, outputs = x.shape[3], grad_y.shape[3]
    _check(x.shape, max(channels, outputs))
    grad_U = device.zeros((POINTS, channels, outputs), x.dtype)
    for first, count in pieces(x.shape, channels + outputs):
        D = _at_points("winograd_input", x, None, first, count)
        grad_M = _at_points("winograd_gradient", grad_y, mask, first, count)
        products.multiply(D, grad_M, grad_U, transpose_a=True, accumulate=True)
        del D, grad_M
    grad_w = device.empty((3, 3, channels, outputs), x.dtype)
    _launch_pairs("winograd_kernel_gradient", grad_w, grad_U, grad_w, channels * outputs)
    return grad_w


def workspace(shape: tuple[int, ...], kernel: tuple[int, ...]) -> dict[str, int]:
    """Return how many numbers a convolution of images of `shape` has in memory while it runs, by name."""
    channels, outputs = kernel[2:]
    tiles = max((count for _, count in pieces(shape, channels + outputs)), default=0)
    return {"D and M": POINTS * tiles * (channels + outputs), KERNEL: POINTS * channels * outputs}


def pieces(shape: tuple[int, ...], channels: int) -> list[tuple[int, int]]:
    """Cut the tiles of images (N, H, W, ...) into pieces of `NUMBERS` at most: the first tile and how many.

    `channels` are those of D and M together.  Tiles are counted row by row, image by image.
    """
    tiles = shape[0] * math.prod(_tiles(shape))
    most = max(1, NUMBERS // max(1, POINTS * channels))
    size = -(-tiles // max(1, -(-tiles // most)))  # all of about one size
    return [(first, min(size, tiles - first)) for first in range(0, tiles, size or 1)]


def _tiles(shape):
    """Return how many tiles an image of images (N, H, W, ...) has from top to bottom, and from left to right."""
    return -(-shape[1] // TILE), -(-shape[2] // TILE)


def _check(shape, channels):
    """Raise a ValueError if kernels could not count the numbers of a row."""
    if shape[2] * channels > LONGEST_ROW:
        raise ValueError(f"images of {shape[2]} pixels a row are too wide for Winograd's convolution")


def _kernel_at_points(w, dtype, flip=False):
    """Return U (36, C, K), of `w` or of `w` turned by 180 degrees; a session keeps both."""

    def make():
        weights = device.readable(w, dtype)
        U = device.empty((POINTS, *w.shape[2:]), dtype)
        _launch_pairs("winograd_kernel", U, weights, U, math.prod(w.shape[2:]), flip)
        return U

    return sessions.kept(f"{KERNEL}, flipped" if flip else KERNEL, w, dtype, make)


def _at_points(kernel, images, mask, first, count):
    """Return what a kernel makes of `count` tiles of images: (36, count, channels)."""
    numbers = device.empty((POINTS, count, images.shape[3]), images.dtype)
    _launch_tiles(kernel, images, first, count, images, mask, numbers)
    return numbers


def _launch_tiles(kernel, images, first, count, *arrays):
    """Launch a kernel that has a thread for each channel of `images` (N, H, W, channels) and each tile.

    A block has all channels of some tiles, or as many channels of a few tiles as a warp has threads.  Neighbouring
    tiles share pixels, which the block then reads from the multiprocessor's own cache.
    """
    _, height, width, channels = images.shape
    across = max(1, min(channels, WARP))
    block = across, THREADS // across
    grid = kernels.blocks(channels, block[0]), kernels.blocks(count, block[1])
    sizes = first, count, *_tiles(images.shape), height, width, channels
    kernels.launch("winograd", kernel, grid, block, images.dtype, *arrays, *sizes)


def _launch_pairs(kernel, array, *arguments):
    """Launch a kernel that has a thread for each pair of channels, the last two axes of `array`."""
    grid = (kernels.blocks(math.prod(array.shape[-2:]), THREADS),)
    kernels.launch("winograd", kernel, grid, (THREADS,), array.dtype, *arguments)
