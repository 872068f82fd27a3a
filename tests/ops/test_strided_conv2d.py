"""The convolution with a stride by hand-worked numbers; the general checks are in test_contract.py."""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst.ops import conv2d, strided_conv2d


def test_hand_worked():
    """A 1x6 image, a kernel of two columns, every third window: the columns 2 and 5 are read by none."""
    x = np.array([1.0, 2, 3, 4, 5, 6]).reshape(1, 1, 6, 1)
    w = np.array([10.0, 1]).reshape(1, 2, 1, 1)
    y, cache = strided_conv2d.forward(x, w, np.array([100.0]), 3)
    np.testing.assert_array_equal(y[0, 0, :, 0], [112, 145])
    grad_x, grad_w, grad_b = strided_conv2d.backward(np.array([2.0, 3]).reshape(y.shape), cache)
    np.testing.assert_array_equal(grad_x[0, 0, :, 0], [20, 2, 0, 30, 3, 0])
    np.testing.assert_array_equal(grad_w[0, :, 0, 0], [2 * 1 + 3 * 4, 2 * 2 + 3 * 5])
    np.testing.assert_array_equal(grad_b, [5])


def test_rows_beyond_the_last_window_get_nothing(random):
    """Of six rows, windows of three rows at every second row read the first five."""
    x, w = random.standard_normal((1, 6, 5, 2)), random.standard_normal((3, 3, 2, 4))
    y, cache = strided_conv2d.forward(x, w, np.zeros(4), 2)
    assert y.shape == (1, 2, 2, 4)
    grad_x = strided_conv2d.backward_input(np.ones_like(y), cache)
    assert np.all(grad_x[:, :5] != 0)
    np.testing.assert_array_equal(grad_x[:, 5], 0)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_every_stride_th_window_of_a_convolution(random, stride):
    """With zeros around the image it is conv2d, of which it leaves pixels out."""
    x, w, b = random.standard_normal((2, 7, 5, 3)), random.standard_normal((5, 3, 3, 4)), random.standard_normal(4)
    y, _ = strided_conv2d.forward(np.pad(x, ((0, 0), (2, 2), (1, 1), (0, 0))), w, b, stride)
    np.testing.assert_allclose(y, conv2d.forward(x, w, b)[0][:, ::stride, ::stride], rtol=1e-12)


def test_adjoint(random):
    """<A x, g> = <x, A^T g>, to rounding, for the linear part."""
    x, w = random.standard_normal((2, 9, 6, 3)), random.standard_normal((2, 5, 3, 4))
    y, cache = strided_conv2d.forward(x, w, np.zeros(4), 2)
    g = random.standard_normal(y.shape)
    assert np.sum(y * g) == pytest.approx(np.sum(x * strided_conv2d.backward_input(g, cache)), rel=1e-12)


@pytest.mark.parametrize(
    ("w", "b", "stride", "message"),
    [
        ((5, 3, 3, 2), 2, 1, "a kernel of 5x3 does not fit into an image of 4x4 pixels"),
        ((3, 5, 3, 2), 2, 1, "does not fit"),
        ((3, 3, 2, 2), 2, 1, "channels do not match"),
        ((3, 3, 3, 2), 1, 1, "channels do not match"),
        ((3, 3, 3, 2), 2, 0, "the stride is 1 or more, not 0"),
    ],
)
def test_what_cannot_be_convolved_is_refused(w, b, stride, message):
    with pytest.raises(ValueError, match=message):
        strided_conv2d.forward(np.zeros((1, 4, 4, 3)), np.zeros(w), np.zeros(b), stride)
