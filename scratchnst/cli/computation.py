"""How it is computed: engine, threads, memory and time."""

from __future__ import annotations

import argparse
import math
import re
import time
from collections.abc import Callable, Sequence
from functools import wraps

import numpy as np
from threadpoolctl import ThreadpoolController

from scratchnst import memory
from scratchnst.cli.arguments import positive_integer
from scratchnst.engine.cpu import threads
from scratchnst.engine.cpu.conv2d import WAYS, choose, using
from scratchnst.engine.select import ENGINES, on_threads
from scratchnst.errors import UserError
from scratchnst.objective import Objective
from scratchnst.stylize import stylize

UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
TRIAL_SIDE, TRIAL_ITERATIONS = 384, 3  # of the run that tells how fast this machine is


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    group = parser.add_argument_group("computation")
    group.add_argument(
        "--engine", choices=list(ENGINES), default="cpu", help="cpu, fast, or textbook, the code to learn from (cpu)"
    )
    group.add_argument(
        "--convolution",
        choices=["auto", *WAYS],
        default="auto",
        help="how the engine cpu convolves, where it can (auto: whichever is fastest for the layer's shape)",
    )
    group.add_argument(
        "--threads", type=positive_integer, metavar="N", help="as many as there are cores, or OMP_NUM_THREADS"
    )
    group.add_argument("--dtype", choices=["float32", "float64"], default="float32", help="precision (float32)")
    group.add_argument(
        "--memory-limit",
        type=memory_size,
        metavar="SIZE",
        help="like 2G: large layers are computed in strips, and twice, until this is enough (all that is free)",
    )
    group.add_argument("--dry-run", action="store_true", help="tell how much memory and time it would take, and stop")


def as_asked(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Make a command compute on --threads, with --convolution."""

    @wraps(run)
    def as_asked_run(arguments):
        with on_threads(arguments.threads), using(None if arguments.convolution == "auto" else arguments.convolution):
            return run(arguments)

    return as_asked_run


def record(objective: Objective) -> dict:
    """Return how `objective` is computed, JSON-able; of the engine cpu also how it convolves, by layer."""
    network, (height, width, _) = objective.network, objective.shape
    blas = ThreadpoolController().select(user_api="blas")
    entry = {
        "engine": network.engine.name,
        "threads": threads.count(),
        "blas": sorted({f"{one['internal_api']} {one.get('architecture', '')}".strip() for one in blas.info()}),
        "largest_strip": None if objective.largest_strip == math.inf else objective.largest_strip,
    }
    if network.engine is ENGINES["cpu"]:
        shapes = network.shapes(height, width)
        entry["convolutions"] = {
            name: choose((1, *shapes[source]), network.parameters[name][0].shape)
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


def check_room(height: int, width: int, arguments: argparse.Namespace) -> None:
    """Raise a UserError if not even the vectors of the optimiser fit into memory, before large arrays are made."""
    needed = memory.vectors(height * width * 3, arguments.optimizer, arguments.bounded) + memory.resident()
    limit = _limit(arguments)
    if needed > limit:
        raise UserError(memory.too_large(height, width, needed, arguments.optimizer, limit))


def fit(objective: Objective, arguments: argparse.Namespace) -> memory.Estimate:
    """Let `objective` go the fastest way that memory allows, or raise a UserError."""
    return memory.fit(objective, arguments.optimizer, _limit(arguments), arguments.bounded)


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
    pixels = sum(math.prod(shape) * iterations for shape, iterations in scales)
    seconds = _seconds_per_pixel(objective, arguments) * pixels
    count = threads.count()
    sizes = ", ".join(f"{width}x{height} ({iterations} iterations)" for (height, width), iterations in scales)
    return (
        f"size    {sizes}\n"
        f"memory  {describe(estimate)}; the limit is {memory.in_words(_limit(arguments))}\n"
        f"time    about {_in_words(seconds)} on {count} thread{'' if count == 1 else 's'}"
    )


def _limit(arguments):
    return memory.limit() if arguments.memory_limit is None else arguments.memory_limit


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
    times = []
    stylize(
        trial,
        iterations=TRIAL_ITERATIONS + 1,  # the first warms up
        optimizer=arguments.optimizer,
        on_step=lambda _: times.append(time.perf_counter()),
    )
    return (times[-1] - times[0]) / max(len(times) - 1, 1) / math.prod(shape[:2])


def _in_words(seconds):
    """Return a time as people say it."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
