"""What transfer and reconstruct share: run the job, show its progress, and say how it ended."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from pathlib import Path

from scratchnst.cli import pipes
from scratchnst.cli.pipes import PIPE
from scratchnst.cli.progress import Reporter
from scratchnst.cli.reports import tell
from scratchnst.errors import UserError
from scratchnst.messages import complain
from scratchnst.transfer import job, memory
from scratchnst.transfer.checkpoint import state_file
from scratchnst.transfer.forecast import Forecast, forecast
from scratchnst.transfer.record import end
from scratchnst.transfer.scales import StylizedByScales
from scratchnst.transfer.settings import Settings

FAILED, INTERRUPTED = 1, 130  # 130 is what shells report of a program ended by Ctrl-C


def given(arguments: argparse.Namespace) -> dict:
    """Return the settings among the arguments, which hold nothing but what was given."""
    names = {field.name for field in fields(Settings)}
    return {name: value for name, value in vars(arguments).items() if name in names}


@contextmanager
def _files(settings: Settings) -> Iterator[tuple[Settings, dict[Path, Path]]]:
    """Yield the settings with files in place of standard input and output, and what these are called: file -> dash.

    Raises
    ------
    UserError
        If standard input or output would be more than one picture.
    """
    pipes.check_one_input(settings.pictures)
    if settings.output == PIPE and settings.save_every:
        raise UserError("--save-every writes files beside the picture: name one by -o, or leave it out.")
    with ExitStack() as stack:
        files = {path: stack.enter_context(pipes.readable(path)) for path in settings.pictures}
        output = stack.enter_context(pipes.writable(settings.output))
        names = {file: path for path, file in [*files.items(), (settings.output, output)] if file != path}
        content = settings.content and files[settings.content]
        styles = tuple(files[path] for path in settings.styles)
        yield replace(settings, content=content, styles=styles, output=output), names


def run(settings: Settings, quiet: bool, dry_run: bool, as_json: bool = False, resume: bool | None = None) -> int:
    """Run the job, or tell what it would take, and return the exit status; `resume` is as for `job.run`."""
    if resume and settings.output == PIPE:
        raise UserError("--resume goes on from a file beside the picture: name one by -o, or leave it out.")
    with _files(settings) as (settings, names):
        return _run(settings, names, quiet, dry_run, as_json, resume)


def _run(
    settings: Settings, names: dict[Path, Path], quiet: bool, dry_run: bool, as_json: bool, resume: bool | None
) -> int:
    reporter = Reporter(settings.iterations, quiet)

    def notice(sentence):
        if not quiet:
            complain(sentence)

    if dry_run:
        found = forecast(settings, reporter.say, notice)
        if as_json:
            tell(outlook_facts(found))
        else:
            print(_outlook(found))
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
            names=names,
        )
    output = names.get(settings.output, settings.output)
    if as_json and output != PIPE:
        height, width, _ = result.image.shape
        tell({"output": str(output), "width": width, "height": height, **end(result), "terms": result.terms})
    return _tell(result, output, reporter)


def paint(settings: Settings, quiet: bool, as_json: bool = False) -> int:
    """Paint in one pass, and return the exit status."""
    say = Reporter(1, quiet).say
    with _files(settings) as (settings, names):
        painted = job.paint(settings, say, command=sys.argv, names=names)
        height, width, _ = painted.image.shape
        output = names.get(settings.output, settings.output)
        if as_json and output != PIPE:
            tell({"output": str(output), "width": width, "height": height, "seconds": round(painted.seconds, 2)})
        say(f"{output}: {width}x{height}, painted in one pass, {painted.seconds:.1f} s")
    return 0


def _tell(result: StylizedByScales, output: Path, reporter: Reporter) -> int:
    """Say how it ended, and return the exit status."""
    summary = (
        f"{output}: {result.stop_reason}; loss {result.loss:.5g} after {result.iterations} iterations, "
        f"{result.evaluations} evaluations, {result.seconds:.1f} s"
    )
    if result.kept is None:
        summary += "; the picture is the mean of all iterations"
    elif result.kept != result.iterations:
        summary += f"; the picture is that of iteration {result.kept}, whose loss is the lowest"
    if result.complete:
        reporter.say(summary)
        return 0
    goes_on = "; --resume goes on with this run" if state_file(output).exists() else ""
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


def outlook_facts(found: Forecast) -> dict:
    """Return how much memory and time a run would take, for JSON."""
    sizes = [{"width": width, "height": height, "iterations": steps} for (height, width), steps in found.scales]
    seconds = None if found.seconds is None else round(found.seconds, 1)
    return {
        "scales": sizes,
        "bytes": found.estimate.peak,
        "limit": found.limit,
        "seconds": seconds,
        "where": found.where,
    }


def in_words(seconds: float) -> str:
    """Return a time in seconds, minutes or hours."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
