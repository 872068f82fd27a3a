"""The settings of a run: invalid values, and conversion to and from JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from scratchnst.errors import UserError
from scratchnst.transfer import presets
from scratchnst.transfer.record import read_settings
from scratchnst.transfer.settings import Settings

GOOD = {"content": "content.png", "styles": ["a.png", "b.png"], "output": "out.png"}
OTHERS = {
    "network": "pyramid",
    "preprocessing": "oxford",
    "pooling": "max",
    "padding": "reflect",
    "normalize": False,
    "content_layers": ["conv1_1", "conv2_1"],
    "style_layers": {"conv1_1": 0.1, "conv2_1": 0.9},
    "layer_weights": "geometric",
    "activation_shift": -1,
    "correlations": "both",
    "content_weight": 0.1,
    "style_weight": 3,
    "tv_weight": 1e-300,
    "style_loss": "sliced",
    "tv": "absolute",
    "laplacian_weight": 0.1,
    "size": 24,
    "style_fit": "squeeze",
    "colors": "match",
    "color_matching": "cholesky",
    "scales": 2,
    "style_size": [300],
    "style_scale": [1.5, 2],
    "style_weights": [3, 1],
    "masks": ["left.png", "labels.png#00ff00"],
    "style_masks": ["a.png", "b.png"],
    "keep_mask": "keep.png",
    "guides": "inside",
    "grow_masks": -3,
    "method": "arbitrary",
    "init": "fast",
    "fast_model": "model.h5",
    "fast_style": {"dots": 1, "waves": 0.5},
    "iterations": 7,
    "optimizer": "adam",
    "seed": 2**70,
    "bounded": True,
    "margin": 0,
    "least_gain": 0.5,
    "average": 0.9,
    "carry_moments": True,
    "device": "cpu",
    "engine": "textbook",
    "convolution": "windows",
    "tf32": True,
    "threads": 1,
    "dtype": "float64",
    "tile": None,  # which padding does without
    "memory_limit": 10**9,
    "depth": 16,
    "keep": ["profile", "alpha"],
    "save_every": 5,
    "log": "log.jsonl",
    "video": "run.mp4",
    "video_every": 2,
    "checkpoint_every": 3,
}


@pytest.mark.parametrize("others", [{}, OTHERS])
def test_through_json_and_back(others):
    settings = Settings.from_json({**GOOD, **others})
    assert Settings.from_json(json.loads(json.dumps(settings.to_json(), allow_nan=False))) == settings
    assert settings.to_json().items() >= {**GOOD, **others}.items()


def test_every_setting_is_there():
    assert set(Settings(**GOOD).to_json()) == {*GOOD, *OTHERS}


def test_values_get_their_own_types():
    settings = Settings(**GOOD, size=np.int64(24), style_weight=np.float32(0.5), style_layers=["conv1_1"])
    assert (settings.content, settings.styles) == (Path("content.png"), (Path("a.png"), Path("b.png")))
    assert (type(settings.size), settings.style_weight, settings.style_layers) == (int, 0.5, ("conv1_1",))
    assert settings.record == Path("out.json")


def test_a_path_in_the_home_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    settings = Settings(content="~/a.png", styles=["~/b.png"], output="~/out.png")
    assert [*settings.pictures, settings.record] == [tmp_path / name for name in ("a.png", "b.png", "out.json")]


@pytest.mark.parametrize(
    ("pictures", "init"), [({}, "content"), ({"content": None}, "noise"), ({"styles": []}, "noise")], ids=str
)
def test_the_start_depends_on_the_pictures(pictures, init):
    assert Settings(**{**GOOD, **pictures}).init == init


def test_the_preset_is_the_papers():
    settings = Settings(**GOOD, **presets.read("paper"))
    assert (settings.init, settings.scales, settings.tv_weight, settings.least_gain) == ("noise", 1, 0, 0)


@pytest.mark.parametrize("name", presets.NAMES)
def test_every_preset_is_a_file_of_settings(name):
    found = presets.read(name)
    assert found.items() <= Settings.from_json({**GOOD, **found}).to_json().items()
    assert not {"content", "styles", "output"} & found.keys()


def test_others_go_before_what_is_in_the_file():
    settings = Settings.from_json({**GOOD, "seed": 1, "size": 9}, seed=2, output=Path("new.png"))
    assert (settings.seed, settings.size, settings.output) == (2, 9, Path("new.png"))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"sise": 24}, "there is no setting 'sise'; those that are: content, styles, .*, log."),
        ({"depth": 12}, "the setting depth must be one of 8, 16, not 12."),
        ({"depth": True}, "the setting depth must be one of 8, 16, not True."),
        ({"keep": "alpha"}, "the setting keep must be a list of profile, alpha, not 'alpha'."),
        ({"keep": ["colours"]}, "the setting keep must be a list of profile, alpha"),
        ({"size": "24"}, "the setting size must be a whole number from 0 to 16384, not '24'."),
        ({"size": 24.0}, "the setting size must be a whole number"),
        ({"style_fit": "stretch"}, "the setting style_fit must be one of keep, squeeze, not 'stretch'."),
        ({"size": True}, "the setting size must be a whole number"),
        ({"size": None}, "the setting size must be a whole number"),
        ({"size": 16385}, "the setting size must be"),
        ({"seed": -1}, "the setting seed must be a whole number of 0 or more, not -1."),
        ({"margin": 257}, "from 0 to 256, not 257."),
        ({"scales": 16}, "from 1 to 15, not 16."),
        ({"scales": "many"}, "the setting scales must be"),
        ({"iterations": 0}, "the setting iterations must be"),
        ({"threads": 0}, "the setting threads must be"),
        ({"memory_limit": "2G"}, "the setting memory_limit must be"),
        ({"style_weight": float("nan")}, "the setting style_weight must be a number of 0 or more, not nan."),
        ({"style_weight": 10**400}, "the setting style_weight must be a number of 0 or more"),
        ({"tv_weight": "1"}, "the setting tv_weight must be a number"),
        ({"content_weight": -1}, "the setting content_weight must be a number"),
        ({"bounded": 1}, "the setting bounded must be true or false, not 1."),
        ({"optimizer": "sgd"}, "the setting optimizer must be one of lbfgs, scipy-lbfgs, adam, not 'sgd'."),
        ({"optimizer": ["adam"]}, "the setting optimizer must be one of"),
        ({"dtype": "float16"}, "the setting dtype must be one of float32, float64"),
        ({"convolution": "fft"}, "the setting convolution must be one of auto"),
        ({"engine": "gpu"}, "the setting engine must be one of cpu"),
        ({"device": "gpu"}, "there is no device 'gpu'"),
        ({"device": 0}, "the setting device must be"),
        ({"network": 19}, "the setting network must be a name or a file, not 19."),
        ({"styles": "a.png"}, "the setting styles must be a list of files, not 'a.png'."),
        ({"styles": [1]}, "the setting styles must be the name of a file"),
        ({"content": 5}, "the setting content must be the name of a file, not 5."),
        ({"style_layers": "conv1_1"}, "the setting style_layers must be a list of layers or a table"),
        ({"style_layers": [1]}, "the setting style_layers must be"),
        ({"style_layers": {"conv1_1": -1}}, "the setting style_layers must be a number of 0 or more"),
        ({"content": None, "styles": []}, "there is nothing to imitate"),
        ({"least_gain": -1}, "the setting least_gain must be a number of 0 or more, not -1."),
        ({"init": "content", "content": None}, "there is no content picture to start from"),
        ({"init": "style", "styles": []}, "there is no style picture to start from"),
        ({"init": "content", "styles": []}, "the content picture is what is looked for: start from noise."),
        ({"init": "style", "content": None}, "the style picture is what is looked for: start from noise."),
        ({"init": "fast", "content": None}, "needs a content and a style picture"),
        ({"init": "fast", "styles": []}, "needs a content and a style picture"),
        ({"init": "arbitrary", "content": None}, "needs a content and a style picture"),
        ({"method": "arbitrary", "styles": []}, "needs a content and a style picture"),
        ({"method": "fast"}, "the setting method must be one of optimise, arbitrary, not 'fast'."),
        ({"fast_style": "dots"}, "the setting fast_style must be a table of styles and their weights, not 'dots'."),
        ({"fast_style": {"dots": -1}}, "the setting fast_style must be a number of 0 or more"),
    ],
    ids=str,
)
def test_what_is_refused(wrong, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        Settings.from_json({**GOOD, **wrong})
    assert re.fullmatch(r"[^\n]*\.", str(caught.value))


def test_only_adam_has_moments():
    with pytest.raises(UserError, match="take --optimizer adam, or leave out --carry-moments"):
        Settings(**GOOD, carry_moments=True)


def test_an_output_is_needed():
    with pytest.raises(UserError, match="name no output"):
        Settings.from_json({"content": "content.png"})


@pytest.mark.parametrize("others", [{}, {"style_fit": "keep"}])
def test_settings_of_a_file(tmp_path, others):
    (tmp_path / "out.json").write_text(json.dumps(GOOD | others))
    assert read_settings(tmp_path / "out.json") == GOOD | others


@pytest.mark.parametrize("others", [{}, {"style_fit": "keep"}])
def test_settings_of_a_record(tmp_path, others):
    """One that does not tell how styles were fitted is from when they were squeezed."""
    (tmp_path / "out.json").write_text(json.dumps({"given": GOOD | others, "settings": {}, "result": {}}))
    assert read_settings(tmp_path / "out.json") == {"style_fit": "squeeze", **GOOD, **others}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is no JSON"),
        ("\xff", "is no JSON"),
        ("[" * 100000, "is no JSON"),
        ("[]", "holds no settings"),
        ('{"given": 1}', "holds no settings"),
        ('{"settings": {}, "result": {}}', "older version"),
        (None, "cannot be read"),
    ],
    ids=lambda text: text and text[:20],
)
def test_no_settings_in_a_file(tmp_path, text, sentence):
    file = tmp_path / "out.json"
    if text is not None:
        file.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=sentence):
        read_settings(file)
