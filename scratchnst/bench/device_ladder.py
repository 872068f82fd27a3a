"""The ladder of convolutions on a GPU: `scratchnst.engine.cuda`'s ways, and what each has to do at the least.

naive           a thread an output, everything from the GPU's memory
tiled           what a block's threads share is fetched once, into shared memory
winograd        a quarter of the multiplications, in large products by cuBLAS between two transforms
winograd tf32   the same, with the products' factors rounded to TF32, on tensor cores

What a GPU has to do, operations and bytes, is counted for each step: every number that it reads is read once, every one
that it writes is written once.  At the rates of a large product and a large copy this would take some time, and these
parts of the time that it did take are the shares of peak arithmetic and of peak bandwidth.  The larger one limits it.
Where both are small, it is the launches, if the GPU mostly waits for them, or else neither: numbers come late from
caches and shared memory, or there are too few threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from scratchnst.arrays import Array
from scratchnst.bench.contender import OnEngine
from scratchnst.bench.names import EMULATED, tf32
from scratchnst.engine import textbook
from scratchnst.engine.cpu import winograd
from scratchnst.engine.cuda import device as gpu

SIDE, CHANNELS = 512, 128  # VGG19's conv2_2 on an image of 1024 pixels
TINY_SIDE, TINY_CHANNELS = 12, 32  # with an emulated device
CHECKED = 64  # pixels, the side of the corner that is compared with the textbook
WINOGRAD = "winograd"
RUNGS = ("naive", "tiled", WINOGRAD, tf32(WINOGRAD))
NUMBER = 4  # bytes
BUSY, LARGE = 0.5, 0.2  # above the first a GPU is busy, above the second a share is large


class Work(NamedTuple):
    """What a step has to do: floating-point operations, whether they are of products in TF32, and bytes to be moved."""

    operations: int
    bytes: int
    is_tf32: bool = False


class DeviceRung(OnEngine):
    """A contender: one convolution of a layer by the way of that name, as in a run."""

    def __init__(self, size: int, device: str, name: str):
        super().__init__(device, "tf32" if name == tf32(WINOGRAD) else "float32")
        self.until_the_end.enter_context(self.engine.conv2d.using(way(name)))
        self.until_the_end.enter_context(self.engine.session(keep_kernels=True))
        random, (_, count) = np.random.default_rng(0), layer(device)
        shapes = (1, size, size, count), (3, 3, count, count), (count,)
        self.host = [random.standard_normal(shape, np.float32) for shape in shapes]
        self.x, self.w, self.b = (gpu.asarray(array) for array in self.host)

    def evaluate(self) -> Array:
        """Return y."""
        return self.engine.conv2d.forward(self.x, self.w, self.b)[0]

    def check(self) -> dict[str, float]:
        """Return how far a corner of y is from the textbook's in float64, relative."""
        x, w, b = (array.astype(np.float64) for array in self.host)
        corner = slice(0, CHECKED)
        exact = textbook.conv2d.forward(x[:, : CHECKED + 1, : CHECKED + 1], w, b)[0][:, corner, corner]
        y = self.on_host(self.evaluate())[:, corner, corner]
        return {"error": float(np.linalg.norm(y - exact) / np.linalg.norm(exact))}


def work(rung: str, device: str) -> Mapping[str, Work]:
    """Return name of each step of a rung, `DeviceRung.steps`' -> what it has to do."""
    size, count = layer(device)
    image, kernel = size**2 * count, count**2
    if way(rung) != WINOGRAD:
        return {f"{rung}.{rung}_convolve": Work(2 * 9 * size**2 * kernel, NUMBER * (2 * image + 9 * kernel + count))}
    tiles, points = (-(-size // winograd.TILE)) ** 2, winograd.POINTS**2
    numbers = points * tiles * count  # of D, and of M
    return {
        "winograd.winograd_input": Work(_transform("B") * tiles * count, NUMBER * (image + numbers)),
        "product": Work(2 * points * tiles * kernel, NUMBER * (2 * numbers + points * kernel), rung == tf32(WINOGRAD)),
        "winograd.winograd_output": Work(_transform("A") * tiles * count, NUMBER * (numbers + image + count)),
    }


def _transform(name):
    """The operations of X^T d X for one tile: two for each number in the matrix X that is not 0, times d's sides."""
    matrix = getattr(winograd.matrices(np.dtype("float64")), name)
    rows, columns = matrix.shape
    return 2 * int(np.count_nonzero(np.abs(matrix) > 1e-12)) * (rows + columns)


def way(rung: str) -> str:
    """Return which of the engine's ways a rung goes."""
    return rung.split()[0]


def layer(device: str) -> tuple[int, int]:
    """Return the side of the layer in pixels, and its channels, of its input and of its output."""
    return (TINY_SIDE, TINY_CHANNELS) if device == EMULATED else (SIDE, CHANNELS)


class Shares(NamedTuple):
    """How much was done of what a GPU can do at best in that time, and what therefore limits it."""

    arithmetic: float
    bandwidth: float
    limit: str


def shares(
    works: Iterable[Work], seconds: float, rates: Mapping[bool, float], bandwidth: float, busy: float = 1.0
) -> Shares:
    """Return the shares of `works` done in `seconds`.

    Parameters
    ----------
    rates : operations a second of a large product, by whether it is in TF32
    bandwidth : bytes a second of a large copy
    busy : the part of `seconds` in which the GPU was computing; where it is small, it waits for launches
    """
    works = list(works)
    arithmetic = sum(work.operations / rates[work.is_tf32] for work in works) / seconds
    moved = sum(work.bytes for work in works) / bandwidth / seconds
    if busy < BUSY:
        limit = "launches"
    elif max(arithmetic, moved) < LARGE:
        limit = "neither"
    else:
        limit = "arithmetic" if arithmetic > moved else "bandwidth"
    return Shares(arithmetic, moved, limit)
