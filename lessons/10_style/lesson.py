r"""
What style is: Gram matrices and textures
=========================================

Lesson 9 compared two pictures place by place.  For a style that is the wrong question: a painting does not change its
style when it is cut into pieces and the pieces change places.  What we want to compare is *which
strokes and colours occur, and which occur together*, wherever that is.  The paper does it with Gram matrices.  This
lesson derives their gradient, equation 6, without leaving out a step, and then lets the layers show what they know of a
style: the lower half of the paper's Figure 1.

After this lesson you can

* compute a Gram matrix by hand, and say what its diagonal and its other elements count,
* show that it forgets places, and what the factor 1/(4 N² M²) of equation 4 is good for,
* derive equation 6 with all indices, from equations 3 and 4, and find each of its factors again in the code,
* make textures that have the style of a picture at one layer, at two, at all of them,
* take the gradient of a single pixel apart and say which layer pushes it.

It needs lessons 4 (ReLU), 8 (the walk back) and 9 (content loss).

===============================  ===========================================================================
symbol                           meaning
===============================  ===========================================================================
:math:`F`                        features of an image at one layer, (M, N): positions by channels
:math:`M, N`                     number of positions and of channels of the layer
:math:`m`                        a position, 1 to M
:math:`i, j`                     two channels, 1 to N (in lesson 9 i was a position)
:math:`a, b`                     position and channel of the feature with respect to which we differentiate
:math:`G`                        Gram matrix of the image that we look for, (N, N)
:math:`A`                        Gram matrix of the style image at the same layer
:math:`E_l`                      style loss of layer l, equation 4
:math:`w_l`                      its weight in equation 5
:math:`L, z`                     the total loss; what enters the ReLU that makes F
:math:`D`                        a short name for :math:`\partial E / \partial G`, (N, N)
:math:`\delta_{ij}`              1 if i = j, else 0
===============================  ===========================================================================

The paper's F has channels in rows, ours in columns.  So the paper's :math:`G = F F^T` reads :math:`G = F^T F` here.
"""

import matplotlib.pyplot as plt
import numpy as np

from scratchnst import Objective, stylize
from scratchnst.attribution import plot
from scratchnst.attribution.attribution import trace
from scratchnst.classroom import full_size, network, pictures, show_images
from scratchnst.losses import content_loss, gram, style_loss
from scratchnst.models.normalize import normalize
from scratchnst.models.receptive_field import field, unit
from scratchnst.ops import relu
from scratchnst.verify import check_gradient

# %%
# The same style, other places
# ----------------------------
#
# Cut the style picture into quarters and let them change places crosswise.  Is this the same style?  Most people say
# yes.  A comparison place by place, the content loss of lesson 9, finds it about as far from the original as quite
# another picture, or farther.
#
# The layers are those that the network recommends for style.  In the distilled network these are side rows:
# ``like_conv2_1`` reads ``conv2_1`` and was trained to be like VGG19's ``conv2_1`` after scaling to mean activation 1.
# The pictures must be larger than what a unit sees (lesson 8), up to 156 pixels at ``conv5_1``: to a unit that sees the
# whole picture, quarters in other places are another picture.  Layers that see more are left out.

