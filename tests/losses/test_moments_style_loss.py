"""The style loss by moments, by hand-worked numbers; the general checks are in test_contract.py."""

import numpy as np
import pytest

from scratchnst.losses import moment_matrix, moments_style_loss
from scratchnst.ops import adain


@pytest.fixture
def exact(monkeypatch):
    """Without EPSILON, hands can work it out."""
    monkeypatch.setattr(moments_style_loss, "EPSILON", 0.0)


def row(*numbers):
    return np.array(numbers, float).reshape(1, 1, -1, 1)


def target_of(x):
    return moment_matrix.forward(x)[0]


def test_hand_worked(exact):
    """1 1 5 5 has mean 3 and deviation 2; 0 0 8 8 has 4 and 4: E = 1 + 4, and 1 is pulled to 0, 5 to 8."""
    E, cache = moments_style_loss.forward(row(1, 1, 5, 5), target_of(row(0, 0, 8, 8)))
    assert pytest.approx(5) == E
    np.testing.assert_allclose(moments_style_loss.backward(1.0, cache).ravel(), 2 / 4 * np.array([1, 1, -3, -3]))


def test_a_step_of_gradient_descent_is_adain(random):
    """Down dE/dF = 2/(C M) (F - AdaIN), with the step C M / 2."""
    F, style = random.standard_normal((1, 5, 6, 4)), 2 + 3 * random.standard_normal((1, 6, 5, 4))
    _, cache = moments_style_loss.forward(F, target_of(style))
    stepped = F - F[0].size / 2 * moments_style_loss.backward(1.0, cache)
    np.testing.assert_allclose(stepped, adain.forward(F, style)[0], rtol=1e-9)


def test_covariances_do_not_count(random):
    """Channels whose pixels are shuffled, each on its own, have the same moments."""
    F = random.standard_normal((1, 4, 5, 3))
    style = random.permuted(F.reshape(20, 3), axis=0).reshape(F.shape)
    assert moments_style_loss.forward(F, target_of(style))[0] == pytest.approx(0, abs=1e-25)


@pytest.mark.parametrize("style", [0.0, 5.0])
@pytest.mark.parametrize("number", [0.0, 1.0, 1e4])
def test_constant_pictures(number, style, dtype):
    """Only the means differ; each pixel gets the same, without NaN."""
    F, target = np.full((1, 4, 6, 3), number, dtype), target_of(np.full((1, 4, 6, 3), style, dtype))
    E, cache = moments_style_loss.forward(F, target)
    assert pytest.approx((number - style) ** 2) == E
    np.testing.assert_allclose(moments_style_loss.backward(1.0, cache), 2 * (number - style) / F.size, rtol=1e-5)
