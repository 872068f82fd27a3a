"""What the commands that make many pictures share: how they are shared among processes, and what is told of them."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from scratchnst.cli.arguments import positive_integer
from scratchnst.cli.job import FAILED, INTERRUPTED, in_words
from scratchnst.cli.pipes import PIPE
from scratchnst.errors import FileError, UserError
from scratchnst.messages import complain, one_line
from scratchnst.system.capacity import in_words as memory_in_words
from scratchnst.transfer import done
from scratchnst.transfer.many import Plan, Run, here, plan
from scratchnst.transfer.record import check_replaceable
from scratchnst.transfer.settings import Settings
from scratchnst.weights.load import choose_source


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add who makes many pictures, without defaults."""
    group = parser.add_argument_group("many pictures")
    group.add_argument(
        "--processes",
        type=positive_integer,
        metavar="N",
        help="pictures at a time, by a process each (as many as there are cores and memory for, on a GPU one)",
    )
    group.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="let the workers of a cluster compute: the address that dask scheduler prints, like tcp://10.0.0.1:8786",
    )


def check_alone(arguments: argparse.Namespace) -> None:
    """Raise a UserError if options of many pictures are given for one."""
    for name in ("processes", "scheduler"):
        if hasattr(arguments, name):
            raise UserError(f"--{name} is for many pictures, and one is named: leave it out, or name a directory.")


