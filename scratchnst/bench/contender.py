"""What is measured: contenders, each in a process of its own.

``Contender(size, device)`` sets one up, ``evaluate()`` is what is timed.  Some return facts too: ``check()`` errors,
bytes or versions, ``run(iterations)`` those of a whole run, ``steps()`` the kernels of an evaluation.  ``pieces()``
returns the seconds of its pieces.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from scratchnst.arrays import Array
from scratchnst.bench.names import EMULATED
from scratchnst.engine.cuda import device as gpu
from scratchnst.engine.cuda import products
from scratchnst.engine.devices import computing


class Contender:
    """What computes on the CPU: it is done when it returns, and it takes the memory of its process."""

    def evaluate(self) -> Any:
        """Do what is timed."""
        raise NotImplementedError

    def compared(self) -> tuple[float, Any]:
        """Return a number and an array, the loss and its gradient, that are those of all who do the same task."""
        return self.evaluate()

    def seconds(self, do: Callable[[], Any], calls: int = 1) -> float:
        """Return how long it takes, the mean of `calls`, one after the other, after one that does not count."""
        do()  # the others have been in the caches; in a run evaluations follow one another
        self.wait()
        started = time.perf_counter()
        for _ in range(calls):
            do()
        self.wait()
        return (time.perf_counter() - started) / calls

    def wait(self) -> None:
        """Wait until the device has computed everything."""

    def rest(self) -> None:
        """Give back the device's memory that is kept for arrays to come."""

    def peak(self) -> dict[str, int | None]:
        """Return the most bytes of the device's memory that an evaluation takes; nothing where it has none."""
        return {}

    def on_host(self, array: Array) -> Array:
        """Return an array as one of NumPy's."""
        return array


class OnEngine(Contender):
    """What computes with an engine of this package on a device, until `until_the_end` is closed."""

    def __init__(self, device: str, precision: str = "float32"):
        self.device, self.until_the_end = device, ExitStack()
        self.engine = self.until_the_end.enter_context(computing(None, device))
        self.until_the_end.enter_context(self.engine.precision(precision))

    def wait(self) -> None:
        self.engine.synchronize()

    def rest(self) -> None:
        self.engine.release_memory()

    def peak(self) -> dict[str, int | None]:
        """Return the most bytes that arrays take, with what the pool keeps of them during an evaluation."""
        if not self.engine.has_own_memory:
            return {}
        self.rest()
        self.evaluate()
        self.wait()
        return {"bytes": self.engine.reserved_memory()}

    def on_host(self, array: Array) -> Array:
        return self.engine.asnumpy(array)

    def steps(self) -> dict[str, dict[str, dict[str, float]]]:
        """Return "steps": how often each kernel ran in an evaluation on a GPU, and for how many seconds in all.

        Events mark its begin and end on the GPU, which computes something else at first: all launches that follow wait
        in a queue, so that none of them is late.
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
        return {"steps": dict(steps)}

    def _occupy(self):
        """Let the GPU compute for about 20 ms."""
        side = 8 if self.device == EMULATED else 8192
        matrix = gpu.zeros((1, side, side), "float32")
        with products.precision("float32"):
            products.multiply(matrix, matrix)
