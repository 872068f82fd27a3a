"""The cross-layer Gram matrix by hand-worked numbers; the general checks are in test_contract.py."""

import numpy as np
import pytest

from scratchnst.losses import cross_gram, gram
from scratchnst.ops import upsample

# A layer with one channel, 2x4 pixels, and the one behind a pool with two channels, 1x2 pixels.
F = np.array([[1.0, 3, 0, 2], [5, 7, 2, 0]]).reshape(1, 2, 4, 1)
K = np.array([[2.0, 10], [1, -1]]).reshape(1, 1, 2, 2)


def test_hand_worked():
    """The squares' means are 4 and 1: G = (4 2 + 1 1, 4 10 - 1 1)."""
    G, cache = cross_gram.forward(F, K)
    np.testing.assert_array_equal(G, [[[9, 39]]])
    # g = (1, 0): dL/dP is K's first channel, 2 and 1, and each pixel of a square gets a quarter of it.
    grad_x, grad_y = cross_gram.backward(np.array([[[1.0, 0]]]), cache)
    np.testing.assert_array_equal(grad_x[0, ..., 0], [[0.5, 0.5, 0.25, 0.25]] * 2)
    np.testing.assert_array_equal(grad_y[0, 0], [[4, 0], [1, 0]])


def test_of_a_layer_with_itself_it_is_the_gram_matrix(random):
    x, g = random.standard_normal((2, 3, 5, 4)), random.standard_normal((2, 4, 4))
    G, cache = cross_gram.forward(x, x)
    np.testing.assert_allclose(G, gram.forward(x)[0])
    np.testing.assert_allclose(sum(cross_gram.backward(g, cache)), gram.backward(g, x))


@pytest.mark.parametrize("pools", [1, 2])
def test_as_with_the_deeper_layer_upsampled(random, pools):
    """Equation (b), twice if two pools lie between."""
    x, y = random.standard_normal((1, 8, 12, 3)), random.standard_normal((1, 8 >> pools, 12 >> pools, 2))
    larger = y
    for _ in range(pools):
        larger, _ = upsample.forward(larger)
    expected = np.einsum("nhwi,nhwj->nij", x, larger) / 4**pools
    np.testing.assert_allclose(cross_gram.forward(x, y)[0], expected, rtol=1e-12)


def test_what_belongs_to_no_square_is_left_out(random):
    x, y = random.standard_normal((1, 5, 7, 2)), random.standard_normal((1, 2, 3, 2))
    G, cache = cross_gram.forward(x, y)
    np.testing.assert_array_equal(G, cross_gram.forward(x[:, :4, :6], y)[0])
    grad_x, _ = cross_gram.backward(np.ones((1, 2, 2)), cache)
    assert not grad_x[:, 4:].any()
    assert not grad_x[:, :, 6:].any()


@pytest.mark.parametrize("deeper", [(8, 8), (3, 4), (4, 3)])
def test_other_sizes_are_refused(deeper):
    with pytest.raises(ValueError, match="name the deeper layer second"):
        cross_gram.forward(np.zeros((1, 4, 4, 1)), np.zeros((1, *deeper, 1)))
