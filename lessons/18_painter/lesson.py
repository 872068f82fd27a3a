r"""
Training a painter: one network for every photograph
====================================================

Up to lesson 13 every picture was optimised on its own, and the next photograph began from nothing. Here a network
learns to paint. It is trained once, on one painting, for about a minute. Then it paints any photograph in one pass.
The losses are those that you know, in another form; the layers are those of lessons 16 and 17. New is the way in
between: from a loss of painted pictures through two networks to the kernels of the second one. At the end the network
paints your photograph, and you see what this has cost and what is lost.

After this lesson you can

* say why training pays off, and from how many pictures on;
* write down the perceptual loss of a batch, and derive its gradient by the features;
* follow a gradient from the loss through the loss network and the painter to each kernel, and to each style's scales
  and shifts;
* say what warm-up, decay and a bound of the gradient's norm are for;
* train a painter, choose its style weight, and compare it with the slow method.

It needs lessons 9 and 10 (content and style), 11 (Adam), 16 (instance normalisation) and 17 (sampling).

===========================  ===========================================================================================
symbol                       meaning
===========================  ===========================================================================================
:math:`x, y, a`              photographs (N, H, W, 3), what is painted of them, and the picture of a style
:math:`f, \theta`            the *painter*, a network, and all of its parameters: :math:`y = f(x; \theta)`
:math:`o`                    its output, before it is scaled to pixel values
:math:`F_l, P_l`             features of y and of x at layer l of the *loss network*, an array (N, H, W, C)
:math:`M, C`                 numbers of positions and of channels there, :math:`M = H W`
:math:`G_l, A_l`             :math:`F^T F / M` of an image's features, (C, C): Gram matrices of y and of a, per position
:math:`E_l`                  energy: :math:`|P_l|^2 / M`, averaged over some photographs
:math:`|\cdot|^2`            the sum of the squares of all elements
:math:`K, J`                 numbers of content and of style layers
:math:`\alpha, \beta`        weights of content and style; :math:`\gamma, \delta` of what keeps the pixels in order
:math:`R`                    mixture (N, S): how much of each of S styles an image gets
:math:`g, z`                 dL/d(output of a norm), and its input, normalised (lesson 16)
:math:`\eta, k, T`           Adam's rate, the number of a step, from 0, and the number of all steps
===========================  ===========================================================================================
"""

import os
import time
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from scratchnst import images, load_network
from scratchnst.classroom import full_size, pictures, show_images
from scratchnst.engine import cpu, textbook
from scratchnst.models import transform_net
from scratchnst.optimize.adam import Moments
from scratchnst.training import photographs
from scratchnst.training.perceptual_loss import PerceptualLoss, Weights
from scratchnst.training.style_training import LARGEST_GRADIENT, LAST_RATE, WARM_UP, Plan, Training
from scratchnst.verify.methods.differences import central_differences

# %%
# Your photograph
# ---------------
#
# This lesson needs a photograph to paint, a painting to learn from, and photographs to train on. It has drawn ones, so
# that it runs as it is. It is more fun with your own. Name them before you start, in the terminal::
#
#     export PHOTOGRAPH=me.jpg PAINTING=monet.jpg PHOTOGRAPHS=holidays
#
# or here, in place of the three ``os.environ.get(...)``. PHOTOGRAPHS is a folder; twenty pictures of different things
# are a good beginning. Without it the network trains on what the package can draw, and on the pictures of scikit-image
# and scikit-learn if you have installed them. Your photograph is not among those, unless you put it there: the network
# sees it for the first time when it paints it.

PHOTOGRAPH = os.environ.get("PHOTOGRAPH")
PAINTING = os.environ.get("PAINTING")
PHOTOGRAPHS = os.environ.get("PHOTOGRAPHS")

SIDE = full_size(256, 48)  # pixels of the longer side of photograph and painting
CROP, BATCH = full_size(96, 32), full_size(3, 2)  # pixels a side of what is trained on; crops a step
STEPS = full_size(400, 8)
STYLE_WEIGHT = 3.0


def opened(path):
    """A picture whose longer side has SIDE pixels; a painter needs sides that are multiples of 4."""
    picture = images.fit(images.load(path), SIDE)
    height, width = (length - length % transform_net.STRIDE for length in picture.shape[:2])
    return picture[:height, :width]


photograph, painting = (picture.astype("float32") for picture in pictures(SIDE))
if PHOTOGRAPH:
    photograph = opened(PHOTOGRAPH)
if PAINTING:
    painting = opened(PAINTING)
album = photographs.from_folder(Path(PHOTOGRAPHS), CROP, print) if PHOTOGRAPHS else photographs.at_hand(CROP)
crops = album.crops(np.random.default_rng(1), 12, CROP)

print(f"{len(album)} photographs to train on")
show_images(
    {"your photograph": photograph, "the painting": painting, **{f"crop {n + 1}": crops[n] for n in range(4)}}, 6
)
plt.show()
assert crops.shape == (12, CROP, CROP, 3)
assert all(length % 4 == 0 for length in photograph.shape[:2])