side = full_size(192, 32)
content, style = pictures(side)
random = np.random.default_rng(0)
shuffled = np.roll(style, (side // 2, side // 2), axis=(0, 1))  # upper left and lower right change places, and so on

net = network()
if not net.normalized:  # VGG19's own weights
    net = normalize(net, [content, style])
sees = {name: field(net, (512, 512), name, unit(16, 16)).shape[0] for name in net.defaults.style_layers}
layers = [name for name in sees if sees[name] <= side]
deep = layers[-1]


def features_of(image):
    """Features at the style layers, of one image (H, W, 3)."""
    features, _ = net.forward(image[np.newaxis].astype("float32"), layers)
    return features


F_style, F_shuffled, F_content = (features_of(image) for image in (style, shuffled, content))
far = [content_loss.forward(F[deep], F_style[deep])[0] for F in (F_shuffled, F_content)]
print(f"content loss against the style picture, at {deep}: shuffled {far[0]:.3g}, the other picture {far[1]:.3g}")
show_images({"style": style, "the same, shuffled": shuffled, "another picture": content})
plt.show()

assert far[0] > 0.7 * far[1]

# %%
# Counting what occurs together
# -----------------------------
#
# A first idea: count how often each feature occurs, that is, add up each channel over all positions.  It is not
# enough.  Let a layer have two channels, "orange" and "upright stroke", and four positions.  In one picture the
# upright strokes are the orange ones; in the other there are orange spots and upright strokes elsewhere:
#
# .. math::
#
#     F_{\text{together}} = \begin{pmatrix} 1 & 1 \\ 1 & 1 \\ 0 & 0 \\ 0 & 0 \end{pmatrix}, \qquad
#     F_{\text{apart}} = \begin{pmatrix} 1 & 0 \\ 1 & 0 \\ 0 & 1 \\ 0 & 1 \end{pmatrix}
#
# A row is a position, a column a channel.  Both have two orange positions and two strokes; the sums cannot tell them
# apart.  But multiply the two channels *at each position* and add that up: 1 + 1 + 0 + 0 = 2 in the first, 0 in the
# second.  Do so for every pair of channels:
#
# .. math::
#
#     G_{ij} = \sum_{m=1}^{M} F_{mi} F_{mj} \qquad (3)
#
# That is the *Gram matrix*.  Its element (i, j) says how strongly channels i and j are active at the same places; on
# the diagonal stands how strongly each is active at all.  Summing products over the middle index is what a matrix
# product does, so :math:`G = F^T F`, and G is symmetric, since :math:`F_{mi} F_{mj} = F_{mj} F_{mi}`.

together = np.array([[1.0, 1], [1, 1], [0, 0], [0, 0]])
apart = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])


def gram_by_loops(F):
    """Equation 3, one product at a time."""
    M, N = F.shape
    G = np.zeros((N, N))
    for m in range(M):
        for i in range(N):
            for j in range(N):
                G[i, j] += F[m, i] * F[m, j]
    return G


for name, F in (("together", together), ("apart", apart)):
    print(f"{name}:\n{F.T @ F}")
    assert np.array_equal(F.T @ F, gram_by_loops(F))
    assert np.array_equal(F.T @ F, gram.forward(F.reshape(1, 2, 2, 2))[0][0])  # scratchnst/losses/gram.py

assert np.array_equal(together.sum(axis=0), apart.sum(axis=0))

# %%
# It forgets places
# -----------------
#
# Shuffle the positions, the rows of F.  The sum in (3) runs over all of them, in another order now, and is the same.
# So no Gram matrix can know where anything is, but for what one unit sees at once, its receptive field.  What remains
# is N x N numbers for a layer, whatever the size of the picture.

F = F_style[layers[0]].reshape(-1, F_style[layers[0]].shape[3]).astype(float)
G = F.T @ F
F_mixed = random.permutation(F)  # its rows
assert np.allclose(F_mixed.T @ F_mixed, G)

# %%
# The pieces of the shuffled picture have kept their own features but for the seams.  So its Gram matrices should be
# near those of the style, and the content's far: the order that our eye has, too.


def gram_distance(F, name):
    """Length of G - A relative to A, A being the style's Gram matrix."""
    G, A = (gram.forward(each[name])[0] for each in (F, F_style))
    return np.linalg.norm(G - A) / np.linalg.norm(A)


print(f"{'layer':<14}{'shuffled':>9}{'another':>9}")
for name in layers:
    near, other = gram_distance(F_shuffled, name), gram_distance(F_content, name)
    print(f"{name:<14}{near:>9.2f}{other:>9.2f}")
    assert near < 0.85 * other

# %%
# This is what the matrices look like at the first layer, twelve channels of it.  Each element is divided by the
# lengths of its two channels, which makes it the cosine of the angle between them: 1 if the two always occur
# together, as each does with itself, on the diagonal; 0 if never.  Compare the patterns beside the diagonal: the
# first two are alike.

