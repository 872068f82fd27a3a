r"""
Winograd: the same convolution with fewer multiplications
=========================================================

Lesson 6 made a convolution fast without saving one multiplication.  Now we save up to three out of four.  That sounds
like a swindle: nine weights, each times a pixel, and all the products are different.  But the outputs of a convolution
overlap in what they look at, and overlapping work can be shared.  How to share it was found by S. Winograd
("Arithmetic Complexity of Computations", 1980) and brought into networks by A. Lavin and S. Gray ("Fast Algorithms
for Convolutional Neural Networks", CVPR 2016).  The idea comes from polynomials, and it needs one trick that you know
from lesson 3: transposing.

After this lesson you can

* compute two outputs of a convolution with three weights by four multiplications, and explain where they come from,
* build such an algorithm for tiles of any size, in one dimension and in two,
* write the whole convolution with channels, and the gradient of its kernel, in a dozen lines each,
* say what it costs in accuracy, and where it does not pay.

It needs lessons 3 (the adjoint), 6 and 7.

=====================  =====================================================================================
symbol                 meaning
=====================  =====================================================================================
:math:`d`              a piece of the input: the m + 2 numbers that m outputs in a row look at
:math:`w`              the kernel: three weights in a row, later 3x3
:math:`y`              the m outputs
:math:`v(t), s(t)`     polynomials; :math:`v_p` is the coefficient of :math:`t^p`
:math:`T`              the matrix that multiplies a polynomial by :math:`w(t)`: :math:`s = T v`
:math:`V_n`            the matrix that evaluates a polynomial with n coefficients at m + 2 points
:math:`A, B, G`        the matrices of the algorithm: (m+2, m), (m+2, m+2), (m+2, 3)
:math:`U, D, M`        kernel, input and products at the points
:math:`\alpha, \beta`   numbers of the points, down and across
:math:`g`              the upstream gradient dL/dy
:math:`\odot`          element by element
:math:`C, K, R`        how many input channels, output channels and tiles there are; :math:`c, k, \tau` number them
=====================  =====================================================================================
"""

import matplotlib.pyplot as plt
import numpy as np

from scratchnst.classroom import full_size
from scratchnst.engine import cpu
from scratchnst.engine.cpu import measure, winograd
from scratchnst.ops import conv2d

# %%
# Four multiplications for two outputs
# ------------------------------------
#
# Four pixels in a row and three weights give two outputs, by six multiplications:
#
# .. math::
#
#     y_0 = d_0 w_0 + d_1 w_1 + d_2 w_2, \qquad y_1 = d_1 w_0 + d_2 w_1 + d_3 w_2
#
# Look at these four products in their place:
#
# .. math::
#
#     \begin{aligned}
#     M_0 &= (d_0 - d_2) \cdot w_0 \\
#     M_1 &= \tfrac12 (d_1 + d_2) \cdot (w_0 + w_1 + w_2) \\
#     M_2 &= \tfrac12 (d_2 - d_1) \cdot (w_0 - w_1 + w_2) \\
#     M_3 &= (d_3 - d_1) \cdot w_2
#     \end{aligned}
#     \qquad
#     \begin{aligned}
#     y_0 &= M_0 + M_1 + M_2 \\
#     y_1 &= M_1 - M_2 + M_3
#     \end{aligned}
#
# By hand, for :math:`d = (1, 2, 4, 3)` and :math:`w = (2, 1, 3)`.  The usual way gives
# :math:`y_0 = 2 + 2 + 12 = 16` and :math:`y_1 = 4 + 4 + 9 = 17`.  The other way:
# :math:`M = (-3 \cdot 2, \; 3 \cdot 6, \; 1 \cdot 4, \; 1 \cdot 3) = (-6, 18, 4, 3)`, so
# :math:`y_0 = -6 + 18 + 4 = 16` and :math:`y_1 = 18 - 4 + 3 = 17`.  Multiply the brackets out, and you will see
# that it is no accident.

d, w = np.array([1.0, 2, 4, 3]), np.array([2.0, 1, 3])
direct = np.array([d[0:3] @ w, d[1:4] @ w])
at_points_d = np.array([d[0] - d[2], (d[1] + d[2]) / 2, (d[2] - d[1]) / 2, d[3] - d[1]])
at_points_w = np.array([w[0], w[0] + w[1] + w[2], w[0] - w[1] + w[2], w[2]])
M = at_points_d * at_points_w
y = np.array([M[0] + M[1] + M[2], M[1] - M[2] + M[3]])
print("products", M, "outputs", y)
assert np.array_equal(y, [16, 17])
assert np.array_equal(y, direct)