# %%
# Pay once
# --------
#
# The slow method looks for one picture, the best y for one photograph x. A painter is looked for once, the best
# parameters for all photographs:
#
# .. math::
#
#     \min_y L(y, x) \quad \text{for each } x \qquad \qquad
#     \min_\theta \; \text{mean over } x \text{ of } L(f(x; \theta), x)
#
# Both walk downhill on the same loss. In the first the unknowns are pixels, in the second they are kernels. The second
# problem is harder, but it is solved once, and its cost is shared by all pictures that follow. This is called
# *amortised* optimisation.
#
# Here is the slow method, in eight lines: Adam moves the pixels. It starts from the photograph. (``loss`` is the
# subject of the next section; it returns the loss and dL/dy. It looks at pictures through the small network that ships
# with this package, whose rows ``like_conv1_1`` and so on say what VGG19 would see at its rows of that name.)

judge = load_network("distilled").astype("float32").on(cpu)
CONTENT, STYLE = ["conv3_3"], ["like_conv1_1", "like_conv2_1", "like_conv3_1", "like_conv4_1"]
loss = PerceptualLoss(judge, [painting], crops, Weights(style=STYLE_WEIGHT), CONTENT, STYLE)
SLOW = full_size(80, 4)


def slowly(x, steps, start=None, highest=8.0):
    """Return the picture to which Adam leads from `start`, or from x itself, and the losses on the way."""
    y = (x if start is None else start)[np.newaxis]
    moments, seen = Moments.of(y), []
    for k in range(steps):
        losses, grad_y = loss(y, x[np.newaxis], [0])
        moments = moments.after(grad_y)
        y = y - moments.step(highest * (0.5 + 0.5 * np.cos(np.pi * k / steps)))
        seen.append(losses.total)
    return y[0], [*seen, loss(y, x[np.newaxis], [0])[0].total]


started = time.perf_counter()
optimised, slow_losses = slowly(photograph, SLOW)
print(f"{SLOW} steps: {time.perf_counter() - started:.1f} s, loss {slow_losses[0]:.2f} -> {slow_losses[-1]:.2f}")
show_images({"photograph": photograph, "painting": painting, f"optimised, {SLOW} steps": optimised})
plt.show()
assert slow_losses[-1] < 0.9 * slow_losses[0]

# %%
# Now count. Nearly all time goes into convolutions: each output position takes as many multiplications as the kernel
# has weights. A walk back by the input takes as many again, one by the kernels once more (lesson 7).
#
# * The *slow method*, for each picture: T steps, in each of which the loss network looks at y, forward and back.
# * *Training*, for each crop: the loss network looks at y, forward and back, and at x forward; the painter goes
#   forward, back by its features, and back by its kernels.
# * *Painting*, for each picture: the painter once, forward.


def multiplications(network, height, width, taps):
    """Count those of the convolutions that some layers need, for one image, forward."""
    shapes, count = network.shapes(height, width), 0
    for layer in network.needed(taps):
        kernel = network.parameters.get(layer.name, (np.zeros(0),))[0]
        if kernel.ndim == 4:  # a norm has a scale and a shift
            count += shapes[layer.name][0] * shapes[layer.name][1] * kernel.size
    return count


WIDTHS, BLOCKS = full_size(((8, 16, 32), 3), ((4, 6, 8), 1))
untrained = transform_net.build(np.random.default_rng(0), styles=1, widths=WIDTHS, blocks=BLOCKS).on(cpu)
OUTPUT = transform_net.OUTPUT

seen_by_judge = multiplications(judge, *photograph.shape[:2], [*CONTENT, *STYLE])
of_slow = SLOW * 2 * seen_by_judge
of_crop = 2 * multiplications(judge, CROP, CROP, [*CONTENT, *STYLE]) + multiplications(judge, CROP, CROP, CONTENT)
of_crop += 3 * multiplications(untrained, CROP, CROP, [OUTPUT])
of_training, of_painting = STEPS * BATCH * of_crop, multiplications(untrained, *photograph.shape[:2], [OUTPUT])
break_even = of_training / (of_slow - of_painting)
number_of_pictures = np.arange(0, 21)

print(f"in units of 10^9 multiplications: a picture, slowly {of_slow / 1e9:.0f}, painted {of_painting / 1e9:.2f}")
print(f"the training {of_training / 1e9:.0f}: it has paid off after {break_even:.1f} pictures")
_, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
axes.plot(number_of_pictures, number_of_pictures * of_slow / 1e9, label="each optimised")
axes.plot(number_of_pictures, (of_training + number_of_pictures * of_painting) / 1e9, label="trained, then painted")
axes.set(xlabel="pictures", ylabel=r"$10^9$ multiplications", xlim=(0, 20), ylim=(0, None), xticks=range(0, 21, 2))
axes.legend()
plt.show()
assert of_painting < of_slow / 100
assert break_even < full_size(20, 100)

