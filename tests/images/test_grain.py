"""Grain: noise that belongs to the places of a picture."""

from __future__ import annotations

import numpy as np

from scratchnst.images.grain import SIDE, SPREAD, grain


def test_the_same_place_has_the_same_grain():
    whole = grain(60, 70)
    assert (whole.shape, whole.dtype) == ((60, 70, 3), np.float32)
    np.testing.assert_array_equal(grain(20, 30, top=40, left=10), whole[40:, 10:40])
    np.testing.assert_array_equal(grain(10, 10, top=SIDE, left=3 * SIDE), whole[:10, :10])


def test_its_spread_and_its_two_scales():
    noise = grain(SIDE, SIDE)
    assert np.isclose(noise.std(), SPREAD, rtol=1e-5)
    assert abs(noise.mean()) < 0.1
    neighbours = [np.mean(noise * np.roll(noise, shift, axis=0)) / SPREAD**2 for shift in (1, 2, 20)]
    # half of the variance is smoothed with a deviation of 2: correlation exp(-shift^2 / 16) of that half
    np.testing.assert_allclose(neighbours, [0.5 * np.exp(-1 / 16), 0.5 * np.exp(-4 / 16), 0], atol=0.02)
