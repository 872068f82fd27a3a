"""A sample style drawn by code: a mosaic of small stones around a spiral, in blue, gold and red on grey mortar."""

from __future__ import annotations

import numpy as np

from scratchnst import images

STONE = 0.031  # mean distance of neighbouring stones, as part of the longer side
JOINT = 0.16  # of the mortar between two stones, as part of that distance
OVERSAMPLING = 2
MORTAR = (92, 88, 84)
PALETTE = (
    *((18, 40, 98), (30, 78, 146), (62, 138, 178), (150, 196, 190)),
    *((236, 222, 176), (232, 178, 62), (206, 112, 40), (150, 40, 36)),
)
ARMS, TURNS = 3, 2.4  # of the spiral


def draw(height: int = 384, width: int = 512, seed: int = 0) -> np.ndarray:
    """Return the mosaic, (height, width, 3) uint8, RGB in sRGB; `seed` chooses the stones."""
    random = np.random.default_rng(seed)
    rows, columns = OVERSAMPLING * height, OVERSAMPLING * width
    distance = STONE * max(rows, columns)
    stones = _places(random, rows, columns, distance)
    y, x = np.mgrid[:rows, :columns] + 0.5
    (nearest, second), number = _neighbours(stones, np.stack([y, x], axis=-1))
    picture = _colours(random, stones, rows, columns)[number]
    # The light comes from the upper left: a stone is brighter on that side.
    towards = (stones[number] - np.stack([y, x], axis=-1)) @ np.array([0.8, 0.6]) / distance
    picture = picture * (1 + 0.28 * towards)[..., np.newaxis]
    joint = np.clip(1 - (second - nearest) / (JOINT * distance), 0, 1)[..., np.newaxis]
    picture = picture + joint**0.5 * (np.array(MORTAR) - picture)
    picture = picture + random.normal(0, 3, picture.shape)
    return np.rint(images.resize(np.clip(picture, 0, 255), height, width)).astype(np.uint8)


def _places(random, rows, columns, distance):
    """Centres (row, column) of the stones: a grid whose points are moved at random, and so are whole rows of it."""
    grid = np.mgrid[-1 : rows / distance + 2, -1 : columns / distance + 2].reshape(2, -1).T
    shift = random.uniform(0, 1, 4096)[grid[:, 0].astype(int)]
    grid[:, 1] += shift
    return distance * (grid + random.uniform(-0.32, 0.32, grid.shape))


def _neighbours(stones, pixels):
    """Distances to the two nearest stones, and the number of the nearest."""
    from scipy.spatial import cKDTree  # not before: it takes long

    distances, numbers = cKDTree(stones).query(pixels, k=2)
    return np.moveaxis(distances, -1, 0), numbers[..., 0]


def _colours(random, stones, rows, columns):
    """The colour of each stone, by where it lies between the arms of the spiral."""
    down, right = ((stones - [0.52 * rows, 0.46 * columns]) / max(rows, columns)).T
    radius, angle = np.hypot(down, right), np.arctan2(down, right)
    phase = ARMS * angle / (2 * np.pi) + TURNS * np.log(radius + 0.06) + random.normal(0, 0.035, len(stones))
    place = (phase % 1) * (len(PALETTE) - 1e-9)
    return np.array(PALETTE, float)[place.astype(int)] * random.normal(1, 0.07, (len(stones), 1))
