"""Styles to train on, many: pieces of paintings, of several scales, half of them with their colours exchanged.

A style predictor has to meet many styles, and paintings are few.  Another piece of one at another scale has other
strokes, and with red, green and blue exchanged other hues: to a network, these are styles of their own.
"""

from __future__ import annotations

from collections.abc import Iterable

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
    network : with the encoder of the statistics; its engine computes
    random : of the pieces

    Attributes
    ----------
    pictures : the pieces (SIDE, SIDE, 3), RGB, 8 bits
    """

    def __init__(self, paintings: Photographs, network: Network, random: np.random.Generator):
        self.network = network
        self.pictures = [self._piece(paintings, random) for _ in range(PIECES * len(paintings))]
        self._statistics: dict[int, np.ndarray] = {}

    def _piece(self, paintings, random):
        pieces = np.rint(paintings.crops(random, 1, SIDE)).astype(np.uint8)
        order = random.permutation(3) if random.random() < 0.5 else np.arange(3)
        return pieces[0][..., order]

    def statistics(self, numbers: Iterable[int]) -> np.ndarray:
        """Return z (N, D) of some pieces."""
        return np.concatenate([self._of_piece(number) for number in numbers])

    def _of_piece(self, number):
        if number not in self._statistics:
            self._statistics[number] = self.of(self.pictures[number][np.newaxis].astype(np.float32))
        return self._statistics[number]

    def of(self, pictures: np.ndarray) -> np.ndarray:
        """Return z (N, D) of other pictures (N, H, W, 3)."""
        engine = self.network.engine
        return engine.asnumpy(style_predictor.statistics(self.network, engine.asarray(pictures)))
