"""Instance normalisation, `scratchnst.engine.instance_norm`: instance_norm.cu.

The pivot of a channel is its first pixel: sums in double have digits to spare.

On paper: the way there reads x twice and writes y, the way back reads x and g twice and writes dL/dx, a few operations
for each number of four bytes.  So the speed of memory is the limit.
"""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.cuda import device, kernels
from scratchnst.engine.cuda.column_sums import ENOUGH_THREADS
from scratchnst.engine.instance_norm import InstanceNorm

PIXELS_PER_STRIP = 64  # at least


def pivots(x: Array) -> Array:
    """Return the first pixel of each image, (N, C)."""
    return x[:, 0, 0].copy()


def sums(x: Array, pivot: Array, g: Array | None, mask: Array | None) -> tuple[Array, Array, tuple]:
    """Return sum u and sum u d, (N, C), float64, and what u is made from."""
    count, height, width, channels = x.shape
    columns, pixels = count * channels, height * width
    strips = max(1, min(pixels // PIXELS_PER_STRIP, ENOUGH_THREADS // max(columns, 1)))
    parts, totals = device.empty((strips, 2, columns), "float64"), device.empty((2, count, channels), "float64")
    u = device.readable(g), device.readable(mask)
    arguments = device.contiguous(x), pivot, *u, parts, pixels, channels, columns, strips
    kernels.launch_each("instance_norm", "instance_norm_sums", strips * columns, x.dtype, *arguments)
    kernels.launch_each("column_sums", "add_strips", 2 * columns, "float64", parts, totals, 2 * columns, strips)
    return totals[0], totals[1], u


def scaled(u: tuple, x: Array, pivot: Array, factor: Array, offset: Array, relu: bool) -> tuple[Array, Array | None]:
    """Return y = factor d + offset, and y > 0 or None."""
    y, positive = device.empty(x.shape, x.dtype), device.empty(x.shape, bool) if relu else None
    arguments = device.contiguous(x), pivot, *_per_channel(x, factor, offset), y, positive, *_sizes(x)
    kernels.launch_each("instance_norm", "instance_norm_forward", x.size, x.dtype, *arguments)
    return y, positive


def projected(u: tuple, x: Array, pivot: Array, factor: Array, along: Array, offset: Array) -> Array:
    """Return dL/dx = factor (g + along d + offset)."""
    grad_x = device.empty(x.shape, x.dtype)
    arguments = device.contiguous(x), pivot, *u, *_per_channel(x, factor, along, offset), grad_x, *_sizes(x)
    kernels.launch_each("instance_norm", "instance_norm_backward", x.size, x.dtype, *arguments)
    return grad_x


def _per_channel(x, *numbers):
    return [device.readable(each, x.dtype) for each in numbers]


def _sizes(x):
    """The pixels of an image, channels, and how many numbers there are."""
    return x.shape[1] * x.shape[2], x.shape[3], x.size


NORM = InstanceNorm(pivots, sums, scaled, projected)
forward, forward_relu, backward = NORM.forward, NORM.forward_relu, NORM.backward
backward_input, backward_parameters = NORM.backward_input, NORM.backward_parameters
