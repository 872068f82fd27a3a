"""How much painted frames differ: painters of which the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst.fast import flicker


@pytest.fixture
def photo(random):
    return random.uniform(50, 200, (50, 64, 3))


def test_a_painter_that_paints_nothing(photo):
    still, panned = flicker.measure(lambda frame: frame, photo)
    assert still == pytest.approx(2 * flicker.NOISE / np.sqrt(np.pi), rel=0.02)  # of differences of normal numbers
    assert panned == 0


def test_one_that_ignores_what_it_sees(photo):
    assert flicker.measure(np.zeros_like, photo) == (0, 0)


def test_a_pattern_that_stands_while_the_scene_moves(photo):
    def stripes(frame):
        return np.broadcast_to(10.0 * (np.arange(frame.shape[1]) % 2)[:, np.newaxis], frame.shape)

    assert flicker.measure(stripes, photo) == (0, 10)


def test_each_frame_is_new(photo):
    shades = iter(range(10))
    assert flicker.measure(lambda frame: np.full(frame.shape, 2.0 * next(shades)), photo) == (2, 2)


@pytest.mark.parametrize(("shape", "frames"), [((50, 64, 3), 1), ((32, 64, 3), 5), ((50, 37, 3), 5)])
def test_nothing_to_compare(shape, frames):
    with pytest.raises(ValueError, match="nothing to be compared"):
        flicker.measure(lambda frame: frame, np.zeros(shape), frames)
