"""Preprocessing, `scratchnst.ops.preprocess`: preprocess.cu.

The textbook's would run on CuPy's arrays as it stands, in a dozen small steps; this is one.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images
from scratchnst.engine.cuda import device, kernels


def forward(x: Array, channels: str, scale: float, mean: Array, std: Array) -> tuple[Array, tuple]:
    """Turn RGB pixels 0-255, (N, H, W, 3), into the input of a network, and return it and the cache, the settings."""
    check_images(x)
    check_channels(x)
    factors = [float(factor) for factor in scale / np.asarray(std, float)]
    offsets = [float(offset) for offset in np.asarray(mean, float) / np.asarray(std, float)]
    y = device.empty(x.shape, x.dtype)
    _launch("preprocess_forward", x, y, channels, *factors, *offsets)
    return y, (channels, factors)


def backward(grad_y: Array, cache: tuple) -> Array:
    """Return dL/dx, RGB, from `grad_y` = dL/dy."""
    channels, factors = cache
    check_channels(grad_y)
    grad_x = device.empty(grad_y.shape, grad_y.dtype)
    _launch("preprocess_backward", grad_y, grad_x, channels, *factors)
    return grad_x


def check_channels(x: Array) -> None:
    """Raise a ValueError unless `x` is (N, H, W, 3)."""
    if x.shape[3:] != (3,):
        raise ValueError(f"preprocessing takes images (N, H, W, 3), not {x.shape}")


def _launch(name, source, target, channels, *numbers):
    source, is_reversed = device.contiguous(source), {"RGB": 0, "BGR": 1}[channels]
    arguments = source, target, source.size, is_reversed, *numbers
    kernels.launch_each("preprocess", name, source.size, source.dtype, *arguments)
