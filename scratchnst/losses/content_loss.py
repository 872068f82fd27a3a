r"""Content loss: half the squared distance between an image's features and the content image's.

Equation 1 of the paper, F the features of the image at one layer, P those of the content image::

    L_content = 1/2 sum_{i,j} (F[i,j] - P[i,j])^2                                                  (1)

Derivation of ``backward``.  Only the term with F[i,j] depends on F[i,j]; the square gives 2, the half takes it::

    dL_content/dF = F - P                                                                          (a)

The paper's equation 2 goes one step further, through the ReLU that made F: its input has the same slope
where F > 0, and slope 0 where the ReLU cut it off::

    dL_content/dF = F - P  where F > 0,   0 where F < 0                                            (2)

F comes out of a ReLU and is never negative: what the paper writes as F < 0 is F = 0 here, and there we take 0.
`equation_2` states that; `backward` below is (a), and the network's own ReLU does the rest.

Cached: the difference F - P.

Differs from the paper: nothing.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array, array_module

statistic = None  # F itself, position by position


def forward(F: Array, P: Array) -> tuple[float, Array]:
    """Return the content loss, equation 1, of features `F` against `P`, both (N, H, W, C), and the cache.

    The sum runs over images, positions and channels, in float64 whatever the dtype of F.
    """
    difference = F - P
    return float(0.5 * (difference * difference).sum(dtype="float64")), difference


def backward(grad_y: float, cache: Array) -> Array:
    """Return dL/dF, of F's shape and dtype, from `grad_y` = dL/dL_content: equation (a)."""
    difference = cache
    return difference * difference.dtype.type(grad_y)


def equation_2(F: Array, P: Array) -> Array:
    """Return equation 2 of the paper, the content gradient with respect to the input of the ReLU that made `F`."""
    return array_module(F).where(F > 0, F - P, F.dtype.type(0))


def forward_loops(F: Array, P: Array) -> float:
    """Equation 1, one square at a time."""
    loss = 0.0
    for index in np.ndindex(*F.shape):
        loss += 0.5 * (float(F[index]) - float(P[index])) ** 2
    return loss


def backward_loops(grad_y: float, F: Array, P: Array) -> Array:
    """Equation (a), one element at a time."""
    grad_F = np.zeros_like(F)
    for index in np.ndindex(*F.shape):
        grad_F[index] = grad_y * (F[index] - P[index])
    return grad_F
