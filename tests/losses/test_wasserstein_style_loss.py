"""The Wasserstein distance of normal distributions by known cases; the general checks are in test_contract.py."""

import numpy as np
import pytest

from scratchnst.losses import moment_matrix, moments_style_loss, wasserstein_style_loss


def target_of(x):
    return moment_matrix.forward(x)[0]


def scattered(random, covariance, mean=0.0, positions=60):
    """Features (1, 1, M, C) that have exactly this mean and this covariance."""
    white = random.standard_normal((positions, len(covariance)))
    white -= white.mean(axis=0)
    white = white @ np.linalg.inv(np.linalg.cholesky(np.cov(white.T, bias=True))).T
    return (white @ np.linalg.cholesky(covariance).T + mean)[None, None]


@pytest.fixture
def exact(monkeypatch):
    monkeypatch.setattr(wasserstein_style_loss, "EPSILON", 1e-12)


def test_along_the_axes_it_is_that_of_moments(exact, random):
    """Deviations 2, 3 against 5, 1, means 0, 0 against 1, 4: (1 + 16 + 9 + 4) / 2."""
    F, style = scattered(random, np.diag([4.0, 9])), scattered(random, np.diag([25.0, 1]), [1, 4])
    E, cache = wasserstein_style_loss.forward(F, target_of(style))
    assert pytest.approx(15) == E
    by_moments, moments_cache = moments_style_loss.forward(F, target_of(style))
    assert pytest.approx(by_moments, rel=1e-4) == E
    expected = moments_style_loss.backward(1.0, moments_cache)
    np.testing.assert_allclose(
        wasserstein_style_loss.backward(1.0, cache), expected, atol=1e-4 * np.abs(expected).max()
    )


def test_a_turned_distribution(exact, random):
    """Deviations 1, 3 turned by 90 degrees are 3, 1: (4 + 4) / 2.  By 45 degrees: tr Q from the eigenvalues of K K'."""
    F = scattered(random, np.diag([1.0, 9]))
    assert wasserstein_style_loss.forward(F, target_of(F[..., ::-1]))[0] == pytest.approx(4)
    style = scattered(random, np.array([[5.0, 4], [4, 5]]))
    # K K' = [[5, 4], [36, 45]] has the trace 50 and the determinant 81: the roots of its eigenvalues add up to
    # sqrt(50 + 2 * 9).
    E, _ = wasserstein_style_loss.forward(F, target_of(style))
    assert pytest.approx((10 + 10 - 2 * np.sqrt(68)) / 2) == E


def test_a_step_of_gradient_descent_has_the_styles_mean_and_covariance(exact, random):
    """Down dE/dF = 2/(C M) (F - its place in the style), with the step C M / 2."""
    F = scattered(random, np.array([[2.0, 1], [1, 3]]), [1, -1])
    style = scattered(random, np.array([[4.0, -1], [-1, 1]]), [5, 2])
    _, cache = wasserstein_style_loss.forward(F, target_of(style))
    stepped = F - F.size / 2 * wasserstein_style_loss.backward(1.0, cache)
    np.testing.assert_allclose(target_of(stepped), target_of(style), rtol=1e-6)


def test_own_style_costs_nothing(random, dtype):
    F = np.maximum(random.standard_normal((1, 6, 7, 5)), 0).astype(dtype)
    E, cache = wasserstein_style_loss.forward(F, target_of(F))
    assert pytest.approx(0, abs=1e-9) == E
    np.testing.assert_allclose(wasserstein_style_loss.backward(1.0, cache), 0, atol=1e-6)


@pytest.mark.parametrize("style", [0.0, 5.0])
@pytest.mark.parametrize("number", [0.0, 1.0, 1e4])
def test_constant_pictures(number, style, dtype):
    F, target = np.full((1, 4, 6, 3), number, dtype), target_of(np.full((1, 4, 6, 3), style, dtype))
    E, cache = wasserstein_style_loss.forward(F, target)
    assert pytest.approx((number - style) ** 2, abs=1e-7) == E
    grad_F = wasserstein_style_loss.backward(1.0, cache)
    np.testing.assert_allclose(grad_F, 2 * (number - style) / F.size, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("channels", [3, 40])
def test_grey_pictures(random, channels, dtype):
    """All channels alike, more of them than positions, in image or style: the slopes are finite, and E is right."""
    grey = np.repeat(random.standard_normal((1, 3, 4, 1)), channels, axis=3).astype(dtype)
    colours = random.standard_normal(grey.shape).astype(dtype)
    for F, style in ((grey, colours), (colours, grey), (grey, 2 * grey)):
        E, cache = wasserstein_style_loss.forward(F, target_of(style))
        assert pytest.approx(wasserstein_style_loss.forward_loops(F, target_of(style)), rel=1e-3) == E
        grad_F = wasserstein_style_loss.backward(1.0, cache)
        assert np.isfinite(grad_F).all()
        assert np.abs(grad_F).max() < 1e3 / F.size
