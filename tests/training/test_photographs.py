"""Photographs to train on: from a folder, or at hand; crops; held out."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from scratchnst.errors import UserError
from scratchnst.training import photographs
from scratchnst.training.photographs import Photographs


def gradient(height, width):
    """A picture in which red grows to the right and green downwards; no two crops are alike."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([255 * columns / width, 255 * rows / height, np.full((height, width), 128.0)], axis=2)


def write(folder, name, picture):
    Image.fromarray(np.uint8(picture)).save(folder / name)


def test_crops(random):
    found = Photographs([("wide", gradient(300, 500)), ("high", gradient(400, 200))])
    crops = found.crops(random, 40, 64)
    assert crops.shape == (40, 64, 64, 3)
    assert crops.dtype == np.float32
    assert 0 <= crops.min() < crops.max() <= 255
    assert len({crop.tobytes() for crop in crops}) == 40
    mirrored = [crop[32, 0, 0] > crop[32, -1, 0] for crop in crops]
    assert 8 < sum(mirrored) < 32


def test_crops_show_the_photograph_at_several_scales(random):
    """Red grows by 255 over the whole width, which is scaled to 256 to 512 pixels."""
    crops = Photographs([("wide", gradient(384, 512))]).crops(random, 60, 64)
    spans = np.abs(crops[:, 32, -1, 0] - crops[:, 32, 0, 0]) / 63 * 64
    assert spans.max() < 1.1 * 255 * 64 / 256
    assert spans.min() > 0.9 * 255 * 64 / 512
    assert spans.max() / spans.min() > 1.5


def test_a_small_photograph_is_enlarged(random):
    assert Photographs([("small", gradient(70, 90))]).crops(random, 5, 128).shape == (5, 128, 128, 3)


def test_the_same_seed_gives_the_same_crops():
    found = Photographs([("wide", gradient(300, 500))])
    first, second = (found.crops(np.random.default_rng(7), 5, 32) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_held_out_photographs_are_not_trained_on():
    found = Photographs([(f"picture {n}", np.full((20, 20, 3), 10.0 * n)) for n in range(9)])
    held_out = found.hold_out(2)
    assert [picture[0, 0, 0] for picture in held_out] == [30, 50]
    assert len(found) == 7
    assert found.names == [f"picture {n}" for n in (0, 1, 2, 4, 6, 7, 8)]
    values = {crop[0, 0, 0] for crop in found.crops(np.random.default_rng(0), 200, 16)}
    assert values == {0, 10, 20, 40, 60, 70, 80}


def test_from_a_folder_what_cannot_be_used_is_told(tmp_path, random):
    write(tmp_path, "b.jpg", gradient(60, 80))
    write(tmp_path, "a.png", gradient(900, 700))
    write(tmp_path, "small.png", gradient(20, 80))
    write(tmp_path, "plain.png", np.full((60, 60, 3), 200))
    (tmp_path / "broken.jpg").write_bytes((tmp_path / "b.jpg").read_bytes()[:300])
    (tmp_path / "note.txt").write_text("no picture")
    told = []
    found = photographs.from_folder(tmp_path, 32, told.append)
    assert found.names == ["a.png", "b.jpg"]
    assert [next(name for name in ("broken", "plain", "small") if name in line) for line in told] == [
        "broken",
        "plain",
        "small",
    ]
    assert all(line.startswith("skipped: ") for line in told)
    assert found.crops(random, 3, 32).shape == (3, 32, 32, 3)


@pytest.mark.parametrize("names", [[], ["note.txt"], ["plain.png"]])
def test_a_folder_without_photographs(tmp_path, names):
    for name in names:
        if name.endswith(".png"):
            write(tmp_path, name, np.full((60, 60, 3), 200))
        else:
            (tmp_path / name).write_text("no picture")
    with pytest.raises(UserError, match="no picture to train on"):
        photographs.from_folder(tmp_path, 32, lambda line: None)


def test_no_folder(tmp_path):
    with pytest.raises(UserError, match="not a readable folder"):
        photographs.from_folder(tmp_path / "none", 32, print)


def test_at_hand(random):
    found = photographs.at_hand(64)
    assert len(found) >= 2 * photographs.SAMPLES
    assert "sample content 0" not in found.names  # previews show it
    assert found.crops(random, 4, 64).std() > 20


def test_crops_of_one_colour_are_passed_over(random):
    """Half of the picture is black, and the other half is not."""
    picture = gradient(256, 256)
    picture[:, :200] = 0
    crops = Photographs([("dark", picture)]).crops(random, 30, 32)
    assert min(crop.std() for crop in crops) >= photographs.LEAST_SPREAD
    assert Photographs([("black", np.zeros((64, 64, 3)))]).crops(random, 2, 32).max() == 0
