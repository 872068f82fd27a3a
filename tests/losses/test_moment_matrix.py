"""The moment matrix by hand-worked numbers; the general checks are in test_contract.py."""

import numpy as np

from scratchnst.losses import moment_matrix

# Two channels at three positions, as in test_gram.py.
F = np.array([[1.0, 2], [0, 3], [4, 1]]).reshape(1, 1, 3, 2)


def test_hand_worked():
    """The Gram matrix, the sums 5 and 6, and the number of positions."""
    S, cache = moment_matrix.forward(F)
    np.testing.assert_array_equal(S, [[[17, 6, 5], [6, 14, 6], [5, 6, 3]]])
    # An upstream gradient on one of the two places of the first sum: slope 1 at each position, on the number of them 0.
    grad_x = moment_matrix.backward(np.array([[[0.0, 0, 2], [0, 0, 0], [0, 0, 7]]]), cache)
    np.testing.assert_array_equal(grad_x[0, 0], [[2, 0], [2, 0], [2, 0]])


def test_mean_and_mean_products():
    mean, products = moment_matrix.moments(moment_matrix.forward(F)[0])
    np.testing.assert_allclose(mean, [[5 / 3, 2]])
    np.testing.assert_allclose(products, [[[17 / 3, 2], [2, 14 / 3]]])


def test_parts_add_up(random):
    x = random.standard_normal((1, 6, 5, 3))
    parts = moment_matrix.forward(x[:, :2])[0] + moment_matrix.forward(x[:, 2:])[0]
    np.testing.assert_allclose(parts, moment_matrix.forward(x)[0], rtol=1e-12)
