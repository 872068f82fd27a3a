r"""
Four changes to style: layers, weights, shift, neighbours
=========================================================

R. Novak and Y. Nikulin ("Improving the Neural Algorithm of Artistic Style", arXiv 1605.04603, 2016) asked what the
Gram matrices of five layers leave out. They found a style spread too evenly: textures where the photograph is plain,
and foreground and background painted alike. They kept equation 7 and changed what a style is, in four ways. Each is an
option here, so that you can see it alone. Three are a line; the fourth is a matrix of its own, with a new gradient.

After this lesson you can

* weight layers by powers of two, and say what that does to the size of strokes;
* say what a shift of the features does to a Gram matrix, why it is -1, and that its slope is 1;
* correlate the channels of two layers, although one has a quarter of the other's pixels;
* derive both gradients of a cross-layer Gram matrix, and say why the factor 2 of equation 6 is not there;
* show what neither layer's own Gram matrix can see;
* try each of the four on a picture, and say honestly whether it is better.

It needs lessons 3 (adjoints), 5 (pooling) and 10 (Gram matrices).

======================= ============================================================================================
symbol                  meaning
======================= ============================================================================================
:math:`D, d`            how many layers there are, and the number of one, the layer nearest the image being 1
:math:`w_d`             the weight of a layer in equation 5
:math:`F, G`            features of a layer, (M, N): M positions, N channels; their Gram matrix, :math:`G = F^T F`
:math:`s`               the shift
:math:`a`               the sum of each channel of F over all positions
:math:`K`               features of a deeper layer, with N' channels
:math:`P`               F, averaged down to the resolution of K
:math:`g`               the upstream gradient, :math:`\partial L / \partial G`
======================= ============================================================================================
"""

import matplotlib.pyplot as plt
import numpy as np

from scratchnst import Objective, stylize
from scratchnst.classroom import full_size, network, pictures, show_images
from scratchnst.losses import cross_gram, cross_style_loss, gram, style_loss
from scratchnst.models.normalize import normalize
from scratchnst.ops import average_pool, upsample
from scratchnst.transfer.layer_weights import style_layer_weights
from scratchnst.verify import check_backward

side = full_size(96, 32)
random = np.random.default_rng(0)
content, style = pictures(side)
net = network()


def paint(**changes):
    """Return the content in the style, with changes to what a style is, (side, side, 3)."""
    objective = Objective(net, content, [style], normalized=True, **changes)
    return stylize(objective, init="content", iterations=full_size(60, 2)).image


# %%
# All layers, and geometric weights
# ---------------------------------
#
# Equation 5 takes five layers and gives each a fifth. The paper takes all sixteen convolutions of VGG19. Then it says:
# what we call a style is near the image, in colours and strokes, and what we call content is far from it. So let the
# weight fall with the depth, to a half from layer to layer, :math:`w_d = 2^{D - d}`. The sum of these is
# :math:`2^D - 1`; here they are divided by it, so that beta of equation 7 stays what it is:
#
# .. math::
#
#     w_d = \frac{2^{D - d}}{2^D - 1} \qquad (a)
#
# By hand, three layers: 4, 2 and 1, whose sum is 7. So the first has more weight than all others together, for any D.
#
# Predict: which strokes get larger, which get smaller, if the deep layers count less?

weights = style_layer_weights(net, ["conv1_1", "conv2_1", "conv3_1"], "geometric")
print({name: f"{weight:.4f}" for name, weight in weights.items()})
assert np.allclose(list(weights.values()), [4 / 7, 2 / 7, 1 / 7])
every = style_layer_weights(net, "all", "geometric")
print(f"{len(every)} layers of {net.name}: {', '.join(every)}")

# %%
# VGG19 has sixteen. The distilled network has six that stand for layers of VGG19; their weights contain, besides (a),
# what equation 4 would divide by if they had as many channels as VGG19's.
#
# Deep layers see much of the picture at once: their Gram matrices are what bends whole parts of it into swirls of the
# style. With weights that fall, colours and small strokes count more, and the large swirls less.

painted = {
    "content": content,
    "style": style,
    "five layers": paint(),
    "geometric": paint(layer_weights="geometric"),
    "all layers": paint(style_layers="all"),
    "all, geometric": paint(style_layers="all", layer_weights="geometric"),
}
show_images(painted, 3)
plt.show()
moved = {name: float(np.abs(picture - content).mean()) for name, picture in painted.items() if picture is not content}
print("pixels are moved by", {name: f"{distance:.0f}" for name, distance in moved.items()})
assert all(np.isfinite(picture).all() for picture in painted.values())

