"""Pieces of images, in and out: what the convolutions of this engine have in common.

A job reads a patch of its input, works on it in the processor's cache, and writes a patch of its output.  The zeros
around the image, the ReLU and its backward are applied as a patch is read or written, so none of them passes over the
image on its own.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array


def read(x: Array, mask: Array | None, image: int, top: int, left: int, pixels: Array, reflected: bool = False) -> None:
    """Fill `pixels` (h, w, C) from `x`, its corner at (top, left); outside of the image it is zero.

    With a `mask`, a boolean array of x's shape, it is zero where that is False, too: the ReLU's backward,
    grad_x = grad_y * (y > 0).  A `reflected` image is continued as `scratchnst.ops.reflection_pad` does, as far as the
    mirrored pixels lie in the patch.
    """
    height, width, _ = pixels.shape
    above, before = max(-top, 0), max(-left, 0)
    here = image, slice(max(top, 0), top + height), slice(max(left, 0), left + width)
    inside = x[here]
    below, after = above + inside.shape[0], before + inside.shape[1]
    if inside.shape != pixels.shape:
        pixels[:above] = pixels[below:] = 0
        pixels[above:below, :before] = pixels[above:below, after:] = 0
    target = pixels[above:below, before:after]
    if mask is None:
        target[...] = inside
    else:
        np.multiply(inside, mask[here], out=target)
    if reflected:
        _mirror(pixels.swapaxes(0, 1), before, after)
        _mirror(pixels, above, below)


def _mirror(pixels, start, stop):
    """Continue the rows from start to stop on both sides by their mirror images."""
    pixels[:start] = pixels[start + 1 : 2 * start + 1][::-1]
    count = min(len(pixels) - stop, stop - start - 1)
    pixels[stop : stop + count] = pixels[stop - 1 - count : stop - 1][::-1]


def write(values: Array, y: Array, positive: Array | None) -> None:
    """Write `values` (h, w, K) into `y`, or, with `positive`, max(values, 0) into `y` and y > 0 into `positive`."""
    if positive is None:
        y[...] = values
        return
    zeros = np.zeros(y.shape[1:], y.dtype)  # NumPy compares two arrays three times as fast as an array and a number
    np.maximum(values, zeros, out=y)
    np.greater(y, 0, out=positive)
