r"""2x2 max pooling: each output pixel is the largest of a square of four input pixels.

Equation, for p < floor(H/2) and q < floor(W/2)::

    y[n,p,q,c] = max_{i,j in {0,1}} x[n, 2p+i, 2q+j, c]                                            (a)

With an odd height or width the last row or column belongs to no square and is left out, as in VGG.

Derivation of ``backward``.  Near x, y equals the winner of its square: dy/dx is 1 for the winner and 0 for
the other three::

    dL/dx[n,u,v,c] = dL/dy[n, u//2, v//2, c] if (u, v) won its square,   0 elsewhere               (b)

Where two pixels tie, a kink, one of them has to be chosen, else the gradient would be counted twice: we
take the first in reading order, as other libraries do.

Cached: the shape of x and the number 0-3 of each square's winner, one byte an output; x itself is not kept.

Differs from the paper: the paper uses average pooling; this is the original VGG's.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array, array_module


def forward(x: Array) -> tuple[Array, tuple[tuple[int, ...], Array]]:
    """Take the largest of each 2x2 square of `x`: (N, H, W, C) -> (N, H//2, W//2, C), and the cache."""
    corners = _corners(x)
    y = corners[0].copy()
    winner = array_module(x).zeros(y.shape, "uint8")
    for number in (1, 2, 3):
        larger = corners[number] > y
        winner[larger] = number
        y = array_module(x).maximum(y, corners[number])
    return y, (x.shape, winner)


def backward(grad_y: Array, cache: tuple[tuple[int, ...], Array]) -> Array:
    """Return dL/dx (N, H, W, C) from `grad_y` = dL/dy (N, H//2, W//2, C): equation (b)."""
    shape, winner = cache
    grad_x = array_module(grad_y).zeros(shape, grad_y.dtype)
    for number, corner in enumerate(_corners(grad_x)):
        corner[...] = grad_y * (winner == number)
    return grad_x


def _corners(x):
    """Return four views of `x`, (N, H//2, W//2, C) each: the squares' pixels in reading order."""
    height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    return [x[:, i:height:2, j:width:2] for i in (0, 1) for j in (0, 1)]


def forward_loops(x: Array) -> Array:
    """Equation (a), one comparison at a time."""
    y = np.zeros((x.shape[0], x.shape[1] // 2, x.shape[2] // 2, x.shape[3]), x.dtype)
    for n, p, q, c in np.ndindex(*y.shape):
        i, j = _winner(x, n, p, q, c)
        y[n, p, q, c] = x[n, 2 * p + i, 2 * q + j, c]
    return y


def backward_loops(grad_y: Array, x: Array) -> Array:
    """Equation (b), one square at a time."""
    grad_x = np.zeros_like(x)
    for n, p, q, c in np.ndindex(*grad_y.shape):
        i, j = _winner(x, n, p, q, c)
        grad_x[n, 2 * p + i, 2 * q + j, c] += grad_y[n, p, q, c]
    return grad_x


def _winner(x, n, p, q, c):
    """The first (i, j) in reading order whose pixel is the largest of the square."""
    best = (0, 0)
    for i, j in np.ndindex(2, 2):
        if x[n, 2 * p + i, 2 * q + j, c] > x[n, 2 * p + best[0], 2 * q + best[1], c]:
            best = (i, j)
    return best