# %%
# Activation shift
# ----------------
#
# Features behind a ReLU are zero at most places. Two pixels with two channels, :math:`(2, 0)` and :math:`(0, 2)`:
#
# .. math::
#
#     F = \begin{pmatrix} 2 & 0 \\ 0 & 2 \end{pmatrix}, \qquad G = F^T F = \begin{pmatrix} 4 & 0 \\ 0 & 4 \end{pmatrix}
#
# The two channels exclude each other, which is worth knowing. G says 0: nothing in common. Now add s = -1 to all
# features:
#
# .. math::
#
#     F - 1 = \begin{pmatrix} 1 & -1 \\ -1 & 1 \end{pmatrix}, \qquad
#     (F - 1)^T (F - 1) = \begin{pmatrix} 2 & -2 \\ -2 & 2 \end{pmatrix}
#
# There it is, the -2. In general, with the sums a of the channels, a row of ones for each position:
#
# .. math::
#
#     G_s[i,j] = \sum_m (F[m,i] + s) (F[m,j] + s) = G[i,j] + s (a[i] + a[j]) + s^2 M \qquad (b)

F = np.array([[2.0, 0], [0, 2]])
print("G =\n", F.T @ F, "\nof F - 1:\n", (F - 1).T @ (F - 1))
assert np.allclose((F - 1).T @ (F - 1), [[2, -2], [-2, 2]])


def by_sums(F, s):
    """Equation (b)."""
    a = F.sum(axis=0)
    return F.T @ F + s * (a[:, np.newaxis] + a) + s**2 * len(F)


F = random.standard_normal((7, 3))
assert np.allclose(by_sums(F, -1.0), (F - 1).T @ (F - 1))

# %%
# Why -1? VGG19 is normalised (lesson 8): over the pictures every filter's mean is 1. So F - 1 has the mean 0 there, and
# :math:`G_s` is M times the *covariance* of lesson 20: how channels differ from their means together, and nothing of
# the means themselves. In every element of G / M there is a 1 that comes from the means, :math:`1 \cdot 1`. That is
# what the shift takes out.
#
# A network whose filters have other means needs another shift for each. So does the distilled one: its layers see
# VGG19's features along other axes, where a mean of 1 is another vector. There the objective takes s times the mean of
# each channel over both pictures.
#
# Here are G / M of one layer, its filters scaled to the mean 1, and the same of F - 1.

layer = "conv2_1"
normal = normalize(net, [style], [layer]) if not net.normalized else net
features = normal.features(style[np.newaxis].astype("float32"), [layer])[layer].reshape(
    -1, normal.shapes(1, 1)[layer][2]
)
features = features.astype("float64") / np.maximum(features.mean(axis=0, dtype="float64"), 1e-6)
features = features[:, features.mean(axis=0) > 0.5]  # without filters that are active nowhere
G, shifted = (X.T @ X / len(X) for X in (features, features - 1))
_, grid = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
for axes, (title, matrix) in zip(grid, {"G / M": G, "of F - 1": shifted}.items()):
    largest = np.percentile(np.abs(matrix), 98)
    shown = axes.imshow(matrix, cmap="RdBu_r", vmin=-largest, vmax=largest)
    axes.set_title(title, fontsize=10)
    plt.colorbar(shown, ax=axes, shrink=0.8)
plt.show()
print(f"negative elements: {np.mean(G < -1e-9):.0%} of G, {np.mean(shifted < -1e-9):.0%} of F - 1's")
assert (G > -1e-9).all()
assert (shifted < -1e-9).any()
assert np.allclose(shifted, np.cov(features.T, bias=True), atol=1e-6)

# %%
# *The gradient.* Let :math:`X = F + s`. The slope of X with respect to F is 1, whatever s is. So what reaches X reaches
# F, and lesson 10 says what reaches X:
#
# .. math::
#
#     \frac{\partial L}{\partial F} = \frac{\partial L}{\partial X} \cdot 1 = (F + s) (g + g^T) \qquad (c)
#
# By hand, with the F of two pixels above, s = -1 and g one for the element (1, 2), else zero: :math:`g + g^T` exchanges
# the channels, so the gradient is F - 1 with its channels exchanged, :math:`(-1, 1)` and :math:`(1, -1)`.
#
# The usual mistake: G is made of F + s, and F is what backward remembers. Which error does that make? For s = -1 and a
# mean of 1, look at (c): the mean of the gradient.


