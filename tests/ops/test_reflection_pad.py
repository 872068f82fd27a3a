"""Reflection padding by hand-worked numbers; the general checks are in test_contract.py."""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst.ops import reflection_pad

IMAGE = np.array([[1.0, 2, 3], [4, 5, 6]]).reshape(1, 2, 3, 1)


def test_hand_worked():
    y, cache = reflection_pad.forward(IMAGE, 1, 2)
    expected = [[6, 5, 4, 5, 6, 5, 4], [3, 2, 1, 2, 3, 2, 1], [6, 5, 4, 5, 6, 5, 4], [3, 2, 1, 2, 3, 2, 1]]
    np.testing.assert_array_equal(y[0, :, :, 0], expected)
    # Of ones each pixel gets as many as there are pictures of it: 1 and 3 stand twice in a row, 2 three times.
    grad_x = reflection_pad.backward(np.ones_like(y), cache)
    np.testing.assert_array_equal(grad_x[0, :, :, 0], [[4, 6, 4], [4, 6, 4]])
    # Each pixel gets the upstream gradients of its own pictures: 1 stands in rows 1 and 3, columns 2 and 6.
    grad_y = np.arange(28.0).reshape(y.shape)
    grad_x = reflection_pad.backward(grad_y, cache)
    assert grad_x[0, 0, 0, 0] == 9 + 13 + 23 + 27
    assert grad_x[0, 1, 1, 0] == (1 + 3 + 5) + (15 + 17 + 19)


def test_nothing_added():
    y, cache = reflection_pad.forward(IMAGE, 0, 0)
    np.testing.assert_array_equal(y, IMAGE)
    grad_x = reflection_pad.backward(y, cache)
    np.testing.assert_array_equal(grad_x, y)
    assert not np.shares_memory(grad_x, y)


@pytest.mark.parametrize(("rows", "columns"), [(2, 0), (0, 3), (5, 5)])
def test_images_too_small_to_be_mirrored_are_refused(rows, columns):
    with pytest.raises(ValueError, match="an image of 2x3 pixels is too small"):
        reflection_pad.forward(IMAGE, rows, columns)
