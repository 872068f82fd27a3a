"""Convolution of images or kernels without elements: the result is the bias, or empty."""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array


def convolve(x: Array, w: Array, b: Array, relu: bool = False) -> tuple[Array, Array | None]:
    """Return y (N, H, W, K), the bias everywhere, and if y is rectified where it is positive."""
    y = np.zeros((*x.shape[:3], w.shape[3]), x.dtype) + b.astype(x.dtype)
    return (np.maximum(y, 0), y > 0) if relu else (y, None)


def convolve_back(grad_y: Array, w: Array, mask: Array | None = None) -> Array:
    """Return dL/dx (N, H, W, C), zeros."""
    return np.zeros((*grad_y.shape[:3], w.shape[2]), grad_y.dtype)


def kernel_gradient(x: Array, grad_y: Array, mask: Array | None, kernel: tuple[int, int]) -> Array:
    """Return dL/dw (kh, kw, C, K), zeros."""
    return np.zeros((*kernel, x.shape[3], grad_y.shape[3]), x.dtype)
