"""The convolution of this engine: `scratchnst.ops.conv2d`'s contract, computed in one of the ways in `WAYS`.

Each is a rung of a ladder.  `choose` says which, from the shapes alone; `using` overrides it.

    naive      the definition, a thread for each output; here for kernels that the others do not take
    tiled      what threads share is fetched once, into shared memory: few channels, and kernels that are not 3x3
    winograd   3x3 kernels of many channels: a quarter of the multiplications

When is Winograd's worth it?  On paper, with C channels in and out, it saves 6.75 C^2 of tiled's 9 C^2 multiply-adds a
pixel, but writes 4.5 C numbers to memory and reads them again: 36 C bytes in float32.  A GPU that does 6 multiply-adds
while it moves a byte, as an A100 or an H200 does, comes off equal at 32 channels.
"""

from __future__ import annotations

import math

from scratchnst.arrays import Array
from scratchnst.engine.convolution import Conv2d
from scratchnst.engine.cuda import naive, tiled, winograd
from scratchnst.engine.cuda.column_sums import column_sums

WAYS = {"naive": naive, "tiled": tiled, "winograd": winograd}
ENOUGH_CHANNELS = 32


def preferred(shape: tuple[int, ...], kernel: tuple[int, ...]) -> str:
    """Return the name of the fastest way to convolve images of `shape` (N, H, W, C) with a `kernel` (kh, kw, C, K)."""
    enough = min(kernel[2:]) >= ENOUGH_CHANNELS and min(shape[1:3]) > 1  # of a single row most of a tile is wasted
    if enough and takes("winograd", shape, kernel):
        return "winograd"
    return "tiled" if takes("tiled", shape, kernel) else "naive"


def takes(way: str, shape: tuple[int, ...], kernel: tuple[int, ...]) -> bool:
    """Return whether this way can convolve images of `shape` with a `kernel`; the definition always can."""
    if way == "naive" or 0 in (*shape, *kernel):
        return way == "naive"
    if way == "tiled":
        return tiled.fits(kernel)
    return list(kernel[:2]) == [3, 3] and shape[2] * max(kernel[2:]) <= winograd.LONGEST_ROW


def bias_gradient(grad_y: Array, mask: Array | None) -> Array:
    """Return dL/db (K,) from `grad_y` = dL/dy, zero where `mask` is False."""
    matrix = math.prod(grad_y.shape[:3]), grad_y.shape[3]
    return column_sums(grad_y.reshape(matrix), None if mask is None else mask.reshape(matrix))


CONVOLUTION = Conv2d(WAYS, preferred, takes, bias_gradient)
choose, using, convolve = CONVOLUTION.choose, CONVOLUTION.using, CONVOLUTION.convolve
forward, forward_relu, backward = CONVOLUTION.forward, CONVOLUTION.forward_relu, CONVOLUTION.backward
backward_input, backward_parameters = CONVOLUTION.backward_input, CONVOLUTION.backward_parameters
