"""Standard input and output in place of files, and JSON there and nothing else."""

from __future__ import annotations

import io
import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from scratchnst import images
from scratchnst.cli import main, reports
from scratchnst.images import mosaic, samples

QUICK = ["--network", "pyramid", "--size", "32", "--iterations", "2"]
TRANSFER = ["transfer", "content.png", "style.jpg", *QUICK]


@pytest.fixture
def send(monkeypatch):
    """Put bytes into standard input."""

    def put(data):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))

    return put


def test_transfer_from_and_to_a_pipe(folder, capsysbinary, send):
    assert main([*TRANSFER, "-o", "file.png"]) == 0
    capsysbinary.readouterr()
    send(Path("content.png").read_bytes())
    before = sorted(path.name for path in folder.iterdir())
    assert main(["transfer", "-", "style.jpg", *QUICK, "-o", "-"]) == 0
    captured = capsysbinary.readouterr()
    with Image.open(io.BytesIO(captured.out)) as piped, Image.open("file.png") as written:
        assert piped.format == "PNG"
        np.testing.assert_array_equal(np.asarray(piped), np.asarray(written))
    assert b"-: all 2 iterations done" in captured.err
    assert sorted(path.name for path in folder.iterdir()) == before  # no record, and no picture


def test_a_style_from_a_pipe_is_noted_in_the_record(folder, capsys, send):
    send(Path("style.jpg").read_bytes())
    assert main(["transfer", "content.png", "-", *QUICK, "-o", "out.png"]) == 0
    given = json.loads(Path("out.json").read_text())["given"]
    assert (given["content"], given["styles"], given["output"]) == ("content.png", ["-"], "out.png")
    first = Path("out.png").read_bytes()
    send(Path("style.jpg").read_bytes())
    assert main(["transfer", "--settings", "out.json", "-o", "again.png"]) == 0
    assert Path("again.png").read_bytes() == first


def test_in_one_pass_by_pipes(folder, capsysbinary, send):
    images.save("large.png", np.random.default_rng(1).uniform(0, 255, (80, 100, 3)))
    send(Path("content.png").read_bytes())
    arguments = ["transfer", "-", "large.png", "--method", "arbitrary", "--size", "0", "-o", "-", "--quiet"]
    assert main(arguments) == 0
    captured = capsysbinary.readouterr()
    assert captured.err == b""
    with Image.open(io.BytesIO(captured.out)) as piped:
        assert piped.size == (40, 30)


def test_reconstruct_from_and_to_a_pipe(folder, capsysbinary, send):
    send(Path("content.png").read_bytes())
    assert main(["reconstruct", "content", "-", *QUICK, "-o", "-"]) == 0
    with Image.open(io.BytesIO(capsysbinary.readouterr().out)) as piped:
        assert piped.size == (32, 24)


def test_a_sheet_from_and_to_a_pipe(folder, capsysbinary, send):
    assert main(["sheet", "content.png", "-o", "file.png", "--size", "32"]) == 0
    send(Path("content.png").read_bytes())
    assert main(["sheet", "-", "-o", "-", "--size", "32"]) == 0
    with Image.open(io.BytesIO(capsysbinary.readouterr().out)) as piped, Image.open("file.png") as written:
        np.testing.assert_array_equal(np.asarray(piped), np.asarray(written))


def test_trace_of_a_piped_picture(folder, capsys, send):
    options = ["--pixel", "3,3", "--size", "24", "--network", "pyramid", "--json"]
    assert main(["trace", "content.png", "style.jpg", *options]) == 0
    named = json.loads(capsys.readouterr().out)
    send(Path("style.jpg").read_bytes())
    assert main(["trace", "content.png", "-", *options]) == 0
    assert json.loads(capsys.readouterr().out)["gradient"] == named["gradient"]
    assert main(["trace", "-", "-", *options]) == 2


