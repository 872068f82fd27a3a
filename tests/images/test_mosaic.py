"""The mosaic, a sample style."""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst.images import mosaic


@pytest.mark.parametrize("size", [(40, 60), (33, 16)])
def test_size_and_kind(size):
    picture = mosaic.draw(*size)
    assert picture.shape == (*size, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 30


def test_the_seed_chooses_the_stones():
    np.testing.assert_array_equal(mosaic.draw(40, 40, 1), mosaic.draw(40, 40, 1))
    assert (mosaic.draw(40, 40, 1) != mosaic.draw(40, 40, 2)).mean() > 0.5


def test_it_has_joints_of_mortar():
    """Dark and grey, between stones, of which most have a colour."""
    picture = mosaic.draw(240, 320).astype(int)
    grey = (np.ptp(picture, axis=2) < 40) & (picture.max(axis=2) < 140)
    assert 0.05 < grey.mean() < 0.4
    assert (np.ptp(picture, axis=2) > 60).mean() > 0.4
