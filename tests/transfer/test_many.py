"""Many runs: how they are shared among processes, and what they leave."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from scratchnst import images
from scratchnst.errors import FileError, UserError
from scratchnst.system import pool
from scratchnst.system.process import Ended
from scratchnst.transfer import done, job, many
from scratchnst.transfer.forecast import forecast
from scratchnst.transfer.many import Plan, Run
from scratchnst.transfer.settings import Settings


def run(name, **others):
    common = {"content": "content.png", "styles": ["style.jpg"], "network": "distilled", "size": 24, "iterations": 2}
    settings = Settings(**{**common, "output": f"{name}.png", **others})
    return Run(settings, done.fingerprints(settings), ["scratchnst"])


@pytest.fixture
def runs(folder):
    return [run(name, seed=seed) for seed, name in enumerate("abcd")]


@pytest.fixture
def refused():
    """Runs that were refused, and why."""
    found = {}
    found["note"] = lambda run, error: found.__setitem__(run.settings.output.stem, str(error))
    return found


def plan(runs, refused, *share):
    return many.plan(runs, refused["note"], *share)


@pytest.mark.parametrize(
    ("share", "threads"),
    [
        ((None, 2), [1, 1]),
        ((None, 3), [1, 1, 1]),
        ((1, 3), [3]),
        ((2, 5), [3, 2]),
        ((9, 2), [1] * 4),
        ((None, 9), [3, 2, 2, 2]),
    ],
)
def test_threads_are_shared_among_processes(runs, refused, share, threads):
    found = plan(runs, refused, *share)
    assert found.threads == threads
    assert found.runs == runs
    assert 50e6 < found.peak < 1e9


def test_there_are_as_many_processes_as_fit_into_memory(runs, refused):
    peak = plan(runs, refused).peak
    runs = [replace(each, settings=replace(each.settings, memory_limit=int(2.5 * peak))) for each in runs]
    found = plan(runs, refused, None, 4)
    assert found.threads == [2, 2]
    assert found.memory_limit == int(2.5 * peak) // 2


def test_times_are_in_proportion_to_pixels_and_iterations(runs, refused):
    """24x18 pixels and 2 iterations, beside 48x36 and 4 at one size."""
    found = plan([run("small", scales=1), run("large", size=48, iterations=4, scales=1)], refused)
    assert found.seconds[1] == pytest.approx(8 * found.seconds[0])


def test_the_speed_is_measured_once_for_runs_that_are_alike(runs, refused, monkeypatch):
    measured = []
    monkeypatch.setattr(many, "forecast", lambda settings: measured.append(settings.output.stem) or forecast(settings))
    plan([*runs, run("large", size=32), run("max", pooling="max")], refused)
    assert measured == ["large", "max"]


def test_seconds_left():
    found = Plan([], [1.0, 2.0, 6.0], 0, [1, 1], None)
    assert found.seconds_left(2) == 6.0, "the longest alone"
    assert found.seconds_left(1) == 9.0
    assert found.seconds_left(2, [0, 1]) == 2.0
    assert Plan([], [1.0, None], 0, [1], None).seconds_left(1) is None
    assert Plan([], [], 0, [], None).seconds_left(1) == 0.0


def test_what_cannot_be_is_refused_and_the_others_are_planned(runs, refused):
    Path("broken.png").write_bytes(b"no picture")
    others = [run("damaged", content="broken.png"), run("strange", style_layers=["conv9_9"]), run("tiny", size=1)]
    found = plan([*others, *runs], refused)
    assert found.runs == runs
    assert set(refused) == {"note", "damaged", "strange", "tiny"}
    assert "conv9_9" in refused["strange"]


def test_nothing_to_do(folder, refused):
    assert plan([], refused) == Plan([], [], 0, [], None)


def test_a_run_notes_what_was_given_and_what_it_read(runs):
    """A process that is asked once."""

    class Parent:
        def __init__(self):
            self.replies = []

        def receive(self):
            if self.replies:
                raise EOFError
            return runs[1], 10**9

        def send(self, reply):
            self.replies.append(reply)

    parent = Parent()
    with pytest.raises(EOFError):
        many.work(parent, 1)
    assert parent.replies == [None]
    record = done.read_record(Path("b.json"))
    assert Settings.from_json(record["given"]) == runs[1].settings
    assert (record["settings"]["threads"], record["settings"]["memory_limit"]) == (1, 10**9)
    assert done.is_done(runs[1].settings, runs[1].inputs)


@pytest.mark.parametrize(
    ("reply", "found"),
    [(None, None), (UserError("no picture"), "no picture"), (Ended("killed"), "ended (killed): choose a smaller")],
)
def test_replies(runs, monkeypatch, reply, found):
    monkeypatch.setattr(pool, "replies", lambda *_: [(0, reply)])
    ((number, error),) = many.here(Plan(runs, [], 0, [1], None))
    assert number == 0
    assert (error is None) if found is None else found in str(error)


@pytest.mark.parametrize("error", [FileError("the disk is full"), ZeroDivisionError()])
def test_errors_that_end_all(runs, monkeypatch, error):
    monkeypatch.setattr(pool, "replies", lambda *_: [(0, error)])
    with pytest.raises(type(error)):
        list(many.here(Plan(runs, [], 0, [1], None)))


@pytest.mark.slow
def test_processes_of_which_one_is_killed(runs):
    """All pictures are made, as by one process."""
    runs = [replace(each, settings=replace(each.settings, iterations=40)) for each in runs]
    for each in runs:
        job.run(replace(each.settings, output=Path(f"alone-{each.settings.output}")))
    ended = many.here(Plan(runs, [], 0, [1, 1], None))
    first = next(ended)
    processes = [
        child for child in psutil.Process().children() if "scratchnst.transfer.many" in " ".join(child.cmdline())
    ]
    assert len(processes) == 2
    os.kill(processes[0].pid, signal.SIGKILL)
    assert sorted([first, *ended]) == [(number, None) for number in range(4)]
    for each in runs:
        assert done.is_done(each.settings, each.inputs)
        np.testing.assert_array_equal(images.load(each.settings.output), images.load(f"alone-{each.settings.output}"))
