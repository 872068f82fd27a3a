"""Whose colours a painting has: luminance, chroma, and colours that are matched, also where there are none."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scratchnst.errors import UserError
from scratchnst.images import colour_control
from scratchnst.images.colour_control import (
    CONTENT,
    EPSILON,
    MATCH,
    MATCHINGS,
    STYLE,
    luminance,
    matched,
    matched_luminance,
    prepared,
    recoloured,
    with_chroma_of,
)

SHARES = np.array([0.299, 0.587, 0.114])
matchings = pytest.mark.parametrize("matching", MATCHINGS)


@pytest.fixture
def style(random):
    """Dark, and mostly along one line of colours."""
    colours = random.normal(0, 1, (31, 20, 3)) @ np.array([[40, 35, 10], [5, 9, 12], [6, 2, 3]])
    return (60 + colours).clip(0, 255)


@pytest.fixture
def content(random):
    """In the middle of the range, so that nothing is clipped, along another line."""
    colours = random.uniform(-1, 1, (90, 25, 3)) @ np.array([[9, -6, 3], [2, 8, 7], [1, 2, 6]])
    return 130 + colours + [10, -20, 0]


def covariance(image):
    return np.cov(image.reshape(-1, 3), rowvar=False, bias=True)


def root(K):
    return np.real(scipy.linalg.sqrtm(K))


def symmetric(K_s, K_c):
    inverse = scipy.linalg.inv(root(K_s))
    return inverse @ root(root(K_s) @ K_c @ root(K_s)) @ inverse


def pca(K_s, K_c):
    return root(K_c) @ scipy.linalg.inv(root(K_s))


def cholesky(K_s, K_c):
    L_s, L_c = (scipy.linalg.cholesky(K, lower=True) for K in (K_s, K_c))
    return L_c @ scipy.linalg.inv(L_s)


MAPS = {"symmetric": symmetric, "pca": pca, "cholesky": cholesky}


@matchings
def test_mean_and_covariance_become_the_contents(style, content, matching, monkeypatch):
    monkeypatch.setattr(colour_control, "EPSILON", 0.0)
    result = matched(style, content, matching)
    np.testing.assert_allclose(result.mean(axis=(0, 1)), content.mean(axis=(0, 1)), rtol=1e-12)
    np.testing.assert_allclose(covariance(result), covariance(content), rtol=1e-9, atol=1e-9)
    assert np.abs(covariance(style) - covariance(content)).max() > 500


@matchings
def test_each_way_is_its_equation(style, content, matching):
    noise = EPSILON * np.eye(3)
    A = MAPS[matching](covariance(style) + noise, covariance(content) + noise)
    expected = (style - style.mean(axis=(0, 1))) @ A.T + content.mean(axis=(0, 1))
    np.testing.assert_allclose(matched(style, content, matching), expected, rtol=1e-8)


@matchings
def test_a_picture_of_these_colours_stays(style, matching):
    np.testing.assert_allclose(matched(style, style[::-1], matching), style, atol=1e-8)


def test_the_symmetric_way_changes_colours_least(style, content):
    """Less than the others, and less than it followed by any rotation that keeps the content's covariance."""
    changes = {name: np.square(matched(style, content, name) - style).sum(axis=2).mean() for name in MATCHINGS}
    assert changes["symmetric"] < min(changes["pca"], changes["cholesky"])
    noise = EPSILON * np.eye(3)
    K_s, K_c = covariance(style) + noise, covariance(content) + noise
    gain = np.trace(symmetric(K_s, K_c) @ K_s)
    for seed in range(20):
        Q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
        assert gain > np.trace(root(K_c) @ Q @ np.linalg.inv(root(K_s)) @ K_s)


@matchings
def test_the_order_of_the_channels(style, content, matching):
    turned = matched(style[..., ::-1], content[..., ::-1], matching)[..., ::-1]
    difference = np.abs(turned - matched(style, content, matching)).max()
    assert difference > 1 if matching == "cholesky" else difference < 1e-8


def test_statistics_are_added_up_in_pieces(style, content, monkeypatch):
    whole = matched(style, content)
    monkeypatch.setattr(colour_control, "ROWS", 7)
    np.testing.assert_allclose(matched(style, content), whole, rtol=1e-10)


def test_float32_stays_and_is_precise(style, content):
    result = matched(np.float32(style), np.float32(content))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, matched(style, content), atol=1e-3)


def test_luminance_by_hand():
    picture = np.array([[[255, 0, 0], [0, 255, 0], [10, 20, 200]]])
    np.testing.assert_allclose(luminance(picture)[0, :, 0], [76.245, 149.685, 2.99 + 11.74 + 22.8], rtol=1e-6)
    np.testing.assert_array_equal(np.ptp(luminance(picture), axis=2), 0)


def test_a_styles_luminance_by_hand():
    """Mean 50 and deviation 50 become mean 110 and deviation 10, but for EPSILON."""
    style, content = (np.full((1, 2, 3), 1.0) * np.array(levels)[:, None] for levels in ([0, 100], [100, 120]))
    np.testing.assert_allclose(matched_luminance(style, content), content, atol=0.04)


