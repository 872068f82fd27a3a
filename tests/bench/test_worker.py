"""The worker of the benchmark: its protocol, and how its master sees it die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from scratchnst.bench import service
from scratchnst.bench import worker as worker_module
from scratchnst.bench.process import Lost, Process
from scratchnst.bench.service import Service
from scratchnst.engine.cpu import threads
from scratchnst.errors import UserError


class Scripted:
    """A contender whose evaluation does what it is told."""

    def __init__(self, size, threads, error=None):
        self.size, self.error = size, error

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
    assert ask(worker, "set_up", contender="scripted", size=4, threads=1) == {}
    return worker


def ask(worker, do, **arguments):
    return worker.answer(json.dumps({"do": do, **arguments}))


def test_replies(worker, tmp_path):
    assert ask(worker, "check", file=str(tmp_path / "gradient.npy")) == {"loss": 2.5}
    np.testing.assert_array_equal(np.load(tmp_path / "gradient.npy"), np.full((4, 4, 3), 7.0))
    assert 0 <= ask(worker, "evaluate")["seconds"] < 1
    assert ask(worker, "run", iterations=3) == {"loss": 1.0, "iterations": 3}
    assert 10e6 < ask(worker, "peak")["bytes"] < 100e9


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
    assert ask(worker, "evaluate") == {"failed": why}
    worker.contender.error = None
    assert "seconds" in ask(worker, "evaluate")


@pytest.mark.parametrize("line", ["", "[]", "{}", "no JSON", '{"do": "answer"}', '{"do": "evaluate", "more": 1}'])
def test_requests_that_are_none(worker, line):
    assert list(worker.answer(line)) == ["failed"]


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
        with pytest.raises(Lost, match="there is no request 'leap'"):
            process.ask("leap")
        assert process.ask("peak")["bytes"] > 10e6  # it goes on
    assert process.process.poll() is not None


def test_the_threads_set_are_the_workers_alone():
    before = threads.count()
    with Process("sgemm", 1, before + 3) as process:
        process.ask("set_up", **process.settings)
    assert threads.count() == before


def test_an_unknown_contender():
    with Process("a snail", 20, 1) as process, pytest.raises(Lost, match="a snail"):
        process.ask("set_up", **process.settings)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_between_two_requests(number):
    with Process("winograd", 20, 1) as process:
        process.ask("set_up", **process.settings)
        os.kill(process.process.pid, number)
        process.process.wait(10)
        for _ in range(2):
            with pytest.raises(Lost, match="memory runs out" if number == signal.SIGKILL else "ended by SIGTERM"):
                process.ask("evaluate")


def test_killed_over_a_request():
    with Process("loops", 128, 1) as process:
        process.ask("set_up", **process.settings)
        timer = threading.Timer(0.3, process.process.kill)
        timer.start()
        with pytest.raises(Lost, match="memory runs out"):
            [process.ask("evaluate") for _ in range(1000)]
        timer.join()


def test_output_of_libraries_does_not_get_into_replies():
    program = (
        "import os; from scratchnst.bench import service;"
        "service.CONTENDERS = {'chatty': lambda size, threads: (print('hello'), os.system('echo hello'))};"
        "service.serve()"
    )
    line = json.dumps({"do": "set_up", "contender": "chatty", "size": 1, "threads": 1}) + "\n"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], text=True, **pipes) as process:
        print(line, end="", file=process.stdin, flush=True)
        assert process.stdout.readline() == "{}\n"
        said, complained = process.communicate()
    assert (process.returncode, said) == (0, "")
    assert complained.count("hello") == 2


@pytest.mark.parametrize("busy", [False, True])
def test_the_end_of_the_input_is_the_end(busy):
    """Whatever happens to the master, no worker stays behind."""
    with Process("accuracy", 64, 1) as process:
        process.ask("set_up", **process.settings)
        if busy:
            print(json.dumps({"do": "run", "iterations": 100_000}), file=process.requests, flush=True)
            time.sleep(0.2)
        process.requests.close()
        assert process.process.wait(30) == 0


@pytest.mark.parametrize("arguments", [[], [worker_module.PLAIN]])
def test_set_up_as_the_command_line_unless_plain(monkeypatch, arguments):
    prepared = []
    monkeypatch.setattr(worker_module.startup, "prepare", lambda: prepared.append(True))
    monkeypatch.setattr(service, "serve", lambda: None)
    monkeypatch.setattr(sys, "argv", ["worker", *arguments])
    worker_module.main()
    assert bool(prepared) != bool(arguments)
