"""The convolution by hand-worked numbers; the general checks are in test_contract.py."""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst.ops import conv2d


def test_hand_worked():
    """A 2x2 image [[1, 2], [3, 4]] and the kernel 1 ... 9: each output from its neighbours, zeros around."""
    x = np.array([[1.0, 2], [3, 4]]).reshape(1, 2, 2, 1)
    w = np.arange(1.0, 10).reshape(3, 3, 1, 1)
    y, cache = conv2d.forward(x, w, np.array([100.0]))
    expected = [
        [1 * 5 + 2 * 6 + 3 * 8 + 4 * 9, 1 * 4 + 2 * 5 + 3 * 7 + 4 * 8],
        [1 * 2 + 2 * 3 + 3 * 5 + 4 * 6, 1 * 1 + 2 * 2 + 3 * 4 + 4 * 5],
    ]
    np.testing.assert_allclose(y[0, :, :, 0], np.array(expected) + 100)

    # An upstream gradient on the top left pixel alone: its four neighbours get the weights they were multiplied by.
    grad_y = np.zeros_like(y)
    grad_y[0, 0, 0, 0] = 10
    grad_x, grad_w, grad_b = conv2d.backward(grad_y, cache)
    np.testing.assert_allclose(grad_x[0, :, :, 0], [[50, 60], [80, 90]])
    np.testing.assert_allclose(grad_w[:, :, 0, 0], [[0, 0, 0], [0, 10, 20], [0, 30, 40]])
    np.testing.assert_allclose(grad_b, [10])


def test_adjoint(random):
    """<A x, g> = <x, A^T g>, to rounding, for the linear part of the convolution."""
    x, w = random.standard_normal((2, 9, 6, 3)), random.standard_normal((3, 5, 3, 4))
    y, cache = conv2d.forward(x, w, np.zeros(4))
    g = random.standard_normal(y.shape)
    assert np.sum(y * g) == pytest.approx(np.sum(x * conv2d.backward_input(g, cache)), rel=1e-12)


def test_strips_do_not_show(random, monkeypatch):
    """The result does not depend on how many rows are computed at a time."""
    x, w, b = random.standard_normal((1, 7, 5, 2)), random.standard_normal((3, 3, 2, 3)), random.standard_normal(3)
    whole, cache = conv2d.forward(x, w, b)
    grads = conv2d.backward(whole, cache)
    for pixels in (1, 10, 20):
        monkeypatch.setattr(conv2d, "PIXELS_PER_STRIP", pixels)
        y, cache = conv2d.forward(x, w, b)
        np.testing.assert_allclose(y, whole, rtol=1e-13)
        for grad, expected in zip(conv2d.backward(whole, cache), grads):
            np.testing.assert_allclose(grad, expected, rtol=1e-12)


def test_inputs_that_are_not_contiguous(random):
    x = random.standard_normal((4, 6, 5, 2)).transpose(3, 1, 2, 0)[:, ::-1]
    w, b = random.standard_normal((3, 3, 3, 4)).swapaxes(2, 3), np.zeros(3)
    y, _ = conv2d.forward(x, w, b)
    np.testing.assert_allclose(y, conv2d.forward_loops(x, w, b), rtol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3, 3, 1), (3, 4, 3, 1)])
def test_even_kernels_are_refused(shape):
    with pytest.raises(ValueError, match="odd"):
        conv2d.forward(np.zeros((1, 4, 4, 3)), np.zeros(shape), np.zeros(1))


@pytest.mark.parametrize(("w", "b"), [((3, 3, 2, 5), (5,)), ((3, 3, 3, 5), (4,)), ((3, 3, 3, 5), (1,))])
def test_channels_that_do_not_match_are_refused(w, b):
    with pytest.raises(ValueError, match="channels"):
        conv2d.forward(np.zeros((1, 4, 4, 3)), np.zeros(w), np.zeros(b))
