"""The style loss of a pair of layers; the general checks are in test_contract.py."""

import numpy as np
import pytest

from scratchnst.losses import cross_gram, cross_style_loss, style_loss


def test_hand_worked():
    """G = (9, 39) of test_cross_gram.py against A = (8, 41): N = 1, N' = 2, M = 2, so E = (1 + 4) / (4 1 2 4)."""
    F = np.array([[1.0, 3, 0, 2], [5, 7, 2, 0]]).reshape(1, 2, 4, 1)
    K = np.array([[2.0, 10], [1, -1]]).reshape(1, 1, 2, 2)
    E, cache = cross_style_loss.forward(F, K, np.array([[[8.0, 41]]]))
    assert pytest.approx(5 / 32) == E
    # G - A = (1, -2), so that K (G - A)^T is 2 - 20 and 1 + 2, over 2 N N' M^2 = 16; a quarter of that to each pixel.
    grad_F, grad_K = cross_style_loss.backward(1.0, cache)
    np.testing.assert_allclose(grad_F[0, 0, :, 0], [-18 / 64, -18 / 64, 3 / 64, 3 / 64])
    np.testing.assert_allclose(grad_K[0, 0], [[4 / 16, -8 / 16], [1 / 16, -2 / 16]])


def test_of_a_layer_with_itself_it_is_equation_4(random):
    F, A = random.standard_normal((1, 4, 5, 3)), random.standard_normal((1, 3, 3))
    A = A + A.swapaxes(1, 2)
    E, cache = cross_style_loss.forward(F, F, A)
    expected, expected_cache = style_loss.forward(F, A)
    assert pytest.approx(expected) == E
    total = sum(cross_style_loss.backward(0.7, cache))
    np.testing.assert_allclose(total, style_loss.backward(0.7, expected_cache))


def test_own_style_costs_nothing(random):
    F, K = random.standard_normal((1, 4, 6, 3)), random.standard_normal((1, 2, 3, 5))
    E, cache = cross_style_loss.forward(F, K, cross_gram.forward(F, K)[0])
    assert E == 0
    assert not any(grad.any() for grad in cross_style_loss.backward(1.0, cache))
