"""ReLU, `scratchnst.ops.relu`, on its own: relu.cu, a thread for each number."""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_shape
from scratchnst.engine.cuda import device, kernels

THREADS = 256  # of a block


def forward(x: Array) -> tuple[Array, Array]:
    """Return y = max(x, 0), of x's shape and dtype, and the cache, which is y; NaN stays NaN."""
    x = device.contiguous(x)
    y = device.empty(x.shape, x.dtype)
    kernels.launch("relu", "relu_forward", (kernels.blocks(x.size, THREADS),), (THREADS,), x.dtype, x, y, x.size)
    return y, y


def backward(grad_y: Array, cache: Array) -> Array:
    """Return dL/dx from `grad_y` = dL/dy."""
    y = cache
    check_shape("gradient", grad_y, y.shape)
    grad_y = device.contiguous(grad_y)
    grad_x = device.empty(y.shape, y.dtype)
    grid = (kernels.blocks(y.size, THREADS),)
    kernels.launch("relu", "relu_backward", grid, (THREADS,), y.dtype, grad_y, y, grad_x, y.size)
    return grad_x
