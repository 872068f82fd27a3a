r"""Laplacian loss: the squared distance of an image's edges from those of the content image.

Equation, for images x and content c of RGB values: s is the sum of the three channels of x - c, a = A s its averages
over squares of 2^k x 2^k pixels, and d = D a what the discrete Laplacian makes of them, the four neighbours of a pixel
taken from 4 times the pixel, at the n pixels that have four neighbours::

    d[p,q] = 4 a[p,q] - a[p-1,q] - a[p+1,q] - a[p,q-1] - a[p,q+1],     L = 1/n sum d[p,q]^2        (a)

All of it is linear up to the square, so that d is the Laplacian of the image less that of the content.  The Laplacian
is large at edges and 0 where brightness rises evenly; averages first let edges be seen that are wider than grain.  The
sum over channels leaves colours free: they come from the style.

Derivation of ``backward``.  dL/dd = 2/n d.  A linear map goes back by its adjoint, each step by its own.  d[p,q] has 4
times a[p,q], and -1 times each neighbour, so to each of these five it passes as much back: the neighbours, pushed by
-dL/dd, and the pixel by 4 dL/dd::

    dL/da = D^T (2/n d):     da[p,q] += 4 g,   da[p-1,q], da[p+1,q], da[p,q-1], da[p,q+1] -= g,   g = 2/n d[p,q]     (b)

D^T also reaches the outermost pixels, at which D itself has no result.  A is `average_pool` k times, with its backward;
each of the three channels of x gets what s gets.

Cached: d and the shapes on the way.

Differs from the paper: it has no such term; weight 0 leaves it out.  Source: S. Li, X. Xu, L. Nie, T.-S. Chua,
"Laplacian-Steered Neural Style Transfer", ACM Multimedia 2017, arXiv 1707.01253, with squares of 4 x 4 pixels; there L
is a sum, here a mean, so that its weight does not depend on the size.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array, array_module, as_number
from scratchnst.ops import average_pool

HALVINGS = 2  # k
CENTRE = np.s_[:, 1:-1, 1:-1]
NEIGHBOURS = np.s_[:, :-2, 1:-1], np.s_[:, 2:, 1:-1], np.s_[:, 1:-1, :-2], np.s_[:, 1:-1, 2:]


def forward(x: Array, content: Array, halvings: int = HALVINGS) -> tuple[float, tuple]:
    """Return L, equation (a), summed in float64, and the cache.

    Parameters
    ----------
    x : (N, H, W, C) array; a batch's losses are added up
    content : (N, H, W, C) or (1, H, W, C) array
    halvings : k: squares have 2^k x 2^k pixels; where fewer than 3 x 3 of them are left, L is 0
    """
    a, caches = (x - content).sum(axis=3, keepdims=True), []
    for _ in range(halvings):
        a, cache = average_pool.forward(a)
        caches.append(cache)
    d = 4 * a[CENTRE] - sum(a[neighbour] for neighbour in NEIGHBOURS)
    return as_number((d * d).sum(dtype="float64") / count(d)), (d, a.shape, caches, x.shape)


def backward(grad_y: float, cache: tuple) -> Array:
    """Return dL/dx, of x's shape and dtype, from `grad_y` = dL/dL: equation (b)."""
    d, shape, caches, shape_of_x = cache
    g = d * d.dtype.type(2 * grad_y / count(d))
    grad_a = array_module(d).zeros(shape, d.dtype)
    grad_a[CENTRE] += 4 * g
    for neighbour in NEIGHBOURS:
        grad_a[neighbour] -= g
    for pool_cache in reversed(caches):
        grad_a = average_pool.backward(grad_a, pool_cache)
    return grad_a.repeat(shape_of_x[3], axis=3)


def count(d: Array) -> int:
    """Return n, or 1 if no pixel has four neighbours."""
    return max(d[0].size, 1)


def forward_loops(x: Array, content: Array, halvings: int = HALVINGS) -> float:
    """Equation (a), one pixel at a time."""
    d = _laplacian_loops(x.astype("float64") - content, halvings)
    return float(sum(each**2 / count(d) for each in d.ravel()))


def backward_loops(grad_y: float, x: Array, content: Array, halvings: int = HALVINGS) -> Array:
    """The slope of each d with respect to a pixel is d of a picture in which it alone is 1."""
    d = _laplacian_loops(x.astype("float64") - content, halvings)
    one, grad_x = np.zeros((1, *x.shape[1:])), np.zeros_like(x)
    for n, p, q, c in np.ndindex(*x.shape):
        one[0, p, q, c] = 1
        grad_x[n, p, q, c] = grad_y * 2 * np.sum(d[n] * _laplacian_loops(one, halvings)[0]) / count(d)
        one[0, p, q, c] = 0
    return grad_x


def _laplacian_loops(x, halvings):
    """d of images (N, H, W, C), with the averages over squares in one step."""
    side = 2**halvings
    images, height, width = len(x), x.shape[1] // side, x.shape[2] // side
    a = np.zeros((images, height, width))
    for n, p, q in np.ndindex(*a.shape):
        a[n, p, q] = x[n, side * p : side * (p + 1), side * q : side * (q + 1)].sum() / side**2
    d = np.zeros((images, max(height - 2, 0), max(width - 2, 0)))
    for n, p, q in np.ndindex(*d.shape):
        d[n, p, q] = 4 * a[n, p + 1, q + 1] - a[n, p, q + 1] - a[n, p + 2, q + 1] - a[n, p + 1, q] - a[n, p + 1, q + 2]
    return d
