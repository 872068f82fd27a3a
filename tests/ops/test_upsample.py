"""Nearest upsampling by hand-worked numbers; the general checks are in test_contract.py."""

import numpy as np

from scratchnst.ops import average_pool, upsample


def test_hand_worked():
    y, cache = upsample.forward(np.array([[1.0, 2]]).reshape(1, 1, 2, 1))
    np.testing.assert_array_equal(y[0, :, :, 0], [[1, 1, 2, 2], [1, 1, 2, 2]])
    grad_y = np.array([[1.0, 2, 3, 4], [10, 20, 30, 40]]).reshape(y.shape)
    np.testing.assert_array_equal(upsample.backward(grad_y, cache)[0, :, :, 0], [[33, 77]])


def test_pooling_takes_it_back(random):
    """The mean of four equal pixels is what each of them is."""
    x = random.standard_normal((2, 3, 4, 5))
    np.testing.assert_array_equal(average_pool.forward(upsample.forward(x)[0])[0], x)
