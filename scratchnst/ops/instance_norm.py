r"""Instance normalisation: each channel of each image gets mean 0 and variance 1, then a scale and a shift.

Equation, for each image n and channel c, whose M = H W pixels i are taken as one row::

    mean = 1/M sum_i x[i],   variance = 1/M sum_i (x[i] - mean)^2,   s = sqrt(variance + EPSILON)
    z[i] = (x[i] - mean) / s,   y[i] = scale z[i] + shift                                          (a)

So nothing is left of the brightness and contrast that the channel had; scale and shift give it others.  They are given
for each image on its own, so that one network paints many styles, each image of a batch in another.

Derivation of ``backward``, for one image and channel again.  Let g = dL/dy.

* Every pixel has the same scale and shift:

      dL/dscale = sum_i g[i] z[i],   dL/dshift = sum_i g[i]                                        (b)

* dL/dz[i] = scale g[i], and x[j] reaches L by three paths:

  - through its own z[j], with mean and s held fixed: dz[j]/dx[j] = 1/s, which gives scale/s g[j].
  - through the mean, which every z[i] has: dz[i]/dmean = -1/s and dmean/dx[j] = 1/M.  Added up over i, this path gives
    -scale/s 1/M sum_i g[i].  (The variance has the mean, too, but dvariance/dmean = -2/M sum_i (x[i] - mean) = 0.)
  - through the variance, which every z[i] has: dz[i]/dvariance = -(x[i] - mean) / (2 s^3) = -z[i] / (2 s^2), and
    dvariance/dx[j] = 2/M (x[j] - mean) = 2/M s z[j].  Added up, this path gives -scale/s z[j] 1/M sum_i g[i] z[i].

  The sums are those of (b), so

      dL/dx[j] = scale/s (g[j] - 1/M dL/dshift - z[j] 1/M dL/dscale)                               (c)

(c) takes from g its mean and its part along z: to add a constant to x changes no y, and to stretch it next to none.

Precision: mean, variance and the sums of (b) are added up in float64.  The mean is subtracted before squaring, since
the mean of x^2 minus the square of the mean of x loses all digits where the mean is large beside s.  A channel of one
number throughout has z = 0 and, because of EPSILON, no division by zero.

Cached: z, scale and 1/s.  z takes as much memory as x, which is not needed any more.

Differs from the paper: its network has no such layer.  Source: D. Ulyanov, A. Vedaldi, V. Lempitsky, "Instance
Normalization: The Missing Ingredient for Fast Stylization", 2016, arXiv 1607.08022; for a scale and shift of each
style: V. Dumoulin, J. Shlens, M. Kudlur, "A Learned Representation for Artistic Style", ICLR 2017, arXiv 1610.07629.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array

EPSILON = 1e-5
PIXELS = (1, 2)  # axes


def forward(x: Array, scale: Array, shift: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    """Normalise each channel of each image, multiply by `scale` and add `shift`: equation (a).

    Parameters
    ----------
    x : (N, H, W, C) array
    scale, shift : (N, C) arrays, a row for each image

    Returns
    -------
    y : (N, H, W, C) array of x's dtype
    cache : what `backward` needs, (z, scale, 1/s); all of it is needed for dL/dx, too

    Raises
    ------
    ValueError
        If `scale` or `shift` has not one number for each channel of each image, or an image has no pixels.
    """
    check_shapes(x, scale, shift)
    centred = x - x.mean(axis=PIXELS, dtype="float64", keepdims=True)
    variance = (centred * centred).mean(axis=PIXELS, keepdims=True)
    inverse = (variance + EPSILON) ** -0.5
    z = (centred * inverse).astype(x.dtype)
    y = scale[:, None, None] * z + shift[:, None, None]
    return y.astype(x.dtype), (z, scale, inverse)


def backward(grad_y: Array, cache: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Return dL/dx (N, H, W, C), dL/dscale and dL/dshift (N, C), from `grad_y` = dL/dy (N, H, W, C)."""
    return backward_input(grad_y, cache), *backward_parameters(grad_y, cache)


