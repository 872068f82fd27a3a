"""Where engines compute: the textbook, the CPU, and the engine cuda, on the emulator in either order and on a GPU."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from scratchnst.engine import Engine, cpu, cuda, textbook
from scratchnst.engine.cpu import threads
from scratchnst.engine.cuda import availability, emulator

ORDERS = {"emulated": "forward", "emulated in reverse": "reverse"}  # of blocks, and of the threads of one
THREADS = {"cpu on 1 thread": 1, "cpu on 2 threads": 2}
GPU = pytest.param("gpu", marks=pytest.mark.gpu)
CUDA = [*ORDERS, GPU]
FAST = ["cpu", *CUDA]
ALL = ["textbook", *FAST]


def each(names: list, *values: Any) -> list:
    """Return parameters for a test that takes these values beside each of the platforms."""
    return [pytest.param(*_values(name), *values, marks=getattr(name, "marks", ())) for name in names]


def _values(name):
    return getattr(name, "values", (name,))


@dataclass(frozen=True)
class Platform:
    """An engine, where it can compute.

    Attributes
    ----------
    name : one of those above
    engine : its arrays come by `there` and go by `back`; what is no array of NumPy's, or of the engine's, stays
    """

    name: str
    engine: Engine

    def there(self, value: Any) -> Any:
        return self.engine.asarray(value) if isinstance(value, np.ndarray) else value

    def back(self, value: Any) -> Any:
        return self.engine.asnumpy(value) if hasattr(value, "dtype") else value


@contextmanager
def entered(name: str) -> Iterator[Platform]:
    """Compute there within the block, or skip the test, saying why it cannot."""
    if name in ORDERS:
        if shutil.which("g++") is None:
            pytest.skip("the emulator needs g++, which is not installed")
        with emulator.installed(ORDERS[name]):
            yield Platform(name, cuda)
    elif name == "gpu":
        reason = why_no_gpu()
        if reason:
            pytest.skip(reason)
        yield Platform(name, cuda)
    elif name in THREADS:
        threads.set_count(THREADS[name])
        yield Platform(name, cpu)
        threads.set_count(None)
    else:
        yield Platform(name, {"cpu": cpu, "textbook": textbook}[name])


@cache
def why_no_gpu() -> str | None:
    """Return why there is no GPU to compute on, None if there is one."""
    try:
        availability.check()
    except availability.Unavailable as problem:
        return str(problem)
    return None
