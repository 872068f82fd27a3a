"""The addition by hand-worked numbers; the general checks are in test_contract.py."""

import numpy as np
import pytest

from scratchnst.ops import addition


def test_hand_worked():
    a, b = np.array([1.0, 2, 3]), np.array([10.0, -2, 0.5])
    y, cache = addition.forward(a, b)
    np.testing.assert_array_equal(y, [11, 0, 3.5])
    for gradient in addition.backward(np.array([5.0, 6, 7]), cache):
        np.testing.assert_array_equal(gradient, [5, 6, 7])


def test_gradients_share_no_memory():
    """With each other, nor with dL/dy: what is added to one is added to none of the others."""
    grad_y = np.ones((1, 2, 2, 3), "float32")
    grad_a, grad_b = addition.backward(grad_y)
    grad_a += 1
    grad_b += 2
    assert (grad_y.max(), grad_a.max(), grad_b.max()) == (1, 2, 3)


def test_a_sum_of_an_array_with_itself():
    """y = 2 x: the two gradients add up to 2 dL/dy."""
    x = np.array([1.0, -4])
    y, cache = addition.forward(x, x)
    np.testing.assert_array_equal(y, [2, -8])
    np.testing.assert_array_equal(sum(addition.backward(np.array([3.0, 5]), cache)), [6, 10])


@pytest.mark.parametrize("shape", [(1, 2, 3, 1), (2, 3, 4), (1, 1, 1, 1)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="two arrays of one shape"):
        addition.forward(np.zeros((1, 2, 3, 4)), np.zeros(shape))
