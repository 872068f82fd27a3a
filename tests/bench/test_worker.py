"""The process of a contender: its replies, and what its parent sees when it dies."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

from scratchnst.bench import service
from scratchnst.bench.contender import Contender
from scratchnst.bench.process import Lost, Process
from scratchnst.bench.service import Service
from scratchnst.engine.cpu import threads
from scratchnst.errors import UserError


class Scripted(Contender):
    """A contender whose evaluation does what it is told."""

    def __init__(self, size, device):
        self.size, self.error = size, None

    def evaluate(self):
        if self.error:
            raise self.error
        return 2.5, np.full((self.size, self.size, 3), 7.0)

    def run(self, iterations):
        return {"loss": 1.0, "iterations": iterations}


@pytest.fixture
def worker(monkeypatch):
    """The service in this process, set up with the contender above."""
    monkeypatch.setattr(service, "CONTENDERS", {"scripted": Scripted})
    monkeypatch.setattr(service, "set_count", lambda number: None)
    monkeypatch.setattr(service, "threadpool_limits", lambda number, user_api: None)
    worker = Service()
    assert worker.answer("set_up", contender="scripted", size=4, threads=1) == {}
    return worker


def test_replies(worker):
    found = worker.answer("gradient")
    assert found["loss"] == 2.5
    np.testing.assert_array_equal(found["gradient"], np.full((4, 4, 3), 7.0))
    assert 0 <= worker.answer("evaluate")["seconds"] < 1
    assert worker.answer("run", iterations=3) == {"loss": 1.0, "iterations": 3}
    assert 10e6 < worker.answer("peak")["bytes"] < 100e9


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (MemoryError(), "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"), "out of memory"),
        (UserError("install it."), "install it."),
        (ValueError("first line\nsecond"), "ValueError: first line"),
    ],
)
def test_what_fails_is_told(worker, error, why):
    worker.contender.error = error
    assert worker.answer("evaluate") == {"failed": why}
    worker.contender.error = None
    assert "seconds" in worker.answer("evaluate")


@pytest.mark.parametrize(("do", "arguments"), [("leap", {}), ("evaluate", {"more": 1})])
def test_requests_that_are_none(worker, do, arguments):
    assert list(worker.answer(do, **arguments)) == ["failed"]


def test_peak_is_that_of_the_past():
    """To the kernel's own precision, some pages a thread."""
    held = np.ones(100_000_000, np.uint8)
    peak = service.peak_memory()
    del held
    assert peak > 99e6
    assert service.peak_memory() > 0.99 * peak


def test_a_process_of_its_own():
    with Process("winograd", 20, 1) as process:
        process.ask("set_up", **process.settings)
        assert process.ask("check")["error"] < 1e-4
        assert process.ask("evaluate")["seconds"] > 0
        with pytest.raises(Lost, match="leap"):
            process.ask("leap")
        assert process.ask("peak")["bytes"] > 10e6  # it goes on
    assert process.process.returncode is not None


def test_the_threads_set_are_the_workers_alone():
    before = threads.count()
    with Process("sgemm", 1, before + 3) as process:
        process.ask("set_up", **process.settings)
    assert threads.count() == before


def test_an_unknown_contender():
    with Process("a snail", 20, 1) as process, pytest.raises(Lost, match="a snail"):
        process.ask("set_up", **process.settings)


def test_killed_over_a_request():
    with Process("loops", 128, 1) as process:
        process.ask("set_up", **process.settings)
        timer = threading.Timer(0.3, process.process.kill)
        timer.start()
        with pytest.raises(Lost, match="memory runs out"):
            [process.ask("evaluate") for _ in range(1000)]
        timer.join()


def test_output_of_libraries_does_not_get_among_the_results(tmp_path):
    """The parent is a program of its own, whose stdout and stderr can be told apart."""
    (tmp_path / "chatty.py").write_text("import os\n\nprint('hello')\nos.system('echo hello')\n")
    (tmp_path / "program.py").write_text(
        "from scratchnst.bench.process import Process\n\n"
        "if __name__ == '__main__':\n"
        "    with Process('winograd', 20, 1, libraries=['chatty']) as process:\n"
        "        process.ask('set_up', **process.settings)\n"
    )
    command = [sys.executable, str(tmp_path / "program.py")]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr.count("hello") == 2
