r"""Reflection padding: the image is continued beyond its edges as in mirrors that stand on its outermost pixels.

Equation.  Let m(i) be the row that is shown at row i, where 0 to H - 1 are the image's own::

    m(i) = -i for i < 0,    i for 0 <= i < H,    2(H - 1) - i for i >= H                           (a)

and likewise for columns.  With r rows and s columns added on each side::

    y[n,p,q,c] = x[n, m(p - r), m(q - s), c]                                                       (b)

Four pixels a b c d become c b a b c d c b where r = 2: the outermost itself is not shown twice.  A mirror shows the
H - 1 rows behind the outermost, so r <= H - 1.

Derivation of ``backward``.  Rows first: y[p] = x[m(p - r)].  By the chain rule row u of x gets the gradients of all
the rows in which it is shown, those p with m(p - r) = u.  From the three cases of (a)::

    p = r + u                                      always: the image itself
    p = r - u              for 1 <= u <= r         the mirror above: rows r-1, ..., 0 of y show rows 1, ..., r of x
    p = r + 2(H-1) - u     for H-1-r <= u <= H-2   the mirror below: rows r+H, ... of y show rows H-2, H-3, ... of x

So dL/dy is folded at its outermost rows: what was added above and below is turned over and added to the rows that
it shows.  By (b) columns are continued as rows are, and those of a mirror as well: the way back folds rows first, then
the columns of what this gives.  A pixel near a corner gets four numbers so, and more where mirrors overlap.

Cached: r and s; the derivative of a linear map does not depend on x.

Differs from the paper: it has no such padding.  In a network that paints a picture zeros around the image would be seen
at the picture's edges.
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

    Raises
    ------
    ValueError
        If the image has too few rows or columns to show so many.
    """
    check_size(x.shape, rows, columns)
    y = array_module(x).pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)), mode="reflect")
    return y, (rows, columns)


def backward(grad_y: Array, cache: tuple[int, int]) -> Array:
    """Return dL/dx (N, H, W, C) from `grad_y` = dL/dy (N, H + 2 rows, W + 2 columns, C)."""
    rows, columns = cache
    folded = fold(grad_y, rows)
    return fold(folded.swapaxes(1, 2), columns).swapaxes(1, 2)


def fold(grad_y: Array, margin: int) -> Array:
    """Return dL/dx for dL/dy of an image that was continued along axis 1 alone, by `margin` pixels on each side."""
    end = grad_y.shape[1] - margin
    grad_x = grad_y[:, margin:end].copy()
    length = end - margin
    grad_x[:, 1 : margin + 1] += grad_y[:, :margin][:, ::-1]
    grad_x[:, length - 1 - margin : length - 1] += grad_y[:, end:][:, ::-1]
    return grad_x


def check_size(shape: tuple[int, ...], rows: int, columns: int) -> None:
    """Raise a ValueError unless images of `shape` (N, H, W, C) can be continued by `rows` and `columns`."""
    height, width = shape[1:3]
    if 0 < height <= rows or 0 < width <= columns:
        raise ValueError(
            f"an image of {height}x{width} pixels is too small to be mirrored over {rows} rows and {columns} columns: "
            f"it takes {rows + 1}x{columns + 1}"
        )


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
    if i < 0:
        return -i
    return i if i < length else 2 * (length - 1) - i