def of_shifted(F):
    """Return the Gram matrix of F - 1, and what backward is to remember."""
    return gram.forward(F - 1)[0], F


def forgetful(grad_G, F):
    """The mistake."""
    return gram.backward(grad_G, F)


def right(grad_G, F):
    """Equation (c)."""
    return gram.backward(grad_G, F - 1)


inputs = [1 + random.standard_normal((1, 3, 4, 2))]
assert not check_backward(of_shifted, forgetful, inputs).passed
assert check_backward(of_shifted, right, inputs).passed
F = np.array([[2.0, 0], [0, 2]]).reshape(1, 1, 2, 2)
assert np.allclose(right(np.array([[[0.0, 1], [0, 0]]]), F)[0, 0], [[-1, 1], [1, -1]])

# %%
# Two layers
# ----------
#
# A stroke is an edge (conv1_1) in a certain pattern (conv2_1). The two Gram matrices know how often the edge occurs,
# and how often the pattern does; whether the edge occurs *in* the pattern, neither knows. A cross-layer Gram matrix
# does:
#
# .. math::
#
#     G[i,j] = \sum_m P[m,i] K[m,j], \qquad G = P^T K \qquad (d)
#
# It has a row for each channel of the upper layer and a column for each of the deeper one. It is not symmetric, and not
# even square. Of a layer with itself it is equation 3.
#
# Here is the proof that it sees more. Take any F and K. Shuffle the positions of K, and of K alone. Both own Gram
# matrices stay, to the last digit. The cross-layer one does not.

F, K = random.standard_normal((1, 6, 6, 3)), random.standard_normal((1, 6, 6, 2))
shuffled = random.permutation(K.reshape(36, 2)).reshape(K.shape)
assert np.allclose(gram.forward(shuffled)[0], gram.forward(K)[0])
cross, cross_of_shuffled = (cross_gram.forward(F, each)[0] for each in (K, shuffled))
print("cross-layer Gram matrix:\n", cross[0].round(1), "\nafter a shuffle of K:\n", cross_of_shuffled[0].round(1))
assert not np.allclose(cross, cross_of_shuffled, atol=0.1)

# %%
# *The common resolution.* Behind a pool K has a quarter of the pixels, and a product needs pairs. The paper repeats
# each pixel of K, :math:`U K`, nearest upsampling. One may as well average F over the squares, :math:`D F`, average
# pooling, which is what the P above stands for. Which is better? Lesson 3: the adjoint of D gives a quarter of a number
# to each pixel of its square, and U gives all of it. So :math:`U = 4 D^T`, and
#
# .. math::
#
#     F^T (U K) = 4 F^T D^T K = 4 (D F)^T K = 4 P^T K \qquad (e)
#
# It is the same matrix, but for the 4; and the sum on the left has 4 times as many terms, so that the means over
# positions are equal. On the right there is a quarter of the multiplications. So we average.
#
# By hand: F has one channel, 2 rows and 4 columns; K has two channels, 1 row and 2 columns.
#
# .. math::
#
#     F = \begin{pmatrix} 1 & 3 & 0 & 2 \\ 5 & 7 & 2 & 0 \end{pmatrix}, \qquad K = (2, 10), (1, -1)
#
# The squares' means are 16/4 = 4 and 4/4 = 1, so
#
# .. math::
#
#     G = (4 \cdot 2 + 1 \cdot 1, \quad 4 \cdot 10 - 1 \cdot 1) = (9, 39)
#
# With K repeated, the squares' sums 16 and 4 stand in the place of 4 and 1, and G is (36, 156).

F = np.array([[1.0, 3, 0, 2], [5, 7, 2, 0]]).reshape(1, 2, 4, 1)
K = np.array([[2.0, 10], [1, -1]]).reshape(1, 1, 2, 2)
G, _ = cross_gram.forward(F, K)
repeated, _ = upsample.forward(K)
of_repeated, _ = cross_gram.forward(F, repeated)
print("averaged:", G[0], " repeated:", of_repeated[0])
assert np.allclose(G, [[9, 39]])
assert np.allclose(of_repeated, [[36, 156]])
P, _ = average_pool.forward(F)
assert np.allclose(P.ravel(), [4, 1])

