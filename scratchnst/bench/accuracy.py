"""How exact: this package's engines in float32, on a GPU also in TF32, against the textbook's operations in float64.

The error of the gradient has two causes.  Rounding costs about 1e-6.  And of the millions of ReLUs now and then one has
an input so near to 0 that in float32 its sign changes: the gradient then lacks one of N paths, about 1/sqrt(N) of it,
with any engine.  So several starts are compared, also with the textbook in float32.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scratchnst.bench import problem
from scratchnst.bench.contender import OnEngine
from scratchnst.bench.names import EMULATED
from scratchnst.engine import textbook
from scratchnst.transfer.objective import Objective
from scratchnst.transfer.stylize import stylize

SIZE, RUN_SIZE = 128, 64  # pixels; the textbook is slow
STARTS, ITERATIONS = 5, 300
EMULATED_SIZE, EMULATED_RUN_SIZE, EMULATED_ITERATIONS = 64, 32, 20  # the emulator is slower still


class Accuracy(OnEngine):
    """A contender."""

    def __init__(self, size: int, device: str = "cpu"):
        super().__init__(device)
        self.size, self.task = size, problem.make(size)  # the real network also where the device is emulated
        self.precisions = {"": "float32"} if device == "cpu" else {"": "float32", "tf32_": "tf32"}

    def check(self) -> dict[str, list[float]]:
        """Return the relative errors of gradients at several starts, ours and the textbook's in float32."""
        errors: dict[str, list[float]] = {}
        starts = [problem.noise(self.size, seed) for seed in range(STARTS)]
        exact = problem.objective(self.task, textbook, "float64")
        truths = [exact(start)[1] for start in starts]
        for prefix, precision in self.precisions.items():
            with self.engine.precision(precision):
                objective = problem.objective(self.task, self.engine)
                errors[f"{prefix}gradient_errors"] = [_error(objective, *pair) for pair in zip(starts, truths)]
        objective = problem.objective(self.task, textbook)
        errors["textbook_gradient_errors"] = [_error(objective, *pair) for pair in zip(starts, truths)]
        return errors

    def run(self, iterations: int) -> dict[str, float]:
        """Return where runs end, one with each engine from the same white noise, and the relative difference."""
        exact = self._end(textbook, iterations)
        ends = {"iterations": iterations, "textbook_loss": exact}
        for prefix, precision in self.precisions.items():
            with self.engine.precision(precision):
                loss = self._end(self.engine, iterations)
            ends |= {f"{prefix}loss": loss, f"{prefix}difference": abs(loss / exact - 1)}
        return ends

    def _end(self, engine, iterations):
        return stylize(problem.objective(self.task, engine), self.task.start, iterations=iterations).loss


def settings(device: str) -> Mapping[str, int]:
    """Return the sizes of the images of `check` and `run`, and the iterations of the latter."""
    if device == EMULATED:
        return {"check": EMULATED_SIZE, "run": EMULATED_RUN_SIZE, "iterations": EMULATED_ITERATIONS}
    return {"check": SIZE, "run": RUN_SIZE, "iterations": ITERATIONS}


def _error(objective: Objective, start, truth):
    """How far the gradient is from the truth, relative."""
    _, gradient = objective(start)
    return float(np.linalg.norm(gradient - truth) / np.linalg.norm(truth))
