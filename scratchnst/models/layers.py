"""The kinds of layers, each described once; a row of a network's table names one of them.

A kind says what the rest of the program needs to know of a layer: which operation computes it (the network), which rows
it reads (strips and receptive fields), of which operations it consists (the checker), which parameters it has (files).
A new kind is a class here and a new row of `KINDS`.

Rows of a layer and of its sources, which are all of one size.  With stride s, row i of the layer reads rows s i -
before to s i + after of each source, so that ::

    rows a to b - 1 of a layer    read rows  s a - before  to  s (b - 1) + after                              (a)
    rows a to b - 1 of a source   are read by rows  ceil((a - after) / s)  to  floor((b - 1 + before) / s)    (b)

and columns likewise.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.engine import Engine
from scratchnst.errors import UserError

Rows = tuple[int, int]  # the first, and the one after the last
Shape = tuple[int, ...]
Parameters = tuple[Array, ...]  # of one layer: of a convolution (w, b)

IMAGE = "image"  # the name of the source of the first row: the preprocessed image
POOLINGS = {"avg": "average_pool", "max": "max_pool"}  # as an engine names them
ALL = 1 << 62  # before and after of a kind that reads all rows


@dataclass(frozen=True)
class Kind(ABC):
    """A kind of layer; where a subclass says nothing else, it is linear, and reads each position by itself.

    The operation's forward takes the sources' features, then the parameters.  With several sources its backward returns
    a tuple of gradients, arrays that share no memory with each other nor with what it is given.  With parameters their
    gradients follow; then it has ``backward_input`` and ``backward_parameters`` too, which give the one or the other,
    and begins its cache with what the latter alone needs.

    Attributes
    ----------
    stride : rows of a source for one of the layer; 1/2 where the layer has two for one of the source
    inputs : how many sources it has
    parameter_names : in the order in which its operation takes them; a file has its parameters by these names
    in_strips : whether rows of the layer can be computed from some rows of the sources, those of equation (a)
    rectified : whether it ends in a ReLU
    """

    stride: Fraction | int = 1
    inputs: int = 1
    parameter_names: tuple[str, ...] = ()
    in_strips: bool = True
    rectified: bool = False

    @abstractmethod
    def operation(self, pooling: str) -> str:
        """Return what an engine calls the operation that computes the layer."""

    def steps(self, pooling: str) -> tuple[str, ...]:
        """Return the textbook's operations of which that one consists; sources and arguments belong to the first."""
        return (self.operation(pooling),)

    def arguments(self, parameters: Parameters) -> tuple[Any, ...]:
        """Return what the operation takes behind the sources' features: the parameters, then settings."""
        return parameters

    def channels(self, channels: Sequence[int], parameters: Parameters) -> int:
        """Return how many channels come out where the sources have so many."""
        return channels[0]

    def reach(self, parameters: Parameters) -> tuple[Rows, Rows]:
        """Return (before, after) of equation (a), for rows and for columns."""
        around = (0, int(self.stride) - 1) if self.in_strips else (ALL, ALL)
        return around, around

    def shape(self, shapes: Sequence[Shape], parameters: Parameters) -> tuple[int, int, int]:
        """Return the shape (H, W, C) of the layer's features from those of its sources'."""
        height, width, _ = shapes[0]
        channels = self.channels([shape[2] for shape in shapes], parameters)
        return height // self.stride, width // self.stride, channels

    def parameter_shapes(self, name: str, given: Parameters, channels: Sequence[int]) -> tuple[Shape, ...]:
        """Return the shapes that the parameters of layer `name` must have, where its sources have so many channels.

        What is free is taken from the arrays that are `given`.  Raises a UserError if these cannot be its parameters.
        """
        return ()

    def rescaled(self, parameters: Parameters, before: Array, after: Array) -> Parameters:
        """Return parameters for a source divided by `before` (C,) that give the layer divided by `after` (K,).

        Only kinds with parameters are asked.  Of the others the layer is divided by what its source is divided by.
        """
        raise NotImplementedError

    def tangent(
        self,
        engine: Engine,
        pooling: str,
        tangents: Sequence[Array],
        inputs: Sequence[Array],
        y: Array,
        parameters: Parameters,
    ) -> Array:
        """Return the derivative of the features y (1, h, w, K), given those of the sources.

        Parameters
        ----------
        tangents : (N, s h, s w, C) arrays, one a source, its derivative with respect to each of N numbers
        inputs : (1, s h, s w, C) arrays, the sources' features
        y : (1, h, w, K) array, the layer's

        Returns
        -------
        dy : (N, h, w, K) array
        """
        linear, *_ = self.steps(pooling)
        dy, _ = getattr(engine, linear).forward(*tangents, *self.arguments(parameters))
        return dy * (y > 0) if self.rectified else dy

    def kinks(self, pooling: str, cache: Any) -> Mapping[str, Array]:
        """Return name -> integers, one a unit, that change where the unit's slope does, from the cache of forward.

        A ReLU's cache ends with its output, or, of an engine that keeps less, with where that is more than 0.
        """
        return {"relu": (cache[-1] > 0).astype("int8")} if self.rectified else {}

    def without_input(self, cache: Any) -> Any:
        """Return the cache without what only the gradient of the parameters needs."""
        return (None, *cache[1:]) if self.parameter_names else cache

    def reads(self, rows: Rows, parameters: Parameters, axis: int = 0) -> Rows:
        """Return the rows (axis 0) or columns (1) of a source that these of the layer read: (a)."""
        before, after = self.reach(parameters)[axis]
        return math.floor(self.stride * rows[0]) - before, math.floor(self.stride * (rows[1] - 1)) + after + 1

    def read_by(self, rows: Rows, parameters: Parameters, axis: int = 0) -> Rows:
        """Return the rows (axis 0) or columns (1) of the layer that read these of a source: (b)."""
        before, after = self.reach(parameters)[axis]
        return -((after - rows[0]) // self.stride), (rows[1] - 1 + before) // self.stride + 1

    def computed_from(self, rows: Rows, length: int, parameters: Parameters, axis: int = 0) -> tuple[Rows, Rows]:
        """Return the rows that a source of `length` rows must give to compute these, and the rows that come out.

        Where more rows come out than were asked for, the others lack pixels that are beyond what was given.
        """
        stride = math.ceil(self.stride)
        start, stop = self.reads(rows, parameters, axis)
        start = max(start, 0) // stride * stride
        stop = max(start, min(-(-stop // stride), length // stride) * stride)
        return (start, stop), (start // stride, stop // stride)


@dataclass(frozen=True)
class Convolution(Kind):
    """A convolution with zeros around the image, kernels (kh, kw, C, K) with odd sides, with or without a ReLU."""

    parameter_names: tuple[str, ...] = ("kernel", "bias")

    def operation(self, pooling: str) -> str:
        return "conv2d_relu" if self.rectified else "conv2d"

    def steps(self, pooling: str) -> tuple[str, ...]:
        return ("conv2d", "relu") if self.rectified else ("conv2d",)

    def channels(self, channels: Sequence[int], parameters: Parameters) -> int:
        return parameters[0].shape[3]

    def reach(self, parameters: Parameters) -> tuple[Rows, Rows]:
        rows, columns = (side // 2 for side in parameters[0].shape[:2])
        return (rows, rows), (columns, columns)

    def parameter_shapes(self, name: str, given: Parameters, channels: Sequence[int]) -> tuple[Shape, ...]:
        shape = given[0].shape
        if len(shape) != 4 or any(side % 2 == 0 for side in shape[:2]):
            raise UserError(f"the kernel of {name} has the shape {shape}, not (odd, odd, C_in, C_out).")
        return (*shape[:2], channels[0], shape[3]), shape[3:]

    def rescaled(self, parameters: Parameters, before: Array, after: Array) -> Parameters:
        w, b = parameters
        return (w * (before[:, np.newaxis] / after)).astype(w.dtype), (b / after).astype(b.dtype)

    def tangent(self, engine, pooling, tangents, inputs, y, parameters):
        w, b = parameters
        return super().tangent(engine, pooling, tangents, inputs, y, (w, engine.zeros(b.shape, b.dtype)))


@dataclass(frozen=True)
class Pool(Kind):
    """The network's pooling of squares of 2x2."""

    stride: int = 2

    def operation(self, pooling: str) -> str:
        return POOLINGS[pooling]

    def tangent(self, engine, pooling, tangents, inputs, y, parameters):
        (dx,), (x,) = tangents, inputs
        if pooling == "max":
            _, cache = engine.max_pool.forward(x)
            wins = engine.max_pool.backward(engine.asarray(np.ones(y.shape, y.dtype)), cache)
            dx = 4 * dx * wins  # the mean of a square in which only the winner is left is a quarter of it
        return engine.average_pool.forward(dx)[0]

    def kinks(self, pooling: str, cache: Any) -> Mapping[str, Array]:
        return {"max": cache[1]} if pooling == "max" else {}


@dataclass(frozen=True)
class ReflectedConvolution(Convolution):
    """A convolution with the image's reflection around it, in place of zeros.

    With stride 2 it halves the image.  With stride 1/2 it reads the image upsampled to twice its size.
    """

    in_strips: bool = False

    def operation(self, pooling: str) -> str:
        return "reflected_conv2d" if self.stride >= 1 else "upsampled_conv2d"

    def steps(self, pooling: str) -> tuple[str, ...]:
        return (self.operation(pooling),)

    def arguments(self, parameters: Parameters) -> tuple[Any, ...]:
        return (*parameters, self.stride) if self.stride >= 1 else parameters

    def reach(self, parameters: Parameters) -> tuple[Rows, Rows]:
        return (ALL, ALL), (ALL, ALL)

    def shape(self, shapes: Sequence[Shape], parameters: Parameters) -> tuple[int, int, int]:
        height, width, _ = shapes[0]
        return math.ceil(height / self.stride), math.ceil(width / self.stride), parameters[0].shape[3]


@dataclass(frozen=True)
class ReplicatedConvolution(Convolution):
    """A convolution with the image's outermost pixels around it, in place of zeros."""

    in_strips: bool = False

    def operation(self, pooling: str) -> str:
        return "replicated_conv2d"

    def steps(self, pooling: str) -> tuple[str, ...]:
        return (self.operation(pooling),)

    def reach(self, parameters: Parameters) -> tuple[Rows, Rows]:
        return (ALL, ALL), (ALL, ALL)


@dataclass(frozen=True)
class Rectifier(Kind):
    """A ReLU alone."""

    rectified: bool = True

    def operation(self, pooling: str) -> str:
        return "relu"

    def tangent(self, engine, pooling, tangents, inputs, y, parameters):
        (dx,) = tangents
        return dx * (y > 0)

    def kinks(self, pooling: str, cache: Any) -> Mapping[str, Array]:
        return {"relu": (cache > 0).astype("int8")}


@dataclass(frozen=True)
class InstanceNorm(Kind):
    """Instance normalisation, with or without a ReLU.  Each of scale and shift is (N, C), a row an image."""

    parameter_names: tuple[str, ...] = ("scale", "shift")
    in_strips: bool = False

    def operation(self, pooling: str) -> str:
        return "instance_norm_relu" if self.rectified else "instance_norm"

    def steps(self, pooling: str) -> tuple[str, ...]:
        return ("instance_norm", "relu") if self.rectified else ("instance_norm",)

    def parameter_shapes(self, name: str, given: Parameters, channels: Sequence[int]) -> tuple[Shape, ...]:
        shape = given[0].shape
        if len(shape) != 2:
            raise UserError(f"the scale of {name} has the shape {shape}, not (styles, channels).")
        return 2 * ((shape[0], channels[0]),)

    def rescaled(self, parameters: Parameters, before: Array, after: Array) -> Parameters:
        return tuple((array / after).astype(array.dtype) for array in parameters)  # whatever `before` is

    def tangent(self, engine, pooling, tangents, inputs, y, parameters):
        # The Jacobian of a channel is symmetric, see `scratchnst.ops.instance_norm`: backward multiplies by it.
        _, cache = engine.instance_norm.forward(*inputs, *parameters)
        parts = [engine.instance_norm.backward_input(tangents[0][n : n + 1], cache) for n in range(len(tangents[0]))]
        dy = array_module(y).concatenate(parts)
        return dy * (y > 0) if self.rectified else dy

    def without_input(self, cache: Any) -> Any:
        return cache  # the gradients of the parameters need no more than that of the input


@dataclass(frozen=True)
class Addition(Kind):
    """The sum of two layers, as at the end of a residual block."""

    inputs: int = 2

    def operation(self, pooling: str) -> str:
        return "addition"


KINDS: dict[str, Kind] = {
    "conv": Convolution(rectified=True),
    "linear": Convolution(),
    "pool": Pool(),
    "reflected": ReflectedConvolution(),
    "strided": ReflectedConvolution(stride=2),
    "upsampled": ReflectedConvolution(stride=Fraction(1, 2)),
    "norm": InstanceNorm(),
    "norm_relu": InstanceNorm(rectified=True),
    "add": Addition(),
    "relu": Rectifier(),
    "replicated": ReplicatedConvolution(),
}


@dataclass(frozen=True)
class Layer:
    """One row of the table.

    kind is one of the names in `KINDS`: "conv", a convolution and its ReLU (the features are the activations after the
    ReLU, as in the paper), "linear", a convolution alone, "pool", which halves height and width, and so on.  sources
    name the rows that it reads; without any it reads the row above, and the first row the image.
    """

    name: str
    kind: str
    sources: tuple[str, ...] = ()

    def __post_init__(self):
        if isinstance(self.sources, str):
            raise TypeError(f"the sources of layer {self.name} are a tuple of names, not {self.sources!r}")

    @property
    def rule(self) -> Kind:
        """What holds for all layers of this kind."""
        return KINDS[self.kind]


def strides(layers: Sequence[Layer], sources: Mapping[str, Sequence[str]], start: str) -> dict[str, Fraction | int]:
    """Return name of `start`, a row or the image, and of each of `layers` -> how many rows of `start` one of its is."""
    found: dict[str, Fraction | int] = {start: 1}
    for layer in layers:
        found[layer.name] = found[sources[layer.name][0]] * layer.rule.stride
    return found
