"""Style loss, `scratchnst.losses.style_loss`, on this engine's Gram matrices."""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_shape
from scratchnst.engine.cpu import gram


def forward(F: Array, A: Array) -> tuple[float, tuple[Array, Array]]:
    """Return the style loss E, equation 4 of the paper, and the cache, F and G - A; one A may do for a whole batch."""
    G, _ = gram.forward(F)
    check_shape("target", A, (1 if len(A) == 1 else len(G), *G.shape[1:]))
    difference = G - A
    accurate = difference.astype("float64", copy=False)
    return float(np.vdot(accurate, accurate)) / (4 * _norm(F)), (F, difference)


def backward(grad_y: float, cache: tuple[Array, Array]) -> Array:
    """Return dL/dF, of F's shape and dtype, from `grad_y` = dL/dE."""
    F, difference = cache
    return gram.backward(difference * difference.dtype.type(grad_y / (2 * _norm(F))), F)


def _norm(F):
    """N^2 M^2: N channels, M pixels."""
    _, height, width, channels = F.shape
    return float(channels) ** 2 * float(height * width) ** 2
