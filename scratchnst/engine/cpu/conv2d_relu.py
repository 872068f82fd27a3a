"""A convolution and its ReLU in one: `scratchnst.ops.conv2d`, then `scratchnst.ops.relu`.

y = max(x * w + b, 0) is written once, and the ReLU's backward, grad_y where y > 0, is a mask on what the convolution's
backward reads.  Neither passes over the image on its own.

Cached: x, which only the gradient of the parameters needs; w; and one byte an output, whether y > 0.  y itself, four
bytes an output, is free to go once its readers have read it.
"""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.cpu import conv2d


def forward(x: Array, w: Array, b: Array) -> tuple[Array, tuple[Array | None, Array, Array]]:
    """Return y = max(x * w + b, 0), (N, H, W, K), and the cache (x, w, y > 0); see `conv2d.forward`."""
    y, positive = conv2d.convolve(x, w, b, relu=True)
    return y, (x, w, positive)


def backward(grad_y: Array, cache: tuple) -> tuple[Array, Array, Array]:
    """Return dL/dx, dL/dw and dL/db from `grad_y` = dL/dy."""
    return backward_input(grad_y, cache), *backward_parameters(grad_y, cache)


def backward_input(grad_y: Array, cache: tuple) -> Array:
    """Return dL/dx alone."""
    _, w, positive = cache
    return conv2d.convolve_back(grad_y, w, positive)


def backward_parameters(grad_y: Array, cache: tuple) -> tuple[Array, Array]:
    """Return dL/dw and dL/db."""
    x, w, positive = cache
    return conv2d.gradients_of_parameters(x, w, grad_y, positive)
