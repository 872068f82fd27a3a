"""Videos that workers of a cluster paint: the same as painted here, also if some of the workers die."""

from __future__ import annotations

import os
import pickle
import signal
import socket
from dataclasses import replace

import pytest

pytest.importorskip("av", reason="PyAV is not installed")
pytest.importorskip("distributed", reason="Dask is not installed")

import dask
import video_files
from distributed import LocalCluster

from scratchnst import engine
from scratchnst.errors import UserError
from scratchnst.fast import cluster, video
from scratchnst.fast.fast_style import FastStyle, Style
from scratchnst.models import transform_net
from scratchnst.system import cluster as machines


@pytest.fixture(scope="module")
def start():
    """Return what starts a scheduler and so many workers, each a process with one thread."""
    found = []

    def start(number, **settings):
        with dask.config.set(settings):
            found.append(LocalCluster(n_workers=number, threads_per_worker=1, dashboard_address=":0", silence_logs=50))
        return found[-1]

    yield start
    for each in found:
        each.close()


@pytest.fixture(scope="module")
def two_workers(start):
    return start(2)


@pytest.fixture
def scene(tmp_path, random, monkeypatch):
    """A video of twelve frames, in parts of three, a task each, and how they are painted."""
    monkeypatch.setattr(video, "PART", 3)
    monkeypatch.setattr(cluster, "MOST_FRAMES", 1)
    video_files.write(tmp_path / "in.mp4", video_files.pictures(12), sound=False)
    found = video.examine(tmp_path / "in.mp4")
    model = FastStyle(transform_net.build(random, 2, (3, 4, 5), 1).on(engine.cpu), (Style("wave"), Style("dots")), {})
    return found, video.Look(model, {"dots": 1.0}, 1.0, found.shape, 20)


def paint(scene, workers, show=lambda frames: None):
    """Return the parts of the video that the workers paint."""
    found, look = scene
    with cluster.connected(workers.scheduler_address) as there:
        return dict(video.paint_parts(found, range(4), look, there.paint, show))


def painted_here(scene):
    found, look = scene
    return dict(video.paint_parts(found, range(4), look))


def kill(workers, number):
    """Kill the first workers, as a machine does that fails."""
    for each in list(workers.workers.values())[:number]:
        os.kill(each.pid, signal.SIGKILL)


def test_it_is_as_painted_here(scene, two_workers, monkeypatch):
    expected = painted_here(scene)
    assert paint(scene, two_workers) == expected
    monkeypatch.setattr(cluster, "MOST_FRAMES", 5)
    shown = []
    assert paint(scene, two_workers, shown.append) == expected
    assert shown == list(range(1, 13))


@pytest.mark.parametrize("number", [1, 2])
def test_workers_that_die(scene, two_workers, number):
    """With both of them, the network that they were sent is lost as well."""
    expected, killed = painted_here(scene), []

    def show(frames):
        if frames == 2:
            kill(two_workers, number)
            killed.append(frames)

    assert paint(scene, two_workers, show) == expected
    assert killed


def test_frames_that_workers_die_of(scene, start):
    workers = start(1, **{"distributed.scheduler.allowed-failures": 0})
    with pytest.raises(UserError, match="died of the same frames 1 times"):
        paint(scene, workers, lambda frames: kill(workers, 1))


def test_few_frames_are_on_their_way(scene, two_workers):
    found, look = scene
    taken = []

    def frames():
        for frame in video.frames(found, range(4)):
            taken.append(frame.number)
            yield frame

    with cluster.connected(two_workers.scheduler_address) as there:
        paintings = there.paint(look, frames())
        assert next(paintings).number == 0
        assert len(taken) == 1 + machines.TASKS_OF_A_THREAD * 2
        paintings.close()


@pytest.mark.parametrize(
    ("most_bytes", "lengths"), [(1 << 20, [5, 5, 2]), (3 * 64 * 48 * 3, [3, 3, 3, 3]), (1, [1] * 12)]
)
def test_tasks(scene, monkeypatch, most_bytes, lengths):
    monkeypatch.setattr(cluster, "MOST_FRAMES", 5)
    monkeypatch.setattr(cluster, "MOST_BYTES", most_bytes)
    parts = list(cluster._tasks(video.frames(scene[0], range(4))))
    assert [len(part) for part in parts] == lengths
    assert [frame.number for part in parts for frame in part] == list(range(12))


def test_what_goes_wrong_there(scene, two_workers):
    found, look = scene
    with pytest.raises(UserError, match="the strength is a number from 0 to 1"):
        paint((found, replace(look, strength=2.0)), two_workers)
    with pytest.raises(UserError, match=r"fails \(ValueError"):
        paint((found, replace(look, shape=(-1, -1))), two_workers)


def test_no_worker_is_left(scene, start, monkeypatch):
    monkeypatch.setattr(machines, "PATIENCE", 1.0)
    workers = start(1)
    with pytest.raises(UserError, match="no worker is left"):
        paint(scene, workers, lambda frames: workers.scale(0))


def test_the_scheduler_is_gone(scene, start, monkeypatch):
    monkeypatch.setattr(machines, "PATIENCE", 1.0)
    workers = start(1)
    with pytest.raises(UserError, match="is gone: start it anew"):
        paint(scene, workers, lambda frames: workers.close())


def test_nobody_there(scene, start, monkeypatch):
    monkeypatch.setattr(machines, "PATIENCE", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        left = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    for address in (left, "nonsense", ""):
        with pytest.raises(UserError, match="no scheduler answers"), cluster.connected(address):
            pass
    with pytest.raises(UserError, match="has no workers"):
        paint(scene, start(0))


def test_another_version_there(scene, two_workers, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(machines, "__version__", "0.0")
        with pytest.raises(UserError, match=r"has scratchnst .* install scratchnst\[cluster\] 0\.0 there"):
            paint(scene, two_workers)
    monkeypatch.setattr(cluster, "__name__", "no_such_package.cluster")
    with pytest.raises(UserError, match="has no scratchnst"):
        paint(scene, two_workers)


def test_engines_travel_by_name():
    for name in engine.__all__[1:]:
        assert pickle.loads(pickle.dumps(getattr(engine, name))) is getattr(engine, name)
