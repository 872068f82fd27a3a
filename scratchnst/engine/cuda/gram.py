"""Gram matrices, `scratchnst.losses.gram`: products of matrices, by cuBLAS."""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images, check_shape
from scratchnst.engine.cuda import device, products


def forward(x: Array) -> tuple[Array, Array]:
    """Return the Gram matrices (N, C, C) of activations `x` (N, H, W, C), and the cache, x."""
    check_images(x)
    F = _matrix(x)
    return products.multiply_tall(F, F), x


def backward(grad_y: Array, cache: Array) -> Array:
    """Return dL/dx (N, H, W, C) from `grad_y` = dL/dG (N, C, C)."""
    x = cache
    F = _matrix(x)
    check_shape("gradient", grad_y, (len(F), F.shape[2], F.shape[2]))
    return products.multiply(F, grad_y + grad_y.swapaxes(1, 2)).reshape(x.shape)


def _matrix(x):
    """View (N, H, W, C) activations as one (H W, C) matrix F an image."""
    return device.contiguous(x).reshape(x.shape[0], x.shape[1] * x.shape[2], x.shape[3])
