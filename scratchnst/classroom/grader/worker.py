"""The process in which a learner's file runs, see `scratchnst.classroom.grader.supervision`.

Events go to the supervisor as lines of JSON through what was standard output; what the learner's code prints does not.
A call that takes too long is ended by `faulthandler`, which also works while the code holds the interpreter's lock, and
which prints the line; memory is limited by the operating system where it can.
"""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import psutil

from scratchnst.classroom.grader import source as files
from scratchnst.classroom.grader.calls import Careful, Complaint
from scratchnst.classroom.grader.examination import FAILED, Finding, examine, failed, parameters_of
from scratchnst.classroom.grader.exercise import Exercise, Function, load_exercise
from scratchnst.classroom.grader.processes import go_on_in_a_child

OUT_OF_MEMORY = 73  # the status of a process whose memory ran out in the grader itself


def main(task: str) -> None:
    """Examine what the task, JSON of {file, specification, functions, seconds, memory}, asks for; end the process."""
    go_on_in_a_child()
    channel = _channel()
    try:
        settings = json.loads(task)
        exercise = load_exercise(Path(settings["specification"]))
        _send(channel, ready=os.getpid())
        os.dup2(1, 2)  # up to here, the supervisor wants to know of errors
        _limit_memory(settings["memory"])
        faulthandler.enable(channel)
        _examine(channel, exercise, **{name: settings[name] for name in ("file", "functions", "seconds")})
        _send(channel, end=True)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except Exception as error:  # a mistake of the grader's, not of the learner's
        _send(channel, broken=f"{type(error).__name__}: {error}")
    os._exit(0)  # not by the usual way: threads that the learner's code has started do not keep the process alive


def _examine(channel: TextIO, exercise: Exercise, file: str, functions: list[str], seconds: float) -> None:
    """Send what there is to say of the file and of each function."""

    @contextlib.contextmanager
    def watch() -> Iterator[None]:
        faulthandler.dump_traceback_later(seconds, exit=True, file=channel)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()

    try:
        source = files.read(Path(file))
        module = files.load(source, watch)
    except Complaint as complaint:
        _send(channel, problem=dataclasses.asdict(failed(Finding("", FAILED, 0), complaint)))
        return
    for function in exercise.functions:
        if function.name in functions:
            found = _one(channel, function, module, source, watch, [each.name for each in exercise.functions])
            _send(channel, found=dataclasses.asdict(found))


def _one(channel, function: Function, module, source, watch, names) -> Finding:
    try:
        found = files.find(module, function.name, names)
    except Complaint as complaint:
        return failed(Finding(function.name, FAILED, len(function.tests)), complaint)
    call = Careful(found, function.name, parameters_of(function), source, watch)
    return examine(function, call, lambda finding: _send(channel, trying=dataclasses.asdict(finding)))


def _channel() -> TextIO:
    """What was standard output, which from now on leads nowhere, as do errors and input."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    return channel


def _send(channel: TextIO, **event: Any) -> None:
    print(json.dumps(event), file=channel, flush=True)


def _limit_memory(limit: int) -> None:
    """Let the process take `limit` bytes more, where the system has such a limit; the supervisor watches anyhow."""
    with contextlib.suppress(ImportError, OSError, ValueError, AttributeError):
        import resource  # which Windows lacks

        taken = psutil.Process().memory_info().vms
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = taken + limit if hard == resource.RLIM_INFINITY else min(taken + limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


if __name__ == "__main__":
    main(sys.argv[1])
