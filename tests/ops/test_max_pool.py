"""Max pooling by hand-worked numbers; the general checks are in test_contract.py."""

import numpy as np

from scratchnst.ops import max_pool


def test_hand_worked_with_odd_sides():
    x = np.array([[1.0, 2, 9], [3, -6, 9], [9, 9, 9]]).reshape(1, 3, 3, 1)
    y, cache = max_pool.forward(x)
    np.testing.assert_array_equal(y, [[[[3.0]]]])
    grad_x = max_pool.backward(np.array([[[[8.0]]]]), cache)
    np.testing.assert_array_equal(grad_x[0, :, :, 0], [[0, 0, 0], [8, 0, 0], [0, 0, 0]])


def test_a_tie_goes_to_the_first_in_reading_order():
    x = np.array([[0.0, 5], [5, 5]]).reshape(1, 2, 2, 1)
    _, cache = max_pool.forward(x)
    grad_x = max_pool.backward(np.ones((1, 1, 1, 1)), cache)
    np.testing.assert_array_equal(grad_x[0, :, :, 0], [[0, 1], [0, 0]])
    np.testing.assert_array_equal(grad_x, max_pool.backward_loops(np.ones((1, 1, 1, 1)), x))


def test_negative_numbers():
    y, _ = max_pool.forward(np.array([[-4.0, -2], [-3, -9]]).reshape(1, 2, 2, 1))
    assert y.item() == -2
