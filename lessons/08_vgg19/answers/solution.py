"""The exercise, solved: what a unit sees, and a walk back with two losses on the way."""

from __future__ import annotations

from scratchnst.ops import average_pool, conv2d, relu


def what_it_sees(rows, unit, length):
    """From the last row to the first: a convolution adds a unit on either side, a pooling two for each."""
    first = last = unit
    for row in reversed(rows):
        if row == "pool":
            first, last = 2 * first, 2 * last + 1
        else:
            first, last = first - 1, last + 1
    return max(first, 0), min(last, length - 1)


def walk_back(grad_1, grad_2, x, w_1, b_1, w_2, b_2):
    """Down for the caches, then back; where the way back meets F_1, both its readers have a gradient for it."""
    z_1, conv_cache_1 = conv2d.forward(x, w_1, b_1)
    F_1, relu_cache_1 = relu.forward(z_1)
    pooled, pool_cache = average_pool.forward(F_1)
    z_2, conv_cache_2 = conv2d.forward(pooled, w_2, b_2)
    _, relu_cache_2 = relu.forward(z_2)

    grad_z_2 = relu.backward(grad_2, relu_cache_2)
    grad_pooled = conv2d.backward_input(grad_z_2, conv_cache_2)
    grad_F_1 = average_pool.backward(grad_pooled, pool_cache) + grad_1
    grad_z_1 = relu.backward(grad_F_1, relu_cache_1)
    return conv2d.backward_input(grad_z_1, conv_cache_1)