cosines = {}
for title, F in (("style", F_style), ("shuffled", F_shuffled), ("another picture", F_content)):
    G = gram.forward(F[layers[0]])[0][0]
    lengths = np.sqrt(np.diag(G))
    cosines[title] = (G / np.outer(lengths, lengths))[:12, :12]

fig, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained", sharey=True)
for ax, (title, matrix) in zip(axes, cosines.items()):
    drawn = ax.imshow(matrix, vmin=0, vmax=1)
    ax.set_title(f"G of: {title}")
    ax.set_xlabel("channel j")
    ax.set_xticks(range(0, 12, 3))
axes[0].set_ylabel("channel i")
fig.colorbar(drawn, ax=axes, label="cosine")
plt.show()

far = {title: np.linalg.norm(matrix - cosines["style"]) for title, matrix in cosines.items()}
assert far["shuffled"] < 0.7 * far["another picture"]

# %%
# Equations 4 and 5
# -----------------
#
# The style loss of a layer is the squared distance between the Gram matrices, over all pairs of channels,
#
# .. math::
#
#     E_l = \frac{1}{4 N^2 M^2} \sum_{i=1}^{N} \sum_{j=1}^{N} (G_{ij} - A_{ij})^2 \qquad (4)
#
# and the style loss as a whole is a weighted sum over layers,
#
# .. math::
#
#     \mathcal{L}_{\text{style}} = \sum_l w_l E_l \qquad (5)
#
# Why the factor in front of (4)?  G adds up M positions, so it grows in proportion to M; its square grows with
# :math:`M^2`, and dividing by :math:`M^2` takes that back.  (The paper has the style's M equal to the image's.
# ``Objective`` scales the style to as many pixels, but keeps its proportions; if it has M' positions at a layer, A is
# its Gram matrix times M/M', so that G/M is compared with a mean over positions as well.)  There are :math:`N^2` pairs,
# and dividing by :math:`N^2` makes a mean of the sum.  The 4 will be of use in the derivative.
#
# Put four copies of a picture side by side: same style, four times the positions.  The loss must not change.

random_F, random_A = random.uniform(0, 1, (2, 6, 3))  # 6 positions, 3 channels each


def E(F, A):
    """Equation 4."""
    M, N = F.shape
    return np.sum((F.T @ F - A) ** 2) / (4 * N**2 * M**2)


once = E(random_F, random_A.T @ random_A)
four_F, four_A = np.tile(random_F, (4, 1)), np.tile(random_A, (4, 1))
assert np.isclose(E(four_F, four_A.T @ four_A), once)

as_images = random_F.reshape(1, 2, 3, 3), (random_A.T @ random_A)[np.newaxis]
assert np.isclose(style_loss.forward(*as_images)[0], once)  # scratchnst/losses/style_loss.py

# %%
# Equation 6, step by step
# ------------------------
#
# We want :math:`\partial E / \partial F_{ab}`: how the loss of one layer changes with the feature of channel b at
# position a.  (There is one layer only, so we leave out the l.)  The way from F to E leads over G, so there are two
# derivatives and a chain rule between them.
#
# **Step 1: from E to G.**  One element of G stands in one square of (4).  The square brings a factor 2:
#
# .. math::
#
#     D_{ij} = \frac{\partial E}{\partial G_{ij}} = \frac{2 (G_{ij} - A_{ij})}{4 N^2 M^2}
#     = \frac{G_{ij} - A_{ij}}{2 N^2 M^2}
#
# **Step 2: from G to F.**  How does :math:`G_{ij}` change with :math:`F_{ab}`?  Equation 3 is a sum of products, so
# the product rule gives two terms:
#
# .. math::
#
#     \frac{\partial G_{ij}}{\partial F_{ab}}
#     = \sum_m \left( \frac{\partial F_{mi}}{\partial F_{ab}} F_{mj}
#     + F_{mi} \frac{\partial F_{mj}}{\partial F_{ab}} \right)
#
# :math:`\partial F_{mi} / \partial F_{ab}` is 1 if it is the same element, m = a and i = b, and 0 if not: it is
# :math:`\delta_{ma} \delta_{ib}`.  A sum over m of something times :math:`\delta_{ma}` keeps the term m = a alone:
#
# .. math::
#
#     \frac{\partial G_{ij}}{\partial F_{ab}}
#     = \sum_m \left( \delta_{ma} \delta_{ib} F_{mj} + F_{mi} \delta_{ma} \delta_{jb} \right)
#     = \delta_{ib} F_{aj} + \delta_{jb} F_{ai}
#
# In words: :math:`F_{ab}` takes part in row b of G and in column b, each time multiplied with another channel at the
# same position a.

