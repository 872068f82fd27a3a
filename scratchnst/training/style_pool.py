"""Styles to train on, more than there are paintings: pieces of these and of photographs, recoloured and joined.

A style predictor has to meet many styles to know what to do with one that is new, and paintings are few.  Another piece
of a painting, of another scale, has other strokes; in other colours, or beside a piece of another picture, it has other
statistics.  A photograph has the look of its own, too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import numpy as np

from scratchnst.models import style_predictor
from scratchnst.models.network import Network
from scratchnst.training.photographs import Photographs

SIDE = 192  # pixels of a piece
AT_ONCE = 512  # pieces that a step chooses from: one after the other, a piece takes the place of the oldest
PAINTED, JOINED, RECOLOURED = 0.65, 0.25, 0.5  # shares of the pieces
CONTRAST, BRIGHTNESS = (0.6, 1.4), 20.0  # of a recoloured piece: a factor's range, and a deviation in pixel values


class Pieces(Sequence[np.ndarray]):
    """Pictures (SIDE, SIDE, 3), RGB 0-255, 8 bits, without an end: each is made when asked for, always the same.

    Parameters
    ----------
    paintings, photographs : to take pieces of
    seed : of all chance
    """

    def __init__(self, paintings: Photographs, photographs: Photographs, seed: int):
        self.paintings, self.photographs, self.seed = paintings, photographs, seed

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, number):
        random = np.random.default_rng([self.seed, number])
        piece = self._piece(random)
        if random.random() < JOINED:
            piece[: SIDE // 2] = self._piece(random)[: SIDE // 2]
        if random.random() < RECOLOURED:
            piece = _recoloured(random, piece)
        return np.rint(piece).astype(np.uint8)

    def _piece(self, random):
        source = self.paintings if random.random() < PAINTED else self.photographs
        return source.crops(random, 1, SIDE)[0]


def _recoloured(random, piece):
    """The piece with red, green and blue exchanged, and of another contrast and brightness in each."""
    mean = piece.mean(axis=(0, 1))
    recoloured = (piece - mean) * random.uniform(*CONTRAST, 3) + mean + random.normal(0, BRIGHTNESS, 3)
    return recoloured[..., random.permutation(3)].clip(0, 255)


class StylePool:
    """Pieces of pictures, with the statistics by which a predictor knows them.

    Parameters
    ----------
    pieces : the styles
    network : with the encoder of the statistics; its engine computes
    """

    def __init__(self, pieces: Pieces, network: Network):
        self.pieces, self.network = pieces, network
        self._statistics: dict[int, np.ndarray] = {}

    def numbers(self, random: np.random.Generator, count: int, step: int) -> list[int]:
        """Return the numbers of `count` pieces for a step of a training, the `step`-th."""
        for old in [number for number in self._statistics if number < step]:
            del self._statistics[old]
        return (step + random.integers(AT_ONCE, size=count)).tolist()

    def statistics(self, numbers: Iterable[int]) -> np.ndarray:
        """Return z (N, D) of some pieces."""
        return np.concatenate([self._of_piece(number) for number in numbers])

    def _of_piece(self, number):
        if number not in self._statistics:
            self._statistics[number] = self.of(self.pieces[number][np.newaxis].astype(np.float32))
        return self._statistics[number]

    def of(self, pictures: np.ndarray) -> np.ndarray:
        """Return z (N, D) of other pictures (N, H, W, 3)."""
        engine = self.network.engine
        return engine.asnumpy(style_predictor.statistics(self.network, engine.asarray(pictures)))
