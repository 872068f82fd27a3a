"""``scratchnst gradcheck``: verify every derivative of this package, and the verification itself."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from scratchnst.cli import computation
from scratchnst.cli.arguments import check_figure, file, non_negative_integer, size
from scratchnst.engine import Engine, textbook
from scratchnst.engine.devices import AUTO, EMULATED, ENGINES, computing
from scratchnst.errors import UserError
from scratchnst.messages import complain
from scratchnst.verify import plot
from scratchnst.verify.engines import OBJECTIVE, check_engine, first_wrong_operation, small_network
from scratchnst.verify.mutation.mutants import MutantResult, run_mutants
from scratchnst.verify.operations import OPERATIONS
from scratchnst.verify.report import Report
from scratchnst.weights.load import load_network, source_file

COLUMNS = "{:<27}{:<5}{:>10}{:>8}{:>8}{:>16}  {:<12}{:>9}"
MUTANT_COLUMNS = "{:<63}{:<11}{:<62}{}"
WARM_UP, LONG = 16, 20  # elements before the others' time is estimated, and seconds worth telling
NAN = (
    "On the emulated GPU nan is what memory holds that no thread has written: look for outputs that are left out, and "
    "for shared memory that is read without a barrier, or of which not all is filled."
)


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser(
        "gradcheck",
        help="verify the hand-written derivatives numerically",
        description="Compare every hand-written derivative with numerical ones. The table shows, for each input of an "
        "operation, the largest relative error of the elements compared, the order in which the Taylor remainder "
        "shrinks (2 if the gradient is right, 1 if it is wrong, - where there is nothing but round-off), and how many "
        "elements cross a kink. The exit status is 1 if anything is not right.",
    )
    parser.add_argument(
        "--op",
        nargs="+",
        metavar="NAME",
        choices=[*OPERATIONS, OBJECTIVE],
        help=f"only these: {', '.join(OPERATIONS)}, {OBJECTIVE}",
    )
    parser.add_argument(
        "--network", metavar="NAME|FILE", help="of the full objective (a small VGG19 of random weights)"
    )
    parser.add_argument(
        "--size", type=size, metavar="N", help="side of the images in pixels (5, on a GPU 9x90, of the objective 16)"
    )
    parser.add_argument("--seed", type=non_negative_integer, default=0, metavar="N", help="of all chance (0)")
    parser.add_argument(
        "--engine", choices=list(ENGINES), help="whose operations (textbook, or that of the --device given)"
    )
    computation.add_device(parser, default=None)
    parser.add_argument("--full", action="store_true", help="compare every element of the objective's gradient")
    parser.add_argument("--mutants", action="store_true", help="plant mistakes instead, and see whether they are found")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--plot", type=file, metavar="FILE.png", help="draw V-curves, gradient and error")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check, print the table and return the exit status."""
    if arguments.plot:
        check_figure(arguments.plot, [source_file(arguments.network) if arguments.network else None])
    if arguments.mutants:
        _refuse_with_mutants(arguments)
        return _run_mutants(arguments)
    engine_name = arguments.engine or (None if arguments.device else textbook.name)
    with computing(engine_name, arguments.device or AUTO, complain) as engine:
        return _check(arguments, engine)


def _check(arguments: argparse.Namespace, engine: Engine) -> int:
    """Check the operations of an engine, print the table and return the exit status."""
    network = load_network(arguments.network) if arguments.network else small_network(arguments.seed)
    network = network.on(engine)
    if not arguments.json:
        print(COLUMNS.format("operation", "of", "elements", "error", "order", "kinks crossed", "verdict", "seconds"))
    reports, settings = [], (arguments.seed, arguments.size)
    bar = _ElementBar(not arguments.json)
    for report in check_engine(network, arguments.op, *settings, every_element=arguments.full, on_element=bar):
        reports.append(report)
        if not arguments.json:
            _print_rows(report)
    if arguments.json:
        print(json.dumps([report.as_dict() for report in reports], indent=2))
    else:
        _print_end(reports, arguments.device == EMULATED)
        if not all(report.passed for report in reports if report.name not in OPERATIONS):
            print(f"\n{first_wrong_operation(network, *settings)}")
    if arguments.plot:
        plot.draw(reports, arguments.plot)
    return 0 if all(report.passed for report in reports) else 1