# %%
# So training pays off if you have more than a few photographs, and from then on a picture costs less than a hundredth.
# (J. Johnson, A. Alahi and L. Fei-Fei, 2016, trained on 80,000 photographs for four hours on a GPU. Ours is a small
# painter with a small loss network, so that all of it takes a minute or two.) But this takes the two pictures for
# equally good. At the end we count again.
#
# The loss that judges a painter
# ------------------------------
#
# For image n of a batch, with the features of y and x and the Gram matrix of its style:
#
# .. math::
#
#     \text{content}(n) = \frac{1}{K} \sum_l \frac{|F_l(y_n) - P_l(x_n)|^2}{M_l E_l} \qquad (a)
#
# .. math::
#
#     \text{style}(n) = \frac{1}{J} \sum_l \frac{|G_l(y_n) - A_l|^2}{|A_l|^2} \qquad (b)
#
# These are equations 1 and 4 of lessons 9 and 10 with other denominators. In (b) each layer counts by its *relative*
# error: 0 is a perfect style, 1 is as far off as G = 0. So one style weight suits all paintings. In (a) the error
# is divided by the energy :math:`E_l` of usual photographs, not by that of :math:`x_n` itself. Else a crop of plain
# sky, whose features are small, would weigh as much as all other crops together.
#
# Two further terms keep the pixels in order; they are means over all pixels:
#
# .. math::
#
#     \begin{aligned}
#     \text{roughness} &= \text{mean of } (\text{difference of neighbours in } y)^2 / \text{SPREAD}^2 \qquad (c) \\
#     \text{outside} &= \text{mean of } (\text{distance of } y \text{ from } 0 \ldots 255)^2
#     / \text{SPREAD}^2 \qquad (d) \\
#     L &= \frac{1}{N} \sum_n \big( \alpha \, \text{content}(n) + \beta \, \text{style}(n) \big)
#     + \gamma \, \text{roughness} + \delta \, \text{outside} \qquad (e)
#     \end{aligned}
#
# (SPREAD is 64, about the spread of a photograph's pixel values.) A picture that is optimised can be cut off at 0 and
# 255 after each step. The output of a network is linear and may be any number. (d) keeps it in the range.
#
# Take one layer of one image, by hand: one channel, two positions, :math:`F = (1, 3)`, :math:`P = (2, 2)`, the energy 4
# and :math:`A = 4`. Then content is :math:`(1 + 1)/(2 \cdot 4) = 1/4`. The Gram matrix has one element,
# :math:`G = (1 + 9)/2 = 5`, and style is :math:`(5 - 4)^2/16 = 1/16`. With :math:`\alpha = 1` and :math:`\beta = 4` the
# loss is :math:`1/4 + 1/4 = 1/2`.


def gram(F):
    """G of the features (M, C) of one image."""
    return F.T @ F / len(F)


def content_of(F, P, energy):
    """(a), one layer of one image."""
    return np.sum((F - P) ** 2) / (len(F) * energy)


def style_of(F, A):
    """(b), one layer of one image."""
    return np.sum((gram(F) - A) ** 2) / np.sum(A**2)


F_hand, P_hand, A_hand = np.array([[1.0], [3.0]]), np.array([[2.0], [2.0]]), np.array([[4.0]])
print(f"by hand: content {content_of(F_hand, P_hand, 4.0)}, style {style_of(F_hand, A_hand)}")
assert content_of(F_hand, P_hand, 4.0) == 1 / 4
assert style_of(F_hand, A_hand) == 1 / 16

# %%
# And the package's loss, for two crops and a layer each. Its Gram matrices of the painting are computed once, before
# the training.

one_layer = PerceptualLoss(judge, [painting], crops, Weights(), CONTENT, STYLE[1:2])
y_pair, x_pair = crops[:2], crops[2:4]
losses, _ = one_layer(y_pair, x_pair, [0, 0])


def matrix_of(image, name):
    """What the judge sees of an image at a layer, as a matrix (M, C), float64."""
    F = judge.features(image[np.newaxis].astype("float32"), [name])[name]
    return F.reshape(-1, F.shape[3]).astype(float)


A = gram(matrix_of(painting, STYLE[1]))
energy = np.mean([np.sum(P**2) / len(P) for P in (matrix_of(crop, CONTENT[0]) for crop in crops)])
by_hand = {"content": 0.0, "style": 0.0}
for y, x in zip(y_pair, x_pair):
    by_hand["content"] += content_of(matrix_of(y, CONTENT[0]), matrix_of(x, CONTENT[0]), energy) / 2
    by_hand["style"] += style_of(matrix_of(y, STYLE[1]), A) / 2
print({name: f"{value:.4f}" for name, value in by_hand.items()}, f"package: {losses.content:.4f}, {losses.style:.4f}")
assert np.isclose(by_hand["content"], losses.content, rtol=1e-3)
assert np.isclose(by_hand["style"], losses.style, rtol=1e-3)

