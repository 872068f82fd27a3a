"""Instance normalisation by hand-worked numbers, and where numbers are hard; the general checks are in
test_contract.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst.ops import instance_norm


@pytest.fixture
def exact(monkeypatch):
    """Without EPSILON, hands can work it out."""
    monkeypatch.setattr(instance_norm, "EPSILON", 0.0)


def row(*numbers):
    return np.array(numbers, float).reshape(1, 1, -1, 1)


def test_hand_worked(exact):
    """1 1 5 5 has the mean 3 and s = 2, so z is -1 -1 1 1."""
    y, cache = instance_norm.forward(row(1, 1, 5, 5), np.array([[10.0]]), np.array([[7.0]]))
    np.testing.assert_allclose(y.ravel(), [-3, -3, 17, 17])

    # g = 8 0 0 0 has the mean 2, and g z the mean -2: g - 2 + 2 z = 4 -4 0 0, times scale/s = 5.
    grad_x, grad_scale, grad_shift = instance_norm.backward(row(8, 0, 0, 0), cache)
    np.testing.assert_allclose(grad_x.ravel(), [20, -20, 0, 0], atol=1e-12)
    np.testing.assert_allclose(grad_scale, [[-8]])
    np.testing.assert_allclose(grad_shift, [[8]])


def test_each_image_and_channel_is_on_its_own(exact):
    x = np.concatenate([row(1, 1, 5, 5), row(0, 4, 0, 4)], axis=3)  # two channels
    x = np.concatenate([x, 100 * x])  # two images
    scale, shift = np.array([[1.0, 2], [3, 4]]), np.array([[0.0, 10], [20, 30]])
    y, cache = instance_norm.forward(x, scale, shift)
    np.testing.assert_allclose(y[:, 0, 3], scale + shift)  # the last pixel, whose z is 1 throughout
    np.testing.assert_allclose(y[:, 0, 0], shift - scale)
    _, grad_scale, grad_shift = instance_norm.backward(np.ones_like(x) * [1, 2], cache)
    np.testing.assert_allclose(grad_scale, 0, atol=1e-12)
    np.testing.assert_allclose(grad_shift, [[4, 8], [4, 8]])


def test_epsilon_is_under_the_root():
    """A variance of 3 EPSILON: s is 2 sqrt(EPSILON)."""
    deviation = np.sqrt(3 * instance_norm.EPSILON)
    y, _ = instance_norm.forward(row(-deviation, deviation), np.ones((1, 1)), np.zeros((1, 1)))
    np.testing.assert_allclose(y.ravel(), [-np.sqrt(3) / 2, np.sqrt(3) / 2])


@pytest.mark.parametrize("shape", [(1, 1, 1, 2), (2, 3, 4, 2)])
@pytest.mark.parametrize("number", [0.0, 0.1, -1e4])
def test_a_channel_of_one_number_becomes_the_shift(number, shape, dtype):
    scale, shift = np.full((shape[0], 2), 3, dtype), np.full((shape[0], 2), 0.7, dtype)
    y, cache = instance_norm.forward(np.full(shape, number, dtype), scale, shift)
    np.testing.assert_allclose(y, np.full(shape, 0.7, dtype), rtol=1e-6)
    assert all(np.isfinite(gradient).all() for gradient in instance_norm.backward(y, cache))


@pytest.mark.parametrize(("mean", "s"), [(1e4, 1.0), (-1e4, 0.1), (100.0, 1e-3), (0.0, 1e4)])
def test_float32_far_from_zero(mean, s, random):
    """As exact as these float32 numbers allow, however far their mean is from zero."""
    shape = (2, 13, 11, 3)
    x = (mean + s * random.standard_normal(shape)).astype("float32")
    scale, shift = random.standard_normal((2, 2, 3)).astype("float32")
    grad_y = random.standard_normal(shape).astype("float32")
    y, cache = instance_norm.forward(x, scale, shift)
    wide_y, wide_cache = instance_norm.forward(*(each.astype("float64") for each in (x, scale, shift)))
    grads, wide = instance_norm.backward(grad_y, cache), instance_norm.backward(grad_y.astype("float64"), wide_cache)
    for actual, expected in zip((y, *grads), (wide_y, *wide)):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=5e-7 * np.abs(expected).max())


def test_neither_brightness_nor_contrast_changes_the_output(exact, random):
    """So dL/dx has no part along either."""
    x, g = random.standard_normal((2, 2, 5, 4, 3))
    scale, shift = random.standard_normal((2, 2, 3))
    y, cache = instance_norm.forward(x, scale, shift)
    np.testing.assert_allclose(instance_norm.forward(7 * x - 3, scale, shift)[0], y, rtol=1e-10)
    grad_x = instance_norm.backward_input(g, cache)
    np.testing.assert_allclose(grad_x.sum(axis=(1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose((grad_x * x).sum(axis=(1, 2)), 0, atol=1e-12)


@pytest.mark.parametrize(("scale", "shift"), [((3,), (2, 3)), ((2, 3), (1, 3)), ((3, 2), (3, 2)), ((2, 1, 1, 3),) * 2])
def test_scales_and_shifts_of_other_shapes_are_refused(scale, shift):
    with pytest.raises(ValueError, match=r"a scale and a shift of the shape \(2, 3\)"):
        instance_norm.forward(np.zeros((2, 4, 4, 3)), np.zeros(scale), np.zeros(shift))


@pytest.mark.parametrize("shape", [(1, 0, 4, 3), (1, 4, 0, 3)])
def test_images_without_pixels_are_refused(shape):
    with pytest.raises(ValueError, match="without pixels"):
        instance_norm.forward(np.zeros(shape), np.zeros((1, 3)), np.zeros((1, 3)))
