"""Random crops of photographs and paintings, augmented, and noise, to train on.

A style transfer starts from noise and passes through images unlike photographs, so a network has to be trained on such
images too: crops with added noise, permuted colour channels, other contrast and brightness, and pure noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scratchnst import images

SHARE_OF_NOISE = 0.08
LARGEST_SIDE = 420  # pixels of a picture's shorter side at most; most transfers are at 256 or 512


def draw(random: np.random.Generator, pictures: Sequence[np.ndarray], side: int) -> np.ndarray:
    """Return a (side, side, 3) float32 image, RGB about 0-255, from one of `pictures` (H, W, 3) or from noise."""
    if random.random() < SHARE_OF_NOISE:
        return _noise(random, side)
    crop = _crop(random, pictures[int(random.integers(len(pictures)))], side)
    return np.ascontiguousarray(_augmented(random, crop), np.float32)


def _noise(random, side):
    """White noise about mid-grey, added to smooth noise in half of the cases."""
    noise = random.normal(128, random.uniform(10, 70), (side, side, 3))
    if random.random() < 0.5:
        few = max(2, side // 8)
        noise += images.resize(np.clip(random.normal(128, 60, (few, few, 3)), 0, 255), side, side) - 128
    return noise.astype(np.float32)


def _crop(random, picture, side):
    """A square of the picture, scaled so that the picture's shorter side would be a random number of pixels."""
    shorter = min(picture.shape[:2])
    scale = min(1.0, random.uniform(1.3 * side, max(LARGEST_SIDE, 1.3 * side)) / shorter)
    square = min(shorter, round(side / scale))
    top, left = (random.integers(length - square + 1) for length in picture.shape[:2])
    return images.resize(picture[top : top + square, left : left + square], side, side)


def _augmented(random, crop):
    """Mirrored, rotated, in other colours, of other contrast and brightness, and with noise, each at random."""
    if random.random() < 0.5:
        crop = crop[:, ::-1]
    if random.random() < 0.3:
        crop = np.rot90(crop, random.integers(4))
    if random.random() < 0.4:
        crop = crop[:, :, random.permutation(3)]
    if random.random() < 0.5:
        crop = (crop - 128) * random.uniform(0.5, 1.4) + 128 + random.uniform(-40, 40, 3)
    if random.random() < 0.35:
        crop = crop + random.normal(0, random.uniform(3, 40), crop.shape)
    return crop
