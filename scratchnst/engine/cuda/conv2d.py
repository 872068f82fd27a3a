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
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_convolution, check_images, check_shape
from scratchnst.engine.cpu.patches import flipped
from scratchnst.engine.cuda import naive, tiled, winograd
from scratchnst.engine.cuda.column_sums import column_sums

WAYS = {"naive": naive, "tiled": tiled, "winograd": winograd}
ENOUGH_CHANNELS = 32

_forced: ContextVar[str | None] = ContextVar("way to convolve on a GPU", default=None)


def choose(shape: tuple[int, ...], kernel: tuple[int, ...]) -> str:
    """Return the name of the way to convolve images of `shape` (N, H, W, C) with a `kernel` (kh, kw, C, K)."""
    forced = _forced.get()
    if forced and takes(forced, shape, kernel):
        return forced
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


@contextmanager
def using(way: str | None) -> Iterator[None]:
    """Convolve in this way within the block, in this thread, wherever it can; see `choose`."""
    if way is not None and way not in WAYS:
        raise ValueError(f"there is no way {way!r} to convolve; choose one of {', '.join(WAYS)}")
    token = _forced.set(way)
    try:
        yield
    finally:
        _forced.reset(token)


def forward(x: Array, w: Array, b: Array) -> tuple[Array, tuple[Array | None, Array]]:
    """Convolve `x` (N, H, W, C) with `w` (kh, kw, C, K) and add `b` (K,): return y (N, H, W, K) and the cache (x, w).

    `x` is float32 or float64, and so is all that is computed; `w` and `b` are converted.

    Raises
    ------
    ValueError
        If `x` is neither, `w` or `b` is complex, a kernel side is even, or channels do not match.
    """
    y, _ = convolve(x, w, b)
    return y, (x, w)


def backward(grad_y: Array, cache: tuple) -> tuple[Array, Array, Array]:
    """Return dL/dx, dL/dw and dL/db from `grad_y` = dL/dy."""
    return backward_input(grad_y, cache), *backward_parameters(grad_y, cache)


def backward_input(grad_y: Array, cache: tuple) -> Array:
    """Return dL/dx alone."""
    _, w = cache
    return convolve_back(grad_y, w)


def backward_parameters(grad_y: Array, cache: tuple) -> tuple[Array, Array]:
    """Return dL/dw and dL/db."""
    x, w = cache
    return gradients_of_parameters(x, w, grad_y)


def convolve(x: Array, w: Array, b: Array, relu: bool = False) -> tuple[Array, Array | None]:
    """Return y and, if y is to be rectified, where it is positive."""
    check_convolution(x, w, b)
    if b.shape != w.shape[3:]:
        raise ValueError(f"channels do not match: kernel {w.shape}, bias {b.shape}")
    return WAYS[choose(x.shape, w.shape)].convolve(x, w, b, relu)


def convolve_back(grad_y: Array, w: Array, mask: Array | None = None) -> Array:
    """Return dL/dx: `grad_y`, zero where `mask` is False, convolved with the flipped kernel."""
    if mask is not None:
        check_shape("gradient", grad_y, mask.shape)
    kernel = flipped(w)
    check_convolution(grad_y, kernel)
    return WAYS[choose(grad_y.shape, kernel.shape)].convolve_back(grad_y, w, mask)


def gradients_of_parameters(x: Array, w: Array, grad_y: Array, mask: Array | None = None) -> tuple[Array, Array]:
    """Return dL/dw and dL/db, `grad_y` being zero where `mask` is False."""
    check_shape("gradient", grad_y, (*x.shape[:3], w.shape[3]))
    check_images(grad_y)
    matrix = math.prod(grad_y.shape[:3]), w.shape[3]
    grad_b = column_sums(grad_y.reshape(matrix), None if mask is None else mask.reshape(matrix))
    grad_w = WAYS[choose(x.shape, w.shape)].kernel_gradient(x, grad_y, mask, w.shape[:2])
    return grad_w, grad_b