# %%
# But there are more additions than before, and halves to be taken: is anything gained?  For two outputs, no.  In a
# layer of a network, yes, for the brackets are reused.  Cut the outputs into pairs; we shall call each a *tile*.  The
# brackets of the pixels are computed once, halves and all, and serve all :math:`K` output channels.  Those of the
# weights are computed once and serve all tiles of the image.  The sums of the :math:`M` can wait until all :math:`C`
# input channels have been added up.  What is left for *each* tile and *each* pair of an input and an output channel
# are the products, and of these there are four in place of six.
#
# Who could think of such brackets?  Nobody has to: they can be derived.
#
# Multiplying polynomials
# -----------------------
#
# Forget convolutions for a moment, and multiply two polynomials, :math:`v(t) = v_0 + v_1 t` and
# :math:`w(t) = w_0 + w_1 t + w_2 t^2`.  The usual way takes each coefficient of one times each of the other, six
# multiplications:
#
# .. math::
#
#     s(t) = v_0 w_0 + (v_0 w_1 + v_1 w_0) \, t + (v_0 w_2 + v_1 w_1) \, t^2 + v_1 w_2 \, t^3
#
# There is another way.  The product :math:`s` has four coefficients, so it is known once we know its values at four
# points, as a straight line is known from two.  And *at a point, the product of polynomials is one multiplication
# of numbers*: :math:`s(t) = v(t) \, w(t)`.  Evaluating at 0, 1 and -1 takes additions only.  As the fourth point
# take *infinity*: for large :math:`t` only the highest power matters, so by the value there we mean the leading
# coefficient, and that of :math:`s` is the product of those of :math:`v` and :math:`w`.
#
# By hand, for :math:`v = 2 + 3t` and :math:`w = 1 + 4t + 2t^2`::
#
#     point       0       1       -1          infinity
#     v           2       5       -1          3
#     w           1       7       -1          2
#     s = v w     2      35        1          6
#
# Back from values to coefficients: :math:`s_0 = s(0) = 2` and :math:`s_3 = s(\infty) = 6`.  Then
# :math:`s(1) + s(-1) = 2 s_0 + 2 s_2 = 36` gives :math:`s_2 = 16`, and :math:`s(1) - s(-1) = 2 s_1 + 2 s_3 = 34`
# gives :math:`s_1 = 11`.  So :math:`s = 2 + 11t + 16t^2 + 6t^3`, with four multiplications.
#
# As matrices: let :math:`V_n` evaluate a polynomial with :math:`n` coefficients, one row a point,
# :math:`(1, t, t^2, \ldots)`, and :math:`(0, \ldots, 0, 1)` for infinity.  Then, element by element,
#
# .. math::
#
#     V_4 s = (V_2 v) \odot (V_3 w) \qquad \text{or} \qquad s = V_4^{-1} \left[ (V_2 v) \odot (V_3 w) \right]
#
# :math:`V_4` can be inverted since its points are different.  For suppose that a polynomial with four coefficients is
# 0 at all of them.  At infinity: its leading coefficient is 0, three are left.  But these make a polynomial of degree
# 2, which cannot be 0 at three different points unless all its coefficients are 0.  So :math:`V_4` sends nothing but
# zero to zero, and a square matrix of that kind has an inverse.


def evaluation(points, n):
    """V_n: rows evaluate a polynomial of n coefficients at the points; the last row is infinity."""
    return np.array([[point**power for power in range(n)] for point in points] + [[0] * (n - 1) + [1]], float)


points = (0, 1, -1)
V2, V3, V4 = (evaluation(points, n) for n in (2, 3, 4))
v, w = np.array([2.0, 3]), np.array([1.0, 4, 2])
s = np.linalg.inv(V4) @ ((V2 @ v) * (V3 @ w))
print("values of v", V2 @ v, "values of w", V3 @ w, "coefficients of s", s)
assert np.allclose(s, [2, 11, 16, 6])
assert np.allclose(s, np.convolve(v, w)), "NumPy's convolve is the product of polynomials"

