"""Total variation, `scratchnst.losses.total_variation`: total_variation.cu."""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images
from scratchnst.engine.cuda import device, kernels, sums


def forward(x: Array) -> tuple[Array, Array]:
    """Return the total variation of images `x` (N, H, W, C), see `sums.total`, and the cache, x."""
    check_images(x)
    x = device.contiguous(x)
    parts = sums.parts(x.size)
    block = (sums.THREADS,)
    kernels.launch("total_variation", "total_variation_forward", parts.shape, block, x.dtype, x, parts, *x.shape)
    return sums.total(parts), x


def backward(grad_y: float, cache: Array) -> Array:
    """Return dL/dx, of x's shape and dtype, from `grad_y` = dL/dV."""
    x = cache
    grad_x = device.empty(x.shape, x.dtype)
    arguments = x, grad_x, 2 * float(grad_y), *x.shape
    kernels.launch_each("total_variation", "total_variation_backward", x.size, x.dtype, *arguments)
    return grad_x
