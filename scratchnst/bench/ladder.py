"""The ladder of convolutions: four ways up from the definition, each with one idea more, and what it is worth.

loops      equation (a) of `scratchnst.ops.conv2d`, one multiplication at a time
im2col     windows of pixels as rows of a matrix, and one matrix product: `scratchnst.ops.conv2d`
shifted    a matrix product for each weight of the kernel, nothing copied nine times: `engine.cpu.shifted`
winograd   a quarter of the multiplications: `engine.cpu.winograd`
"""

from __future__ import annotations

import tracemalloc

import numpy as np

from scratchnst.arrays import Array
from scratchnst.bench.contender import Contender
from scratchnst.engine import cpu
from scratchnst.ops import conv2d as textbook

SIDE, CHANNELS = 128, 128  # VGG19's conv2_2 on an image of 256 pixels
PIXELS = 8  # of a row, that the loops compute in place of all


def loops(x: Array, w: Array, b: Array, rows: range, columns: range) -> Array:
    """Return these rows and columns of the convolution of `x` (N, H, W, C) with `w` (kh, kw, C, K): seven loops."""
    count, height, width, _ = x.shape
    kh, kw, channels, outputs = w.shape
    y = np.empty((count, len(rows), len(columns), outputs), x.dtype)
    for n in range(count):
        for p in rows:
            for q in columns:
                for k in range(outputs):
                    total = b[k]
                    for i in range(kh):
                        for j in range(kw):
                            u, v = p + i - kh // 2, q + j - kw // 2
                            if 0 <= u < height and 0 <= v < width:
                                for c in range(channels):
                                    total += x[n, u, v, c] * w[i, j, c, k]
                    y[n, p - rows.start, q - columns.start, k] = total
    return y


class Rung(Contender):
    """A contender: one convolution of a layer by the way of that name."""

    def __init__(self, size: int, device: str, way: str):
        random = np.random.default_rng(0)
        self.way = way
        self.x = random.standard_normal((1, size, size, CHANNELS), np.float32)
        self.w = random.standard_normal((3, 3, CHANNELS, CHANNELS), np.float32)
        self.b = random.standard_normal(CHANNELS, np.float32)
        self.rows, self.columns = computed(way, size)

    def evaluate(self) -> Array:
        """Return y, of the loops a few pixels alone."""
        if self.way == "loops":
            return loops(self.x, self.w, self.b, self.rows, self.columns)
        if self.way == "im2col":
            return textbook.forward(self.x, self.w, self.b)[0]
        with cpu.conv2d.using(self.way):
            return cpu.conv2d.forward(self.x, self.w, self.b)[0]

    def check(self) -> dict[str, float]:
        """Return how far y is from the textbook's in float64, relative, and the most memory in use beside x, w and y.

        To be called first: buffers are kept for the next time.
        """
        tracemalloc.start()
        y = self.evaluate()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        exact = textbook.forward(*(array.astype(np.float64) for array in (self.x, self.w, self.b)))[0]
        exact = exact[:, self.rows.start : self.rows.stop, self.columns.start : self.columns.stop]
        return {
            "error": float(np.linalg.norm(y - exact) / np.linalg.norm(exact)),
            "extra_bytes": max(peak - y.nbytes, 0),
        }


RUNGS = ("loops", "im2col", "shifted", "winograd")


def computed(way: str, size: int) -> tuple[range, range]:
    """Return the rows and columns that a rung computes: all, but of the loops a few in the middle."""
    if way != "loops":
        return range(size), range(size)
    first = max(0, (size - PIXELS) // 2)
    return range(size // 2, size // 2 + 1), range(first, min(first + PIXELS, size))


def share(way: str, size: int) -> float:
    """Return the part of the pixels that a rung computes."""
    rows, columns = computed(way, size)
    return len(rows) * len(columns) / size**2
