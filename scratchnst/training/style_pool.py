"""Styles to train on, many: pieces of paintings, of several scales, half of them with their colours exchanged.

A style predictor has to meet many styles, and paintings are few.  Another piece of one at another scale has other
strokes, and with red, green and blue exchanged other hues: to a network, these are styles of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scratchnst.models import style_predictor
from scratchnst.models.network import Network
from scratchnst.training.photographs import Photographs

PIECES = 8  # of a painting
SIDE = 224  # pixels of a piece


class StylePool:
    """Pieces of paintings, with the statistics by which a predictor knows them.

    Parameters
    ----------
    paintings : to take pieces of
    encoder : of the statistics; its engine computes
    random : of the pieces
    side : of a piece, in pixels

    Attributes
    ----------
    pictures : the pieces (side, side, 3), RGB, 8 bits
    """

    def __init__(self, paintings: Photographs, encoder: Network, random: np.random.Generator, side: int = SIDE):
        self.encoder = encoder
        self.pictures = [self._piece(paintings, random, side) for _ in range(PIECES * len(paintings))]
        self._statistics: dict[int, np.ndarray] = {}

    def _piece(self, paintings, random, side):
        (piece,) = paintings.crops(random, 1, side).round().astype(np.uint8)
        return piece[..., random.permutation(3)] if random.random() < 0.5 else piece

    def statistics(self, numbers: Sequence[int]) -> np.ndarray:
        """Return z (N, D) of some pieces."""
        for number in numbers:
            if number not in self._statistics:
                self._statistics[number] = self.of(np.float32(self.pictures[number])[np.newaxis])
        return np.concatenate([self._statistics[number] for number in numbers])

    def of(self, pictures: np.ndarray) -> np.ndarray:
        """Return z (N, D) of other pictures (N, H, W, 3)."""
        return style_predictor.statistics(self.encoder, self.encoder.engine.asarray(pictures))
