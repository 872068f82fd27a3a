r"""Replication padding: the image is continued beyond its edges by its outermost pixels.

Equation.  Let m(i) be the row that is shown at row i, where 0 to H - 1 are the image's own::

    m(i) = 0 for i < 0,    i for 0 <= i < H,    H - 1 for i >= H                                   (a)

and likewise for columns.  With r rows and s columns added on each side::

    y[n,p,q,c] = x[n, m(p - r), m(q - s), c]                                                       (b)

Four pixels a b c d become a a a b c d d d where r = 2.

Derivation of ``backward``.  Rows first: y[p] = x[m(p - r)].  By the chain rule row u of x gets the gradients of all
the rows in which it is shown, those p with m(p - r) = u.  From the three cases of (a)::

    p = r + u                      always: the image itself
    p = 0, ..., r - 1              for u = 0          what was added above shows the first row, r times
    p = r + H, ..., 2 r + H - 1    for u = H - 1      what was added below shows the last one

So the outermost rows of dL/dy are summed, and added to the first and to the last row of the image.  By (b) columns are
continued as rows are, and those of what was added as well: the way back sums rows first, then the columns of what this
gives.  The pixel in a corner gets (r + 1)(s + 1) numbers so.

Cached: r and s; the derivative of a linear map does not depend on x.

Differs from the paper: it has zeros around the image.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array, array_module


def forward(x: Array, rows: int, columns: int) -> tuple[Array, tuple[int, int]]:
    """Add `rows` above and below `x` (N, H, W, C), and `columns` on its left and right: equation (b).

    Returns
    -------
    y : (N, H + 2 rows, W + 2 columns, C) array of x's dtype
    cache : what `backward` needs, (rows, columns)
    """
    y = array_module(x).pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)), mode="edge")
    return y, (rows, columns)


def backward(grad_y: Array, cache: tuple[int, int]) -> Array:
    """Return dL/dx (N, H, W, C) from `grad_y` = dL/dy (N, H + 2 rows, W + 2 columns, C)."""
    rows, columns = cache
    gathered = gather(grad_y, rows)
    return gather(gathered.swapaxes(1, 2), columns).swapaxes(1, 2)


def gather(grad_y: Array, margin: int) -> Array:
    """Return dL/dx for dL/dy of an image that was continued along axis 1 alone, by `margin` pixels on each side."""
    end = grad_y.shape[1] - margin
    grad_x = grad_y[:, margin:end].copy()
    grad_x[:, 0] += grad_y[:, :margin].sum(axis=1)
    grad_x[:, -1] += grad_y[:, end:].sum(axis=1)
    return grad_x


def forward_loops(x: Array, rows: int, columns: int) -> Array:
    """Equation (b), one pixel at a time."""
    count, height, width, channels = x.shape
    y = np.zeros((count, height + 2 * rows, width + 2 * columns, channels), x.dtype)
    for n, p, q, c in np.ndindex(*y.shape):
        y[n, p, q, c] = x[n, _shown(p - rows, height), _shown(q - columns, width), c]
    return y


def backward_loops(grad_y: Array, x: Array, rows: int, columns: int) -> Array:
    """Each assignment of equation (b) reversed: y = x gives grad_x += grad_y."""
    grad_x = np.zeros_like(x)
    for n, p, q, c in np.ndindex(*grad_y.shape):
        grad_x[n, _shown(p - rows, x.shape[1]), _shown(q - columns, x.shape[2]), c] += grad_y[n, p, q, c]
    return grad_x


def _shown(i, length):
    """m(i), equation (a)."""
    return min(max(i, 0), length - 1)
