r"""
Whitening and colouring: the root of a matrix
=============================================

AdaIN (lesson 19) gives each channel the mean and the deviation of the style's, and each by itself. Which channels rise
together, it does not know. Y. Li et al. (2017) give the features the whole covariance of the style's: first they are
made *white*, so that no channel has anything to do with another one, then they are *coloured* by the style. That needs
the square root of a matrix. This lesson says what that is, and derives its gradient, which is the first one here that
goes through eigenvalues.

After this lesson you can

* compute a covariance, and whiten and colour by it, by hand for two channels;
* say what the root of a matrix is and what it is not, and why there is only one that is symmetric and positive;
* derive its gradient from an equation that it satisfies, without a derivative of the eigenvectors;
* recognise wrong gradients of the root, and say what each of them has left out;
* say why equal eigenvalues do no harm, and why those of zero do;
* go back through whitening and colouring, path by path;
* whiten and colour a picture's colours and a network's features, and say what is left to the decoder.

It needs lessons 3 (adjoints), 10 (Gram matrices), 16 (instance normalisation) and 19 (AdaIN).

========================= ==========================================================================================
symbol                    meaning
========================= ==========================================================================================
:math:`x`                 features of one image, (M, C): M pixels, C channels; pixels are rows
:math:`m, X`              the mean of each channel, and :math:`X = x - m`
:math:`K`                 the covariance, (C, C)
:math:`e`                 what is added to its diagonal
:math:`V, \lambda_i`      eigenvectors, the columns of a rotation V, and eigenvalues of K
:math:`S, r_i`            the root of a matrix, :math:`S S = K`, and its eigenvalues, :math:`r_i = \sqrt{\lambda_i}`
:math:`W`                 :math:`K^{-1/2}`, the inverse of the root
:math:`K_s, m_s`          covariance and mean of the style's features
:math:`y`                 the content, whitened and coloured
:math:`g`                 the upstream gradient; :math:`g' = V^T g V` is it in the eigenbasis
========================= ==========================================================================================
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

from scratchnst import ArbitraryStyle
from scratchnst.classroom import full_size, network, pictures, show_images
from scratchnst.ops import adain, matrix_square_root, whitening
from scratchnst.verify import check_backward

# %%
# What the diagonal leaves out
# ----------------------------
#
# Take the red and the green of two pictures, a point for each pixel. In the village most points lie along the diagonal:
# what is bright is bright in red and in green. In the painting they lie otherwise: orange has much red and little
# green, and the blues have the reverse.
#
# AdaIN moves the cloud to the place of the style's, and stretches it along the axes. It cannot turn it.

side = full_size(96, 32)
random = np.random.default_rng(0)
content, style = pictures(side)
separate, _ = adain.forward(content[np.newaxis], style[np.newaxis])
together, _ = whitening.forward(content[np.newaxis], style[np.newaxis])
clouds = {"content": content, "style": style, "AdaIN": separate[0], "whitened and coloured": together[0]}
_, grid = plt.subplots(1, 4, figsize=(11, 3.2), layout="constrained", sharex=True, sharey=True)
for axes, (name, picture) in zip(grid, clouds.items()):
    pixels = picture.reshape(-1, 3)[::3]
    axes.scatter(pixels[:, 0], pixels[:, 1], s=2, c=np.clip(pixels / 255, 0, 1))
    axes.set(title=name, xlabel="red", xlim=(-150, 400), ylim=(-150, 400))
grid[0].set_ylabel("green")
plt.show()


def correlation(picture):
    """Return how much red and green of a picture (H, W, 3) rise together, -1 to 1."""
    return float(np.corrcoef(picture[..., 0].ravel(), picture[..., 1].ravel())[0, 1])


print({name: f"{correlation(picture):.2f}" for name, picture in clouds.items()})
assert np.isclose(correlation(separate[0]), correlation(content))
assert np.isclose(correlation(together[0]), correlation(style), atol=1e-3)

# %%
# The covariance
# --------------
#
# The covariance has the mean products of the channels, each less its mean:
#
# .. math::
#
#     m = \frac{1}{M} \sum_i x_i, \qquad X = x - m, \qquad K = \frac{1}{M} X^T X \qquad (a)
#
# On its diagonal are the variances. It is the Gram matrix of lesson 10 of the features less their mean, a pixel each.
#
# By hand: four pixels with two channels, :math:`(2, 2), (-2, -2), (1, -1), (-1, 1)`. Their mean is 0. The squares of
# the first channel add up to 4 + 4 + 1 + 1 = 10, those of the second, too, and the products to 4 + 4 - 1 - 1 = 6. So
#
# .. math::
#
#     K = \frac{1}{4} \begin{pmatrix} 10 & 6 \\ 6 & 10 \end{pmatrix}
#     = \begin{pmatrix} 2.5 & 1.5 \\ 1.5 & 2.5 \end{pmatrix}
#
# **Eigenvectors** are the directions that a matrix only stretches: :math:`K v = \lambda v`, or
# :math:`(K - \lambda I) v = 0`. For a v that is not 0 the determinant of :math:`K - \lambda I` must be 0:
#
# .. math::
#
#     (2.5 - \lambda)^2 - 1.5^2 = 0 \qquad \Longrightarrow \qquad \lambda = 2.5 \pm 1.5 = 4 \text{ and } 1
#
# With :math:`\lambda = 4` the first row says :math:`-1.5 v_1 + 1.5 v_2 = 0`, so v is a multiple of (1, 1); with
# :math:`\lambda = 1` it says :math:`1.5 v_1 + 1.5 v_2 = 0`, so v is a multiple of (1, -1). The points spread most along
# (1, 1), where their variance is 4, and least along (1, -1), where it is 1. A symmetric matrix has as many such
# directions as channels, at right angles to each other: with unit vectors as the columns of V,
#
# .. math::
#
#     K = V \, \mathrm{diag}(\lambda) \, V^T, \qquad V^T V = I


def covariance(x):
    """Return K of pixels (M, C)."""
    X = x - x.mean(axis=0)
    return X.T @ X / len(X)


points = np.array([[2.0, 2], [-2, -2], [1, -1], [-1, 1]])
K = covariance(points)
eigenvalues, V = np.linalg.eigh(K)
print("K =\n", K, "\neigenvalues", eigenvalues.round(6))
assert np.allclose(K, [[2.5, 1.5], [1.5, 2.5]])
assert np.allclose(eigenvalues, [1, 4])
assert np.allclose(V * eigenvalues @ V.T, K)

# %%
# The root of a matrix
# --------------------
#
# A matrix S with :math:`S S = K`. In the eigenbasis K is diagonal, and there the roots of numbers will do:
#
# .. math::
#
#     S = V \, \mathrm{diag}(r) \, V^T, \quad r_i = \sqrt{\lambda_i}: \qquad
#     S S = V \, \mathrm{diag}(r) \, V^T V \, \mathrm{diag}(r) \, V^T = V \, \mathrm{diag}(\lambda) \, V^T = K
#     \qquad (b)
#
# By hand: S stretches (1, 1) by 2 and (1, -1) by 1. That is
# :math:`\begin{pmatrix} 1.5 & 0.5 \\ 0.5 & 1.5 \end{pmatrix}`; multiply it with itself.
#
# It is *not* the matrix of the elements' roots. Those are 1.58 and 1.22, and their square is something else.
#
# With :math:`-r_i` in place of some :math:`r_i`, S S is K as well. Only one root has no negative eigenvalues: to
# stretch (1, 1) twice by the same positive factor and arrive at 4, the factor is 2.

S = matrix_square_root.forward(K[np.newaxis], 0)[0][0]
print("S =\n", S.round(6))
assert np.allclose(S, [[1.5, 0.5], [0.5, 1.5]])
assert np.allclose(S @ S, K)
assert not np.allclose(np.sqrt(K) @ np.sqrt(K), K)

# %%
# Whitening and colouring
# -----------------------
#
# :math:`W = K^{-1/2}` stretches each eigenvector by :math:`1/r_i`. After it, every direction has the variance 1:
#
# .. math::
#
#     \frac{1}{M} (X W)^T (X W) = W K W = I
#
# That is white. Then the root of the style's covariance colours it:
#
# .. math::
#
#     y = X \, W \, K_s^{1/2} + m_s \qquad \Longrightarrow \qquad
#     \mathrm{covariance}(y) = K_s^{1/2} \, W K W \, K_s^{1/2} = K_s \qquad (c)
#
# By hand: W halves (1, 1) and leaves (1, -1), so the four points become :math:`(1, 1), (-1, -1), (1, -1), (-1, 1)`, the
# corners of a square. Let the style have the covariance diag(1, 9) and the mean (5, 0). Its root is diag(1, 3): the
# points are :math:`(6, 3), (4, -3), (6, -3), (4, 3)`.

W = matrix_square_root.in_basis(V[np.newaxis], 1 / np.sqrt(eigenvalues)[np.newaxis])[0]
white = points @ W
coloured = white @ np.diag([1.0, 3]) + [5, 0]
print("W =\n", W.round(6), "\nwhite:", white.round(6).tolist(), "\ncoloured:", coloured.round(6).tolist())
assert np.allclose(white, [[1, 1], [-1, -1], [1, -1], [-1, 1]])
assert np.allclose(coloured, [[6, 3], [4, -3], [6, -3], [4, 3]])
assert np.allclose(covariance(coloured), [[1, 0], [0, 9]])

# %%
# The steps as pictures: a cloud, white, and coloured. The ellipse goes through the points at one deviation from the
# mean.

cloud = random.standard_normal((300, 2)) @ S
style_root = np.array([[1.0, -0.8], [-0.8, 1.2]])
circle = np.stack([np.cos(np.linspace(0, 2 * np.pi, 100)), np.sin(np.linspace(0, 2 * np.pi, 100))], axis=1)
_, grid = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained", sharex=True, sharey=True)
for axes, (title, matrix) in zip(grid, {"x": np.eye(2), "white": W, "coloured": W @ style_root}.items()):
    axes.plot(*(cloud @ matrix).T, ".", ms=3)
    axes.plot(*(circle @ S @ matrix).T, "k")
    axes.set(title=title, aspect="equal")
plt.show()
assert np.allclose(S @ W, np.eye(2))

# %%
# Other matrices whiten, too: let a rotation Q follow W, and the points stay white, :math:`Q^T W K W Q = Q^T Q = I`. So
# why the symmetric root? It moves the points least. The mean squared way of a point is
#
# .. math::
#
#     \frac{1}{M} \sum_i |X_i W Q - X_i|^2 = \mathrm{trace}(I) + \mathrm{trace}(K) - 2 \, \mathrm{trace}(S Q), \qquad
#     \mathrm{trace}(S Q) = \sum_i r_i Q'_{ii} \le \sum_i r_i
#
# with :math:`Q' = V^T Q V`, a rotation as well, none of whose elements is larger than 1. All are 1 on the diagonal for
# :math:`Q = I` alone. By hand: 2 + 5 - 2 (2 + 1) = 1; and of our four points two move by :math:`\sqrt 2`, and two stay.
#
# Which of these pictures of the village will you be able to recognise? Its colours are whitened by W, and by W with a
# rotation behind it (into the eigenbasis, as principal components do); then both are coloured by the painting. The
# second has the right covariance, too.


assert np.isclose(((white - points) ** 2).sum(axis=1).mean(), 1)


def in_colours_of(picture, other, rotated=False, e=0.0):
    """Return a picture (H, W, 3) with the mean and, but for e, the covariance of another one's pixels."""
    x, s = picture.reshape(-1, 3), other.reshape(-1, 3)
    eigenvalues, V = np.linalg.eigh(covariance(x) + e * np.eye(3))
    W = V / np.sqrt(eigenvalues) @ (np.eye(3) if rotated else V.T)
    root = matrix_square_root.forward(covariance(s)[np.newaxis])[0][0]
    return ((x - x.mean(axis=0)) @ W @ root + s.mean(axis=0)).reshape(picture.shape)


