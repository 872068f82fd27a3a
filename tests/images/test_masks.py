"""Masks: what they are read from, and how they are changed."""

import numpy as np
import pytest

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.images import masks


@pytest.fixture
def labels(tmp_path):
    """A picture of 3 x 4 pixels: red on the left, blue on the right."""
    picture = np.zeros((3, 4, 3))
    picture[:, :2, 0] = picture[:, 2:, 2] = 255
    images.save(tmp_path / "labels.png", picture)
    return tmp_path / "labels.png"


def test_a_mask_is_how_light_a_picture_is(tmp_path):
    picture = np.zeros((1, 3, 3))
    picture[0, 1], picture[0, 2] = 51, 255
    images.save(tmp_path / "mask.png", picture)
    np.testing.assert_allclose(masks.read(str(tmp_path / "mask.png")), [[0, 0.2, 1]], rtol=1e-6)


def test_a_colour_of_a_picture_is_a_mask(labels):
    np.testing.assert_array_equal(masks.read(f"{labels}#ff0000"), [[1, 1, 0, 0]] * 3)
    np.testing.assert_array_equal(masks.read(f"{labels}#0010F0"), [[0, 0, 1, 1]] * 3)  # nearly blue
    assert masks.file_of(f"{labels}#ff0000") == labels


def test_a_colour_that_is_not_there_is_refused_with_those_that_are(labels):
    with pytest.raises(
        UserError, match=r"labels.png has nothing of the colour #00ff00: its colours are #0000ff, #ff0000"
    ):
        masks.read(f"{labels}#00ff00")


def test_a_file_may_have_such_a_name(labels):
    name = labels.with_name("a#ff0000")
    labels.rename(name)
    assert masks.file_of(str(name)) == name


def test_smaller_is_the_mean_of_what_a_pixel_covers():
    mask = np.array([[0, 1, 1, 1], [0, 0, 1, 1]], np.float32)
    np.testing.assert_allclose(masks.resize(mask, 1, 2), [[0.25, 1]])
    np.testing.assert_array_equal(masks.resize(mask, 2, 4), mask)


def test_grown_by_a_disc_and_shrunk_by_one():
    mask = np.zeros((7, 7), np.float32)
    mask[3, 3] = 1
    grown = masks.grow(mask, 2)
    assert grown.sum() == 13  # a pixel, its neighbours up to a distance of 2
    assert grown[1, 3] == 1
    assert grown[1, 2] == 0
    np.testing.assert_array_equal(masks.grow(grown, -2), mask)
    np.testing.assert_array_equal(masks.grow(np.ones((4, 5)), -2), np.ones((4, 5)))  # beyond the border it goes on


def test_what_several_masks_claim_is_divided():
    first, second = masks.divide([np.array([[1.0, 1, 0.2]]), np.array([[0.0, 1, 0.3]])])
    np.testing.assert_allclose(first, [[1, 0.5, 0.2]])
    np.testing.assert_allclose(second, [[0, 0.5, 0.3]])
