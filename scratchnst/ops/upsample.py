r"""Nearest upsampling: each pixel becomes a square of 2x2 pixels.

Equation, for p < 2H and q < 2W::

    y[n,p,q,c] = x[n, p//2, q//2, c]                                                               (a)

Derivation of ``backward``.  x[n,u,v,c] enters the four outputs with p//2 = u and q//2 = v, each with the factor 1; the
chain rule adds up what comes back from them::

    dL/dx[n,u,v,c] = sum_{i,j in {0,1}} dL/dy[n, 2u+i, 2v+j, c]                                    (b)

Average pooling is a quarter of (b), and (a) four times average pooling's backward: the two are each other's adjoint,
but for this factor.

Where it stands.  To paint a picture a network has to come back to the picture's size.  A transposed convolution
(`scratchnst.ops.strided_conv2d`) with a 3x3 kernel and stride 2 adds up four weights at some of its pixels, two or
one at their neighbours, so that even a constant image comes out as a checkerboard, unless training has made these sums
equal.  After (a) every window of the convolution that follows reads the same number of pixels, and a constant image
stays constant: A. Odena, V. Dumoulin, C. Olah, "Deconvolution and Checkerboard Artifacts", Distill 2016.

Cached: nothing; the derivative of a linear map does not depend on x.

Differs from the paper: VGG has no upsampling.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array


def forward(x: Array) -> tuple[Array, None]:
    """Make a square of each pixel of `x`: (N, H, W, C) -> (N, 2H, 2W, C), and the cache, which is empty."""
    return x.repeat(2, axis=1).repeat(2, axis=2), None


def backward(grad_y: Array, cache: None) -> Array:
    """Return dL/dx (N, H, W, C) from `grad_y` = dL/dy (N, 2H, 2W, C): equation (b)."""
    grad_x = grad_y[:, 0::2, 0::2] + grad_y[:, 0::2, 1::2]
    grad_x += grad_y[:, 1::2, 0::2]
    grad_x += grad_y[:, 1::2, 1::2]
    return grad_x


def forward_loops(x: Array) -> Array:
    """Equation (a), one pixel at a time."""
    y = np.zeros((x.shape[0], 2 * x.shape[1], 2 * x.shape[2], x.shape[3]), x.dtype)
    for n, p, q, c in np.ndindex(*y.shape):
        y[n, p, q, c] = x[n, p // 2, q // 2, c]
    return y


def backward_loops(grad_y: Array, x: Array) -> Array:
    """Each assignment of equation (a) reversed: y = x gives grad_x += grad_y."""
    grad_x = np.zeros_like(x)
    for n, p, q, c in np.ndindex(*grad_y.shape):
        grad_x[n, p // 2, q // 2, c] += grad_y[n, p, q, c]
    return grad_x
