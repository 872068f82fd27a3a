"""``scratchnst bench``: time, memory and accuracy on this machine, beside PyTorch if asked."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from scratchnst import images
from scratchnst.bench import machine, measure, peer, plot, problem, report
from scratchnst.bench.measure import Conditions, Result
from scratchnst.bench.names import EMULATED, PEERS
from scratchnst.cli.arguments import non_negative_number, positive_integer, size
from scratchnst.engine.cpu import threads
from scratchnst.engine.devices import AUTO, parse
from scratchnst.errors import UserError
from scratchnst.files import check_writable, write_atomically

PARTS = ("speed", "run", "ladder", "accuracy")
SETTINGS = ("device", "sizes", "peer", "prepare_peer", "repeats", "run_size", "run_iterations", "minutes")


@dataclass(frozen=True)
class Extent:
    """How much is measured where nothing is said."""

    sizes: list[int]
    run_size: int
    run_iterations: int
    repeats: int


ON_CPU = Extent([256, 512, 1024], 256, 100, 7)
ON_GPU = Extent([512, 256, 1024, 2048, 4096], 512, 500, 7)  # the first is the one that matters most
EMULATED_EXTENT = Extent([32], 32, 2, 1)


def _listed(extent: Extent) -> str:
    return " ".join(map(str, extent.sizes))


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser(
        "bench",
        help="measure time, memory and accuracy on this machine",
        description="Measure loss and gradient of the paper's objective (VGG19 down to conv5_1 with random weights, "
        "float32, on a GPU also TF32) on this machine: speed and peak memory of one evaluation, a whole run, a ladder "
        "of four ways to convolve, and the accuracy. Contenders run in processes of their own and take turns. For "
        "figures worth keeping, leave the machine alone meanwhile.",
    )
    parser.add_argument(
        "--device",
        default="cpu",
        metavar="DEVICE",
        help="cpu, cuda, cuda:N, or emulated: small sizes, and times without meaning (cpu)",
    )
    parser.add_argument(
        "--sizes",
        type=size,
        nargs="+",
        metavar="N",
        help=f"sides of the images in pixels ({_listed(ON_CPU)}; on a GPU {_listed(ON_GPU)})",
    )
    parser.add_argument("--peer", choices=["torch"], help="measure PyTorch as well, in both memory formats")
    parser.add_argument(
        "--prepare-peer",
        action="store_true",
        help="let PyTorch's processes keep the memory of freed arrays, as this program does: less time, more memory",
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure (all)")
    parser.add_argument("--repeats", type=positive_integer, metavar="N", help="evaluations that count (7)")
    parser.add_argument(
        "--run-iterations",
        type=positive_integer,
        metavar="N",
        help=f"of the whole run ({ON_CPU.run_iterations}; on a GPU {ON_GPU.run_iterations})",
    )
    parser.add_argument(
        "--run-size",
        type=size,
        metavar="N",
        help=f"side of its images ({ON_CPU.run_size}; on a GPU {ON_GPU.run_size})",
    )
    parser.add_argument(
        "--minutes",
        type=non_negative_number,
        metavar="M",
        help="begin with nothing more after this time, and write what there is (no limit)",
    )
    parser.add_argument("--threads", type=positive_integer, metavar="N", help="of everybody (the cores there are)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured so far, after each part")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw seconds against pixels")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print tables as they come, write the files, and return the exit status."""
    started = time.monotonic()
    _complete(arguments)
    _check(arguments)
    count = arguments.threads or threads.count()
    deadline = math.inf if arguments.minutes is None else started + 60 * arguments.minutes
    peers = list(PEERS) if arguments.peer else []
    conditions = Conditions(count, peers, arguments.prepare_peer, device=arguments.device, deadline=deadline)
    facts = machine.facts(count)
    if arguments.device != "cpu":
        facts["device"] = measure.device_facts(conditions)
    _print([line for show in (report.machine, report.device) for line in show(facts)])
    record: dict[str, Any] = {"machine": facts, "settings": {key: getattr(arguments, key) for key in SETTINGS}}
    results: dict[str, list[Result]] = {}
    left_out = []
    for part in PARTS:
        if part not in arguments.parts:
            continue
        with _Status() as tell:
            results[part] = []
            for what, measured in MEASURE[part](arguments, replace(conditions, tell=tell)):
                if measured is None:
                    left_out.append(what)
                results[part] += measured or []
                record[part] = [item.as_dict() for item in results[part]]
                _save(record, arguments.json)
        if results[part]:
            _print(REPORT[part](arguments, results[part]))
    if left_out:
        record["left_out"] = left_out
        _save(record, arguments.json)
        _print(["", f"not measured, as the {arguments.minutes:g} minutes were over: {', '.join(left_out)}"])
    if arguments.plot:
        plot.draw(results["speed"], arguments.plot)
    return 0


