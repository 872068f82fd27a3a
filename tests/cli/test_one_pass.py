"""``scratchnst transfer`` with what a network for any style paints: as a start, and in place of the optimisation."""

from __future__ import annotations

import json

import numpy as np
import pytest
from networks import arbitrary_style

from scratchnst import ArbitraryStyle, images
from scratchnst.cli import main
from scratchnst.transfer import job
from scratchnst.transfer.settings import Settings

TRANSFER = ["transfer", "content.png", "wave.png", "-o", "out.png", "--size", "40", "--fast-model", "model.h5"]


@pytest.fixture
def studio(folder, random):
    """An untrained model, and a style that is large enough for it."""
    arbitrary_style().save(folder / "model.h5")
    images.save("wave.png", random.uniform(0, 255, (64, 48, 3)))
    return folder


@pytest.fixture
def expected(studio):
    """The content of 40x30 pixels, painted."""
    style = images.resize(images.load("wave.png"), 43, 32)  # 32 are needed of a side
    return ArbitraryStyle.load("model.h5")(images.load("content.png"), style)


def read(path):
    return json.loads(path.read_text())


def test_a_start(studio, expected):
    """After one step the picture is still nearest to where it came from."""
    assert main([*TRANSFER, "--init", "arbitrary", "--iterations", "1", "--margin", "0", "--quiet"]) == 0
    picture = images.load("out.png")
    assert np.abs(picture - expected).mean() < np.abs(picture - images.load("content.png")).mean() / 2
    assert read(studio / "out.json")["settings"]["init"] == "arbitrary"


def test_refine_stands_for_a_start_and_a_number_of_steps(studio):
    assert main([*TRANSFER, "--refine", "2", "--quiet"]) == 0
    record = read(studio / "out.json")
    assert record["result"]["iterations"] == 2
    options = ["--init", "arbitrary", "--iterations", "2", "--scales", "1", "--quiet"]
    assert main([*TRANSFER, *options, "-o", "long.png"]) == 0
    assert read(studio / "long.json")["given"] == {**record["given"], "output": "long.png"}
    assert main(["transfer", "--settings", "out.json", "-o", "again.png", "--quiet"]) == 0
    for other in ("long.png", "again.png"):
        np.testing.assert_array_equal(images.load(other), images.load("out.png"))


def test_in_place_of_the_optimisation(studio, expected, capsys):
    assert main([*TRANSFER, "--method", "arbitrary"]) == 0
    assert "out.png: 40x30, painted in one pass" in capsys.readouterr().err
    assert np.abs(images.load("out.png") - expected).max() <= 0.51
    record = read(studio / "out.json")
    assert record["settings"]["method"] == "arbitrary"
    assert (record["settings"]["height"], record["settings"]["width"]) == (30, 40)
    assert len(record["network"]["sha256"]) == 64
    assert main(["transfer", "--settings", "out.json", "-o", "again.png", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    np.testing.assert_array_equal(images.load("again.png"), images.load("out.png"))
    assert main(["transfer", "--settings", "out.json", "--refine", "1", "--quiet"]) == 0
    assert read(studio / "out.json")["settings"]["method"] == "optimise"


@pytest.mark.parametrize("colors", ["content", "match"])
def test_colours_of_the_content(studio, colors):
    assert main([*TRANSFER, "--method", "arbitrary", "--colors", colors]) == 0
    style = images.resize(images.load("wave.png"), 43, 32)
    expected = ArbitraryStyle.load("model.h5")(images.load("content.png"), style, colors=colors)
    assert np.abs(images.load("out.png") - expected).max() <= 0.51
    record = read(studio / "out.json")
    assert (record["settings"]["colors"], record["settings"]["color_matching"]) == (colors, "symmetric")
    options = ["--init", "arbitrary", "--iterations", "1", "--margin", "0", "--quiet", "-o", "started.png"]
    assert main([*TRANSFER, "--colors", colors, *options]) == 0
    picture = images.load("started.png")
    assert np.abs(picture - expected).mean() < np.abs(picture - images.load("content.png")).mean() / 2


def test_several_styles_count_alike(studio):
    images.save("dots.png", np.tile(images.load("wave.png")[::4], (2, 1, 1)))
    command = ["content.png", "wave.png", "dots.png", "--size", "40"]
    assert main(["transfer", *command, "-o", "out.png", "--fast-model", "model.h5", "--method", "arbitrary"]) == 0
    assert main(["arbitrary", *command, "-o", "other.png", "--model", "model.h5"]) == 0
    np.testing.assert_array_equal(images.load("out.png"), images.load("other.png"))


def test_it_is_not_optimised(studio):
    settings = Settings(content="content.png", styles=["wave.png"], output="out.png", method="arbitrary")
    with pytest.raises(ValueError, match="not optimised"):
        job.run(settings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "arbitrary", "--iterations", "5"], "--iterations belongs to the optimisation"),
        (["--method", "arbitrary", "--init", "noise"], "--init belongs to the optimisation"),
        (["--method", "arbitrary", "--no-normalize"], "--no-normalize belongs to the optimisation"),
        (["--method", "arbitrary", "--style-weight", "3"], "--style-weight belongs to the optimisation"),
        (["--method", "arbitrary", "--preset", "paper"], "belongs to the optimisation"),
        (["--method", "arbitrary", "--dry-run"], "scratchnst arbitrary --dry-run"),
        (["--method", "arbitrary", "--refine", "5"], "leave out --method"),
        (["--refine", "5", "--init", "content"], "leave out --init"),
        (["--refine", "5", "--iterations", "5"], "leave out --iterations"),
        (["--refine", "5", "--scales", "2"], "leave out --scales"),
        (["--refine", "5", "--preset", "paper"], "leave out --preset"),
        (["--refine", "0"], "1 or more"),
        (["--method", "adain"], "invalid choice"),
        (["--init", "arbitrary", "--fast-style", "dots"], "--fast-style names a style"),
        (["--init", "arbitrary", "--fast-model", "distilled"], "paints in any style"),
        (["--init", "arbitrary", "--fast-model", "none.h5"], "none.h5 does not exist"),
        (["--init", "arbitrary", "-o", "model.h5"], "no suffix"),
        (["--method", "arbitrary", "-o", "model.h5"], "no suffix"),
        (["--method", "arbitrary", "-o", "wave.png"], "named twice"),
        (["--method", "arbitrary", "--fast-model", "distilled"], "paints in any style"),
        (["--method", "arbitrary", "--size", "4"], "at least 8 pixels"),
        (["--method", "arbitrary", "--color-matching", "pca"], "says how --colors match does it"),
        (["--colors", "content", "--color-matching", "pca"], "says how --colors match does it"),
    ],
    ids=" ".join,
)
def test_what_cannot_be(studio, capsys, options, message):
    check_refused(studio, capsys, [*TRANSFER, *options], message)


@pytest.mark.parametrize("options", [["--init", "arbitrary"], ["--method", "arbitrary"]], ids=" ".join)
def test_a_style_that_is_too_small(studio, capsys, options):
    command = ["transfer", "content.png", "style.jpg", "-o", "out.png", "--size", "40", "--fast-model", "model.h5"]
    check_refused(studio, capsys, [*command, *options], "style.jpg has 24x36 pixels, which is too small")


def check_refused(folder, capsys, command, message):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    try:
        status = main(command)
    except SystemExit as error:
        status = error.code
    told = capsys.readouterr().err.splitlines()
    assert status == 2
    assert message in told[-1]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
