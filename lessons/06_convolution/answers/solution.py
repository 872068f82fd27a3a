"""The exercise, solved: a dilated convolution."""

from __future__ import annotations

import numpy as np


def convolve_dilated(x, w, b, dilation):
    """A matrix product for each weight, on the image shifted by a multiple of the dilation."""
    (count, height, width, _), (kh, kw, _, outputs) = x.shape, w.shape
    rows, columns = kh // 2 * dilation, kw // 2 * dilation
    padded = np.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)))
    y = np.zeros((count, height, width, outputs), x.dtype)
    for i in range(kh):
        for j in range(kw):
            top, left = i * dilation, j * dilation
            y += padded[:, top : top + height, left : left + width] @ w[i, j]
    return y + b