def _save(record: dict[str, Any], path: Path | None) -> None:
    if path:
        write_atomically(path, (json.dumps(record, indent=2) + "\n").encode())


def _complete(arguments: argparse.Namespace) -> None:
    """Fill in what was left open, as it suits the device."""
    if arguments.device == AUTO:
        raise UserError("the bench measures one device: name it, cpu, cuda or cuda:N.")
    parse(arguments.device)
    if arguments.device == "cuda":
        arguments.device = "cuda:0"
    extent = {"cpu": ON_CPU, EMULATED: EMULATED_EXTENT}.get(arguments.device, ON_GPU)
    for field in fields(extent):
        if getattr(arguments, field.name) is None:
            setattr(arguments, field.name, getattr(extent, field.name))


def _check(arguments: argparse.Namespace) -> None:
    """Refuse before anything is measured what would fail in the end."""
    for side in [*(arguments.sizes if "speed" in arguments.parts else []), arguments.run_size]:
        problem.check(side, arguments.device)
    if arguments.peer:
        peer.check_available()
    if arguments.json:
        check_writable(arguments.json)
    if arguments.plot:
        if "speed" not in arguments.parts:
            raise UserError("--plot draws the part speed: add it to --parts.")
        plot.check_available()
        check_writable(arguments.plot, images.PICTURE_SUFFIXES)
    if arguments.json and arguments.plot and os.path.realpath(arguments.json) == os.path.realpath(arguments.plot):
        raise UserError(f"{arguments.json} is named twice: name two files.")


# Each part yields, piece by piece, what it measures and the results, None where the time for it was over.
Pieces = Iterator[tuple[str, list[Result] | None]]


def _speed(arguments: argparse.Namespace, conditions: Conditions) -> Pieces:
    for side in dict.fromkeys(arguments.sizes):
        yield (
            f"speed at {side}x{side}",
            None if conditions.is_late else measure.speed(side, arguments.repeats, conditions),
        )


def _whole_run(arguments: argparse.Namespace, conditions: Conditions) -> Pieces:
    for name in conditions.solvers:
        late = conditions.is_late
        size, iterations = arguments.run_size, arguments.run_iterations
        yield f"run by {name}", None if late else measure.whole_run(name, size, iterations, conditions)


def _ladder(arguments: argparse.Namespace, conditions: Conditions) -> Pieces:
    climb = measure.climb if conditions.device == "cpu" else measure.climb_on_device
    yield "ladder", None if conditions.is_late else climb(arguments.repeats, conditions)


def _accuracy(arguments: argparse.Namespace, conditions: Conditions) -> Pieces:
    yield "accuracy", None if conditions.is_late else measure.exactness(conditions)


def _report_ladder(arguments: argparse.Namespace, results: list[Result]) -> list[str]:
    return report.climb(results) if arguments.device == "cpu" else report.climb_on_device(results, arguments.device)


MEASURE = {"speed": _speed, "run": _whole_run, "ladder": _ladder, "accuracy": _accuracy}
REPORT = {
    "speed": lambda _, results: report.speed(results),
    "run": lambda _, results: report.whole_run(results),
    "ladder": _report_ladder,
    "accuracy": lambda _, results: report.exactness(results),
}


def _print(lines: list[str]) -> None:
    print("\n".join(lines), flush=True)


class _Status:
    """What is being measured, in one line of stderr that goes away; elsewhere than on a terminal a line for each."""

    def __init__(self):
        self.terminal = sys.stderr.isatty()

    def __enter__(self):
        return self.tell

    def __exit__(self, *_) -> None:
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def tell(self, message: str) -> None:
        print(f"\r\033[K{message}" if self.terminal else message, end="" if self.terminal else "\n", file=sys.stderr)
        sys.stderr.flush()
