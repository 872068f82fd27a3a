"""Engines: the operations of `scratchnst.ops` under the same names, each engine in its own way.

An engine is a module.  `scratchnst.engine.textbook` has the operations as they stand in the textbook, the judge of all
others; `scratchnst.engine.cpu` has them fast; `scratchnst.engine.cuda` has them on a GPU.  `scratchnst.engine.meta`
tells how much memory they would take.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any, Protocol

from scratchnst.arrays import Array


class Engine(Protocol):
    """What a network and its losses compute with.

    Every operation is a module with ``forward`` and ``backward`` that keeps the contract of `scratchnst.ops`.  The
    convolutions have ``backward_input`` and ``backward_parameters`` besides, and begin their cache with their input x,
    which ``backward_parameters`` alone needs: who wants no gradient of the parameters puts None in its place, and x is
    free to go.  The value of a loss is a float or, of an engine that computes on a GPU, an array there without
    dimensions, float64: whoever makes a number of it waits for the GPU.
    """

    name: str
    preprocess: ModuleType
    conv2d: ModuleType
    conv2d_relu: ModuleType  # a convolution and its ReLU in one
    average_pool: ModuleType
    max_pool: ModuleType
    gram: ModuleType
    content_loss: ModuleType
    style_loss: ModuleType
    total_variation: ModuleType

    def session(self, keep_kernels: bool = False) -> AbstractContextManager[None]:
        """Return what to enter around evaluations; operations outside of it work as well, each on its own.

        With `keep_kernels` it may take memory for what is made from the kernels of convolutions, which must not be
        changed in place until it ends.
        """

    def asarray(self, array: Array, dtype: str | None = None) -> Array:
        """Return `array` as one of this engine's, where it computes."""

    def asnumpy(self, array: Array) -> Array:
        """Return an array of this engine's as one of NumPy's."""

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an array of zeros, where it computes."""

    def add(self, total: Array, part: Array) -> Array:
        """Add `part` to `total`, in place, and return it."""
