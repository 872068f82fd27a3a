"""Content loss, `scratchnst.losses.content_loss`: a squared distance."""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_images, check_shape
from scratchnst.engine.cuda import squares
from scratchnst.losses import content_loss

statistic, backward = content_loss.statistic, content_loss.backward


def forward(F: Array, P: Array) -> tuple[Array, Array]:
    """Return the content loss, equation 1 of the paper, of features `F` against `P`, and the cache, F - P.

    The loss is an array without dimensions, float64, see `sums.total`.
    """
    check_images(F)
    check_shape("target", P, F.shape)
    return squares.distance(F, P, 1 / 2)