recoloured = {"symmetric": in_colours_of(content, style), "rotated": in_colours_of(content, style, rotated=True)}
show_images({"content": content, "style": style, **recoloured})
plt.show()
moved = {name: float(np.abs(picture - content).mean()) for name, picture in recoloured.items()}
print("pixels are moved by", {name: f"{distance:.0f}" for name, distance in moved.items()}, "on average")
for picture in recoloured.values():
    assert np.allclose(covariance(picture.reshape(-1, 3)), covariance(style.reshape(-1, 3)), rtol=1e-3, atol=0.1)
assert np.allclose(recoloured["symmetric"], together[0], atol=0.1)
assert moved["symmetric"] < moved["rotated"]

# %%
# Colours from picture to picture
# -------------------------------
#
# This is colour transfer, on its own a useful thing: no network, one matrix and one mean for all pixels. Beside it the
# white village (for the eye 128 + 50 z), and AdaIN on the same pixels. White means that red, green and blue have
# nothing in common any more: what was grey, the common part, is weakened, and what was colour is strengthened. AdaIN
# gives red, green and blue the painting's deviations, and what they have in common stays the village's.

W = np.linalg.inv(matrix_square_root.forward(covariance(content.reshape(-1, 3))[np.newaxis])[0][0])
z = (content - content.mean(axis=(0, 1))) @ W
show_images(
    {
        "content": content,
        "white": 128 + 50 * z,
        "AdaIN": separate[0],
        "whitened and coloured": together[0],
        "style": style,
        "white style": 128 + 50 * in_colours_of(style, z),
        "style, AdaIN by content": adain.forward(style[np.newaxis], content[np.newaxis])[0][0],
        "style, coloured by content": in_colours_of(style, content),
    }
)
plt.show()