class _ElementBar:
    """Progress of one long check, called after each element, and an estimate of its time."""

    def __init__(self, shown: bool):
        self.shown, self.started = shown, 0.0
        self.bar: Any = None

    def __call__(self, done: int, total: int) -> None:
        if self.bar is None:
            disable = not (self.shown and sys.stderr.isatty())
            self.bar = tqdm(total=total, unit=" elements", leave=False, delay=1, disable=disable)
        if done == WARM_UP:
            self.started = time.perf_counter()
        if done == 2 * WARM_UP:
            seconds = (time.perf_counter() - self.started) / WARM_UP * (total - done)
            if seconds > LONG and self.shown:
                print(f"{total} elements will take about {seconds:.0f} s.", file=sys.stderr)
        self.bar.update(done - self.bar.n)
        if done == total:
            self.bar.close()


def _print_rows(report: Report) -> None:
    """One row an input."""
    for problem in report.problems:
        print(f"{report.name:<27}{report.verdict}: {problem}")
    for item in report.inputs:
        compared = f"{item.judged}/{item.total}"
        error = "-" if item.relative_error is None else f"{item.relative_error:.0e}"
        order = "-" if item.order is None else f"{item.order:.2f}"
        crossed = str(item.kinks.crossed) if item.kinks.crossed else "-"
        seconds = f"{report.seconds:.1f}" if item is report.inputs[0] else ""
        name = report.name if item is report.inputs[0] else ""
        print(COLUMNS.format(name, item.name, compared, error, order, crossed, item.verdict, seconds), flush=True)


def _print_end(reports: Sequence[Report], is_emulated: bool) -> None:
    """The whole text of what is not right, and the sum."""
    wrong = [report for report in reports if not report.passed]
    for report in wrong:
        print(f"\n{report}")
    if is_emulated and any(" nan " in f"{report}".replace(":", " ") for report in wrong):
        print(f"\n{NAN}")
    seconds = sum(report.seconds for report in reports)
    said = "everything is right" if not wrong else f"{len(wrong)} of {len(reports)} are not right"
    print(f"\n{said}, {seconds:.0f} s")


def _refuse_with_mutants(arguments):
    for name in ("op", "network", "size", "engine", "device", "plot", "full"):
        if getattr(arguments, name):
            raise UserError(f"--mutants plants mistakes of its own: leave out --{name}.")


def _run_mutants(arguments: argparse.Namespace) -> int:
    """Plant mistakes and print what became of each."""
    start, rows = time.perf_counter(), []
    if not arguments.json:
        print(MUTANT_COLUMNS.format("mistake", "outcome", "caught by", "diagnosed as"))
    for row in run_mutants(arguments.seed):
        rows.append(row)
        if not arguments.json:
            print(
                MUTANT_COLUMNS.format(row.mutant.name, row.outcome, ", ".join(row.methods), row.diagnosis), flush=True
            )
    counts = {outcome: sum(row.outcome == outcome for row in rows) for outcome in sorted({row.outcome for row in rows})}
    if arguments.json:
        print(json.dumps([_as_dict(row) for row in rows], indent=2))
    else:
        told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
        print(f"\n{len(rows)} changes: {told}; {time.perf_counter() - start:.0f} s")
    return 1 if any(counts.get(outcome) for outcome in ("missed", "misnamed", "false alarm")) else 0


def _as_dict(row: MutantResult) -> dict:
    return {
        "mistake": row.mutant.name,
        "module": row.mutant.module,
        "outcome": row.outcome,
        "caught by": list(row.methods),
        "diagnosis": row.diagnosis,
        "sentence": row.sentence,
        "seconds": round(row.seconds, 2),
    }
