"""The judge's measures, by hand and on pictures for which the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst.cli import main
from scratchnst.cli.judge import contact_sheet
from scratchnst.images import load, save
from scratchnst.training.evaluation import content_distance, judge, style_distances


def picture(seed, height=24, width=32):
    return np.random.default_rng(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)


@pytest.fixture
def by():
    return random_vgg19(5, width=6)


def test_a_picture_is_at_distance_0_from_itself(by):
    assert content_distance(by, picture(1), picture(1)) == 0
    assert set(style_distances(by, picture(1), picture(1)).values()) == {0.0}


def test_distances_on_every_engine(by, platform):
    there = by.on(platform.engine)
    assert content_distance(there, picture(1), picture(2)) == pytest.approx(
        content_distance(by, picture(1), picture(2)), rel=1e-4
    )
    expected = style_distances(by, picture(1), picture(2))
    assert style_distances(there, picture(1), picture(2)) == pytest.approx(expected, rel=1e-4)


def test_distances_by_their_definition(by):
    """|F - P| / |P| and |G - A| / |A|, implemented again."""

    def matrix(image, layer):
        feature = by.forward(image[np.newaxis], [layer])[0][layer]
        return feature.reshape(-1, feature.shape[3]).astype(float)

    F, P = (matrix(picture(seed), "conv2_2") for seed in (1, 2))
    assert by.defaults.content_layers == {"conv2_2": 1.0}
    expected = np.sqrt(np.sum((F - P) ** 2) / np.sum(P**2))
    assert content_distance(by, picture(1), picture(2)) == pytest.approx(expected, rel=1e-5)
    for layer, distance in style_distances(by, picture(1), picture(2)).items():
        G, A = (matrix(picture(seed), layer) for seed in (1, 2))
        G, A = G.T @ G, A.T @ A
        assert distance == pytest.approx(np.sqrt(np.sum((G - A) ** 2) / np.sum(A**2)), rel=1e-4)


def test_the_judge_itself_scores_1(by):
    verdict = judge(by, by, picture(1), picture(2, 20, 20), iterations=3)
    assert verdict.style == 1
    assert verdict.content == verdict.own_content
    assert verdict.content_ratio == 1
    np.testing.assert_array_equal(verdict.result.image, verdict.own_result.image)


def test_a_scale_too_small_for_the_network_is_left_out(by):
    """256 pixels have two automatic scales, but half of 6 rows has no pixel left after two pools."""
    verdict = judge(by, by, picture(1, 6, 256), picture(2), iterations=2)
    assert [scale.image.shape for scale in verdict.result.scales] == [(6, 256, 3)]


def test_contact_sheet_pads_with_white():
    sheet = contact_sheet([[np.zeros((2, 3, 3)), np.zeros((2, 3, 3))], [np.zeros((1, 4, 3))]])
    assert sheet.shape == (3, 6, 3)
    assert (sheet[2, 4:] == 255).all()
    assert sheet[:2].max() == 0


def test_command(tmp_path, monkeypatch, capsys, vgg19_file):
    monkeypatch.chdir(tmp_path)
    save("content.png", picture(1))
    save("style.png", picture(2))
    pair = ["--pair", "content.png", "style.png"]
    judges = ["weights", "judge", "pyramid", "--by", str(vgg19_file)]
    command = [*judges, *pair, *pair, "--size", "32", "--iterations", "2"]
    assert main([*command, "--sheet", "sheet.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[2].startswith("| content | style | ")
    assert lines[4].startswith("| mean | | ")
    assert load("sheet.png").shape == (48, 128, 3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pair", "missing.png", "style.png"], "missing.png"),
        (["--pair", "style.png", "style.png", "--sheet", "style.png"], "named twice"),
        (["--pair", "style.png", "style.png", "--sheet", "sheet.gif"], "suffix"),
        (["--pair", "small.png", "style.png"], "small.png cannot be used: "),
        (["--pair", "style.png", "style.png", "--pair", "style.png", "small.png"], "small.png cannot be used: "),
    ],
)
def test_bad_input(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    save("style.png", picture(2))
    save("small.png", picture(3, 2, 2))
    assert main(["weights", "judge", "pyramid", "--by", "pyramid", *arguments]) == 2
    assert said in capsys.readouterr().err
