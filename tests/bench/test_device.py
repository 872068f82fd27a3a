"""The benchmark of a GPU: on the emulator, whose times mean nothing, and with contenders that only play."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest
from fake_processes import FakeProcesses, lost

from scratchnst.bench import accuracy, device_ladder, limit, machine, measure, problem, report
from scratchnst.bench.accuracy import Accuracy
from scratchnst.bench.device_ladder import RUNGS, DeviceRung, Work, shares
from scratchnst.bench.machine import DeviceFacts
from scratchnst.bench.measure import Conditions
from scratchnst.bench.names import COPY, EMULATED, OURS, PEERS, PRODUCT, TRAINING, is_tf32, tf32
from scratchnst.bench.ours import Ours
from scratchnst.bench.painter import Painter
from scratchnst.bench.peer import Peer
from scratchnst.bench.service import CONTENDERS
from scratchnst.bench.trainer import Trainer, first_crops, make
from scratchnst.cli import main
from scratchnst.engine import cpu, sessions
from scratchnst.errors import UserError
from scratchnst.training.batch import Batch, gradients

CONTIGUOUS, CHANNELS_LAST = PEERS
NETWORK = problem.random_network

with_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs the compiler g++")


@pytest.fixture
def here():
    """Make contenders in this process, on the emulator; in the end they leave it."""
    made = []

    def make(kind, *arguments, **settings):
        made.append(kind(*arguments, **settings))
        return made[-1]

    yield make
    for contender in reversed(made):
        if hasattr(contender, "until_the_end"):
            contender.until_the_end.close()


@pytest.fixture
def processes(monkeypatch):
    processes = FakeProcesses()
    processes.plays[tf32(PRODUCT), "evaluate"] = lambda calls=1: {"seconds": 0.5}
    for name in (*RUNGS, OURS, tf32(OURS)):
        steps = device_ladder.work(name, "cuda:0") if name in RUNGS else ["relu.relu_forward"]
        processes.plays[name, "steps"] = lambda steps=steps: {
            "steps": {step: {"calls": 2, "seconds": 0.5} for step in steps}
        }
    monkeypatch.setattr(measure, "Process", processes)
    return processes


def on_gpu(**settings):
    return Conditions(2, list(PEERS), device="cuda:0", **settings)


def test_everybody_in_both_precisions(processes, monkeypatch):
    monkeypatch.setattr(measure, "_operations", lambda size, device: 10**12)
    results = {item.contender: item for item in measure.speed(64, 2, on_gpu())}
    single = [OURS, *PEERS]
    assert list(results) == [*single, *map(tf32, single), PRODUCT, tf32(PRODUCT)]
    assert [name for name, do in processes.asked if do == "steps"] == [OURS, tf32(OURS)]
    assert processes.libraries[OURS] == processes.libraries[PRODUCT] == ["cupy"]
    assert processes.libraries[CONTIGUOUS] == processes.libraries[tf32(CONTIGUOUS)] == ["torch"]
    assert processes.plain[tf32(CONTIGUOUS)]
    assert results[PRODUCT].facts["operations_per_second"] == 2 * limit.DEVICE_SIDE**3 / 1.5
    lines = [line.split() for line in report.speed(list(results.values()))]
    rows = [line for line in lines if line and line[0] == "64"]
    assert [row[1] for row in rows] == ["1.50000", "5", "1.50000", "5"]
    assert rows[0][-2:] == ["1.00", f"{10**12 / (2 * limit.DEVICE_SIDE**3):.0%}"]
    assert rows[2][-2:] == ["1.00", f"{10**12 / (2 * limit.DEVICE_SIDE**3) * 0.5 / 1.5:.0%}"]
    assert ["relu.relu_forward", "2", "x", "500.000", "ms", "100%"] in lines


def test_what_nobody_measured_is_no_column(processes):
    results = measure.speed(64, 1, Conditions(2, device="cuda:0"))
    assert not [line for line in report.speed(results) if "PyTorch" in line]


def test_tf32_may_be_further_away(processes):
    for name in (CONTIGUOUS, tf32(CONTIGUOUS)):
        processes.plays[name, "gradient"] = lambda: {"loss": 4.0, "gradient": np.full((2, 2, 3), 1.05)}
        processes.plays[name, "check"] = lambda: {"cudnn": 92000}
    results = {item.contender: item for item in measure.speed(64, 1, on_gpu())}
    assert results[CONTIGUOUS].failure.startswith("computes another function")
    assert results[tf32(CONTIGUOUS)].failure is None
    assert results[tf32(CONTIGUOUS)].facts["gradient_distance"] == pytest.approx(0.05)
    assert results[tf32(CONTIGUOUS)].facts["cudnn"] == 92000


def test_out_of_memory_is_told_and_the_others_go_on(processes):
    processes.plays[OURS, "evaluate"] = lost("out of memory")
    results = measure.speed(4096, 1, on_gpu())
    assert report.speed(results)[-1] == f"{OURS} at 4096x4096: out of memory"
    assert [item.contender for item in results if item.failure] == [OURS]


def test_after_the_deadline_one_round_counts(processes):
    results = measure.speed(64, 5, on_gpu(deadline=0.0))
    assert {len(item.seconds) for item in results} == {1}


def test_the_ladders_figures(processes):
    """A rung of 1 s whose steps took 0.5 s each, a large product of 1 s and one in TF32 of half that, a copy of 1 s."""
    results = measure.climb_on_device(1, on_gpu())
    found = {item.contender: item for item in results}
    assert list(found) == [*RUNGS, PRODUCT, tf32(PRODUCT), COPY]
    assert found[COPY].facts["bytes_per_second"] == 2 * 4 * 2**28
    operations = 2 * 9 * 512**2 * 128**2
    lines = report.climb_on_device(results, "cuda:0")
    naive = next(line for line in lines if line.startswith("naive")).split()
    assert naive[1:3] == ["1000", f"{operations / 1e9:.3g}"]
    assert naive[4] == f"{operations / (2 * 8192**3):.1%}"
    assert [line.split()[0] for line in lines if line.startswith("  ")][-3:] == ["input", "product", "output"]
    assert lines[-1].startswith("at best: products 1.1 TFLOP/s, in TF32 2.2;")


def test_a_lost_limit_leaves_no_shares(processes):
    processes.plays[COPY, "evaluate"] = lost("killed")
    lines = report.climb_on_device(measure.climb_on_device(1, on_gpu()), "cuda:0")
    assert lines[-1] == f"{COPY} at 512x512: killed"


@pytest.mark.parametrize(
    ("work", "busy", "expected"),
    [
        ([Work(50, 10)], 1.0, (0.25, 0.1, "arithmetic")),
        ([Work(50, 10, True)], 1.0, (0.125, 0.1, "neither")),
        ([Work(10, 30), Work(20, 40)], 1.0, (0.15, 0.7, "bandwidth")),
        ([Work(50, 10)], 0.3, (0.25, 0.1, "launches")),
    ],
)
def test_shares_by_hand(work, busy, expected):
    """In 2 s, where 100 operations a second are possible, 200 in TF32, and 50 bytes a second."""
    found = shares(work, 2.0, {False: 100.0, True: 200.0}, 50.0, busy)
    assert found == (pytest.approx(expected[0]), pytest.approx(expected[1]), expected[2])


def test_work_by_hand(monkeypatch):
    """6x6 pixels, 2 channels: 4 tiles of 36 numbers a channel."""
    monkeypatch.setattr(device_ladder, "SIDE", 6)
    monkeypatch.setattr(device_ladder, "CHANNELS", 2)
    assert device_ladder.work("tiled", "cuda:0") == {
        "tiled.tiled_convolve": Work(2 * 9 * 36 * 4, 4 * (72 + 72 + 36 + 2))
    }
    steps = device_ladder.work("winograd tf32", "cuda:0")
    assert steps["product"] == Work(2 * 36 * 4 * 4, 4 * (288 + 288 + 36 * 4), True)
    assert steps["winograd.winograd_input"].bytes == 4 * (72 + 288)
    assert steps["winograd.winograd_output"].bytes == 4 * (288 + 72 + 2)
    assert not device_ladder.work("winograd", "cuda:0")["product"].is_tf32
    transform = steps["winograd.winograd_output"].operations / (4 * 2)
    assert transform == 2 * 18 * (6 + 4)  # A has 18 numbers: rows 1 0 0 0, four full ones, and 0 0 0 1


@with_compiler
@pytest.mark.parametrize("name", RUNGS)
def test_rungs_compute_a_convolution_in_known_steps(here, monkeypatch, name):
    monkeypatch.setattr(device_ladder, "TINY_SIDE", 6)
    rung = here(DeviceRung, 6, EMULATED, name)
    error = rung.check()["error"]
    assert 1e-4 < error < 1e-2 if is_tf32(name) else error < 1e-5
    steps = rung.steps()["steps"]
    assert set(steps) == set(device_ladder.work(name, EMULATED))
    assert all(step["calls"] == 1 and step["seconds"] > 0 for step in steps.values())
    assert rung.peak()["bytes"] >= rung.x.nbytes + rung.w.nbytes


@with_compiler
def test_ours_and_the_peers_compute_the_same(here):
    """Also in TF32, which PyTorch on a CPU does not have."""
    pytest.importorskip("torch", reason="PyTorch, the peer, is not installed: pip install torch")
    loss, gradient = (ours := here(Ours, 16, EMULATED)).evaluate()
    gradient = ours.on_host(gradient)
    ours.wait()
    distances = {}
    for name in (tf32(OURS), *PEERS, tf32(CONTIGUOUS)):
        other = here(CONTENDERS[name], 16, EMULATED)
        assert other.evaluate()[0] == pytest.approx(loss, rel=1e-2 if is_tf32(name) else 1e-5)
        distances[name] = np.linalg.norm(other.on_host(other.evaluate()[1]) - gradient) / np.linalg.norm(gradient)
        other.rest()
    assert max(distances[CONTIGUOUS], distances[CHANNELS_LAST]) < 1e-5
    assert 1e-5 < distances[tf32(OURS)] < measure.TF32_AGREEMENT / 5


@with_compiler
def test_ours_on_the_device_runs_and_tells_its_steps(here):
    ours = here(Ours, 16, EMULATED)
    end = ours.run(2)
    assert end["iterations"] == 2
    assert end["loss"] < ours.evaluate()[0]
    steps = ours.steps()["steps"]
    convolutions = sum(step["calls"] for name, step in steps.items() if name.endswith(("convolve", "output")))
    assert convolutions == 2 * problem.CONVOLUTIONS
    assert steps["average_pool.average_pool_forward"]["calls"] == 4


def test_sessions_last_as_long_as_their_contender(monkeypatch):
    monkeypatch.setattr(problem, "random_network", lambda seed: NETWORK(seed, 16))
    ours = Ours(16)
    assert sessions._kept.get() is not None
    ours.until_the_end.close()
    assert sessions._kept.get() is None


def test_the_peer_without_a_gpu():
    torch = pytest.importorskip("torch", reason="PyTorch, the peer, is not installed: pip install torch")
    if torch.cuda.is_available():
        pytest.skip("PyTorch sees a GPU")
    with pytest.raises(UserError, match="this PyTorch sees no GPU"):
        Peer(16, "cuda:0")


@with_compiler
def test_the_limits_and_the_facts(here):
    product = here(limit.Product, 1, EMULATED)
    product.evaluate()
    A, B, found = (product.on_host(array)[0] for array in (product.A, product.B, product.product))
    np.testing.assert_allclose(found, A @ B, rtol=1e-4, atol=1e-4)
    assert limit.amounts(EMULATED)[PRODUCT] == ("operations", 2 * len(A) ** 3)
    copy = here(limit.Copy, 1, EMULATED)
    copy.source[...] = 3
    copy.evaluate()
    assert (copy.on_host(copy.target) == 3).all()
    assert limit.amounts(EMULATED)[COPY] == ("bytes", 2 * copy.source.nbytes)
    facts = here(DeviceFacts, 1, EMULATED).check()
    assert facts["device"] == EMULATED
    assert facts["bytes"] > 0
    json.dumps(facts)


@with_compiler
def test_accuracy_of_each_precision(here, monkeypatch):
    monkeypatch.setattr(accuracy, "STARTS", 2)
    monkeypatch.setattr(problem, "random_network", lambda seed: NETWORK(seed, 16))
    contender = here(Accuracy, 16, EMULATED)
    found = contender.check()
    assert list(found) == ["gradient_errors", "tf32_gradient_errors", "textbook_gradient_errors"]
    assert 10 * max(found["gradient_errors"]) < min(found["tf32_gradient_errors"]) < 1e-1
    end = contender.run(1)
    assert 0 < end["difference"] < end["tf32_difference"] < 1e-1
    lines = report.exactness([measure.ContenderResult("accuracy", 16, facts=facts) for facts in (found, end)])
    assert [line.split(":")[0].split(", ")[0] for line in lines[1:]] == [
        "gradient in float32 at 16x16",
        "gradient in TF32 at 16x16",
        *2 * ["end of a run of 1 iterations at 16x16"],
    ]


@with_compiler
def test_time_is_up_before_anything_begins(capsys, tmp_path):
    file = tmp_path / "gpu.json"
    assert main(["bench", "--device", EMULATED, "--minutes", "0", "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    left_out = ["speed at 32x32", f"run by {OURS}", f"run by {tf32(OURS)}", "ladder", "accuracy", *TRAINING]
    left_out += ["fast at 32x32", "arbitrary at 32x32"]
    assert found["left_out"] == left_out
    assert found["settings"]["sizes"] == [32]
    assert found["machine"]["device"]["device"] == EMULATED
    assert found["machine"]["date"] > "2020"
    said = capsys.readouterr().out
    assert "the times mean nothing" in said
    assert said.splitlines()[-1] == f"not measured, as the 0 minutes were over: {', '.join(left_out)}"


@with_compiler
@pytest.mark.slow
def test_training_and_painting(here):
    """The same loss, gradient and painting as on the CPU."""
    trainer = here(Trainer, 32, EMULATED)
    loss, gradient = trainer.compared()
    gradient = trainer.on_host(gradient)
    trainer.evaluate()
    painting = here(Painter, 32, EMULATED).evaluate()
    pieces = trainer.pieces()
    np.testing.assert_allclose(painting, Painter(32).evaluate(), atol=0.1)
    on_cpu = make(32, EMULATED, cpu, TRAINING[0])
    crops = first_crops(on_cpu)
    losses, _, learnt = gradients(on_cpu.network, on_cpu.loss, Batch(crops, [0] * len(crops)))
    expected = np.concatenate([learnt[name][place].ravel() for name, place in on_cpu.state.moments])
    assert loss == pytest.approx(losses.total, rel=1e-4)
    assert np.linalg.norm(gradient - expected) < 2e-3 * np.linalg.norm(expected)
    assert all(seconds > 0 for seconds in pieces.values())


@with_compiler
@pytest.mark.slow
def test_the_whole_bench(capsys, tmp_path):
    pytest.importorskip("torch", reason="PyTorch, the peer, is not installed: pip install torch")
    file = tmp_path / "gpu.json"
    arguments = ["--sizes", "16", "--peer", "torch", "--parts", "speed", "run", "ladder", "--json", str(file)]
    assert main(["bench", "--device", EMULATED, *arguments]) == 0
    found = json.loads(file.read_text())
    for part, count in (("speed", 8), ("run", 6), ("ladder", 7)):
        assert [item["failure"] for item in found[part]] == count * [None]
    assert all(item["median_seconds"] > 0 for item in found["speed"] + found["ladder"])
    said = capsys.readouterr().out
    assert said.count("PyTorch/ours") == 4
    assert "limited by" in said


@pytest.mark.parametrize(("device", "why"), [("auto", "name it"), ("gpu", "there is no device 'gpu'")])
def test_devices_that_are_none(capsys, device, why):
    assert main(["bench", "--device", device]) == 2
    assert why in capsys.readouterr().err


def test_without_a_gpu_it_is_one_sentence(capsys, tmp_path, monkeypatch):
    def process(contender, *_):
        play = FakeProcesses()
        play.plays["facts", "set_up"] = lost("no GPU can be used, since CuPy is not installed: pip install it.")
        return play(contender, 1, 1, False, "cuda:0", [])

    monkeypatch.setattr(measure, "Process", process)
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "--device", "cuda", "--json", "gpu.json"]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "no GPU can be used" in said.err
    assert not list(tmp_path.iterdir())


def test_the_commit_is_told_where_there_is_a_repository(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    assert machine.commit() is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=b"]
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    (tmp_path / "file").write_text("1")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    assert head.startswith(machine.commit())
    (tmp_path / "file").write_text("2")
    assert machine.commit().endswith("-dirty")
