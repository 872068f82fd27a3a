"""The sample pictures: reproducible at every size, with details of every size."""

import numpy as np
import pytest
from PIL import Image

from scratchnst.images.samples import LABELS, draw_content, draw_labels, draw_style

BOTH = pytest.mark.parametrize("draw", [draw_content, draw_style])


def luminance(picture):
    return picture.astype(float) @ (0.2126, 0.7152, 0.0722)


def shrunk(picture, height, width):
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX), dtype=float)


def correlation(first, second):
    return np.corrcoef(np.ravel(first), np.ravel(second))[0, 1]


@pytest.fixture(scope="module")
def content():
    return draw_content(96, 128)


@pytest.fixture(scope="module")
def style():
    return draw_style(96, 128)


@BOTH
@pytest.mark.parametrize(("height", "width"), [(16, 90), (75, 33)])
def test_any_size_gives_rgb_bytes(draw, height, width):
    picture = draw(height, width)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8


@BOTH
@pytest.mark.parametrize(("height", "width"), [(15, 64), (64, 15), (0, 0), (-64, 64)])
def test_too_small_a_side_is_refused(draw, height, width):
    with pytest.raises(ValueError, match="at least 16 pixels"):
        draw(height, width)


@BOTH
def test_seed_decides_every_pixel(draw):
    first, again, other = draw(24, 32, seed=3), draw(24, 32, seed=3), draw(24, 32, seed=4)
    assert np.array_equal(first, again)
    assert np.mean(np.any(first != other, axis=-1)) > 0.5


@pytest.mark.parametrize(("draw", "name"), [(draw_content, "content"), (draw_style, "style")])
def test_composition_does_not_depend_on_size_and_seed(draw, name, request):
    forms = shrunk(request.getfixturevalue(name), 6, 8)
    assert correlation(forms, shrunk(draw(48, 64), 6, 8)) > 0.95
    assert correlation(forms, shrunk(draw(48, 64, seed=1), 6, 8)) > 0.6


@pytest.mark.parametrize("name", ["content", "style"])
def test_light_and_dark_at_every_scale(name, request):
    grey = luminance(request.getfixturevalue(name))
    assert np.ptp(np.percentile(grey, (5, 95))) > 110
    # A pyramid of details: what each halving of the resolution takes away, and the large forms that remain.
    while min(grey.shape) > 6:
        half = grey.reshape(grey.shape[0] // 2, 2, grey.shape[1] // 2, 2).mean(axis=(1, 3))
        detail = grey - half.repeat(2, axis=0).repeat(2, axis=1)
        assert detail.std() > 5
        grey = half
    assert grey.std() > 15


def test_lake_mirrors_the_village(content):
    grey = luminance(content)
    shore = round(1.93 / 3 * 96)
    columns = slice(26, 74)  # the village, clear of the tree and the boat
    above = grey[shore - 13 : shore - 2, columns][::-1]
    below = grey[shore + 1 : shore + 12, columns]
    assert correlation(above, below) > 0.5
    assert below.mean() < above.mean()


def test_spire_stands_dark_before_the_bright_mountain(content):
    grey = luminance(content)
    row = round(0.85 / 3 * 96)
    shaded_side, mountain = round(1.28 / 4 * 128), slice(round(1.55 / 4 * 128), round(1.9 / 4 * 128))
    assert grey[row, mountain].mean() > grey[row, shaded_side] + 40


def test_style_has_broad_warm_and_cool_regions(style):
    red_over_blue = shrunk(style, 6, 8) @ (1.0, 0.0, -1.0)
    assert np.mean(red_over_blue > 50) > 0.15
    assert np.mean(red_over_blue < -30) > 0.15


def test_style_is_painted_everywhere(style):
    # Every block of 8 pixels contains several strokes.
    blocks = luminance(style).reshape(12, 8, 16, 8).std(axis=(1, 3))
    assert blocks.min() > 1.5


def test_style_strokes_run_around_the_great_whirl(style):
    grey = luminance(style)
    down, right = np.gradient(grey)
    y, x = np.mgrid[:96, :128]
    away_y, away_x = y - 1.15 / 3 * 96, x - 2.75 / 4 * 128
    radius = np.hypot(away_y, away_x) + 1e-9
    ring = (radius > 5) & (radius < 22) & (away_y < 0)
    across = (down * away_y + right * away_x) / radius
    along = (right * away_y - down * away_x) / radius
    assert np.mean(across[ring] ** 2) > 2 * np.mean(along[ring] ** 2)


def test_labels_follow_the_content():
    labels, content = draw_labels(96, 128), draw_content(96, 128).astype(float)
    assert labels.shape == (96, 128, 3)
    sky, land, water = ((labels == LABELS[name]).all(axis=2) for name in ("sky", "land", "water"))
    assert (sky.astype(int) + land + water == 1).all()
    assert min(sky.mean(), land.mean(), water.mean()) > 0.15
    assert content[sky].mean() > content[water].mean() + 20  # it mirrors the darker village
