"""``scratchnst transfer`` with folders of pictures and of styles."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from scratchnst import images
from scratchnst.cli import main, many
from scratchnst.errors import FileError

SMALL = ["--network", "distilled", "--size", "24", "--iterations", "2"]
PAIRS = ["one-dots", "one-wave", "two-dots", "two-wave"]


@pytest.fixture
def studio(folder, random):
    """Two photographs and two paintings."""
    for name, height, width in (
        ("photos/one", 30, 40),
        ("photos/two", 36, 24),
        ("styles/wave", 32, 24),
        ("styles/dots", 30, 40),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        images.save(f"{name}.png", random.uniform(0, 255, (height, width, 3)))
    return folder


def transfer(*arguments):
    return main(["transfer", *SMALL, *arguments])


def names(directory):
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize(
    ("arguments", "pairs"),
    [
        (["photos", "styles/"], PAIRS),
        (["photos/one.png", "styles"], PAIRS[:2]),
        (["photos", "styles/wave.png"], PAIRS[1::2]),
        (["photos", "styles/wave.png", "styles/dots.png"], ["one-wave-dots", "two-wave-dots"]),
    ],
    ids=str,
)
def test_folders(studio, made, arguments, pairs):
    assert transfer(*arguments, "-o", "painted/") == 0
    assert names(studio / "painted") == sorted(f"{pair}{suffix}" for pair in pairs for suffix in (".json", ".png"))
    assert images.size("painted/" + pairs[0] + ".png") == (18, 24)
    given = json.loads((studio / "painted" / f"{pairs[0]}.json").read_text())["given"]
    assert given["content"] == "photos/one.png"
    assert len(given["styles"]) == pairs[0].count("-")


def test_each_pair_is_painted_as_if_alone(studio, made):
    assert transfer("photos", "styles", "-o", "painted", "--style-weight", "3") == 0
    assert transfer("photos/two.png", "styles/dots.png", "-o", "alone.png", "--style-weight", "3") == 0
    np.testing.assert_array_equal(images.load("painted/two-dots.png"), images.load("alone.png"))
    assert main(["transfer", "--settings", "painted/two-dots.json", "-o", "again.png"]) == 0
    np.testing.assert_array_equal(images.load("again.png"), images.load("alone.png"))


def test_each_picture_keeps_the_transparency_of_its_own_photograph(studio, made, capsys):
    clear = np.zeros((36, 24, 4), np.uint8)
    clear[:18, :, 3] = 255
    Image.fromarray(clear).save("photos/two.png")
    finish = ["--size", "0", "--depth", "16", "--keep", "alpha", "--colors", "content", "--json"]
    assert transfer("photos", "styles/wave.png", "-o", "painted", *finish) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["output"], one["height"], one["width"]) for one in told] == [
        ("painted/one-wave.png", 30, 40),
        ("painted/two-wave.png", 36, 24),
    ]
    headers = [(studio / one["output"]).read_bytes()[24:26] for one in told]
    assert headers == [bytes([16, 2]), bytes([16, 6])]  # bits, and RGB or RGBA
    alpha = np.asarray(Image.open("painted/two-wave.png"))[..., 3]
    assert (alpha[:18] == 255).all()
    assert (alpha[18:] == 0).all()


def test_standard_input_is_for_one_picture(studio, made, capsys):
    assert transfer("-", "styles", "-o", "painted") == 2
    assert "standard input is for one picture" in capsys.readouterr().err
    assert not (studio / "painted").exists()


def test_what_is_finished_with_the_same_settings_is_kept(studio, made, capsys):
    assert transfer("photos", "styles/wave.png", "-o", "painted") == 0
    made.clear()
    assert transfer("photos/one.png", "styles", "-o", "painted") == 0
    assert made == ["one-dots"]
    assert capsys.readouterr().err.count("painted/one-wave.png: finished before") == 1
    images.save("photos/one.png", images.load("photos/two.png"))
    made.clear()
    assert transfer("photos", "styles/wave.png", "-o", "painted") == 0
    assert made == ["one-wave"], "of another picture under the same name"
    made.clear()
    assert transfer("photos/two.png", "styles/wave.png", "-o", "painted/", "--seed", "1") == 2  # a file, not a folder
    assert transfer("photos", "styles/wave.png", "-o", "painted", "--seed", "1") == 0
    assert made == ["one-wave", "two-wave"]


@pytest.mark.parametrize(
    ("broken", "kind"),
    [("styles/broken.png", "no picture"), ("photos/broken.png", "truncated"), ("styles/broken.png", "too small")],
)
def test_what_is_broken_is_left_out_and_named_once(studio, made, capsys, broken, kind):
    whole = (studio / "photos/one.png").read_bytes()
    if kind == "too small":
        images.save(broken, np.zeros((3, 3, 3)))
    else:
        (studio / broken).write_bytes(whole[:200] if kind == "truncated" else b"no picture")
    assert transfer("photos", "styles", "-o", "painted") == 1
    assert sorted(made) == PAIRS
    told = capsys.readouterr().err
    assert sum(broken in line and "left out: " in line for line in told.splitlines()) == 1
    assert len(names(studio / "painted")) == 8


def test_dry_run_with_some_finished(studio, made, capsys):
    assert transfer("photos", "styles/wave.png", "-o", "painted", "--quiet") == 0
    assert transfer("photos", "styles", "-o", "painted", "--dry-run") == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("4 pictures, 2 of them finished, network distilled; ")
    assert not captured.err


def test_dry_run_makes_nothing(studio, made, capsys):
    assert transfer("photos", "styles", "-o", "painted", "--dry-run") == 0
    assert "4 pictures, network distilled; " in capsys.readouterr().out
    assert not made
    assert not (studio / "painted").exists()


def test_in_one_pass(studio, made):
    command = ["transfer", "photos", "styles/wave.png", "-o", "painted", "--method", "arbitrary", "--size", "40"]
    images.save("styles/wave.png", np.full((40, 40, 3), 99.0))
    assert main([*command, "--quiet"]) == 0
    assert made == ["one-wave", "two-wave"]


def test_ctrl_c_keeps_what_is_done(studio, made, monkeypatch, capsys):
    here = many.here

    def interrupted(plan):
        for number, reply in enumerate(here(plan)):
            if number == 2:
                raise KeyboardInterrupt
            yield reply

    monkeypatch.setattr(many, "here", interrupted)
    assert transfer("photos", "styles", "-o", "painted") == 130
    assert "the same command goes on" in capsys.readouterr().err
    monkeypatch.setattr(many, "here", here)
    made.clear()
    assert transfer("photos", "styles", "-o", "painted") == 0
    assert len(made) == 1  # the third was finished, and not told of


def test_a_full_disk_ends_all(studio, made, monkeypatch, capsys):
    def full(plan):
        yield 0, None if made else FileError("x.png cannot be written (No space left on device): mend this.")

    monkeypatch.setattr(many, "here", full)
    assert transfer("photos", "styles", "-o", "painted") == 2
    told = capsys.readouterr().err
    assert told.count("No space left") == 1
    assert "left out" not in told


def test_a_loss_that_does_not_stay_finite(studio, made, monkeypatch, capsys):
    here = many.here

    def unfinished(plan):
        for number, error in here(plan):
            record = plan.runs[number].settings.record
            record.write_text(record.read_text().replace('"complete": true', '"complete": false'))
            yield number, error

    monkeypatch.setattr(many, "here", unfinished)
    assert transfer("photos/one.png", "styles", "-o", "painted") == 1
    assert capsys.readouterr().err.count("the last good image is saved") == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["photos", "empty", "-o", "painted"], "empty holds no pictures"),
        (["empty", "styles", "-o", "painted"], "empty holds no pictures"),
        (["photos", "styles", "content.png", "-o", "painted"], "a directory of styles stands alone"),
        (["photos", "styles", "-o", "content.png"], "the directory content.png cannot be created (File exists)"),
        (["photos", "styles", "-o", "no/such/folder/"], "cannot be created"),
        (["photos", "styles", "-o", ""], "must end in the name of a file"),
        (["photos", "styles", "-o", "-"], "takes one picture"),
        (["photos", "styles", "-o", "strange"], "has not made it"),
        (["photos", "styles", "-o", "foreign"], "no record of two-wave.png"),
        (["photos", "styles", "-o", "painted", "--log", "run.jsonl"], "--log is of one picture"),
        (["photos", "styles", "-o", "painted", "--style-layers", "conv9_9"], "conv9_9"),
        (["photos", "styles", "-o", "painted", "--seed", "x"], "--seed"),
        (["photos", "missing.png", "-o", "painted"], "missing.png"),
        (["photos", "styles", "-o", "painted", "--processes", "0"], "--processes"),
        (
            ["photos", "styles", "-o", "painted", "--processes", "2", "--scheduler", "x"],
            "--processes is of this machine",
        ),
        (["photos", "styles", "-o", "painted", "--scheduler", "nonsense"], "no scheduler answers at nonsense"),
        (["content.png", "style.jpg", "-o", "out.png", "--processes", "2"], "--processes is for many pictures"),
        (["content.png", "style.jpg", "-o", "out.png", "--scheduler", "x"], "--scheduler is for many pictures"),
        (["content.png", "style.jpg", "-o", "out/"], "-o must end in the name of a file"),
        (["--settings", "s.json", "photos", "-o", "painted"], "no style is named"),
    ],
    ids=" ".join,
)
def test_what_cannot_be(studio, made, capsys, arguments, sentence):
    for name in ("empty", "strange", "foreign"):
        (studio / name).mkdir()
    (studio / "strange/two-wave.png").write_bytes(b"of somebody")
    (studio / "foreign/two-wave.json").write_text("{}")
    before = {path: path.read_bytes() for path in studio.rglob("*") if path.is_file()}
    try:
        status = transfer(*arguments)
    except SystemExit as end:
        status = end.code
    told = capsys.readouterr().err
    assert status == 2
    assert sentence in told
    assert len(told.splitlines()) == 1
    assert {path: path.read_bytes() for path in studio.rglob("*") if path.is_file()} == before
    assert not (studio / "painted").exists()


def test_a_scheduler_that_is_not_there(studio, capsys, monkeypatch):
    cluster = pytest.importorskip("scratchnst.system.cluster", reason="Dask is not installed")
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    assert transfer("photos", "styles", "-o", "painted", "--scheduler", address) == 2
    assert f"no scheduler answers at {address}" in capsys.readouterr().err


def test_without_dask(studio, capsys, no_dask):
    assert transfer("photos", "styles", "-o", "painted", "--scheduler", "tcp://127.0.0.1:1") == 2
    assert "pip install 'scratchnst[cluster]'" in capsys.readouterr().err


@pytest.mark.slow
def test_by_processes(studio):
    (studio / "photos/broken.png").write_bytes(b"no picture")
    command = [sys.executable, "-m", "scratchnst", "transfer", "photos", "styles/", "-o", "painted/", *SMALL]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1
    assert "left out: photos/broken.png" in ended.stderr
    assert len(names(studio / "painted")) == 8
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stderr.count("finished before")) == (1, 4)
