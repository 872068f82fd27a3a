"""The result of an optimiser."""

from __future__ import annotations

from dataclasses import dataclass

from scratchnst.arrays import Array


@dataclass(frozen=True)
class OptimizeResult:
    """The end of an optimisation.

    Attributes
    ----------
    x : float64 vector, the last point accepted, in the memory of the start
    loss : the loss there
    iterations : steps taken
    evaluations : calls of the objective
    stop_reason : why it stopped, a sentence
    """

    x: Array
    loss: float
    iterations: int
    evaluations: int
    stop_reason: str
