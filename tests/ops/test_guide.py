"""Guidance by hand-worked numbers; the general checks are in test_contract.py."""

import numpy as np
import pytest

from scratchnst.losses import style_loss
from scratchnst.ops import guide


def test_the_example_worked_by_hand():
    x = np.array([[1.0, 2], [3, 4]]).reshape(1, 1, 2, 2)  # two positions of two channels
    T = np.array([0.5, 3]).reshape(1, 1, 2, 1)
    y, cache = guide.forward(x, T)
    np.testing.assert_array_equal(y.reshape(2, 2), [[0.5, 1], [9, 12]])
    grad_x = guide.backward(np.array([[2.0, 4], [1, 10]]).reshape(x.shape), cache)
    np.testing.assert_array_equal(grad_x.reshape(2, 2), [[1, 2], [3, 30]])


def test_a_position_counts_as_much_as_the_mask_says():
    T = guide.of_mask(np.array([[0, 0.5], [0.5, 1]]))
    np.testing.assert_allclose(T**2, [[0, 1], [1, 2]], rtol=1e-12)


def test_a_region_is_compared_as_if_it_were_the_whole_picture():
    """Equation 4 of a guided half is that of the half alone."""
    random = np.random.default_rng(0)
    F, S = random.standard_normal((2, 1, 4, 6, 3))
    A = np.einsum("nhwi,nhwj->nij", S, S)
    left = np.zeros((4, 6))
    left[:, :3] = 1
    guided, _ = guide.forward(F, guide.of_mask(left)[None, ..., None])
    of_half, _ = style_loss.forward(F[:, :, :3], A / 2)  # of half as many positions
    assert style_loss.forward(guided, A)[0] == pytest.approx(of_half)


@pytest.mark.parametrize("shape", [(4, 6), (1, 4, 6), (1, 4, 6, 3), (2, 4, 6, 1), (1, 1, 1, 1)])
def test_a_guide_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match="a guide of features"):
        guide.forward(np.zeros((2, 4, 6, 3)), np.zeros(shape))