def off(picture, other):
    """How far the covariance of a picture's pixels is from another's, relative to that."""
    wanted = covariance(other.reshape(-1, 3))
    return float(np.linalg.norm(covariance(picture.reshape(-1, 3)) - wanted) / np.linalg.norm(wanted))


print(f"covariance off by {off(separate[0], style):.3f} with AdaIN, {off(together[0], style):.5f} when coloured")
assert np.allclose(covariance(z.reshape(-1, 3)), np.eye(3), atol=1e-6)
assert off(together[0], style) < 1e-3 < 0.1 < off(separate[0], style)

# %%
# The means and the covariances agree, and the clouds do not: look at the first figure again. Mean and covariance are
# all first and second moments; the bend in the painting's cloud is in the third and higher ones. What one matrix can do
# is to move, turn and stretch.

# %%
# The derivative of the root
# --------------------------
#
# A change dK of K changes S by how much? One could go through the eigenvalues and eigenvectors, but their derivatives
# divide by differences :math:`\lambda_i - \lambda_j`, and eigenvalues can be equal. There is a way without them. S
# satisfies an equation, so take the product rule of that:
#
# .. math::
#
#     S S = K \qquad \Longrightarrow \qquad dS \, S + S \, dS = dK
#
# The unknown dS stands on both sides of S, so one cannot divide by S. (Such an equation is named after J. J.
# Sylvester.) But in the eigenbasis S is diagonal. Put :math:`dS' = V^T dS \, V` and :math:`dK' = V^T dK \, V`, and each
# element has an equation of its own:
#
# .. math::
#
#     dS'_{ij} r_j + r_i \, dS'_{ij} = dK'_{ij} \qquad \Longrightarrow \qquad
#     dS'_{ij} = \frac{dK'_{ij}}{r_i + r_j} \qquad (d)
#
# For i = j it is the derivative of a number's root, :math:`1 / (2 r)`.
#
# By hand, for our K: let its first element rise alone, :math:`dK = \begin{pmatrix} 1 & 0 \\ 0 & 0 \end{pmatrix}`. The
# eigenvectors are :math:`(1, 1)/\sqrt 2` with r = 2 and :math:`(1, -1)/\sqrt 2` with r = 1, so
#
# .. math::
#
#     dK' = \frac{1}{2} \begin{pmatrix} 1 & 1 \\ 1 & 1 \end{pmatrix}, \quad
#     dS' = \frac{1}{2} \begin{pmatrix} 1/4 & 1/3 \\ 1/3 & 1/2 \end{pmatrix}, \quad
#     dS = V dS' V^T = \frac{1}{48} \begin{pmatrix} 17 & -3 \\ -3 & 1 \end{pmatrix}
#
# Multiply it with S from both sides: :math:`48 \, dS \, S = \begin{pmatrix} 24 & 4 \\ -4 & 0 \end{pmatrix}`, and
# :math:`S \, dS`, times 48, is its transpose. Their sum is 48 dK. Which elements of S move down when the first one of K
# rises?


