"""Content loss, `scratchnst.losses.content_loss`, summed over strips."""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images, check_shape
from scratchnst.engine.cpu import threads
from scratchnst.losses import content_loss

statistic, backward = content_loss.statistic, content_loss.backward

ROWS_PER_STRIP = 4


def forward(F: Array, P: Array) -> tuple[float, Array]:
    """Return the content loss, equation 1 of the paper, of features `F` against `P`, and the cache, F - P."""
    check_images(F)
    check_shape("target", P, F.shape)
    difference = np.empty(F.shape, F.dtype)

    def job(image, top, bottom):
        here = difference[image, top:bottom]
        np.subtract(F[image, top:bottom], P[image, top:bottom], out=here)
        return (here * here).sum(dtype="float64")

    return float(0.5 * threads.total(job, threads.strips(F.shape, ROWS_PER_STRIP))), difference
