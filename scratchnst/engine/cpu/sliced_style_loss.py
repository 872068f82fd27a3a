"""Style loss by sorted projections, `scratchnst.losses.sliced_style_loss`, sorted on all threads."""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images, check_shape
from scratchnst.engine.cpu import threads
from scratchnst.losses import of_statistic, projections
from scratchnst.losses.sliced_style_loss import at_ranks, distance_backward

statistic = projections

DIRECTIONS_OF_A_PIECE = 8


def distance(S: Array, target: Array, pixels: int) -> tuple[float, Array]:
    """Return E of projections `S` (N, H, W, C) against the style's quantiles (N or 1, C, H W), and the cache."""
    check_images(S)
    count, channels = len(S), S.shape[3]
    check_shape("target", target, (1 if len(target) == 1 else count, channels, pixels))
    P, difference = S.reshape(count, pixels, channels), np.empty((count, pixels, channels), S.dtype)

    def job(image, start, stop):
        rows = np.ascontiguousarray(P[image, :, start:stop].T)
        rows -= at_ranks(rows, target[image % len(target), start:stop])
        difference[image, :, start:stop] = rows.T
        return np.sum(rows * rows, dtype="float64")

    pieces = threads.pieces(channels, DIRECTIONS_OF_A_PIECE)
    total = threads.total(job, [(image, *piece) for image in range(count) for piece in pieces])
    return float(total) / (channels * pixels), difference.reshape(S.shape)


forward, backward = of_statistic(statistic, distance, distance_backward)
