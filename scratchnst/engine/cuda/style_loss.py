"""Style loss, `scratchnst.losses.style_loss`: the squared distance of Gram matrices."""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_shape
from scratchnst.engine.cuda import gram, squares


def forward(F: Array, A: Array) -> tuple[Array, tuple[Array, Array]]:
    """Return the style loss E, equation 4 of the paper, and the cache, F and G - A; one A may do for a whole batch.

    The loss is an array without dimensions, float64, see `sums.total`.
    """
    G, _ = gram.forward(F)
    check_shape("target", A, (1 if len(A) == 1 else len(G), *G.shape[1:]))
    A = A if len(A) == len(G) else A.repeat(len(G), axis=0)
    E, difference = squares.distance(G, A, 1 / (4 * _norm(F)))
    return E, (F, difference)


def backward(grad_y: float, cache: tuple[Array, Array]) -> Array:
    """Return dL/dF, of F's shape and dtype, from `grad_y` = dL/dE."""
    F, difference = cache
    return gram.backward(difference * difference.dtype.type(grad_y / (2 * _norm(F))), F)


def _norm(F):
    """N^2 M^2: N channels, M pixels."""
    _, height, width, channels = F.shape
    return float(channels) ** 2 * float(height * width) ** 2
