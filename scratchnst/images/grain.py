"""Grain: faint noise, fine and coarse, so that a network has something to make strokes of where a photograph is flat.

It is a tile that is repeated, so the same place of a picture always has the same grain: one picture is painted alike
each time, in strips as well, and in a video a still scene stays still.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import ndimage

SIDE = 512  # pixels of the tile
SPREAD = 7.0  # standard deviation, in pixel values
COARSE = 2.0  # pixels: the deviation of the bell curve that smooths the coarse half


def grain(height: int, width: int, top: int = 0, left: int = 0) -> np.ndarray:
    """Return the grain (height, width, 3), float32, of the pixels from row `top` and column `left` on."""
    rows, columns = (np.arange(start, start + count) % SIDE for start, count in ((top, height), (left, width)))
    return _tile()[np.ix_(rows, columns)]


@cache
def _tile():
    fine, coarse = np.random.default_rng(0).standard_normal((2, SIDE, SIDE, 3))
    coarse = ndimage.gaussian_filter(coarse, (COARSE, COARSE, 0), mode="wrap")
    noise = fine / fine.std() + coarse / coarse.std()
    return (SPREAD / noise.std() * noise).astype(np.float32)
