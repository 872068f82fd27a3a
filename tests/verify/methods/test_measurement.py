"""Directions, the common step, and the elements it does not serve."""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst.verify.methods.kinks import relu_signs
from scratchnst.verify.methods.measurement import (
    ElementDerivatives,
    FunctionMeasurement,
    ScalarFunction,
    numerical_gradient,
    random_directions,
)

X = np.random.default_rng(0).standard_normal(30)


def measured(f, x, patterns=None):
    function = ScalarFunction("x", x, f, patterns=patterns)
    measurement = FunctionMeasurement(function, list(range(x.size)), np.random.default_rng(0))
    elements = ElementDerivatives(measurement)
    elements.measure(list(range(x.size)))
    return measurement, elements


def test_every_element_counts_in_every_direction(random):
    for direction in random_directions(X.reshape(5, 6), random).values():
        assert direction.shape == (5, 6)
        assert (np.abs(direction) >= 0.5).all()
        assert (np.abs(direction) <= 1.5).all()


def test_equal_elements_move_together_and_zeros_stay(random):
    x = np.array([[0.0, 2.0, 2.0], [0.0, 3.0, 2.0]])
    free, tied, still = random_directions(x, random).values()
    assert len(np.unique(free)) == 6
    for direction in (tied, still):
        assert direction[0, 1] == direction[0, 2] == direction[1, 2]
        assert direction[0, 0] == direction[1, 0]
    assert tied[0, 0] != 0
    assert still[0, 0] == 0
    assert still[1, 1] != 0


@pytest.mark.parametrize("x", [np.zeros(4), np.ones(4), np.array(0.0), np.array(3.0)])
def test_no_direction_stands_still(x, random):
    assert all(direction.any() for direction in random_directions(x, random).values())


def test_derivatives_are_as_exact_as_they_say():
    _, elements = measured(lambda x: np.exp(x).sum(), X)
    assert (np.abs(elements.slopes - np.exp(X)) <= elements.tolerances).all()
    assert (elements.tolerances < 1e-7).all()


def test_elements_close_to_a_kink_get_a_smaller_step():
    x = np.where(np.arange(30) % 10, X, 1e-7 * X)
    _, elements = measured(lambda x: np.maximum(x, 0).sum(), x, relu_signs)
    np.testing.assert_allclose(elements.slopes, x > 0, atol=1e-3)
    kinks = elements.kinks()
    assert kinks.crossed == kinks.judged_closer == kinks.units["relu"] > 0
    assert kinks.examples["relu"] in {(int(index),) for index in range(30)}


def test_elements_on_a_kink_are_left_open():
    x = np.where(np.arange(30) % 3, X, 0)
    for patterns in (relu_signs, None):
        _, elements = measured(lambda x: np.maximum(x, 0).sum(), x, patterns)
        np.testing.assert_array_equal(np.isnan(elements.slopes), x == 0)
        assert elements.kinks().not_judged == 10
        assert elements.kinks().undeclared == (0 if patterns else 10)


def test_a_constant_has_no_noise_and_no_slope():
    measurement, elements = measured(lambda x: 1e9, X)
    assert measurement.noise.level == 0
    assert (elements.slopes == 0).all()
    assert (elements.tolerances == 0).all()


def test_the_scale_is_the_size_of_the_derivatives():
    measurement, _ = measured(lambda x: (1e5 * np.sin(x)).sum(), X)
    assert 1e4 < measurement.scale < 2e5


def test_the_whole_gradient():
    x = X.reshape(5, 6)
    np.testing.assert_allclose(numerical_gradient(ScalarFunction("x", x, lambda x: (x**3).sum())), 3 * x**2, atol=1e-8)


def test_the_whole_gradient_takes_no_longer_than_allowed(monkeypatch):
    monkeypatch.setattr("scratchnst.verify.methods.measurement.REFERENCE_SECONDS", 0.0)
    assert numerical_gradient(ScalarFunction("x", X, lambda x: (x**3).sum())) is None