def root(K):
    return matrix_square_root.forward(K[np.newaxis], 0)[0][0]


dK, h = np.array([[1.0, 0], [0, 0]]), 1e-4
by_differences = (root(K + h * dK) - root(K - h * dK)) / (2 * h)
print("48 dS by central differences:\n", (48 * by_differences).round(5))
assert np.allclose(48 * by_differences, [[17, -3], [-3, 1]], atol=1e-5)
assert np.allclose(by_differences @ S + S @ by_differences, dK, atol=1e-6)

# %%
# Backward: :math:`dL = \sum_{ij} g_{ij} \, dS_{ij}`. A rotation does not change such a sum, so it is
# :math:`\sum_{ij} g'_{ij} \, dS'_{ij} = \sum_{ij} \frac{g'_{ij}}{r_i + r_j} dK'_{ij}`, hence
#
# .. math::
#
#     \frac{\partial L}{\partial K} = V D V^T, \qquad D_{ij} = \frac{g'_{ij}}{r_i + r_j} \qquad (e)
#
# K is symmetric, and so is every change of it: only the symmetric part of g counts, :math:`(g + g^T)/2`.
#
# (d) and (e) are the same map: it is its own adjoint (lesson 3). So for :math:`g = \begin{pmatrix} 1 & 0 \\ 0 & 0
# \end{pmatrix}` the matrix above is :math:`\partial L / \partial K`, too. ``scratchnst/ops/matrix_square_root.py`` says
# it in three lines; here for one matrix.


def root_backward(g, K):
    """Return dL/dK (C, C), equation (e)."""
    eigenvalues, V = np.linalg.eigh(K)
    r = np.sqrt(eigenvalues)
    D = V.T @ ((g + g.T) / 2) @ V / (r[:, np.newaxis] + r)
    return V @ D @ V.T


g = np.array([[1.0, 0], [0, 0]])
print("48 dL/dK =\n", (48 * root_backward(g, K)).round(6))
assert np.allclose(48 * root_backward(g, K), [[17, -3], [-3, 1]])

positive = covariance(random.standard_normal((40, 5)))[np.newaxis]
report = check_backward(matrix_square_root.forward, matrix_square_root.backward, [positive], names=["A"])
print(report)
assert report.passed

# %%
# And the wrong ways? Each of these has one thing wrong. Say of each, before you run it, for which K it would be right.


def wrong_backward(divisor=np.add.outer, kept=1.0, is_elementwise=False):
    """Return a way back (grad_y, cache) -> gradient with something else in the place of r_i + r_j, or of all."""

    def backward(grad_y, cache):
        (V,), (r,) = cache
        if is_elementwise:
            return grad_y / (2 * (V * r @ V.T))
        g = (grad_y[0] + grad_y[0].T) / 2
        return (V @ (kept * (V.T @ g @ V) / divisor(r, r)) @ V.T)[np.newaxis]

    return backward


