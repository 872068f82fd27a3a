"""How it is computed: device, engine, threads, memory and time."""

from __future__ import annotations

import argparse
import math
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps

import numpy as np
from threadpoolctl import ThreadpoolController

from scratchnst.cli.arguments import positive_integer
from scratchnst.engine import Engine
from scratchnst.engine.cpu import threads
from scratchnst.engine.devices import AUTO, EMULATED, ENGINES, computing, full_gpu, on_threads, parse
from scratchnst.errors import UserError
from scratchnst.transfer import memory
from scratchnst.transfer.objective import Objective
from scratchnst.transfer.stylize import stylize

UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
WITH_WAYS = [engine for engine in ENGINES.values() if engine.ways]  # the engines that convolve in several ways
TRIAL_SIDE, TRIAL_ITERATIONS = 384, 3  # of the run that tells how fast this machine is


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    group = parser.add_argument_group("computation")
    add_device(group)
    group.add_argument(
        "--engine",
        choices=list(ENGINES),
        help="cpu, cuda, or textbook, the code to learn from (the device's own, cpu or cuda)",
    )
    group.add_argument(
        "--convolution",
        choices=["auto", *dict.fromkeys(way for engine in WITH_WAYS for way in engine.ways)],
        default="auto",
        help=f"how to convolve, where it can ({_ways()}; auto: whichever suits the layer's shape)",
    )
    group.add_argument(
        "--tf32",
        action="store_true",
        help="let the GPU round the factors of products to 10 bits: faster; gradients differ by about 1 %%",
    )
    group.add_argument(
        "--threads", type=positive_integer, metavar="N", help="as many as there are cores, or OMP_NUM_THREADS"
    )
    group.add_argument("--dtype", choices=["float32", "float64"], default="float32", help="precision (float32)")
    group.add_argument(
        "--memory-limit",
        type=memory_size,
        metavar="SIZE",
        help="like 2G, on a GPU of its memory: large layers are computed in strips, and twice, until this is enough "
        "(all that is free)",
    )
    group.add_argument("--dry-run", action="store_true", help="tell how much memory and time it would take, and stop")


def add_device(group, default: str | None = AUTO) -> None:
    """Add the argument that says where to compute."""
    group.add_argument(
        "--device",
        type=device_name,
        default=default,
        metavar="auto|cpu|cuda[:N]|emulated",
        help="auto, a GPU if there is one that works; emulated, the GPU's kernels on the CPU, for study, and slow"
        + (f" ({default})" if default else ""),
    )


