"""Pieces of images, in and out: what the convolutions of this engine have in common.

A job reads a patch of its input, works on it in the processor's cache, and writes a patch of its output.  The zeros
around the image, the ReLU and its backward are applied as a patch is read or written, so none of them passes over the
image on its own.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array


def read(x: Array, mask: Array | None, image: int, top: int, left: int, pixels: Array) -> None:
    """Fill `pixels` (h, w, C) from `x`, its corner at (top, left); outside of the image it is zero.

    With a `mask`, a boolean array of x's shape, it is zero where that is False, too: the ReLU's backward,
    grad_x = grad_y * (y > 0).
    """
    height, width, _ = pixels.shape
    here = image, slice(max(top, 0), top + height), slice(max(left, 0), left + width)
    inside = x[here]
    if inside.shape != pixels.shape:
        pixels[...] = 0
    target = pixels[max(-top, 0) :, max(-left, 0) :][: inside.shape[0], : inside.shape[1]]
    if mask is None:
        target[...] = inside
    else:
        np.multiply(inside, mask[here], out=target)


def write(values: Array, y: Array, positive: Array | None) -> None:
    """Write `values` (h, w, K) into `y`, or, with `positive`, max(values, 0) into `y` and y > 0 into `positive`."""
    if positive is None:
        y[...] = values
        return
    zeros = np.zeros(y.shape[1:], y.dtype)  # NumPy compares two arrays three times as fast as an array and a number
    np.maximum(values, zeros, out=y)
    np.greater(y, 0, out=positive)