def backward_input(grad_y: Array, cache: tuple[Array, Array, Array]) -> Array:
    """Return dL/dx alone, equation (c)."""
    z, scale, inverse = cache
    grad_scale, grad_shift = _sums(grad_y, z)
    pixels = z.shape[1] * z.shape[2]
    grad_z = grad_y - grad_shift / pixels - z * (grad_scale / pixels)
    return (scale[:, None, None] * inverse * grad_z).astype(z.dtype)


def backward_parameters(grad_y: Array, cache: tuple[Array, Array, Array]) -> tuple[Array, Array]:
    """Return dL/dscale and dL/dshift, equation (b)."""
    z, _, _ = cache
    grad_scale, grad_shift = (each[:, 0, 0].astype(z.dtype) for each in _sums(grad_y, z))
    return grad_scale, grad_shift


def _sums(grad_y, z):
    """Equation (b), in float64, (N, 1, 1, C)."""
    grad_scale = (grad_y * z).sum(axis=PIXELS, dtype="float64", keepdims=True)
    return grad_scale, grad_y.sum(axis=PIXELS, dtype="float64", keepdims=True)


def check_shapes(x: Array, scale: Array, shift: Array) -> None:
    """Raise a ValueError unless `scale` and `shift` are (N, C), and `x` (N, H, W, C) has pixels."""
    wanted = (x.shape[0], x.shape[-1])
    if scale.shape != wanted or shift.shape != wanted:
        raise ValueError(
            f"images {x.shape} take a scale and a shift of the shape {wanted}, not {scale.shape} and {shift.shape}"
        )
    check_pixels(x)


def check_pixels(x: Array) -> None:
    """Raise a ValueError unless the images `x` (N, H, W, C) have pixels."""
    if 0 in x.shape[1:3]:
        raise ValueError(f"an image without pixels has no mean, and these are {x.shape}")


def forward_loops(x: Array, scale: Array, shift: Array) -> Array:
    """Equation (a), one image, channel and pixel at a time."""
    y = np.zeros_like(x)
    for n, c in np.ndindex(*scale.shape):
        mean, s = _statistics_loops(x[n, :, :, c])
        for p, q in np.ndindex(*x.shape[1:3]):
            y[n, p, q, c] = scale[n, c] * (x[n, p, q, c] - mean) / s + shift[n, c]
    return y


def backward_loops(grad_y: Array, x: Array, scale: Array) -> tuple[Array, Array, Array]:
    """The three paths to x and the two sums (b), one pixel at a time."""
    grad_x, grad_scale, grad_shift = np.zeros_like(x), np.zeros_like(scale), np.zeros_like(scale)
    pixels = x.shape[1] * x.shape[2]
    for n, c in np.ndindex(*scale.shape):
        mean, s = _statistics_loops(x[n, :, :, c])
        grad_mean = grad_variance = np.float64(0)
        for p, q in np.ndindex(*x.shape[1:3]):
            z, grad_z = (x[n, p, q, c] - mean) / s, scale[n, c] * grad_y[n, p, q, c]
            grad_scale[n, c] += grad_y[n, p, q, c] * z
            grad_shift[n, c] += grad_y[n, p, q, c]
            grad_mean -= grad_z / s
            grad_variance -= grad_z * z / (2 * s**2)
        for p, q in np.ndindex(*x.shape[1:3]):
            itself = scale[n, c] * grad_y[n, p, q, c] / s
            grad_x[n, p, q, c] = itself + grad_mean / pixels + grad_variance * 2 * (x[n, p, q, c] - mean) / pixels
    return grad_x, grad_scale, grad_shift


def _statistics_loops(x):
    """The mean and s of one channel (H, W) of one image, in float64."""
    mean = variance = np.float64(0)
    for p, q in np.ndindex(*x.shape):
        mean += x[p, q] / np.float64(x.size)
    for p, q in np.ndindex(*x.shape):
        variance += (x[p, q] - mean) ** 2 / x.size
    return mean, np.sqrt(variance + EPSILON)
