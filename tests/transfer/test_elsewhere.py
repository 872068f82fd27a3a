"""Runs by the workers of a cluster: the same as here, also if one of them dies."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("distributed", reason="Dask is not installed")

from distributed import LocalCluster

from scratchnst import images
from scratchnst.errors import FileError
from scratchnst.system import cluster
from scratchnst.transfer import done, elsewhere, job
from scratchnst.transfer.many import Plan, Run
from scratchnst.transfer.settings import Settings
from scratchnst.weights import load


@pytest.fixture(scope="module")
def workers():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as found:
        yield found


@pytest.fixture
def plan(folder):
    """Four runs, one of them with a network of one's own, from a picture, with stages."""
    Path("weights").mkdir()
    Path("weights/own.h5").write_bytes(load.DISTILLED.read_bytes())
    common = {"content": "content.png", "styles": ["style.jpg"], "network": "distilled", "size": 24, "iterations": 30}
    others = [{}, {"seed": 1}, {"network": "weights/own.h5", "init": "style.jpg", "save_every": 20}, {"size": 32}]
    settings = [Settings(**{**common, "output": f"{name}.png", **other}) for name, other in zip("abcd", others)]
    return Plan([Run(each, done.fingerprints(each), ["scratchnst"]) for each in settings], [], 0, [], None)


def paint(workers, plan):
    with cluster.connected(workers.scheduler_address, elsewhere.__name__) as found:
        yield from elsewhere.there(found, plan)


@pytest.mark.slow
def test_it_is_as_computed_here_though_a_worker_is_killed(workers, plan):
    ended = paint(workers, plan)
    first = next(ended)
    os.kill(next(iter(workers.workers.values())).pid, signal.SIGKILL)
    assert sorted([first, *ended]) == [(number, None) for number in range(4)]
    assert Path("c-0020.png").exists()
    for run in plan.runs:
        assert done.is_done(run.settings, run.inputs)
        alone = replace(run.settings, output=Path(f"alone-{run.settings.output}"))
        job.run(alone)
        np.testing.assert_array_equal(images.load(run.settings.output), images.load(alone.output))
        record = done.read_record(run.settings.record)
        assert record["settings"]["styles"] == ["style.jpg"]
        assert record["settings"]["output"] == str(run.settings.output)
        assert record["network"]["sha256"] == done.read_record(alone.record)["network"]["sha256"]


def test_files_are_named_anew_wherever_they_are():
    places = {"a.png": "/there/a.png", "b#c.png": "/there/b"}
    assert elsewhere._moved(["a.png", "a.png#ff0000", "b#c.png", "b#c.png#00ff00", "c.png", 3], places) == [
        "/there/a.png",
        "/there/a.png#ff0000",
        "/there/b",
        "/there/b#00ff00",
        "c.png",
        3,
    ]


@pytest.mark.slow
def test_what_is_wrong_there_is_told_by_the_names_of_here(workers, plan):
    Path("broken.png").write_bytes(images.encoded(np.zeros((30, 40, 3)))[:60])
    broken = replace(plan.runs[0].settings, content=Path("broken.png"))
    runs = [Run(broken, done.fingerprints(broken)), plan.runs[1]]
    found = dict(paint(workers, replace(plan, runs=runs)))
    assert found[1] is None
    assert str(found[0]).startswith("broken.png cannot be read")


@pytest.mark.slow
def test_a_full_disk_here(workers, plan, monkeypatch):
    def full(*_):
        raise FileError("a.png cannot be written (No space left on device): mend this or name another place.")

    monkeypatch.setattr(elsewhere, "write_atomically", full)
    with pytest.raises(FileError, match="No space left"):
        list(paint(workers, plan))