# %%
# The loss by the features
# ------------------------
#
# Everything begins with dL/dF, one array for each layer that has a loss. The content (a) is a square of F itself:
#
# .. math::
#
#     \frac{\partial L}{\partial F_l(y_n)} = \frac{2 \alpha}{N K M_l E_l} \, (F_l(y_n) - P_l(x_n)) \qquad (f)
#
# The style (b) is a square of G, and G is made of F:
#
# .. math::
#
#     \frac{\partial L}{\partial G_l(y_n)} = \frac{2 \beta}{N J |A_l|^2} \, (G_l(y_n) - A_l) \qquad (g)
#
# The step from G to F is lesson 10's: each feature stands in a row and in a column of :math:`F^T F`. There is one
# change. G is divided by M here. How this goes on from (g), and what becomes of it for a batch in which each image has
# its own style, is the first exercise. For the example by hand you should get :math:`(-1/4, 1/4)` from the content and
# :math:`4 \cdot (1/8, 3/8)` from the style, together :math:`(1/4, 7/4)`. Differences agree:


def loss_by_hand(F):
    return 1 * content_of(F, P_hand, 4.0) + 4 * style_of(F, A_hand)


print("dL/dF =", central_differences(loss_by_hand, F_hand, step=1e-4).ravel().round(6))
assert np.allclose(central_differences(loss_by_hand, F_hand, step=1e-4).ravel(), [1 / 4, 7 / 4])

# %%
# The loss of image n depends on the features of image n alone. L is the mean of N such losses, hence the 1/N in (f) and
# (g). Nothing else ties the images of a batch together.
#
# If a layer has both losses, its two gradients are added. Then the loss network takes them back to the pixels, as in
# lesson 13: dL/dy. In the figure, y is half photograph, half painting. Grey is no change; the minus is there because a
# step goes against the gradient. The content works most on the houses, and against the swirls. The style asks for
# strokes and for other colours. At y = x the content asks for nothing.

halfway = (0.5 * photograph + 0.5 * images.resize(painting, *photograph.shape[:2])).astype("float32")[np.newaxis]
x = photograph[np.newaxis]


def gradient_for(weights, y):
    """dL/dy with other weights of the terms."""
    weighted = PerceptualLoss(judge, [painting], crops, weights, CONTENT, STYLE)
    return weighted(y, x, [0])[1][0]


only_content = gradient_for(Weights(content=1.0, style=0.0, roughness=0.0, outside=0.0), halfway)
only_style = gradient_for(Weights(content=0.0, style=STYLE_WEIGHT, roughness=0.0, outside=0.0), halfway)
both = gradient_for(Weights(content=1.0, style=STYLE_WEIGHT, roughness=0.0, outside=0.0), halfway)


def as_picture(gradient):
    return 128 - 40 * gradient / gradient.std()


show_images(
    {
        "y": halfway[0],
        "- dL/dy, content": as_picture(only_content),
        "- dL/dy, style": as_picture(only_style),
        "- dL/dy, both": as_picture(both),
    }
)
plt.show()
print(f"size of the gradients: content {np.linalg.norm(only_content):.3g}, style {np.linalg.norm(only_style):.3g}")
assert np.allclose(only_content + only_style, both, atol=1e-3 * np.abs(both).max())
at_the_photograph = gradient_for(Weights(content=1.0, style=0.0, roughness=0.0, outside=0.0), x)
assert np.abs(at_the_photograph).max() < 1e-3 * np.abs(only_content).max()

# %%
# From pixels to kernels
# ----------------------
#
# The slow method would take its step here. A painter has no pixels to move: y is what its kernels make of x. So dL/dy
# is not the end, it is the *upstream gradient* of a second network, in three steps.
#
# 1. The output o is scaled, y = SPREAD o + MEAN, so that numbers about 1 become pixel values. The backward of this is a
#    factor: dL/do = SPREAD dL/dy.
# 2. ``backward_parameters`` walks up the painter's table, from the last row to the first. At each row it asks two
#    questions: how does L change with what the row has read, and how with the row's own parameters? The answer to the
#    first goes up to the next row; the answers to the second are what we want.
# 3. The rows of the norms belong to the images of the batch. They go on to the styles; that is the next section.
#
# No picture's gradient by its own pixels x is needed: photographs are not trained. Nor are the gradients of the loss
# network's kernels: they stay as they are.


def paint(painter, x, mixture):
    """Return the painted images and what the way back needs; image n gets the mixture of styles mixture[n]."""
    outputs, cache = transform_net.with_styles(painter, mixture).forward(x, [OUTPUT])
    return transform_net.to_picture(outputs[OUTPUT]), cache


def gradients_of(painter, loss, x, styles):
    """Return the losses of a batch, and the gradients of all parameters of the painter."""
    mixture = np.eye(transform_net.number_of_styles(painter), dtype=x.dtype)[styles]
    y, cache = paint(painter, x, mixture)
    losses, grad_y = loss(y, x, styles)
    grad_o = transform_net.to_output(grad_y)
    of_images = transform_net.with_styles(painter, mixture).backward_parameters({OUTPUT: grad_o}, cache)
    return losses, transform_net.of_styles(painter, of_images, mixture)


# %%
# Is it right? There are tens of thousands of parameters behind two networks. We nudge each array along a random
# direction d, in float64, and compare the loss's slope with what the gradient says, :math:`\langle g, d \rangle`.

