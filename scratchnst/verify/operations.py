"""The textbook's operations, each with random inputs to check it on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

Array = Any


@dataclass(frozen=True)
class Case:
    """An operation with inputs: all that `check_backward` takes.

    Attributes
    ----------
    names, inputs : the inputs that have a gradient, float64
    forward : inputs -> (y, cache)
    backward : (grad_y, cache) -> gradient, or a tuple of them
    kinks : inputs -> {name: integer array}, or None
    torch_forward : torch tensors of the inputs -> y, or None
    """

    names: tuple[str, ...]
    inputs: tuple[Array, ...]
    forward: Callable
    backward: Callable
    kinks: Callable | None = None
    torch_forward: Callable | None = None


@dataclass(frozen=True)
class Operation:
    """One operation: its module and how to make a case of it.

    `case(random, size, module)` draws inputs of about `size` x `size` pixels, N = 2, not square, with as many filters
    as nothing else has; `module` stands in for the operation's own, so that a wrong one can be checked.
    """

    name: str
    module: ModuleType
    case: Callable[[Any, int, ModuleType], Case]


OPERATIONS: Mapping[str, Operation] = {}  # "conv2d", "relu", "average_pool", "max_pool", "preprocess", "gram", ...


def recognise(inputs: Sequence[Array], output: Array) -> str | None:
    """Return the name of the operation that makes `output` of `inputs`, or None."""
    raise NotImplementedError
