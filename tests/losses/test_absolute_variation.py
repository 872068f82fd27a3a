"""Absolute total variation by hand-worked numbers; the general checks are in test_contract.py."""

import numpy as np

from scratchnst.losses import absolute_variation


def test_hand_worked():
    """[[1, 4], [3, 3]]: down 2 and -1, right 3 and 0, at whose kink the slope is 0."""
    V, cache = absolute_variation.forward(np.array([[1.0, 4], [3, 3]]).reshape(1, 2, 2, 1))
    assert V == 2 + 1 + 3 + 0
    np.testing.assert_array_equal(absolute_variation.backward(2.0, cache)[0, :, :, 0], [[-4, 4], [2, -2]])


def test_constant_image_has_none(dtype):
    V, cache = absolute_variation.forward(np.full((1, 3, 3, 3), 7.0, dtype))
    assert V == 0
    np.testing.assert_array_equal(absolute_variation.backward(1.0, cache), 0)


def test_an_edge_costs_no_more_than_a_slope_to_the_same_height():
    edge, slope = (np.array(numbers, float).reshape(1, 1, 5, 1) for numbers in ([0, 0, 8, 8, 8], [0, 2, 4, 6, 8]))
    assert absolute_variation.forward(edge)[0] == absolute_variation.forward(slope)[0] == 8