# %%
# Transposing it
# --------------
#
# A product of polynomials is not quite our convolution.  There each coefficient :math:`v_p` is spread over
# *several* :math:`s_l`; here several pixels are collected into *one* output.  Lesson 7 has taught us that spreading
# and collecting are each other's transpose.  Hold :math:`w` fixed; then :math:`s` is linear in :math:`v`,
# :math:`s = T v`, and since :math:`v_p w_j` belongs to :math:`s_{p+j}`,
#
# .. math::
#
#     T[p + j, p] = w_j, \qquad
#     T = \begin{pmatrix} w_0 & 0 \\ w_1 & w_0 \\ w_2 & w_1 \\ 0 & w_2 \end{pmatrix}
#
# Its transpose takes four numbers :math:`d` to two:
#
# .. math::
#
#     (T^T d)_p = \sum_l T[l, p] \, d_l = \sum_j w_j \, d_{p+j}
#
# which *is* our convolution, :math:`y = T^T d`.  Now write the fast way to multiply polynomials as a product of
# matrices.  Multiplying by :math:`V_3 w` element by element is multiplying by a diagonal matrix:
#
# .. math::
#
#     T v = V_4^{-1} \, \mathrm{diag}(V_3 w) \, V_2 \, v \quad \text{for every } v, \qquad
#     T = V_4^{-1} \, \mathrm{diag}(V_3 w) \, V_2
#
# Transpose: the factors change their order, and a diagonal matrix is its own transpose.
#
# .. math::
#
#     T^T = V_2^T \, \mathrm{diag}(V_3 w) \, (V_4^{-1})^T
#
# With the names that are usual, :math:`A = V_2`, :math:`G = V_3`, :math:`B = V_4^{-1}`, here is Winograd's
# algorithm:
#
# .. math::
#
#     y = A^T \left[ (G w) \odot (B^T d) \right]
#
# Take the pixels to the points by :math:`B^T`, the weights by :math:`G`; multiply, once a point; come back by
# :math:`A^T`.  Printed, the matrices are the brackets of the first section.


def matrices(m, points):
    """Return A, B, G for m outputs of three weights, from m + 1 points and infinity."""
    return evaluation(points, m), np.linalg.inv(evaluation(points, m + 2)), evaluation(points, 3)


A, B, G = matrices(2, (0, 1, -1))
d, w = np.array([1.0, 2, 4, 3]), np.array([2.0, 1, 3])
print("B^T =\n", B.T, "\nG =\n", G, "\nA^T =\n", A.T)
assert np.allclose(B.T @ d, at_points_d)
assert np.allclose(G @ w, at_points_w)
assert np.allclose(A.T @ ((G @ w) * (B.T @ d)), [16, 17])

# %%
# Nothing in this is special to two outputs.  For :math:`m` outputs, :math:`v` has :math:`m` coefficients, the
# product :math:`m + 2`, and so we need :math:`m + 2` points: :math:`m + 2` multiplications in place of :math:`3m`.
# For four outputs six in place of twelve.  Which points?  Any that are different; the package takes 0, 1, -1, 1/2,
# -2 and infinity, and we shall see why.

A, B, G = matrices(4, winograd.FINITE_POINTS)
random = np.random.default_rng(0)
d, w = random.standard_normal(6), random.standard_normal(3)
assert np.allclose(A.T @ ((G @ w) * (B.T @ d)), np.correlate(d, w, mode="valid"))
assert np.allclose(B, winograd.matrices(np.dtype(float)).B)
for m in range(1, 7):
    print(f"{m} outputs: {m + 2} multiplications in place of {3 * m}, or {(m + 2) / m:.2f} an output")

# %%
# Two dimensions
# --------------
#
# Now a tile of :math:`m \times m` outputs, which look at :math:`(m+2) \times (m+2)` pixels :math:`d` through a
# kernel of 3x3:
#
# .. math::
#
#     y[p, q] = \sum_i \sum_j d[p + i, q + j] \, w[i, j]
#
# The inner sum is a convolution in one dimension: of row :math:`p + i` of the tile with row :math:`i` of the
# kernel.  So put the algorithm in its place; :math:`\beta` numbers the points.  A row of :math:`d B` is a row of
# the tile, taken to the points, and a row of :math:`w G^T` is a row of the kernel:
#
# .. math::
#
#     \sum_j d[p + i, q + j] \, w[i, j] = \sum_\beta A[\beta, q] \, (d B)[p + i, \beta] \, (w G^T)[i, \beta]
#
# Now sum over :math:`i`, with the sum over :math:`\beta` outside:
#
# .. math::
#
#     y[p, q] = \sum_\beta A[\beta, q] \left( \sum_i (d B)[p + i, \beta] \, (w G^T)[i, \beta] \right)
#
# For each :math:`\beta` the bracket is a convolution in one dimension again, down column :math:`\beta`.  Put the
# algorithm in once more, with :math:`\alpha` for its points:
#
# .. math::
#
#     y[p, q] = \sum_{\alpha, \beta} A[\alpha, p] \, (G w G^T)[\alpha, \beta] \, (B^T d B)[\alpha, \beta] \, A[\beta, q]
#
# .. math::
#
#     y = A^T \left[ (G w G^T) \odot (B^T d B) \right] A
#
# For :math:`m = 4` there are :math:`6 \cdot 6 = 36` multiplications for 16 outputs, where :math:`16 \cdot 9 = 144`
# were needed: a quarter.

