"""The Laplacian loss by hand-worked numbers; the general checks are in test_contract.py."""

import numpy as np
import pytest

from scratchnst.losses import laplacian_loss


def test_hand_worked():
    """One pixel with four neighbours: 4 * 2 - 1 - 3 - 0 - 5 = -1; it gets 4 times the slope -2, they -1 times."""
    x = np.array([[9.0, 1, 9], [0, 2, 5], [9, 3, 9]]).reshape(1, 3, 3, 1)
    L, cache = laplacian_loss.forward(x, np.zeros_like(x), 0)
    assert L == 1
    grad_x = laplacian_loss.backward(1.0, cache)
    np.testing.assert_array_equal(grad_x[0, :, :, 0], [[0, 2, 0], [2, -8, 2], [0, 2, 0]])


def test_averages_first():
    """Squares of 4 x 4 pixels in which every number stands 16 times; three channels are added up."""
    small = np.array([[9.0, 1, 9], [0, 2, 5], [9, 3, 9]])
    x = np.repeat(small.repeat(4, 0).repeat(4, 1)[None, :, :, None], 3, axis=3)
    L, cache = laplacian_loss.forward(x, np.zeros_like(x))
    assert pytest.approx(9) == L
    grad_x = laplacian_loss.backward(1.0, cache)
    np.testing.assert_allclose(grad_x[0, 4:8, 4:8], 4 * 2 * -3 / 16)
    np.testing.assert_allclose(grad_x[0, 0:4, 4:8], -1 * 2 * -3 / 16)
    np.testing.assert_array_equal(grad_x[0, :4, :4], 0)


def test_brightness_that_rises_evenly_and_colour_are_free(random):
    content = random.uniform(0, 255, (1, 21, 18, 3))
    rows, columns = np.indices((21, 18))
    x = content + (3 * rows - 2 * columns + 40)[None, :, :, None]
    x += random.standard_normal((1, 21, 18, 1)) * [1.0, -1, 0]  # red for green
    L, cache = laplacian_loss.forward(x, content)
    assert pytest.approx(0, abs=1e-20) == L
    np.testing.assert_allclose(laplacian_loss.backward(1.0, cache), 0, atol=1e-10)


@pytest.mark.parametrize("shape", [(1, 11, 30, 3), (1, 1, 1, 3), (1, 30, 3, 3)])
def test_images_without_a_square_among_four(shape):
    L, cache = laplacian_loss.forward(np.ones(shape), np.zeros(shape))
    assert L == 0
    np.testing.assert_array_equal(laplacian_loss.backward(1.0, cache), np.zeros(shape))
