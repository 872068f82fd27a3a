"""The sums of a matrix's columns: column_sums.cu.

On paper: an addition for each number read, so the speed of memory is the limit, as long as there are threads enough.
"""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.engine.cuda import device, kernels

THREADS = 256  # of a block
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
    for name, count, arguments in (
        ("add_rows", parts.size, (x, mask, parts, rows, columns, strips)),
        ("add_strips", columns, (parts, sums, columns, strips)),
    ):
        kernels.launch("column_sums", name, (kernels.blocks(count, THREADS),), (THREADS,), x.dtype, *arguments)
    return sums
