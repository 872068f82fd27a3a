"""What is measured in one run of the benchmark: its settings, their defaults, and its parts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from scratchnst.bench import measure, painter, peer, problem
from scratchnst.bench.measure import Conditions, ContenderResult
from scratchnst.bench.names import ANY_STYLE, EMULATED, ONE_STYLE, PEERS, TRAINING
from scratchnst.engine.cpu import threads
from scratchnst.engine.devices import AUTO, parse
from scratchnst.errors import UserError

PARTS = ("speed", "run", "ladder", "accuracy", "training", "fast", "arbitrary")
ON_CPU = {"sizes": [256, 512, 1024], "run_size": 256, "run_iterations": 100, "repeats": 7}
# Of a GPU's sizes the first is the one that matters most.
ON_GPU = {"sizes": [512, 256, 1024, 2048, 4096], "run_size": 512, "run_iterations": 500, "repeats": 7}
ON_EMULATED = {"sizes": [32], "run_size": 32, "run_iterations": 2, "repeats": 1}


@dataclass(frozen=True)
class Plan:
    """The settings of a benchmark, see the help of ``scratchnst bench``; `complete` makes one."""

    device: str
    sizes: list[int]
    peer: str | None
    prepare_peer: bool
    repeats: int
    run_size: int
    run_iterations: int
    minutes: float | None

    def conditions(self, thread_count: int | None) -> Conditions:
        """Return what holds for all measurements from now on; `thread_count` None is as many as the engine takes."""
        deadline = math.inf if self.minutes is None else time.monotonic() + 60 * self.minutes
        peers = list(PEERS) if self.peer else []
        return Conditions(
            thread_count or threads.count(), peers, self.prepare_peer, device=self.device, deadline=deadline
        )

    def check(self, parts: list[str]) -> None:
        """Raise a UserError if one of the parts cannot be measured here."""
        for side in [*(self.sizes if "speed" in parts else []), self.run_size]:
            problem.check(side, self.device)
        for side in self.sizes if {"fast", "arbitrary"} & set(parts) else []:
            painter.check(side)
        if self.peer:
            peer.check_available()

    def measure(self, part: str, conditions: Conditions) -> Iterator[tuple[str, list[ContenderResult] | None]]:
        """Measure a part piece by piece; yield what each piece is, and its results, None after the deadline."""
        for what, piece in self._pieces(part, conditions):
            yield what, None if conditions.is_late else piece()

    def _pieces(self, part: str, conditions: Conditions) -> Iterator[tuple[str, Callable[[], list[ContenderResult]]]]:
        if part == "speed":
            for side in dict.fromkeys(self.sizes):
                yield f"speed at {side}x{side}", partial(measure.speed, side, self.repeats, conditions)
        elif part == "run":
            for name in conditions.solvers:
                run = partial(measure.whole_run, name, self.run_size, self.run_iterations, conditions)
                yield f"run by {name}", run
        elif part == "ladder":
            climb = measure.climb if self.device == "cpu" else measure.climb_on_device
            yield part, partial(climb, self.repeats, conditions)
        elif part == "training":
            for task in TRAINING:
                yield task, partial(measure.training, task, self.repeats, conditions)
        elif part in ("fast", "arbitrary"):
            task = ONE_STYLE if part == "fast" else ANY_STYLE
            for side in dict.fromkeys(self.sizes):
                yield f"{part} at {side}x{side}", partial(measure.painting, task, side, self.repeats, conditions)
        else:
            yield part, partial(measure.exactness, conditions)


def complete(device: str, **given: Any) -> Plan:
    """Return a plan of the settings `given`; what is missing or None is as it suits the device.

    Raises
    ------
    UserError
        If there is no such device, or none is named.
    """
    if device == AUTO:
        raise UserError("the bench measures one device: name it, cpu, cuda or cuda:N.")
    parse(device)
    device = "cuda:0" if device == "cuda" else device
    defaults = {"cpu": ON_CPU, EMULATED: ON_EMULATED}.get(device, ON_GPU)
    return Plan(device, **{**given, **{name: value for name, value in defaults.items() if given.get(name) is None}})