wrong = {
    "element by element": wrong_backward(is_elementwise=True),
    "the product of two roots": wrong_backward(np.multiply.outer),
    "the sum of two eigenvalues": wrong_backward(lambda a, b: np.add.outer(a**2, b**2)),
    "eigenvectors held fixed": wrong_backward(kept=np.eye(5)),
}
for name, backward in wrong.items():
    report = check_backward(matrix_square_root.forward, backward, [positive], operation="matrix_square_root")
    print(f"{name}: {report.inputs[0].diagnosis}\n")
    assert report.verdict == "fail"
    assert report.inputs[0].diagnosis

# %%
# The product of two roots is right where all r are 2, the sum of eigenvalues where all are 1. The other two are wrong
# in general even for a diagonal K, beside the diagonal: there an element of g asks how the eigenvectors turn, and
# element by element one divides by the root of 0. Only a diagonal g hides that.
#
# Equal eigenvalues
# -----------------
#
# A white covariance, :math:`K = I`, has all eigenvalues equal, and any rotation for V. (d) does not mind: the sum of
# roots is 2 everywhere, and :math:`dS = dK/2`. The way through the eigenvectors divides 0 by 0 there, and near there it
# divides small differences. Compare the two, for eigenvalues that come nearer and nearer to each other. The rounding of
# float64 is about :math:`10^{-16}`; divided by a gap of :math:`10^{-10}` it is :math:`10^{-6}`.


def through_eigenvectors(g, K):
    """Return dL/dK by the derivatives of the eigenvalues, dK'_ii, and eigenvectors, V (dK'_ij / (l_j - l_i))."""
    eigenvalues, V = np.linalg.eigh(K)
    r, g = np.sqrt(eigenvalues), (g + g.T) / 2
    gaps = eigenvalues - eigenvalues[:, np.newaxis]
    F = np.where(np.eye(len(K)) == 1, 0, 1 / np.where(gaps == 0, np.inf, gaps))
    of_vectors = F * (V.T @ (2 * g @ V * r))
    inner = of_vectors + np.diag(np.diag(V.T @ g @ V) / (2 * r))
    return V @ ((inner + inner.T) / 2) @ V.T


gaps, errors = 10.0 ** np.arange(-1, -15, -1), {"eigenvectors": [], "sums of roots": []}
rotation, _ = np.linalg.qr(random.standard_normal((3, 3)))
g = random.standard_normal((3, 3))
for gap in gaps:
    near = rotation * [1, 1 + gap, 2] @ rotation.T
    near = (near + near.T) / 2
    exact = matrix_square_root.backward_loops(g[np.newaxis], near[np.newaxis], 0)[0]
    for name, way in (("eigenvectors", through_eigenvectors), ("sums of roots", root_backward)):
        errors[name].append(max(float(np.abs(way(g, near) - exact).max()), 1e-17))
plt.figure(figsize=(6, 3.4), layout="constrained")
for name, values in errors.items():
    plt.loglog(gaps, values, "o-", label=name)
plt.xlabel("difference of two eigenvalues")
plt.ylabel("error of dL/dK")
plt.legend()
plt.show()
assert max(errors["sums of roots"]) < 1e-12
assert errors["eigenvectors"][-1] > 1e3 * errors["sums of roots"][-1]
assert np.allclose(root_backward(g, np.eye(3)), (g + g.T) / 4)

# %%
# Eigenvalues of zero
# -------------------
#
# A grey picture has the same number in all three channels. Its points lie on a line, and two of the eigenvalues are 0.
# To make that white, W would have to divide by 0; and the slope of the root at 0 is infinite. The same happens with
# features of fewer pixels than channels, and with a channel that a ReLU has silenced.
#
# So something is added to the diagonal, a hundred thousandth of the mean variance and as much of 1:
#
# .. math::
#
#     K = \frac{1}{M} X^T X + e I, \qquad e = 10^{-5} \left( 1 + \frac{1}{C} \mathrm{trace}
#     \left( \frac{1}{M} X^T X \right) \right) \qquad (f)
#
# Every eigenvalue becomes larger by e, and all are positive. Where the variance is much larger, e changes nothing that
# one could see. Where there is none, X is 0 as well, and W does not matter.
#
# Before you look: which colours can a grey content get, and which has a content in a grey style?

grey = np.repeat(content.mean(axis=2, keepdims=True), 3, axis=2)
black = np.zeros_like(content)
print("eigenvalues of the grey picture:", np.linalg.eigvalsh(covariance(grey.reshape(-1, 3))).round(6))
odd = {
    "grey content": whitening.forward(grey[np.newaxis], style[np.newaxis])[0][0],
    "grey style": whitening.forward(content[np.newaxis], grey[np.newaxis])[0][0],
    "black content": whitening.forward(black[np.newaxis], style[np.newaxis])[0][0],
    "black style": whitening.forward(content[np.newaxis], black[np.newaxis])[0][0],
}
show_images(odd)
plt.show()
assert all(np.isfinite(picture).all() for picture in odd.values())
assert np.abs(odd["grey style"] - odd["grey style"].mean(axis=2, keepdims=True)).max() < 2
assert np.allclose(odd["black content"], style.mean(axis=(0, 1)))
assert np.abs(odd["black style"]).max() < 1

