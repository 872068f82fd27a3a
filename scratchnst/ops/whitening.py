r"""Whitening and colouring: features get the mean and the covariance of those of a style.

Equation, for each image, with its features x as (M, C), M = H W pixels by C channels, and the style's s as (M', C)::

    mean = 1/M sum_i x[i],   X = x - mean,   K = 1/M X^T X + e I,   e = EPSILON (1 + 1/C trace(1/M X^T X))     (a)

    W = K^(-1/2),   y[i] = K_s^(1/2) W X[i] + mean_s,   that is   Y = X T + mean_s with T = W K_s^(1/2)        (b)

K_s and mean_s are those of s, pixels are rows, and the roots are symmetric (`scratchnst.ops.matrix_square_root`).  X W
is white: its channels have variance 1 and nothing in common.  The style's root colours it: but for e the covariance of
y is T^T K T = K_s^(1/2) W K W K_s^(1/2) = K_s.  Instance normalisation does this to each channel alone; here channels
that go together in the style go together in y, too, which is what a Gram matrix measures.

Without e, K would have eigenvalues of zero and W would be infinite where there are no more pixels than channels, in
grey pictures and in constant ones.  e is a hundred thousandth of the mean variance of a channel, and as much of 1, for
features that have no variance at all.  These are at their mean, X = 0, and y is the style's mean.

Derivation of ``backward``.  Let g = dL/dY, (M, C).  Y is a product plus a mean::

    dL/dT = X^T g,      dL/dX = g T^T for T held fixed,      dL/dmean_s = sum_i g[i]                           (c)

T = W R_s is a product as well, of W = R^(-1) with R = K^(1/2), and of R_s = K_s^(1/2).  All of them are symmetric, and
d(R^(-1)) = -R^(-1) dR R^(-1) by the product rule on R R^(-1) = I::

    dL/dW = dL/dT R_s,      dL/dR = -W dL/dW W,      dL/dR_s = W dL/dT                                         (d)

`matrix_square_root.backward` leads from R to K, and from R_s to K_s.  Both have trace(K) in e::

    dL/dcov = dL/dK + EPSILON/C trace(dL/dK) I      for K = cov + e I                                          (e)

cov = 1/M X^T X is a Gram matrix, and dL/dcov is symmetric: X gets 2/M X dL/dcov, see `scratchnst.losses.gram`.  At last
X = x - mean: every pixel passes what it gets to x, and takes the mean of all of it away.  X has a mean of zero, so this
concerns (c) alone::

    dL/dx = g T^T - 1/M sum_i g[i] T^T + 2/M X dL/dcov                                                         (f)
    dL/ds = 1/M' sum_i g[i] + 2/M' S dL/dcov_s,   S = s - mean_s                                               (g)

Precision: all is computed in float64.

Cached: X and S, in float64, W and R_s, and what the two roots cached.

Differs from the paper: it optimises a picture and has no such operation.  Source: Y. Li, C. Fang, J. Yang, Z. Wang,
X. Lu, M.-H. Yang, "Universal Style Transfer via Feature Transforms", NeurIPS 2017, arXiv 1705.08086.  It divides by
M - 1, and leaves small eigenvalues out where e is added here.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.ops import matrix_square_root

EPSILON = 1e-5


def forward(x: Array, style: Array) -> tuple[Array, tuple]:
    """Give features the mean and covariance of a style's: equations (a) and (b).

    Parameters
    ----------
    x : (N, H, W, C) array
    style : (N, H', W', C) array of the same dtype, of any height and width, the style of each image

    Returns
    -------
    y : (N, H, W, C) array of x's dtype
    cache : what `backward` needs

    Raises
    ------
    ValueError
        If the numbers of images or of channels differ, or an image has no pixels.
    """
    check_shapes(x, style)
    X, S = _centred(x), _centred(style)
    _, (V, r) = matrix_square_root.forward(_covariance(X), 0)
    R_s, style_root = matrix_square_root.forward(_covariance(S), 0)
    W = matrix_square_root.in_basis(V, 1 / r)
    mean_s = style.mean(axis=(1, 2), dtype="float64", keepdims=True)
    y = (X @ (W @ R_s)).reshape(x.shape) + mean_s
    return y.astype(x.dtype), (X, S, W, R_s, (V, r), style_root, style.shape)


def backward(grad_y: Array, cache: tuple) -> tuple[Array, Array]:
    """Return dL/dx (N, H, W, C) and dL/dstyle (N, H', W', C), from `grad_y` = dL/dy (N, H, W, C)."""
    X, S, W, R_s, root, style_root, style_shape = cache
    g = grad_y.reshape(X.shape).astype("float64")
    grad_T = X.swapaxes(1, 2) @ g
    grad_R = -(W @ (grad_T @ R_s) @ W)
    grad_X = g @ (W @ R_s).swapaxes(1, 2)
    grad_x = grad_X - grad_X.mean(axis=1, keepdims=True) + _through_covariance(grad_R, root, X)
    grad_mean = g.sum(axis=1, keepdims=True)
    grad_style = grad_mean / S.shape[1] + _through_covariance(W @ grad_T, style_root, S)
    return grad_x.reshape(grad_y.shape).astype(grad_y.dtype), grad_style.reshape(style_shape).astype(grad_y.dtype)


def _centred(x):
    """X of equation (a), (N, M, C), in float64."""
    count, height, width, channels = x.shape
    return (x - x.mean(axis=(1, 2), dtype="float64", keepdims=True)).reshape(count, height * width, channels)


def _covariance(X):
    """K of equation (a)."""
    covariance = X.swapaxes(1, 2) @ X / X.shape[1]
    return covariance + EPSILON * (1 + _mean_diagonal(covariance)) * _identity(X)


def _through_covariance(grad_R, root, X):
    """What X gets from the root R of its covariance: equation (e), and the last terms of (f) and (g)."""
    grad_K = matrix_square_root.backward(grad_R, root)
    grad_covariance = grad_K + EPSILON * _mean_diagonal(grad_K) * _identity(X)
    return 2 / X.shape[1] * (X @ grad_covariance)


def _mean_diagonal(K):
    """trace(K) / C of each matrix, (N, 1, 1)."""
    return (K * _identity(K)).sum(axis=(1, 2), keepdims=True) / K.shape[-1]


def _identity(x):
    """I, with as many rows as x has channels."""
    return array_module(x).asarray(np.eye(x.shape[-1]))


def check_shapes(x: Array, style: Array) -> None:
    """Raise a ValueError unless `x` and `style` are as many images, with pixels and the same channels."""
    if x.ndim != 4 or style.ndim != 4 or (len(x), x.shape[3]) != (len(style), style.shape[3]):
        raise ValueError(f"features {x.shape} take a style of as many images and channels, not {style.shape}")
    if 0 in (*x.shape[1:3], *style.shape[1:3]):
        raise ValueError(f"an image without pixels has no mean, and these are {x.shape} and {style.shape}")


def forward_loops(x: Array, style: Array) -> Array:
    """Equations (a) and (b), one pixel at a time; the roots by iteration."""
    y = np.zeros_like(x)
    for n in range(len(x)):
        (mean, R), (mean_s, R_s) = _statistics_loops(x[n]), _statistics_loops(style[n])
        for p, q in np.ndindex(*x.shape[1:3]):
            y[n, p, q] = R_s @ np.linalg.solve(R, x[n, p, q] - mean) + mean_s
    return y


def backward_loops(grad_y: Array, x: Array, style: Array) -> tuple[Array, Array]:
    """How each element of x and of the style moves y, one element at a time, times g."""
    grad_x, grad_style = np.zeros_like(x), np.zeros_like(style)
    for n in range(len(x)):
        (mean, R), (_, R_s) = _statistics_loops(x[n]), _statistics_loops(style[n])
        X, W, g = x[n] - mean, np.linalg.inv(R), grad_y[n].astype("float64")
        for index in np.ndindex(*x.shape[1:]):
            _, dX, dR = _moved_loops(x[n], index)
            grad_x[n][index] = (g * ((dX - X @ W @ dR) @ W @ R_s)).sum()
        for index in np.ndindex(*style.shape[1:]):
            dmean_s, _, dR_s = _moved_loops(style[n], index)
            grad_style[n][index] = (g * (X @ W @ dR_s + dmean_s)).sum()
    return grad_x, grad_style


def _statistics_loops(x):
    """The mean (C,) and the root of K (C, C) of one image, in float64."""
    pixels = x.reshape(-1, x.shape[2]).astype("float64")
    mean, covariance = np.zeros(x.shape[2]), np.zeros((x.shape[2], x.shape[2]))
    for pixel in pixels:
        mean += pixel / len(pixels)
    for pixel in pixels:
        covariance += np.outer(pixel - mean, pixel - mean) / len(pixels)
    e = EPSILON * (1 + np.trace(covariance) / len(covariance))
    return mean, matrix_square_root.forward_loops(covariance[None], e)[0]


def _moved_loops(x, index):
    """The derivatives of mean, X and root of K of one image (H, W, C) with respect to one element."""
    mean, R = _statistics_loops(x)
    dx, dmean = np.zeros(x.shape), np.zeros(x.shape[2])
    dx[index], dmean[index[2]] = 1, 1 / x[..., 0].size
    dX, dcovariance = dx - dmean, np.zeros_like(R)
    for p, q in np.ndindex(*x.shape[:2]):
        half = np.outer(x[p, q] - mean, dX[p, q]) / x[..., 0].size
        dcovariance += half + half.T
    dK = dcovariance + EPSILON * np.trace(dcovariance) / len(R) * np.eye(len(R))
    return dmean, dX, matrix_square_root.solve_sylvester(R, dK)
