"""The steadiness of a transform network, against loops and numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numerical import central_differences, relative_error

from scratchnst.models.transform_net import SPREAD
from scratchnst.training import steadiness
from scratchnst.training.steadiness import EDGE, NOISE, SHIFT

SIDE = 24


@pytest.fixture
def crops(random):
    return np.float32(random.uniform(0, 255, (2, SIDE + SHIFT, SIDE + SHIFT, 3)))


def test_frames_show_one_scene(crops):
    seen = set()
    for seed in range(40):
        x, later, (down, right) = steadiness.frames(np.random.default_rng(seed), crops)
        assert x.shape == later.shape == (2, SIDE, SIDE, 3)
        assert x.dtype == later.dtype == np.float32
        np.testing.assert_array_equal(x, crops[:, :SIDE, :SIDE])
        noise = later - crops[:, down : down + SIDE, right : right + SIDE]
        assert noise.std() == pytest.approx(NOISE, rel=0.1)
        assert abs(noise.mean()) < 1
        seen.add((down, right))
    downs, rights = zip(*seen)
    assert set(downs) == set(rights) == set(range(SHIFT + 1))
    assert downs != rights  # each is drawn by itself


@pytest.mark.parametrize("shift", [(0, 0), (3, 0), (1, 8), (8, 5)])
def test_value(random, shift):
    y, later = random.uniform(0, 255, (2, 2, SIDE, SIDE, 3))
    down, right = shift
    squares = [
        (later[n, row, column, c] - y[n, row + down, column + right, c]) ** 2 / SPREAD**2
        for n in range(2)
        for row in range(EDGE, SIDE - EDGE - down)
        for column in range(EDGE, SIDE - EDGE - right)
        for c in range(3)
    ]
    expected = np.mean(squares) if squares else 0.0
    assert steadiness.difference(y, later, shift)[0] == pytest.approx(expected)


def test_by_hand():
    """One position is common to both frames: that of 30 in the first and of 40 in the later one."""
    side = 2 * EDGE + 2
    y, later = np.zeros((2, 1, side, side, 1))
    y[0, EDGE + 1, EDGE + 1, 0], later[0, EDGE, EDGE, 0] = 30, 40
    value, grad_y, grad_later = steadiness.difference(y, later, (1, 1))
    assert value == pytest.approx(100 / SPREAD**2)
    assert grad_y[0, EDGE + 1, EDGE + 1, 0] == pytest.approx(-20 / SPREAD**2)
    assert grad_later[0, EDGE, EDGE, 0] == pytest.approx(20 / SPREAD**2)
    assert np.count_nonzero(grad_y) == np.count_nonzero(grad_later) == 1


@pytest.mark.parametrize("shift", [(0, 0), (2, 5)])
def test_gradients(random, shift):
    side = 2 * EDGE + 7
    y, later = random.uniform(0, 255, (2, 1, side, side, 2))
    _, grad_y, grad_later = steadiness.difference(y, later, shift)
    assert grad_y.shape == grad_later.shape == y.shape
    expected = central_differences(lambda z: steadiness.difference(z, later, shift)[0], y, 1e-3)
    assert relative_error(grad_y, expected) < 1e-7
    expected = central_differences(lambda z: steadiness.difference(y, z, shift)[0], later, 1e-3)
    assert relative_error(grad_later, expected) < 1e-7


def test_equal_paintings_of_a_scene_are_steady(crops):
    x, later, shift = steadiness.frames(np.random.default_rng(3), crops)
    down, right = shift
    same = crops[:, down : down + SIDE, right : right + SIDE]
    value, grad_y, grad_later = steadiness.difference(x, same, shift)
    assert value == 0
    assert not grad_y.any()
    assert not grad_later.any()
    assert steadiness.difference(x, later, shift)[0] > 0
