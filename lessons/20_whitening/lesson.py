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
* say why equal eigenvalues do no harm, and why those of zero do;
* whiten and colour a picture's colours and a network's features, and say what is left to the decoder.

It needs lessons 10 (Gram matrices), 16 (instance normalisation) and 19 (AdaIN).

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
# **Eigenvectors** are the directions that a matrix only stretches. Here they can be guessed:
# :math:`K (1, 1)^T = (4, 4)^T` and :math:`K (1, -1)^T = (1, -1)^T`. So the eigenvalues are 4 and 1. The points spread
# most along (1, 1), where their variance is 4, and least along (1, -1), where it is 1. A symmetric matrix has as many
# such directions as channels, at right angles to each other: with unit vectors as the columns of V,
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
# Other matrices whiten, too: a rotation may follow W, and the points stay white. So why the symmetric root? It moves
# the points least. Rotated, each white pixel would be something else than before; with the symmetric root a bright red
# one stays the reddest. Here the colours of the village, whitened by W, and by W with a rotation behind it (into the
# eigenbasis, as principal components do), then both coloured by the painting. The second has the right covariance, too.


def in_colours_of(picture, other, rotated=False):
    """Return a picture (H, W, 3) with the mean and the covariance of another one's pixels."""
    x, s = picture.reshape(-1, 3), other.reshape(-1, 3)
    eigenvalues, V = np.linalg.eigh(covariance(x))
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
# Backward: :math:`dL = \sum_{ij} g_{ij} \, dS_{ij}`. A rotation does not change such a sum, so it is
# :math:`\sum_{ij} g'_{ij} \, dS'_{ij} = \sum_{ij} \frac{g'_{ij}}{r_i + r_j} dK'_{ij}`, hence
#
# .. math::
#
#     \frac{\partial L}{\partial K} = V D V^T, \qquad D_{ij} = \frac{g'_{ij}}{r_i + r_j} \qquad (e)
#
# K is symmetric, and so is every change of it: only the symmetric part of g counts, :math:`(g + g^T)/2`.
#
# By hand, for our K, with :math:`g = \begin{pmatrix} 1 & 0 \\ 0 & 0 \end{pmatrix}`. The eigenvectors are
# :math:`(1, 1)/\sqrt 2` with r = 2 and :math:`(1, -1)/\sqrt 2` with r = 1, so
#
# .. math::
#
#     g' = \frac{1}{2} \begin{pmatrix} 1 & 1 \\ 1 & 1 \end{pmatrix}, \quad
#     D = \frac{1}{2} \begin{pmatrix} 1/4 & 1/3 \\ 1/3 & 1/2 \end{pmatrix}, \quad
#     V D V^T = \frac{1}{48} \begin{pmatrix} 17 & -3 \\ -3 & 1 \end{pmatrix}


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
# Everything that arrives at X loses its mean on the way to x. ``scratchnst/ops/whitening.py`` writes it down line by
# line; the check is the same as for every operation.

inputs = [random.standard_normal((2, 4, 5, 3)), random.standard_normal((2, 3, 6, 3))]
report = check_backward(whitening.forward, whitening.backward, inputs, names=["x", "style"])
print(report)
assert report.passed

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
    off = covariance(y.reshape(-1, F.shape[3]).astype(float)) - target
    left[name] = float(np.linalg.norm(off) / np.linalg.norm(target))
print("covariance off by", {name: f"{distance:.3f}" for name, distance in left.items()})
assert left["whitened and coloured"] < full_size(0.1, 0.5) * left["AdaIN"]

# %%
# Then the pictures of the decoder. They are not far from each other: the decoder's own norms do most of what can be
# seen.

model = ArbitraryStyle.load()
photo, painting = (picture.astype("float32") for picture in pictures(full_size(192, 32)))
painted = {name: model(photo, painting, transform=name) for name in ("adain", "wct")}
show_images({"content": photo, "style": painting, **painted})
plt.show()
assert all(np.isfinite(picture).all() for picture in painted.values())
print(f"the pictures differ by {np.abs(painted['adain'] - painted['wct']).mean():.0f} on average")

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
