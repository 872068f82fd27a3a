"""A network that paints in any style: pictures, blends, masks, odd styles and its file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import arbitrary_style

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.fast.arbitrary_style import SHIPPED, ArbitraryStyle, blended, prepared
from scratchnst.fast.fast_style import FastStyle
from scratchnst.images import colour_control, samples
from scratchnst.images.grain import grain
from scratchnst.models.style_predictor import CODE


@pytest.fixture(scope="module", params=["prediction", "adain"])
def model(request):
    return arbitrary_style(transform=request.param)


@pytest.fixture(scope="module")
def adain():
    return arbitrary_style()


@pytest.fixture
def photo(random):
    return np.float32(random.uniform(0, 255, (33, 46, 3)))


@pytest.fixture
def paintings(random):
    return [np.float32(random.uniform(low, 255, shape)) for low, shape in ((0, (40, 32, 3)), (128, (50, 64, 3)))]


def test_a_painting(model, photo, paintings):
    painting = model(photo, paintings[0])
    assert painting.shape == photo.shape
    assert painting.dtype == np.float32
    assert 0 <= painting.min() <= painting.max() <= 255
    assert np.abs(painting - model(photo, paintings[1])).max() > 1
    np.testing.assert_array_equal(model(photo, paintings[0], strength=0.0), photo)


def test_what_is_seen_of_a_photograph():
    """Grain, which belongs to the places of the picture, and a margin."""
    seen = prepared(np.full((600, 20, 3), 9, np.float32))
    np.testing.assert_allclose(seen, 9 + grain(632, 52), rtol=1e-5, atol=1e-5)


def test_colours(model, photo, paintings):
    """Those of the photograph are given to the styles before they are looked at, or its chroma to the painting."""
    matched = [colour_control.matched(painting, photo, "pca") for painting in paintings]
    result = model(photo, paintings, colors="match", color_matching="pca")
    np.testing.assert_array_equal(result, model(photo, matched))
    expected = colour_control.with_chroma_of(model(photo, paintings), photo)
    np.testing.assert_array_equal(model(photo, paintings, colors="content"), expected)
    with pytest.raises(UserError, match="choose one of symmetric, pca, cholesky"):
        model(photo, paintings, colors="match", color_matching="qr")


def test_colours_within_masks(model, photo, paintings):
    left = np.zeros(photo.shape[:2])
    left[:, :20] = 1
    result = model(photo, paintings[0], masks=[left], colors="content")
    expected = colour_control.with_chroma_of(model(photo, paintings[0]), photo)
    np.testing.assert_allclose(result[:, :18], expected[:, :18], atol=1e-3)
    np.testing.assert_allclose(result[:, 22:], photo[:, 22:], atol=1e-3)


def test_a_blend(model, photo, paintings):
    one, other = (model(photo, painting) for painting in paintings)
    np.testing.assert_allclose(model(photo, paintings, [2, 0]), one, atol=1e-3)
    np.testing.assert_array_equal(model(photo, paintings), model(photo, paintings, [3, 3]))
    assert min(np.abs(model(photo, paintings) - each).max() for each in (one, other)) > 0.5


def test_masks(model, photo, paintings):
    left = np.zeros((33, 46))
    left[:, :20] = 1
    one, other = (model(photo, painting) for painting in paintings)
    painted = model(photo, paintings, masks=[left, 1 - left])
    np.testing.assert_allclose(painted[:, :20], one[:, :20], rtol=1e-6)
    np.testing.assert_allclose(painted[:, 20:], other[:, 20:], rtol=1e-6)


def test_whitening_and_colouring(adain, photo, paintings):
    """Where AdaIN's features go into the decoder there are some with the style's covariance."""
    model = adain
    painter = model.styles({"first": paintings[0]}, "wct")
    painting = model(photo, paintings[0], transform="wct")
    np.testing.assert_array_equal(painting, painter(photo))
    assert painting.shape == photo.shape
    assert np.abs(painting - model(photo, paintings[0])).max() > 1
    one, other = (model(photo, each, transform="wct") for each in paintings)
    blend = model(photo, paintings, [1, 1], transform="wct")
    assert min(np.abs(blend - each).max() for each in (one, other)) > 0.5
    np.testing.assert_allclose(model(photo, paintings, [1, 0], transform="wct"), one, atol=1e-2)
    assert np.isfinite(model(np.full((20, 30, 3), 9.0), np.zeros((40, 40, 3)), transform="wct")).all()
    with pytest.raises(UserError, match="--transform adain"):
        painter(photo, in_strips=True)


def test_transforms(model, photo, paintings):
    own, *_ = model.transforms
    np.testing.assert_array_equal(model(photo, paintings[0]), model(photo, paintings[0], transform=own))
    other = "adain" if own == "prediction" else "prediction"
    with pytest.raises(UserError, match=f"paints by {own}.*not by {other}"):
        model(photo, paintings[0], transform=other)


def test_what_masks_leave_is_the_photograph():
    photo, paintings = np.zeros((1, 4, 3), np.float32), [np.full((1, 4, 3), value, np.float32) for value in (8, 80)]
    masks = [np.float32([[1, 1, 0.5, 0]]), np.float32([[0, 1, 0, 0]])]
    np.testing.assert_allclose(blended(photo, paintings, masks)[0, :, 0], [8, 44, 4, 0])


@pytest.mark.parametrize(
    "style",
    [np.full((40, 40, 3), 128.0), np.zeros((33, 90, 3)), np.full((32, 32, 3), 255.0), np.zeros((300, 700, 3))],
)
def test_plain_styles_and_photographs_give_numbers(model, photo, style):
    assert np.isfinite(model(photo, style)).all()
    assert np.isfinite(model(np.full((20, 30, 3), 255.0), style)).all()


def test_from_a_file(model, photo, paintings, tmp_path):
    model.save(tmp_path / "model.h5", "float32")
    read = ArbitraryStyle.load(tmp_path / "model.h5")
    np.testing.assert_allclose(read(photo, paintings[0]), model(photo, paintings[0]), atol=1e-2)
    with pytest.raises(UserError, match="use scratchnst arbitrary"):
        FastStyle.load(tmp_path / "model.h5")


def test_files_of_another_kind(model, tmp_path):
    with pytest.raises(UserError, match="no transform 'grey': choose one of prediction, adain, wct"):
        ArbitraryStyle.load(transform="grey")
    with pytest.raises(UserError, match="not a network that paints in any style"):
        ArbitraryStyle.load("distilled")
    (V, b), parameters = model.network.parameters[CODE], model.network.parameters
    network = replace(model.network, parameters={**parameters, CODE: (V[..., 1:], b[1:])})
    replace(model, network=network).save(tmp_path / "model.h5")
    with pytest.raises(UserError, match="not the styles of its network"):
        ArbitraryStyle.load(tmp_path / "model.h5")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"styles": []}, "no style"),
        ({"weights": [1]}, "1 weights for 2 styles"),
        ({"weights": [0, 0]}, "sum is not 0"),
        ({"weights": [1, -1]}, "0 or more"),
        ({"masks": [np.ones((2, 2))] * 3}, "3 masks for 2 styles"),
        ({"masks": [np.zeros((2, 2))] * 2}, "leave nothing"),
        ({"masks": [np.ones((2, 2))] * 2, "weights": [1, 1]}, "exclude each other"),
        ({"styles": np.zeros((20, 40, 3))}, "32 pixels"),
        ({"strength": 1.5}, "from 0 to 1"),
    ],
)
def test_what_cannot_be(model, photo, paintings, given, message):
    with pytest.raises(UserError, match=message):
        model(photo, **{"styles": paintings, **given})


class TestShipped:
    """The models that ship with the program."""

    @pytest.fixture(params=["prediction", "adain"])
    def shipped(self, request):
        return ArbitraryStyle.load(transform=request.param)

    def test_what_it_holds(self, shipped):
        transform, *_ = shipped.transforms
        assert SHIPPED[transform].stat().st_size < 4e6
        assert ArbitraryStyle.load(transform=transform).transforms == shipped.transforms
        training = shipped.training
        assert len(training["settings"]["paintings"]) > 100
        assert all(name in training["licences"] for name in training["photographs"])

    @pytest.mark.parametrize("hue", [(210, 60, 40), (40, 60, 190), (60, 160, 60)])
    def test_a_painting_has_the_colours_of_its_style(self, shipped, random, hue):
        """Spots of a hue: the mean colour of what is painted comes much nearer to theirs than the photograph's is."""
        style = np.float32(hue) * np.float32(images.fit(samples.draw_content(), 128).mean(axis=2, keepdims=True) / 128)
        photo = np.float32(images.fit(samples.draw_content(), 128))
        wanted, painted = style.clip(0, 255).mean((0, 1)), shipped(photo, style.clip(0, 255)).mean((0, 1))
        assert np.linalg.norm(painted - wanted) < 0.5 * np.linalg.norm(photo.mean((0, 1)) - wanted)