checked = transform_net.build(np.random.default_rng(3), styles=2, widths=(3, 4, 5), blocks=1)
checked = checked.on(textbook).astype("float64")
exact_judge = judge.on(textbook).astype("float64")
two_styles = [painting, 255 - painting]
exact_x = images.resize(crops[0], 32, 32)[np.newaxis].astype(float)
exact_x = np.concatenate([exact_x, exact_x[:, ::-1]])
exact_loss = PerceptualLoss(exact_judge, two_styles, exact_x, Weights(), CONTENT, STYLE)
_, gradients = gradients_of(checked, exact_loss, exact_x, [0, 1])
random = np.random.default_rng(0)


def loss_with(name, place, nudge):
    arrays = list(checked.parameters[name])
    arrays[place] = arrays[place] + nudge
    nudged = replace(checked, parameters={**checked.parameters, name: tuple(arrays)})
    return exact_loss(paint(nudged, exact_x, np.eye(2))[0], exact_x, [0, 1])[0].total


errors, learnt = {}, transform_net.learnt(checked)
for name in full_size(list(checked.parameters), ["conv1", "norm3", "output"]):
    for place in (0, 1):
        if not learnt[name][place]:
            continue  # a bias in front of a norm
        d = random.standard_normal(checked.parameters[name][place].shape)
        h = 1e-6 / np.linalg.norm(d)
        slope = (loss_with(name, place, h * d) - loss_with(name, place, -h * d)) / (2 * h)
        gradient = gradients[name][place]
        errors[name, place] = abs(slope - np.sum(gradient * d)) / max(np.linalg.norm(gradient), 1e-3)
print(f"{len(errors)} arrays; largest error relative to the gradient: {max(errors.values()):.1e}")
assert max(errors.values()) < 1e-4
assert np.abs(gradients["block1_norm2"][1]).max() < 1e-12 < np.abs(gradients["block1_norm2"][0]).max()

# %%
# One of the gradients is 0, that of the shifts of ``block1_norm2``. Is something wrong? No: such a shift adds the same
# number to all pixels of a channel. The next rows are an addition, a convolution, and a norm, which takes constants out
# again (lesson 16). So the loss does not depend on these shifts, and their gradient must be 0.
#
# How large are these gradients in the painter that is to be trained? A bar for each row, before the first step. The
# kernel of the output has the largest: there is no norm behind it. Through all rows above, the gradient neither grows
# nor fades, although it passes more than ten of them.

_, gradients = gradients_of(untrained, loss, crops[:BATCH], [0] * BATCH)


def norm_of(arrays):
    """The norm of several arrays as one vector."""
    return np.sqrt(sum(np.sum(array.astype(float) ** 2) for array in arrays))


_, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
names = list(gradients)[::-1]
colors = ["C1" if name in transform_net.norms(untrained) else "C0" for name in names]
axes.bar(range(len(names)), [norm_of(gradients[name]) for name in names], color=colors)
axes.set(yscale="log", ylabel="norm of the gradient", title="kernels blue, scales and shifts orange")
axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
plt.show()
print(f"all together: {norm_of(array for arrays in gradients.values() for array in arrays):.1f}")
assert all(norm_of(gradients[name]) > 1e-3 for name in names)

# %%
# From images to styles
# ---------------------
#
# A painter of S styles has a row of scales and a row of shifts for each (lesson 16). Image n gets a mixture of them,
# :math:`\sum_s R_{ns} A_{sc}`, where A are the scales, as in lesson 16. (In training a mixture is one 1 and zeros; to
# paint, it may be anything.) Who reads :math:`A_{sc}`? All pixels of channel c, in all images, each as far as it has
# the style s:
#
# .. math::
#
#     \begin{aligned}
#     \frac{\partial L}{\partial A_{sc}} &= \sum_n R_{ns} \sum_i g_{nic} \, z_{nic} \\
#     \frac{\partial L}{\partial B_{sc}} &= \sum_n R_{ns} \sum_i g_{nic} \qquad (h)
#     \end{aligned}
#
# B are the shifts. The inner sum is lesson 16's, over the pixels of one image. The outer one is new: over the images of
# the batch, each with its share. By hand, three images and two styles, the third image half in each:
#
# .. math::
#
#     R = \begin{pmatrix} 1 & 0 \\ 0 & 1 \\ 1/2 & 1/2 \end{pmatrix}, \qquad
#     \sum_i g_i = \begin{pmatrix} 4 \\ 6 \\ 10 \end{pmatrix} \quad \Longrightarrow \quad
#     \frac{\partial L}{\partial B} = \begin{pmatrix} 4 + 5 \\ 6 + 5 \end{pmatrix}
#
# It is a sum, not a mean. The mean over the batch is in L already.

R_hand, sums = np.array([[1, 0], [0, 1], [0.5, 0.5]]), np.array([[4.0], [6.0], [10.0]])
print("dL/dB =", (R_hand.T @ sums).ravel())
assert np.array_equal((R_hand.T @ sums).ravel(), [9, 11])
norm = transform_net.norms(checked)[0]
channels = checked.parameters[norm][0].shape[1]
of_three = {name: (np.ones((3, 1)), np.ones((3, 1))) for name in transform_net.norms(checked)} | {norm: (sums, sums)}
assert np.array_equal(transform_net.of_styles(checked, of_three, R_hand)[norm][0], [[9], [11]])

