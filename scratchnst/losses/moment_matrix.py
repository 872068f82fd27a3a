r"""Moment matrix: sums over positions of the features, of their products, and of 1, in one matrix.

Equation.  Append to the features F (M, C) of one image a channel of ones; the Gram matrix of the C + 1 channels is ::

        | F^T F   t |
    S = |           |,     t[c] = sum_m F[m,c]                                                     (a)
        |  t^T    M |

It is a sum over positions, as the Gram matrix is, so that an image may be computed in parts.  Mean and covariance of
the features follow from it::

    mean = t / M,     covariance = F^T F / M - mean mean^T                                         (b)

Derivation of ``backward``.  Let g = dL/dS.  F^T F is the Gram matrix, and F gets from it what `gram` says.  F[m,c]
enters t[c], which stands in S twice, with slope 1, and M not at all::

    dL/dF[m,c] = [F (g' + g'^T)][m,c] + g[c,C] + g[C,c],     g' the C x C corner of g              (c)

That is equation (a) of `gram` for C + 1 channels, without the gradient of the ones, which are constant.

Precision: where the mean is large beside the deviation, (b) is the small difference of large numbers.  In float32 a
variance is exact to about 1e-6 of the mean square; who takes a root of it adds an epsilon that is larger.

Cached: F, by reference.

Differs from the paper: it has the Gram matrix alone.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.losses import gram


def of_gram(gram: ModuleType) -> tuple[Callable[[Array], tuple[Array, Array]], Callable[[Array, Array], Array]]:
    """Return ``forward`` and ``backward`` of the moment matrix, with the Gram matrix of an engine."""

    def forward(x: Array) -> tuple[Array, Array]:
        """Return the moment matrices (N, C + 1, C + 1) of activations `x` (N, H, W, C), equation (a), and the cache."""
        count, height, width, channels = x.shape
        S = array_module(x).empty((count, channels + 1, channels + 1), x.dtype)
        S[:, :-1, :-1], _ = gram.forward(x)
        S[:, :-1, -1] = S[:, -1, :-1] = x.sum(axis=(1, 2), dtype="float64")
        S[:, -1, -1] = height * width
        return S, x

    def backward(grad_y: Array, cache: Array) -> Array:
        """Return dL/dx (N, H, W, C) from `grad_y` = dL/dS (N, C + 1, C + 1): equation (c)."""
        grad_x = gram.backward(grad_y[:, :-1, :-1], cache)
        grad_x += (grad_y[:, :-1, -1] + grad_y[:, -1, :-1])[:, None, None]
        return grad_x

    return forward, backward


forward, backward = of_gram(gram)


def moments(S: Array) -> tuple[Array, Array]:
    """Return means (N, C) and mean products (N, C, C), F^T F / M, float64, of moment matrices (N, C + 1, C + 1)."""
    S = S.astype("float64") / S[:, -1:, -1:]
    return S[:, :-1, -1], S[:, :-1, :-1]


def moments_backward(grad_mean: Array, grad_products: Array, S: Array) -> Array:
    """Return dL/dS, of S's shape and dtype, from dL/dmean and dL/d(F^T F / M); M is constant."""
    grad_S = array_module(S).zeros_like(S)
    pixels = S[:, -1, -1].astype("float64")
    grad_S[:, :-1, -1] = grad_mean / pixels[:, None]
    grad_S[:, :-1, :-1] = grad_products / pixels[:, None, None]
    return grad_S


def forward_loops(x: Array) -> Array:
    """Equation (a): the Gram matrix of the channels and one of ones, one product at a time."""
    return gram.forward_loops(_with_ones(x))


def backward_loops(grad_y: Array, x: Array) -> Array:
    """The product rule on each product; what the ones get is dropped."""
    return gram.backward_loops(grad_y, _with_ones(x))[..., :-1]


def _with_ones(x):
    return np.concatenate([x, np.ones_like(x[..., :1])], axis=3)
