"""Estimate how much memory and time a run would take."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from scratchnst import images
from scratchnst.engine.cpu import threads
from scratchnst.engine.devices import EMULATED
from scratchnst.errors import UserError
from scratchnst.transfer import computation, memory
from scratchnst.transfer.objective import Objective
from scratchnst.transfer.preparation import Masks, Prepared, Scales, Shape, ignore, prepare
from scratchnst.transfer.settings import Settings
from scratchnst.transfer.stylize import stylize

TRIAL_SIDE, TRIAL_ITERATIONS = 256, 3  # of the run by which this machine's speed is measured
LONGER_IN_TILES = 2.5  # what is computed twice, the content's features, and the pixels around tiles
SURELY_ENOUGH = 1 << 20  # pixels for which there is memory
SHORTEST = 32  # pixels, enough for any layer


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
    on_gpu : whether on a GPU
    """

    scales: Scales
    estimate: memory.MemoryEstimate
    limit: int
    seconds: float | None
    where: str
    on_gpu: bool


def forecast(
    settings: Settings, tell: Callable[[str], None] = ignore, notice: Callable[[str], None] = ignore
) -> Forecast:
    """Return what `scratchnst.transfer.job.run` would take, from the sizes of the pictures, which are not read.

    Raises
    ------
    UserError
        As `scratchnst.transfer.preparation.prepare`, or if it takes more memory than there is.
    """
    with computation.computing_as(settings, notice) as engine:
        prepared = prepare(settings, engine, tell)
        trial = _trial(prepared, TRIAL_SIDE)
        trial(np.zeros(trial.shape))  # after which the process has what libraries allocate when they are first used
        estimate, finest = _scale(prepared, trial, prepared.shapes[-1])
        trial.largest_strip = finest.largest_strip * math.prod(trial.shape) / math.prod(finest.shape)
        limit = memory.available(engine) if settings.memory_limit is None else settings.memory_limit
        tiles = choose_tiles(prepared) if estimate.tile else {}
        time = _time(trial, prepared.scales, settings, tiles)
        return Forecast(prepared.scales, estimate, limit, *time, engine.has_own_memory)


def choose_tiles(prepared: Prepared) -> dict[Shape, int]:
    """Return shape -> side of tiles, of the scales that take too much memory otherwise, or that the settings name.

    Raises
    ------
    UserError
        If a scale takes more memory than there is even so, before the first is run.
    """
    settings, shapes = prepared.settings, [shape for shape, _ in prepared.scales]
    if settings.tile is not None:
        return {shape: settings.tile for shape in shapes if max(shape) > settings.tile}
    found: dict[Shape, int] = {}
    if len(shapes) == 1 and math.prod(shapes[0]) < SURELY_ENOUGH:
        return found
    trial = _trial(prepared, SHORTEST)
    for shape in reversed(shapes):
        estimate, _ = _scale(prepared, trial, shape)
        if estimate.tile is None:
            break
        found[shape] = estimate.tile
    return found


def _trial(prepared: Prepared, longest: int) -> Objective:
    """Return an objective like that of a run, but of random images of about that longer side at most."""
    canvas = prepared.canvas(prepared.shapes[-1])
    shape = images.fitted_shape(canvas, min(longest, max(canvas)))
    random = np.random.default_rng(0)
    first, *styles = (
        random.uniform(0, 255, (max(height, SHORTEST), max(width, SHORTEST), 3))
        for height, width in (shape, *prepared.style_shapes(shape))
    )
    if prepared.settings.content is None:
        return prepared.objective(None, [first, *styles])
    settings = prepared.settings
    grey = [np.full(picture.shape[:2], 0.5, np.float32) for picture in (first, *styles)]
    masks = Masks(
        [grey[0]] * len(settings.masks),
        grey[1:] if settings.style_masks else [],
        grey[0] if settings.keep_mask else None,
    )
    return prepared.objective(first, styles, masks)


def _scale(prepared: Prepared, trial: Objective, shape: Shape) -> tuple[memory.MemoryEstimate, Objective]:
    """Return the memory that a scale takes, pictures included, and what stands for its objective.

    Raises
    ------
    UserError
        If that is more than there is.
    """
    try:
        return _fitted(prepared, trial, shape, prepared.settings.tile)
    except UserError:
        if prepared.settings.tile is not None or not prepared.settings.may_be_tiled:
            raise
        for side in memory.TILES:
            with suppress(UserError):
                return _fitted(prepared, trial, shape, side)
        raise


def _fitted(prepared, trial, shape, tile):
    """The same in tiles, or, with None, as a whole."""
    height, width = prepared.canvas(shape)
    scale, kept = memory.at_size(trial, height, width, tile)
    if trial.network.engine.has_own_memory:  # where the pictures are not
        return computation.fit(scale, prepared.settings, kept), scale
    pictures = prepared.bytes_of_pictures
    reading = memory.resident() + pictures + max(images.memory_to_read(*file) for file in prepared.files)
    found = computation.fit(scale, prepared.settings, pictures + kept)
    return replace(found, peak=max(found.peak, reading)), scale


def _time(trial: Objective, scales: Scales, settings: Settings, tiles: Mapping[Shape, int]) -> tuple[float | None, str]:
    """Return how long a run would take, measured by the time of `trial`, and on what."""
    count, engine = threads.count(), trial.network.engine
    there = engine.describe()
    if there["device"] == EMULATED:
        return None, EMULATED
    if engine.compiles_kernels:
        _trial_seconds(trial, settings.optimizer)  # the first run on a machine compiles kernels
    seconds_per_pixel = _trial_seconds(trial, settings.optimizer) / math.prod(trial.shape[:2])
    pixels = sum(
        math.prod(shape) * iterations * (LONGER_IN_TILES if shape in tiles else 1) for shape, iterations in scales
    )
    seconds = seconds_per_pixel * pixels
    return seconds, f"{there['device']}, {there['gpu']}" if "gpu" in there else f"{count} thread{'s'[: count > 1]}"


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
