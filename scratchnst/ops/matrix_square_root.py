r"""The symmetric square root of symmetric matrices without negative eigenvalues, such as covariances.

Equation, for the matrix A (C, C) of each image, with its eigenvalues l[i] and its orthonormal eigenvectors, the columns
of V::

    (A + A^T) / 2 + epsilon I = V diag(l) V^T,   r[i] = sqrt(l[i]),   S = V diag(r) V^T            (a)

S is symmetric, and S S = A + epsilon I, since V^T V = I.  An A that is not quite symmetric, as after rounding, counts
as its symmetric part.  A covariance has eigenvalues of zero where channels depend on each other, as in a grey picture,
and the slope of a square root at zero is infinite: with epsilon, r[i] is sqrt(epsilon) at least.  Eigenvalues that
rounding made negative count as zero.

Derivation of ``backward``.  Let g = dL/dS and, first, A symmetric.  The product rule on S S = A + epsilon I is a
Sylvester equation for dS::

    dS S + S dS = dA

In the eigenbasis, with dS' = V^T dS V and dA' = V^T dA V, S is diag(r), so that each element has its own equation::

    dS'[i,j] r[j] + r[i] dS'[i,j] = dA'[i,j],      dS'[i,j] = dA'[i,j] / (r[i] + r[j])             (b)

For i = j that is the derivative of a number's root, 1 / (2 r).  The same step back: with g' = V^T g V,
dL = sum_ij g[i,j] dS[i,j] = sum_ij g'[i,j] dS'[i,j] = sum_ij g'[i,j] / (r[i] + r[j]) dA'[i,j], hence::

    dL/dA = V D V^T,   D[i,j] = g'[i,j] / (r[i] + r[j])                                            (c)

The symmetric part passes half of what it gets to A and half to A^T, so that g enters (c) as (g + g^T) / 2, and dL/dA is
symmetric.  The constant epsilon I has no derivative.

(b) is solved without a derivative of the eigenvectors, which would divide by l[i] - l[j].  Equal eigenvalues, whose
eigenvectors may be chosen freely, are therefore harmless: only sums of roots are divided by.

Precision: all is computed in float64, and by NumPy on the CPU for arrays of CuPy's, too: the matrices are small.

Cached: V and r.

Differs from the paper: it has no such operation.  Source: P. Li, J. Xie, Q. Wang, Z. Gao, "Towards Faster Training of
Global Covariance Pooling Networks by Iterative Matrix Square Root Normalization", CVPR 2018, arXiv 1712.01034; for the
iteration of ``forward_loops``: E. D. Denman, A. N. Beavers, "The Matrix Sign Function and Computations in Systems",
Applied Mathematics and Computation 2, 1976.
"""

from __future__ import annotations

import numpy as np

from scratchnst.arrays import Array, array_module, asnumpy

EPSILON = 1e-10
ITERATIONS = 40  # of `forward_loops`: enough for eigenvalues from EPSILON to 1 / EPSILON


def forward(A: Array, epsilon: float | Array = EPSILON) -> tuple[Array, tuple[Array, Array]]:
    """Return the symmetric square roots S: equation (a).

    Parameters
    ----------
    A : (N, C, C) array, symmetric matrices without negative eigenvalues
    epsilon : what is added to each eigenvalue, a number or (N, 1); 0 for an A whose eigenvalues are all positive

    Returns
    -------
    S : (N, C, C) array of A's dtype
    cache : what `backward` needs, (V, r), in float64

    Raises
    ------
    ValueError
        If `A` is no stack of square matrices.
    """
    check_shape(A)
    xp = array_module(A)
    eigenvalues, V = np.linalg.eigh(_symmetric(asnumpy(A).astype("float64")))
    r = np.sqrt(np.maximum(eigenvalues, 0) + epsilon)
    return xp.asarray(in_basis(V, r), A.dtype), (xp.asarray(V), xp.asarray(r))


def backward(grad_y: Array, cache: tuple[Array, Array]) -> Array:
    """Return dL/dA (N, C, C), symmetric, from `grad_y` = dL/dS (N, C, C): equation (c)."""
    V, r = map(asnumpy, cache)
    g = V.swapaxes(1, 2) @ _symmetric(asnumpy(grad_y).astype("float64")) @ V
    D = g / (r[:, :, None] + r[:, None, :])
    return array_module(grad_y).asarray(V @ D @ V.swapaxes(1, 2), grad_y.dtype)


def in_basis(V: Array, diagonal: Array) -> Array:
    """Return V diag(diagonal) V^T, of (N, C, C) and (N, C) arrays."""
    return (V * diagonal[:, None, :]) @ V.swapaxes(1, 2)


def _symmetric(A):
    """The symmetric part of each matrix."""
    return (A + A.swapaxes(1, 2)) / 2


def check_shape(A: Array) -> None:
    """Raise a ValueError unless `A` is (N, C, C)."""
    if A.ndim != 3 or A.shape[1] != A.shape[2]:
        raise ValueError(f"only square matrices (N, C, C) have a square root, and these are {A.shape}")


def forward_loops(A: Array, epsilon: float = EPSILON) -> Array:
    """S of each matrix by the iteration of Denman and Beavers: Y becomes the root, and Z its inverse."""
    S = np.zeros_like(A)
    for n, matrix in enumerate(_symmetric(A.astype("float64"))):
        Y, Z = matrix + epsilon * np.eye(len(matrix)), np.eye(len(matrix))
        for _ in range(ITERATIONS):
            Y, Z = (Y + np.linalg.inv(Z)) / 2, (Z + np.linalg.inv(Y)) / 2
        S[n] = Y
    return S


def backward_loops(grad_y: Array, A: Array, epsilon: float = EPSILON) -> Array:
    """The Sylvester equation of each matrix as one system of C^2 linear equations, and its transpose solved for g."""
    grad_A = np.zeros_like(A)
    for n, S in enumerate(forward_loops(A.astype("float64"), epsilon)):
        grad_A[n] = _symmetric(solve_sylvester(S, grad_y[n].astype("float64"))[None])[0]
    return grad_A


def solve_sylvester(S: Array, right: Array) -> Array:
    """Return X with X S + S X = `right`, all (C, C) and S symmetric, by Kronecker products."""
    identity = np.eye(len(S))
    system = np.kron(identity, S) + np.kron(S, identity)  # symmetric, as S is
    return np.linalg.solve(system, right.ravel()).reshape(S.shape)
