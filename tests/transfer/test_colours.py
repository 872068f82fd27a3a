"""A run in the colours of the content: luminance alone, or colours that are matched before."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scratchnst import images
from scratchnst.engine import cpu
from scratchnst.errors import UserError
from scratchnst.images.colour_control import luminance, matched, matched_luminance, with_chroma_of
from scratchnst.transfer import job
from scratchnst.transfer.objective import Objective
from scratchnst.transfer.preparation import prepare
from scratchnst.transfer.settings import Settings
from scratchnst.transfer.stylize import stylize
from scratchnst.weights.load import load_network

SMALL = {"output": "out.png", "network": "distilled", "size": 24, "iterations": 3, "margin": 0, "scales": 1}
SHARES = np.array([0.299, 0.587, 0.114])


def settings(**others):
    return Settings(**{"content": "content.png", "styles": ["style.jpg"], **SMALL, **others})


@pytest.fixture
def pictures(folder):
    """The content and the style as a run of 24 pixels sees them."""
    return images.resize(images.load("content.png"), 18, 24), images.resize(images.load("style.jpg"), 25, 17)


def optimised(content, style, init="content"):
    objective = Objective(load_network("distilled"), content, [style], style_fit=None, normalized=True)
    return stylize(objective, init, iterations=3)


def chroma(image):
    return image - (image @ SHARES)[..., None]


@pytest.mark.parametrize("init", ["content", "noise", "style"])
def test_luminance_is_optimised_and_chroma_added(pictures, init):
    content, style = pictures
    by_hand = optimised(luminance(content), matched_luminance(style, content), init)
    assert np.ptp(by_hand.image, axis=2).max() == 0
    result = job.run(settings(colors="content", init=init))
    assert result.loss == pytest.approx(by_hand.loss, rel=1e-6)
    np.testing.assert_allclose(result.image, with_chroma_of(by_hand.image, content), atol=1e-3)
    inside = ((result.image > 0) & (result.image < 255)).all(axis=2)
    assert inside.mean() > 0.2
    np.testing.assert_allclose(chroma(result.image)[inside], chroma(content)[inside], atol=1e-3)


@pytest.mark.parametrize("matching", ["symmetric", "pca", "cholesky"])
def test_a_style_in_the_contents_colours(pictures, matching):
    content, style = pictures
    result = job.run(settings(colors="match", color_matching=matching))
    np.testing.assert_allclose(result.image, optimised(content, matched(style, content, matching)).image, atol=1e-3)


def test_a_start_from_a_file_is_made_grey(pictures, random):
    content, style = pictures
    start = random.uniform(0, 255, (18, 24, 3)).round()
    images.save("start.png", start)
    by_hand = optimised(luminance(content), matched_luminance(style, content), luminance(start))
    result = job.run(settings(colors="content", init="start.png"))
    np.testing.assert_allclose(result.image, with_chroma_of(by_hand.image, content), atol=1e-2)


@pytest.mark.parametrize(
    "others", [{"margin": 4}, {"size": 48, "scales": 2}, {"size": 48, "scales": 2, "init": "noise"}]
)
def test_with_margins_and_scales(pictures, others):
    """What is optimised is grey at every scale; the picture has the chroma of the content at its own size."""
    result = job.run(settings(colors="content", **others))
    assert all(np.ptp(end.image, axis=2).max() < 1e-6 for end in result.scales)
    content = images.resize(images.load("content.png"), *result.image.shape[:2])
    np.testing.assert_allclose(result.image, with_chroma_of(result.scales[-1].image, content), atol=1e-3)


@pytest.mark.parametrize("colors", ["style", "content", "match"])
def test_stages_and_what_is_shown_have_the_final_colours(folder, colors):
    shown = []
    result = job.run(settings(colors=colors, save_every=1, margin=4), lambda iterate: shown.append(iterate.image))
    assert (folder / "out-0003.png").read_bytes() == (folder / "out.png").read_bytes()
    np.testing.assert_allclose(shown[-1].clip(0, 255), result.image, atol=1e-9)
    assert np.ptp(images.load("out-0001.png"), axis=2).max() > 50


def test_an_interrupted_run_is_in_colours(folder):
    """Also if the finest scale was not reached."""

    def interrupt(iterate):
        raise KeyboardInterrupt

    result = job.run(settings(colors="content", size=48, scales=2), interrupt)
    assert not result.complete
    assert len(result.scales) == 1
    assert result.image.shape == (36, 48, 3)
    content = images.resize(images.load("content.png"), 36, 48)
    enlarged = images.resize(result.scales[0].image, 36, 48)
    np.testing.assert_allclose(result.image, with_chroma_of(enlarged, content), atol=1e-3)


@pytest.mark.parametrize("colors", ["content", "match"])
@pytest.mark.parametrize(("name", "colour"), [("content", 0), ("styles", 0), ("styles", [9, 99, 255])], ids=str)
def test_pictures_without_colours(folder, colors, name, colour):
    images.save("odd.png", np.full((36, 24, 3), colour))
    result = job.run(settings(**{"colors": colors, name: "odd.png" if name == "content" else ["odd.png"]}))
    assert result.complete
    assert np.isfinite(result.image).all()


def test_the_record_makes_the_picture_again(folder):
    chosen = settings(colors="match", color_matching="pca")
    job.run(chosen)
    record = json.loads((folder / "out.json").read_text())
    assert (record["settings"]["colors"], record["settings"]["color_matching"]) == ("match", "pca")
    assert Settings.from_json(record["given"]) == chosen
    job.run(Settings.from_json(record["given"], output="again.png"))
    assert (folder / "again.png").read_bytes() == (folder / "out.png").read_bytes()


def test_memory_of_both_kinds_of_pictures(folder):
    plain, grey = (prepare(settings(colors=colors, size=48, scales=2), cpu) for colors in ("style", "content"))
    assert grey.bytes_of_pictures - plain.bytes_of_pictures == 12 * (36 * 48 + 51 * 34)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"colors": "mine"}, "colors must be one of style, content, match"),
        ({"colors": "match", "color_matching": "qr"}, "color_matching must be one of symmetric, pca, cholesky"),
        ({"colors": "content", "styles": []}, "colors 'content' needs a content and a style picture"),
        ({"colors": "match", "content": None}, "colors 'match' needs a content and a style picture"),
    ],
    ids=str,
)
def test_what_cannot_be(others, message):
    with pytest.raises(UserError, match=message):
        settings(**others)
