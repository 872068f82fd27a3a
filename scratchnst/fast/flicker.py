"""How much painted frames of one scene differ: what a film of them flickers by."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

NOISE = 3.0  # standard deviation of a pixel value, 0-255, as of a camera in good light
EDGE = 16  # pixels at the borders that are not compared: there a network sees mirrored pixels in place of the scene


class Flicker(NamedTuple):
    """Mean absolute change of a pixel value, 0-255, from a frame to the next."""

    still: float
    panned: float


def measure(paint: Callable[[np.ndarray], np.ndarray], photo: np.ndarray, frames: int = 5, seed: int = 0) -> Flicker:
    """Return how much painted frames change in a still scene and in one that the camera pans.

    Parameters
    ----------
    paint : a frame (H, W, 3), RGB 0-255 -> the painted one, of its shape
    photo : (H, W, 3), RGB 0-255.  Of the still scene each frame has new sensor noise, rounded to whole numbers; panned,
        each is a window of the photograph a pixel farther right, and painted frames are shifted back to be compared
    frames : of each film, 2 or more
    seed : of the noise

    Raises
    ------
    ValueError
        If there are fewer than two frames, or the photograph has no pixel that is compared.
    """
    height, width, _ = photo.shape
    if frames < 2 or min(height, width - frames) <= 2 * EDGE:
        raise ValueError(f"{frames} frames of a photograph of {width}x{height} pixels have nothing to be compared")
    random = np.random.default_rng(seed)
    noisy = (photo + NOISE * random.standard_normal(photo.shape) for _ in range(frames))
    still = [_inner(paint(np.clip(np.rint(frame), 0, 255).astype(photo.dtype))) for frame in noisy]
    window = width - frames + 1
    panned = [paint(np.ascontiguousarray(photo[:, left : left + window])) for left in range(frames)]
    return Flicker(
        _change((a, b) for a, b in pairwise(still)),
        _change((_inner(a)[:, 1:], _inner(b)[:, :-1]) for a, b in pairwise(panned)),
    )


def _inner(picture):
    return np.asarray(picture, np.float64)[EDGE:-EDGE, EDGE:-EDGE]


def _change(pairs):
    return float(np.mean([np.abs(a - b).mean() for a, b in pairs]))
