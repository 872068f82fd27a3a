r"""
What a layer knows: the content loss
====================================

When do two pictures show the same thing?  Not when their pixels are equal: move the camera by a hair, and nearly every
pixel changes, though the picture shows what it did.  The paper's answer is to compare not pixels but the features of a
trained network.  This lesson builds that comparison, the *content loss*, equations 1 and 2 of the paper.  Then it turns
the question round, *which pictures have these features?*, and so lets each layer show what it knows.  That is the
upper half of the paper's Figure 1.

After this lesson you can

* say why a distance of pixels is a bad distance of contents, with numbers,
* derive equation 1's gradient with all indices, and equation 2's two cases,
* explain what "F < 0" means in equation 2, although features are never negative,
* reconstruct a picture from the features of any layer, and say what that layer keeps and what it throws away.

It needs lessons 4 (ReLU) and 8 (the walk down and back).  An optimiser is a tool here; lessons 11 and 12 open it.

===============================  ===========================================================================
symbol                           meaning
===============================  ===========================================================================
:math:`p`                        the content image
:math:`x`                        the image that we look for
:math:`F`                        features of x at one layer, as a matrix (M, N): positions by channels
:math:`P`                        features of p at the same layer
:math:`M, N`                     number of positions and of channels of the layer
:math:`z`                        what enters the ReLU that makes F, :math:`F = \max(z, 0)`
:math:`\mathcal{L}_c`            the content loss, one number (the paper writes "content" out)
:math:`\alpha`                   its weight
===============================  ===========================================================================

The paper's F has channels in rows and positions in columns; ours is the transpose, since our arrays end with their
channels: (1, H, W, N) becomes (M, N) by ``reshape`` without a copy.  Sums over all elements are the same for both.
"""

import matplotlib.pyplot as plt
import numpy as np

from scratchnst import Objective, stylize
from scratchnst.classroom import full_size, network, pictures, show_images
from scratchnst.losses import content_loss
from scratchnst.models.normalize import normalize
from scratchnst.ops import relu
from scratchnst.verify import check_gradient

# %%
# Two pictures, equally far away
# ------------------------------
#
# Take the content picture and change it in two ways.  Once everything moves one pixel to the right.  Once every pixel
# gets noise, just so much that the distance from the original, the root mean square over all numbers, is the same.

content, style = pictures(full_size(160, 32))
random = np.random.default_rng(0)


def distance(a, b):
    """Root mean square of a - b."""
    return np.sqrt(np.mean((a - b) ** 2))


moved = np.roll(content, 1, axis=1)
moved[:, 0] = content[:, 0]  # not the last column, which comes round
noise = random.standard_normal(content.shape)
noisy = content + noise * distance(moved, content) / distance(noise, 0)

print(f"distance of pixels: moved {distance(moved, content):.2f}, noisy {distance(noisy, content):.2f}")
show_images({"the content p": content, "moved by one pixel": moved, "noisy": noisy})
plt.show()

assert np.isclose(distance(moved, content), distance(noisy, content))

# %%
# A distance of pixels cannot tell the two apart.  You can: the one shows what the original shows, the other is spoilt.
#
# Now ask the network, layer by layer, from the first to the deepest.  We measure how far the features have moved,
# relative to their own root mean square.  VGG19's weights are first scaled to mean activation 1 (lesson 8); the
# distilled network is taken as it comes, since here every layer is measured by itself.

net = network()
if not net.normalized:  # VGG19's own weights
    net = normalize(net, [content])
layers = [row.name for row in net.layers if row.kind == "conv"]


def features_of(image):
    """Features at all layers, of one image (H, W, 3)."""
    features, _ = net.forward(image[np.newaxis].astype("float32"), layers)
    return features


P, F_moved, F_noisy = (features_of(image) for image in (content, moved, noisy))
gone_moved, gone_noisy = (
    [distance(F[name], P[name]) / distance(P[name], 0) for name in layers] for F in (F_moved, F_noisy)
)

plt.figure(figsize=(6, 3), layout="constrained")
plt.plot(layers, gone_moved, "o-", label="moved by one pixel")
plt.plot(layers, gone_noisy, "s-", label="noisy")
plt.ylabel("change, relative to the features")
plt.title(f"{net.name}: how far the features move, for equal changes of pixels")
plt.xticks(rotation=45)
plt.ylim(bottom=0)
plt.legend()
plt.show()

assert gone_moved[0] > gone_noisy[0]
assert gone_moved[-1] < gone_noisy[-1]

# %%
# At the first layer moving is the larger change; at the deepest it is clearly the smaller one.  Down there a unit sees
# tens of pixels, or hundreds, and its neighbour is four pixels away or more: what is a pixel further right is nearly
# the same to it.  So *distance of deep features* comes nearer to "shows something else" than distance of pixels does.

