"""Replication padding by hand-worked numbers; the general checks are in test_contract.py."""

from __future__ import annotations

import numpy as np

from scratchnst.ops import replicate_pad

IMAGE = np.array([[1.0, 2, 3], [4, 5, 6]]).reshape(1, 2, 3, 1)


def test_hand_worked():
    y, cache = replicate_pad.forward(IMAGE, 1, 2)
    expected = [[1, 1, 1, 2, 3, 3, 3], [1, 1, 1, 2, 3, 3, 3], [4, 4, 4, 5, 6, 6, 6], [4, 4, 4, 5, 6, 6, 6]]
    np.testing.assert_array_equal(y[0, :, :, 0], expected)
    # Of ones each pixel gets as many as there are pictures of it: two rows show each, and 3, 1 and 3 columns.
    grad_x = replicate_pad.backward(np.ones_like(y), cache)
    np.testing.assert_array_equal(grad_x[0, :, :, 0], [[6, 2, 6], [6, 2, 6]])
    # Each pixel gets the upstream gradients of its own pictures: 1 stands in rows 0 and 1, columns 0 to 2.
    grad_x = replicate_pad.backward(np.arange(28.0).reshape(y.shape), cache)
    assert grad_x[0, 0, 0, 0] == (0 + 1 + 2) + (7 + 8 + 9)
    assert grad_x[0, 1, 1, 0] == 17 + 24


def test_a_single_pixel_is_shown_everywhere():
    y, cache = replicate_pad.forward(np.full((1, 1, 1, 1), 7.0), 2, 3)
    np.testing.assert_array_equal(y, np.full((1, 5, 7, 1), 7.0))
    assert replicate_pad.backward(np.ones_like(y), cache).item() == 35


def test_nothing_added():
    y, cache = replicate_pad.forward(IMAGE, 0, 0)
    np.testing.assert_array_equal(y, IMAGE)
    grad_x = replicate_pad.backward(y, cache)
    np.testing.assert_array_equal(grad_x, y)
    assert not np.shares_memory(grad_x, y)
