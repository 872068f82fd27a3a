"""How a run is computed: on which device, with which engine, threads, precision and memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from threadpoolctl import ThreadpoolController

from scratchnst import images
from scratchnst.engine import Engine
from scratchnst.engine.cpu import threads
from scratchnst.engine.devices import AUTO, computing, full_gpu, on_threads
from scratchnst.errors import UserError
from scratchnst.transfer import memory
from scratchnst.transfer.objective import Objective
from scratchnst.transfer.settings import Settings


@contextmanager
def computing_as(settings: Settings, notice: Callable[[str], None]) -> Iterator[Engine]:
    """Compute as `settings` say within the block, which gets the engine; a MemoryError becomes a UserError.

    `notice` is called with messages about the device, see `computing`.

    Raises
    ------
    UserError
        If the engine, device, convolution and precision do not go together, or one of them is not there.
    """
    with ExitStack() as stack:
        stack.enter_context(on_threads(settings.threads))
        engine = stack.enter_context(computing(settings.engine, settings.device, notice))
        _check(engine, settings)
        if settings.convolution != AUTO:
            stack.enter_context(engine.conv2d.using(settings.convolution))
        stack.enter_context(engine.precision("tf32" if settings.tf32 else "float32"))
        stack.enter_context(engine.memory_limit(settings.memory_limit))
        try:
            yield engine
        except MemoryError as error:
            raise out_of_memory(error) from error


def _check(engine: Engine, settings: Settings) -> None:
    """Raise a UserError if the engine lacks the way to convolve or the precision that is asked for."""
    way = settings.convolution
    if way not in (AUTO, *engine.ways):
        there = f"has {', '.join(engine.ways)}" if engine.ways else "has but one way"
        raise UserError(f"the engine {engine.name} does not convolve by --convolution {way}: it {there}.")
    if settings.tf32 and "tf32" not in engine.precisions:
        raise UserError(f"--tf32 is for GPUs, and the engine {engine.name} computes on the CPU: leave it out.")
    if settings.tf32 and settings.dtype == "float64":
        raise UserError("--tf32 rounds float32 and leaves float64 as it is: leave out one of --tf32 and --dtype.")


def out_of_memory(error: MemoryError, estimate: memory.MemoryEstimate | None = None) -> UserError:
    """Return the error for memory that was not enough, although `estimate`, if there is one, said that it was."""
    engine = full_gpu(error)
    if engine is None:
        return UserError("there is not enough memory for this; choose a smaller --size.")
    taken, free = engine.memory_in_use(), engine.free_memory()
    promised = f"{memory.in_words(estimate.peak)} were expected to do, " if estimate else ""
    advice = "a --memory-limit below their sum, with which layers are computed in strips"
    if not estimate and engine.has_memory_limit():  # which weights and targets alone exceed
        advice = "a larger --memory-limit"
    return UserError(
        f"the GPU's memory is not enough: {promised}{memory.in_words(taken)} are taken and {memory.in_words(free)} "
        f"free; choose a smaller --size, or {advice}."
    )


def describe(objective: Objective) -> dict:
    """Return, for JSON, how `objective` is computed: where, in which precision, and how each layer is convolved."""
    network, (height, width, _) = objective.network, objective.shape
    engine, blas = network.engine, ThreadpoolController().select(user_api="blas")
    entry: dict[str, Any] = {
        "engine": engine.name,
        "fallbacks": list(engine.fallbacks),
        **engine.describe(),
        "precision": "tf32" if engine.current_precision() == "tf32" else objective.dtype,
        "threads": threads.count(),
        "blas": sorted({f"{one['internal_api']} {one.get('architecture', '')}".strip() for one in blas.info()}),
        "tile": objective.tile,
        "largest_strip": None if objective.largest_strip == math.inf else objective.largest_strip,
    }
    if engine.ways:
        shapes, sources = network.shapes(height, width), network.sources()
        convolutions = [layer.name for layer in network.layers if "conv2d" in layer.rule.steps(network.pooling)]
        entry["convolutions"] = {
            name: engine.conv2d.choose((1, *shapes[sources[name][0]]), network.parameters[name][0].shape)
            for name in convolutions
        }
    return entry


def check_room(height: int, width: int, engine: Engine, settings: Settings) -> None:
    """Raise a UserError if the optimiser's vectors alone do not fit into memory, before large arrays are made."""
    there = memory.where_vectors_are(engine, settings.optimizer)
    needed = memory.TILED_BYTES_PER_UNKNOWN * height * width * 3 + memory.resident(there)
    limit = settings.memory_limit if there is engine else None
    most = memory.available(there) if limit is None else limit
    if needed > most:
        raise UserError(memory.too_large(height, width, needed, settings.optimizer, most, there))


def check_room_to_read(path: Path, wanted: tuple[int, int], engine: Engine, memory_limit: int | None) -> int:
    """Return the bytes that reading a picture takes that is wanted in that (height, width) at most.

    Raises
    ------
    UserError
        If that is too much.
    """
    limit = None if engine.has_own_memory else memory_limit  # that of a GPU's memory is another
    most = memory.available() if limit is None else limit
    needed = memory.resident() + images.memory_to_read(path, wanted)
    if needed > most:
        height, width = images.size(path)
        raise UserError(
            f"reading {path}, {width}x{height} pixels, takes {memory.in_words(needed)} of memory, and "
            f"{memory.in_words(most)} are there: make a smaller copy of it first, or allow more memory."
        )
    return needed


def fit(objective: Objective, settings: Settings, extra: int = 0) -> memory.MemoryEstimate:
    """Choose the largest strips of `objective` that memory allows, or raise a UserError; see `memory.fit`."""
    if settings.average is not None:
        extra += 8 * math.prod(objective.shape)
    return memory.fit(objective, settings.optimizer, settings.memory_limit, settings.bounded, extra)