# %%
# Equation 1
# ----------
#
# The paper's content loss measures the same with squares, added up and halved: over all positions i and channels j of
# one layer
#
# .. math::
#
#     \mathcal{L}_c(F) = \frac{1}{2} \sum_{i=1}^{M} \sum_{j=1}^{N} (F_{ij} - P_{ij})^2 \qquad (1)
#
# By hand, for two positions and two channels:
#
# .. math::
#
#     F = \begin{pmatrix} 1 & 0 \\ 2 & 3 \end{pmatrix}, \quad
#     P = \begin{pmatrix} 1 & 2 \\ 0 & 1 \end{pmatrix}, \quad
#     F - P = \begin{pmatrix} 0 & -2 \\ 2 & 2 \end{pmatrix}, \quad
#     \mathcal{L}_c = \tfrac{1}{2} (0 + 4 + 4 + 4) = 6
#
# ``scratchnst/losses/content_loss.py`` says the same in one line, and keeps F - P for the way back.

F_small = np.array([[1.0, 0.0], [2.0, 3.0]])
P_small = np.array([[1.0, 2.0], [0.0, 1.0]])

loss, difference = content_loss.forward(F_small, P_small)
by_loops = 0.0
for i in range(2):
    for j in range(2):
        by_loops += 0.5 * (F_small[i, j] - P_small[i, j]) ** 2

print(f"loss {loss}, by loops {by_loops}")
assert loss == by_loops == 6

# %%
# Its gradient
# ------------
#
# Pick one element, :math:`F_{ab}`, and differentiate (1) with respect to it.  P is the content's and stays as it is.
# The derivative of a sum is the sum of derivatives:
#
# .. math::
#
#     \frac{\partial \mathcal{L}_c}{\partial F_{ab}}
#     = \frac{1}{2} \sum_{i,j} \frac{\partial}{\partial F_{ab}} (F_{ij} - P_{ij})^2
#     = \frac{1}{2} \sum_{i,j} 2\, (F_{ij} - P_{ij}) \frac{\partial F_{ij}}{\partial F_{ab}}
#
# by the chain rule for the square.  The last factor is 1 where i = a and j = b.  It is 0 for every other element: the
# elements of F are variables of their own here.  Of the whole sum one term is left, and the 2 takes away the half:
#
# .. math::
#
#     \frac{\partial \mathcal{L}_c}{\partial F_{ab}} = F_{ab} - P_{ab}, \qquad
#     \frac{\partial \mathcal{L}_c}{\partial F} = F - P
#
# That is what the half in (1) is for.  In words: each feature is pulled towards the content's, by as much as it is
# off.
#
# In the paper's total loss L, equation 7 (lesson 13), the content loss will stand with a weight :math:`\alpha`.  Then
# :math:`\partial L / \partial \mathcal{L}_c = \alpha` comes from above, and the chain rule multiplies by it;
# ``backward`` has it as its first argument.

alpha = 10.0
grad_F = content_loss.backward(alpha, difference)
print(grad_F)
assert np.array_equal(grad_F, alpha * (F_small - P_small))

# %%
# Equation 2, and where F < 0
# ---------------------------
#
# The paper writes the gradient with two cases:
#
# .. math::
#
#     \frac{\partial \mathcal{L}_c}{\partial F_{ij}} = \begin{cases}
#     F_{ij} - P_{ij} & \text{if } F_{ij} > 0 \\ 0 & \text{if } F_{ij} < 0 \end{cases} \qquad (2)
#
# This looks strange twice.  F comes out of a ReLU, so it is never below 0.  And where does the case come from: there
# was none in our derivation?
#
# It comes from the ReLU.  Read (2) as the derivative with respect to what *enters* the ReLU, z, which can be
# negative. Put :math:`F_{ij} = \max(z_{ij}, 0)` into (1) and use the chain rule once more:
#
# .. math::
#
#     \frac{\partial \mathcal{L}_c}{\partial z_{ij}}
#     = \frac{\partial \mathcal{L}_c}{\partial F_{ij}} \frac{\partial F_{ij}}{\partial z_{ij}}
#     = (F_{ij} - P_{ij}) \cdot \begin{cases} 1 & \text{if } z_{ij} > 0 \\ 0 & \text{if } z_{ij} < 0 \end{cases}
#
# Where z > 0, F equals z; where z < 0, F is 0.  So "F > 0" and "z > 0" are the same case, and the paper's "F < 0" is
# the case in which the ReLU has cut off: F = 0.  There we take 0, as at the kink in lesson 4.
#
# Equation 2 is thus no new rule.  It is the gradient F - P of above and one step of the walk back, the ReLU's.  In
# the package each has its own file, and ``content_loss.equation_2`` states the two together:

