"""How fast it could be: the matrix products that an evaluation is made of, at the rate of one large product.

Everything else, such as transforms, ReLUs, pools and memory traffic, comes on top, so no evaluation with these products
takes less time.  On a GPU one large copy besides shows how fast it moves bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from scratchnst.bench.contender import Contender, OnEngine
from scratchnst.bench.names import COPY, EMULATED, PRODUCT, SGEMM, tf32
from scratchnst.engine.cpu import conv2d, winograd
from scratchnst.engine.cuda import device as gpu
from scratchnst.engine.cuda import products
from scratchnst.models.network import Network

SIDE, DEVICE_SIDE, TINY_SIDE = 2048, 8192, 64  # of the large product's matrices: CPU, GPU, emulated GPU
NUMBERS, TINY_NUMBERS = 2**28, 2**10  # of float32 that are copied; far more than caches hold


class Sgemm(Contender):
    """A contender: one large product of matrices in float32."""

    def __init__(self, size: int, device: str = "cpu"):
        random = np.random.default_rng(0)
        self.A, self.B = (random.standard_normal((SIDE, SIDE), np.float32) for _ in range(2))
        self.product = np.empty_like(self.A)

    def evaluate(self) -> None:
        np.matmul(self.A, self.B, out=self.product)


class Product(OnEngine):
    """A contender: the same by cuBLAS on a GPU, in float32 or TF32."""

    def __init__(self, size: int, device: str, precision: str = "float32"):
        super().__init__(device, precision)
        side = TINY_SIDE if device == EMULATED else DEVICE_SIDE
        random, shape = np.random.default_rng(0), (1, side, side)
        self.A, self.B = (gpu.asarray(random.standard_normal(shape, np.float32)) for _ in range(2))
        self.product = gpu.empty(shape, "float32")

    def evaluate(self) -> None:
        products.multiply(self.A, self.B, out=self.product)


class Copy(OnEngine):
    """A contender: one large array copied into another."""

    def __init__(self, size: int, device: str):
        super().__init__(device)
        numbers = TINY_NUMBERS if device == EMULATED else NUMBERS
        self.source, self.target = (gpu.zeros((numbers,), "float32") for _ in range(2))

    def evaluate(self) -> None:
        gpu.library().copyto(self.target, self.source)


def amounts(device: str) -> dict[str, tuple[str, int]]:
    """Return name of each limit -> what it has to do: floating-point operations, or bytes to be read and written."""
    side, numbers = (TINY_SIDE, TINY_NUMBERS) if device == EMULATED else (DEVICE_SIDE, NUMBERS)
    product = "operations", 2 * side**3  # a multiplication and an addition, side times for each element
    return {
        SGEMM: ("operations", 2 * SIDE**3),
        PRODUCT: product,
        tf32(PRODUCT): product,
        COPY: ("bytes", 2 * 4 * numbers),
    }


def operations(
    network: Network,
    content_layers: Iterable[str],
    style_layers: Iterable[str],
    size: int,
    choose: Callable[..., str] = conv2d.choose,
) -> int:
    """Return the floating-point operations of all matrix products in one evaluation on `size` x `size` pixels.

    These are the convolutions', each as an engine chooses to do it, by default that on the CPU, forward and back to its
    input, and the Gram matrices'.  The convolutions of `network` are 3x3.
    """
    style_layers, shapes, sources, total = set(style_layers), network.shapes(size, size), network.sources(), 0
    for layer in network.needed([*content_layers, *style_layers]):
        side, _, outputs = shapes[layer.name]
        if "conv2d" in layer.rule.steps(network.pooling):
            channels = shapes[sources[layer.name][0]][2]
            total += convolution(side, channels, outputs, choose) + convolution(side, outputs, channels, choose)
        if layer.name in style_layers:
            total += 2 * 2 * side**2 * outputs**2  # F^T F, and on the way back F times a matrix
    return total


def convolution(side: int, channels: int, outputs: int, choose: Callable[..., str] = conv2d.choose) -> int:
    """Return the operations of the matrix products of one 3x3 convolution; if done directly, as many as those have."""
    if choose((1, side, side, channels), (3, 3, channels, outputs)) == "winograd":
        tiles = (-(-side // winograd.TILE)) ** 2
        multiplications = winograd.POINTS**2 * tiles
    else:
        multiplications = 9 * side**2
    return 2 * multiplications * channels * outputs
