"""The labelled sheet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scratchnst import images
from scratchnst.figures import sheet
from scratchnst.figures.panels import Figure, Panel
from scratchnst.images.sheet import SMALLEST_TEXT
from scratchnst.transfer.settings import Settings

COLOURS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200)}


@pytest.fixture
def flat(folder):
    """Name -> the file of a picture of that colour alone."""
    paths = {name: Path(f"{name}.png") for name in COLOURS}
    for name, colour in COLOURS.items():
        images.save(paths[name], np.full((60, 80, 3), colour, float))
    return paths


def made(label, path, inset=None):
    return Panel(label, path, Settings(content=path, output="panel.png"), inset)


def extent(drawn, colour):
    """Top, bottom, left and right of the pixels of a colour."""
    rows, columns = np.nonzero((drawn == COLOURS[colour]).all(axis=2))
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


def test_panels_lie_in_rows(flat):
    rows = (made("a", flat["red"]), made("b", flat["green"])), (made("c", flat["blue"]),)
    drawn = sheet.draw(Figure("title", rows, "caption"), 80)
    red, green, blue = (extent(drawn, name) for name in COLOURS)
    for top, bottom, left, right in (red, green, blue):
        assert (bottom - top, right - left) == (60, 80)
    assert red[:2] == green[:2]
    assert red[3] < green[2]
    assert red[2:] == blue[2:]
    assert red[1] < blue[0]


def test_pictures_that_are_given_are_scaled(flat):
    rows = ((Panel("given", flat["red"]), made("made", flat["green"])),)
    drawn = sheet.draw(Figure("title", rows, "caption"), 40)
    top, bottom, left, right = extent(drawn, "red")
    assert (bottom - top, right - left) == (30, 40)


def test_the_inset_lies_in_the_lower_left_corner(flat):
    drawn = sheet.draw(Figure("title", ((made("a", flat["red"], flat["blue"]),),), "caption"), 80)
    red, blue = extent(drawn, "red"), extent(drawn, "blue")
    assert (blue[1], blue[2]) == (red[1], red[2])
    assert (blue[3] - blue[2], blue[1] - blue[0]) == (24, 18)


def test_labels_are_written(flat):
    """Each label is ink above its picture, and a long one takes more lines, not another column."""
    short, long = (
        sheet.draw(Figure("title", ((made(label, flat["red"]),),), "caption"), 80)
        for label in ("a", "a label of very many words indeed")
    )
    assert short.shape[1] == long.shape[1]
    assert short.shape[0] < long.shape[0]
    for drawn in (short, long):
        top, _, left, right = extent(drawn, "red")
        assert (drawn[top - SMALLEST_TEXT : top, left:right] < 100).any()


def test_other_alphabets_than_the_font_has(flat):
    plain, accented = (
        sheet.draw(Figure("title", ((made(label, flat["red"]),),), "caption"), 80) for label in ("Tubingen", "Tübingen")
    )
    np.testing.assert_array_equal(plain, accented)
