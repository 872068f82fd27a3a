"""Preprocessing by hand-worked numbers; the general checks are in test_contract.py."""

import numpy as np

from scratchnst.ops import preprocess


def test_oxford():
    """A pixel R = 130, G = 120, B = 110 in BGR minus Oxford's means."""
    x = np.array([130.0, 120, 110]).reshape(1, 1, 1, 3)
    y, cache = preprocess.forward(x, "BGR", 1.0, (103.939, 116.779, 123.68), (1, 1, 1))
    np.testing.assert_allclose(y.ravel(), [6.061, 3.221, 6.32])
    grad_x = preprocess.backward(np.array([1.0, 2, 3]).reshape(1, 1, 1, 3), cache)
    np.testing.assert_array_equal(grad_x.ravel(), [3, 2, 1])


def test_torchvision():
    """White in torchvision's units: (1 - mean) / std."""
    y, cache = preprocess.forward(
        np.full((1, 1, 1, 3), 255.0), "RGB", 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    )
    np.testing.assert_allclose(y.ravel(), [2.24890830, 2.42857143, 2.64])
    grad_x = preprocess.backward(np.ones((1, 1, 1, 3)), cache)
    np.testing.assert_allclose(grad_x.ravel(), [1 / 58.395, 1 / 57.12, 1 / 57.375])
