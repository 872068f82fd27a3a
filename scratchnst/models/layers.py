"""The kinds of layers, each described once; a row of a network's table names one of them.

Whoever has to know more of a layer than its name asks its kind: the network which operation computes it, strips and
receptive fields which rows it reads, the checker of which operations it consists, a file whether it has weights.  A new
kind is a new row of `KINDS`.

Rows of a layer and of its source.  With stride s, row i of the layer reads rows s i - before to s i + after of its
source, so that ::

    rows a to b - 1 of a layer    read rows  s a - before  to  s (b - 1) + after                              (a)
    rows a to b - 1 of a source   are read by rows  ceil((a - after) / s)  to  floor((b - 1 + before) / s)    (b)

and columns likewise.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scratchnst.arrays import Array

Rows = tuple[int, int]  # the first, and the one after the last
Parameters = Sequence[Array]  # of one layer: (w, b), or none

POOLINGS = {"avg": "average_pool", "max": "max_pool"}  # as an engine names them


@dataclass(frozen=True)
class Kind(ABC):
    """A kind of layer; where a subclass says nothing else, it has no parameters and reads each position by itself."""

    stride: int = 1
    has_parameters: bool = False

    @abstractmethod
    def operation(self, pooling: str) -> str:
        """Return what an engine calls the operation that computes the layer."""

    def steps(self, pooling: str) -> tuple[str, ...]:
        """Return the textbook's operations of which that one consists; parameters belong to the first."""
        return (self.operation(pooling),)

    def channels(self, channels: int, parameters: Parameters) -> int:
        """Return how many channels come out where so many go in."""
        return channels

    def reach(self, parameters: Parameters) -> tuple[Rows, Rows]:
        """Return (before, after) of equation (a), for rows and for columns."""
        return (0, 0), (0, 0)

    def shape(self, shape: tuple[int, int, int], parameters: Parameters) -> tuple[int, int, int]:
        """Return the shape (H, W, C) of the layer's features from that of its source's."""
        height, width, channels = shape
        return height // self.stride, width // self.stride, self.channels(channels, parameters)

    def without_input(self, cache: Any) -> Any:
        """Return the cache without what only the gradient of the parameters needs."""
        return (None, *cache[1:]) if self.has_parameters else cache

    def reads(self, rows: Rows, parameters: Parameters, axis: int = 0) -> Rows:
        """Return the rows (axis 0) or columns (1) of the source that these of the layer read: (a)."""
        before, after = self.reach(parameters)[axis]
        return self.stride * rows[0] - before, self.stride * (rows[1] - 1) + after + 1

    def read_by(self, rows: Rows, parameters: Parameters, axis: int = 0) -> Rows:
        """Return the rows (axis 0) or columns (1) of the layer that read these of the source: (b)."""
        before, after = self.reach(parameters)[axis]
        return -((after - rows[0]) // self.stride), (rows[1] - 1 + before) // self.stride + 1


@dataclass(frozen=True)
class Convolution(Kind):
    """A convolution with zeros around the image, kernels (kh, kw, C, K) with odd sides, and what follows it at once."""

    has_parameters: bool = True
    name: str = "conv2d"
    consists_of: tuple[str, ...] = ("conv2d",)

    def operation(self, pooling: str) -> str:
        return self.name

    def steps(self, pooling: str) -> tuple[str, ...]:
        return self.consists_of

    def channels(self, channels: int, parameters: Parameters) -> int:
        return parameters[0].shape[3]

    def reach(self, parameters: Parameters) -> tuple[Rows, Rows]:
        rows, columns = (side // 2 for side in parameters[0].shape[:2])
        return (rows, rows), (columns, columns)


@dataclass(frozen=True)
class Pool(Kind):
    """The network's pooling of squares of 2x2."""

    stride: int = 2

    def operation(self, pooling: str) -> str:
        return POOLINGS[pooling]

    def reach(self, parameters: Parameters) -> tuple[Rows, Rows]:
        return (0, 1), (0, 1)


KINDS: dict[str, Kind] = {
    "conv": Convolution(name="conv2d_relu", consists_of=("conv2d", "relu")),
    "linear": Convolution(),
    "pool": Pool(),
}


@dataclass(frozen=True)
class Layer:
    """One row of the table.

    kind is "conv", a convolution and its ReLU (the features are the activations after the ReLU, as in the
    paper), "linear", a convolution alone, or "pool", which halves height and width: the names in `KINDS`.  source names
    the row that it reads; None is the row above, and the image for the first row.
    """

    name: str
    kind: str
    source: str | None = None

    @property
    def rule(self) -> Kind:
        """What holds for all layers of this kind."""
        return KINDS[self.kind]

    @property
    def is_rectified(self) -> bool:
        """Whether its features come out of a ReLU."""
        return self.rule.steps("avg")[-1] == "relu"


def strides(layers: Sequence[Layer], sources: Mapping[str, str], start: str) -> dict[str, int]:
    """Return name of `start`, a row or the image, and of each of `layers` -> how many rows of `start` one of its is."""
    found = {start: 1}
    for layer in layers:
        found[layer.name] = found[sources[layer.name]] * layer.rule.stride
    return found
