r"""The steadiness of a transform network f: what it paints of one scene in two frames shall be the same.

A camera that moves or stands still gives two pictures of a scene, which differ by a shift and by the sensor's noise.
A network that paints each frame by itself makes more of both than they are, and a film flickers.

Let c be a crop that is larger than a frame.  The frames are windows of it, d = (d_1, d_2) pixels apart, the second with
noise e, normal with the deviation NOISE::

    x[p] = c[p],    x'[p] = c[p + d] + e[p],    y = f(x),    y' = f(x')
    U = mean over images, positions p and channels of  (y'[p] - y[p + d])^2 / SPREAD^2                (a)

The positions are those of both frames but for EDGE pixels at their borders, where f sees mirrored pixels in place of
what the later frame shows.  d is any whole number of pixels, not a multiple of f's stride alone.

Derivation.  r[p] = y'[p] - y[p + d] depends on one number of y' and on one of y, by the factors 1 and -1; with K
numbers in the mean ::

    dU/dy'[p]    =  2 r[p] / (K SPREAD^2)                                                              (b)
    dU/dy[p + d] = -2 r[p] / (K SPREAD^2),   and 0 at positions that no r uses                         (c)

(c) is the adjoint of the shift: it brings each difference back to where the number was taken from.  Both frames learn.
A loss between a painted frame and one painted before is M. Ruder's, A. Dosovitskiy's and T. Brox's (IJCV 2018); they
follow each pixel by optical flow, where it is a shift here.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.models.transform_net import SPREAD

SHIFT = 8  # pixels between two frames, at most, along each side
NOISE = 4.0  # standard deviation of a pixel value, 0-255
EDGE = 8  # pixels


def frames(random: np.random.Generator, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Return x, x' and d: windows of crops (N, H + SHIFT, W + SHIFT, 3), and the random shift between them."""
    down, right = (int(number) for number in random.integers(SHIFT + 1, size=2))
    height, width = (length - SHIFT for length in crops.shape[1:3])
    later = crops[:, down : down + height, right : right + width]
    noise = np.float32(NOISE) * random.standard_normal(later.shape, np.float32)
    return np.ascontiguousarray(crops[:, :height, :width]), later + noise, (down, right)


def difference(y: Array, later: Array, shift: tuple[int, int]) -> tuple[float, Array, Array]:
    """Return U, equation (a), and its gradients by y, equation (c), and by y' (`later`), equation (b)."""
    here, there = _common(y.shape, shift)
    r = later[here] - y[there]
    scale = max(r.size, 1) * SPREAD**2
    grad_y, grad_later = (array_module(y).zeros_like(y) for _ in range(2))
    grad_later[here] = r * r.dtype.type(2 / scale)
    grad_y[there] = -grad_later[here]
    return float((r.astype("float64") ** 2).sum()) / scale, grad_y, grad_later


def _common(shape, shift):
    """The positions p of equation (a), and p + d."""
    slices = [(slice(EDGE, length - d - EDGE), slice(EDGE + d, length - EDGE)) for length, d in zip(shape[1:3], shift)]
    (rows, shifted_rows), (columns, shifted_columns) = slices
    return (slice(None), rows, columns), (slice(None), shifted_rows, shifted_columns)
