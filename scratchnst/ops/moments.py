r"""Moments: the mean and the deviation of each channel of each image.

Equation, for each image n and channel c, whose M = H W pixels i are taken as one row::

    mean = 1/M sum_i x[i],   variance = 1/M sum_i (x[i] - mean)^2,   s = sqrt(variance + EPSILON)    (a)

An operation has one result, so the two stand in one array y (N, 2, C): y[n,0,c] is the mean, y[n,1,c] the deviation s.
EPSILON is that of `scratchnst.ops.instance_norm`, which divides by the same s.

Derivation of ``backward``, for one image and channel again.  Let z[i] = (x[i] - mean) / s.

* Every pixel has the same part in the mean: dmean/dx[j] = 1/M.
* x[j] changes the variance by its own square, and by the mean, which is in all squares:

      dvariance/dx[j] = 2/M (x[j] - mean) - 2/M sum_i (x[i] - mean) dmean/dx[j] = 2/M (x[j] - mean)

  since the differences from the mean add up to 0.  So the mean may be held fixed here; but it takes all squares for
  that: whoever lets it move in the square of x[j] alone is left with a factor 1 - 1/M.
* s^2 = variance + EPSILON, hence 2 s ds = dvariance and ds/dvariance = 1/(2 s).  The 2 of the root cancels that of the
  square::

      ds/dx[j] = (x[j] - mean) / (M s) = z[j] / M                                                  (b)

x[j] reaches L through both::

    dL/dx[j] = 1/M (dL/dmean + dL/ds z[j])                                                         (c)

A gradient can move brightness and contrast of a channel, and nothing else: (c) has a constant part and one along z.
They are the two that instance normalisation takes from its gradient.

Precision: sums are added up in float64, and the mean is subtracted before squaring, as in
`scratchnst.ops.instance_norm`.  The root of a variance of 0 has no derivative.  With EPSILON a channel of one number
throughout has s = sqrt(EPSILON) and z = 0, and (b) is 0.

Cached: z.  It takes as much memory as x, which is not needed any more.

Differs from the paper: its style is the Gram matrix, whose diagonal G[c,c] = M (mean^2 + variance) is all that these
moments share with it.  Source: X. Huang, S. Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance
Normalization", ICCV 2017, arXiv 1703.06868.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.ops.instance_norm import EPSILON, PIXELS, check_pixels


def forward(x: Array) -> tuple[Array, Array]:
    """Return the mean and the deviation of each channel of each image: equation (a).

    Parameters
    ----------
    x : (N, H, W, C) array

    Returns
    -------
    y : (N, 2, C) array of x's dtype, the means y[:, 0] and the deviations y[:, 1]
    cache : what `backward` needs, z

    Raises
    ------
    ValueError
        If an image has no pixels.
    """
    check_pixels(x)
    mean = x.mean(axis=PIXELS, dtype="float64", keepdims=True)
    centred = x - mean
    variance = (centred * centred).mean(axis=PIXELS, keepdims=True)
    deviation = (variance + EPSILON) ** 0.5
    return stacked(mean[:, 0, 0], deviation[:, 0, 0]).astype(x.dtype), (centred / deviation).astype(x.dtype)


def backward(grad_y: Array, cache: Array) -> Array:
    """Return dL/dx (N, H, W, C) from `grad_y` (N, 2, C), which holds dL/dmean and dL/ds: equation (c)."""
    z = cache
    grad_mean, grad_deviation = grad_y[:, 0, None, None], grad_y[:, 1, None, None]
    return ((grad_mean + grad_deviation * z) / (z.shape[1] * z.shape[2])).astype(z.dtype)


def stacked(mean: Array, deviation: Array) -> Array:
    """Return (N, 2, C) from two arrays (N, C): those of the mean first."""
    return array_module(mean).stack([mean, deviation], axis=1)


def forward_loops(x: Array) -> Array:
    """Equation (a), one image, channel and pixel at a time."""
    y = np.zeros((x.shape[0], 2, x.shape[3]), x.dtype)
    for n, c in np.ndindex(x.shape[0], x.shape[3]):
        y[n, :, c] = _moments_loops(x[n, :, :, c])
    return y


def backward_loops(grad_y: Array, x: Array) -> Array:
    """From both moments to the pixels, with every path, one pixel at a time."""
    grad_x = np.zeros_like(x)
    pixels = x.shape[1] * x.shape[2]
    for n, c in np.ndindex(x.shape[0], x.shape[3]):
        mean, deviation = _moments_loops(x[n, :, :, c])
        grad_mean, grad_variance = np.float64(grad_y[n, 0, c]), grad_y[n, 1, c] / (2 * deviation)
        for p, q in np.ndindex(*x.shape[1:3]):
            grad_mean -= grad_variance * 2 * (x[n, p, q, c] - mean) / pixels
        for p, q in np.ndindex(*x.shape[1:3]):
            grad_x[n, p, q, c] = grad_mean / pixels + grad_variance * 2 * (x[n, p, q, c] - mean) / pixels
    return grad_x


def _moments_loops(x):
    """The mean and the deviation of one channel (H, W) of one image, in float64."""
    mean = variance = np.float64(0)
    for p, q in np.ndindex(*x.shape):
        mean += x[p, q] / np.float64(x.size)
    for p, q in np.ndindex(*x.shape):
        variance += (x[p, q] - mean) ** 2 / x.size
    return mean, np.sqrt(variance + EPSILON)
