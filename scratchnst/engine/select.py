"""The engines there are, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

from scratchnst.engine import Engine, cpu, textbook
from scratchnst.engine.cpu import threads

ENGINES: Mapping[str, Engine] = {"cpu": cpu, "textbook": textbook}


@contextmanager
def on_threads(number: int | None) -> Iterator[None]:
    """Let any engine compute on `number` threads within the block, None: as many as there are cores.

    The textbook's are those of BLAS.
    """
    before = threads.chosen()
    threads.set_count(number)
    try:
        with threadpool_limits(threads.count(), user_api="blas"):
            yield
    finally:
        threads.set_count(before)
