"""Grading a learner's file in a process of its own, whatever the file does: nothing of it can harm the grader."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from scratchnst.classroom.grader import source as files
from scratchnst.classroom.grader.calls import Source, described
from scratchnst.classroom.grader.examination import FAILED, PASSED, Finding
from scratchnst.classroom.grader.exercise import load_exercise
from scratchnst.classroom.grader.worker import OUT_OF_MEMORY
from scratchnst.errors import UserError

SECONDS = 10.0  # for one call, which takes milliseconds if it is right
TEST_SECONDS = 6  # times that for all calls of one test together
MEMORY = 2 << 30  # bytes
POLL = 0.05  # seconds between two looks at the process
FRAME = re.compile(r'File "(.*)", line (\d+) in (.*)')
SINGLE_THREADED = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}


@dataclass(frozen=True)
class Grade:
    """What was found of a file.

    Attributes
    ----------
    findings : of each function, in the order of the exercise
    problem : what keeps the file as a whole from being loaded, or None
    answers : modules with the answer that the file imports
    """

    findings: tuple[Finding, ...] = ()
    problem: Finding | None = None
    answers: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all functions passed."""
        return self.problem is None and all(finding.state == PASSED for finding in self.findings)


def grade(
    path: Path,
    specification: Path,
    functions: Sequence[str] | None = None,
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> Grade:
    """Grade a learner's file.

    Parameters
    ----------
    path : the file
    specification : the file with the exercise
    functions : names of those to examine; all, if None
    seconds : that one call may take
    memory : bytes that the learner's code may take

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    source, exercise = files.read(path), load_exercise(specification)
    names = [function.name for function in exercise.functions if functions is None or function.name in functions]
    answers = tuple(files.imported_answers(source, exercise.answers))
    findings: dict[str, Finding] = {}
    while len(findings) < len(names):  # a function that ends the process leaves the others to another process
        left = [name for name in names if name not in findings]
        paths = {"file": str(path), "specification": str(specification)}
        with _Worker({**paths, "functions": left, "seconds": seconds, "memory": memory}) as worker:
            problem = worker.run(findings, source)
        if problem is not None:
            return Grade(problem=problem, answers=answers)
        if left[0] not in findings:
            raise UserError(f"the checker lost touch with {path}: does it write to files that it has not opened?")
    return Grade(tuple(findings[name] for name in names), None, answers)


class _Worker:
    """The process that `scratchnst.classroom.grader.worker` describes; on leaving, nothing runs on."""

    def __init__(self, task: dict[str, Any]):
        start = f"import sys; sys.path[:] = {sys.path!r}; from {__package__}.worker import main; main(sys.argv[1])"
        self.task = task
        self.process = subprocess.Popen(
            [sys.executable, "-c", start, json.dumps(task)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **SINGLE_THREADED, "MPLBACKEND": "Agg", "PYTHONIOENCODING": "utf-8"},
            start_new_session=True,  # Ctrl-C is for the supervisor
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_) -> None:
        self._kill()
        self.process.wait()
        self.reader.join(timeout=1)
        if not self.reader.is_alive():  # a process that has left the group may hold the pipe open
            for pipe in (self.process.stdout, self.process.stderr):
                assert pipe is not None
                pipe.close()

    def run(self, findings: dict[str, Finding], source: Source) -> Finding | None:
        """Collect findings up to the end of the process; return what is wrong with the file as a whole, or None."""
        ready, trying, told = False, None, []
        for line in self._events():
            event = _event(line)
            if event is None:
                told.append(line)  # by faulthandler, at the end of the process
                continue
            ready = ready or "ready" in event
            if "problem" in event:
                return _finding(event["problem"])
            if "broken" in event:
                raise UserError(
                    f"the checker itself failed ({event['broken']}). Unless your file changes what is not its own, "
                    "such as Python's built-in functions, that is no mistake of yours."
                )
            if "trying" in event:
                trying = _finding(event["trying"])
            if "found" in event:
                finding = _finding(event["found"])
                findings[finding.function], trying = finding, None
            if "end" in event:
                return None
        if not ready:
            raise UserError(f"the checker could not be started: {self._last_words()}")
        lost = self._cause("".join(told), source, trying or Finding("", FAILED, 0))
        if trying is None:
            return lost
        findings[trying.function] = lost
        return None

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.decode("utf-8", "replace"))

    def _events(self):
        """Lines of the process until it ends, is too large or silent for too long."""
        self.excess = ""
        watched, last = psutil.Process(self.process.pid), time.monotonic()
        while True:
            try:
                yield self.lines.get(timeout=POLL)
                last = time.monotonic()
                continue
            except queue.Empty:
                pass
            if self.process.poll() is not None:
                self.reader.join(timeout=1)
                while not self.lines.empty():
                    yield self.lines.get()
                return
            try:
                large = watched.memory_info().rss > self.task["memory"]
            except psutil.Error:  # it has just ended
                large = False
            if large or time.monotonic() - last > TEST_SECONDS * self.task["seconds"] + 30:
                self.excess = "memory" if large else "time"
                self._kill()

    def _kill(self) -> None:
        """End the process, and those that the learner's code has started where the system has process groups."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()

    def _cause(self, told: str, source: Source, trying: Finding) -> Finding:
        """Why the process ended, in the place of the finding of what it was trying."""
        status, seconds = self.process.wait(), self.task["seconds"]
        frames = [match.groups() for match in FRAME.finditer(told)]
        own = source.name.encode("ascii", "backslashreplace").decode()  # as faulthandler writes it
        lines = [described(int(line), name, source) for file, line, name in frames if file == own][:1]
        if trying.problem:  # all was said but the likely mistake, the search for which ended the process
            return trying
        if self.excess == "memory" or status == OUT_OF_MEMORY:
            key, problem = "memory", "Your code asks for more memory than it is given here."
            advice = "Which array, or list, grows so large?"
        elif told.startswith("Timeout"):
            key, problem = "endless", f"A call takes longer than {seconds:g} seconds and was stopped."
            advice = "Does what this line does ever end, or the loop around it? What would have to change for that?"
        elif self.excess == "time":
            key, problem = "slow", "The calls of this test take too long together and were stopped."
            advice = "Each of them takes milliseconds without loops in Python over every element."
        elif status < 0 or told:
            key, problem = "signal", f"Your code makes Python itself crash ({_ending(status)})."
            advice = "That takes unusual means: very deep recursion, as_strided beyond an array's end, or ctypes."
        else:
            key, problem = "exit", f"Your code ends the whole process ({_ending(status)}), as os._exit does."
            advice = "A function returns its result; leave out what ends the program."
        return replace(trying, problem=problem, key=key, lines=tuple(lines), advice=advice)

    def _last_words(self) -> str:
        assert self.process.stderr is not None
        said = self.process.stderr.read().decode("utf-8", "replace").strip().splitlines()
        return said[-1] if said else _ending(self.process.wait())


def _ending(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:  # one of those that have no name of their own
        name = f"signal {-status}"
    return f"{name}, as systems do when memory runs out" if name == "SIGKILL" else name


def _event(line: str) -> dict[str, Any] | None:
    """What the worker says in a line, or None if it was not the worker."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _finding(fields: dict[str, Any]) -> Finding:
    """A finding that travelled as JSON, in which tuples are lists."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    return Finding(**values)
