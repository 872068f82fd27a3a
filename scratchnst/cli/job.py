"""What transfer and reconstruct share: run the job, show its progress, and say how it ended."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import fields

from scratchnst.cli.progress import Reporter
from scratchnst.messages import complain
from scratchnst.transfer import job, memory
from scratchnst.transfer.checkpoint import state_file
from scratchnst.transfer.forecast import Forecast, forecast
from scratchnst.transfer.scales import StylizedByScales
from scratchnst.transfer.settings import Settings

FAILED, INTERRUPTED = 1, 130  # 130 is what shells report of a program ended by Ctrl-C


def given(arguments: argparse.Namespace) -> dict:
    """Return the settings among the arguments, which hold nothing but what was given."""
    names = {field.name for field in fields(Settings)}
    return {name: value for name, value in vars(arguments).items() if name in names}


def run(settings: Settings, quiet: bool, dry_run: bool, resume: bool | None = None) -> int:
    """Run the job, or tell what it would take, and return the exit status; `resume` is as for `job.run`."""
    reporter = Reporter(settings.iterations, quiet)

    def notice(sentence):
        if not quiet:
            complain(sentence)

    if dry_run:
        print(_outlook(forecast(settings, reporter.say, notice)))
        return 0
    with ExitStack() as stack:

        def begin_scale(number, scales):
            if not reporter.scales:
                reporter.scales = scales
                stack.enter_context(reporter)
            reporter.begin_scale(number)

        result = job.run(
            settings,
            reporter.step,
            reporter.say,
            on_scale=begin_scale,
            notice=notice,
            warn=complain,
            command=sys.argv,
            resume=resume,
        )
    return _tell(result, settings, reporter)


def paint(settings: Settings, quiet: bool) -> int:
    """Paint in one pass, and return the exit status."""
    say = Reporter(1, quiet).say
    painted = job.paint(settings, say, command=sys.argv)
    height, width, _ = painted.image.shape
    say(f"{settings.output}: {width}x{height}, painted in one pass, {painted.seconds:.1f} s")
    return 0


def _tell(result: StylizedByScales, settings: Settings, reporter: Reporter) -> int:
    """Say how it ended, and return the exit status."""
    summary = (
        f"{settings.output}: {result.stop_reason}; loss {result.loss:.5g} after {result.iterations} iterations, "
        f"{result.evaluations} evaluations, {result.seconds:.1f} s"
    )
    if result.kept is None:
        summary += "; the picture is the mean of all iterations"
    elif result.kept != result.iterations:
        summary += f"; the picture is that of iteration {result.kept}, whose loss is the lowest"
    if result.complete:
        reporter.say(summary)
        return 0
    goes_on = "; --resume goes on with this run" if state_file(settings.output).exists() else ""
    complain(f"{summary}; the last good image is saved{goes_on}.")
    return INTERRUPTED if result.stop_reason == "interrupted" else FAILED


def _outlook(found: Forecast) -> str:
    """Say how much memory and time a run would take."""
    sizes = ", ".join(f"{width}x{height} ({iterations} iterations)" for (height, width), iterations in found.scales)
    time = "far more than on the CPU: a GPU is emulated"
    if found.seconds is not None:
        time = f"about {in_words(found.seconds)} on {found.where}"
    return (
        f"size    {sizes}\n"
        f"memory  {found.estimate.in_words()}; the limit is {memory.in_words(found.limit)}\n"
        f"time    {time}"
    )


def in_words(seconds: float) -> str:
    """Return a time in seconds, minutes or hours."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
