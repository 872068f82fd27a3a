"""``scratchnst figure``: the paper's figures by command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from scratchnst import images
from scratchnst.cli import job, main

SMALL = ["--size", "40", "--iterations", "2"]
PICTURES = ["--content", "content.png", "--style", "style.jpg"]


def figure(number, *options):
    return main(["figure", str(number), *PICTURES, "-o", "out.png", *SMALL, *options])


@pytest.mark.parametrize("number", [1, 3, 4, 5, 6, 7])
def test_picture_and_record(folder, number):
    assert figure(number, "--quiet") == 0
    record = json.loads((folder / "out.json").read_text())
    assert record["figure"] == number
    made = [panel for panel in record["panels"] if "result" in panel]
    assert sorted(Path(panel["picture"]).name for panel in made) == sorted(
        path.name for path in (folder / "out-panels").glob("*.png")
    )
    assert all(panel["result"]["complete"] and panel["settings"]["size"] == 40 for panel in made)
    assert images.load("out.png").shape[1] > 40


def test_panels_that_are_done_are_kept(folder, capsys):
    assert figure(6) == 0
    assert "kept" not in capsys.readouterr().err
    first = (folder / "out.png").read_bytes()
    (folder / "out-panels" / "from-style.json").unlink()
    times = {path: path.stat().st_mtime_ns for path in (folder / "out-panels").glob("*.png")}
    assert figure(6) == 0
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.endswith(": kept") for line in lines) == 5
    assert "picture 2 of 6, B  from the style:" in lines
    assert [path.stem for path, time in times.items() if path.stat().st_mtime_ns != time] == ["from-style"]
    assert (folder / "out.png").read_bytes() == first
    assert figure(6, "--pooling", "max") == 0
    assert "kept" not in capsys.readouterr().err


def test_ctrl_c_keeps_what_is_done(folder, capsys, monkeypatch):
    run, runs = job.job.run, []

    def interrupted_in_the_third(settings, on_progress, *others, **options):
        runs.append(settings)

        def step(iterate):
            if len(runs) == 3:
                raise KeyboardInterrupt
            on_progress(iterate)

        return run(settings, step, *others, **options)

    monkeypatch.setattr(job.job, "run", interrupted_in_the_third)
    assert figure(6) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert not (folder / "out.png").exists()
    assert figure(6) == 0
    assert len(runs) == 3 + 4
    assert capsys.readouterr().err.count(": kept") == 2


def test_ctrl_c_before_the_first_step_of_a_panel(folder, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(job.job, "run", interrupted)
    assert figure(6) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_a_loss_that_does_not_stay_finite(folder, capsys, monkeypatch):
    run = job.job.run

    def fail(*arguments, **options):
        return replace(run(*arguments, **options), complete=False)

    monkeypatch.setattr(job.job, "run", fail)
    assert figure(7) == 1
    assert not (folder / "out.png").exists()


def test_quick_is_small_unless_told_otherwise(folder, capsys):
    assert main(["figure", "7", *PICTURES, "-o", "out.png", "--quick", "--iterations", "1", "--quiet", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["output"], told["figure"]) == ("out.png", 7)
    assert all((folder / picture).exists() for picture in told["pictures"].values())
    settings = json.loads((folder / "out.json").read_text())["panels"][-1]["settings"]
    assert (settings["size"], settings["iterations"]) == (160, 1)


def test_dry_run(folder, capsys):
    assert figure(4, "--dry-run") == 0
    assert capsys.readouterr().out.count("memory ") == 4
    assert figure(4, "--dry-run", "--json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len({each["picture"] for each in told}) == 4
    assert all(each["bytes"] > 0 for each in told)
    assert sorted(path.name for path in folder.iterdir()) == ["content.png", "style.jpg"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["2"], "invalid choice: 2"),
        (["4"], "required: -o"),
        (["4", "-o", "out.png", "--style", "style.jpg"], "figure 4 takes one --style"),
        (["3", "-o", "out.png", "--style", "missing.png"], "there is no file missing.png"),
        (["3", "-o", "out.gif"], "out.gif has no suffix"),
        (["3", "-o", "missing/out.png"], "is no directory"),
        (["3", "-o", "style.jpg"], "is named twice"),
        (["3", "-o", "taken.png"], "taken-panels for the panels cannot be created"),
        (["1", "-o", "out.png", "--network", "pyramid"], "pyramid has no layer like VGG's"),
        (["1", "-o", "out.png", "--network", "missing.h5"], "missing.h5 does not exist"),
        (["6", "-o", "out.png", "--size", "2"], "too small"),
        (["6", "-o", "out.png", "--device", "cuda"], "CuPy is not installed"),
    ],
)
def test_bad_input(folder, capsys, arguments, sentence):
    (folder / "taken-panels").write_text("a file")
    before = sorted(path.name for path in folder.iterdir())
    number, *others = arguments
    try:
        status = main(["figure", number, *PICTURES, *others])
    except SystemExit as end:
        status = end.code
    captured = capsys.readouterr().err
    assert status == 2
    assert sentence in captured
    assert captured.splitlines()[-1].startswith("scratchnst")
    assert sorted(path.name for path in folder.iterdir()) == before
