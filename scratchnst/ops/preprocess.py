r"""Preprocessing: from an image's RGB values, 0-255, to what a network was trained on.

Equation, with order = (0, 1, 2) for RGB and (2, 1, 0) for BGR, and mean and std in the network's order::

    y[n,p,q,c] = (scale x[n,p,q,order[c]] - mean[c]) / std[c]                                      (a)

Two networks bear the name VGG19.  Oxford's original: BGR, scale 1, mean (103.939, 116.779, 123.68), std 1.
Torchvision's: RGB, scale 1/255, mean (0.485, 0.456, 0.406), std (0.229, 0.224, 0.225).  A network given the
other's input runs without an error and gives bad pictures, so these settings are stored with the weights.

Derivation of ``backward``.  x[n,p,q,order[c]] enters y[n,p,q,c] alone, with the factor scale / std[c]::

    dL/dx[n,p,q,order[c]] = scale / std[c] dL/dy[n,p,q,c]                                          (b)

Cached: the settings; the map is linear but for a constant.

Differs from the paper: nothing.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array, array_module

ORDERS = {"RGB": (0, 1, 2), "BGR": (2, 1, 0)}


def forward(x: Array, channels: str, scale: float, mean: Array, std: Array) -> tuple[Array, tuple]:
    """Turn RGB pixels 0-255 into the input of a network: equation (a).

    Parameters
    ----------
    x : (N, H, W, 3) array, RGB, 0-255
    channels : "RGB" or "BGR", the order that the network expects
    scale : factor on the pixel values
    mean, std : three numbers each, in the network's channel order

    Returns
    -------
    y : (N, H, W, 3) array of x's dtype
    cache : the settings
    """
    xp = array_module(x)
    factor = xp.asarray(scale / np.asarray(std, float), x.dtype)
    offset = xp.asarray(np.asarray(mean, float) / np.asarray(std, float), x.dtype)
    y = x[..., list(ORDERS[channels])] * factor - offset
    return y, (channels, factor)


def backward(grad_y: Array, cache: tuple) -> Array:
    """Return dL/dx, RGB, from `grad_y` = dL/dy: equation (b)."""
    channels, factor = cache
    grad_x = array_module(grad_y).empty_like(grad_y)
    grad_x[..., list(ORDERS[channels])] = grad_y * factor
    return grad_x


def forward_loops(x: Array, channels: str, scale: float, mean: Array, std: Array) -> Array:
    """Equation (a), one number at a time."""
    y = np.zeros_like(x)
    for n, p, q, c in np.ndindex(*x.shape):
        y[n, p, q, c] = (scale * x[n, p, q, ORDERS[channels][c]] - mean[c]) / std[c]
    return y


def backward_loops(grad_y: Array, channels: str, scale: float, std: Array) -> Array:
    """Equation (b), one number at a time."""
    grad_x = np.zeros_like(grad_y)
    for n, p, q, c in np.ndindex(*grad_y.shape):
        grad_x[n, p, q, ORDERS[channels][c]] = scale / std[c] * grad_y[n, p, q, c]
    return grad_x
