"""A pool of styles: pieces of pictures and their statistics."""

from __future__ import annotations

import numpy as np
import pytest
from networks import arbitrary_style

from scratchnst.models import style_predictor
from scratchnst.training import style_pool
from scratchnst.training.photographs import Photographs
from scratchnst.training.style_pool import Pieces, StylePool


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(style_pool, "SIDE", 32)
    monkeypatch.setattr(style_pool, "AT_ONCE", 5)


def striped(channel):
    """A picture of one colour with structure."""
    picture = np.zeros((64, 64, 3))
    picture[..., channel] = np.arange(64)[:, None] % 8 * 30.0
    return Photographs([("striped", picture)])


@pytest.fixture
def pieces(small):
    """Of a red painting and a blue photograph."""
    return Pieces(striped(0), striped(2), seed=0)


def colours(piece):
    return tuple(np.flatnonzero(piece.max(axis=(0, 1)) > 0))


def test_pieces(pieces):
    some = [pieces[number] for number in range(60)]
    assert {(piece.shape, piece.dtype) for piece in some} == {((32, 32, 3), np.dtype(np.uint8))}
    np.testing.assert_array_equal(some[7], pieces[7])
    assert (some[7] != some[8]).any()
    assert (Pieces(pieces.paintings, pieces.photographs, seed=1)[7] != some[7]).any()


@pytest.mark.parametrize(("painted", "expected"), [(1.0, {(0,)}), (0.0, {(2,)}), (0.5, {(0,), (2,)})])
def test_paintings_and_photographs(pieces, monkeypatch, painted, expected):
    monkeypatch.setattr(style_pool, "PAINTED", painted)
    monkeypatch.setattr(style_pool, "RECOLOURED", 0.0)
    monkeypatch.setattr(style_pool, "JOINED", 0.0)
    assert {colours(pieces[number]) for number in range(20)} == expected


def test_joined_pieces_show_two_pictures(pieces, monkeypatch):
    monkeypatch.setattr(style_pool, "JOINED", 1.0)
    monkeypatch.setattr(style_pool, "PAINTED", 0.5)
    monkeypatch.setattr(style_pool, "RECOLOURED", 0.0)
    halves = {(colours(pieces[number][:16]), colours(pieces[number][16:])) for number in range(20)}
    assert ((0,), (2,)) in halves


def test_recoloured_pieces(pieces, monkeypatch):
    monkeypatch.setattr(style_pool, "RECOLOURED", 1.0)
    brightest = {int(pieces[number].std(axis=(0, 1)).argmax()) for number in range(20)}
    assert brightest == {0, 1, 2}, "red, green and blue were exchanged"


def test_numbers(pieces, random):
    pool = StylePool(pieces, arbitrary_style().network)
    assert sorted(set(pool.numbers(random, 100, step=40))) == [40, 41, 42, 43, 44]


def test_statistics(pieces, random):
    pool = StylePool(pieces, arbitrary_style().network)
    found = pool.statistics([3, 0, 3])
    own = style_predictor.statistics(pool.network, np.float32([pieces[number] for number in (3, 0)]))
    np.testing.assert_allclose(found, own[[0, 1, 0]], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(pool.statistics([0]), found[1:2])
    pool.numbers(random, 4, step=2)
    assert list(pool._statistics) == [3], "those that cannot be asked for again are not kept"
