"""``scratchnst train arbitrary``: from folders of photographs and paintings to a model for any style."""

from __future__ import annotations

import json

import numpy as np
import pytest
from networks import random_vgg19
from PIL import Image

from scratchnst import ArbitraryStyle, images, load_network
from scratchnst.cli import main
from scratchnst.models import style_predictor
from scratchnst.training import photographs, style_pool
from scratchnst.training.style_training import Training
from scratchnst.weights.formats import native

TINY = ["--iterations", "3", "--batch", "2", "--size", "32", "--width", "3", "--images", "photos", "--styles", "styles"]


@pytest.fixture
def studio(folder, random, monkeypatch):
    """Photographs and paintings; the pieces of these are few and small."""
    monkeypatch.setattr(photographs, "SAMPLES", 1)
    monkeypatch.setattr(style_pool, "SIDE", 40)
    for name, count in (("photos", 3), ("styles", 9)):
        (folder / name).mkdir()
        for number in range(count):
            picture = random.integers(0, 256, (50, 60, 3), np.uint8)
            Image.fromarray(picture).save(folder / name / f"{number}.png")
    return folder


def train(*arguments):
    return main(["train", "arbitrary", *arguments, *TINY])


@pytest.mark.parametrize("transform", ["prediction", "adain"])
def test_a_model(studio, capsys, transform):
    (studio / "rights.txt").write_text("all are mine\n")
    options = ["--log", "log.jsonl", "--preview", "preview.png", "--licences", "rights.txt"]
    assert train("-o", "model.h5", "--transform", transform, *options) == 0
    said = capsys.readouterr().err
    assert "3 photographs" in said
    assert "pieces of 7 pictures, and of the photographs" in said, "two are held out"
    model = ArbitraryStyle.load("model.h5")
    assert model.transforms[0] == model.training["settings"]["transform"] == transform
    assert len(model.training["settings"]["paintings"]) == 7
    assert model.training["photographs"] == ["0.png", "1.png", "2.png"]
    assert model.training["licences"] == "all are mine\n"
    assert model.training["iterations done"] == 3
    assert str(studio) not in json.dumps(model.training)
    assert [json.loads(line)["iteration"] for line in (studio / "log.jsonl").read_text().splitlines()] == [1, 2, 3]
    assert images.load("preview.png").shape[1] > 4 * 256
    assert not (studio / "model.h5.training").exists()


@pytest.mark.parametrize(("transform", "widths"), [("prediction", [20, 40, 80]), ("adain", [24, 48, 96])])
def test_usual_widths(studio, transform, widths):
    few = ["--iterations", "1", "--batch", "1", "--size", "32", "--images", "photos", "--styles", "styles"]
    assert main(["train", "arbitrary", "-o", "model.h5", "--transform", transform, *few]) == 0
    model = ArbitraryStyle.load("model.h5")
    assert model.training["settings"]["widths"] == widths
    assert model.network.parameters["conv6" if transform == "adain" else "conv1"][0].shape[3] == widths[0]


def test_adain_alone(studio, random):
    """Without a predictor all styles have the decoder's norms in common."""
    assert train("-o", "model.h5", "--transform", "adain", "--units", "0") == 0
    network = ArbitraryStyle.load("model.h5").network
    assert not style_predictor.is_there(network)
    assert network.parameters["norm1"][0].shape[0] == 1
    encoder = load_network("distilled").parameters["conv3_4"][0]
    np.testing.assert_array_equal(network.parameters["conv3_4"][0], encoder.astype("float16"))
    photo, dark, light = (np.float32(random.uniform(low, low + 80, (40, 40, 3))) for low in (80, 10, 160))
    painted = [ArbitraryStyle.load("model.h5")(photo, style).mean() for style in (dark, light)]
    assert painted[0] < 80 < 130 < painted[1]


def test_steady(studio, capsys):
    assert train("-o", "model.h5", "--steady", "2", "--log", "log.jsonl") == 0
    assert all(
        json.loads(line)["losses"]["unsteadiness"] > 0 for line in (studio / "log.jsonl").read_text().splitlines()
    )
    assert ArbitraryStyle.load("model.h5").training["settings"]["weights"]["steady"] == 2


def test_a_training_goes_on_from_a_model(studio):
    assert train("-o", "model.h5") == 0
    assert train("-o", "other.h5", "--start", "model.h5", "--rate", "0") == 0
    first, other = ArbitraryStyle.load("model.h5").network, ArbitraryStyle.load("other.h5").network
    for name in ("conv1", "norm1", style_predictor.HIDDEN):
        np.testing.assert_array_equal(first.parameters[name][0], other.parameters[name][0])


def test_a_model_by_another_transform(studio, capsys):
    assert train("-o", "model.h5", "--transform", "adain") == 0
    assert train("-o", "other.h5", "--start", "model.h5") == 2
    assert "model.h5 paints by adain: give --transform adain" in capsys.readouterr().err
    assert train("-o", "other.h5", "--start", "model.h5", "--transform", "adain") == 0


def test_resumed_it_is_the_same(studio, monkeypatch):
    assert train("-o", "whole.h5") == 0
    step = Training.step

    def interrupted(training):
        if training.state.iteration == 2:
            raise KeyboardInterrupt
        step(training)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "step", interrupted)
        assert train("-o", "part.h5") == 130
    assert train("-o", "part.h5", "--resume") == 0
    whole, part = ArbitraryStyle.load("whole.h5").network, ArbitraryStyle.load("part.h5").network
    for name, arrays in whole.parameters.items():
        for array, other in zip(arrays, part.parameters[name]):
            np.testing.assert_array_equal(array, other)


def test_an_encoder_of_ones_own(studio, capsys):
    """It is normalised, so that its statistics are of the size that a predictor takes."""
    native.write(random_vgg19(8, width=4), studio / "encoder.h5", "float32")
    assert train("-o", "model.h5", "--encoder", "encoder.h5") == 0
    assert "normalised by 16 crops" in capsys.readouterr().err
    network = ArbitraryStyle.load("model.h5").network
    means = network.features(images.load("photos/0.png")[np.newaxis], ["conv2_1"])["conv2_1"].mean((0, 1, 2))
    assert means.max() < 3
    assert np.median(means) == pytest.approx(1, abs=0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "model.h5", "--encoder", "pyramid"], "no layer conv3_4"),
        (["-o", "model.h5", "--units", "0"], "give --units more than 0"),
        (["-o", "model.h5", "--start", "none.h5"], "does not exist"),
        (["-o", "model.h5", "--start", "distilled.h5"], "not a network that paints in any style"),
        (["-o", "model.h5", "--minutes", "1"], "exclude each other"),
        (["-o", "model.h5", "--resume"], "leave out --resume"),
        (["-o", "model.png"], "no suffix"),
    ],
)
def test_what_cannot_be(studio, capsys, arguments, message):
    if "distilled.h5" in arguments:
        assert main(["weights", "convert", "distilled", "distilled.h5"]) == 0
    assert train(*arguments) == 2
    assert message in capsys.readouterr().err
    assert not (studio / "model.h5").exists()


def test_a_folder_without_styles(studio, capsys):
    for path in (studio / "styles").iterdir():
        path.unlink()
    assert train("-o", "model.h5") == 2
    assert "styles has no picture to train on" in capsys.readouterr().err
