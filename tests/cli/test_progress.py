"""What users see while they wait."""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst.cli import progress
from scratchnst.cli.progress import Reporter
from scratchnst.transfer.stylize import Iterate


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets: clock[0] is the time in seconds."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    return now


def test_time_left_counts_pixels(capsys, clock):
    """Two steps of 6 pixels take 2 s each, one of 24 takes 8 s."""
    reporter = Reporter(5, quiet=False)
    reporter.scales = [((2, 3), 2), ((4, 6), 3)]
    with reporter:
        for iteration, (shape, seconds) in enumerate([((2, 3), 2)] * 2 + [((4, 6), 8)] * 3, start=1):
            if iteration in (1, 3):
                reporter.begin_scale(iteration // 3)
            clock[0] += seconds
            reporter.step(Iterate(iteration, 0.5, np.zeros((*shape, 3))))
    said = [line.rpartition("  ")[2] for line in capsys.readouterr().err.splitlines()]
    assert said == [
        "scale 1 of 2: 3x2 pixels, 2 iterations",
        "26 s left",
        "24 s left",
        "scale 2 of 2: 6x4 pixels, 3 iterations",
        "16 s left",
        "8 s left",
        "0 s left",
    ]


def test_time_left_after_a_scale_that_ended_early(capsys, clock):
    reporter = Reporter(20, quiet=False)
    reporter.scales = [((2, 3), 10), ((4, 6), 10)]
    reporter.begin_scale(0)
    reporter.begin_scale(1)
    clock[0] += 8.0
    reporter.started = 100.0
    reporter.step(Iterate(1, 0.5, np.zeros((4, 6, 3))))
    assert capsys.readouterr().err.endswith("  72 s left\n")


def test_a_run_that_goes_on(capsys, clock):
    """From step 7 of 10 at the second scale: what was done before took no time here."""
    reporter = Reporter(20, quiet=False)
    reporter.scales = [((2, 3), 10), ((4, 6), 10)]
    with reporter:
        reporter.begin_scale(1)
        clock[0] += 8.0
        reporter.step(Iterate(18, 0.5, np.zeros((4, 6, 3))))
    assert capsys.readouterr().err.endswith("iteration 18/20  loss 0.5  0.12 it/s  16 s left\n")


def test_quiet(capsys):
    reporter = Reporter(2, quiet=True)
    reporter.scales = [((2, 3), 1), ((4, 6), 1)]
    with reporter:
        reporter.begin_scale(0)
        reporter.step(Iterate(1, 0.5, np.zeros((2, 3, 3))))
        reporter.say("nothing")
    assert capsys.readouterr().err == ""