# %%
# One consequence. A kernel gets a gradient from every image. A row of a style gets one from its own images alone: with
# fourteen styles and four images in a batch, ten of the fourteen rows have the gradient 0 in each step. They learn more
# slowly, so the package moves the norms six times as fast when there are several styles. This lesson has one style, and
# R is a column of ones.
#
# How far a step goes
# -------------------
#
# Adam (lesson 11) moves each parameter by about :math:`\eta`, whatever the scale of its gradient. Two things are
# different here from the optimisation of a picture: every step sees other crops, so the gradient is noisy; and a bad
# step is not forgotten, since no later crop is the same.
#
# The very first step is the least informed one. There :math:`\hat m = g` and :math:`\sqrt{\hat v} = |g|`, so *every*
# parameter moves by exactly :math:`\eta`, however small its gradient is, and a single batch decides where to. So the
# rate rises over the first W steps (*warm-up*). At the end, the noise of the batches moves the parameters to and fro by
# about :math:`\eta`. So it falls, as half a cosine, to the part r of its highest:
#
# .. math::
#
#     \eta_k = \eta \cdot \min\Big(1, \frac{k + 1}{W}\Big) \cdot
#     \Big( r + (1 - r) \, \frac{1 + \cos(\pi k / T)}{2} \Big)

RATE = 0.006
plan = Plan(iterations=STEPS, batch=BATCH, side=CROP, rate=RATE)
training = Training(untrained, {0.0: loss}, album, plan)


def rate_at(k):
    falling = LAST_RATE + (1 - LAST_RATE) * (1 + np.cos(np.pi * k / STEPS)) / 2
    return RATE * min(1, (k + 1) / WARM_UP) * falling


g = 10.0 ** random.uniform(-3, 3, 1000)  # gradients of very different sizes
first_step = Moments.of(g).after(g).step(RATE)
_, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.plot([rate_at(k) for k in range(STEPS)])
axes.set(xlabel="step k", ylabel="rate", title=f"warm-up over {WARM_UP} steps, then half a cosine")
plt.show()
print(f"the first step without warm-up: from {np.abs(first_step).min():.6f} to {np.abs(first_step).max():.6f}")
assert np.isclose(training.rate, rate_at(0))
assert np.allclose(np.abs(first_step), RATE, rtol=1e-3)

# %%
# The second safeguard is against single bad gradients. Take a crop of one colour, a piece of clear sky. Each channel
# has the contrast 0, but for round-off in the last digit. Then a norm divides by :math:`\sqrt{\varepsilon}`, about
# 1/300: it multiplies by 300 what comes back, and the next one does so again. Our painter has more than ten norms. What
# comes out depends on that last digit. With one colour nothing happens, with another one the gradient explodes.


def gradient_norm(x):
    _, gradients = gradients_of(untrained, loss, x, [0])
    return norm_of(array for arrays in gradients.values() for array in arrays)


usual = [gradient_norm(crops[n : n + 1]) for n in range(8)]
colours = {"grey": (120, 120, 120), "sky": (101, 141, 200), "clear sky": (90, 150, 210), "sea": (33, 77, 201)}
flat = [gradient_norm(np.full((1, CROP, CROP, 3), colour, "float32")) for colour in colours.values()]
print("eight crops:", ", ".join(f"{size:.0f}" for size in usual))
print("one colour:", ", ".join(f"{name} {size:.0e}" for name, size in zip(colours, flat)))
assert full_size(max(flat) > 1000 * max(usual), True)

# %%
# So crops of one colour are not trained on. For what is nearly as bad, gradients are *bounded*: if the norm of all of
# them, taken as one vector, is above a bound c, all are multiplied by the same factor.
#
# .. math::
#
#     g \;\to\; g \cdot \min\Big(1, \frac{c}{|g|}\Big), \qquad
#     |g|^2 = \text{sum of the squares of all numbers in all arrays}
#
# One factor for all keeps the direction. To cut off single numbers, or each array on its own, would turn it.
#
# But does Adam not divide by the size of the gradient anyway? It does, and this makes it worse. The figure shows the
# steps for a gradient that is always 1, but for step 20, where it is 1000. The jump itself is harmless. But it stays in
# v for a thousand steps, in which :math:`\sqrt{\hat v}` is far too large: the parameter nearly stands still.


def steps_of_adam(numbers):
    """The steps, in units of the rate, that Adam makes for a parameter with these gradients."""
    moments, made = Moments.of(np.zeros(1)), []
    for number in numbers:
        moments = moments.after(np.array([number]))
        made.append(moments.step(1.0)[0])
    return np.array(made)


spike = np.ones(200)
spike[20] = 1000
bound = 3.0
bounded = spike * np.minimum(1, bound / np.abs(spike))
_, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.plot(steps_of_adam(spike), label="as it comes")
axes.plot(steps_of_adam(bounded), label=f"bounded by {bound:g}")
axes.set(xlabel="step", ylabel="step, in units of the rate", ylim=(0, None))
axes.legend()
plt.show()
print(f"180 steps later: {steps_of_adam(spike)[-1]:.3f} as it comes, {steps_of_adam(bounded)[-1]:.3f} bounded")
assert steps_of_adam(spike)[-1] < 0.1
assert steps_of_adam(bounded)[-1] > 0.9

