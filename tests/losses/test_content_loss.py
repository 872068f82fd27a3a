"""The content loss by hand-worked numbers, and equation 2; the general checks are in test_contract.py."""

import numpy as np

from scratchnst.losses import content_loss
from scratchnst.ops import relu


def test_hand_worked():
    F, P = np.array([[[[1.0, 5]]]]), np.array([[[[3.0, 4]]]])
    loss, cache = content_loss.forward(F, P)
    assert loss == (4 + 1) / 2
    np.testing.assert_array_equal(content_loss.backward(10.0, cache), [[[[-20, 10]]]])


def test_equation_2_is_the_loss_and_then_the_relu_backward(random, dtype):
    z = random.standard_normal((2, 5, 4, 3)).astype(dtype)
    P = random.standard_normal(z.shape).astype(dtype)
    F, relu_cache = relu.forward(z)
    _, loss_cache = content_loss.forward(F, P)
    composed = relu.backward(content_loss.backward(1.0, loss_cache), relu_cache)
    stated = content_loss.equation_2(F, P)
    assert stated.dtype == dtype
    assert np.any(stated == 0)
    np.testing.assert_array_equal(stated, composed)


def test_equation_2_hand_worked():
    """F = 0 is where the ReLU cut off: slope 0 although F - P is -3."""
    np.testing.assert_array_equal(content_loss.equation_2(np.array([0.0, 2.0]), np.array([3.0, 7.0])), [0, -5])


def test_sum_in_float64(random):
    """The sum itself is in float64: in float32 it would be off by up to 6e-8 of its value by rounding alone."""
    F = random.standard_normal((1, 300, 200, 3)).astype(np.float32)
    loss, _ = content_loss.forward(F, np.zeros_like(F))
    squares = (F * F).astype(np.float64)
    assert abs(loss / (0.5 * squares.sum()) - 1) < 1e-12