# %%
# A grey content gets colours along one line, from dark to light: its pixels are on a line, and a matrix leaves them on
# one. The same of features: M pixels, less their mean, have M - 1 directions at most. Here four pixels with eight
# channels. W is finite, y has the style's mean, and of the style's covariance as much as three directions can have.

few, many = random.standard_normal((1, 2, 2, 8)), random.standard_normal((1, 5, 5, 8))
y, cache = whitening.forward(few, many)
gradients = whitening.backward(random.standard_normal(y.shape), cache)
spread = np.linalg.eigvalsh(covariance(y.reshape(-1, 8)))
print("eigenvalues of four pixels:", np.linalg.eigvalsh(covariance(few.reshape(-1, 8))).round(3))
print("coloured:                  ", spread.round(3))
assert np.sum(spread > 1e-3) == 3
assert np.allclose(y.mean(axis=(1, 2)), many.mean(axis=(1, 2)))
assert all(np.isfinite(gradient).all() for gradient in gradients)

# %%
# The floor has a price and a limit. The price: the slope of the root is finite now, but large, :math:`1 / (2 \sqrt e)`.
# The limit: e takes care of zeros, not of what is nearly zero. A grey photograph from a camera is not quite grey. Add
# noise of half a level to each channel, which no one can see. Its variance, 1/4, is more than e, so whitening makes it
# as large as the light and dark of the village, and colouring paints it in the style's colours. With a hundredth of
# the mean variance for e it stays small. Li et al. leave small eigenvalues out, with the same intention. What is small
# has to be decided by someone; the formula does not know noise from colour.

noisy = grey + 0.5 * random.standard_normal(grey.shape)
variance = np.trace(covariance(noisy.reshape(-1, 3))) / 3
bottom = whitening.EPSILON * (1 + variance)
by_e = {
    "nearly grey": noisy,
    f"e = {bottom:.2f}": in_colours_of(noisy, style, e=bottom),
    f"e = {0.01 * variance:.0f}": in_colours_of(noisy, style, e=0.01 * variance),
}
show_images(by_e)
plt.show()
first, second = (np.abs(picture - odd["grey content"]).mean() for picture in list(by_e.values())[1:])
print(f"from the grey picture's colours, {first:.0f} on average with the small e, {second:.0f} with the large one")
print(f"slope of the root: {0.5 / np.sqrt(bottom):.1f} at the floor, {0.5 / np.sqrt(variance):.4f} at the variance")
assert second < first / 2

# %%
# The way back through all of it
# ------------------------------
#
# Let :math:`R = K^{1/2}`, so :math:`W = R^{-1}`, and :math:`T = W K_s^{1/2}`, so :math:`y = X T + m_s`. Two rules are
# new. The inverse: from :math:`R R^{-1} = I` follows :math:`d(R^{-1}) = -R^{-1} dR \, R^{-1}`. And the root: (e).
#
# .. math::
#
#     \frac{\partial L}{\partial T} = X^T g, \quad
#     \frac{\partial L}{\partial W} = \frac{\partial L}{\partial T} K_s^{1/2}, \quad
#     \frac{\partial L}{\partial R} = -W \frac{\partial L}{\partial W} W, \quad
#     \frac{\partial L}{\partial K_s^{1/2}} = W \frac{\partial L}{\partial T} \qquad (g)
#
# The root leads from R to K, and the Gram matrix from K to X (lesson 10). X also stands in :math:`X T` itself.
# Everything that arrives at X loses its mean on the way to x. And the trace of K stands in e, which is one more small
# path: :math:`\mathrm{trace}(\partial L / \partial K) \, 10^{-5} / C` for each element of the diagonal.
#
# So x arrives at y on three paths, as in lesson 16: itself, the mean, the covariance.


def with_e(K):
    return K + whitening.EPSILON * (1 + np.trace(K) / len(K)) * np.eye(len(K))


def through_covariance(grad_R, X):
    """Return what X gets from the root of its covariance."""
    grad_K = root_backward(grad_R, with_e(covariance(X)))
    grad_K = grad_K + whitening.EPSILON * np.trace(grad_K) / len(grad_K) * np.eye(len(grad_K))
    return 2 / len(X) * X @ grad_K


def three_paths(g, x, style):
    """Return what comes back to x (M, C) through itself, the mean and the covariance."""
    X = x - x.mean(axis=0)
    W, root_of_style = np.linalg.inv(root(with_e(covariance(x)))), root(with_e(covariance(style)))
    grad_W = X.T @ g @ root_of_style
    itself = g @ (W @ root_of_style).T
    through_mean = np.tile(-itself.mean(axis=0), (len(x), 1))
    return itself, through_mean, through_covariance(-W @ grad_W @ W, X)