# %%
# Training
# --------
#
# All parts are there. One step, as a whole: crops; paint them; judge; go back; bound; Adam for each array. The
# package's ``Training.step`` does the same, and the first steps agree.


def bounded_together(gradients, bound):
    factor = min(1, bound / norm_of(array for arrays in gradients.values() for array in arrays))
    return {name: [array * np.float32(factor) for array in arrays] for name, arrays in gradients.items()}


def train_step(painter, moments, x, rate):
    losses, gradients = gradients_of(painter, loss, x, [0] * len(x))
    # A bias in front of a norm does nothing, and is not trained (lesson 16).
    gradients = {
        name: [array * is_learnt for array, is_learnt in zip(gradients[name], each)]
        for name, each in transform_net.learnt(painter).items()
    }
    gradients = bounded_together(gradients, LARGEST_GRADIENT)
    parameters = {}
    for name, arrays in painter.parameters.items():
        moments[name] = [m.after(gradient) for m, gradient in zip(moments[name], gradients[name])]
        parameters[name] = tuple(array - m.step(rate) for array, m in zip(arrays, moments[name]))
    return replace(painter, parameters=parameters), losses


painter, chance = untrained, np.random.default_rng(plan.seed)
moments = {name: [Moments.of(array) for array in arrays] for name, arrays in painter.parameters.items()}
for k in range(2):
    painter, _ = train_step(painter, moments, album.crops(chance, BATCH, CROP), rate_at(k))
    training.step()


def way(end, start):
    """How far apart two painters are, as vectors of all parameters."""
    return norm_of(a - b for name in end.parameters for a, b in zip(end.parameters[name], start.parameters[name]))


apart, moved = way(painter, training.network), way(training.network, untrained)
print(f"two steps have moved the parameters by {moved:.2g}; ours and the package's are {apart:.1g} apart")
assert apart < 0.05 * moved

# %%
# Now for a minute or two. The bars are the loss, a # for each tenth; watch them. At some steps the network, as it is
# then, paints your photograph, which is not among its crops.

LOOKS = [number for number in (0, 10, 50, 200) if number < STEPS] + [STEPS]
ONE = np.ones((1, 1), "float32")


def painted_by(network, picture):
    return paint(network, picture[np.newaxis].astype("float32"), ONE)[0][0]


