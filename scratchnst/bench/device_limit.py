"""How fast a GPU is at best: one large product of matrices by cuBLAS, one large copy."""

from __future__ import annotations

import numpy as np

from scratchnst.bench.names import EMULATED
from scratchnst.bench.on_device import OnDevice
from scratchnst.engine.cuda import device as gpu
from scratchnst.engine.cuda import products

SIDE, TINY_SIDE = 8192, 64  # of the large product's matrices
NUMBERS, TINY_NUMBERS = 2**28, 2**10  # that are copied, in float32; far more than caches hold


class Product(OnDevice):
    """A contender: one large product of matrices of float32, computed in float32 or TF32."""

    def __init__(self, size: int, threads: int, device: str, precision: str = "float32"):
        super().__init__(device, precision)
        shape = 1, side(device), side(device)
        random = np.random.default_rng(0)
        self.A, self.B = (gpu.asarray(random.standard_normal(shape, np.float32)) for _ in range(2))
        self.product = gpu.empty(shape, "float32")

    def evaluate(self) -> None:
        products.multiply(self.A, self.B, out=self.product)


class Copy(OnDevice):
    """A contender: one large array copied into another."""

    def __init__(self, size: int, threads: int, device: str):
        super().__init__(device)
        self.source = gpu.zeros((numbers(device),), "float32")
        self.target = gpu.zeros((numbers(device),), "float32")

    def evaluate(self) -> None:
        gpu.library().copyto(self.target, self.source)


def side(device: str) -> int:
    """Return the side of `Product`'s matrices."""
    return TINY_SIDE if device == EMULATED else SIDE


def numbers(device: str) -> int:
    """Return how many numbers `Copy` copies."""
    return TINY_NUMBERS if device == EMULATED else NUMBERS


def product_operations(device: str) -> int:
    """Return the floating-point operations of `Product`."""
    return 2 * side(device) ** 3


def copy_bytes(device: str) -> int:
    """Return the bytes that `Copy` reads and writes."""
    return 2 * 4 * numbers(device)
