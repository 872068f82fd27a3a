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
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from scratchnst.classroom.grader import source as files
from scratchnst.classroom.grader.calls import Source, described
from scratchnst.classroom.grader.examination import FAILED, LARGE, NOT_WRITTEN, PASSED, Finding, too_large
from scratchnst.classroom.grader.exercise import load_exercise
from scratchnst.classroom.grader.processes import adopt_orphans
from scratchnst.classroom.grader.worker import OUT_OF_MEMORY
from scratchnst.errors import UserError
from scratchnst.messages import printable

SECONDS = 10.0  # for one call, which takes milliseconds if it is right
TEST_SECONDS = 6  # times that for all calls of one test together
MEMORY = 2 << 30  # bytes
POLL = 0.05  # seconds between two looks at the process
KILLING = 10.0  # seconds in which what the learner's code has started is ended
LONGEST_LINE, MOST_READ = 1 << 20, 16 << 20  # bytes that the process may say in a line and in all
MOST_TOLD = 200  # lines, the last, of what it says besides events
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
    differentiating : libraries that the file imports and that differentiate by themselves
    """

    findings: tuple[Finding, ...] = ()
    problem: Finding | None = None
    answers: tuple[str, ...] = ()
    differentiating: tuple[str, ...] = ()

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
    differentiating = tuple(files.imported_derivatives(source))
    return Grade(tuple(findings[name] for name in names), None, answers, differentiating)


class _Worker:
    """The process that `scratchnst.classroom.grader.worker` describes; on leaving, nothing runs on."""

    def __init__(self, task: dict[str, Any]):
        self.before = psutil.Process().children(recursive=True)
        adopt_orphans()
        start = f"import sys; sys.path[:] = {sys.path!r}; from {__package__}.worker import main; main(sys.argv[1])"
        self.task, self.excess = task, ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", start, json.dumps(task)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **SINGLE_THREADED, "MPLBACKEND": "Agg", "PYTHONIOENCODING": "utf-8"},
            start_new_session=True,  # Ctrl-C is for the supervisor
        )
        self.watched = psutil.Process(self.process.pid)
        self.last = time.monotonic()  # when it was heard of
        self.lines: queue.Queue[str] = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_) -> None:
        self._kill()
        self.process.wait()
        self._reap()
        adopt_orphans(False)
        self.reader.join(timeout=1)
        if not self.reader.is_alive():  # a process that has left the group may hold the pipe open
            for pipe in (self.process.stdout, self.process.stderr):
                assert pipe is not None
                pipe.close()

    def run(self, findings: dict[str, Finding], source: Source) -> Finding | None:
        """Collect findings up to the end of the process; return what is wrong with the file as a whole, or None."""
        ready, trying, told = False, None, deque[str](maxlen=MOST_TOLD)
        for line in self._lines():
            kind, value = _event(line, self.task["functions"])
            if not kind:
                told.append(line)  # by faulthandler, at the end of the process
                continue
            self.last = time.monotonic()
            if kind == "ready" and not ready:  # before the learner's file is loaded, which could say so as well
                ready = True
                with contextlib.suppress(psutil.Error):  # it may have ended since
                    self.watched = psutil.Process(value)
            elif kind == "problem":
                return value
            elif kind == "broken":
                raise UserError(
                    f"the checker itself failed ({printable(value)}). Unless your file changes what is not its own, "
                    "such as Python's built-in functions, that is no mistake of yours."
                )
            elif kind == "trying":
                trying = value
            elif kind == "found":
                findings[value.function], trying = value, None
            elif kind == "end":
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
        read = 0
        while read < MOST_READ and (line := self.process.stdout.readline(LONGEST_LINE)):
            self.lines.put(line.decode("utf-8", "replace"))
            read += len(line)
        if read >= MOST_READ:
            self.excess = "words"

    def _lines(self):
        """Lines of the process until it ends, says or takes too much, or is silent for too long."""
        while True:
            try:
                yield self.lines.get(timeout=POLL)
                continue
            except queue.Empty:
                pass
            if self.process.poll() is not None:
                self.reader.join(timeout=1)
                while not self.lines.empty():
                    yield self.lines.get()
                return
            try:
                large = self.watched.memory_info().rss > self.task["memory"]
            except psutil.Error:  # it has just ended
                large = False
            late = time.monotonic() - self.last > TEST_SECONDS * self.task["seconds"] + 30
            if large or late or self.excess:
                self.excess = self.excess or ("memory" if large else "time")
                self._kill()

    def _kill(self) -> None:
        """End the process and all that the learner's code has started: what descends from the grader's process."""
        until = time.monotonic() + KILLING
        while (left := self._descendants()) and time.monotonic() < until:
            for each in left:
                with contextlib.suppress(psutil.Error):
                    each.kill()
            psutil.wait_procs([each for each in left if each.pid != self.process.pid], timeout=POLL)
            self.process.poll()

    def _reap(self) -> None:
        """Let the system forget the adopted processes, which have ended."""
        for each in psutil.Process().children():
            if each not in self.before and _is_zombie(each):
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(each.pid, os.WNOHANG)

    def _descendants(self):
        """The processes that the grader's has now and did not have before."""
        now = psutil.Process().children(recursive=True)
        return [each for each in now if each not in self.before and each.is_running() and not _is_zombie(each)]

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
            advice = f"{too_large(trying)} {advice}" if trying.key == LARGE else advice
        elif trying.key == LARGE and (told.startswith("Timeout") or self.excess == "time"):
            key, problem = "slow", f"Right, but too slow: a call was stopped after {seconds:g} seconds."
            advice = f"{too_large(trying)} Which of your loops can products of whole arrays take the place of?"
        elif told.startswith("Timeout"):
            key, problem = "endless", f"A call takes longer than {seconds:g} seconds and was stopped."
            advice = "Does what this line does ever end, or the loop around it? What would have to change for that?"
        elif self.excess == "words":
            key, problem = "channel", "Your code writes into a file that it has not opened; the checker uses it."
            advice = "Is there an os.write, or an open() of a number? Leave it out."
        elif self.excess == "time":
            key, problem = "slow", "The calls of this test take too long together and were stopped."
            advice = "Each of them takes milliseconds without loops in Python over every element."
        elif status < 0 or told:
            key, problem = "signal", f"Your code makes Python itself crash ({_ending(status)})."
            advice = "That takes unusual means: deep recursion, as_strided beyond an array's end, ctypes or os.kill."
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


def _is_zombie(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def _event(line: str, functions: Sequence[str]) -> tuple[str, Any]:
    """What kind of event the worker tells in a line, and its value; ("", None) if it was not the worker."""
    with contextlib.suppress(AttributeError, ValueError, TypeError, RecursionError):
        ((kind, value),) = json.loads(line).items()
        if kind in ("problem", "trying", "found"):
            finding = _finding(value)
            if finding.function in ([""] if kind == "problem" else functions):
                return kind, finding
        if isinstance(value, {"ready": int, "end": int, "broken": str}.get(kind, ())):
            return kind, value
    return "", None


def _finding(fields: dict[str, Any]) -> Finding:
    """A finding that travelled as JSON, in which tuples are lists; raises a ValueError if it is none."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    finding = Finding(**values)
    for name, usual in vars(Finding("", FAILED, 0)).items():
        value = getattr(finding, name)
        parts = value if isinstance(value, tuple) else ()
        if type(value) is not type(usual) or not all(isinstance(part, str) for part in parts):
            raise ValueError(f"{name} is {value!r}")
    if finding.state not in (PASSED, FAILED, NOT_WRITTEN):
        raise ValueError(f"there is no state {finding.state!r}")
    return finding