# %%
# **Step 3: the chain rule.**  Every element of G may depend on :math:`F_{ab}`, so we add over all of them:
#
# .. math::
#
#     \frac{\partial E}{\partial F_{ab}} = \sum_{i,j} D_{ij} \frac{\partial G_{ij}}{\partial F_{ab}}
#     = \sum_{i,j} D_{ij}\, \delta_{ib} F_{aj} + \sum_{i,j} D_{ij}\, \delta_{jb} F_{ai}
#     = \sum_j D_{bj} F_{aj} + \sum_i D_{ib} F_{ai}
#
# The deltas have each removed one of the two sums.
#
# **Step 4: symmetry.**  G and A are symmetric, so D is: :math:`D_{bj} = D_{jb}`.  Then the first sum is
# :math:`\sum_j F_{aj} D_{jb}`, and the second is the same with i for j.  Two equal sums:
#
# .. math::
#
#     \frac{\partial E}{\partial F_{ab}} = 2 \sum_j F_{aj} D_{jb} = 2\, (F D)_{ab}
#
# **Step 5: put D in.**
#
# .. math::
#
#     \frac{\partial E}{\partial F} = 2 F \, \frac{G - A}{2 N^2 M^2} = \frac{F (G - A)}{N^2 M^2}
#
# Here is what the 4 was for: one 2 of it went with the square, the other with the two equal sums.  The shapes agree:
# (M, N) times (N, N) is (M, N), the shape of F.
#
# **Step 6: through the ReLU.**  As in lesson 9, with respect to what enters the ReLU that made F:
#
# .. math::
#
#     \frac{\partial E}{\partial z_{ab}} = \begin{cases} \frac{1}{N^2 M^2} \left( F (G - A) \right)_{ab}
#     & \text{if } F_{ab} > 0 \\ 0 & \text{if } F_{ab} < 0 \end{cases} \qquad (6)
#
# and where the ReLU has cut off, F = 0, we take 0.  In the paper's layout, with F transposed, it reads
# :math:`\left( F^T (G - A) \right)_{ji}`.

# %%
# First on the small example.  Let the picture be ``apart``, and the style want ``together``.
#
# .. math::
#
#     G - A = \begin{pmatrix} 2 & 0 \\ 0 & 2 \end{pmatrix} - \begin{pmatrix} 2 & 2 \\ 2 & 2 \end{pmatrix}
#     = \begin{pmatrix} 0 & -2 \\ -2 & 0 \end{pmatrix}, \qquad N^2 M^2 = 4 \cdot 16 = 64
#
# An orange position without a stroke, (1, 0), gets the gradient :math:`(1, 0)(G - A)/64 = (0, -1/32)`.  Descending
# means going against it: the *stroke* channel there is to grow.  And a stroke without orange, (0, 1), gets
# :math:`(-1/32, 0)`: it is to become orange.  That is what we mean.

A = together.T @ together
gradient = apart @ (apart.T @ apart - A) / 64
print(gradient * 32)
assert np.array_equal(gradient * 32, [[0, -1], [0, -1], [-1, 0], [-1, 0]])

# %%
# Then the derivation held against the definition, each step by itself.  Four nested loops for steps 2 and 3, with all
# their deltas; the matrix form; the package's; and the slope measured by central differences, which knows nothing of
# Gram matrices.

F, A = random_F, random_A.T @ random_A
M, N = F.shape
G = F.T @ F
D = (G - A) / (2 * N**2 * M**2)

by_loops = np.zeros((M, N))
for a in range(M):
    for b in range(N):
        for i in range(N):
            for j in range(N):
                by_loops[a, b] += D[i, j] * ((i == b) * F[a, j] + (j == b) * F[a, i])

