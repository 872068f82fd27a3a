r"""Cross-layer Gram matrix: which channels of one layer are active where which channels of a deeper layer are.

R. Novak, Y. Nikulin, "Improving the Neural Algorithm of Artistic Style", arXiv 1605.04603, 2016.  With F of one image
at one layer as (M, C) and K at a deeper one as (M, C'), pixel m of both at the same place::

    G[i,j] = sum_m F[m,i] K[m,j],      G = F^T K                                                   (a)

If both are the same layer, this is equation 3.

Common resolution.  Behind a pool K has a quarter of the pixels.  The paper repeats them: U K, nearest upsampling.  Here
F is averaged over squares of 2x2 pixels instead: D F, average pooling.  U is 4 times the adjoint of D
(`scratchnst.ops.upsample`), <F, U K> = 4 <D F, K>, so that both give the same matrix but for that factor::

    F^T (U K) = 4 (D F)^T K                                                                        (b)

The left sum runs over 4 times as many positions, and as a mean over them both are equal; the right one takes a quarter
of the multiplications.  n pools lie between the layers: D is applied n times.  What belongs to no square, the last row
of an odd height, is left out, as in VGG.

Derivation of ``backward``.  Let P = D^n F and g = dL/dG, of shape (C, C').  P[m,i] enters row i of G with the slopes
K[m,j], and K[m,j] enters column j with the slopes P[m,i].  D is linear, so its adjoint leads from P to F::

    dL/dP[m,i] = sum_j g[i,j] K[m,j],      dL/dP = K g^T
    dL/dK[m,j] = sum_i g[i,j] P[m,i],      dL/dK = P g                                             (c)
    dL/dF = D^T ... D^T dL/dP              each D^T gives every pixel of a square a quarter

If F and K are the same array, the sum of both is F (g + g^T), equation (a) of `scratchnst.losses.gram`.

Cached: F and K, by reference; P is a quarter of F, and is made once more.

Differs from the paper: (b), and the factor in it, which `scratchnst.losses.cross_style_loss` divides out.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.ops import average_pool


def forward(x: Array, y: Array) -> tuple[Array, tuple[Array, Array]]:
    """Return the cross-layer Gram matrices (N, C, C'), equation (a), and the cache.

    Parameters
    ----------
    x : (N, H, W, C) array, the activations F of a layer
    y : (N, H', W', C') array, the activations K of a deeper one; H' and W' are H and W, halved n times and rounded down

    Raises
    ------
    ValueError
        If halving does not lead from the size of `x` to that of `y`.
    """
    P = x
    for _ in range(pools_between(x.shape, y.shape)):
        P, _ = average_pool.forward(P)
    return _matrix(P).swapaxes(1, 2) @ _matrix(y), (x, y)


def backward(grad_y: Array, cache: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return dL/dx (N, H, W, C) and dL/dy (N, H', W', C') from `grad_y` = dL/dG (N, C, C'): equations (c)."""
    x, y = cache
    P, shapes = x, []
    for _ in range(pools_between(x.shape, y.shape)):
        shapes.append(P.shape)
        P, _ = average_pool.forward(P)
    grad_x = (_matrix(y) @ grad_y.swapaxes(1, 2)).reshape(P.shape)
    for shape in reversed(shapes):
        grad_x = average_pool.backward(grad_x, shape)
    return grad_x, (_matrix(P) @ grad_y).reshape(y.shape)


def pools_between(shape: tuple[int, ...], deeper: tuple[int, ...]) -> int:
    """Return how often (N, H, W, C) is to be halved to have the height and width of `deeper`, or raise a ValueError."""
    height, width = shape[1:3]
    count = 0
    while (height, width) != tuple(deeper[1:3]):
        if min(height, width) < 2:
            raise ValueError(f"halving {shape[1:3]} does not lead to {deeper[1:3]}: name the deeper layer second")
        height, width, count = height // 2, width // 2, count + 1
    return count


def _matrix(x):
    """View (N, H, W, C) activations as one (H W, C) matrix an image."""
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2], x.shape[3])


def forward_loops(x: Array, y: Array) -> Array:
    """Equation (a), one product at a time, each pixel of F in the mean that it belongs to."""
    side = 2 ** pools_between(x.shape, y.shape)
    count, height, width, _ = y.shape
    G = np.zeros((count, x.shape[3], y.shape[3]), x.dtype)
    for n, p, q in np.ndindex(count, side * height, side * width):
        for i, j in np.ndindex(*G.shape[1:]):
            G[n, i, j] += x[n, p, q, i] / side**2 * y[n, p // side, q // side, j]
    return G


def backward_loops(grad_y: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """The product rule on each product of equation (a)."""
    side = 2 ** pools_between(x.shape, y.shape)
    count, height, width, _ = y.shape
    grad_x, grad_deeper = np.zeros_like(x), np.zeros_like(y)
    for n, p, q in np.ndindex(count, side * height, side * width):
        for i, j in np.ndindex(*grad_y.shape[1:]):
            share = grad_y[n, i, j] / side**2
            grad_x[n, p, q, i] += share * y[n, p // side, q // side, j]
            grad_deeper[n, p // side, q // side, j] += share * x[n, p, q, i]
    return grad_x, grad_deeper
