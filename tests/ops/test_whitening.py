"""Whitening and colouring by hand-worked numbers; the general checks are in test_contract.py."""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst.ops import whitening


def covariance(x):
    """Mean and covariance of one image's features."""
    pixels = x.reshape(-1, x.shape[-1]).astype("float64")
    return pixels.mean(0), np.cov(pixels.T, bias=True)


def features(random, shape):
    return random.standard_normal(shape) @ random.standard_normal((shape[3], shape[3])) + random.standard_normal(
        shape[3]
    )


@pytest.fixture
def exact(monkeypatch):
    """No epsilon, for numbers that can be worked out."""
    monkeypatch.setattr(whitening, "EPSILON", 0.0)


@pytest.mark.usefixtures("exact")
def test_one_channel():
    """Two pixels 1 and 3, mean 2 and deviation 1, and a style with the mean 10 and the deviation 5."""
    x, style = np.array([1.0, 3]).reshape(1, 1, 2, 1), np.array([5.0, 15, 5, 15]).reshape(1, 2, 2, 1)
    y, cache = whitening.forward(x, style)
    np.testing.assert_allclose(y.ravel(), [5, 15])
    grad_x, grad_style = whitening.backward(np.array([0.0, 1]).reshape(x.shape), cache)
    np.testing.assert_allclose(grad_x, 0 * x, atol=1e-12)  # two pixels are -1 and 1 times the style's deviation
    np.testing.assert_allclose(grad_style.ravel(), [0, 0.5, 0, 0.5], atol=1e-14)  # 1/4 -+ 1/4, y is mean + deviation


@pytest.mark.usefixtures("exact")
def test_two_channels_that_have_nothing_in_common():
    """Each is scaled on its own, as in an instance normalisation: by 3 / 1 and 1 / 2."""
    x = np.array([[1.0, 2], [1, -2], [-1, 2], [-1, -2]]).reshape(1, 2, 2, 2)
    style = np.array([[13.0, 21], [13, 19], [7, 21], [7, 19]]).reshape(1, 1, 4, 2)
    y, _ = whitening.forward(x, style)
    np.testing.assert_allclose(y, x * [3, 0.5] + [10, 20], rtol=1e-14)


@pytest.mark.usefixtures("exact")
def test_channels_that_go_together_in_the_style():
    """White features times [[2, 1], [1, 2]], the root of the style's covariance [[5, 4], [4, 5]]."""
    x = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]]).reshape(1, 2, 2, 2)
    style = x.reshape(1, 4, 1, 2) @ [[1.0, 2], [2, 1]]
    y, _ = whitening.forward(x, style)
    np.testing.assert_allclose(y.reshape(4, 2), [[3, 3], [1, -1], [-1, 1], [-3, -3]], rtol=1e-13)


@pytest.mark.parametrize("size", [(1, 40), (9, 8)])
def test_the_result_has_the_styles_mean_and_covariance(random, size):
    x, style = features(random, (2, 10, 9, 4)), features(random, (2, *size, 4))
    y, _ = whitening.forward(x, style)
    for result, wanted in zip(y, style):
        (mean, K), (mean_s, K_s) = covariance(result), covariance(wanted)
        np.testing.assert_allclose(mean, mean_s, atol=1e-12)
        np.testing.assert_allclose(K, K_s, atol=2e-3 * np.abs(K_s).max())


def test_a_style_equal_to_the_content_changes_nothing(random):
    x = features(random, (1, 6, 7, 5))
    np.testing.assert_allclose(whitening.forward(x, x.copy())[0], x, rtol=1e-9, atol=1e-9)


@pytest.mark.usefixtures("exact")
def test_what_mixes_the_contents_channels_is_lost(random):
    """y is white but for a rotation, whatever the covariance of x was."""
    x, style = features(random, (1, 5, 6, 3)), features(random, (1, 4, 4, 3))
    expected = covariance(whitening.forward(x, style)[0][0])[1]
    mixed = covariance(whitening.forward(x @ features(random, (1, 1, 3, 3))[0, 0], style)[0][0])[1]
    np.testing.assert_allclose(mixed, expected, rtol=1e-9)


GREY = np.linspace(0, 200, 12).reshape(1, 3, 4, 1).repeat(3, 3)
ODD = {
    "constant": np.full((1, 3, 4, 3), 7.0),
    "black": np.zeros((1, 3, 4, 3)),
    "grey": GREY,
    "one pixel": GREY[:, 1:2, 1:2],
    "two pixels": GREY[:, :1, :2] * [1, 2, 3],
    "huge": GREY * [1e4, -1e4, 1],
    "tiny numbers": GREY * 1e-12,
}


@pytest.mark.parametrize("style", ODD)
@pytest.mark.parametrize("content", ODD)
def test_features_without_a_covariance_break_nothing(content, style, dtype):
    x, s = ODD[content].astype(dtype), ODD[style].astype(dtype)
    y, cache = whitening.forward(x, s)
    grads = whitening.backward(np.ones_like(y), cache)
    assert all(np.isfinite(each).all() for each in (y, *grads))
    deviations, farthest = np.sqrt(s.var((1, 2), dtype="float64").sum()), np.abs(y - s.mean((1, 2))).max()
    assert farthest <= 1.1 * np.sqrt(x[0, ..., 0].size) * deviations + 1e-5 * np.abs(s).max() + 0.02


def test_a_constant_content_becomes_the_styles_mean(dtype):
    y, _ = whitening.forward(ODD["constant"].astype(dtype), GREY.astype(dtype))
    np.testing.assert_allclose(y, np.full_like(y, 100), rtol=1e-6)


def test_more_channels_than_pixels(random):
    x, style = random.standard_normal((1, 2, 3, 40)), random.standard_normal((1, 4, 4, 40))
    y, cache = whitening.forward(x, style)
    assert np.abs(y).max() < 10
    assert max(np.abs(each).max() for each in whitening.backward(np.ones_like(y), cache)) < 100


def test_a_constant_added_to_the_content_changes_nothing(random):
    x, style, g = features(random, (2, 5, 4, 3)), features(random, (2, 3, 3, 3)), random.standard_normal((2, 5, 4, 3))
    y, cache = whitening.forward(x, style)
    np.testing.assert_allclose(whitening.forward(x + 5, style)[0], y, atol=1e-10)
    grad_x, grad_style = whitening.backward(g, cache)
    np.testing.assert_allclose(grad_x.sum((1, 2)), 0, atol=1e-11)
    np.testing.assert_allclose(grad_style.sum((1, 2)), g.sum((1, 2)), rtol=1e-10)  # moves y as it moves


@pytest.mark.parametrize("shape", [(1, 4, 4, 3), (2, 4, 4, 2), (2, 4, 3)])
def test_styles_that_do_not_fit(shape):
    with pytest.raises(ValueError, match="a style of as many images and channels"):
        whitening.forward(np.zeros((2, 4, 4, 3)), np.zeros(shape))


@pytest.mark.parametrize(("shape", "style"), [((1, 0, 4, 3), (1, 2, 2, 3)), ((1, 2, 2, 3), (1, 4, 0, 3))])
def test_no_pixels(shape, style):
    with pytest.raises(ValueError, match="an image without pixels has no mean"):
        whitening.forward(np.zeros(shape), np.zeros(style))
