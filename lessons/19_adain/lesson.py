r"""
Moments and AdaIN: any style in one pass
========================================

The painter of lesson 18 holds the styles that it was trained for. To paint in a style that it has never seen, a network
must be told what the style is, in numbers that can be computed from any picture at once. X. Huang and S. Belongie
(2017) took the mean and the deviation of each channel of some features, its *moments*, and gave them to the features of
the photograph. This lesson asks what these numbers know of a style, derives their gradients, and shows why a decoder
must be taught to make a picture of the result.

After this lesson you can

* compute mean and deviation of a channel, and the gradient of both;
* say what the moments share with the Gram matrix, and what they do not know;
* say which two things of a channel a gradient of its moments can move;
* derive the gradients of adaptive instance normalisation, by the content and by the style;
* say why features with the moments of another picture are not the features of any picture, and what a decoder is for;
* mix two styles that no network was trained for.

It needs lessons 9 (pictures from features), 10 (Gram matrices) and 16 (instance normalisation).

========================= ==========================================================================================
symbol                    meaning
========================= ==========================================================================================
:math:`x_i`               pixel i of one channel of one image, :math:`i = 1 \ldots M`
:math:`m, v`              mean and variance of these M numbers
:math:`\varepsilon`       a small constant, :math:`10^{-5}`
:math:`s`                 the deviation, :math:`\sqrt{v + \varepsilon}`
:math:`z_i`               :math:`(x_i - m) / s`
:math:`g_m, g_s`          the upstream gradients, :math:`\partial L / \partial m` and :math:`\partial L / \partial s`
:math:`c, p`              channels of a content and of a style (of a painting), with :math:`M` and :math:`M'` pixels
:math:`y`                 the content with the moments of the style
:math:`g`                 :math:`\partial L / \partial y`
:math:`G_{ab}`            the Gram matrix, :math:`\sum_i x_{ia} x_{ib}` for channels a and b
========================= ==========================================================================================
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from scratchnst import ArbitraryStyle, load_network
from scratchnst.classroom import full_size, network, pictures, show_images
from scratchnst.models import adain_net, style_predictor
from scratchnst.ops import adain, instance_norm, moments
from scratchnst.optimize.adam import Moments
from scratchnst.verify import check_backward

# %%
# Two numbers of a channel
# ------------------------
#
# For one channel of one image, its M pixels in a row:
#
# .. math::
#
#     m = \frac{1}{M} \sum_i x_i, \qquad v = \frac{1}{M} \sum_i (x_i - m)^2, \qquad s = \sqrt{v + \varepsilon}
#     \qquad (a)
#
# The example of lesson 16 has the pixels 14, 8, 0 and 6. Their mean is 7, the differences from it are 7, 1, -7 and -1,
# the mean of the squares of these is 25, and so, but for :math:`\varepsilon`, the deviation is 5.
#
# The same two numbers belong to every other order of these pixels: moments know what occurs, and how much of it, but
# not where. That is what we ask of a style.

EPSILON = instance_norm.EPSILON


def moments_loops(x):
    """Return mean and deviation of one channel, whose pixels are a vector (M,)."""
    mean = sum(x) / len(x)
    variance = sum((pixel - mean) ** 2 for pixel in x) / len(x)
    return mean, np.sqrt(variance + EPSILON)


by_hand = np.array([14.0, 8, 0, 6])
m, s = moments_loops(by_hand)
print(f"m = {m:.4f}, s = {s:.4f}")
assert np.isclose(m, 7)
assert np.isclose(s, 5)
assert np.allclose(moments_loops(by_hand[[2, 0, 3, 1]]), (m, s))

# %%
# ``scratchnst/ops/moments.py`` does it for all channels of all images, and returns an array (N, 2, C): the means first,
# then the deviations. Here for red, green and blue of two pictures.

side = full_size(96, 32)
random = np.random.default_rng(0)
content, style = pictures(side)
of_pixels, _ = moments.forward(np.stack([content, style]))
for name, (mean, deviation) in zip(("content", "style"), of_pixels):
    print(f"{name:<8} means {mean.round(0)}  deviations {deviation.round(0)}")
assert np.allclose(of_pixels[0, :, 1], moments_loops(content[:, :, 1].ravel()))

# %%
# What moments share with the Gram matrix
# ---------------------------------------
#
# Lesson 10 took the Gram matrix for the style. Write each channel as its mean and the rest, :math:`x_{ia} = m_a +
# d_{ia}` with :math:`\sum_i d_{ia} = 0`, and multiply out:
#
# .. math::
#
#     G_{ab} = \sum_i (m_a + d_{ia}) (m_b + d_{ib}) = M \left( m_a m_b + \frac{1}{M} \sum_i d_{ia} d_{ib} \right)
#
# since the two mixed sums are zero. The second term is the covariance of the two channels. On the diagonal it is the
# variance: :math:`G_{aa} = M (m_a^2 + v_a)`. So the moments tell the diagonal of the Gram matrix, and of the rest the
# part :math:`m_a m_b`. What they do not know is which channels rise *together*.

layer = "conv2_1"
net = network()
F, F_style = (net.features(picture[np.newaxis].astype("float32"), [layer])[layer] for picture in (content, style))
matrix = F.reshape(-1, F.shape[3]).astype(float)
M, channels = matrix.shape
G, (mean, deviation) = matrix.T @ matrix, moments.forward(F.astype(float))[0][0]
covariance = (matrix - mean).T @ (matrix - mean) / M
assert np.allclose(G, M * (np.outer(mean, mean) + covariance))
assert np.allclose(np.diag(G), M * (mean**2 + deviation**2 - EPSILON))
print(f"{layer}: {2 * channels} moments, {channels * (channels + 1) // 2} different numbers in the Gram matrix")

# %%
# Two images show the difference. In one, red and green rise together, and it has stripes of yellow and black; in the
# other one they rise in turn, and it has stripes of red and green. Their moments are the same.

stripes = np.zeros((2, 32, 32, 3))
is_on = np.arange(32) // 4 % 2 == 0
stripes[:, :, is_on, 0] = 200.0
stripes[0][:, is_on, 1] = 200.0
stripes[1][:, ~is_on, 1] = 200.0
show_images({"together": stripes[0], "in turn": stripes[1]})
plt.show()

of_stripes, _ = moments.forward(stripes)
grams = [image.reshape(-1, 3).T @ image.reshape(-1, 3) / 1024 for image in stripes]
print("red-green of the Gram matrices, per pixel:", [round(float(each[0, 1])) for each in grams])
assert np.array_equal(of_stripes[0], of_stripes[1])
assert grams[0][0, 1] == 20000
assert grams[1][0, 1] == 0

# %%
# So at the pixels the moments know little. But features are many: a filter of the network that answers to yellow tells
# the two apart by its mean alone. With hundreds of channels, moments of features describe a style about as well as
# their Gram matrix does, with far fewer numbers (Y. Li et al., "Demystifying Neural Style Transfer", 2017).

of_features, _ = moments.forward(net.features(stripes.astype("float32"), [layer])[layer])
apart = np.abs(of_features[0, 0] - of_features[1, 0]) / (np.abs(of_features[:, 0]).mean(axis=0) + 1e-3)
print(f"means of the features at {layer} differ by {apart.mean():.0%} on average")
assert apart.mean() > 0.1

# %%
# The derivative of a deviation
# -----------------------------
#
# **The mean.** Each pixel has the same part in it: :math:`\partial m / \partial x_j = 1/M`.
#
# **The variance.** :math:`x_j` stands in the square number j, and by way of the mean in all squares:
#
# .. math::
#
#     \frac{\partial v}{\partial x_j}
#     = \frac{2}{M} (x_j - m) - \frac{2}{M} \sum_i (x_i - m) \frac{\partial m}{\partial x_j}
#     = \frac{2}{M} (x_j - m)
#
# The differences from the mean add up to zero, so the second term is gone. (Whoever lets the mean move in the square
# number j alone keeps a part of it and gets :math:`\frac{2}{M} (x_j - m) (1 - \frac{1}{M})`.)
#
# **The root.** From :math:`s^2 = v + \varepsilon` follows :math:`2 s \, ds = dv`, so
#
# .. math::
#
#     \frac{\partial s}{\partial x_j} = \frac{1}{2 s} \cdot \frac{2}{M} (x_j - m) = \frac{z_j}{M} \qquad (b)
#
# The two 2 cancel. Both paths together:
#
# .. math::
#
#     \frac{\partial L}{\partial x_j} = \frac{1}{M} \left( g_m + g_s z_j \right) \qquad (c)
#
# By hand, for the example with :math:`g_m = 4` and :math:`g_s = 10`: z is 1.4, 0.2, -1.4 and -0.2, so the gradient is
# :math:`(4 + 14)/4 = 4.5`, then :math:`(4 + 2)/4 = 1.5`, :math:`(4 - 14)/4 = -2.5` and :math:`(4 - 2)/4 = 0.5`. Their
# sum is 4, the gradient of the mean: a shift of all pixels moves the mean by as much, and the deviation not at all.


def moments_backward_loops(grad_m, grad_s, x):
    """Return dL/dx of one channel (M,)."""
    mean, deviation = moments_loops(x)
    return np.array([(grad_m + grad_s * (pixel - mean) / deviation) / len(x) for pixel in x])


gradient = moments_backward_loops(4, 10, by_hand)
_, cache = moments.forward(by_hand.reshape(1, 2, 2, 1))
of_package = moments.backward(np.array([[[4.0], [10.0]]]), cache).ravel()
print(gradient.round(4))
assert np.allclose(gradient, [4.5, 1.5, -2.5, 0.5], atol=1e-5)
assert np.allclose(of_package, gradient)
report = check_backward(moments.forward, moments.backward, [random.standard_normal((2, 4, 5, 3))])
print(report)
assert report.passed

# %%
# Where the deviation is zero
# ---------------------------
#
# Take a channel of two pixels, t and -t. Its mean is 0, its variance :math:`t^2`, and the root of that is :math:`|t|`:
# at t = 0 it has a kink, and no derivative. A channel that a ReLU has silenced sits just there. With
# :math:`\varepsilon` the tip is round, the slope at 0 is 0, and (b) says so: z is 0 where all pixels are alike.

t = np.linspace(-0.02, 0.02, 201)
with_epsilon = np.array([moments_loops(np.array([each, -each]))[1] for each in t])
slopes = np.array([moments_backward_loops(0, 1, np.array([each, -each])) @ [1, -1] for each in t])
_, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
left.plot(t, np.abs(t), "k:", label="without epsilon")
left.plot(t, with_epsilon, label="with epsilon")
left.set(xlabel="t", title="s of a channel with the pixels t, -t", xticks=(-0.02, 0, 0.02))
left.legend()
right.plot(t, np.sign(t), "k:")
right.plot(t, slopes)
right.set(xlabel="t", title="its slope ds/dt", xticks=(-0.02, 0, 0.02))
plt.show()
assert slopes[100] == 0
assert np.allclose(slopes, np.gradient(with_epsilon, t), atol=0.02)

# %%
# What a gradient of moments can move
# -----------------------------------
#
# (c) has a part that is the same for all pixels and a part along z. A step against it changes the brightness and the
# contrast of the channel, nothing else: x stays the same picture, but for two numbers. These are the two directions
# that instance normalisation takes out of a gradient (lesson 16), and for the same reason: it does not let them
# through.
#
# So a loss of the moments of *pixels* gives a photograph the colours of the painting, and no strokes. We walk downhill
# on :math:`L = \frac{1}{2} \sum (m - m')^2 + (s - s')^2` and end at a picture that (a) could give at once.


def walk(x, target, steps, rate):
    """Return x (1, H, W, C) after some steps towards the moments `target` (1, 2, C)."""
    for _ in range(steps):
        y, cache = moments.forward(x)
        x = x - rate * moments.backward(y - target, cache)
    return x


target = of_pixels[1:]
walked = walk(content[np.newaxis], target, steps=full_size(60, 60), rate=0.3 * side * side)
at_once, _ = adain.forward(content[np.newaxis], style[np.newaxis])
show_images({"content": content, "style": style, "walked": walked[0], "at once": at_once[0]})
plt.show()
print(f"largest difference of the two: {np.abs(walked - at_once).max():.1e}")
assert np.allclose(walked, at_once, atol=0.1)

# %%
# Adaptive instance normalisation
# -------------------------------
#
# What was done at once is *AdaIN*. It takes the moments of the content away and puts those of the style in their place:
#
# .. math::
#
#     y_i = s(p) \, \frac{c_i - m(c)}{s(c)} + m(p) \qquad (d)
#
# It is the instance normalisation of lesson 16 with scale s(p) and shift m(p). There they were learnt, a row for each
# style. Here they are computed, so any picture can be the style.
#
# By hand: the content is our example, with :math:`z = (1.4, 0.2, -1.4, -0.2)`, and the style has two pixels, 1 and 3.
# Its mean is 2 and its deviation 1, so :math:`y = 2 + z = (3.4, 2.2, 0.6, 1.8)`.
#
# **By the content** the gradient is that of lesson 16, with s(p) as scale:
#
# .. math::
#
#     \frac{\partial L}{\partial c_j} = \frac{s(p)}{s(c)} \left( g_j - \frac{1}{M} \sum_i g_i
#     - z_j \frac{1}{M} \sum_i g_i z_i \right) \qquad (e)
#
# **By the style** it takes two steps. Scale and shift get sums over the content's pixels,
#
# .. math::
#
#     \frac{\partial L}{\partial s(p)} = \sum_i g_i z_i, \qquad \frac{\partial L}{\partial m(p)} = \sum_i g_i \qquad (f)
#
# and (c) takes these on to the style's own pixels, of which there are :math:`M'`:
#
# .. math::
#
#     \frac{\partial L}{\partial p_k} = \frac{1}{M'} \left( \frac{\partial L}{\partial m(p)}
#     + \frac{\partial L}{\partial s(p)} z'_k \right), \qquad z'_k = \frac{p_k - m(p)}{s(p)} \qquad (g)
#
# By hand, with :math:`g = (1, 0, 0, 0)`: (f) is 1.4 and 1; :math:`z' = (-1, 1)`; so the style's pixels get :math:`(1 -
# 1.4)/2 = -0.2` and :math:`(1 + 1.4)/2 = 1.2`. In (e) the mean of g is 0.25 and that of :math:`g z` is 0.35; the
# bracket is :math:`(1, 0, 0, 0) - 0.25 - 0.35 z = (0.26, -0.32, 0.24, -0.18)`, and :math:`s(p)/s(c) = 1/5` of it is
# :math:`(0.052, -0.064, 0.048, -0.036)`.

c, p = by_hand.reshape(1, 2, 2, 1), np.array([1.0, 3]).reshape(1, 1, 2, 1)
y, cache = adain.forward(c, p)
grad_c, grad_p = adain.backward(np.array([1.0, 0, 0, 0]).reshape(1, 2, 2, 1), cache)
print("y =", y.ravel().round(3), " by the content:", grad_c.ravel().round(3), " by the style:", grad_p.ravel().round(3))
assert np.allclose(y.ravel(), [3.4, 2.2, 0.6, 1.8], atol=1e-4)
assert np.allclose(grad_c.ravel(), [0.052, -0.064, 0.048, -0.036], atol=1e-5)
assert np.allclose(grad_p.ravel(), [-0.2, 1.2], atol=1e-4)

inputs = [random.standard_normal((2, 4, 5, 3)), random.standard_normal((2, 3, 6, 3))]
report = check_backward(adain.forward, adain.backward, inputs, names=["content", "style"])
print(report)
assert report.passed

# %%
# Three properties follow from (d), and are worth a test each. With its own moments a content stays as it is. With the
# moments of y, the content becomes y again: after the first time nothing changes. And brightness and contrast of the
# content do not matter, so (e) is at a right angle to both.

F, F_style = F.astype(float), F_style.astype(float)
same, _ = adain.forward(F, F)
once, cache = adain.forward(F, F_style)
twice, _ = adain.forward(once, F_style)
grad_F, _ = adain.backward(random.standard_normal(F.shape), cache)
alive = F.std(axis=(0, 1, 2)) > 0.01  # in a channel that is nearly silent EPSILON counts
assert np.allclose(same, F)
assert np.allclose(twice[..., alive], once[..., alive], rtol=1e-2, atol=1e-2)
assert np.allclose(grad_F.sum(axis=(1, 2)), 0, atol=1e-6)
assert np.abs((grad_F * F).sum(axis=(1, 2)))[:, alive].max() < 1e-2 * np.abs(grad_F * F).sum(axis=(1, 2)).max()

# %%
# Why a decoder must be taught
# ----------------------------
#
# Now do it with features. They have the moments of the painting's and the places of the photograph's. Which picture has
# these features? Ask as in lesson 9: start at the photograph and walk downhill on their squared distance.
#
# First a test of the walk: features of the *other* picture, which some picture certainly has. Then AdaIN's.

steps = full_size(120, 10)
photograph = content[np.newaxis].astype("float32")
F_photo, F_painting = (net.features(each, [layer])[layer] for each in (photograph, style[np.newaxis].astype("float32")))
mixed, _ = adain.forward(F_photo, F_painting)


def picture_with(features, start):
    """Return a picture (1, H, W, 3) with nearly these features, and their distance at each step, relative to them."""
    x, moved, distances = start, Moments.of(start), []
    size = float((features**2).sum())
    for step in range(steps):
        found, cache = net.forward(x, [layer])
        difference = found[layer] - features
        distances.append(float((difference**2).sum()) / size)
        moved = moved.after(net.backward({layer: difference * np.float32(2 / size)}, cache))
        x = np.clip(x - moved.step(8.0 * (1 - step / steps)), 0, 255)
    return x, distances


inverted, of_picture = picture_with(F_painting, photograph)
searched, of_mixture = picture_with(mixed, photograph)
show_images({"content": content, "style": style, "with the style's features": inverted[0], "with AdaIN's": searched[0]})
plt.show()
_, axes = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
axes.semilogy(of_picture, label="features of a picture")
axes.semilogy(of_mixture, label="features with the moments of another picture")
axes.set(xlabel="step", ylabel="distance, relative")
axes.legend()
plt.show()
print(f"left after {steps} steps: {of_picture[-1]:.3f} and {of_mixture[-1]:.3f}")
assert of_mixture[-1] < of_mixture[0]
assert full_size(of_mixture[-1] > 2 * of_picture[-1], True)

# %%
# The features of a picture are found again. Those with foreign moments are not: some distance remains, however long one
# walks. Channels of a network depend on each other, and (d) moves each by itself. Some numbers even get below zero,
# which no ReLU lets through. So *no* picture has these features; there are only pictures that come near, and which of
# them is best is a question of taste. It must be learnt: a *decoder* is a network that is trained to make a picture of
# such features, by the perceptual loss of lesson 18, which says how near the picture comes to both.

below = float((mixed < -1e-3).mean())
print(f"{below:.0%} of the numbers are below zero")
assert below > 0

# %%
# ``scratchnst/models/adain_net.py`` is a network of an encoder, AdaIN and such a decoder. The encoder is the distilled
# network down to conv3_4; the decoder has seven convolutions and makes the picture four times as large a side. Before
# training its kernels are random, and so is what it paints. Trained, it needs one pass.

model = ArbitraryStyle.load()
random_start = np.random.default_rng(0)
untaught = ArbitraryStyle(
    style_predictor.with_predictor(adain_net.build(random_start, load_network("distilled"), styles=2), random_start), {}
)
photo, painting = (picture.astype("float32") for picture in pictures(full_size(192, 32)))
started = time.perf_counter()
taught = model(photo, painting)
seconds = time.perf_counter() - started
show_images(
    {"content": photo, "style": painting, "decoder untaught": untaught(photo, painting), "decoder taught": taught}
)
plt.show()
print(f"one pass: {seconds:.2f} s")


def gram_distance(picture):
    """Return how far a picture is from the painting: the mean of |G - A| / |A| over three layers."""
    names, distances = ("conv1_1", "conv2_1", "conv3_1"), []
    features = [net.features(each[np.newaxis].astype("float32"), names) for each in (picture, painting)]
    for name in names:
        G, A = (each[name].reshape(-1, each[name].shape[3]) for each in features)
        G, A = G.T @ G / len(G), A.T @ A / len(A)
        distances.append(np.linalg.norm(G - A) / np.linalg.norm(A))
    return float(np.mean(distances))


far = {"content": gram_distance(photo), "taught": gram_distance(taught)}
print("from the painting's Gram matrices:", {name: f"{distance:.2f}" for name, distance in far.items()})
assert far["taught"] < 0.8 * far["content"]

# %%
# What the decoder is told
# ------------------------
#
# Moments at one layer are not all of a style: strokes smaller than what conv3_4 sees are lost in it. So this decoder
# has norms of its own (lesson 16), and their scales and shifts are not the same for all styles. A *predictor* computes
# them from the painting (G. Ghiasi et al., 2017): the moments of four layers and of the pixels, as one long vector, go
# through two layers of weights, and out comes a mixture of rows. ``scratchnst/models/style_predictor.py`` derives its
# gradient.
#
# At the very end stands AdaIN again, on red, green and blue: what is painted has the painting's mean and deviation in
# each. Numbers below 0 and above 255 are cut off then, and the deviations get a little smaller.

numbers = style_predictor.statistics(model.network, np.stack([photo, painting]))
mixtures, _ = style_predictor.forward(model.network, numbers)
of_painted, _ = moments.forward(np.stack([taught, painting]).astype(float))
print(f"{numbers.shape[1]} numbers of a picture -> a mixture of {mixtures.shape[1]} rows -> norms of the decoder")
for name, (mean, deviation) in zip(("painted", "painting"), of_painted):
    print(f"{name:<9} means {mean.round(0)}  deviations {deviation.round(0)}")
assert np.abs(of_painted[0, 0] - of_painted[1, 0]).max() < 20
assert np.all(of_painted[0, 1] < 1.05 * of_painted[1, 1])
assert np.all(of_painted[0, 1] > 0.6 * of_painted[1, 1])

# %%
# Styles between two
# ------------------
#
# Moments are numbers, and numbers can be mixed. Half of each picture's moments is a style that nobody painted; half of
# the photograph's own and half of the painting's is a weaker style. For that no network needs to be trained.

other = 255 - painting[::-1]  # a second style: the negative, upside down
two = model.styles({"painting": painting, "other": other})
shares = (0.0, 0.5, 1.0)
show_images({"painting": painting, "other": other}, 2)
plt.show()
between = {f"{1 - w:.0%} and {w:.0%}": two(photo, {"painting": 1 - w, "other": w}) for w in shares}
show_images(between, 3)
plt.show()
first, middle, last = between.values()
assert np.abs(first - last).mean() > np.abs(first - middle).mean()
assert np.abs(first - last).mean() > np.abs(last - middle).mean()

# %%
# What is lost against the slow method: the decoder saw thousands of styles in training, but not this one. Compare its
# Gram matrices with those of lesson 13's pictures, or let the slow method go on from here: ``scratchnst transfer PHOTO
# STYLE -o OUT.png --refine 20``. To paint with pictures of your own: ``scratchnst arbitrary PHOTO STYLE -o OUT.png``.
#
# Exercises
# ---------
#
# 1. On paper: the pixels are multiplied by k > 0, and c is added. What becomes of m, s and z, and of the gradient (c)?
# 2. On paper: is the deviation of two images side by side, as one image, the mean of their deviations? What is it?
# 3. On paper: show from (e) that the gradient by the content is at a right angle to 1 and, but for
#    :math:`\varepsilon`, to c. Which of AdaIN's properties says the same?
# 4. On paper: by how much does y change if the style is twice as large a side, each of its pixels four times? And (g)?
# 5. By experiment: take ``layer = "conv1_1"``, then ``"conv3_1"``. How far down does ``picture_with`` get with AdaIN's
#    features, and what has the picture of the style?
#
# To write: ``moments``, ``moments_backward``, ``adain`` and ``adain_backward`` in ``lessons/19_adain/exercise.py``, for
# a stack of images, without loops over pixels. ``scratchnst check 19`` tries them and says what is wrong.
