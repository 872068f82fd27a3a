"""``scratchnst bench``: time, memory and accuracy on this machine, beside PyTorch if asked."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from scratchnst.bench import machine, measure, plot, report
from scratchnst.bench.plan import ON_CPU, ON_GPU, PARTS, Plan, complete
from scratchnst.cli import reports
from scratchnst.cli.arguments import check_figure, file, non_negative_number, positive_integer, size, threads
from scratchnst.cli.pipes import PIPE
from scratchnst.errors import UserError
from scratchnst.files import check_outputs, is_replaceable, open_input, write_atomically


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser(
        "bench",
        help="measure time, memory and accuracy on this machine",
        description="Measure loss and gradient of the paper's objective (VGG19 down to conv5_1 with random weights, "
        "float32, on a GPU also TF32) on this machine: speed and peak memory of one evaluation, a whole run, a ladder "
        "of four ways to convolve, and the accuracy; then a step of the training of a network that paints, and a "
        "painting by one. Contenders run in processes of their own and take turns. For "
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
        help=f"of the whole run ({ON_CPU['run_iterations']}; on a GPU {ON_GPU['run_iterations']})",
    )
    parser.add_argument(
        "--run-size",
        type=size,
        metavar="N",
        help=f"side of its images ({ON_CPU['run_size']}; on a GPU {ON_GPU['run_size']})",
    )
    parser.add_argument(
        "--minutes",
        type=non_negative_number,
        metavar="M",
        help="begin with nothing more after this time, and write what there is (no limit)",
    )
    parser.add_argument("--threads", type=threads, metavar="N", help="of everybody (the cores there are)")
    parser.add_argument(
        "--json",
        type=file,
        metavar="FILE|-",
        help="write everything measured so far, after each part; - prints it in the end, and nothing else",
    )
    parser.add_argument("--plot", type=file, metavar="FILE.png", help="draw seconds against pixels")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print tables as they come, write the files, and return the exit status."""
    plan = complete(**{field.name: getattr(arguments, field.name) for field in fields(Plan)})
    conditions = plan.conditions(arguments.threads)  # before anything takes time
    plan.check(arguments.parts)
    piped, path = arguments.json == PIPE, None if arguments.json == PIPE else arguments.json
    _check_files(arguments.parts, path, arguments.plot)
    facts = machine.facts(conditions.threads)
    if plan.device != "cpu":
        facts["device"] = measure.device_facts(conditions)
    say = (lambda lines: None) if piped else _print
    say([*report.machine(facts), *report.device(facts)])
    record: dict[str, Any] = {"machine": facts, "settings": asdict(plan)}
    left_out = []
    for part in [part for part in PARTS if part in arguments.parts]:
        results = []
        with _Status() as tell:
            for what, measured in plan.measure(part, replace(conditions, tell=tell)):
                if measured is None:
                    left_out.append(what)
                results += measured or []
                record[part] = [item.as_dict() for item in results]
                _save(record, path)
        if results:
            say(report.part(part, results, plan.device))
        if part == "speed" and arguments.plot:
            plot.draw(results, arguments.plot)
    if left_out:
        record["left_out"] = left_out
        _save(record, path)
        say(["", f"not measured, as the {plan.minutes:g} minutes were over: {', '.join(left_out)}"])
    if piped:
        reports.tell(record)
    return 0


def _check_files(parts: list[str], record: Path | None, figure: Path | None) -> None:
    """Refuse before anything is measured what could not be written in the end."""
    records = [record] if record else []
    check_outputs(records)
    if figure:
        if "speed" not in parts:
            raise UserError("--plot draws the part speed: add it to --parts.")
        check_figure(figure, others=records)
    for path in records:
        if not is_replaceable(path) and not _is_ours(path):
            raise UserError(f"{path} is there already, and is no record of bench: move it, or name another file.")


def _is_ours(path: Path) -> bool:
    """Tell whether a file is what `_save` has written."""
    try:
        with open_input(path) as file:
            record = json.load(file)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(record, dict) and record.keys() >= {"machine", "settings"}


def _save(record: dict[str, Any], path: Path | None) -> None:
    if path:
        write_atomically(path, (json.dumps(record, indent=2) + "\n").encode())


def _listed(extent: dict[str, Any]) -> str:
    return " ".join(map(str, extent["sizes"]))


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
