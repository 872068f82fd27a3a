"""The sums of a matrix's columns: column_sums.cu.

On paper: an addition for each number read, so the speed of memory is the limit, as long as there are threads enough.
"""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.cuda import device, kernels

ENOUGH_THREADS = 65536  # to keep any GPU busy
ROWS_PER_STRIP = 64  # at least


def column_sums(x: Array, mask: Array | None = None) -> Array:
    """Return the sums, added up in float64, of the columns of `x` (rows, columns): an array (columns,) of x's dtype.

    Where `mask`, a boolean array of x's shape, is False, x is taken as zero.
    """
    rows, columns = x.shape
    strips = max(1, min(rows // ROWS_PER_STRIP, ENOUGH_THREADS // max(columns, 1)))
    parts, sums = device.empty((strips, columns), "float64"), device.empty((columns,), x.dtype)
    x, mask = device.readable(x), device.readable(mask)
    kernels.launch_each("column_sums", "add_rows", parts.size, x.dtype, x, mask, parts, rows, columns, strips)
    kernels.launch_each("column_sums", "add_strips", columns, x.dtype, parts, sums, columns, strips)
    return sums
