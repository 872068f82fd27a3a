"""Estimate how much memory and time a run would take."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from scratchnst.engine.cpu import threads
from scratchnst.engine.devices import EMULATED
from scratchnst.transfer import computation, memory
from scratchnst.transfer.job import Scales, ignore, prepare
from scratchnst.transfer.objective import Objective
from scratchnst.transfer.settings import Settings
from scratchnst.transfer.stylize import stylize

TRIAL_SIDE, TRIAL_ITERATIONS = 384, 3  # of the run by which this machine's speed is measured


@dataclass(frozen=True)
class Forecast:
    """What a run would take.

    Attributes
    ----------
    scales : (height, width) and iterations of each
    estimate : of the memory at the finest scale
    limit : bytes that it may take
    seconds : None on an emulated GPU, where it is not measured
    where : the device, or how many threads
    """

    scales: Scales
    estimate: memory.MemoryEstimate
    limit: int
    seconds: float | None
    where: str


def forecast(
    settings: Settings, tell: Callable[[str], None] = ignore, notice: Callable[[str], None] = ignore
) -> Forecast:
    """Return what `scratchnst.transfer.job.run` would take, or raise the error that it raises before its first step."""
    with computation.computing_as(settings, notice) as engine:
        prepared = prepare(settings, engine, tell)
        objective = prepared.objective_at(*prepared.shapes[-1])
        estimate = computation.fit(objective, settings)
        estimate = replace(estimate, peak=max(estimate.peak, prepared.peak))
        limit = memory.available(engine) if settings.memory_limit is None else settings.memory_limit
        return Forecast(prepared.scales, estimate, limit, *_time(objective, prepared.scales, settings))


def _time(objective: Objective, scales: Scales, settings: Settings) -> tuple[float | None, str]:
    """Return how long a run would take, and on what."""
    count, there = threads.count(), objective.network.engine.describe()
    if there["device"] == EMULATED:
        return None, EMULATED
    pixels = sum(math.prod(shape) * iterations for shape, iterations in scales)
    seconds = _seconds_per_pixel(objective, settings) * pixels
    is_gpu = "gpu" in there
    return seconds, f"{there['device']}, {there['gpu']}" if is_gpu else f"{count} thread{'' if count == 1 else 's'}"


def _seconds_per_pixel(objective: Objective, settings: Settings) -> float:
    """Measure it on a smaller image; time is proportional to pixels."""
    height, width, _ = objective.shape
    factor = min(1.0, TRIAL_SIDE / max(height, width))
    shape = max(32, round(height * factor)), max(32, round(width * factor)), 3
    random = np.random.default_rng(0)
    trial = Objective(
        objective.network,
        random.uniform(0, 255, shape),
        [random.uniform(0, 255, shape) for _ in objective.styles],
        content_layers=objective.content_layers,
        style_layers=objective.style_layers,
        dtype=objective.dtype,
        largest_strip=objective.largest_strip * factor**2,
    )
    if objective.network.engine.compiles_kernels:
        _trial_seconds(trial, settings.optimizer)  # the first run on a machine compiles kernels
    return _trial_seconds(trial, settings.optimizer) / math.prod(shape[:2])


def _trial_seconds(trial: Objective, optimizer: str) -> float:
    """Seconds an iteration."""
    times: list[float] = []
    stylize(
        trial,
        iterations=TRIAL_ITERATIONS + 1,  # the first is not counted
        optimizer=optimizer,
        on_step=lambda _: times.append(time.perf_counter()),
    )
    return (times[-1] - times[0]) / max(len(times) - 1, 1)
