"""Which pictures a figure consists of, with which settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from networks import random_vgg19

from scratchnst import load_network
from scratchnst.errors import UserError
from scratchnst.figures.panels import FIGURES, Material, check
from scratchnst.transfer import computation
from scratchnst.transfer.preparation import ignore, prepare

COMMON = {"network": "distilled", "size": 24, "iterations": 3}


def material(network=None, styles=("style.jpg",), **settings):
    styles = tuple(Path(style) for style in styles)
    network = network or load_network("distilled")
    return Material(Path("content.png"), styles, network, {**COMMON, **settings}, Path("out.png"))


def layers(figure, field):
    return [tuple(getattr(settings, field)) for _, settings in figure.runs if getattr(settings, field)]


def test_reconstructions_from_the_complete_network():
    figure = FIGURES[1](material(random_vgg19(width=4)))
    assert [[panel.label for panel in row] for row in figure.rows] == [
        ["style", "a  conv1_1", "b  + conv2_1", "c  + conv3_1", "d  + conv4_1", "e  + conv5_1"],
        ["content", "a  conv1_2", "b  conv2_2", "c  conv3_2", "d  conv4_2", "e  conv5_2"],
    ]
    firsts = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    assert layers(figure, "style_layers") == [firsts[:count] for count in range(1, 6)]
    assert layers(figure, "content_layers") == [("conv1_2",), ("conv2_2",), ("conv3_2",), ("conv4_2",), ("conv5_2",)]
    assert all(settings.content is None or not settings.styles for _, settings in figure.runs)


def test_a_truncated_network_shows_what_it_has(folder):
    figure = FIGURES[1](material(random_vgg19(8, width=4)))
    assert layers(figure, "content_layers") == [("conv1_2",), ("conv2_2",), ("conv3_2",)]
    assert layers(FIGURES[5](material(random_vgg19(8, width=4))), "content_layers") == [("conv2_2",), ("conv3_3",)]


def test_the_distilled_network_shows_what_imitates_vgg(folder):
    figure = FIGURES[1](material())
    assert layers(figure, "style_layers")[-1] == tuple(f"like_conv{block}_1" for block in range(1, 6))
    low, high = layers(FIGURES[5](material()), "content_layers")
    assert low == ("like_conv2_1",)
    assert high == ("like_conv4_2",)


def test_a_low_and_a_high_content_layer_get_the_same_weight(folder):
    """That of the high one: equation 1 is a sum over all features of a layer."""
    (_, low), (_, high) = FIGURES[5](material(random_vgg19(10, width=4))).runs
    canvas = 18 + 2 * high.margin, 24 + 2 * high.margin
    default = random_vgg19(10, width=4).content_weight(*canvas, {"conv4_2": 1})
    assert low.content_weight == high.content_weight == pytest.approx(default, rel=1e-3)


@pytest.mark.parametrize("number", [1, 5])
def test_a_network_without_such_layers(number):
    with pytest.raises(UserError, match="the network pyramid has no"):
        FIGURES[number](material(load_network("pyramid")))


def test_a_low_layer_that_is_the_high_one():
    with pytest.raises(UserError, match="no two layers"):
        FIGURES[5](material(random_vgg19(5, width=4)))  # its content layer is conv2_2


def test_styles():
    figure = FIGURES[3](material(styles=["style.jpg", "content.png"]))
    assert [settings.styles for _, settings in figure.runs] == [(Path("style.jpg"),), (Path("content.png"),)]
    assert [panel.inset for row in figure.rows for panel in row] == [None, Path("style.jpg"), Path("content.png")]


def test_starts():
    runs = FIGURES[6](material()).runs
    assert [settings.init for _, settings in runs] == ["content", "style", *["noise"] * 4]
    assert len({settings.seed for _, settings in runs[2:]}) == 4


def test_ratios_are_tenfold_from_picture_to_picture(folder):
    """1e-3 is the default, and the others are relative to what it is for these pictures."""
    runs = FIGURES[4](material()).runs
    weights = [settings.content_weight for _, settings in runs]
    assert weights[1] is None
    with computation.computing_as(runs[1][1], ignore) as engine:
        prepared = prepare(material().run(), engine)
        default = prepared.objective_at(*prepared.shapes[-1]).content_weight
    assert weights[:1] + weights[2:] == pytest.approx([default / 10, default * 10, default * 100], rel=1e-3)


def test_photographs(folder):
    ((_, settings),) = FIGURES[7](material()).runs
    assert settings.init == "content"
    assert settings.content_weight is None


def test_every_panel_has_a_file_of_its_own(folder):
    for make in FIGURES.values():
        outputs = [settings.output for _, settings in make(material()).runs]
        assert len(set(outputs)) == len(outputs)
        assert {output.parent for output in outputs} == {Path("out-panels")}


def test_settings_of_the_user_hold_for_all():
    for _, settings in FIGURES[6](material(pooling="max", seed=9)).runs[:2]:
        assert (settings.pooling, settings.seed, settings.size) == ("max", 9, 24)


def test_check(folder):
    check(FIGURES[6](material()), Path("out.png"))
    with pytest.raises(UserError, match="too small"):
        check(FIGURES[6](material(size=2)), Path("out.png"))
    assert sorted(path.name for path in folder.iterdir()) == ["content.png", "style.jpg"]
