"""A run goes on from its state to the same pixels; a state that does not fit is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import platforms
import pytest
from networks import random_vgg19

from scratchnst import images
from scratchnst.cli import main
from scratchnst.engine import cpu
from scratchnst.errors import UserError
from scratchnst.transfer import checkpoint, job
from scratchnst.transfer.objective import Objective
from scratchnst.transfer.scales import stylize_by_scales
from scratchnst.transfer.settings import Settings

STATE = Path("out.png.state")
TWO_SCALES = {"scales": 2, "size": 48, "iterations": 6}


def settings(output="out.png", **others):
    given = {"content": "content.png", "styles": ["style.jpg"], "network": "distilled", "checkpoint_every": 1}
    return Settings(output=output, **{**given, **TWO_SCALES, **others})


def interrupted_after(steps, given):
    """Run until an error after so many steps, which is none that a run knows."""

    class Killed(Exception):
        pass

    def kill(iterate):
        if iterate.iteration > steps:
            raise Killed

    with pytest.raises(Killed):
        job.run(given, kill)


def entries(log):
    """The lines of a log, but for the time."""
    return [{**json.loads(line), "seconds": None} for line in Path(log).read_text().splitlines()]


@pytest.mark.parametrize("steps", [1, 3, 5])
@pytest.mark.parametrize(
    "others",
    [{"optimizer": "lbfgs"}, {"optimizer": "adam", "carry_moments": True}, {"optimizer": "adam", "average": 0.9}],
    ids=str,
)
def test_goes_on_to_the_same_pixels(folder, others, steps):
    """From the first scale, from its last step, and from the second; the log has each line once."""
    whole = job.run(settings("whole.png", log="whole.jsonl", **others))
    given = settings(log="log.jsonl", **others)
    interrupted_after(steps, given)
    assert STATE.exists()
    told, seen = [], []
    again = job.run(given, lambda iterate: seen.append(iterate.iteration), told.append, resume=True)
    assert f"going on after {steps} iterations" in told
    assert seen == list(range(steps + 1, 7))
    np.testing.assert_array_equal(again.image, whole.image)
    assert Path("out.png").read_bytes() == Path("whole.png").read_bytes()
    assert entries("log.jsonl") == entries("whole.jsonl")
    for name in ("loss", "terms", "kept", "iterations", "evaluations", "stop_reason"):
        assert getattr(again, name) == getattr(whole, name)
    assert [end.iterations for end in again.scales] == [3, 3]
    assert not STATE.exists()


def test_goes_on_twice(folder):
    whole = job.run(settings("whole.png"))
    interrupted_after(2, settings())
    with pytest.raises(RuntimeError):
        job.run(settings(), fail_at(5), resume=True)
    np.testing.assert_array_equal(job.run(settings(), resume=True).image, whole.image)


def fail_at(step):
    def fail(iterate):
        if iterate.iteration == step:
            raise RuntimeError

    return fail


def test_after_ctrl_c(folder, capsys):
    """What is saved is the last image, and the state from which the run goes on."""
    command = ["transfer", "content.png", "style.jpg", "-o", "out.png", "--size", "24", "--iterations", "6"]

    def interrupt(iterate):
        if iterate.iteration == 4:
            raise KeyboardInterrupt

    whole = job.run(settings("whole.png", scales="auto", size=24, iterations=6))
    job.run(settings(scales="auto", size=24, iterations=6), interrupt)
    assert main(command) == 2
    assert "out.png.state is of this very run, which was interrupted: go on by --resume" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    np.testing.assert_array_equal(images.load("out.png"), whole.image.round())


def test_without_being_asked_it_goes_on_where_it_can(folder):
    """As programs want it that run many: a state of another run is replaced."""
    interrupted_after(3, settings())
    told = []
    job.run(settings(seed=4, init="noise"), tell=told.append)
    assert "out.png.state is of another run that was interrupted, and will be replaced" in told
    interrupted_after(3, settings())
    seen = []
    job.run(settings(), lambda iterate: seen.append(iterate.iteration))
    assert seen[0] == 4


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        ({"iterations": 11}, "its run had the setting iterations 6, not 11"),
        ({"style_weight": 2.0}, "its run had the setting style_weight by default, not 2.0"),
        ({"optimizer": "adam"}, 'its run had the setting optimizer "lbfgs", not "adam"'),
        ({"content": "style.jpg", "styles": ["content.png"]}, "style.jpg is not the file that its run read"),
        ({"styles": ["style.jpg", "content.png"]}, "its run had other pictures"),
        ({"optimizer": "scipy-lbfgs"}, "SciPy's L-BFGS does not tell what it remembers"),
        ({"engine": "textbook"}, "its run had the setting engine"),
        ({"output": "other.png"}, "there is no run to go on with, other.png.state: leave out --resume"),
    ],
    ids=str,
)
def test_a_state_that_does_not_fit(folder, others, sentence):
    interrupted_after(3, settings())
    before = STATE.read_bytes()
    with pytest.raises(UserError) as refused:
        job.run(settings(**others), resume=True)
    assert sentence in str(refused.value)
    assert str(refused.value).count(". ") == 0
    assert STATE.read_bytes() == before
    assert not Path("out.png").exists()


def test_another_picture_in_the_same_file(folder):
    interrupted_after(3, settings())
    images.save("content.png", np.zeros((30, 40, 3)))
    with pytest.raises(UserError, match=r"content\.png is not the file that its run read"):
        job.run(settings(), resume=True)


def test_the_same_picture_in_another_file(folder):
    whole = job.run(settings("whole.png"))
    interrupted_after(3, settings())
    Path("content.png").rename("renamed.png")
    np.testing.assert_array_equal(job.run(settings(content="renamed.png"), resume=True).image, whole.image)


def test_another_number_of_threads(folder):
    whole = job.run(settings("whole.png", threads=1))
    interrupted_after(3, settings(threads=1))
    np.testing.assert_array_equal(job.run(settings(threads=2), resume=True).image, whole.image)


def test_another_version(folder, monkeypatch):
    interrupted_after(3, settings())
    monkeypatch.setattr(checkpoint, "__version__", "99.0")
    with pytest.raises(UserError, match=r"it was written by version .* of this program, which is 99\.0"):
        job.run(settings(), resume=True)


def test_a_damaged_state(folder):
    interrupted_after(3, settings())
    whole = STATE.read_bytes()
    for place in range(100, len(whole), len(whole) // 7):
        STATE.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        with pytest.raises(UserError, match=r"no whole state of a run|is no state of a run"):
            job.run(settings(), resume=True)
    STATE.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="is no state of a run"):
        job.run(settings(), resume=True)


def test_a_file_that_is_no_state_is_not_replaced(folder):
    STATE.write_text("mine")
    with pytest.raises(UserError, match=r"out\.png\.state is there already, and is no state of a run"):
        job.run(settings())
    with STATE.open("wb") as file:
        np.savez(file, mine=np.zeros(3))
    with pytest.raises(UserError, match="is no state of a run"):
        job.run(settings())


def test_a_log_that_is_gone(folder):
    interrupted_after(3, settings(log="log.jsonl"))
    Path("log.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=r"log\.jsonl is no longer that of the run that goes on"):
        job.run(settings(log="log.jsonl"), resume=True)
    job.run(settings(log="other.jsonl"), resume=True)
    assert entries("other.jsonl")[-1]["scale"] == 2


def test_a_full_disk_costs_the_state_but_not_the_picture(folder, monkeypatch):
    def full(path, state, told):
        raise UserError("no space left on device")

    monkeypatch.setattr(checkpoint, "write", full)
    warnings = []
    assert job.run(settings(), warn=warnings.append).complete
    assert warnings == ["writing out.png.state failed and is left out from now on: no space left on device"]


def test_once_in_a_minute_or_less_often_where_it_takes_long(monkeypatch, tmp_path):
    now, written = [0.0], []

    def write(path, state, told):
        now[0] += 10.0
        written.append(now[0])

    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoint, "write", write)
    keep = checkpoint.Checkpoints(tmp_path / "state", dict, None)
    for _ in range(300):
        now[0] += 1.0
        keep(None)
    assert written == [70.0, 280.0]


def test_the_identity_names_every_input_but_not_its_path(folder):
    inputs = [Path("content.png"), Path("style.jpg")]
    found = checkpoint.identity(settings(), inputs, cpu)
    assert [name for name, _ in found["files"]] == ["content.png", "style.jpg"]
    assert not {"content", "styles", "output", "log"} & set(found["settings"])


@pytest.mark.slow
def test_killed_it_goes_on(folder, monkeypatch):
    """A process that gets SIGKILL in the second scale."""
    monkeypatch.setenv("PYTHONPATH", str(Path(checkpoint.__file__).parents[2]))
    command = [sys.executable, "-m", "scratchnst", "transfer", "content.png", "style.jpg", "--network", "distilled"]
    command += ["--size", "64", "--scales", "2", "--iterations", "60", "--checkpoint-every", "4", "--threads", "1"]
    assert subprocess.run([*command, "-o", "whole.png", "--log", "whole.jsonl"], capture_output=True).returncode == 0
    command += ["-o", "out.png", "--log", "log.jsonl"]
    log, end = Path("log.jsonl"), time.monotonic() + 60
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while time.monotonic() < end and not (log.exists() and log.read_text().count("\n") > 45):
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -9
    assert not Path("out.png").exists()
    again = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert Path("out.png").read_bytes() == Path("whole.png").read_bytes()
    assert entries("log.jsonl") == entries("whole.jsonl")
    assert not STATE.exists()


@pytest.mark.slow
@pytest.mark.parametrize("platform", platforms.CUDA, indirect=True)
@pytest.mark.parametrize("given", [{"optimizer": "lbfgs"}, {"optimizer": "adam", "average": 0.9}], ids=str)
def test_a_state_of_a_gpu(platform, tmp_path, given):
    """Written from its memory, and read into it; moments are carried over there, too."""
    network, picture = random_vgg19(2, width=2).on(platform.engine), np.random.default_rng(0).uniform(0, 255, (8, 8, 3))
    path, same = tmp_path / "state", {"settings": {}, "files": []}

    def objective_at(height, width):
        return Objective(network, images.resize(picture, height, width), [picture])

    def keep(state):
        if state.iterations == 3:
            checkpoint.write(path, state, same)

    given = {"iterations": 4, "carry_moments": given["optimizer"] == "adam", **given}
    whole = stylize_by_scales(objective_at, [(4, 4), (8, 8)], on_state=keep, **given)
    state, _ = checkpoint.read(path, same, given["optimizer"], platform.engine)
    assert type(state.run.optimizer.x) is type(platform.engine.asarray(np.zeros(1)))
    again = stylize_by_scales(objective_at, [(4, 4), (8, 8)], state=state, **given)
    np.testing.assert_array_equal(again.image, whole.image)