z = random.standard_normal((6, 4))
F, relu_cache = relu.forward(z)
P_some = np.abs(random.standard_normal((6, 4)))

loss, cache = content_loss.forward(F, P_some)
in_two_steps = relu.backward(content_loss.backward(1.0, cache), relu_cache)
in_one_step = content_loss.equation_2(F, P_some)

assert np.array_equal(in_two_steps, in_one_step)
assert np.array_equal(content_loss.equation_2(F_small, P_small), [[0, 0], [2, 2]])  # the example by hand

# %%
# Look at a single unit whose content feature is P = 1, and slide z.  On the right the loss is a parabola and its
# slope pulls z towards 1.  On the left the loss is flat: F is 0 and should be 1, the loss knows it, and yet no small
# change of z makes any difference.  It is a dead unit (lesson 4), which its own gradient cannot wake.

line = np.linspace(-2, 3, 501)
F_line = np.maximum(line, 0)
losses = 0.5 * (F_line - 1) ** 2
slopes = content_loss.equation_2(F_line, np.ones_like(F_line))

plt.figure(figsize=(6, 3), layout="constrained")
plt.plot(line, losses, label="loss, equation 1")
plt.plot(line, slopes, label="slope, equation 2")
plt.axvline(0, color="0.7", lw=1, zorder=0)
plt.axhline(0, color="0.7", lw=1, zorder=0)
plt.xlabel("z, before the ReLU")
plt.title("One unit with P = 1: loss but no slope where z < 0")
plt.legend()
plt.show()

measured = np.gradient(losses, line)
away = np.abs(line) > 0.02  # from the kink
assert np.allclose(measured[away], slopes[away], atol=0.02)

# %%
# How many units are in that state?  Take white noise, with which we soon shall start, and count the units that are
# silent though the content's are not.  It is no small part, and still the picture will be found: a unit's z is a sum
# over many pixels, which other units pull; when these have moved far enough, the silent unit wakes.

white_noise = random.normal(127.5, 20, content.shape)
F_noise = features_of(white_noise)
stuck = [np.mean((F_noise[name] == 0) & (P[name] > 0)) for name in layers]
for name, share in zip(layers, stuck):
    print(f"{name}: {share:.0%} of the units are silent and should not be")

assert 0 < max(stuck) < 0.9

# %%
# Down to the pixels
# ------------------
#
# The paper says in half a sentence that the gradient with respect to the image follows by back-propagation.  You know
# that half sentence: it is the walk back of lesson 8.  In five lines, from pixels to loss and gradient:


def content_objective(x, layer, target, net):
    """Return the content loss of image x (H, W, 3) against the features `target`, and its gradient."""
    features, cache = net.forward(x[np.newaxis], [layer])
    loss, loss_cache = content_loss.forward(features[layer], target)
    grad_F = content_loss.backward(1.0, loss_cache)
    grad_x = net.backward({layer: grad_F}, cache)
    return loss, grad_x[0]


# %%
# The check is as always: central differences, in float64, on a small image.

exact = net.astype("float64")
small_content, small_noise = random.uniform(0, 255, (2, 12, 12, 3))
layer = layers[3]
target = exact.forward(small_content[np.newaxis], [layer])[0][layer]

report = check_gradient(
    lambda x: content_objective(x, layer, target, exact), small_noise, samples=full_size(12, 4), name=layer
)
print(report)
assert report.passed

# %%
# ``Objective`` is the package's version: it computes the targets once, and then gives loss and gradient for any image,
# for as many layers as one likes.  (``tv_weight=0`` leaves out the total variation of lesson 1.)

objective = Objective(exact, small_content, content_layers=[layer], content_weight=1, tv_weight=0, dtype="float64")
loss, grad = content_objective(small_noise, layer, target, exact)
package_loss, package_grad = objective(small_noise)
assert np.isclose(loss, package_loss)
assert np.allclose(grad, package_grad)

# %%
# What a layer knows
# ------------------
#
# A gradient lets us turn the network round.  Take the features P that a layer has of the content, and forget the
# picture.  Start from white noise and descend on equation 1 until the features match.  What comes out is *a* picture
# with these features.  If the layer knew everything, it is the content; what the layer has thrown away will come out
# as the noise left it, or as anything.  Paper, Figure 1, upper half.
#
# ``stylize`` runs an optimiser (L-BFGS, here SciPy's; lesson 12 takes one apart) from a given start and returns the
# image.  We take the second convolution of each block, as in the paper, and, of a network of three blocks, the deepest.