by_matrices = F @ (G - A) / (N**2 * M**2)
_, cache = style_loss.forward(*as_images)
by_package = style_loss.backward(1.0, cache).reshape(M, N)

assert np.allclose(by_loops, by_matrices)
assert np.allclose(by_package, by_matrices)
report = check_gradient(lambda F: E(F, A), F, by_matrices, samples=None, name="equation 6")
print(report)
assert report.passed

# %%
# And step 6: the loss's gradient and one ReLU back is the paper's equation 6, ``style_loss.equation_6``.

z = random.standard_normal((1, 4, 5, 3))
F_image, relu_cache = relu.forward(z)
_, cache = style_loss.forward(F_image, A[np.newaxis])
in_two_steps = relu.backward(style_loss.backward(1.0, cache), relu_cache)
in_one_step = style_loss.equation_6(F_image.reshape(20, 3), A)
assert np.allclose(in_two_steps.reshape(20, 3), in_one_step)

# %%
# A mistake easily made is to see only one of the two places in which :math:`F_{ab}` stands in G: one of the sums of
# step 3 is lost, and the gradient is half of what it should be.  Pictures still come out, since the direction is
# right; only the balance with the content is not the one that was asked for.  The check finds it in a moment.

report = check_gradient(lambda F: E(F, A), F, F @ D, samples=None, name="one sum lost")
print("\n".join(str(report).splitlines()[:4]))
assert not report.passed

# %%
# Textures
# --------
#
# Now the question of lesson 9 for Gram matrices: *which pictures have this style?*  Start from white noise and
# descend on equation 5, without any content.  First with the first layer alone, then with the first two, and so on:
# the lower half of the paper's Figure 1.  (``bounded=True`` keeps pixels within 0 to 255 all the way; to cut them off
# at the end would change the Gram matrices again.)

iterations = full_size(80, 20)


def texture(style_layers):
    """Return an image with the style's Gram matrices at some layers, from white noise, and what is left of the loss."""
    weights = {name: net.defaults.style_layers[name] for name in style_layers}
    objective = Objective(net, styles=[style], style_layers=weights, style_weight=1e4, tv_weight=0)
    noise_loss, _ = objective(white_noise)
    result = stylize(objective, white_noise, iterations=iterations, optimizer="scipy-lbfgs", bounded=True)
    return result.image, result.loss / noise_loss


white_noise = random.normal(127.5, 20, style.shape)
made = {"the style": style}
for count in range(1, len(layers) + 1):
    picture, left = texture(layers[:count])
    made[f"{count} layer{'s' * (count > 1)}"] = picture
    print(f"{', '.join(layers[:count])}: the loss falls to {left:.1e} of the noise's")
    assert left < 0.3

show_images(made, columns=3)
plt.show()

# %%
# With the first layer alone: the colours, in spots and a fine grain.  With each further layer larger things: patches
# of one colour, then strokes that bend together, with ``conv5_1`` whirls as large as the style's.  (With the distilled
# network the last picture is still pale after so few steps; after 300 its colours are as strong as the others'.)  Units
# of deeper layers see larger pieces (lesson 8), so what they count together is larger.
#
# And nothing is in its place.  None of the pictures is a copy of the style, though at the layers that were asked for
# (first column) its Gram matrices are nearly the style's.  Measured at *all* layers (second column), the first one
# alone is far from enough.

remaining = {}
print(f"{'Gram matrices off by':<22}{'asked for':>10}{'all layers':>12}")
for count, title in enumerate(made):
    F = features_of(made[title])
    off = [gram_distance(F, name) for name in layers]
    remaining[title] = np.mean(off)
    asked = np.mean(off[: count or None])  # of the style itself: all
    print(f"{title:<22}{asked:>10.1%}{np.mean(off):>12.1%}")
    assert asked < 0.5

*_, all_layers = remaining.values()
assert remaining["1 layer"] > 1.2 * all_layers
assert np.sqrt(np.mean((made[f"{len(layers)} layers"] - style) ** 2)) > 30  # of 255: it is no copy

