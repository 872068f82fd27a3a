"""Total variation by hand-worked numbers; the general checks are in test_contract.py."""

import numpy as np

from scratchnst.losses import total_variation


def test_hand_worked():
    """[[1, 4], [3, 3]]: down 2 and -1, right 3 and 0."""
    x = np.array([[1.0, 4], [3, 3]]).reshape(1, 2, 2, 1)
    V, cache = total_variation.forward(x)
    assert V == 4 + 1 + 9 + 0
    grad_x = total_variation.backward(1.0, cache)
    np.testing.assert_array_equal(grad_x[0, :, :, 0], [[-4 - 6, 2 + 6], [4, -2]])


def test_constant_image_has_none():
    V, cache = total_variation.forward(np.full((1, 3, 3, 3), 7.0))
    assert V == 0
    np.testing.assert_array_equal(total_variation.backward(1.0, cache), 0)