iterations = full_size(80, 25)
chosen = [name for name in layers if name.endswith("_2")]
chosen += [name for name in layers[-1:] if name not in chosen and layers[-1] < "conv4"]


def reconstruct(layer, seed=0):
    """Return a picture with the content's features at one layer, and what part of the start's loss is left."""
    objective = Objective(net, content, content_layers=[layer], content_weight=1, tv_weight=0)
    start = np.random.default_rng(seed).normal(127.5, 20, content.shape)
    result = stylize(objective, start, iterations=iterations, optimizer="scipy-lbfgs")
    return result.image, result.loss / objective(start)[0]


found = {"the content": content}
off, left = [], []
for name in chosen:
    picture, loss_left = reconstruct(name)
    off.append(distance(picture, content))
    left.append(loss_left)
    found[f"from {name}"] = picture
    print(f"{name}: the loss falls to {loss_left:.1e} of the noise's; pixels are off by {off[-1]:.1f}")

show_images(found, columns=3)
plt.show()

assert max(left) < 0.2
assert off[-1] > 1.5 * off[0]

# %%
# From the first block the picture comes back nearly as it was: those layers have lost nothing that one could see.
# From deeper layers the houses, the boat and the mountain are where they were, but the exact colours and the fine
# detail are not: outlines wobble, plain areas fill with a web of colours.  From VGG19's ``conv5_2``, whose units see
# the whole of this picture, a few outlines are left, and with so few steps much of the noise.  In the paper's words,
# higher layers keep the content, the arrangement of things, and let the exact pixel values go.  It is the same
# observation as in the first section, seen from the other side, and it is what makes style transfer possible: there is
# room in the picture that the content does not use.
#
# Is it the layer that forgets, or has the optimiser not finished?  The losses printed above are small fractions of
# what they were, but for that of ``conv5_2``, while the pixels are far off: what remains hardly matters to the layer.

plt.figure(figsize=(5, 3), layout="constrained")
plt.bar(chosen, off, color="0.5")
plt.xlabel("reconstructed from")
plt.ylabel("root mean square, of 0-255")
plt.title("How far the pixels of the reconstructions are off")
plt.show()

assert off[0] == min(off)

# %%
# Many pictures, the same features
# --------------------------------
#
# If a layer throws something away, then different pictures have the same features there.  Start from two different
# noises and reconstruct from ``conv4_2``, the paper's content layer, or, if it is not there, from the deepest of our
# layers: two pictures that are nearer to each other, and to the content, in what the layer sees than in their pixels.
# How far they are apart we measure in pixels and in features alike, relative to the content's contrast, which is its
# distance from its own mean.  (In the third picture grey means no difference.)

deep = "conv4_2" if "conv4_2" in chosen else chosen[-1]
one, another = found[f"from {deep}"], reconstruct(deep, seed=1)[0]
show_images({"from noise 0": one, "from noise 1": another, "difference": 127.5 + (one - another)})
plt.show()


def apart(a, b, reference):
    """Distance of a and b, relative to the contrast of the reference."""
    return distance(a, b) / distance(reference, reference.mean())


F_one, F_another = (features_of(image)[deep] for image in (one, another))
in_pixels, in_features = apart(one, another, content), apart(F_one, F_another, P[deep])
print(f"from each other:  {in_pixels:.0%} in pixels, {in_features:.0%} in features of {deep}")
from_content = apart(one, content, content), apart(F_one, P[deep], P[deep])
print(f"from the content: {from_content[0]:.0%} in pixels, {from_content[1]:.0%} in features")
assert in_features < 0.5 * in_pixels
assert from_content[1] < 0.5 * from_content[0]

# %%
# Exercises
# ---------
#
# 1. Derive the gradient of :math:`\frac{1}{4} \sum (F - P)^4` and of :math:`\sum |F - P|`, with respect to F and with
#    respect to z.  Which of the three losses cares most about a few features that are far off?
# 2. Equation 1 is a sum.  By which factor does it grow, roughly, when height and width of both images double?  With
#    which :math:`\alpha` is it a mean, and what is then the gradient of :math:`\alpha \mathcal{L}_c` at one unit?
# 3. In ``reconstruct``, start from ``style`` in place of noise (``stylize(objective, style)``).  Which traces of
#    the start remain from ``conv1_2``, and which from the deepest layer?  Explain it with what the layers throw away.
# 4. Give ``Objective`` two content layers, ``content_layers={"conv1_2": 1e-3, deep: 1}``.  What does the picture take
#    from either?
#
# To write: ``content_forward`` and ``content_backward`` in ``lessons/09_content/exercise.py``: the content loss from
# what enters the ReLU, and its gradient with respect to that, with a weight from above.  ``scratchnst check 9`` tries
# them and says what is wrong.
