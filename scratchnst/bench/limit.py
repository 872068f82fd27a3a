"""How fast it could be: the matrix products that an evaluation is made of, at the rate of one large product.

Everything else, such as transforms, ReLUs, pools and memory traffic, comes on top, so no evaluation with these products
takes less time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from scratchnst.engine.cpu import conv2d, winograd
from scratchnst.models.network import Network

SIDE = 2048  # of the large product's matrices


class Sgemm:
    """A contender, see `scratchnst.bench.service`: one large product of matrices in float32."""

    def __init__(self, size: int, threads: int):
        random = np.random.default_rng(0)
        self.A, self.B = (random.standard_normal((SIDE, SIDE), np.float32) for _ in range(2))
        self.product = np.empty_like(self.A)

    def evaluate(self) -> None:
        np.matmul(self.A, self.B, out=self.product)


def sgemm_operations() -> int:
    """Return the floating-point operations of `Sgemm`: SIDE multiplications and additions for each element."""
    return 2 * SIDE**3


def operations(
    network: Network,
    content_layers: Iterable[str],
    style_layers: Iterable[str],
    size: int,
    choose: Callable[..., str] = conv2d.choose,
) -> int:
    """Return the floating-point operations of all matrix products in one evaluation on `size` x `size` pixels.

    These are the convolutions', each as an engine chooses to do it, by default that on the CPU, forward and back to its
    input, and the Gram matrices'.  `network` is a chain of 3x3 convolutions and pools.
    """
    style_layers = set(style_layers)
    side, channels, total = size, 3, 0
    for layer in network.needed([*content_layers, *style_layers]):
        if not layer.rule.has_parameters:
            side //= layer.rule.stride
            continue
        outputs = network.parameters[layer.name][0].shape[3]
        total += convolution(side, channels, outputs, choose) + convolution(side, outputs, channels, choose)
        channels = outputs
        if layer.name in style_layers:
            total += 2 * 2 * side**2 * channels**2  # F^T F, and on the way back F times a matrix
    return total


def convolution(side: int, channels: int, outputs: int, choose: Callable[..., str] = conv2d.choose) -> int:
    """Return the operations of the matrix products of one 3x3 convolution; if done directly, as many as those have."""
    if choose((1, side, side, channels), (3, 3, channels, outputs)) == "winograd":
        tiles = (-(-side // winograd.TILE)) ** 2
        multiplications = winograd.POINTS**2 * tiles
    else:
        multiplications = 9 * side**2
    return 2 * multiplications * channels * outputs
