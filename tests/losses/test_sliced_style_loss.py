"""Projections and the sliced Wasserstein distance by known cases; the general checks are in test_contract.py."""

import numpy as np
import pytest

from scratchnst.losses import as_target, projections, sliced_style_loss


def row(*numbers):
    """One channel, of which the only direction is (1)."""
    return np.array(numbers, float).reshape(1, 1, -1, 1)


def target_of(x, pixels):
    return projections.as_target(projections.forward(x)[0], pixels)


def test_hand_worked():
    """3 0 1 in ascending order is 0 1 3, against 2 2 5: E = (4 + 1 + 4) / 3; each is pulled to the one of its rank."""
    E, cache = sliced_style_loss.forward(row(3, 0, 1), np.array([[[2.0, 2, 5]]]))
    assert pytest.approx(3) == E
    np.testing.assert_allclose(sliced_style_loss.backward(3.0, cache).ravel(), 2 * np.array([-2, -2, -1]))


def test_directions_are_those_of_the_axes_turned():
    W = projections.directions(7)
    np.testing.assert_allclose(W.T @ W, np.eye(7), atol=1e-12)
    np.testing.assert_array_equal(W, projections.directions(7))
    assert projections.directions(1) == 1
    with pytest.raises(ValueError, match="read-only"):
        W[0] = 0


@pytest.mark.parametrize(
    ("pixels", "quantiles"),
    [(4, [0, 2, 4, 8]), (2, [1, 6]), (8, [0, 0.5, 1.5, 2.5, 3.5, 5, 7, 8]), (1, [3])],
)
def test_quantiles(pixels, quantiles):
    """Those of 4 numbers are at 1/8, 3/8, 5/8, 7/8; of two, at 1/4 and 3/4, halfway between."""
    np.testing.assert_allclose(target_of(row(4, 0, 8, 2), pixels).ravel(), quantiles)


def test_a_target_of_another_size(random):
    """Quantiles, not sums: the same distribution costs next to nothing, whatever the number of positions."""
    F, style = random.standard_normal((1, 30, 30, 2)), random.standard_normal((1, 40, 50, 2))
    S, _ = projections.forward(style)
    target = as_target(projections, S, 2000, 900)
    assert target.shape == (1, 2, 900)
    assert sliced_style_loss.forward(F, target)[0] < 0.02
    assert sliced_style_loss.forward(2 * F, target)[0] > 0.9


def test_a_step_of_gradient_descent_has_the_styles_distribution(random):
    F, style = random.standard_normal((1, 5, 6, 4)), random.exponential(1, (1, 5, 6, 4))
    target = target_of(style, 30)
    _, cache = sliced_style_loss.forward(F, target)
    stepped = F - F.size / 2 * sliced_style_loss.backward(1.0, cache)
    np.testing.assert_allclose(target_of(stepped, 30), target, atol=1e-12)


def test_places_do_not_matter(random):
    F = random.standard_normal((1, 4, 6, 3))
    shuffled = random.permutation(F.reshape(24, 3)).reshape(F.shape)
    assert sliced_style_loss.forward(F, target_of(shuffled, 24))[0] == pytest.approx(0, abs=1e-25)


@pytest.mark.parametrize("style", [0.0, 5.0])
@pytest.mark.parametrize("number", [0.0, 1.0, 1e4])
def test_constant_pictures(number, style, dtype):
    """All ranks are tied, and all quantiles equal."""
    F, target = np.full((1, 4, 6, 3), number, dtype), target_of(np.full((1, 5, 5, 3), style, dtype), 24)
    E, cache = sliced_style_loss.forward(F, target)
    assert pytest.approx((number - style) ** 2, rel=1e-5, abs=1e-10) == E
    expected = 2 * (number - style) / F.size
    np.testing.assert_allclose(sliced_style_loss.backward(1.0, cache), expected, rtol=1e-5, atol=1e-7)


def test_tied_numbers_have_a_slope_between_those_beside():
    """1 1 against 0 4: the two get the slopes of the two orders, whichever comes first."""
    _, cache = sliced_style_loss.forward(row(1, 1), np.array([[[0.0, 4]]]))
    np.testing.assert_allclose(sorted(sliced_style_loss.backward(1.0, cache).ravel()), [-3, 1])
