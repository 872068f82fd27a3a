"""Adaptive instance normalisation by hand-worked numbers, and what it is for; the general checks are in
test_contract.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst.ops import adain, instance_norm, moments


@pytest.fixture
def exact(monkeypatch):
    """Without EPSILON, hands can work it out."""
    for module in (instance_norm, moments):
        monkeypatch.setattr(module, "EPSILON", 0.0)


def row(*numbers):
    return np.array(numbers, float).reshape(1, 1, -1, 1)


def test_hand_worked(exact):
    """The content 1 1 5 5 has the mean 3 and s = 2; the style 1 13, the mean 7 and s = 6."""
    y, cache = adain.forward(row(1, 1, 5, 5), row(1, 13))
    np.testing.assert_allclose(y.ravel(), [1, 1, 13, 13])

    # g = 8 0 0 0 has the mean 2, and g z the mean -2: g - 2 + 2 z = 4 -4 0 0, times s(style)/s(content) = 3.
    grad_content, grad_style = adain.backward(row(8, 0, 0, 0), cache)
    np.testing.assert_allclose(grad_content.ravel(), [12, -12, 0, 0], atol=1e-12)
    # The style's mean gets 8, its deviation -8: 4 + 4 for the pixel whose z' is -1, 4 - 4 for the other.
    np.testing.assert_allclose(grad_style.ravel(), [8, 0], atol=1e-12)


def test_the_result_has_the_moments_of_the_style(random):
    content, style = random.standard_normal((2, 9, 8, 3)), 5 + 3 * random.standard_normal((2, 4, 7, 3))
    y, _ = adain.forward(content, style)
    assert y.shape == content.shape
    np.testing.assert_allclose(y.mean(axis=(1, 2)), style.mean(axis=(1, 2)))
    np.testing.assert_allclose(y.std(axis=(1, 2)), style.std(axis=(1, 2)), rtol=1e-4)


def test_a_style_equal_to_the_content_changes_nothing(random, dtype):
    content = random.standard_normal((2, 9, 8, 3)).astype(dtype)
    y, cache = adain.forward(content, content)
    np.testing.assert_allclose(y, content, atol=1e-5 if dtype == "float32" else 1e-12)
    g = random.standard_normal(content.shape).astype(dtype)
    total = sum(adain.backward(g, cache))  # of a picture that is both: y is the picture itself
    np.testing.assert_allclose(total, g, atol=1e-5 if dtype == "float32" else 1e-12)


def test_neither_brightness_nor_contrast_of_the_content_is_seen(exact, random):
    content, style, g = (random.standard_normal((2, *sides, 3)) for sides in ((5, 4), (3, 7), (5, 4)))
    y, cache = adain.forward(content, style)
    np.testing.assert_allclose(adain.forward(7 * content - 3, style)[0], y, rtol=1e-10)
    grad_content, _ = adain.backward(g, cache)
    np.testing.assert_allclose(grad_content.sum(axis=(1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose((grad_content * content).sum(axis=(1, 2)), 0, atol=1e-12)


def test_each_image_takes_its_own_style(random):
    content, style = random.standard_normal((2, 3, 4, 2)), random.standard_normal((2, 5, 6, 2))
    both, _ = adain.forward(content, style)
    for n in range(2):
        np.testing.assert_allclose(adain.forward(content[n : n + 1], style[n : n + 1])[0], both[n : n + 1])


@pytest.mark.parametrize("which", ["content", "style", "both"])
@pytest.mark.parametrize("number", [0.0, 0.1, -1e4])
def test_channels_of_one_number(which, number, random, dtype):
    content, style = (random.standard_normal((2, *sides, 3)).astype(dtype) for sides in ((3, 4), (5, 2)))
    if which != "style":
        content[..., 1] = number
    if which != "content":
        style[..., 1] = number
    y, cache = adain.forward(content, style)
    np.testing.assert_allclose(y.mean(axis=(1, 2)), style.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    if which != "style":
        np.testing.assert_allclose(y[..., 1], y[:, :1, :1, 1] + 0 * y[..., 1], rtol=1e-6)
    assert all(np.isfinite(gradient).all() for gradient in adain.backward(np.ones_like(y), cache))


@pytest.mark.parametrize("shape", [(1, 4, 4, 3), (2, 4, 4, 2), (3, 4, 4, 2)])
def test_styles_for_other_images_or_channels_are_refused(shape):
    with pytest.raises(ValueError, match="as many images and channels as the content"):
        adain.forward(np.zeros((2, 4, 4, 3)), np.zeros(shape))


@pytest.mark.parametrize(("content", "style"), [((1, 0, 4, 3), (1, 4, 4, 3)), ((1, 4, 4, 3), (1, 4, 0, 3))])
def test_images_without_pixels_are_refused(content, style):
    with pytest.raises(ValueError, match="without pixels"):
        adain.forward(np.zeros(content), np.zeros(style))