def train(training, looks=()):
    """Train to the end; return the running means of the losses, and the photograph as painted at some steps."""
    curve, seen, steps = [], {}, training.plan.iterations
    started = time.perf_counter()
    while training.state.iteration < steps:
        if training.state.iteration in looks:
            seen[training.state.iteration] = painted_by(training.network, photograph)
        training.step()
        done, losses = training.state.iteration, training.state.losses
        curve.append((losses.total, losses.content, losses.style))
        if done % max(1, steps // 20) == 0:
            speed = done * BATCH / (time.perf_counter() - started)
            bar = "#" * min(50, round(10 * losses.total))
            print(f"step {done:4}, {speed:3.0f} crops a second, loss {losses.total:5.2f} {bar}", flush=True)
    seen[steps] = painted_by(training.network, photograph)
    return np.array(curve), seen


training = Training(untrained, {0.0: loss}, album, plan)
curve, seen = train(training, LOOKS)

# %%
# After some dozens of steps there are the colours of the painting, and the large shapes; then come strokes, and last
# what is on the photograph. The curves say the same: the style falls at once, and far; the content falls slowly, and
# by half. It has to be carried through all rows of the painter, while strokes can be made by the last ones alone.

show_images({"photograph": photograph, **{f"after {number} steps": picture for number, picture in seen.items()}}, 3)
plt.show()
_, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
axes.plot(curve[:, 0], "k", label="loss")
axes.plot(curve[:, 1], label=r"$\alpha$ content")
axes.plot(STYLE_WEIGHT * curve[:, 2], label=r"$\beta$ style")
axes.set(xlabel="step", ylabel="running means", yscale="log")
axes.legend()
plt.show()


def judged(picture, by=loss):
    return by(picture[np.newaxis], photograph[np.newaxis], [0])[0]


trained = training.network
print(f"{STEPS * BATCH} crops in {training.state.seconds:.0f} s; on your photograph:")
for number, picture in seen.items():
    print(f"after {number:4} steps: content {judged(picture).content:.2f}, style {judged(picture).style:.3f}")
assert judged(seen[STEPS]).total < full_size(0.6, 1.1) * judged(seen[0]).total
assert np.mean(curve[-5:, 0]) < full_size(1, 2) * curve[0, 0]

# %%
# How much style
# --------------
#
# :math:`\beta` is chosen before the training, and a trained network cannot be asked for less. (The package's
# ``--strength`` mixes the painting with the photograph, which is another thing.) To see what it does, we need not begin
# anew: the trained network learns on for some steps with another weight. Less style first, then more.

MORE = full_size(80, 4)
others = {}
for weight in (0.5, 20.0):
    weighted = PerceptualLoss(judge, [painting], crops, Weights(style=weight), CONTENT, STYLE)
    further = Training(trained, {0.0: weighted}, album, replace(plan, iterations=MORE, rate=RATE / 2))
    train(further)
    others[weight] = painted_by(further.network, photograph)

by_weight = {0.5: others[0.5], STYLE_WEIGHT: seen[STEPS], 20.0: others[20.0]}
show_images({"photograph": photograph, **{f"style weight {weight:g}": each for weight, each in by_weight.items()}})
plt.show()
for weight, each in by_weight.items():
    print(f"style weight {weight:4g}: content {judged(each).content:.2f}, style {judged(each).style:.3f}")
contents = [judged(each).content for each in by_weight.values()]
styles = [judged(each).style for each in by_weight.values()]
assert full_size(contents[0] < contents[2], True)
assert full_size(styles[0] > styles[2], True)

# %%
# As with :math:`\alpha / \beta` in lesson 13: what one loss gains the other one loses. No weight is right; look at the
# pictures. ``scratchnst train style PAINTING -o OUT.png --try PHOTO`` optimises one picture by these losses, so that
# you can choose before you train.
#
# What is lost
# ------------
#
# How good is the network's picture, in the eyes of its own loss? The blue curve is the slow method on your photograph,
# from the second section; the dotted line is the network. Where they cross, the slow method has caught up.

fast = seen[STEPS]
fast_loss = judged(fast).total
below = np.flatnonzero(np.array(slow_losses) < fast_loss)
crossing = below[0] if len(below) else None
_, from_fast = slowly(photograph, SLOW // 2, start=fast, highest=4.0)
_, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
axes.plot(slow_losses, label="optimised, from the photograph")
axes.plot(from_fast, label="optimised, from the network's picture")
axes.axhline(fast_loss, color="k", ls=":", label="the network's picture")
axes.set(xlabel="step", ylabel="loss", yscale="log")
axes.legend()
plt.show()
show_images({"painted by the network": fast, f"optimised, {SLOW} steps": optimised}, 2)
plt.show()

started = time.perf_counter()
painted_by(trained, photograph)
seconds = time.perf_counter() - started
print(f"the network, {seconds:.2f} s: content {judged(fast).content:.2f}, style {judged(fast).style:.3f}")
print(f"optimised, {SLOW} steps: content {judged(optimised).content:.2f}, style {judged(optimised).style:.3f}")
if crossing:
    as_good = crossing * 2 * seen_by_judge
    print(f"as low a loss takes the slow method {crossing} steps; the network has paid off", end=" ")
    print(f"after {of_training / (as_good - of_painting):.0f} pictures, not {break_even:.0f}")
assert from_fast[-1] < from_fast[0]
assert full_size(fast_loss < slow_losses[0], True)
assert full_size(slow_losses[-1] < fast_loss, True), "what is lost"

# %%
# By the loss, the slow method has caught up after a handful of steps, and ends far below, in the content and in the
# style. Count again with so few steps a picture, and training pays off only after dozens of pictures. What is lost:
#
# * The slow method moves each of this one photograph's 200,000 numbers as it likes. The painter has 70,000 parameters
#   for all photographs, of which it has seen few.
# * The slow method begins at the photograph, where the content loss is 0. The painter has to carry each edge through
#   its rows, and details are lost on the way.
# * One painting at one size of strokes and one style weight is all that it can do. The slow method takes any, at once.
#
# But look at the two pictures, too. In the slow one the colours of the photograph are still there, under a fine grain
# that lowers the loss. The painter cannot make such a grain for every place; it has learnt to lay strokes. Which one is
# the better painting is not what the loss measures. And the painter needs a part of a second.
#
# The two can be joined: start the slow method from the network's picture (``scratchnst transfer ... --init OUT.png``),
# as the second curve does.
#
# In the package: ``scratchnst train style PAINTING -o MODEL.h5`` trains a larger painter for six minutes, and
# ``scratchnst fast PHOTO --model MODEL.h5 -o OUT.png`` paints with it.

# %%
# Exercises
# ---------
#
# 1. On paper: with a loss network that takes ten times as many multiplications, such as VGG19, after how many pictures
#    does the training pay off? And if the pictures are to have twice as many pixels a side?
# 2. On paper: why does (b) need no 1/4, and no division by the number of channels, when equation 4 has both?
# 3. On paper: leave out ``to_output``. Every gradient is SPREAD times too small then. Which of bound, Adam and warm-up
#    make up for it, and what is different in the end? And with gradient descent in place of Adam?
# 4. By experiment: train on a single photograph, ``photographs.Photographs([("one", photograph)])``. What does the
#    network paint of it, and what of another one?
# 5. By experiment: set ``Weights(roughness=0.0)``, and train again. Then ``content=0.0``. What does each term prevent?
#
# To write: ``layer_loss``, ``rows_backward`` and ``bounded`` in ``lessons/18_painter/exercise.py``: the loss of one
# layer of a batch with its gradient, the way from the images to the styles, and the bound of two arrays.
# ``scratchnst check 18`` tries them and says what is wrong.