def device_name(text: str) -> str:
    """Check the name of a device."""
    try:
        parse(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from None
    return text


def on_device(run: Callable[[argparse.Namespace, Engine], int]) -> Callable[[argparse.Namespace], int]:
    """Make a command compute on --device; it is given the engine."""

    @wraps(run)
    def on_device_run(arguments):
        with computing(None, arguments.device, complain) as engine:
            return run(arguments, engine)

    return on_device_run


def as_asked(run: Callable[[argparse.Namespace, Engine], int]) -> Callable[[argparse.Namespace], int]:
    """Make a command compute on --device with --engine, on --threads, with --convolution; it is given the engine."""

    @wraps(run)
    def as_asked_run(arguments):
        with ExitStack() as stack:
            stack.enter_context(on_threads(arguments.threads))
            tell = complain if not arguments.quiet else lambda sentence: None
            engine = stack.enter_context(computing(arguments.engine, arguments.device, tell))
            stack.enter_context(_convolving(engine, arguments.convolution))
            stack.enter_context(_precision(engine, arguments))
            stack.enter_context(engine.memory_limit(arguments.memory_limit))
            try:
                return run(arguments, engine)
            except MemoryError as error:
                raise out_of_memory(error) from error

    return as_asked_run


def out_of_memory(error: MemoryError, estimate: memory.Estimate | None = None) -> UserError:
    """Return what to say where memory was not enough, although an estimate, if there is one, promised that it was."""
    engine = full_gpu(error)
    if engine is None:
        return UserError("there is not enough memory for this; choose a smaller --size.")
    taken, free = engine.memory_in_use(), engine.free_memory()
    promised = f"{memory.in_words(estimate.peak)} were expected to do, " if estimate else ""
    advice = "a --memory-limit below their sum, with which layers are computed in strips"
    if not estimate and engine.has_memory_limit():  # so small that not even weights and targets fit
        advice = "a larger --memory-limit"
    return UserError(
        f"the GPU's memory is not enough: {promised}{memory.in_words(taken)} are taken and {memory.in_words(free)} "
        f"free; choose a smaller --size, or {advice}."
    )


def complain(sentence: str) -> None:
    """Print a line on stderr."""
    print(f"scratchnst: {sentence}", file=sys.stderr)


@contextmanager
def _convolving(engine: Engine, way: str) -> Iterator[None]:
    if way == "auto":
        yield
        return
    ways = engine.ways
    if way not in ways:
        there = f"has {', '.join(ways)}" if ways else "has but one way"
        raise UserError(f"the engine {engine.name} does not convolve by --convolution {way}: it {there}.")
    with engine.conv2d.using(way):
        yield


@contextmanager
def _precision(engine: Engine, arguments: argparse.Namespace) -> Iterator[None]:
    if arguments.tf32 and "tf32" not in engine.precisions:
        raise UserError(f"--tf32 is for GPUs, and the engine {engine.name} computes on the CPU: leave it out.")
    if arguments.tf32 and arguments.dtype == "float64":
        raise UserError("--tf32 rounds float32 and leaves float64 as it is: leave out one of --tf32 and --dtype.")
    with engine.precision("tf32" if arguments.tf32 else "float32"):
        yield


def _ways() -> str:
    return "; ".join(f"{engine.name}: {', '.join(engine.ways)}" for engine in WITH_WAYS)


def record(objective: Objective) -> dict:
    """Return how `objective` is computed, JSON-able: where, in which precision, and how each layer is convolved."""
    network, (height, width, _) = objective.network, objective.shape
    engine, blas = network.engine, ThreadpoolController().select(user_api="blas")
    entry = {
        "engine": engine.name,
        "fallbacks": list(engine.fallbacks),
        **engine.describe(),
        "precision": "tf32" if engine.current_precision() == "tf32" else objective.dtype,
        "threads": threads.count(),
        "blas": sorted({f"{one['internal_api']} {one.get('architecture', '')}".strip() for one in blas.info()}),
        "largest_strip": None if objective.largest_strip == math.inf else objective.largest_strip,
    }
    if engine.ways:
        shapes = network.shapes(height, width)
        entry["convolutions"] = {
            name: engine.conv2d.choose((1, *shapes[source]), network.parameters[name][0].shape)
            for name, source in network.sources().items()
            if name in network.parameters
        }
    return entry


def memory_size(text: str) -> int:
    """Parse an amount of memory: 2G, 500M, 1.5GiB, or bytes."""
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([KMGT]I?|)B?", text.strip().upper())
    if not found or not (size := float(found[1]) * UNITS[found[2]]) >= 1:
        raise argparse.ArgumentTypeError(f"must be an amount of memory like 2G or 500M, not {text!r}")
    return int(size)


def check_room(height: int, width: int, engine: Engine, arguments: argparse.Namespace) -> None:
    """Raise a UserError if not even the vectors of the optimiser fit into memory, before large arrays are made."""
    there = memory.where_vectors_are(engine, arguments.optimizer)
    needed = memory.vectors(height * width * 3, arguments.optimizer, arguments.bounded) + memory.resident(there)
    limit = memory.limit(there) if there is not engine else _limit(engine, arguments)
    if needed > limit:
        raise UserError(memory.too_large(height, width, needed, arguments.optimizer, limit, there))


def fit(objective: Objective, arguments: argparse.Namespace) -> memory.Estimate:
    """Let `objective` go the fastest way that memory allows, or raise a UserError."""
    limit = _limit(objective.network.engine, arguments)
    return memory.fit(objective, arguments.optimizer, limit, arguments.bounded)


def describe(estimate: memory.Estimate) -> str:
    """Say how much memory it will take, and whether in strips."""
    peak, strip = memory.in_words(estimate.peak), estimate.largest_strip
    return peak if strip == math.inf else f"{peak}, large layers in strips of {memory.in_words(strip)}, and twice"


def outlook(
    objective_at: Callable[[int, int], Objective],
    scales: Sequence[tuple[tuple[int, int], int]],
    arguments: argparse.Namespace,
) -> str:
    """Say how much memory and time a run would take that does so many iterations at each (height, width)."""
    (height, width), _ = scales[-1]
    objective = objective_at(height, width)
    estimate = fit(objective, arguments)
    engine = objective.network.engine
    sizes = ", ".join(f"{width}x{height} ({iterations} iterations)" for (height, width), iterations in scales)
    return (
        f"size    {sizes}\n"
        f"memory  {describe(estimate)}; the limit is {memory.in_words(_limit(engine, arguments))}\n"
        f"time    {_time(objective, scales, arguments)}"
    )


def _limit(engine, arguments):
    return memory.limit(engine) if arguments.memory_limit is None else arguments.memory_limit


def _time(objective, scales, arguments):
    """Say how long a run will take, and on what."""
    count, where = threads.count(), objective.network.engine.describe()
    if where["device"] == EMULATED:
        return "far more than on the CPU: a GPU is emulated"
    pixels = sum(math.prod(shape) * iterations for shape, iterations in scales)
    seconds = _seconds_per_pixel(objective, arguments) * pixels
    there = f"{where['device']}, {where['gpu']}" if "gpu" in where else f"{count} thread{'' if count == 1 else 's'}"
    return f"about {_in_words(seconds)} on {there}"


def _seconds_per_pixel(objective, arguments):
    """Try it on a smaller image; what it takes is proportional to pixels."""
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
        _trial_seconds(trial, arguments.optimizer)  # the first run on a machine compiles kernels
    return _trial_seconds(trial, arguments.optimizer) / math.prod(shape[:2])


def _trial_seconds(trial, optimizer):
    """Seconds an iteration."""
    times = []
    stylize(
        trial,
        iterations=TRIAL_ITERATIONS + 1,  # the first warms up
        optimizer=optimizer,
        on_step=lambda _: times.append(time.perf_counter()),
    )
    return (times[-1] - times[0]) / max(len(times) - 1, 1)


def _in_words(seconds):
    """Return a time as people say it."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
