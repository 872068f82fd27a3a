"""``scratchnst bench`` as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from scratchnst.bench import accuracy, ladder, measure, problem
from scratchnst.bench.names import PEERS
from scratchnst.cli import main

SMALL = ["bench", "--sizes", "32", "--repeats", "1", "--threads", "1"]


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(measure, "REST", 0)
    monkeypatch.setattr(accuracy, "SIZE", 16)
    monkeypatch.setattr(accuracy, "RUN_SIZE", 16)
    monkeypatch.setattr(accuracy, "ITERATIONS", 1)


@pytest.fixture
def nothing_measured(monkeypatch):
    """Whoever starts a worker fails."""

    def start(*arguments, **settings):
        raise AssertionError("a worker was started")

    monkeypatch.setattr(subprocess, "Popen", start)


def test_we_alone(capsys, tmp_path, quick):
    pytest.importorskip("matplotlib")
    record, picture = tmp_path / "bench.json", tmp_path / "bench.png"
    arguments = ["--parts", "run", "speed", "--run-size", "32", "--run-iterations", "2"]
    assert main([*SMALL, *arguments, "--json", str(record), "--plot", str(picture)]) == 0
    said = capsys.readouterr()
    assert ", 1 threads; NumPy " in said.out.splitlines()[0]
    assert "scratchnst at 32x32: set up" in said.err
    found = json.loads(record.read_text())
    assert list(found) == ["machine", "settings", "speed", "run"]
    assert found["machine"]["threads"] == 1
    ours, sgemm = found["speed"]
    assert (ours["contender"], len(ours["seconds"]), ours["failure"]) == ("scratchnst", 1, None)
    assert ours["median_seconds"] == ours["seconds"][0] > 0
    assert ours["peak_bytes"] > 50e6
    assert sgemm["operations_per_second"] > 1e8
    (run,) = found["run"]
    assert (run["size"], run["iterations"]) == (32, 2)
    assert run["loss"] < ours["loss"]
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_ladder_and_accuracy(capsys, tmp_path, quick, monkeypatch):
    monkeypatch.setattr(ladder, "SIDE", 16)
    record = tmp_path / "bench.json"
    assert main([*SMALL, "--parts", "ladder", "accuracy", "--json", str(record)]) == 0
    found = json.loads(record.read_text())
    assert [item["contender"] for item in found["ladder"]] == ["loops", "im2col", "shifted", "winograd"]
    assert all(item["failure"] is None and item["error"] < 1e-5 for item in found["ladder"])
    gradient, run = found["accuracy"]
    assert max(gradient["gradient_errors"]) < 1e-2
    assert run["iterations"] == 1
    said = capsys.readouterr().out
    assert "one convolution, 3x3, 128 to 128 channels, 16x16 pixels" in said
    assert "gradient in float32 at 16x16, relative error against float64: median " in said


@pytest.mark.parametrize("part", ["fast", "arbitrary"])
def test_a_painting(capsys, tmp_path, quick, part):
    record = tmp_path / "bench.json"
    assert main([*SMALL, "--parts", part, "--json", str(record)]) == 0
    (ours,) = json.loads(record.read_text())[part]
    assert (ours["contender"], ours["size"], ours["failure"]) == ("scratchnst", 32, None)
    assert "a photograph painted in one pass, seconds, median of 1" in capsys.readouterr().out
    assert main([*SMALL[:2], "30", "--parts", part]) == 2
    assert "multiples of 4" in capsys.readouterr().err


@pytest.mark.slow  # what it puts together is tested in test_trainer.py and test_measure.py
def test_a_training(capsys, tmp_path, quick):
    record = tmp_path / "bench.json"
    assert main([*SMALL, "--parts", "training", "--json", str(record)]) == 0
    found = json.loads(record.read_text())["training"]
    assert [item["failure"] for item in found] == 4 * [None]
    assert sum(found[0]["counts"].values()) == len(found[0]["pieces"]) + 4 + 7 + 3 + 3 + 1 + 1
    assert "crops of 128x128 pixels a second" in capsys.readouterr().out


@pytest.mark.slow  # what it puts together is tested in test_bench_peer.py and above
def test_beside_pytorch(capsys, tmp_path, quick):
    pytest.importorskip("torch", reason="PyTorch, the peer, is not installed: pip install torch")
    record = tmp_path / "bench.json"
    assert main([*SMALL, "--peer", "torch", "--parts", "speed", "--json", str(record)]) == 0
    found = json.loads(record.read_text())["speed"]
    assert [item["contender"] for item in found] == ["scratchnst", *PEERS, "sgemm"]
    assert all(item["failure"] is None for item in found)
    assert all(item["gradient_distance"] < 1e-2 for item in found[1:3])
    assert "PyTorch/ours" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sizes", "8"], "8x8 pixels is too small"),
        (["--run-size", "8"], "8x8 pixels is too small"),
        (["--sizes", "32", "4096"], "4096x4096 pixels need more than 9 GB of memory"),
        (["--json", "nowhere/bench.json"], "nowhere/bench.json cannot be written"),
        (["--json", os.path.dirname(__file__)], "is a directory"),
        (["--plot", "bench.txt"], "no suffix that can be written"),
        (["--plot", "bench.png", "--parts", "run"], "add it to --parts"),
        (["--plot", "bench.png", "--json", "bench.png"], "named twice"),
    ],
)
def test_refused_before_anything_is_measured(capsys, monkeypatch, tmp_path, nothing_measured, arguments, said):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(problem.psutil, "virtual_memory", lambda: SimpleNamespace(total=8 * 10**9))
    assert main([*SMALL, *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("arguments", [["--sizes", "0"], ["--sizes", "99999"], ["--repeats", "0"], ["--peer", "jax"]])
def test_wrong_arguments(capsys, nothing_measured, arguments):
    with pytest.raises(SystemExit) as end:
        main([*SMALL, *arguments])
    assert end.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_without_pytorch(capsys, monkeypatch, nothing_measured):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main([*SMALL, "--peer", "torch"]) == 2
    assert "pip install torch" in capsys.readouterr().err


def children(pid):
    """The processes whose parent is `pid`."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.partition(":\t")[::2] for line in status.read_text().splitlines())
        except OSError:
            continue  # it has just ended
        if fields["PPid"] == str(pid) and not fields["State"].startswith("Z"):
            found.append(int(status.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="processes are looked up in /proc")
def test_ctrl_c_ends_the_workers(tmp_path):
    arguments = [*SMALL, "--repeats", "1000", "--parts", "speed", "--json", "bench.json"]
    program = subprocess.Popen(
        [sys.executable, "-m", "scratchnst", *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        assert any("warm-up" in line for line in program.stderr)
        workers = children(program.pid)
        assert len(workers) == 2  # a contender each
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=30)
    finally:
        program.kill()
        program.communicate()
    assert program.returncode == 130
    assert "Traceback" not in said
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert not os.listdir(tmp_path)