def test_a_styles_luminance(style, content, monkeypatch):
    monkeypatch.setattr(colour_control, "EPSILON", 0.0)
    result = matched_luminance(style, content)
    np.testing.assert_array_equal(np.ptp(result, axis=2), 0)
    np.testing.assert_allclose(result[..., 0].mean(), (content @ SHARES).mean())
    np.testing.assert_allclose(result[..., 0].std(), (content @ SHARES).std())
    assert np.corrcoef(result[..., 0].ravel(), (style @ SHARES).ravel())[0, 1] > 1 - 1e-12


def test_luminance_of_the_one_and_chroma_of_the_other(style, content):
    painting = style[:25].clip(90, 150)
    photo = content[:25, :20]
    result = with_chroma_of(painting, photo)
    assert 0 < result.min() < result.max() < 255
    np.testing.assert_allclose(result @ SHARES, painting @ SHARES)
    for channel in range(3):
        np.testing.assert_allclose(result[..., channel] - result @ SHARES, photo[..., channel] - photo @ SHARES)


def test_clipped_to_the_range():
    white, red = np.full((1, 1, 3), 255.0), np.array([[[255.0, 0, 0]]])
    np.testing.assert_allclose(with_chroma_of(white, red), [[[255, 178.755, 178.755]]])


def test_what_is_painted_from(style, content):
    same, styles = prepared(content, [style, style[::2]], STYLE)
    assert same is content
    assert styles[0] is style
    same, styles = prepared(content, [style, style[::2]], MATCH, "pca")
    assert same is content
    np.testing.assert_array_equal(styles[1], matched(style[::2], content, "pca"))
    grey, styles = prepared(content, [style, style[::2]], CONTENT)
    np.testing.assert_array_equal(grey, luminance(content))
    np.testing.assert_array_equal(styles[1], matched_luminance(style[::2], content))


def test_what_is_painted_gets_the_colours(style, content):
    photo = content[: len(style), : style.shape[1]]
    assert recoloured(style, photo, STYLE) is style
    np.testing.assert_array_equal(recoloured(style, photo, CONTENT), with_chroma_of(style, photo))
    np.testing.assert_array_equal(recoloured(style, photo, MATCH, "cholesky"), matched(style, photo, "cholesky"))


@pytest.mark.parametrize(
    ("colors", "matching", "message"),
    [
        ("mine", "pca", "colours cannot be those of 'mine': choose one of style, content, match"),
        ("match", "pcb", "cannot be matched by 'pcb': choose one of symmetric, pca, cholesky"),
    ],
)
def test_what_there_is_not(style, content, colors, matching, message):
    with pytest.raises(UserError, match=message):
        prepared(content, [style], colors, matching)
    with pytest.raises(UserError, match=message):
        recoloured(style, style, colors, matching)


class TestPicturesWithoutColours:
    """No eigenvalue of zero makes a NaN."""

    @matchings
    @pytest.mark.parametrize("level", [0, 77, 255])
    def test_a_constant_style_gets_the_mean(self, content, matching, level):
        result = matched(np.full((4, 5, 3), level, np.float32), content, matching)
        np.testing.assert_allclose(result, np.broadcast_to(content.mean(axis=(0, 1)), (4, 5, 3)), rtol=1e-5)
        grey = matched_luminance(np.full((4, 5, 3), level, np.float32), content)
        np.testing.assert_allclose(grey, (content @ SHARES).mean(), rtol=1e-5)

    @matchings
    def test_a_constant_content_leaves_hardly_any_contrast(self, style, matching):
        """A deviation of EPSILON's root at most, in any direction."""
        result = matched(style, np.full((3, 3, 3), [80.0, 90.0, 100.0]), matching)
        np.testing.assert_allclose(result.mean(axis=(0, 1)), [80, 90, 100])
        assert scipy.linalg.eigvalsh(covariance(result)).max() <= EPSILON

    @matchings
    def test_a_grey_style_stays_on_a_line(self, style, content, matching):
        result = matched(luminance(style), content, matching)
        np.testing.assert_allclose(result.mean(axis=(0, 1)), content.mean(axis=(0, 1)))
        assert scipy.linalg.eigvalsh(covariance(result))[:2].max() < 1e-9
        assert np.trace(covariance(result)) > 1

    @matchings
    def test_a_grey_content_makes_a_style_grey(self, style, content, matching):
        result = matched(style, luminance(content), matching)
        deviation = (result - luminance(result)).std()
        assert deviation < 2 * np.sqrt(EPSILON) < (style - luminance(style)).std() / 5


PICTURES = arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 4), st.just(3)))


@settings(max_examples=60, deadline=None)
@given(PICTURES, PICTURES, st.sampled_from(list(MATCHINGS)))
def test_any_pictures(style, content, matching):
    style, content = np.float32(style), np.float32(content)
    photo = np.resize(content, style.shape)
    for result in (
        *(each for colors in (CONTENT, MATCH) for each in prepared(content, [style], colors, matching)[1]),
        *(recoloured(style, photo, colors, matching) for colors in (CONTENT, MATCH)),
    ):
        assert result.shape == style.shape
        assert result.dtype == np.float32
        assert np.isfinite(result).all()
        assert 0 <= result.min() <= result.max() <= 255
