"""The textbook checked by itself: every operation, and the full objective from pixels to loss."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from scratchnst.network import Network
from scratchnst.objective import Objective
from scratchnst.verify.operations import OPERATIONS
from scratchnst.verify.report import Report

__all__ = ["OPERATIONS", "check_objective", "check_operation"]

Array = Any


def check_operation(name: str, seed: int = 0, size: int = 5, *, module: ModuleType | None = None) -> Report:
    """Check the operation `name` of the textbook, or the `module` that stands in for it, on random inputs."""
    raise NotImplementedError


def check_objective(
    network: Network,
    content: Array,
    style: Array,
    seed: int = 0,
    *,
    samples: int | None = 64,
    objective: type = Objective,
    **settings: Any,
) -> Report:
    """Check the gradient of the full objective, pixels to loss, at a random picture.

    `objective` stands in for the class `Objective`; `settings` go to it.
    """
    raise NotImplementedError