class Pictures:
    """Many runs, and how they end.

    Parameters
    ----------
    settings : of each
    arguments : the command's; --processes, --scheduler, --threads, --dry-run, --quiet and --json are used
    told : of each output, what --json tells beside its pictures
    """

    def __init__(
        self,
        settings: Sequence[Settings],
        arguments: argparse.Namespace,
        told: Mapping[Path, Mapping[str, Any]] | None = None,
    ):
        self.told = told or {}
        self.processes = getattr(arguments, "processes", None)
        self.scheduler = getattr(arguments, "scheduler", None)
        self.threads = getattr(arguments, "threads", None)
        self.dry_run, self.quiet = arguments.dry_run, arguments.quiet
        self.json = getattr(arguments, "json", False)
        self.total = len(settings)
        self.failed: dict[Path, str] = {}  # the output of each run that was left out, and why
        self.status = 0
        self._named: set[str] = set()  # reasons that were told
        self._check(settings)
        self.missing: list[Run] = []
        self.kept: list[Run] = []
        for one in settings:
            self._sort(replace(one, network=choose_source(one.network)[0], threads=None))

    def make(self) -> int:
        """Make the pictures that are missing, and return the exit status.

        Raises
        ------
        UserError
            If none can be made, a picture cannot be written, or the cluster is lost.
        """
        with self._workers() as (at_a_time, paint):
            share = (self.processes, self.threads) if at_a_time is None else (1, 1)
            found = plan(self.missing, self._refuse, *share)
            if not (found.runs or self.kept):
                raise UserError(next(iter(self.failed.values())))
            self._complain()
            at_a_time = max(1, min(at_a_time or len(found.threads), len(found.runs)))
            if self.dry_run or found.runs:
                self._tell_outlook(found, at_a_time)
            if self.dry_run:
                return self.status
            for run in self.kept:
                self._tell(run, kept=True)
            try:
                self._make(found, paint, at_a_time)
            except KeyboardInterrupt:
                complain("interrupted; what is finished stays: the same command goes on.")
                return INTERRUPTED
        return self.status

    def _check(self, settings: Sequence[Settings]) -> None:
        if any(PIPE in one.pictures for one in settings):
            raise UserError("standard input is for one picture, and here are several to be made: name a file.")
        for name, value in (("--processes", self.processes), ("--threads", self.threads)):
            if self.scheduler is not None and value is not None:
                raise UserError(f"{name} is of this machine: leave it out, or --scheduler.")

    def _sort(self, settings: Settings) -> None:
        """Note whether a picture is finished or missing."""
        check_replaceable(settings.record, settings.output)
        run = Run(settings, {}, sys.argv)
        try:
            run = replace(run, inputs=done.fingerprints(settings))
        except UserError as error:
            self._refuse(run, error)
        else:
            (self.kept if done.is_done(settings, run.inputs) else self.missing).append(run)

    def _refuse(self, run: Run, error: UserError) -> None:
        """Leave a run out, or raise the error where no other would fare better."""
        if isinstance(error, FileError):
            raise error
        self.failed[run.settings.output] = str(error)
        self.status = FAILED

    def _complain(self) -> None:
        """Tell why pictures were left out; one that is damaged may be the reason for many."""
        for reason in dict.fromkeys(self.failed.values()):
            if reason not in self._named:
                complain(f"left out: {reason}")
                self._named.add(reason)

    @contextmanager
    def _workers(self) -> Iterator[tuple[int | None, Callable]]:
        """Yield how many pictures other machines make at a time, None if it is this one, and who makes them."""
        if self.scheduler is None:
            yield None, here
            return
        try:
            from scratchnst.system import cluster
            from scratchnst.transfer import elsewhere
        except ImportError:
            raise UserError("--scheduler needs Dask: install it with pip install 'scratchnst[cluster]'.") from None
        with cluster.connected(self.scheduler, elsewhere.__name__) as found:
            yield found.workers, partial(elsewhere.there, found)

    def _make(self, found: Plan, paint: Callable, at_a_time: int) -> None:
        left, started = set(range(len(found.runs))), time.perf_counter()
        expected = found.seconds_left(at_a_time)
        for number, error in paint(found):
            left.discard(number)
            if error is not None:
                self._refuse(found.runs[number], error)
                self._complain()
                continue
            rest = found.seconds_left(at_a_time, left) if left else None
            if rest is not None and expected is not None and expected > rest:
                rest *= (time.perf_counter() - started) / (expected - rest)
            self._tell(found.runs[number], left=(len(left), rest))

    def _tell(self, run: Run, kept: bool = False, left: tuple[int, float | None] = (0, None)) -> None:
        """Tell of a picture that is there."""
        record = done.read_record(run.settings.record)
        result, used = record["result"], record["settings"]
        if not result["complete"]:
            complain(f"{run.settings.output}: {result['stopped']}; the last good image is saved.")
            self.status = FAILED
        if self.json:
            shape = {"width": used["width"], "height": used["height"]}
            pictures = {"content": used["content"], "styles": used["styles"]}
            told = {"output": str(run.settings.output), **pictures, **self.told.get(run.settings.output, {}), **shape}
            print(json.dumps({**told, "kept": kept, **{name: result.get(name) for name in TOLD}}), flush=True)
        if not self.quiet:
            number, seconds = left
            how = "finished before" if kept else _ended(result)
            rest = f"; {number} left" if number else ""
            rest += f", about {in_words(seconds)}" if seconds is not None else ""
            print(one_line(f"{run.settings.output}: {how}{rest}"), file=sys.stderr, flush=True)

    def _tell_outlook(self, found: Plan, at_a_time: int) -> None:
        """Tell how many pictures there are, and how long they will take."""
        seconds = found.seconds_left(at_a_time)
        if self.dry_run and self.json:
            numbers = {"pictures": self.total, "finished": len(self.kept), "left_out": len(self.failed)}
            told = {**numbers, "at_a_time": at_a_time, "bytes": found.peak, "seconds": seconds}
            print(json.dumps(told))
            return
        finished = f", {len(self.kept)} of them finished" if self.kept else ""
        duration = f", at most about {in_words(seconds)}" if seconds else ""
        memory = f", {memory_in_words(found.peak)} of memory each" if found.peak else ""
        networks = {str(run.settings.network) for run in (*found.runs, *self.kept)}
        by = f", network {networks.pop()}" if len(networks) == 1 else ""
        sentence = f"{self.total} pictures{finished}{by}; {at_a_time} at a time{memory}{duration}"
        if self.dry_run:
            print(one_line(sentence))
        elif not self.quiet:
            print(one_line(sentence), file=sys.stderr, flush=True)


TOLD = ("complete", "stopped", "loss", "iterations", "seconds")  # of the result of a run


def _ended(result: dict) -> str:
    if "loss" not in result:
        return f"painted in one pass, {result['seconds']:.1f} s"
    return f"loss {result['loss']:.5g} after {result['iterations']} iterations, {result['seconds']:.1f} s"