@pytest.mark.parametrize(
    ("data", "arguments", "sentence"),
    [
        (b"", ["-", "style.jpg", "-o", "out.png"], "standard input is empty: choose another file."),
        (b"text", ["-", "style.jpg", "-o", "out.png"], "standard input is damaged or no picture of a known kind"),
        (None, ["-", "-", "-o", "out.png"], "standard input is one picture: name the files of the others."),
        (None, ["content.png", "style.jpg", "-o", "-", "--save-every", "1"], "--save-every writes files beside"),
    ],
    ids=["empty", "text", "twice", "stages"],
)
def test_what_pipes_cannot_give_or_take(folder, capsys, send, data, arguments, sentence):
    if data is not None:
        send(data)
    assert main(["transfer", *arguments, *QUICK, "--quiet"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"scratchnst: {sentence}")
    assert captured.err.count("\n") == 1
    assert not Path("out.png").exists()


def lines_of(capsys, *arguments, status=0):
    """Run a command with --json, and return the objects of its lines."""
    assert main([*arguments, "--json"]) == status
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_numbers_that_json_has_not(capsys):
    reports.tell({"a": math.nan, "b": [math.inf, 1.5], "c": {"d": (-math.inf, "x")}})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": {"d": [None, "x"]}}


def test_how_a_run_ended(folder, capsys):
    (told,) = lines_of(capsys, *TRANSFER, "-o", "out.png")
    result = json.loads(Path("out.json").read_text())["result"]
    del result["scales"]
    assert told == {"output": "out.png", "width": 32, "height": 24, **result}


def test_a_preset_is_told_on_standard_error(folder, capsys):
    assert main([*TRANSFER, "--preset", "soft", "--json", "-o", "out.png"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["iterations"] == 2
    assert "preset soft: " in captured.err


def test_what_a_run_would_take(folder, capsys):
    (told,) = lines_of(capsys, *TRANSFER, "-o", "out.png", "--dry-run")
    assert told["scales"] == [{"width": 32, "height": 24, "iterations": 2}]
    assert 0 < told["bytes"] < told["limit"]
    assert not Path("out.png").exists()


def test_json_of_a_picture_painted_in_one_pass(folder, capsys):
    images.save("large.png", np.random.default_rng(1).uniform(0, 255, (80, 100, 3)))
    (told,) = lines_of(
        capsys, "transfer", "content.png", "large.png", "--method", "arbitrary", "--size", "0", "-o", "out.png"
    )
    assert (told["output"], told["width"], told["height"]) == ("out.png", 40, 30)


def test_json_of_weights(folder, capsys):
    assert lines_of(capsys, "weights", "list")[0]["default"] == "distilled"
    (network,) = lines_of(capsys, "weights", "info", "pyramid")
    first = network["layers"][0]
    assert (network["name"], first["name"], first["shape"][2]) == ("pyramid", "colour1", 3)
    assert lines_of(capsys, "weights", "convert", "pyramid", "out.h5") == [{"output": "out.h5", "network": "pyramid"}]
    (verified,) = lines_of(capsys, "weights", "verify", "out.h5")
    assert verified["works"]
    assert verified["layers"].keys() <= {layer["name"] for layer in network["layers"]}


def test_json_of_a_judgement(folder, capsys):
    arguments = ["--by", "pyramid", "--pair", "content.png", "style.jpg", "--size", "24", "--iterations", "2"]
    (told,) = lines_of(capsys, "weights", "judge", "pyramid", *arguments)
    assert (told["content"], told["style"]) == ("content.png", "style.jpg")
    assert told["style distance"] == told["content distance"] == 1  # it is its own judge


def test_json_of_lessons_and_exercises(folder, capsys, monkeypatch):
    found = lines_of(capsys, "lesson")
    assert [lesson["lesson"] for lesson in found] == list(range(1, len(found) + 1))
    exercises = lines_of(capsys, "check")
    assert exercises[0]["functions"] == {"mean_colour_loss": "not written", "descend": "not written"}
    assert main(["lesson", "1", "--json"]) == 2
    assert main(["check", "1", "--hint", "--json"]) == 2


def test_json_of_pictures(folder, capsys, monkeypatch):
    for drawing in (samples, "draw_content"), (samples, "draw_style"), (mosaic, "draw"):
        monkeypatch.setattr(*drawing, lambda: np.zeros((8, 8, 3)))
    (told,) = lines_of(capsys, "samples", "drawn")
    assert all(Path(name).exists() for name in told["pictures"])
    (told,) = lines_of(capsys, "sheet", "content.png", "-o", "sheet.png", "--size", "32")
    assert images.size("sheet.png") == (told["height"], told["width"])


@pytest.mark.parametrize("size", ["0", "40"])
@pytest.mark.parametrize("command", ["transfer", "fast"])
def test_the_size_of_the_content(folder, capsys, command, size):
    pictures = ["content.png", "style.jpg", "--network", "pyramid", "--iterations", "1"]
    assert main([command, *(pictures if command == "transfer" else pictures[:1]), "-o", "out.png", "--size", size]) == 0
    assert images.size("out.png") == (30, 40)


def test_an_own_size_that_is_too_small_names_what_would_do(folder, capsys):
    images.save("flat.png", np.zeros((4, 90, 3)))
    arguments = ["--network", "distilled", "--size", "0", "-o", "out.png"]
    assert main(["transfer", "flat.png", "style.jpg", *arguments]) == 2
    assert "flat.png cannot be used: an image of 90x4 pixels is too small" in capsys.readouterr().err
    images.save("strip.png", np.zeros((400, 20, 3)))
    assert main(["transfer", "content.png", "strip.png", *arguments]) == 2
    said = capsys.readouterr().err
    assert "at --size 40 " in said
    assert "--size 0" not in said
