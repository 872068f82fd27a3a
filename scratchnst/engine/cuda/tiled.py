"""Convolution, rung 2: `scratchnst.ops.conv2d` with shared memory and registers: tiled.cu, tiled_gradient.cu.

It takes odd kernels of up to 9 x 9.  The way back, as in `naive`, convolves with a copy of the kernel, flipped.

On paper, for a 3x3 kernel in float32, of which a block has a tile of 16 x 16 pixels and 32 output channels: for each
input channel it fetches 18 x 18 numbers of x and 9 x 32 weights, 2.4 KB, for 74,000 multiplications and as many
additions: 60 operations a byte.  An A100 can do 12 while a byte comes from memory, an RTX 4090 can do 80; but much of
this comes from the cache, where blocks of other channels have left it.  From shared memory a warp reads 13 times (10
numbers of x, and 3 times four weights) for 96 multiplications, and a multiprocessor, which multiplies for four warps at
once, reads for one meanwhile: 24 reads would do no harm.  So arithmetic is the limit, as long as there are tiles and
channels enough.  VGG's first layer, of three input channels, is in between: a pixel has 64 outputs of 5 bytes
with the mask, and 2,304 multiply-adds, a quarter of them with zeros; both take an H200 about as long.

For dL/dw in the same terms: a step fetches 34 x 32 numbers of x and 32 x 32 of dL/dy, 8.4 KB, for 98,000
multiplications and as many additions: 23 operations a byte.  For eight pixels a warp reads 10 numbers of x and 8 times
four of dL/dy, for 96 multiplications.
"""

from __future__ import annotations

import math
from functools import cache

from scratchnst.arrays import Array
from scratchnst.engine.convolution import flipped
from scratchnst.engine.cuda import device, kernels
from scratchnst.engine.cuda.column_sums import column_sums

PIXELS, OUTPUTS = 8, 4  # of a thread: of a row, and output channels
LARGEST_SIDE = 9  # of a kernel: a thread of tiled_gradient.cu has side x OUTPUTS sums in registers, twice
CHUNKS = 8, 4, 2, 1  # input channels at a time: as many as fit
SHARED_MEMORY = 48 * 1024  # bytes that a block of any GPU can have, here in float64
ENOUGH_BLOCKS = 1024  # to keep any GPU busy


def fits(kernel: tuple[int, ...]) -> bool:
    """Return whether the kernel (kh, kw, C, K) is one of those that this way takes."""
    return max(kernel[:2]) <= LARGEST_SIDE


@cache
def layout(kernel: tuple[int, ...]) -> dict[str, int]:
    """Return the macros of tiled.cu for a kernel (kh, kw, C, K).

    A block has a tile of 16 x 16 pixels and 32 output channels.  Where a single thread can have all channels, as on the
    way back to an image's three, threads side by side would have nothing to do: the tile has 32 x 16 pixels instead.
    """
    kh, kw, channels, outputs = kernel
    lanes, rows, steps = (1, 32, 2) if outputs <= OUTPUTS else (8, 16, 2)
    columns, weights = steps * PIXELS + kw - 1, kh * kw * lanes * OUTPUTS
    chunk = next(
        chunk
        for chunk in CHUNKS[channels <= 4 :]  # of eight, half would be idle
        if 8 * ((rows + kh - 1) * (columns * chunk | 1) + weights * chunk) <= SHARED_MEMORY
    )
    sizes = {"PIXELS": PIXELS, "OUTPUTS": OUTPUTS, "KH": kh, "KW": kw}
    return sizes | {"CHUNK": chunk, "LANES": lanes, "ROWS": rows, "STEPS": steps}


def convolve(
    x: Array, w: Array, b: Array | None = None, relu: bool = False, mask: Array | None = None
) -> tuple[Array, Array | None]:
    """Return y, the convolution of `x` (N, H, W, C) with `w` (kh, kw, C, K), and where it is positive."""
    (count, height, width, channels), outputs = x.shape, w.shape[3]
    y = device.empty((count, height, width, outputs), x.dtype)
    positive = device.empty(y.shape, bool) if relu else None
    macros = layout(w.shape)
    lanes, rows, steps = macros["LANES"], macros["ROWS"], macros["STEPS"]
    tiles = count * kernels.blocks(height, rows) * kernels.blocks(width, steps * PIXELS)
    grid = (tiles * kernels.blocks(outputs, lanes * OUTPUTS),)
    x, mask, w, b = device.readable(x), device.readable(mask), device.readable(w, x.dtype), device.readable(b, x.dtype)
    arguments = x, mask, w, b, y, positive, height, width, channels, outputs
    kernels.launch("tiled", "tiled_convolve", grid, (lanes * rows * steps,), x.dtype, *arguments, **macros)
    return y, positive


def convolve_back(grad_y: Array, w: Array, mask: Array | None = None) -> Array:
    """Return dL/dx, the convolution of `grad_y`, zero where `mask` is False, with the flipped kernel."""
    return convolve(grad_y, flipped(w), mask=mask)[0]


def kernel_gradient(x: Array, grad_y: Array, mask: Array | None, kernel: tuple[int, int]) -> Array:
    """Return dL/dw (kh, kw, C, K); `grad_y` is taken as zero where `mask`, if there is one, is False."""
    (count, height, width, channels), outputs, (kh, kw) = x.shape, grad_y.shape[3], kernel
    lanes, block_channels = (1, 32) if outputs <= OUTPUTS else (8, 4 if channels <= 4 else 32)
    blocks = kh * kernels.blocks(channels, block_channels) * kernels.blocks(outputs, lanes * OUTPUTS)
    rows = count * height
    strips = max(1, min(rows, ENOUGH_BLOCKS // blocks))
    parts = device.empty((strips, kh, kw, channels, outputs), x.dtype)
    x, grad_y, mask = device.readable(x), device.readable(grad_y, x.dtype), device.readable(mask)
    arguments = x, grad_y, mask, parts, rows, strips, height, width, channels, outputs
    macros = {"OUTPUTS": OUTPUTS, "KH": kh, "KW": kw, "LANES": lanes, "CHANNELS": block_channels}
    grid, block = (strips * blocks,), (lanes * block_channels,)
    kernels.launch("tiled_gradient", "tiled_kernel_gradient", grid, block, x.dtype, *arguments, **macros)
    return column_sums(parts.reshape(strips, -1)).reshape(parts.shape[1:])


def workspace(shape: tuple[int, ...], kernel: tuple[int, ...]) -> dict[str, int]:
    """Return how many numbers a convolution of images of `shape` keeps while it runs, by name."""
    return {"flipped kernel": math.prod(kernel)}