d, w = random.standard_normal((6, 6)), random.standard_normal((3, 3))
y = A.T @ ((G @ w @ G.T) * (B.T @ d @ B)) @ A
direct = np.array([[np.sum(d[p : p + 3, q : q + 3] * w) for q in range(4)] for p in range(4)])
assert np.allclose(y, direct)
assert (G @ w @ G.T).size == 36
assert direct.size * w.size == 144

# %%
# All channels, all tiles
# -----------------------
#
# An image is cut into tiles of 4x4 outputs.  The pieces of input that they look at are 6x6 pixels large and overlap
# by two.  With :math:`C` channels in and :math:`K` out, for tile :math:`\tau`:
#
# .. math::
#
#     U[:,:,c,k] = G \, w[:,:,c,k] \, G^T, \qquad D[\tau,:,:,c] = B^T d[\tau,:,:,c] \, B
#
# .. math::
#
#     M[\tau, \alpha, \beta, k] = \sum_c D[\tau, \alpha, \beta, c] \, U[\alpha, \beta, c, k], \qquad
#     y[\tau,:,:,k] = A^T M[\tau,:,:,k] \, A
#
# The middle is the part that counts, and look at its form: for each of the 36 pairs of points
# :math:`(\alpha, \beta)` it is a product of matrices, tiles by channels with channels by channels.  BLAS again.
# The function below writes the sums as they stand, letter by letter, with ``np.einsum``: each letter names an index,
# what is left of the arrow belongs to the arrays, and letters that are missing on its right are summed over.  (A tile
# has three of them there: n its image, r and s its row and column among the tiles.)  The package's,
# ``scratchnst/engine/cpu/winograd.py``, does the same with products of matrices alone, one or two hundred tiles at a
# time, so that all of it stays in the cache.


def tiles_of(x, m):
    """Return the pieces of input (N, rows of tiles, tiles in a row, C, m+2, m+2); zeros are around the image."""
    height, width = x.shape[1:3]
    padded = np.pad(x, ((0, 0), (1, 1 + -height % m), (1, 1 + -width % m), (0, 0)))
    return np.lib.stride_tricks.sliding_window_view(padded, (m + 2, m + 2), axis=(1, 2))[:, ::m, ::m]


def at_points(x, m, B):
    """Return D = B^T d B as (m+2, m+2, tiles, C)."""
    D = np.einsum("ia,nrscij,jb->abnrsc", B, tiles_of(x, m), B, optimize=True)
    return D.reshape(m + 2, m + 2, -1, x.shape[3])


