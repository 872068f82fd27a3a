"""``scratchnst arbitrary``: photographs in the style of any picture, blends, masks, folders and pipes."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from networks import arbitrary_style
from PIL import Image

from scratchnst import ArbitraryStyle, images
from scratchnst.cli import main
from scratchnst.fast.arbitrary_style import TRANSFORMS
from scratchnst.fast.fast_style import FastStyle, Style
from scratchnst.models import transform_net
from scratchnst.system.capacity import resident


@pytest.fixture
def studio(folder, random):
    """An untrained model, two photographs and two paintings."""
    arbitrary_style().save(folder / "model.h5")
    for name, height, width in (("photos/one", 50, 60), ("photos/two", 45, 40), ("wave", 64, 48), ("dots", 40, 80)):
        (folder / name).parent.mkdir(exist_ok=True)
        images.save(f"{name}.png", random.uniform(0, 255, (height, width, 3)))
    (folder / "styles").mkdir()
    for name in ("wave.png", "dots.png"):
        (folder / "styles" / name).write_bytes((folder / name).read_bytes())
    return folder


def paint(*arguments):
    return main(["arbitrary", *arguments, "--model", "model.h5"])


def style(name, shape):
    return images.resize(images.load(name), *shape)


def check(file, expected):
    assert np.abs(images.load(file) - expected).max() <= 0.51


def test_one_style_at_the_size_of_the_painting(studio, capsys):
    assert paint("photos/one.png", "wave.png", "-o", "out.png") == 0
    assert "out.png: 60x50" in capsys.readouterr().err
    check("out.png", ArbitraryStyle.load("model.h5")(images.load("photos/one.png"), style("wave.png", (60, 45))))


def test_a_blend_with_weights_sizes_and_strength(studio, capsys):
    options = ["--style-weights", "3,1", "--size", "30", "--style-size", "96", "--strength", "0.5", "--json"]
    assert paint("photos/one.png", "wave.png", "dots.png", "-o", "out.png", *options) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["output"], told["width"], told["height"]) == ("out.png", 30, 25)
    assert told["style"] == {"wave.png": 3, "dots.png": 1}
    styles = [style("wave.png", (96, 72)), style("dots.png", (48, 96))]
    photo = images.fit(images.load("photos/one.png"), 30)
    check("out.png", ArbitraryStyle.load("model.h5")(photo, styles, [3, 1], strength=0.5))


def test_whitening_and_colouring(studio):
    assert paint("photos/one.png", "wave.png", "-o", "out.png", "--transform", "wct") == 0
    model, photo = ArbitraryStyle.load("model.h5"), images.load("photos/one.png")
    check("out.png", model(photo, style("wave.png", (60, 45)), transform="wct"))


def test_a_transform_that_the_model_does_not_know(studio, capsys):
    arbitrary_style(transform="prediction").save(studio / "model.h5")
    assert paint("photos/one.png", "wave.png", "-o", "out.png") == 0
    assert paint("photos/one.png", "wave.png", "-o", "out.png", "--transform", "wct") == 2
    assert "paints by prediction, not by wct" in capsys.readouterr().err


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_each_transform_has_a_model(studio, transform):
    assert main(["arbitrary", "photos/one.png", "wave.png", "-o", "out.png", "--transform", transform]) == 0
    model = ArbitraryStyle.load(transform=transform)
    check("out.png", model(images.load("photos/one.png"), style("wave.png", (60, 45)), transform=transform))


def test_a_style_that_is_named_twice_counts_twice(studio):
    assert paint("photos/one.png", "wave.png", "wave.png", "dots.png", "-o", "twice.png") == 0
    assert paint("photos/one.png", "wave.png", "dots.png", "-o", "weighted.png", "--style-weights", "2,1") == 0
    assert (studio / "twice.png").read_bytes() == (studio / "weighted.png").read_bytes()


def test_masks(studio, capsys):
    """White on the left for the one, and half on the right for the other."""
    left, right = np.zeros((2, 50, 60, 3))
    left[:, :30], right[:, 30:] = 255, 51
    images.save("left.png", left)
    images.save("right.png", right)
    assert paint("photos/one.png", "wave.png", "-o", "wave_out.png") == 0
    assert paint("photos/one.png", "dots.png", "-o", "dots_out.png") == 0
    capsys.readouterr()
    options = ["--mask", "left.png", "right.png", "--json"]
    assert paint("photos/one.png", "wave.png", "dots.png", "-o", "out.png", *options) == 0
    assert json.loads(capsys.readouterr().out)["style"] == {"wave.png": "left.png", "dots.png": "right.png"}
    photo, wave, dots, painting = map(images.load, ("photos/one.png", "wave_out.png", "dots_out.png", "out.png"))
    np.testing.assert_allclose(painting[:, :30], wave[:, :30], atol=1)
    np.testing.assert_allclose(painting[:, 30:], 0.8 * photo[:, 30:] + 0.2 * dots[:, 30:], atol=1)


def test_colours_of_the_photograph(studio):
    assert paint("photos/one.png", "wave.png", "-o", "plain.png") == 0
    assert paint("photos/one.png", "wave.png", "-o", "out.png", "--colors", "content") == 0
    photo, plain, painting = map(images.load, ("photos/one.png", "plain.png", "out.png"))
    Y = np.array([0.299, 0.587, 0.114], np.float32)
    inside = ((painting > 0) & (painting < 255)).all(axis=2)
    np.testing.assert_allclose((painting @ Y)[inside], (plain @ Y)[inside], atol=1)
    blue = [(picture[..., 2] - picture @ Y)[inside] for picture in (painting, photo)]
    np.testing.assert_allclose(*blue, atol=1)


def test_a_style_in_the_colours_of_each_photograph(studio):
    assert paint("photos", "wave.png", "-o", "out", "--colors", "match", "--color-matching", "pca") == 0
    for name, shape in (("one", (60, 45)), ("two", (45, 34))):
        photo = images.load(f"photos/{name}.png")
        painter = ArbitraryStyle.load("model.h5")
        check(f"out/{name}-wave.png", painter(photo, style("wave.png", shape), colors="match", color_matching="pca"))


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["photos", "styles"], ["one-dots", "one-wave", "two-dots", "two-wave"]),
        (["photos/one.png", "styles"], ["one-dots", "one-wave"]),
        (["photos", "wave.png"], ["one-wave", "two-wave"]),
        (["photos", "wave.png", "dots.png"], ["one-wave-dots", "two-wave-dots"]),
    ],
    ids=str,
)
def test_folders(studio, arguments, names):
    assert paint(*arguments, "-o", "painted") == 0
    assert sorted(path.name for path in (studio / "painted").iterdir()) == [f"{name}.png" for name in names]
    assert images.size(studio / "painted" / f"{names[0]}.png") == (50, 60)
    assert images.size(studio / "painted" / f"{names[-1]}.png")[1] == (40 if "two" in names[-1] else 60)


def test_each_pair_is_painted_as_if_alone(studio):
    assert paint("photos", "styles", "-o", "painted") == 0
    assert paint("photos/two.png", "dots.png", "-o", "alone.png") == 0
    np.testing.assert_array_equal(images.load("painted/two-dots.png"), images.load("alone.png"))


@pytest.mark.parametrize("broken", ["styles/broken.png", "photos/broken.png"])
def test_what_is_broken_is_left_out_and_named_once(studio, capsys, broken):
    (studio / broken).write_bytes(b"no picture")
    assert paint("photos", "styles", "-o", "painted") == 1
    assert len(list((studio / "painted").iterdir())) == 4
    assert capsys.readouterr().err.count(f"left out: {broken}") == 1


def test_pipes(studio):
    command = [sys.executable, "-m", "scratchnst", "arbitrary", "-", "wave.png", "-o", "-", "--model", "model.h5"]
    with open("photos/one.png", "rb") as photo:
        done = subprocess.run(command, stdin=photo, capture_output=True, check=True, timeout=120)
    (studio / "piped.png").write_bytes(done.stdout)
    assert paint("photos/one.png", "wave.png", "-o", "out.png") == 0
    assert np.abs(images.load("piped.png") - images.load("out.png")).max() <= 1
    done = subprocess.run(command, input=b"no picture", capture_output=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.decode().startswith("scratchnst: standard input is damaged or no picture")


@pytest.mark.parametrize("colour", [0, 128, 255])
@pytest.mark.parametrize("shape", [(32, 32), (33, 900), (1100, 1200)], ids=str)
def test_styles_without_any_contrast(studio, colour, shape):
    Image.new("RGB", shape[::-1], (colour,) * 3).save("flat.png")
    assert paint("photos/one.png", "flat.png", "-o", "out.png") == 0  # NaN would not be written
    assert images.size("out.png") == (50, 60)


def test_a_photograph_without_any_contrast(studio):
    Image.new("RGB", (20, 9), (255, 255, 255)).save("flat.png")
    assert paint("flat.png", "wave.png", "-o", "out.png") == 0
    assert images.size("out.png") == (9, 20)


def test_dry_run_and_strips(studio, capsys):
    arbitrary_style(widths=(16, 32, 64)).save(studio / "model.h5")
    Image.effect_noise((700, 500), 90).convert("RGB").save("noise.png")
    assert paint("noise.png", "wave.png", "-o", "whole.png") == 0
    capsys.readouterr()
    command = ["noise.png", "wave.png", "-o", "out.png"]
    assert paint(*command, "--dry-run", "--json") == 0
    whole = json.loads(capsys.readouterr().out)
    assert (whole["photo"], whole["width"], whole["height"], whole["in strips"]) == ("noise.png", 700, 500, False)
    limit = ["--memory-limit", str(whole["bytes"] - 4_000_000)]
    assert paint(*command, *limit, "--dry-run") == 0
    assert "in strips" in capsys.readouterr().out
    assert not (studio / "out.png").exists()
    assert paint(*command, *limit) == 0
    assert np.abs(images.load("out.png") - images.load("whole.png")).max() <= 1


def test_masks_take_memory_too(studio, capsys):
    Image.new("L", (30, 30), 255).save("mask.png")
    command = ["photos/one.png", "wave.png", "-o", "out.png", "--size", "2000", "--dry-run", "--json"]
    assert paint(*command) == 0
    plain = json.loads(capsys.readouterr().out)["bytes"] - resident()
    assert paint(*command, "--mask", "mask.png") == 0
    assert json.loads(capsys.readouterr().out)["bytes"] - resident() > plain + 40_000_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.png", "wave.png", "-o", "out.png"], "no file none.png"),
        (["photos/one.png", "none.png", "-o", "out.png"], "no file none.png"),
        (["photos/one.png", "small.png", "-o", "out.png"], "style small.png has 60x31 pixels, which is too small"),
        (["photos/one.png", "wave.png", "-o", "out.xyz"], "no suffix"),
        (["photos/one.png", "wave.png", "-o", "photos/one.png"], "named twice"),
        (["photos/one.png", "wave.png", "-o", "wave.png"], "named twice"),
        (["photos/one.png", "wave.png", "-o", "grey.png", "--mask", "grey.png"], "named twice"),
        (["photos", "styles", "-o", "strange"], "has not made it"),
        (["photos/one.png", "empty", "-o", "painted"], "holds no pictures"),
        (["empty", "wave.png", "-o", "painted"], "holds no pictures"),
        (["photos/one.png", "styles", "dots.png", "-o", "painted"], "stands alone"),
        (["photos", "wave.png", "-o", "-"], "takes one picture"),
        (["photos/one.png", "styles", "-o", "-"], "takes one picture"),
        (["photos/one.png", "wave.png", "-o", "out.png", "--mask", "grey.png", "grey.png"], "masks is 2, and"),
        (["photos/one.png", "wave.png", "dots.png", "-o", "out.png", "--mask", "grey.png"], "masks is 1, and"),
        (["photos/one.png", "wave.png", "-o", "out.png", "--mask", "black.png"], "nothing to be painted"),
        (["photos/one.png", "wave.png", "-o", "out.png", "--mask", "none.png"], "no file none.png"),
        (["photos/one.png", "wave.png", "-o", "out.png", "--style-weights", "1,2"], "weights is 2, and"),
        (["photos/one.png", "wave.png", "-o", "out.png", "--style-weights", "0"], "sum is not 0"),
        (["photos/one.png", "wave.png", "dots.png", "-o", "out.png", "--style-weights", "2,-1"], "0 or more"),
        (["photos/one.png", "wave.png", "-o", "out.png", "--style-weights", "x"], "must be numbers"),
        (["photos/one.png", "wave.png", "-o", "out.png", "--style-weights", "1", "--mask", "grey.png"], "not allowed"),
        (["photos/one.png", "wave.png", "-o", "out.png", "--strength", "1.5"], "from 0 to 1"),
        (["photos/one.png", "wave.png", "-o", "out.png", "--size", "4"], "at least 8 pixels"),
        (["photos/one.png", "wave.png", "-o", "out.png", "--memory-limit", "1M"], "of memory"),
        (["photos/one.png", "-o", "out.png"], "STYLE"),
    ],
    ids=" ".join,
)
def test_what_cannot_be(studio, capsys, arguments, message):
    (studio / "empty").mkdir()
    (studio / "strange").mkdir()
    Image.new("RGB", (60, 31)).save("small.png")
    Image.new("L", (9, 9), 9).save("grey.png")
    Image.new("L", (9, 9), 0).save("black.png")
    (studio / "strange" / "two-wave.png").write_bytes(b"of somebody")
    before = {path: path.read_bytes() for path in studio.rglob("*") if path.is_file()}
    capsys.readouterr()
    try:
        status = paint(*arguments)
    except SystemExit as error:
        status = error.code
    told = capsys.readouterr().err
    assert status == 2
    assert len(told.splitlines()) == 1
    assert message in told
    assert {path: path.read_bytes() for path in studio.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("model", ["distilled", "styles.h5", "none.h5"])
def test_a_model_of_another_kind(studio, random, capsys, model):

    FastStyle(transform_net.build(random, 1, (3, 4, 5), 1), (Style("one"),), {}).save(studio / "styles.h5")
    assert main(["arbitrary", "photos/one.png", "wave.png", "-o", "out.png", "--model", model]) == 2
    assert ("none.h5" if model == "none.h5" else "paints in any style") in capsys.readouterr().err
    assert main(["fast", "photos/one.png", "-o", "out.png", "--model", "model.h5"]) == 2
    assert "use scratchnst arbitrary" in capsys.readouterr().err
    assert not (studio / "out.png").exists()


def test_a_style_that_takes_too_much_memory_to_look_at(studio, capsys):
    """It can be read, which takes a third as much."""
    limit = resident() + 600_000_000
    arguments = ["photos/one.png", "wave.png", "-o", "out.png", "--style-size", "4000", "--memory-limit", str(limit)]
    assert paint(*arguments) == 2
    assert "looking at wave.png in 3000x4000 pixels takes" in capsys.readouterr().err
    assert not (studio / "out.png").exists()
