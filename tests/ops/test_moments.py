"""Moments by hand-worked numbers, and where numbers are hard; the general checks are in test_contract.py."""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst.losses import gram
from scratchnst.ops import moments


@pytest.fixture
def exact(monkeypatch):
    """Without EPSILON, hands can work it out."""
    monkeypatch.setattr(moments, "EPSILON", 0.0)


def row(*numbers):
    return np.array(numbers, float).reshape(1, 1, -1, 1)


def test_hand_worked(exact):
    """1 1 5 5 has the mean 3 and s = 2, so z is -1 -1 1 1."""
    y, cache = moments.forward(row(1, 1, 5, 5))
    np.testing.assert_allclose(y, [[[3], [2]]])

    # Of L = 8 mean each pixel has 8/4, and of L = 12 s it has 12/4 z.
    for upstream, gradient in ((8, 0), [2, 2, 2, 2]), ((0, 12), [-3, -3, 3, 3]), ((8, 12), [-1, -1, 5, 5]):
        grad_x = moments.backward(np.array(upstream, float).reshape(1, 2, 1), cache)
        np.testing.assert_allclose(grad_x.ravel(), gradient)


def test_the_slope_of_a_deviation(exact):
    """0 and x have the deviation x/2, whose slope is 1/2 for x > 0: half of it by x, half by its distance from 0."""
    _, cache = moments.forward(row(0, 7))
    grad_x = moments.backward(np.array([0.0, 1]).reshape(1, 2, 1), cache)
    np.testing.assert_allclose(grad_x.ravel(), [-0.5, 0.5])


def test_each_image_and_channel_is_on_its_own(exact):
    x = np.concatenate([row(1, 1, 5, 5), row(0, 4, 0, 4)], axis=3)  # two channels
    x = np.concatenate([x, 100 * x])  # two images
    y, cache = moments.forward(x)
    np.testing.assert_allclose(y, [[[3, 2], [2, 2]], [[300, 200], [200, 200]]])
    grad_y = np.zeros_like(y)
    grad_y[1, :, 0] = 4, 8
    grad_x = moments.backward(grad_y, cache)
    np.testing.assert_allclose(grad_x[1, 0, :, 0], [-1, -1, 3, 3])
    grad_x[1, 0, :, 0] = 0
    np.testing.assert_array_equal(grad_x, 0)


def test_epsilon_is_under_the_root():
    """A variance of 3 EPSILON: s is 2 sqrt(EPSILON)."""
    deviation = np.sqrt(3 * moments.EPSILON)
    y, _ = moments.forward(row(-deviation, deviation))
    np.testing.assert_allclose(y.ravel(), [0, 2 * np.sqrt(moments.EPSILON)], atol=1e-18)


@pytest.mark.parametrize("shape", [(1, 1, 1, 2), (2, 3, 4, 2)])
@pytest.mark.parametrize("number", [0.0, 0.1, -1e4])
def test_a_channel_of_one_number_has_a_derivative(number, shape, dtype):
    y, cache = moments.forward(np.full(shape, number, dtype))
    np.testing.assert_allclose(y[:, 0], number, rtol=1e-6)
    np.testing.assert_allclose(y[:, 1], np.sqrt(1e-5), rtol=1e-6)
    grad_x = moments.backward(np.ones_like(y), cache)
    np.testing.assert_allclose(grad_x, 1 / (shape[1] * shape[2]), rtol=1e-5)


@pytest.mark.parametrize(("mean", "s"), [(1e4, 1.0), (-1e4, 0.1), (100.0, 1e-3), (0.0, 1e4)])
def test_float32_far_from_zero(mean, s, random):
    """As exact as these float32 numbers allow, however far their mean is from zero."""
    x = (mean + s * random.standard_normal((2, 13, 11, 3))).astype("float32")
    grad_y = random.standard_normal((2, 2, 3)).astype("float32")
    y, cache = moments.forward(x)
    wide, wide_cache = moments.forward(x.astype("float64"))
    np.testing.assert_allclose(y, wide, rtol=2e-7, atol=1e-7 * s)
    expected = moments.backward(grad_y.astype("float64"), wide_cache)
    np.testing.assert_allclose(moments.backward(grad_y, cache), expected, rtol=0, atol=5e-7 * np.abs(expected).max())


def test_they_are_on_the_diagonal_of_the_gram_matrix(exact, random):
    x = random.standard_normal((2, 3, 5, 4))
    mean, deviation = moments.forward(x)[0].swapaxes(0, 1)
    diagonal = np.einsum("nii->ni", gram.forward(x)[0])
    np.testing.assert_allclose(diagonal, 15 * (mean**2 + deviation**2))


def test_what_brightness_and_contrast_do_to_them(exact, random):
    x = random.standard_normal((2, 3, 5, 4))
    mean, deviation = moments.forward(x)[0].swapaxes(0, 1)
    np.testing.assert_allclose(moments.forward(x + 3)[0], np.stack([mean + 3, deviation], 1))
    np.testing.assert_allclose(moments.forward(-7 * x)[0], np.stack([-7 * mean, 7 * deviation], 1))


@pytest.mark.parametrize("shape", [(1, 0, 4, 3), (1, 4, 0, 3)])
def test_images_without_pixels_are_refused(shape):
    with pytest.raises(ValueError, match="without pixels"):
        moments.forward(np.zeros(shape))
