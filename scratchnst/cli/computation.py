"""Arguments that say how it is computed: device, engine, threads and memory."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from functools import wraps

from scratchnst.cli.arguments import threads, tile
from scratchnst.engine import Engine
from scratchnst.engine.devices import AUTO, ENGINES, computing, parse
from scratchnst.errors import UserError
from scratchnst.messages import complain
from scratchnst.transfer.settings import CONVOLUTIONS, DTYPES, WITH_WAYS

MOST_MEMORY = 2**63  # bytes
UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments, without defaults."""
    group = parser.add_argument_group("computation")
    add_device(group).default = argparse.SUPPRESS
    group.add_argument(
        "--engine",
        choices=list(ENGINES),
        help="cpu, cuda, or textbook, the code to learn from (the device's own, cpu or cuda)",
    )
    group.add_argument(
        "--convolution",
        choices=list(CONVOLUTIONS),
        help=f"how to convolve, where it can ({_ways()}; auto: whichever suits the layer's shape)",
    )
    group.add_argument(
        "--tf32",
        action="store_true",
        help="let the GPU round the factors of products to 10 bits: faster; gradients differ by about 1 %%",
    )
    group.add_argument("--threads", type=threads, metavar="N", help="as many as there are cores, or OMP_NUM_THREADS")
    group.add_argument("--dtype", choices=list(DTYPES), help="precision (float32)")
    group.add_argument(
        "--memory-limit",
        type=memory_size,
        metavar="SIZE",
        help="like 2G, on a GPU of its memory: large layers are computed in strips, and twice, until this is enough "
        "(half of the machine's memory, or its container's)",
    )
    group.add_argument(
        "--tile",
        type=tile,
        metavar="N",
        help="compute sizes above N in tiles of N pixels, without seams, by Adam (where memory is short)",
    )
    group.add_argument(
        "--dry-run", action="store_true", default=False, help="tell how much memory and time it would take, and stop"
    )


def add_device(group, default: str | None = AUTO) -> argparse.Action:
    """Add the argument that says where to compute, and return it."""
    return group.add_argument(
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


def _ways() -> str:
    return "; ".join(f"{engine.name}: {', '.join(engine.ways)}" for engine in WITH_WAYS)


def memory_size(text: str) -> int:
    """Parse an amount of memory: 2G, 500M, 1.5GiB, or bytes."""
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([KMGT]I?|)B?", text.strip().upper())
    if not found or not 1 <= (size := float(found[1]) * UNITS[found[2]]) < MOST_MEMORY:
        raise argparse.ArgumentTypeError(f"must be an amount of memory like 2G or 500M, not {text!r}")
    return int(size)
