"""What all contenders on a GPU have that compute with CuPy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from scratchnst.arrays import Array
from scratchnst.bench.names import EMULATED
from scratchnst.engine.cuda import device as gpu
from scratchnst.engine.cuda import products
from scratchnst.engine.devices import computing


class OnDevice:
    """Base of contenders, see `scratchnst.bench.service`: on the device until the process ends."""

    def __init__(self, device: str, precision: str = "float32"):
        self.device, self.until_the_end = device, ExitStack()
        self.engine = self.until_the_end.enter_context(computing(None, device))
        self.until_the_end.enter_context(products.precision(precision))

    def evaluate(self) -> Any:
        """Do what is timed."""
        raise NotImplementedError

    def wait(self) -> None:
        """Wait until the GPU has done what it was told."""
        gpu.library().cuda.Device().synchronize()

    def rest(self) -> None:
        """Give back the memory that is kept for arrays to come."""
        gpu.library().get_default_memory_pool().free_all_blocks()

    def peak(self) -> dict[str, int]:
        """Return the most bytes that arrays have taken during an evaluation, with what the pool keeps between them."""
        self.rest()
        self.evaluate()
        self.wait()
        return {"bytes": gpu.library().get_default_memory_pool().total_bytes()}

    def on_host(self, array: Array) -> Array:
        """Return an array of the GPU's as one of NumPy's."""
        return gpu.asnumpy(array)

    def steps(self) -> dict[str, dict[str, float]]:
        """Return how often each kernel ran in an evaluation, and for how many seconds in all.

        Events mark its begin and end on the GPU, which is busy with something else at first: all launches that follow
        wait for it in a queue, and none of them comes late.
        """
        cuda, marks = gpu.library().cuda, []

        @contextmanager
        def mark(name: str) -> Iterator[None]:
            begin, end = cuda.Event(), cuda.Event()
            begin.record()
            yield
            end.record()
            marks.append((name, begin, end))

        self.evaluate()
        self._occupy()
        with gpu.observed(mark):
            self.evaluate()
        self.wait()
        steps: dict[str, dict[str, float]] = defaultdict(lambda: {"calls": 0, "seconds": 0.0})
        for name, begin, end in marks:
            steps[name]["calls"] += 1
            steps[name]["seconds"] += cuda.get_elapsed_time(begin, end) / 1000
        return dict(steps)

    def _occupy(self):
        """Give the GPU work for about 20 ms."""
        side = 8 if self.device == EMULATED else 8192
        matrix = gpu.zeros((1, side, side), "float32")
        with products.precision("float32"):
            products.multiply(matrix, matrix)
