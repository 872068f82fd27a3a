"""Combinations of settings, and the sheet of their pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.figures import sheet, sweep
from scratchnst.figures.panels import alpha_at
from scratchnst.figures.sweep import Axis
from scratchnst.transfer.settings import Settings
from scratchnst.weights.load import load_network


def axis(name, *values):
    return Axis(name, {str(value): {name: value} for value in values})


def runs(combinations, **others):
    return [Settings(content="a.jpg", styles=["b.jpg"], output=f"{each.name}.png", **others) for each in combinations]


def test_all_combinations_the_last_axis_varies_fastest():
    found = sweep.combinations([axis("seed", 0, 1), axis("size", 8, 16, 32)])
    assert [tuple(each.arguments.values()) for each in found] == [(0, 8), (0, 16), (0, 32), (1, 8), (1, 16), (1, 32)]
    assert found[4].label == "seed 1, size 16"
    assert found[4].name == "seed=1-size=16"


def test_labels_of_files_and_layers_can_be_read_and_broken_into_lines():
    (found,) = sweep.combinations([axis("style", "some/where/wave.png"), axis("style_layers", "conv1_1+conv2_1")])
    assert found.label == "style wave, style_layers conv1_1 + conv2_1"


def test_names_are_those_of_files_and_differ_where_values_do():
    found = sweep.combinations([axis("style", "a/x.png", "b/x.png", "a_x.png", "ä/x.png", "c" * 300 + ".png")])
    assert len({each.name for each in found}) == 5
    for each in found:
        assert "/" not in each.name
        assert each.name.isascii()
        assert len(each.name) < 200


def test_an_axis_named_twice():
    with pytest.raises(UserError, match="seed is varied twice"):
        sweep.combinations([axis("seed", 1), axis("seed", 2)])


def test_too_many():
    with pytest.raises(UserError, match="these are 1024 pictures, and a sheet holds 1000"):
        sweep.combinations([axis("seed", *range(32)), axis("size", *range(1, 33))])


@pytest.mark.parametrize(
    ("lengths", "rows"),
    [((3,), [2, 1]), ((5,), [3, 2]), ((2, 3), [3, 3]), ((3, 2), [2, 2, 2]), ((2, 2, 2), [3, 3, 2]), ((1,), [1])],
    ids=str,
)
def test_two_axes_are_rows_and_columns_others_nearly_a_square(lengths, rows):
    axes = [axis(name, *range(1, length + 1)) for name, length in zip(("seed", "size", "margin"), lengths)]
    combinations = sweep.combinations(axes)
    figure = sweep.figure(axes, combinations, runs(combinations))
    assert [len(row) for row in figure.rows] == rows
    assert [panel.label for row in figure.rows for panel in row] == [each.label for each in combinations]


def test_the_caption_has_what_all_have_in_common():
    axes = [axis("seed", 1, 2)]
    combinations = sweep.combinations(axes)
    common = {"size": 64, "iterations": 9, "network": "weights/vgg19.h5"}
    figure = sweep.figure(axes, combinations, runs(combinations, **common))
    assert figure.title == "seed: 2 pictures"
    assert figure.caption == "a.jpg in the style of b.jpg, 64 pixels, 9 iterations at most, network vgg19"


def test_where_a_picture_is_missing_its_place_is_empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    axes = [axis("seed", 1, 2)]
    combinations = sweep.combinations(axes)
    settings = runs(combinations)
    for each in settings:
        images.save(each.output, np.full((60, 80, 3), (255.0, 0, 0)))
    figure = sweep.without(sweep.figure(axes, combinations, settings), {Path("seed=2.png"): "a reason"})
    assert [panel.label for row in figure.rows for panel in row] == ["seed 1", "seed 2: left out"]
    image = sheet.draw(figure, 512)
    assert (image == (255, 0, 0)).all(axis=2).sum() == 60 * 80
    assert sweep.side(figure) == 80
    image = sheet.draw(figure, 512, side=40)
    assert (image == (255, 0, 0)).all(axis=2).sum() == 30 * 40


def test_pictures_have_one_size_on_the_sheet_which_stays_small(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    axes = [axis("size", 20, 40)]
    combinations = sweep.combinations(axes)
    settings = runs(combinations)
    for each, side in zip(settings, (20, 40)):
        images.save(each.output, np.full((side // 2, side, 3), (255.0, 0, 0)))
    figure = sweep.figure(axes, combinations, settings)
    assert sweep.side(figure) == 40
    assert (sheet.draw(figure, 512, side=40) == (255, 0, 0)).all(axis=2).sum() == 2 * 20 * 40
    monkeypatch.setattr(sweep, "LONGEST_SIDE", 60)
    assert sweep.side(figure) == 30


def test_alpha_at_a_thousandth_is_the_default(folder):
    """By a tenth of it, a tenth; with a margin of 16 pixels."""
    network = load_network("distilled")
    settings = Settings(content="content.png", styles=["style.jpg"], output="out.png", size=40, margin=16)
    default = network.content_weight(30 + 32, 40 + 32)
    assert alpha_at(1e-3, network, settings) == pytest.approx(default, rel=1e-3)
    assert alpha_at(1e-4, network, settings) == pytest.approx(default / 10, rel=1e-3)
