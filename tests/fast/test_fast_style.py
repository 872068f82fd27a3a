"""A trained model: pictures of any size, mixtures of styles, and its file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import platforms
import pytest

from scratchnst.errors import UserError
from scratchnst.fast import memory, strips
from scratchnst.fast.fast_style import SHIPPED, FastStyle, Style
from scratchnst.images import colour_control, mosaic, samples
from scratchnst.models import transform_net
from scratchnst.weights.formats import native


@pytest.fixture
def model(random):
    """Of three styles that differ."""
    network = transform_net.build(random, 3, (3, 4, 5), 1)
    norms = {
        name: tuple(np.float32(array + 0.3 * random.standard_normal(array.shape)) for array in network.parameters[name])
        for name in transform_net.norms(network)
    }
    network = replace(network, parameters={**network.parameters, **norms})
    return FastStyle(network, (Style("wave", "wave.jpg"), Style("starry_night"), Style("dots")), {"program": "this"})


@pytest.fixture
def photo(random):
    return np.float32(random.uniform(0, 255, (24, 32, 3)))


@pytest.mark.parametrize("size", [(8, 8), (9, 8), (11, 30), (33, 17)])
def test_the_painting_is_as_large_as_the_photograph(model, random, size):
    photo = np.float32(random.uniform(0, 255, (*size, 3)))
    painting = model(photo)
    assert painting.shape == photo.shape
    assert painting.dtype == np.float32
    assert 0 <= painting.min() <= painting.max() <= 255


def test_a_size_that_is_no_multiple_of_four_is_continued_by_reflection(model, random):
    photo = np.float32(random.uniform(0, 255, (10, 15, 3)))
    rows, columns = [*range(10), 8, 7], [*range(15), 13]
    np.testing.assert_array_equal(model(photo), model(photo[rows][:, columns])[:10, :15])


def test_styles_by_name_by_number_and_mixed(model, photo):
    np.testing.assert_array_equal(model(photo), model(photo, "wave"))
    np.testing.assert_array_equal(model(photo, 1), model(photo, "starry_night"))
    np.testing.assert_array_equal(model(photo, "1"), model(photo, {"starry_night": 7.0}))
    assert np.abs(model(photo, 0) - model(photo, 1)).max() > 1
    np.testing.assert_allclose(model.mixture({"wave": 1, 2: 3}), [0.25, 0, 0.75])
    np.testing.assert_allclose(model.mixture({"wave": 1, 0: 1, "dots": 2}), [0.5, 0, 0.5])


def test_colours(model, photo):
    """Of the photograph, by its chroma or by matching; with less strength they are those of the photograph as well."""
    painting = model(photo)
    np.testing.assert_array_equal(model(photo, colors="content"), colour_control.with_chroma_of(painting, photo))
    expected = colour_control.matched(painting, photo, "pca")
    np.testing.assert_array_equal(model(photo, colors="match", color_matching="pca"), expected)
    half = model(photo, strength=0.5, colors="match", color_matching="pca")
    np.testing.assert_allclose(half, (expected + photo) / 2, atol=1e-3)
    np.testing.assert_array_equal(model(photo, strength=0.0, colors="content"), photo)
    with pytest.raises(UserError, match="choose one of style, content, match"):
        model(photo, colors="mine")


def test_the_picture_that_a_style_was_learnt_from(model, tmp_path):
    (tmp_path / "dots.jpg").write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    model = replace(model, styles=(*model.styles[:2], Style("dots", "another name", digest)))
    assert model.learnt_from(tmp_path / "dots.jpg") == "dots"
    (tmp_path / "dots.jpg").write_bytes(b"")
    assert model.learnt_from(tmp_path / "dots.jpg") is None


def test_strength(model, photo):
    painting = model(photo)
    np.testing.assert_array_equal(model(photo, strength=0), photo)
    np.testing.assert_allclose(model(photo, strength=0.25), 0.75 * photo + 0.25 * painting, rtol=1e-5, atol=1e-4)


def test_in_strips_if_asked_or_if_the_machine_is_too_small(model, random, monkeypatch):
    photo = np.float32(random.uniform(0, 255, (41, 30, 3)))
    whole, in_strips = (model(photo, "dots", 0.8, in_strips=asked) for asked in (False, True))
    np.testing.assert_allclose(in_strips, whole, atol=1e-2)
    np.testing.assert_array_equal(model(photo, "dots", 0.8), whole)
    monkeypatch.setattr(memory, "capacity", lambda engine: 1)
    monkeypatch.setattr(strips.Painter, "strips", lambda painter: [(0, np.full((41, 30, 3), 300.0))])
    np.testing.assert_array_equal(model(photo), np.full(photo.shape, 255))


@pytest.mark.parametrize(
    ("style", "message"),
    [
        ("starry_nigth", "did you mean starry_night"),
        ("3", "no style '3'"),
        (-1, "no style '-1'"),
        ("", "the styles are wave, starry_night, dots"),
        ({"wave": -1, "dots": 2}, "0 or more"),
        ({"wave": 0}, "sum is not 0"),
        ({}, "sum is not 0"),
        ({"wave": float("nan")}, "0 or more"),
        ({"wave": float("inf")}, "0 or more"),
    ],
)
def test_styles_that_cannot_be(model, photo, style, message):
    with pytest.raises(UserError, match=message):
        model(photo, style)


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_strengths_that_cannot_be(model, photo, strength):
    with pytest.raises(UserError, match="from 0 to 1"):
        model(photo, strength=strength)


@pytest.mark.parametrize("size", [(7, 20), (20, 1)])
def test_too_small(model, size):
    with pytest.raises(UserError, match="at least 8 pixels"):
        model(np.zeros((*size, 3), np.float32))


@pytest.mark.parametrize("place", platforms.CUDA)
def test_a_model_on_a_gpu_is_written(model, place, tmp_path):
    with platforms.entered(place) as platform:
        replace(model, network=model.network.on(platform.engine)).save(tmp_path / "model.h5", "float32")
    back = FastStyle.load(tmp_path / "model.h5").network.parameters
    for name, arrays in model.network.parameters.items():
        for array, read in zip(arrays, back[name]):
            np.testing.assert_array_equal(array, read)


def test_there_and_back(model, photo, tmp_path):
    model.save(tmp_path / "model.h5", "float32")
    back = FastStyle.load(tmp_path / "model.h5")
    assert back.styles == model.styles
    assert back.training == model.training
    np.testing.assert_allclose(back(photo, "dots"), model(photo, "dots"), atol=1e-3)


def test_half_precision(model, photo, tmp_path):
    model.save(tmp_path / "half.h5")
    model.save(tmp_path / "single.h5", "float32")
    assert (tmp_path / "half.h5").stat().st_size < (tmp_path / "single.h5").stat().st_size
    assert np.abs(FastStyle.load(tmp_path / "half.h5")(photo) - model(photo)).max() < 2


def test_a_network_that_does_not_paint(tmp_path):
    with pytest.raises(UserError, match="not one that paints"):
        FastStyle.load("distilled")


@pytest.mark.parametrize(
    "origin",
    [
        {},
        {"styles": []},
        {"styles": [{"name": "a"}, {"name": "b"}]},
        {"styles": [{"name": "a"}, {"name": "a"}, {"name": "b"}]},
        {"styles": [{"name": 1}, {"name": 2}, {"name": 3}]},
        {"styles": "abc"},
        {"styles": [{"label": "a"}] * 3},
    ],
)
def test_a_file_that_does_not_name_its_styles(model, tmp_path, origin):
    native.write(replace(model.network, provenance=origin), tmp_path / "model.h5")
    with pytest.raises(UserError, match="what its styles are called"):
        FastStyle.load(tmp_path / "model.h5")


class TestShipped:
    """The model that ships with the program."""

    @pytest.fixture
    def shipped(self):
        return FastStyle.load()

    def test_what_it_holds(self, shipped):
        assert SHIPPED.stat().st_size < 2e6
        assert len(shipped.styles) >= 12
        for style in shipped.styles:
            assert style.picture
            assert len(style.sha256) == 64
            assert "public domain" in style.licence or "scratchnst samples" in style.licence
        assert all(name in shipped.training["licences"] for name in shipped.training["photographs"])

    def test_each_style_has_the_colours_of_its_picture(self, shipped):
        """Nearer to its picture's mean colour than the photograph is; the photograph is not painted alike in two."""
        photo = np.float32(samples.draw_content(96, 128))
        paintings = {name: shipped(photo, name) for name in shipped.names}
        means = np.array([painting.mean(axis=(0, 1)) for painting in paintings.values()])
        distances = np.linalg.norm(means[:, np.newaxis] - means, axis=-1)
        assert (distances + 1e9 * np.eye(len(means))).min() > 3
        for name, draw in (("brush_strokes", samples.draw_style), ("mosaic", mosaic.draw)):
            colour = draw(192, 256).mean(axis=(0, 1))
            painted, unpainted = (np.linalg.norm(x.mean(axis=(0, 1)) - colour) for x in (paintings[name], photo))
            assert painted < unpainted

    def test_content_stays(self, shipped):
        """Where the photograph has edges, so have the paintings: their brightness's slopes go together."""
        photo = np.float32(samples.draw_content(192, 256))
        slopes = lambda image: np.hypot(*np.gradient(image.mean(axis=2))).ravel()  # noqa: E731
        for name in shipped.names:
            assert np.corrcoef(slopes(photo), slopes(shipped(photo, name)))[0, 1] > 0.2, name