def style_backward(g, x, style):
    """Return dL/dstyle (M', C): through its mean, and through its covariance."""
    X, centred = x - x.mean(axis=0), style - style.mean(axis=0)
    W = np.linalg.inv(root(with_e(covariance(x))))
    return g.sum(axis=0) / len(style) + through_covariance(W @ X.T @ g, centred)


x, s, g = (random.standard_normal((rows, 3)) for rows in (20, 18, 20))
_, cache = whitening.forward(x[np.newaxis, np.newaxis], s[np.newaxis, np.newaxis])
grad_x, grad_style = whitening.backward(g[np.newaxis, np.newaxis], cache)
assert np.allclose(sum(three_paths(g, x, s)), grad_x[0, 0])
assert np.allclose(style_backward(g, x, s), grad_style[0, 0])

# %%
# ``scratchnst/ops/whitening.py`` does this for all images. The check is the same as for every operation, and it knows
# what a forgotten path looks like.


def forgetting(path):
    """Return whitening's way back to one image without one of the paths."""

    def backward(grad_y, cache):
        _, x, s = cache
        flat = [each[0].reshape(-1, each.shape[3]) for each in (grad_y, x, s)]
        paths = three_paths(*flat)
        kept = sum(each for number, each in enumerate(paths) if number != path)
        return kept.reshape(x.shape), style_backward(*flat).reshape(s.shape)

    return backward


inputs = [random.standard_normal((1, 4, 5, 3)), random.standard_normal((1, 3, 6, 3))]
for name, number in (("the mean", 1), ("the covariance", 2)):
    report = check_backward(
        lambda x, s: (whitening.forward(x, s)[0], (None, x, s)), forgetting(number), inputs, operation="whitening"
    )
    print(f"without {name}: {report.inputs[0].diagnosis}\n")
    assert report.verdict == "fail"
    assert "path" in report.inputs[0].diagnosis

inputs = [random.standard_normal((2, 4, 5, 3)), random.standard_normal((2, 3, 6, 3))]
report = check_backward(whitening.forward, whitening.backward, inputs, names=["x", "style"])
print(report)
assert report.passed

# %%
# The paths as pictures, for the village in the painting's colours, compared with the painting pixel by pixel. Red is
# positive, blue negative, of the red channel. The path through the mean is empty: both pictures have the same mean, so
# that g has none. The village is in the first picture, and nearly gone in the sum.
#
# Is more taken out of the gradient than in lesson 16, or less? Stretch the cloud along its own axes, each by a factor
# of its own: V stays, each :math:`r_i` is stretched, and W undoes it. So y does not change, and the gradient has no
# part along such a stretch: the diagonal of :math:`V^T X^T \, \partial L / \partial x \, V` is 0, but for e. That is as
# many numbers as there are channels, as in lesson 16, but along the eigenvectors in place of the channels.

pixels, painted_pixels = content.reshape(-1, 3), style.reshape(-1, 3)
g = (together[0] - style).reshape(-1, 3)
drawn = three_paths(g, pixels, painted_pixels)
total = sum(drawn)
largest = np.percentile(np.abs(np.array(drawn)[:, :, 0]), 99)
_, grid = plt.subplots(1, 4, figsize=(11, 3.2), layout="constrained")
for axes, path, title in zip(
    grid, (*drawn, total), ("through itself", "through the mean", "through the covariance", "sum: the gradient")
):
    shown = axes.imshow(path[:, 0].reshape(side, side), cmap="RdBu_r", vmin=-largest, vmax=largest)
    axes.set_title(title, fontsize=10)
    axes.axis("off")
plt.colorbar(shown, ax=grid, shrink=0.8)
plt.show()

_, V_content = np.linalg.eigh(covariance(pixels))
along = np.diag(V_content.T @ (pixels - pixels.mean(axis=0)).T @ total @ V_content)
before = np.diag(V_content.T @ (pixels - pixels.mean(axis=0)).T @ drawn[0] @ V_content)
print("along the eigenvectors:", before.round(1), "through itself,", along.round(3), "in all")
assert np.allclose(total.sum(axis=0), 0, atol=1e-6)
assert np.abs(along).max() < 1e-2 * np.abs(before).max()

# %%
# With a diagonal K and a diagonal :math:`K_s` it is AdaIN: then V is the identity, and each channel is divided by its
# own deviation and multiplied by the style's.

apart = np.zeros((1, 8, 4, 2))  # two channels that have nothing to do with each other
apart[..., 0], apart[..., 1] = np.where(np.arange(8) % 2, 3.0, -3.0)[:, np.newaxis], np.where(np.arange(4) % 2, 1, -1)
other = apart[..., ::-1] * 2 + 7
assert np.allclose(covariance(apart.reshape(-1, 2)), np.diag([9, 1]))
assert np.allclose(whitening.forward(apart, other)[0], adain.forward(apart, other)[0], atol=1e-3)

