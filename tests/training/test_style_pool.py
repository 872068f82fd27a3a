"""A pool of styles: pieces of paintings and their statistics."""

from __future__ import annotations

import numpy as np
import pytest
from networks import arbitrary_style

from scratchnst.models import style_predictor
from scratchnst.training import style_pool
from scratchnst.training.photographs import Photographs
from scratchnst.training.style_pool import StylePool


@pytest.fixture
def pool(monkeypatch):
    """Of a red and a blue painting, both with some structure."""
    monkeypatch.setattr(style_pool, "PIECES", 12)
    monkeypatch.setattr(style_pool, "SIDE", 32)
    rows = np.arange(64)[:, None] % 8 * 30.0
    paintings = [np.zeros((64, 64, 3)) for _ in range(2)]
    paintings[0][..., 0] = paintings[1][..., 2] = rows
    found = Photographs([("red", paintings[0]), ("blue", paintings[1])])
    return StylePool(found, arbitrary_style().network, np.random.default_rng(0))


def test_pieces(pool):
    assert len(pool.pictures) == 24
    assert {picture.shape for picture in pool.pictures} == {(32, 32, 3)}
    assert {picture.dtype for picture in pool.pictures} == {np.dtype(np.uint8)}
    hues = {tuple(np.flatnonzero(picture.max(axis=(0, 1)) > 0)) for picture in pool.pictures}
    assert hues == {(0,), (1,), (2,)}, "none was green before the colours were exchanged"


def test_statistics(pool):
    found = pool.statistics([3, 0, 3])
    own = style_predictor.statistics(pool.network, np.float32([pool.pictures[number] for number in (3, 0)]))
    np.testing.assert_allclose(found, own[[0, 1, 0]], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(pool.statistics([0]), found[1:2])
