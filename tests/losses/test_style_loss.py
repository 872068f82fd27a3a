"""The style loss by hand-worked numbers, and equation 6; the general checks are in test_contract.py."""

import numpy as np
import pytest

from scratchnst.losses import gram, style_loss
from scratchnst.ops import relu


def test_hand_worked():
    """N = 2 channels, M = 3 pixels, G = [[17, 6], [6, 14]] (see test_gram.py) against A = [[16, 6], [6, 12]]."""
    F = np.array([[1.0, 2], [0, 3], [4, 1]]).reshape(1, 1, 3, 2)
    A = np.array([[[16.0, 6], [6, 12]]])
    E, cache = style_loss.forward(F, A)
    assert pytest.approx((1 + 4) / (4 * 2**2 * 3**2)) == E
    # Equation (a): F (G - A) / (N^2 M^2), G - A = diag(1, 2).
    expected = np.array([[1.0, 4], [0, 6], [4, 2]]) / 36
    np.testing.assert_allclose(style_loss.backward(1.0, cache)[0, 0], expected)
    np.testing.assert_allclose(style_loss.backward(-3.0, cache)[0, 0], -3 * expected)


def test_one_target_for_a_batch(random):
    """A target (1, C, C) serves every image of a batch, and their losses are added up."""
    F, A = random.standard_normal((2, 4, 5, 3)), random.standard_normal((1, 3, 3))
    E, cache = style_loss.forward(F, A)
    parts = [style_loss.forward(F[n : n + 1], A) for n in range(2)]
    assert pytest.approx(parts[0][0] + parts[1][0]) == E
    grads = np.concatenate([style_loss.backward(1.0, part[1]) for part in parts])
    np.testing.assert_allclose(style_loss.backward(1.0, cache), grads)


def test_own_style_costs_nothing(random):
    F = random.standard_normal((1, 4, 5, 3))
    E, cache = style_loss.forward(F, gram.forward(F)[0])
    assert E == 0
    np.testing.assert_array_equal(style_loss.backward(1.0, cache), 0)


def test_equation_6_is_the_loss_and_then_the_relu_backward(random, dtype):
    z = random.standard_normal((1, 5, 4, 3)).astype(dtype)
    A = gram.forward(random.standard_normal(z.shape).astype(dtype))[0]
    F, relu_cache = relu.forward(z)
    _, loss_cache = style_loss.forward(F, A)
    composed = relu.backward(style_loss.backward(1.0, loss_cache), relu_cache)
    stated = style_loss.equation_6(F.reshape(20, 3), A[0])
    assert stated.dtype == dtype
    assert np.any(stated == 0)
    tolerance = {"float32": 1e-5, "float64": 1e-13}[dtype]
    np.testing.assert_allclose(stated, composed.reshape(20, 3), rtol=0, atol=tolerance * np.abs(composed).max())


def test_equation_6_hand_worked():
    """The numbers above with F[1, 0] = 0, which the ReLU cut off: its gradient is 0 whatever the others say."""
    F = np.array([[1.0, 2], [0, 3], [4, 1]])
    A = np.array([[16.0, 5], [5, 12]])
    expected = np.array([[1 + 2, 1 + 4], [0, 0 + 6], [4 + 1, 4 + 2]]) / 36
    np.testing.assert_allclose(style_loss.equation_6(F, A), expected)
