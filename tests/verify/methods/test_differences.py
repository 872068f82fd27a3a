"""Central differences and the complex step, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst.verify.methods.differences import (
    both_sides,
    central_differences,
    complex_step,
    directional_derivative,
    moved,
)


def cube(x):
    """The sum of cubes, whose central difference is 3 x^2 + h^2."""
    return (x**3).sum()


def test_a_cube_by_hand():
    # ((2 + 1/2)^3 - (2 - 1/2)^3) / 1 = 15.625 - 3.375 = 12.25 = 3 * 2^2 + (1/2)^2
    assert directional_derivative(cube, np.array([2.0]), 0, 0.5) == 12.25


def test_every_element_at_its_place():
    x = np.array([[1.0, 2.0, 3.0], [-1.0, 0.0, 4.0]])
    found = central_differences(cube, x, 0.25)
    np.testing.assert_array_equal(found, 3 * x**2 + 0.0625)


def test_some_elements():
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(central_differences(cube, x, 0.5, [3, 0]), [48.25, 3.25])


def test_a_number():
    assert central_differences(cube, np.array(2.0), 0.5) == 12.25


def test_a_direction_adds_up_elements():
    # 2 x1 + 3 x2 along (1, -1): slope -1, exactly, at any step
    assert directional_derivative(lambda x: 2 * x[0] + 3 * x[1], np.zeros(2), np.array([1.0, -1.0]), 0.5) == -1


@pytest.mark.parametrize("direction", [1, np.array([0.0, 1.0])])
def test_x_stays_as_it_is(direction):
    x = np.array([1.0, 2.0])
    there = moved(x, direction, 0.5)
    assert there.tolist() == [1.0, 2.5]
    assert x.tolist() == [1.0, 2.0]
    assert there.dtype == x.dtype


def test_the_step_that_counts_is_the_one_that_was_made():
    # Beside 1e8 float32 has a spacing of 8: a step of 5 becomes 8, and the slope of 3 x is 3 nevertheless.
    x = np.array([1e8], np.float32)
    sides = both_sides(lambda x: 3 * float(x[0]), x, 0, 5.0)
    assert (sides.step_ahead, sides.step_behind) == (8.0, 8.0)
    assert sides.slope == 3


def test_arrays_that_are_not_contiguous():
    x = np.arange(12.0).reshape(3, 4)[:, ::2]
    np.testing.assert_allclose(central_differences(cube, x, 1e-3), 3 * x**2 + 1e-6, rtol=1e-9, atol=1e-9)


def test_the_complex_step_is_exact_to_rounding():
    x = np.array([0.3, -1.2])
    assert complex_step(lambda x: np.exp(x).sum(), x, 1) == pytest.approx(np.exp(-1.2), rel=1e-15)
    v = np.array([2.0, 1.0])
    expected = 2 * np.cos(0.3) + np.cos(1.2)
    assert complex_step(lambda x: np.sin(x).sum(), x, v) == pytest.approx(expected, rel=1e-15)