# %%
# Its gradient
# ------------
#
# Hold K fixed: G is linear in P. The number :math:`P[m,i]` stands in row i of G, in :math:`G[i,j]` with the slope
# :math:`K[m,j]`. And :math:`K[m,j]` stands in column j, in :math:`G[i,j]` with the slope :math:`P[m,i]`:
#
# .. math::
#
#     \frac{\partial L}{\partial P[m,i]} = \sum_j g[i,j] K[m,j], \qquad
#     \frac{\partial L}{\partial K[m,j]} = \sum_i g[i,j] P[m,i]
#
# .. math::
#
#     \frac{\partial L}{\partial P} = K g^T, \qquad \frac{\partial L}{\partial K} = P g \qquad (f)
#
# From P to F leads the adjoint of the mean, :math:`D^T`: a quarter to each pixel of the square, nothing to a last row
# or column that is in none.
#
# .. math::
#
#     \frac{\partial L}{\partial F} = D^T (K g^T) \qquad (g)
#
# In lesson 10 the factor was :math:`g + g^T`: F stood in G twice, in rows and in columns. Here each layer stands in it
# once. Put F for both, and add both gradients: :math:`F g^T + F g`. The old equation is the sum of the two new ones.
#
# By hand, g = (1, 0): :math:`\partial L / \partial P` is the first channel of K, 2 and 1, so that the pixels of the
# left square get 0.5 each, and those of the right one 0.25. :math:`\partial L / \partial K` is P in the first channel,
# 4 and 1, and 0 in the second.

grad_F, grad_K = cross_gram.backward(np.array([[[1.0, 0]]]), (F, K))
print("dL/dF =\n", grad_F[0, ..., 0], "\ndL/dK =\n", grad_K[0, 0])
assert np.allclose(grad_F[0, ..., 0], [[0.5, 0.5, 0.25, 0.25]] * 2)
assert np.allclose(grad_K[0, 0], [[4, 0], [1, 0]])

same, g = random.standard_normal((1, 4, 5, 3)), random.standard_normal((1, 3, 3))
assert np.allclose(sum(cross_gram.backward(g, (same, same))), gram.backward(g, same))

# %%
# ``scratchnst/losses/cross_gram.py`` has these lines. The check moves every number of both layers. Then two mistakes:
# a square's gradient given to each of its pixels in full, and K taken with the first pixel of each square of F.


def undivided(grad_G, cache):
    """The mean's quarter forgotten."""
    grad_F, grad_K = cross_gram.backward(grad_G, cache)
    return 4 * grad_F, grad_K


def first_pixels(grad_G, cache):
    """P without the mean."""
    F, K = cache
    grad_F, _ = cross_gram.backward(grad_G, cache)
    return grad_F, cross_gram.backward(grad_G, (F[:, :4:2, :6:2], K))[1]


inputs = [random.standard_normal((3, 5, 6, 7)), random.standard_normal((3, 2, 3, 5))]
report = check_backward(cross_gram.forward, cross_gram.backward, inputs, names=["F", "K"], operation="cross_gram")
print(report)
assert report.passed
for number, (wrong, key) in enumerate(((undivided, "square-not-divided"), (first_pixels, "first-pixel-of-square"))):
    found = check_backward(cross_gram.forward, wrong, inputs, names=["F", "K"], operation="cross_gram").inputs[number]
    print("\n", found.diagnosis)
    assert found.diagnosis_key == key

# %%
# The loss of a pair
# ------------------
#
# Equation 4 divides by :math:`4 N^2 M^2`. For a pair, with N and N' channels and M positions of the deeper layer:
#
# .. math::
#
#     E = \frac{1}{4 N N' M^2} \sum_{ij} (G[i,j] - A[i,j])^2, \qquad
#     \frac{\partial E}{\partial K} = \frac{P (G - A)}{2 N N' M^2} \qquad (h)
#
# The 2 stays, where equation 6 has none: that one is the sum of two such gradients. And the weight of a pair is
# :math:`\sqrt{w_l w_k}`, so that a layer paired with itself is equation 5, too.

A = random.standard_normal((1, 3, 3))
A = A + A.swapaxes(1, 2)
E, cache = cross_style_loss.forward(same, same, A)
expected, expected_cache = style_loss.forward(same, A)
print(f"a layer paired with itself: {E:.6f}, equation 4: {expected:.6f}")
assert np.isclose(E, expected)
assert np.allclose(sum(cross_style_loss.backward(1.0, cache)), style_loss.backward(1.0, expected_cache))

