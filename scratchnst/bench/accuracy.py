"""How exact: this package's engine for the CPU in float32 against the textbook's operations in float64.

What the gradient loses has two causes.  Rounding costs about 1e-6.  And of the millions of ReLUs now and then one has
an input so near to 0 that it falls on the other side: the gradient then lacks one of N paths, about 1/sqrt(N) of it,
whoever computes in float32.  So several starts are looked at, and the textbook in float32 beside us.
"""

from __future__ import annotations

import numpy as np

from scratchnst.bench import problem
from scratchnst.engine import cpu, textbook
from scratchnst.stylize import stylize

SIZE, RUN_SIZE = 128, 64  # pixels; the textbook takes its time
STARTS, ITERATIONS = 5, 300


class Accuracy:
    """A contender, see `scratchnst.bench.service`."""

    def __init__(self, size: int, threads: int):
        self.size, self.task = size, problem.make(size)

    def check(self) -> dict[str, list[float]]:
        """Return the relative errors of gradients at several starts, ours and the textbook's in float32."""
        ours, textbooks, exact = (
            problem.objective(self.task, engine, dtype)
            for engine, dtype in ((cpu, "float32"), (textbook, "float32"), (textbook, "float64"))
        )
        errors: dict[str, list[float]] = {"gradient_errors": [], "textbook_gradient_errors": []}
        for seed in range(STARTS):
            start = problem.noise(self.size, seed)
            _, truth = exact(start)
            for key, objective in zip(errors, (ours, textbooks)):
                _, gradient = objective(start)
                errors[key].append(float(np.linalg.norm(gradient - truth) / np.linalg.norm(truth)))
        return errors

    def run(self, iterations: int) -> dict[str, float]:
        """Return where runs end, one with each engine from the same white noise, and the relative difference."""
        ours, exact = (
            stylize(problem.objective(self.task, engine), self.task.start, iterations=iterations).loss
            for engine in (cpu, textbook)
        )
        return {"iterations": iterations, "loss": ours, "textbook_loss": exact, "difference": abs(ours / exact - 1)}
