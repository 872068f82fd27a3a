"""The problem solved by this package, as the command line does."""

from __future__ import annotations

from typing import Any

from scratchnst.arrays import Array
from scratchnst.bench import problem
from scratchnst.bench.contender import OnEngine
from scratchnst.transfer.stylize import stylize


class Ours(OnEngine):
    """A contender; on a GPU start and gradient lie there."""

    def __init__(self, size: int, device: str = "cpu", precision: str = "float32"):
        super().__init__(device, precision)
        task = problem.make(size, device=device)
        self.objective = problem.objective(task, self.engine)
        self.noise = task.start.astype("float64")
        self.start = self.engine.asarray(self.noise)  # as an optimiser gives it
        self.until_the_end.enter_context(self.objective.session())  # as in a run

    def evaluate(self) -> tuple[float, Array]:
        """Compute the loss and its gradient (H, W, 3)."""
        return self.objective(self.start)

    def run(self, iterations: int) -> dict[str, Any]:
        """Return seconds, evaluations and last loss of a whole run from white noise.

        A short run before it compiles and loads a GPU's kernels, those of the optimiser too.
        """
        if self.engine.compiles_kernels:
            stylize(self.objective, self.noise, iterations=problem.WARM_UP)
        result = stylize(self.objective, self.noise, iterations=iterations)
        return {
            "run_seconds": result.seconds,
            "iterations": result.iterations,
            "evaluations": result.evaluations,
            "loss": result.loss,
        }
