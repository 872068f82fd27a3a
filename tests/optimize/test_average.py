"""The mean of iterates, by hand and against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst.optimize import adam
from scratchnst.optimize.average import MovingAverage


def test_by_hand():
    """With d = 0.5: weights 1; then 1/3 and 2/3; then 1/7, 2/7 and 4/7."""
    average, means = MovingAverage.of(np.zeros(1), 0.5), []
    for x in (7.0, 14.0, 0.0):
        average.add(np.array([x]))
        means.append(average.mean.item())
    assert means == pytest.approx([7.0, 7 / 3 + 28 / 3, 1 + 4.0])


def test_the_weights_are_those_of_the_definition(random):
    points, average = random.normal(size=(40, 3)), MovingAverage.of(np.zeros(3), 0.9)
    for x in points:
        average.add(x)
    np.testing.assert_allclose(average.mean, np.average(points, axis=0, weights=0.9 ** np.arange(39, -1, -1)))


def test_the_mean_of_one_point_is_that(random):
    x = random.normal(size=5)
    average = MovingAverage.of(x)
    average.add(x)
    np.testing.assert_allclose(average.mean, x, rtol=1e-13)
    average.mean[:] = 0  # nothing but a copy
    np.testing.assert_allclose(average.mean, x, rtol=1e-13)


def test_it_is_nearer_to_the_minimum_than_iterates_that_jump_about_it(random):
    """Adam by gradients with noise, of a bowl whose minimum is 0."""
    average, last = MovingAverage.of(np.zeros(50)), []

    def add(x, loss):
        average.add(x)
        last.append(x)

    adam(lambda x: (0.0, x + random.normal(size=50)), np.full(50, 1.0), 600, callback=add, rate=0.1)
    assert np.linalg.norm(average.mean) < 0.5 * np.median([np.linalg.norm(x) for x in last[-100:]])
