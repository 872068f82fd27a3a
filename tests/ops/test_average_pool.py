"""Average pooling by hand-worked numbers; the general checks are in test_contract.py."""

import numpy as np

from scratchnst.ops import average_pool

IMAGE = np.array([[1.0, 2, 9], [3, 6, 9], [9, 9, 9]]).reshape(1, 3, 3, 1)


def test_hand_worked_with_odd_sides():
    """One square, 1 2 3 6, has the mean 3; the last row and column belong to none."""
    y, cache = average_pool.forward(IMAGE)
    np.testing.assert_array_equal(y, [[[[3.0]]]])
    grad_x = average_pool.backward(np.array([[[[8.0]]]]), cache)
    np.testing.assert_array_equal(grad_x[0, :, :, 0], [[2, 2, 0], [2, 2, 0], [0, 0, 0]])


def test_one_pixel_gives_none():
    y, cache = average_pool.forward(np.ones((1, 1, 1, 2)))
    assert y.shape == (1, 0, 0, 2)
    np.testing.assert_array_equal(average_pool.backward(y, cache), np.zeros((1, 1, 1, 2)))
