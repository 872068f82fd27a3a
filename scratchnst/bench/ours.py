"""The problem solved by this package, as the command line does."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from scratchnst.arrays import Array
from scratchnst.bench import problem
from scratchnst.bench.on_device import OnDevice
from scratchnst.engine import cpu
from scratchnst.transfer.stylize import stylize


class Ours:
    """A contender, see `scratchnst.bench.service`."""

    def __init__(self, size: int, threads: int):
        self.until_the_end = ExitStack()  # of the process; what is entered ends with it
        self._prepare(problem.make(size), cpu)

    def _prepare(self, task, engine):
        self.objective = problem.objective(task, engine)
        self.noise = task.start.astype("float64")
        self.start = engine.asarray(self.noise)  # as an optimiser gives it
        self.until_the_end.enter_context(self.objective.session())  # as in a run

    def evaluate(self) -> tuple[float, Array]:
        """Compute the loss and its gradient (H, W, 3)."""
        return self.objective(self.start)

    def run(self, iterations: int) -> dict[str, Any]:
        """Return seconds, evaluations and last loss of a whole run from white noise."""
        result = stylize(self.objective, self.noise, iterations=iterations)
        return {
            "run_seconds": result.seconds,
            "iterations": result.iterations,
            "evaluations": result.evaluations,
            "loss": result.loss,
        }


class OursOnDevice(Ours, OnDevice):
    """The same on a GPU, with products in float32 or TF32; start and gradient lie there."""

    def __init__(self, size: int, threads: int, device: str, precision: str = "float32"):
        OnDevice.__init__(self, device, precision)
        self._prepare(problem.make(size, device=device), self.engine)

    def run(self, iterations: int) -> dict[str, Any]:
        """Run like that, after a short run in which kernels are compiled and loaded, those of the optimiser too."""
        super().run(problem.WARM_UP)
        return super().run(iterations)