# %%
# Which pairs? Sixteen layers have 120 pairs, and the paper reports that distant ones spoil the picture: it takes the
# *chain* of neighbours, 15 pairs, in place of the sixteen Gram matrices. ``correlations="neighbours"`` does that,
# ``"both"`` keeps the layers' own as well.

chain = Objective(net, content, [style], normalized=True, correlations="neighbours", style_layers="all")
names = [term.name for term in chain.summands if term.above is not None]
print(names)
assert len(names) == len(chain.style_layers) - 1

x = content + random.standard_normal(content.shape)
direction = random.standard_normal(content.shape)
exact = Objective(net, content, [style], normalized=True, correlations="both", activation_shift=-1.0, dtype="float64")
slope = (exact(x + 1e-4 * direction)[0] - exact(x - 1e-4 * direction)[0]) / 2e-4
along = float(np.vdot(exact(x)[1], direction))
print(f"from the pixels to the loss, along a random direction: {along:.8g}, by differences {slope:.8g}")
assert np.isclose(along, slope, rtol=1e-5)

# %%
# On a picture
# ------------
#
# Each alone, then all four. Without the means two Gram matrices differ by less: of the photograph's style loss a small
# part is left, see the numbers. With the old beta the content would win, so that ``--preset improved`` takes a style
# weight of 10. What do you see, and is it better? Decide before you read on.

FOUR = {
    "style_layers": "all",
    "layer_weights": "geometric",
    "activation_shift": -1.0,
    "correlations": "neighbours",
}
first = {}
for name, changes in {"equations 4 and 5": {}, "all four": FOUR}.items():
    objective = Objective(net, content, [style], normalized=True, **changes)
    objective(content)
    first[name] = sum(term.weight * objective.terms[term.name] for term in objective.summands)  # content's is zero
print("style loss of the photograph:", {name: f"{loss:.3g}" for name, loss in first.items()})
assert first["all four"] < first["equations 4 and 5"]

each = {
    "equations 4 and 5": painted["five layers"],
    "all layers": painted["all layers"],
    "geometric weights": painted["geometric"],
    "shift of -1": paint(activation_shift=-1.0),
    "neighbours": paint(correlations="neighbours"),
    "all four": paint(**FOUR, style_weight=10.0),
}
show_images(each, 3)
plt.show()
moved = {name: float(np.abs(picture - content).mean()) for name, picture in each.items()}
apart = {name: float(np.abs(picture - each["equations 4 and 5"]).mean()) for name, picture in each.items()}
for name in each:
    print(f"{name}: pixels {moved[name]:.0f} from the content, {apart[name]:.0f} from equations 4 and 5")
assert apart["equations 4 and 5"] == 0
assert all(np.isfinite(picture).all() for picture in each.values())

# %%
# *All layers* change little here, where five of six were in before. *Geometric weights* make small dabs of strong
# colour, and the large arcs weaker. The *shift* changes most: arcs around the sun and in the sky, where the photograph
# is plain, are gone, mountain and tower keep their shape, and the colours are calmer. *Neighbours* lie between: softer
# arcs, and colours that run over edges. *All four*, with the larger weight, have the longest strokes and the strongest
# colours; what is small, as the windows, is lost in them.
#
# Is that improved? By eye the authors found the improvement to be anything from hardly visible to significant, and
# there is no other measure. Where texture in a plain sky disturbs you, try the shift first.
#
# Exercises
# ---------
#
# 1. On paper: for how many layers has the first more than 0.6 of the weight?
# 2. On paper: what is :math:`G_s` for F constant 1 and s = -1? What does that say of a plain blue sky?
# 3. On paper: derive equation (b) for a shift that differs from channel to channel.
# 4. On paper: show that :math:`F^T (U K) = 4 (D F)^T K` for one square, with the four pixels written out.
# 5. By experiment: ``scratchnst transfer CONTENT STYLE -o OUT.png --activation-shift -5``. Why is that worse than -1?
#
# To write: ``geometric_weights``, ``shifted_gram_backward``, ``cross_gram`` and ``cross_gram_backward`` in
# ``lessons/21_improved/exercise.py``. ``scratchnst check 21`` tries them and says what is wrong.
