"""ReLU by hand-worked numbers; the general checks are in test_contract.py."""

import numpy as np

from scratchnst.ops import relu


def test_hand_worked():
    x = np.array([-2.0, -0.0, 0.0, 3.0])
    y, cache = relu.forward(x)
    np.testing.assert_array_equal(y, [0, 0, 0, 3])
    np.testing.assert_array_equal(relu.backward(np.array([5.0, 6, 7, 8]), cache), [0, 0, 0, 8])


def test_nan_is_not_hidden():
    y, _ = relu.forward(np.array([np.nan, 1.0]))
    assert np.isnan(y[0])