# %%
# Where does this pixel's gradient come from?
# -------------------------------------------
#
# In a style transfer content and several style layers push each pixel at once, and the walk back adds their pushes
# up.  Can they be told apart again?  L is a sum of weighted terms :math:`L_t`: the content loss, the style loss of
# each layer, and the total variation of lesson 1, "tv", which the package adds by default with a small weight.  For one
# colour :math:`x` of one pixel the chain rule says, for the terms that look at a layer,
#
# .. math::
#
#     \frac{\partial L}{\partial x} = \sum_{\text{terms } t} \frac{\partial L_t}{\partial x}, \qquad
#     \frac{\partial L_t}{\partial x}
#     = \sum_{m, i} \frac{\partial L_t}{\partial F_{mi}} \, \frac{\partial F_{mi}}{\partial x}
#
# The first factor is F - P of lesson 9, or F(G - A)/(N²M²) of this one, times the term's weight.  The second, how
# each feature changes as the pixel changes, can be carried *down* the table along with the features: a convolution
# convolves it, without bias, a constant that has no slope; a ReLU passes it where it is open; a pooling averages it.
# Then every product is known by itself, unit by unit.  ``scratchnst/attribution/attribution.py`` does
# that, and ``scratchnst trace`` on the command line.
#
# With three colours the gradient of a term is a vector :math:`g_t`, and that of L is :math:`g = \sum_t g_t`.  As the
# *share* of a term we take how far it goes along g,
#
# .. math::
#
#     \text{share}_t = \frac{\langle g_t, g \rangle}{\langle g, g \rangle}, \qquad
#     \sum_t \text{share}_t = \frac{\langle \sum_t g_t, g \rangle}{\langle g, g \rangle} = 1
#
# A term with a negative share pushes against the whole; a long :math:`g_t` across g has a small share.

objective = Objective(net, content, [style], dtype="float64")
noise = np.random.default_rng(1).normal(127.5, 20, objective.shape)
pixel = (side // 2, side // 3)
found = trace(objective, noise, pixel)

print(f"{'term':<24}{'R':>11}{'G':>11}{'B':>11}{'share':>8}")
for part in found.parts:
    print(f"{part.name:<24}" + "".join(f"{g:>11.2e}" for g in part.gradient) + f"{found.share(part.gradient):>8.0%}")
print(f"{'the sum':<24}" + "".join(f"{g:>11.2e}" for g in found.total))
print(f"{'the walk back':<24}" + "".join(f"{g:>11.2e}" for g in found.gradient))

assert found.error < 1e-10  # length of the difference of the last two lines, relative to the last

# %%
# The maps below show from where in its layer each push comes, red for a positive share of the whole, blue for a
# negative one: the first layer's from 3x3 positions around the pixel, the deepest one's from all the units in whose
# receptive field it lies.

plot.draw(found, {"the content": content, "the image": noise}, plt.figure(layout="constrained"))
plt.show()

style_parts = [part for part in found.parts if part.name.startswith("style/")]
reached = [part.window.shape[0] for part in style_parts]
print("rows of each style layer that see the pixel:", reached)
assert reached[0] == 3
assert np.isclose(sum(found.share(part.gradient) for part in found.parts), 1)

# %%
# Exercises
# ---------
#
# 1. Let F have a single channel.  Write equations 3, 4 and 6 for it.  What does the style loss compare then?
# 2. Add a constant c to every feature of a channel.  How do G's row and column of it change?  What if one subtracted
#    the mean of each channel first, :math:`(F - \bar{F})^T (F - \bar{F})`: what would the gradient be?
# 3. What is the rank of G at most, in terms of M and N?  At the deepest layer of a small picture M is smaller than N.
#    What does that mean for how much G knows of the picture?
# 4. Make a texture from the deepest layer alone, ``texture(layers[-1:])``.  What is missing, and why?
# 5. Trace another pixel, or the same one at ``content`` in place of ``noise``.  Which term is silent there, and why?
#
# To write: ``gram_forward``, ``gram_backward`` and ``style_backward`` in ``lessons/10_style/exercise.py``.  The
# second takes *any* gradient from above, not only a symmetric one, and so begins at step 3, not at step 5.
# ``scratchnst check 10`` tries them and says what is wrong.