# %%
# Features
# --------
#
# Of pixels, whitening and colouring changes the colours only. Of features, it changes what goes together: strokes of
# one colour with edges of one direction. The decoder of lesson 19 makes a picture of the result, though it was taught
# with AdaIN: ``scratchnst arbitrary PHOTO STYLE -o OUT.png --transform wct``.
#
# Look at the features first. Their Gram matrix, less the part of the means, is the style's after colouring; after AdaIN
# it is so on the diagonal alone.

net, layer = network(), "conv3_1"
F, F_style = (net.features(each[np.newaxis].astype("float32"), [layer])[layer] for each in (content, style))
target = covariance(F_style.reshape(-1, F.shape[3]).astype(float))
left = {}
for name, transform in (("as they are", None), ("AdaIN", adain), ("whitened and coloured", whitening)):
    y = F if transform is None else transform.forward(F, F_style)[0]
    apart = covariance(y.reshape(-1, F.shape[3]).astype(float)) - target
    left[name] = float(np.linalg.norm(apart) / np.linalg.norm(target))
print("covariance off by", {name: f"{distance:.3f}" for name, distance in left.items()})
assert left["whitened and coloured"] < full_size(0.1, 1) * left["AdaIN"]

# %%
# Then the pictures of the decoder. It has norms of its own, whose scales and shifts are chosen by the style as well
# (lesson 19). So there are two ways for a style to come in. To see what each of them does, close one of them: colour
# the features by the photograph's own covariance, which leaves them as they are; or choose the norms by the photograph.

model = ArbitraryStyle.load(transform="adain")
photo, painting = (picture.astype("float32") for picture in pictures(full_size(192, 32)))
by_style, by_photo = (model.styles({"it": picture}, "wct") for picture in (painting, photo))
painted = {
    "AdaIN": model(photo, painting),
    "whitened and coloured": by_style(photo, "it"),
    "features as they are": replace(by_style, features=by_photo.features)(photo, "it"),
    "norms of the photograph": replace(by_photo, features=by_style.features)(photo, "it"),
}
show_images({"content": photo, "style": painting, **painted}, 3)
plt.show()
coloured = painted["whitened and coloured"]
for name in ("AdaIN", "features as they are", "norms of the photograph"):
    print(f"{name}: pixels {np.abs(painted[name] - coloured).mean():.0f} from whitened and coloured, ", end="")
    print(f"their mean {np.abs((painted[name] - coloured).mean(axis=(0, 1))).mean():.0f}, ", end="")
    print(f"their covariance off by {off(painted[name], coloured):.2f}")
assert all(np.isfinite(picture).all() for picture in painted.values())
assert np.allclose(model(photo, painting, transform="wct"), painted["whitened and coloured"], atol=1e-2)


def colour_apart(name, other):
    """How far the mean colour of a painted picture is from another one's."""
    return np.abs((painted[name] - other).mean(axis=(0, 1))).mean()


for name, own, foreign in (
    ("whitened and coloured", painting, photo),
    ("features as they are", painting, photo),
    ("norms of the photograph", photo, painting),
):
    assert colour_apart(name, own) < colour_apart(name, foreign)
for name in ("AdaIN", "features as they are"):
    assert off(painted[name], coloured) < 0.5 * off(painted["norms of the photograph"], coloured)

# %%
# The colours come with the norms: with the painting's norms their mean and their covariance are nearly the same,
# whatever is done to the features, and with the photograph's they are the photograph's. Still, pixels differ: the
# features decide where each colour lies. So AdaIN and whitening look more alike here than their features are. And the
# decoder was taught with AdaIN, and has never seen coloured features.

# %%
# What does it cost? The eigenvalues of a matrix of C channels take about :math:`C^3` multiplications, whatever the size
# of the picture, and the covariance :math:`M C^2`. And all pixels are needed at once, so a large picture cannot be
# painted in strips.
#
# Exercises
# ---------
#
# 1. On paper: what is the root of :math:`\begin{pmatrix} 5 & 4 \\ 4 & 5 \end{pmatrix}`? And its gradient for
#    :math:`g = I`?
# 2. On paper: show that y has the mean :math:`m_s`, and that a content in its own style stays as it is.
# 3. On paper: let g and K have the same eigenvectors. Show that (e) becomes :math:`S^{-1} g / 2`, the derivative of a
#    number's root. Why is that wrong in general?
# 4. On paper: which of the three is the same for AdaIN and for whitening: the mean of y, its variances, its covariance?
# 5. By experiment: whiten with a root that has one negative :math:`r_i`. What becomes of the village's colours?
#
# To write: ``covariance``, ``square_root``, ``square_root_backward`` and ``whiten_and_colour`` in
# ``lessons/20_whitening/exercise.py``. ``scratchnst check 20`` tries them and says what is wrong.
