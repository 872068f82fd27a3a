"""``scratchnst bench``: time, memory and accuracy on this machine, beside PyTorch if asked."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from scratchnst import images
from scratchnst.bench import machine, measure, peer, plot, problem, report
from scratchnst.bench.measure import Conditions, Result
from scratchnst.cli.arguments import positive_integer, size
from scratchnst.engine.cpu import threads
from scratchnst.errors import UserError
from scratchnst.files import check_writable, write_atomically

PARTS = ("speed", "run", "ladder", "accuracy")
SETTINGS = ("sizes", "peer", "prepare_peer", "repeats", "run_size", "run_iterations")
SIZES = (256, 512, 1024)


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser(
        "bench",
        help="measure time, memory and accuracy on this machine",
        description="Measure loss and gradient of the paper's objective (VGG19 down to conv5_1 with random weights, "
        "float32) on this machine: speed and peak memory of one evaluation, a whole run, a ladder of four ways to "
        "convolve, and the accuracy. Contenders run in processes of their own and take turns. For figures worth "
        "keeping, leave the machine alone meanwhile.",
    )
    parser.add_argument(
        "--sizes",
        type=size,
        nargs="+",
        default=list(SIZES),
        metavar="N",
        help=f"sides of the images in pixels ({' '.join(map(str, SIZES))})",
    )
    parser.add_argument("--peer", choices=["torch"], help="measure PyTorch as well, in both memory formats")
    parser.add_argument(
        "--prepare-peer",
        action="store_true",
        help="let PyTorch's processes keep the memory of freed arrays, as this program does: less time, more memory",
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure (all)")
    parser.add_argument("--repeats", type=positive_integer, default=7, metavar="N", help="evaluations that count (7)")
    parser.add_argument(
        "--run-iterations", type=positive_integer, default=100, metavar="N", help="of the whole run (100)"
    )
    parser.add_argument("--run-size", type=size, default=256, metavar="N", help="side of its images (256)")
    parser.add_argument("--threads", type=positive_integer, metavar="N", help="of everybody (the cores there are)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw seconds against pixels")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print tables as they come, write the files, and return the exit status."""
    _check(arguments)
    count = arguments.threads or threads.count()
    facts = machine.facts(count)
    _print(report.machine(facts))
    results: dict[str, list[Result]] = {}
    for part in PARTS:
        if part in arguments.parts:
            with _Status() as tell:
                peers = list(peer.PEERS) if arguments.peer else []
                results[part] = MEASURE[part](arguments, Conditions(count, peers, arguments.prepare_peer, tell))
            _print(REPORT[part](results[part]))
    if arguments.json:
        settings = {key: getattr(arguments, key) for key in SETTINGS}
        record: dict[str, Any] = {"machine": facts, "settings": settings}
        record.update({part: [item.as_dict() for item in items] for part, items in results.items()})
        write_atomically(arguments.json, (json.dumps(record, indent=2) + "\n").encode())
    if arguments.plot:
        plot.draw(results["speed"], arguments.plot)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse before anything is measured what would fail in the end."""
    for side in [*(arguments.sizes if "speed" in arguments.parts else []), arguments.run_size]:
        problem.check(side)
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


def _speed(arguments: argparse.Namespace, conditions: Conditions) -> list[Result]:
    results = []
    for side in dict.fromkeys(arguments.sizes):
        results += measure.speed(side, arguments.repeats, conditions)
    return results


def _whole_run(arguments: argparse.Namespace, conditions: Conditions) -> list[Result]:
    return measure.whole_run(arguments.run_size, arguments.run_iterations, conditions)


def _ladder(arguments: argparse.Namespace, conditions: Conditions) -> list[Result]:
    return measure.climb(arguments.repeats, conditions)


def _accuracy(arguments: argparse.Namespace, conditions: Conditions) -> list[Result]:
    return measure.exactness(conditions)


MEASURE = {"speed": _speed, "run": _whole_run, "ladder": _ladder, "accuracy": _accuracy}
REPORT = {"speed": report.speed, "run": report.whole_run, "ladder": report.climb, "accuracy": report.exactness}


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