def convolve(x, w, m=4, points=winograd.FINITE_POINTS):
    """Return the convolution of x (N, H, W, C) with w (3, 3, C, K), zeros outside, from tiles of m x m outputs."""
    A, B, G = (matrix.astype(x.dtype) for matrix in matrices(m, points))
    (images, height, width, _), outputs = x.shape, w.shape[3]
    U = np.einsum("ai,ijck,bj->abck", G, w, G, optimize=True)
    M = at_points(x, m, B) @ U  # for each pair of points (tiles, C) times (C, K)
    M = M.reshape(m + 2, m + 2, images, -(-height // m), -(-width // m), outputs)  # -(-a // m): rounded up
    y = np.einsum("ap,abnrsk,bq->nrpsqk", A, M, A, optimize=True)
    return y.reshape(images, y.shape[1] * m, -1, outputs)[:, :height, :width]  # the last tiles may reach beyond


x, w = random.standard_normal((2, 10, 13, 5)), random.standard_normal((3, 3, 5, 7))
reference, cache = conv2d.forward(x, w, np.zeros(7))
for m, points in ((2, (0, 1, -1)), (4, winograd.FINITE_POINTS)):
    assert np.allclose(convolve(x, w, m, points), reference)

# %%
# The way back
# ------------
#
# dL/dx is the convolution of :math:`g` with the flipped kernel, its channels exchanged (lesson 7).  So the same
# function computes it.
#
# Not even the flipped kernel's values at the points have to be computed.  In one dimension the flipped kernel is
# :math:`v_j = w_{2-j}`, as a polynomial :math:`v(t) = w_2 + w_1 t + w_0 t^2 = t^2 \, w(1/t)`.  Put :math:`-t` in the
# place of :math:`t`:
#
# .. math::
#
#     v(-t) = t^2 \, w(-1/t), \qquad v(0) = w_2 = w(\infty), \qquad v(\infty) = w_0 = w(0)
#
# The package's points are such that with each :math:`t` there is :math:`-1/t` among them: 1 and -1, 1/2 and -2, 0 and
# infinity.  So at the negated points, which are as good as any, the values of the flipped kernel are those of the
# kernel itself, in another order and times :math:`t^2`.  That is equation (f) of
# ``scratchnst/engine/cpu/winograd.py``.

w = random.standard_normal(3)
negated = evaluation([-t for t in winograd.FINITE_POINTS], 3) @ w[::-1]  # v(-t); the last is v(infinity)
factors = [t**2 if t else 1 for t in winograd.FINITE_POINTS] + [1]
assert np.allclose(negated, factors * (G @ w)[winograd.MINUS_INVERSE])  # where -1/t stands among the points

# %%
# dL/dw wants a new thought, or rather none: for a given x, each step from w to y is linear, so take the transpose of
# each, from the last to the first.
#
# *The last step*, :math:`y = A^T M A`, says
# :math:`y[p, q] = \sum_{\alpha,\beta} A[\alpha, p] \, M[\alpha, \beta] \, A[\beta, q]`.  Which outputs does
# :math:`M[\alpha, \beta]` touch?  All of its tile, with these two factors:
#
# .. math::
#
#     \frac{\partial L}{\partial M[\alpha, \beta]} = \sum_{p,q} A[\alpha, p] \, g[p, q] \, A[\beta, q], \qquad
#     \frac{\partial L}{\partial M} = A \, g \, A^T
#
# *The middle*, for each pair of points a product of matrices :math:`M = D U`, goes back as in lesson 7, where
# :math:`y = X W` gave :math:`X^T g`.  All tiles add up:
#
# .. math::
#
#     \frac{\partial L}{\partial U[\alpha, \beta, c, k]} = \sum_\tau D[\tau, \alpha, \beta, c] \,
#     \frac{\partial L}{\partial M[\tau, \alpha, \beta, k]}
#
# *The first*, :math:`U = G w G^T`, is of the same kind as the last:
#
# .. math::
#
#     \frac{\partial L}{\partial w} = G^T \, \frac{\partial L}{\partial U} \, G
#
# Again 36 multiplications for a tile and a pair of channels in place of 144.


def kernel_gradient(x, grad_y, m=4, points=winograd.FINITE_POINTS):
    """Return dL/dw (3, 3, C, K): the three steps transposed, in reverse order."""
    A, B, G = matrices(m, points)
    height, width = x.shape[1:3]
    g = np.pad(grad_y, ((0, 0), (0, -height % m), (0, -width % m), (0, 0)))  # outputs that do not exist want nothing
    g = g.reshape(len(g), g.shape[1] // m, m, g.shape[2] // m, m, -1)
    grad_M = np.einsum("ap,nrpsqk,bq->abnrsk", A, g, A, optimize=True).reshape(m + 2, m + 2, -1, g.shape[-1])
    grad_U = at_points(x, m, B).swapaxes(2, 3) @ grad_M
    return np.einsum("ai,abck,bj->ijck", G, grad_U, G, optimize=True)


x, w = cache
grad_y = random.standard_normal(reference.shape)
grad_w = kernel_gradient(x, grad_y)
assert np.allclose(grad_w, conv2d.backward_parameters(grad_y, cache)[0])
assert np.allclose(convolve(grad_y, w[::-1, ::-1].swapaxes(2, 3)), conv2d.backward_input(grad_y, cache))
# The adjoint test of lesson 7, all of it computed at the points: <y, g> = <w, dL/dw>.
assert np.isclose(np.sum(convolve(x, w) * grad_y), np.sum(w * grad_w), rtol=1e-10, atol=0)

# %%
# What it costs in accuracy
# -------------------------
#
# If four outputs at a time are good, why not eight?  An output of :math:`m \times m` tiles takes
# :math:`(m+2)^2/m^2` multiplications: 9, 4, 2.8, 2.25, 1.96, 1.78 for :math:`m = 1` to 6.  Below one it cannot fall,
# so there is less and less to be gained, but the trouble grows.  More points have to lie somewhere.  Take larger
# ones, and their powers grow: for :math:`m = 6` the product of polynomials is evaluated at 3, and
# :math:`3^7 = 2187`.  The large numbers cancel when we come back, and float32 keeps no more than seven digits of
# them.  Fractions help for a while: the powers of 1/2 are small.  But points that lie close together can hardly be
# told apart by the values there.  The figure shows the error of the whole convolution in float32, beside that of
# the usual way (grey line); the scale is logarithmic.  Up to :math:`m = 2` nothing is lost.  From 4 on the two
# choices of points part, and at 8 they are a factor of a thousand apart.

families = {
    "0, 1, -1, 2, -2, 3, -3, ...": (0, 1, -1, 2, -2, 3, -3, 4, -4),
    "0, 1, -1, 1/2, -2, -1/2, 2, ...": (0, 1, -1, 1 / 2, -2, -1 / 2, 2, 1 / 4, -4),
}
x, w = random.standard_normal((1, 24, 24, 32)), random.standard_normal((3, 3, 32, 32))
exact, _ = conv2d.forward(x, w, np.zeros(32))
x_32, w_32 = x.astype(np.float32), w.astype(np.float32)


def error(y):
    """Return the size of the error relative to the size of the output."""
    return np.linalg.norm(y - exact) / np.linalg.norm(exact)


direct = error(conv2d.forward(x_32, w_32, np.zeros(32, np.float32))[0])
errors = {
    name: [error(convolve(x_32, w_32, m, points[: m + 1])) for m in range(1, 9)] for name, points in families.items()
}
_, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
for name, values in errors.items():
    axes.semilogy(range(1, 9), values, "o-", label=f"points {name}")
axes.axhline(direct, color="grey", label="direct")
axes.set(xlabel="m, outputs of a tile in a row", ylabel="relative error", title="Winograd's convolution in float32")
axes.legend()
plt.show()

integers, fractions = errors.values()
print(f"direct {direct:.1e}, m = 4 with the package's points {fractions[3]:.1e}, with integers {integers[3]:.1e}")
assert families["0, 1, -1, 1/2, -2, -1/2, 2, ..."][:5] == winograd.FINITE_POINTS
assert fractions[3] < integers[3], "why the package takes these"
assert max(fractions[:2]) < 1.5 * direct < fractions[3] < 10 * direct
assert integers[7] > 100 * fractions[7]
assert error(convolve(x, w, 8, families["0, 1, -1, 2, -2, 3, -3, ..."])) < 1e-6, "in float64 all of it is harmless"

# %%
# Large numbers that cancel: there they are, the largest entries of the three matrices.  The rounding of each number
# is multiplied by them on its way, twice, since there are rows and columns.  At :math:`m = 8` the largest of A and of G
# are the same for both choices, since either has points of size 4.  What differs is B, by a factor of nearly 30,
# and that twice.

for name, points in families.items():
    for m in (2, 4, 8):
        largest = [np.abs(matrix).max() for matrix in matrices(m, points[: m + 1])]
        print(
            f"points {name:34} m = {m}: largest of A {largest[0]:8.4g}, of B {largest[1]:8.4g}, of G {largest[2]:8.4g}"
        )
largest = [[np.abs(matrix).max() for matrix in matrices(8, points)] for points in families.values()]
assert largest[0][0] == largest[1][0] == 4**7
assert largest[0][1] > 20 * largest[1][1]

# %%
# So :math:`m = 4` it is: three quarters of the multiplications gone, and an error a few times that of the direct
# way.  Six digits are left.
#
# Where it pays, and where not
# ----------------------------
#
# Count everything, for one tile.  Transforms, as products of matrices: :math:`B^T d B` takes
# :math:`6^3 + 6^3 = 432` multiplications for each input channel, :math:`A^T M A` takes
# :math:`4 \cdot 6 \cdot 6 + 4 \cdot 6 \cdot 4 = 240` for each output channel, and :math:`G w G^T` takes
# :math:`6 \cdot 3 \cdot 3 + 6 \cdot 3 \cdot 6 = 162` for each pair of channels, but once for all :math:`R` tiles.
# The products in the middle are :math:`36 \, C K`, where the direct way takes :math:`144 \, C K`.  Divide by
# :math:`C K`: we gain the factor
#
# .. math::
#
#     \frac{144}{36 + 432/K + 240/C + 162/R}
#
# which is nearly 4 if there are many channels and many tiles.  With few channels the transforms weigh as much as
# what they save; with few tiles, in the deepest layers of small images, the kernel's transform does.  The figure puts
# the formula beside measured times, those of im2col divided by those of Winograd's, both by the package's engine.
# Expect them to be less than the formula says: the transforms multiply by matrices of 6x6 and less and carry numbers
# from one piece of memory to another, which the formula does not count.  Below 1, at the dashed line, it does not
# pay.  (Times tremble from run to run, and depend on the machine.)


def gain(side, channels, outputs):
    """Return the factor above for an image of side x side pixels."""
    return 144 / (36 + 432 / outputs + 240 / channels + 162 / (side / 4) ** 2)


side = full_size(64, 32)
layers = [(side, 3, 64), (side, 8, 8), (side, 16, 16), (side, 64, 64), (side, 128, 128), (8, 256, 256)]
labels = [f"{side}x{side} pixels\n{channels} to {outputs}" for side, channels, outputs in layers]
measured = []
for layer, label in zip(layers, labels):
    times = measure.ways(*layer)
    measured.append(times["windows"] / times["winograd"])
    print(f"{label:25}".replace("\n", ", "), *(f"{way} {1e3 * t:7.2f} ms  " for way, t in times.items()))

_, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
places = np.arange(len(layers))
axes.bar(places - 0.2, [gain(*layer) for layer in layers], 0.4, label="multiplications, by the formula")
axes.bar(places + 0.2, measured, 0.4, label="time, measured")
axes.axhline(1, color="black", linestyle="--")
axes.set(xticks=places, xticklabels=labels, ylabel="factor", title="what Winograd's convolution gains")
axes.legend()
plt.show()

assert gain(64, 128, 128) > 3
assert gain(64, 3, 64) < 1.5 > gain(64, 8, 8)
assert gain(8, 256, 256) < 2

# %%
# The package asks the shapes, and takes Winograd's way for 3x3 kernels from 32 channels and 256 pixels upwards
# (``choose`` in ``scratchnst/engine/cpu/conv2d.py``).  In VGG19 that is all but the first layer, which has three
# channels, as long as the pools have left 16x16 pixels.

kernels = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]  # in VGG19: C, K
chosen = [cpu.conv2d.choose((1, 16, 16, C), (3, 3, C, K)) == "winograd" for C, K in kernels]
assert chosen == [False] + 7 * [True]
assert cpu.conv2d.choose((1, 8, 8, 512), (3, 3, 512, 512)) != "winograd"

# %%
# Exercises
# ---------
#
# 1. Multiply the brackets of the first section out, and see all products that should not be there cancel.
# 2. Multiply two complex numbers, or two straight lines :math:`v_0 + v_1 t` and :math:`w_0 + w_1 t`, with three
#    multiplications, by evaluating at 0, 1 and infinity.  (Computers multiply very long integers by this.)
# 3. What would an algorithm look like for kernels of 5x5 and tiles of 2x2?  How many points does it take, what does
#    it gain?  And for 1x1 kernels?
# 4. Choose five points close to 1 for :math:`m = 4`, and measure the error.  Then try to beat the package's points.
#    Judge by several random seeds.
#
# The coding exercise: in ``lessons/14_winograd/exercise.py`` a row of an even number of pixels is convolved with three
# weights, without zeros around it, in tiles of two outputs.  Write ``convolve``, ``backward_input`` and
# ``backward_kernel``.  Pixels, weights and gradients are multiplied with each other by a function that counts, and
# four multiplications a tile are allowed in each of the three.  For ``backward_input`` a convolution with the flipped
# kernel is right but takes too many (the row of pixels is longer than that of the outputs): transpose the steps from
# x to y, as the lesson has done from w to y.  Then run ``scratchnst check 14``.
