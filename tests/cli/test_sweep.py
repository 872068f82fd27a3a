"""``scratchnst sweep``: a picture for each combination of values, and the sheet."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest

from scratchnst import images
from scratchnst.cli import main, many
from scratchnst.cli.sweep import axis
from scratchnst.transfer.settings import Settings

SMALL = ["--network", "distilled", "--size", "24", "--iterations", "2"]


def sweep(*arguments):
    return main(["sweep", "content.png", "style.jpg", "-o", "sheet.png", *SMALL, *arguments])


def record(name):
    with open(f"sheet-panels/{name}.json") as file:
        return json.load(file)


def test_pictures_records_and_sheet(folder, made):
    assert sweep("--vary", "style_weight=1,100", "--vary", "seed=0,1") == 0
    assert len(made) == 4
    assert record("style_weight=100-seed=1")["given"] == {
        **Settings(
            **{"content": "content.png", "styles": ["style.jpg"], "network": "distilled", "size": 24, "iterations": 2},
            **{"style_weight": 100.0, "seed": 1, "output": "sheet-panels/style_weight=100-seed=1.png"},
        ).to_json()
    }
    whole = json.loads((folder / "sheet.json").read_text())
    assert whole["vary"] == {"style_weight": ["1", "100"], "seed": ["0", "1"]}
    assert [panel["label"] for panel in whole["panels"]][1] == "style_weight 1, seed 1"
    assert all(panel["result"]["complete"] for panel in whole["panels"])
    assert images.size("sheet.png")[1] > 2 * 24


def test_each_is_as_if_alone(folder, made):
    assert sweep("--vary", "pooling=max", "--tv-weight", "0") == 0
    assert (
        main(["transfer", "content.png", "style.jpg", "-o", "out.png", *SMALL, "--pooling", "max", "--tv-weight", "0"])
        == 0
    )
    np.testing.assert_array_equal(images.load("sheet-panels/pooling=max.png"), images.load("out.png"))


def test_pictures_of_16_bits(folder, made):
    assert sweep("--vary", "seed=0,1", "--depth", "16") == 0
    for seed in (0, 1):
        assert (folder / "sheet-panels" / f"seed={seed}.png").read_bytes()[24] == 16
    assert (folder / "sheet.png").read_bytes()[24] == 8


def test_it_goes_on_with_what_is_missing(folder, made, capsys):
    assert sweep("--vary", "seed=0,1") == 0
    made.clear()
    assert sweep("--vary", "seed=0,1,2", "--json") == 0
    assert made == ["seed=2"]
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["varied"], each["kept"]) for each in told[:-1]] == [
        ({"seed": "0"}, True),
        ({"seed": "1"}, True),
        ({"seed": "2"}, False),
    ]
    assert told[0]["loss"] > 0
    assert (told[-1]["sheet"], told[-1]["left_out"]) == ("sheet.png", 0)
    made.clear()
    assert sweep("--vary", "seed=0,1,2", "--style-weight", "2") == 0
    assert len(made) == 3


def test_alpha_and_beta(folder, made):
    """1e-3 is the default, and beta counts."""
    assert sweep("--vary", "alpha/beta=1e-3,1e-2", "--vary", "beta=1,2") == 0
    used = {
        pair: record(f"alpha_beta={pair[0]}-style_weight={pair[1]}")["settings"] for pair in (("1e-3", 1), ("1e-2", 2))
    }
    assert used["1e-2", 2]["content_weight"] == pytest.approx(20 * used["1e-3", 1]["content_weight"], rel=1e-3)
    assert main(["transfer", "content.png", "style.jpg", "-o", "out.png", *SMALL]) == 0
    default = json.loads((folder / "out.json").read_text())["settings"]["content_weight"]
    assert used["1e-3", 1]["content_weight"] == pytest.approx(default, rel=1e-3)


def test_presets_are_told_once(folder, made, capsys):
    assert sweep("--vary", "preset=none,soft,strong", "--vary", "seed=0,1", "--dry-run") == 0
    captured = capsys.readouterr()
    assert [line.partition(":")[0] for line in captured.err.splitlines()] == ["preset soft", "preset strong"]
    assert captured.out.count("\n") == 1


def test_what_fails_is_left_out_and_told(folder, made, capsys):
    assert sweep("--vary", "network=distilled,missing.h5", "--json") == 1
    captured = capsys.readouterr()
    assert captured.err.count("missing.h5") == 1
    assert len(made) == 1
    *_, last = captured.out.splitlines()
    assert json.loads(last)["left_out"] == 1
    labels = [panel["label"] for panel in json.loads((folder / "sheet.json").read_text())["panels"]]
    assert labels == ["network distilled", "network missing: left out"]


def test_dry_run_tells_how_long(folder, made, capsys):
    assert sweep("--vary", "seed=0,1", "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["pictures"], told["finished"]) == (2, 0)
    assert 0 < told["seconds"] < 60
    assert 50e6 < told["bytes"] < 1e9
    assert sorted(path.name for path in folder.iterdir()) == ["content.png", "style.jpg"]


def test_ctrl_c_makes_no_sheet(folder, made, monkeypatch):
    def interrupted(plan):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(many, "here", interrupted)
    assert sweep("--vary", "seed=0,1") == 130
    assert sorted(path.name for path in folder.iterdir()) == ["content.png", "style.jpg"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("style-weight=0.1, 10", {"0.1": {"style_weight": 0.1}, "10": {"style_weight": 10.0}}),
        ("beta=3", {"3": {"style_weight": 3.0}}),
        ("--scales=auto,2", {"auto": {"scales": "auto"}, "2": {"scales": 2}}),
        ("bounded=true,false", {"true": {"bounded": True}, "false": {"bounded": False}}),
        ("normalize=true,false", {"true": {"normalize": True}, "false": {"normalize": False}}),
        ("no_normalize=true,false", {"true": {"normalize": False}, "false": {"normalize": True}}),
        ("style_layers=a:1+b:2", {"a:1+b:2": {"style_layers": ["a:1", "b:2"]}}),
        ("preset=none,paper", {"none": {"preset": None}, "paper": {"preset": "paper"}}),
        ("alpha/beta=1e-3", {"1e-3": {"alpha/beta": 0.001}}),
    ],
)
def test_axes(text, values):
    assert axis(text).values == values


def test_a_folder_is_each_of_its_pictures(folder):
    (folder / "styles").mkdir()
    for name in ("b.png", "a.png"):
        images.save(f"styles/{name}", np.zeros((9, 9, 3)))
    assert [list(map(str, each["styles"])) for each in axis("style=styles,style.jpg").values.values()] == [
        ["styles/a.png"],
        ["styles/b.png"],
        ["style.jpg"],
    ]
    assert list(axis("content=styles/").values) == ["styles/a.png", "styles/b.png"]
    ((_, blend),) = axis("style=styles/a.png+style.jpg").values.items()
    assert len(blend["styles"]) == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("seed", "must be like style_weight=0.1,1,10"),
        ("=1", "must be like"),
        ("seed=", "names no values"),
        ("seed=,", "names no values"),
        ("seed=1,1", "seed has the value 1 twice"),
        ("seed=x", "must be a whole number of 0 or more, not 'x'"),
        ("bounded=yes", "bounded is true or false"),
        ("sead=1", "there is no setting 'sead'; those that can be varied: "),
        ("threads=1,2", "there is no setting 'threads'"),
        ("output=a,b", "there is no setting 'output'"),
        ("pooling=min", "invalid choice: 'min'"),
        ("alpha/beta=-1", "must be a number of 0 or more"),
        ("style=empty", "empty holds no pictures"),
        ("content=", "names no values"),
    ],
)
def test_axes_that_cannot_be(folder, text, sentence):
    (folder / "empty").mkdir()
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        axis(text)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "required: --vary"),
        (["--vary", "seed=x"], "argument --vary: must be a whole number"),
        (["--vary", "seed=1", "--vary", "seed=2"], "seed is varied twice"),
        (["--vary", "seed=1", "-o", "sheet.xyz"], "no suffix"),
        (["--vary", "seed=1", "-o", "style.jpg"], "named twice"),
        (["--vary", "seed=1", "-o", "taken.png"], "the directory taken-panels cannot be created"),
        (["--vary", "seed=1", "-o", "foreign.png"], "foreign.png is there already"),
        (["--vary", "style=missing.png"], "missing.png cannot be read (No such file"),
        (["--vary", "style_layers=conv9_9"], "conv9_9"),
        (["--vary", "alpha/beta=1", "--content-weight", "1"], "alpha/beta chooses the content weight"),
        (["--vary", "method=arbitrary", "--vary", "tv_weight=1"], "belongs to the optimisation"),
        (["--vary", "refine=1", "--init", "noise"], "leave out --init"),
        (["--vary", "seed=1", "--scheduler", "nonsense"], "no scheduler answers at nonsense"),
        (["--vary", "seed=1", "--log", "run.jsonl"], "unrecognized arguments"),
        (["--vary", "network=missing.h5,none.h5"], "missing.h5 cannot be read (No such file"),
    ],
    ids=" ".join,
)
def test_what_cannot_be(folder, made, capsys, arguments, sentence):
    (folder / "taken-panels").write_text("a file")
    (folder / "foreign.png").write_text("of somebody")
    before = sorted(path.name for path in folder.iterdir())
    try:
        status = sweep(*arguments)
    except SystemExit as end:
        status = end.code
    told = capsys.readouterr().err
    assert status == 2
    assert sentence in told
    assert len(told.splitlines()) == 1
    assert sorted(path.name for path in folder.iterdir()) == before
    assert not made
