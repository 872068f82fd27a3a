"""What an engine is: the textbook, plus what it does faster, and where its arrays lie."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine import sessions, textbook


def name_of(operation: ModuleType) -> str:
    """Return the name of an operation, that of its module."""
    return operation.__name__.rpartition(".")[2]


def own_operations(package: str) -> list[ModuleType]:
    """Return the modules of an engine's package that bear the name of one of the textbook's operations."""
    names = {name_of(operation) for operation in textbook.OPERATIONS}
    found = {module.name for module in iter_modules(sys.modules[package].__path__)}
    return [import_module(f"{package}.{name}") for name in sorted(names & found)]


class Engine:
    """What a network and its losses compute with; this one's arrays are NumPy's.

    Every operation is a module with ``forward`` and ``backward`` that keeps the contract of `scratchnst.ops`.  The
    convolutions have ``backward_input`` and ``backward_parameters`` besides, and begin their cache with their input x,
    which ``backward_parameters`` alone needs: callers that need no gradient of the parameters replace it by None, which
    frees x.  The value of a loss is a float or, of an engine that computes on a GPU, an array there without dimensions,
    float64: making a number of it waits for the GPU.

    Parameters
    ----------
    name : of the engine
    operations : the modules that this engine has of its own; each takes the place of its namesake in
        `scratchnst.engine.textbook`, or stands beside them

    Attributes
    ----------
    own : name -> module, of the operations
    fallbacks : the names of the operations that are the textbook's, since the engine has none of its own
    has_own_memory : whether arrays lie in a GPU's memory, and not in that of the process
    memory_factor : the memory that is taken, at most, for each byte of the arrays there
    compiles_kernels : whether the first run on a machine takes longer, because it compiles
    precisions : the names that `precision` takes
    """

    preprocess: ModuleType
    conv2d: ModuleType
    conv2d_relu: ModuleType  # a convolution and its ReLU in one
    average_pool: ModuleType
    max_pool: ModuleType
    reflection_pad: ModuleType
    replicate_pad: ModuleType
    upsample: ModuleType
    strided_conv2d: ModuleType
    reflected_conv2d: ModuleType  # reflection padding and a convolution with a stride in one
    replicated_conv2d: ModuleType  # replication padding and a convolution in one
    gram: ModuleType
    cross_gram: ModuleType
    matrix_square_root: ModuleType
    whitening: ModuleType
    content_loss: ModuleType
    style_loss: ModuleType
    moment_matrix: ModuleType
    moments_style_loss: ModuleType
    wasserstein_style_loss: ModuleType
    projections: ModuleType
    sliced_style_loss: ModuleType
    cross_style_loss: ModuleType
    total_variation: ModuleType
    absolute_variation: ModuleType
    laplacian_loss: ModuleType
    addition: ModuleType
    guide: ModuleType
    instance_norm: ModuleType
    moments: ModuleType
    adain: ModuleType
    instance_norm_relu: ModuleType  # an instance normalisation and its ReLU in one
    upsampled_conv2d: ModuleType  # upsampling, reflection padding and a 3x3 convolution in one

    has_own_memory = False
    memory_factor = 1.0
    compiles_kernels = False
    precisions: tuple[str, ...] = ("float32",)

    def __init__(self, name: str, operations: Iterable[ModuleType]):
        self.name = name
        self.own = {name_of(operation): operation for operation in operations}
        theirs = {name_of(operation): operation for operation in textbook.OPERATIONS}
        self.fallbacks = tuple(missing for missing in theirs if missing not in self.own)
        for operation, module in (theirs | self.own).items():
            setattr(self, operation, module)

    def __repr__(self) -> str:
        return f"<engine {self.name}>"

    def __reduce__(self) -> tuple:
        return _of_this_process, (self.name,)  # in another process it is the engine of that name there

    def __copy__(self) -> Engine:
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        return other

    @property
    def ways(self) -> tuple[str, ...]:
        """The names of the ways to convolve, of which ``conv2d.using`` takes one; empty if there is but one way."""
        return tuple(getattr(self.conv2d, "WAYS", ()))

    def session(self, keep_kernels: bool = False) -> AbstractContextManager[None]:
        """Return what to enter around evaluations; operations outside of it work as well, each on its own.

        With `keep_kernels` it may take memory for what is made from the kernels of convolutions, which must not be
        changed in place until it ends.
        """
        return sessions.session(keep_kernels)

    def asarray(self, array: Array, dtype: Any = None) -> Array:
        """Return `array` as one of this engine's, where it computes."""
        return np.asarray(array, dtype)

    def asnumpy(self, array: Array) -> Array:
        """Return an array of this engine's as one of NumPy's."""
        return np.asarray(array)

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an array of zeros, where it computes."""
        return np.zeros(shape, dtype)

    def add(self, total: Array, part: Array) -> Array:
        """Add `part` to `total`, of one shape, in place, and return it; both may be views."""
        total += part
        return total

    def describe(self) -> dict[str, str]:
        """Return where it computes now: the device's name, and of a GPU what there is to say of it."""
        return {"device": "cpu"}

    def hardware(self) -> dict[str, int]:
        """Return what there is to say of the device in numbers: of a GPU its multiprocessors, bytes, and cuBLAS."""
        return {}

    def synchronize(self) -> None:
        """Return when the device has done all that it was told to do."""

    def precision(self, name: str) -> AbstractContextManager[None]:
        """Return what to enter to multiply float32 matrices in this precision, one of `precisions`."""
        if name not in self.precisions:
            raise ValueError(f"there is no precision {name!r}; choose one of {', '.join(self.precisions)}")
        return nullcontext()

    def current_precision(self) -> str:
        """Return the name of the precision in which products of float32 matrices are computed here."""
        return "float32"

    def memory_limit(self, size: int | None) -> AbstractContextManager[None]:
        """Return what to enter so that arrays in the engine's own memory take `size` bytes at most; None: no limit."""
        return nullcontext()

    def has_memory_limit(self) -> bool:
        """Return whether such a limit holds now."""
        return False

    def memory_in_use(self) -> int:
        """Return the bytes that arrays take in the engine's own memory."""
        return 0

    def reserved_memory(self) -> int:
        """Return the bytes that arrays take in the engine's own memory, and those that are kept for arrays to come."""
        return 0

    def free_memory(self) -> int:
        """Return the bytes of the engine's own memory that are left, within the limit."""
        return 0

    def total_memory(self) -> int:
        """Return the bytes of the engine's own memory, whoever uses them, within the limit."""
        return 0

    def release_memory(self) -> None:
        """Give back the memory that is kept of deleted arrays."""


def _of_this_process(name: str) -> Engine:
    """Return an engine by its name."""
    return getattr(import_module("scratchnst.engine"), name)
