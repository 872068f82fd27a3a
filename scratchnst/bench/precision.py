"""What TF32 costs in accuracy, without a GPU: the engine cuda on the emulator, which rounds factors as TF32 has them.

    python -m scratchnst.bench.precision [size] [weights]

Loss and gradient in float32 and in TF32 are compared with those of the engine cpu in float64, for white noise and for
the content picture.  Weights are random, as in `scratchnst.bench.problem`, or those of a file.  64 pixels take a minute
or two.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from scratchnst import emulator
from scratchnst.bench import problem
from scratchnst.engine import Engine, cpu, cuda
from scratchnst.engine.cuda import products
from scratchnst.network import Network
from scratchnst.objective import Objective
from scratchnst.weights.load import load_network


def measure(network: Network, size: int, normalized: bool = False) -> Iterator[tuple[str, str, float, float]]:
    """Yield precision, start, and the relative errors of loss and gradient, on images of `size` x `size` pixels."""
    task = problem.make(size)

    def objective(engine: Engine, dtype: str) -> Objective:
        styles = [task.style]
        return Objective(network.on(engine), task.content, styles, tv_weight=0.0, normalized=normalized, dtype=dtype)

    exact = objective(cpu, "float64")
    starts = {"white noise": task.start, "content": task.content}
    truths = {name: exact(start) for name, start in starts.items()}
    with emulator.installed():
        for precision in products.PRECISIONS:
            with products.precision(precision):
                rough = objective(cuda, "float32")
                for name, start in starts.items():
                    (loss, gradient), (true_loss, true_gradient) = rough(start), truths[name]
                    error = np.linalg.norm(gradient - true_gradient) / np.linalg.norm(true_gradient)
                    yield precision, name, abs(loss / true_loss - 1), float(error)


def main(size: str = "64", weights: str | None = None) -> None:
    """Print what `measure` finds."""
    network = load_network(weights) if weights else problem.random_network()
    print("precision  start        loss     gradient")
    for precision, start, loss, gradient in measure(network, int(size), normalized=bool(weights)):
        print(f"{precision:9s}  {start:11s}  {loss:.1e}  {gradient:.1e}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
