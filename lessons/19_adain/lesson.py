r"""
Style as statistics: moments and AdaIN
======================================

A painter of lesson 18 knows the styles that it was trained on. In 2017 X. Huang and S. Belongie showed how one network
can paint in a style that it never saw: give each channel of the photograph's features the mean and the deviation of
the style's. This is *adaptive instance normalisation*, AdaIN. This lesson derives the two statistics and their
gradients, compares them with the Gram matrix of lesson 10, differentiates AdaIN by the photograph and by the style, and
shows why a network has to make the picture.

After this lesson you can

* differentiate a mean and a standard deviation by each pixel, and say what happens at deviation 0;
* write a Gram matrix as means and covariances, and say which of these numbers moments keep;
* give features the moments of others, and derive the gradient by both;
* say why the result is in general no picture's features, and what a decoder makes of it;
* say how a network chooses its rows of scales and shifts by a style that is new to it.

It needs lessons 9 (pictures from features), 10 (Gram matrices) and 16 (instance normalisation); its last section also
uses 18 (training a painter).

========================= ==========================================================================================
symbol                    meaning
========================= ==========================================================================================
:math:`x_i`               pixel i of one channel of one image, :math:`i = 1 \ldots M`; of a content, when there are two
:math:`\mu, v`            mean and variance of these M numbers
:math:`\varepsilon`       a small constant, :math:`10^{-5}`
:math:`s`                 deviation, :math:`\sqrt{v + \varepsilon}`; :math:`\mu` and s are the *moments* of a channel
:math:`z`                 the normalised pixels, :math:`z_i = (x_i - \mu) / s`
:math:`a_k`               pixel k of the same channel of a style, :math:`k = 1 \ldots M'`
:math:`\mu', s', z'`      the same of the style
:math:`y`                 AdaIN's output
:math:`g`                 the upstream gradient, :math:`\partial L / \partial y`; ``grad_y``
:math:`h`                 :math:`s' g`, the gradient by z
:math:`F`                 features of an image at one layer, a row for each position, a column for each channel
:math:`G`                 Gram matrix, :math:`F^T F`
:math:`K_{ij}`            covariance of channels i and j
:math:`t`                 strength, from 0 (the photograph's moments) to 1 (the style's)
:math:`c, S, T`           mixture of a style's rows; the rows of scales and of shifts
========================= ==========================================================================================
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from scratchnst import ArbitraryStyle
from scratchnst.classroom import full_size, pictures, show_images
from scratchnst.losses import content_loss, gram
from scratchnst.models import style_predictor, transform_net
from scratchnst.models.adain_net import ADAIN
from scratchnst.models.style_encoder import ENCODED
from scratchnst.ops import adain, instance_norm, moments
from scratchnst.optimize.scipy_lbfgs import scipy_lbfgs
from scratchnst.verify import check_backward, check_gradient

# %%
# Two numbers of a channel
# ------------------------
#
# Take one channel of one image, its M pixels in a row. Where is its middle, and how far from it are the pixels?
#
# .. math::
#
#     \mu = \frac{1}{M} \sum_i x_i, \qquad v = \frac{1}{M} \sum_i (x_i - \mu)^2, \qquad s = \sqrt{v + \varepsilon}
#     \qquad (a)
#
# By hand, for the 2x2 pixels of lesson 16 (:math:`\varepsilon` left out):
#
# .. math::
#
#     x = \begin{pmatrix} 14 & 8 \\ 0 & 6 \end{pmatrix}, \quad \mu = \frac{28}{4} = 7, \quad
#     v = \frac{7^2 + 1^2 + 7^2 + 1^2}{4} = 25, \quad s = 5
#
# The variance is measured in squares; the root takes it back to the units of x. Multiply x by 3, and :math:`\mu` and s
# are multiplied by 3, but v by 9. Add 50, and only :math:`\mu` moves. In whatever order the pixels stand, the moments
# are the same.
#
# With loops for one channel; ``scratchnst/ops/moments.py`` does it for a stack of images, and returns an array
# (N, 2, C): means first, then deviations.

EPSILON = moments.EPSILON


def moments_loops(x):
    """Return mean and deviation of one channel, whose pixels are a vector (M,)."""
    mean = sum(x) / len(x)
    variance = sum((pixel - mean) ** 2 for pixel in x) / len(x)
    return np.array([mean, np.sqrt(variance + EPSILON)])


x = np.array([14.0, 8, 0, 6])
print("mean, deviation:", moments_loops(x).round(4))
assert np.allclose(moments_loops(x), [7, 5])
assert np.allclose(moments_loops(3 * x + 50), [3 * 7 + 50, 3 * 5])
assert np.allclose(moments_loops(np.sort(x)), [7, 5])

side = full_size(128, 32)
random = np.random.default_rng(0)
content, style = (picture.astype("float32") for picture in pictures(side))
both = np.stack([content, style]).astype("float64")
y, _ = moments.forward(both)
for name, (means, deviations) in zip(("photograph", "style"), y):
    print(f"{name}, red, green, blue: means {means.round(0)}, deviations {deviations.round(0)}")
assert y.shape == (2, 2, 3)
assert np.allclose(y[1, :, 0], moments_loops(both[1, :, :, 0].ravel()))

# %%
# The slope of a deviation
# ------------------------
#
# How do the moments change when one pixel :math:`x_j` moves? In the mean every pixel has the same part:
#
# .. math::
#
#     \frac{\partial \mu}{\partial x_j} = \frac{1}{M}
#
# In the variance, :math:`x_j` stands twice: in its own square, and in the mean, which is in *all* squares.
#
# .. math::
#
#     \frac{\partial v}{\partial x_j}
#     = \frac{2}{M} (x_j - \mu) - \frac{2}{M} \sum_i (x_i - \mu) \cdot \frac{1}{M} = \frac{2}{M} (x_j - \mu)
#
# The sum is 0: differences from the mean add up to nothing. So the mean may be held fixed here. It takes all squares
# for that; see below what becomes of it if the mean moves in one square only. Then the root. From
# :math:`s^2 = v + \varepsilon` follows :math:`2 s \, \partial s = \partial v`, and the two 2s cancel:
#
# .. math::
#
#     \frac{\partial s}{\partial x_j} = \frac{1}{2 s} \cdot \frac{2}{M} (x_j - \mu) = \frac{z_j}{M} \qquad (b)
#
# By hand, :math:`z = (1.4, 0.2, -1.4, -0.2)`, so the slopes are :math:`(0.35, 0.05, -0.35, -0.05)`. The pixel farthest
# above the mean raises the deviation most; one below the mean lowers it.
#
# Before you go on, check the first slope with a pencil: put 15 in the place of 14. What are mean, variance and
# deviation then?

# %%
# The mean is 7.25, the squares are 60.0625, 0.5625, 52.5625 and 1.5625, the variance is 114.75 / 4 = 28.6875, and its
# root is 5.356: the deviation has risen by 0.356, about 0.35. A smaller step comes nearer.

z = (x - 7) / 5
slopes = z / 4
for step in (1, 0.1, 0.001):
    moved = moments_loops(x + np.array([step, 0, 0, 0]))
    print(f"14 + {step}: deviation {moved[1]:.6f}, slope {(moved[1] - moments_loops(x)[1]) / step:.5f}")
assert np.allclose(slopes, [0.35, 0.05, -0.35, -0.05])
assert np.isclose(moments_loops(np.array([15.0, 8, 0, 6]))[1], np.sqrt(28.6875))

measured = [(moments_loops(x + 1e-4 * unit) - moments_loops(x - 1e-4 * unit)) / 2e-4 for unit in np.eye(4)]
print("by central differences:\n", np.round(measured, 4).T)
assert np.allclose(np.transpose(measured), [[0.25] * 4, slopes], atol=1e-6)

# %%
# Backward, a pixel reaches the loss on two paths, through the mean and through the deviation, and paths add:
#
# .. math::
#
#     \frac{\partial L}{\partial x_j}
#     = \frac{1}{M} \left( \frac{\partial L}{\partial \mu} + \frac{\partial L}{\partial s} \, z_j \right) \qquad (c)
#
# This is ``moments.backward``, one line. A gradient that comes out of moments has a constant part and a part along z,
# and nothing else: it can make a channel brighter, and raise its contrast. These are the two parts that instance
# normalisation takes *out* of a gradient (lesson 16).
#
# As a picture: let the loss compare the red channel's moments with the style's, :math:`L = \frac{1}{2} (\mu -
# \mu')^2 + \frac{1}{2} (s - s')^2`. Its gradient is two numbers and the picture itself, in red and blue.

red, target = both[:1, :, :, :1], y[1:, :, :1]
of_red, cache = moments.forward(red)
gradient = moments.backward(of_red - target, cache)
slope_of_mean, slope_of_deviation = (of_red - target)[0, :, 0]

_, (left, right) = plt.subplots(1, 2, figsize=(7, 3.4), layout="constrained")
left.imshow(red[0, :, :, 0], cmap="gray")
left.set_title("the red channel")
largest = np.abs(gradient).max()
shown = right.imshow(gradient[0, :, :, 0], cmap="RdBu_r", vmin=-largest, vmax=largest)
right.set_title("gradient")
for axes in (left, right):
    axes.axis("off")
plt.colorbar(shown, ax=right, shrink=0.8)
plt.show()

print(f"dL/d mean {slope_of_mean:.1f}, dL/d deviation {slope_of_deviation:.1f}")
z_red = (red - of_red[0, 0]) / of_red[0, 1]
assert np.allclose(gradient, (slope_of_mean + slope_of_deviation * z_red) / red.size)

# %%
# And the checks. Right, and with mistakes that are easily made: the path through the mean forgotten; the variance
# differentiated in place of the deviation; the mean moved in the pixel's own square alone, which leaves a factor
# :math:`1 - 1/M`; and M - 1 for M, as a sample's variance has it.


def moments_with(slope):
    """A backward of moments with another slope of the deviation, and of the mean."""

    def backward(grad_y, z):
        own, mean = slope(z, z.shape[1] * z.shape[2])
        return (mean * grad_y[:, 0, None, None] + grad_y[:, 1, None, None] * own) / (z.shape[1] * z.shape[2])

    return backward


two_images = random.standard_normal((2, 3, 4, 2)) * [1, 3] + [0, 2]
report = check_backward(moments.forward, moments.backward, [two_images], names=["x"])
assert report.passed
deviation_of_each = moments.forward(two_images)[0][:, 1, None, None]
for name, slope in {
    "no mean": lambda z, M: (z, 0),
    "variance": lambda z, M: (2 * z * deviation_of_each, 1),
    "own square": lambda z, M: (z * (1 - 1 / M), 1),
    "M - 1": lambda z, M: (z * (M / (M - 1)) ** 0.5, 1),
}.items():
    report = check_backward(moments.forward, moments_with(slope), [two_images], operation="moments")
    print(f"{name}: {report.inputs[0].diagnosis}\n")
    assert report.verdict == "fail"
    assert report.inputs[0].diagnosis

# %%
# Deviation 0
# -----------
#
# A channel that a ReLU has silenced is 0 throughout. Raise one of four such pixels to t. Then :math:`\mu = t/4`, and
#
# .. math::
#
#     v = \frac{1}{4} \left( \frac{9}{16} + \frac{3}{16} \right) t^2 = \frac{3}{16} t^2, \qquad
#     \sqrt{v} = \frac{\sqrt{3}}{4} |t|, \qquad s = \sqrt{\frac{3}{16} t^2 + \varepsilon}
#
# The root of v has a kink at 0, like a ReLU (lesson 4): its slope is 0.433 on the right and -0.433 on the left. The
# formula (b) would divide 0 by 0. With :math:`\varepsilon` *in* the root the kink is rounded off to a hyperbola, and at
# 0 the slope is 0. Would :math:`\sqrt{v} + \varepsilon` do as well? It keeps a division by the deviation from failing,
# but the kink stays, and with it the slope that does not exist. (Its dotted line lies on that of the root of v.)

line = np.linspace(-0.03, 0.03, 301)
deviations = np.array([moments_loops(np.array([t, 0, 0, 0]))[1] for t in line])
kinked = np.sqrt(3) / 4 * np.abs(line)

_, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
left.plot(line, kinked, label="root of v")
left.plot(line, deviations, label="s, with epsilon in the root")
left.plot(line, kinked + EPSILON, ":", label="root of v, plus epsilon")
right.plot(line, np.sqrt(3) / 4 * np.sign(line))
right.plot(line, 3 / 16 * line / deviations)
for axes, title in ((left, "deviation of (t, 0, 0, 0)"), (right, "its slope")):
    axes.set(xlabel="t", title=title)
left.legend()
plt.show()

assert np.allclose(deviations, np.sqrt(3 / 16 * line**2 + EPSILON))
assert np.allclose(np.gradient(deviations, line)[1:-1], (3 / 16 * line / deviations)[1:-1], atol=5e-3)
silent = np.zeros((1, 2, 2, 1))
y_silent, cache = moments.forward(silent)
assert np.array_equal(moments.backward(np.array([[[0.0], [1.0]]]), cache), silent)
print(f"the smallest deviation there is: {y_silent[0, 1, 0]:.5f}, the root of {EPSILON:g}")

# %%
# So s is never less than 0.00316. That is a floor for what we shall divide by, and it is not far away. A channel whose
# true deviation is 0.001 has, with :math:`\varepsilon`, :math:`s = \sqrt{10^{-6} + 10^{-5}} = 0.0033`, and its z has
# the deviation 0.3, not 1. Channels as faint as that are nothing but noise, and it is right that they are not blown up.

faint = 0.001 * z.reshape(1, 2, 2, 1)
(_, faint_deviation), faint_z = moments.forward(faint)[0][0, :, 0], moments.forward(faint)[1]
print(f"s {faint_deviation:.5f}, deviation of z {faint_z.std():.3f}")
assert np.isclose(faint_deviation, np.sqrt(1.1e-5))
assert np.isclose(faint_z.std(), 0.001 / np.sqrt(1.1e-5))

# %%
# What moments keep of a style
# ----------------------------
#
# Lesson 10 described a style by Gram matrices. How do moments compare? Write a feature as its channel's mean plus the
# rest, :math:`F_{mi} = \mu_i + r_{mi}`. The rests of a channel add up to 0, so in the product the mixed terms vanish:
#
# .. math::
#
#     \frac{1}{M} G_{ij} = \frac{1}{M} \sum_m (\mu_i + r_{mi}) (\mu_j + r_{mj})
#     = \mu_i \mu_j + \frac{1}{M} \sum_m r_{mi} r_{mj} = \mu_i \mu_j + K_{ij}
#
# A Gram matrix is the outer product of the means plus the covariance. The diagonal of the covariance is the variance,
# so on the diagonal stands :math:`\mu_i^2 + v_i`. The moments know both of its parts; of everything beside the diagonal
# they know nothing. In numbers, for C channels: C(C+1)/2 in a Gram matrix, 2C in the moments.
#
# Neither contains the other. The columns (1, 1) and :math:`(0, \sqrt{2})` have the same :math:`\mu^2 + v = 1`, but the
# means 1 and 0.707: on its diagonal a Gram matrix cannot tell an even grey from a contrast.
#
# By hand, with the two pictures of lesson 10, "orange" and "stroke" together or apart. All means are 0.5 and all
# variances 0.25; the covariance is 0.25 in one and -0.25 in the other:
#
# .. math::
#
#     \frac{2}{4} = 0.5 \cdot 0.5 + 0.25, \qquad \frac{0}{4} = 0.5 \cdot 0.5 - 0.25

together = np.array([[1.0, 1], [1, 1], [0, 0], [0, 0]])
apart = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])
for name, F in (("together", together), ("apart", apart)):
    means, K = F.mean(axis=0), np.cov(F.T, bias=True)
    print(f"{name}: means {means}, variances {np.diag(K)}, covariance {K[0, 1]}")
    assert np.allclose(gram.forward(F.reshape(1, 2, 2, 2))[0][0] / 4, np.outer(means, means) + K)
images_of_both = np.stack([together, apart]).reshape(2, 2, 2, 2)
assert np.allclose(*moments.forward(images_of_both)[0])
assert not np.allclose(*gram.forward(images_of_both)[0])

# %%
# In colours this is easily seen. Let the channels be red and green. Where they occur together there is yellow beside
# black; where they occur apart, red beside green. Guess: which of the two statistics can tell these patterns apart?

checkers = np.indices((8, 8)).sum(axis=0) % 2
yellow_black = 255.0 * np.stack([checkers, checkers, 0 * checkers], axis=-1)
red_green = 255.0 * np.stack([checkers, 1 - checkers, 0 * checkers], axis=-1)
show_images({"red and green together": yellow_black, "red and green apart": red_green})
plt.show()

patterns = np.stack([yellow_black, red_green])
print("moments of red and green:", moments.forward(patterns)[0][:, :, :2].round(1).tolist())
print("Gram matrix, red times green, over M:", gram.forward(patterns)[0][:, 0, 1] / 64)
assert np.allclose(*moments.forward(patterns)[0])
assert np.allclose(gram.forward(patterns)[0][:, 0, 1] / 64, [255**2 / 2, 0])

# %%
# But a network has more layers. A kernel of the next one adds channels with weights w, and the variance of a weighted
# sum is made of covariances:
#
# .. math::
#
#     \text{variance of } \sum_i w_i F_{mi} = \sum_{i,j} w_i w_j K_{ij}
#
# With :math:`w = (1, 1)`, red plus green, the pattern yellow and black has four times the variance of one channel; the
# other pattern is even, with variance 0. So the moments of the next layer see what those of this one do not. Each
# kernel sees one combination of covariances, though, not each of them.

sums = patterns @ [1.0, 1, 0]
print("variance of red + green, over that of red:", (sums.var(axis=(1, 2)) / patterns[:, :, :, 0].var(axis=(1, 2))))
assert np.allclose(sums.var(axis=(1, 2)) / patterns[:, :, :, 0].var(axis=(1, 2)), [4, 0])

# %%
# Textures by moments
# -------------------
#
# How much of a style is in the moments? The question of lesson 10, with moments in the place of Gram matrices: start
# from noise and walk downhill until the statistics of four layers are the style's. The loss of a layer is the squared
# distance of its statistics Y from the style's, A, relative to these:
#
# .. math::
#
#     L = \sum_l \frac{|Y_l - A_l|^2}{|A_l|^2}, \qquad
#     \frac{\partial L}{\partial Y_l} = \frac{2 (Y_l - A_l)}{|A_l|^2}
#
# From there (c) leads to the features, and the walk back of lesson 8 to the pixels. The layers are those of the
# encoder of ``ArbitraryStyle``, the network that we shall look at below: the first layers of the distilled network.

model = ArbitraryStyle.load(transform="adain")
net = model.network
LAYERS = style_predictor.LAYERS


def moments_of(F):
    """Moments, and what takes their gradient back."""
    y, cache = moments.forward(F)
    return y, lambda grad_y: moments.backward(grad_y, cache)


def gram_of(F):
    """The same of Gram matrices, over M."""
    G, cache = gram.forward(F)
    M = F[0, :, :, 0].size
    return G / M, lambda grad_y: gram.backward(grad_y / M, cache)


def statistics_loss(x, statistics, targets, net):
    """Return the loss of an image (H, W, 3) and its gradient."""
    features, cache = net.forward(x[np.newaxis], LAYERS, training=False)
    loss, gradients = 0.0, {}
    for name, A in targets.items():
        y, back = statistics(features[name])
        size = np.sum(A**2)
        loss += np.sum((y - A) ** 2) / size
        gradients[name] = back(2 * (y - A) / size)
    return loss, net.backward(gradients, cache)[0]


exact = net.astype("float64")
small_x, small_style = random.uniform(0, 255, (2, 12, 12, 3))
small_features = exact.features(small_style[np.newaxis], LAYERS)
for statistics in (moments_of, gram_of):
    small_targets = {name: statistics(F)[0] for name, F in small_features.items()}
    report = check_gradient(
        lambda x, s=statistics, A=small_targets: statistics_loss(x, s, A, exact),
        small_x,
        samples=full_size(12, 4),
        name=statistics.__name__,
    )
    print(report)
    assert report.passed

# %%
# Now the textures, by Gram matrices and by moments, from the same noise. Guess first: will the colours come out with
# moments alone? The strokes?

F_style = net.features(style[np.newaxis], LAYERS)
noise = random.normal(127.5, 20, style.shape)
steps = full_size(100, 8)


def minimised(f, steps):
    """Return the image that a walk of L-BFGS from the noise ends at, with pixels from 0 to 255, and the losses."""
    losses = []

    def of_vector(vector):
        loss, gradient = f(vector.reshape(noise.shape).astype("float32"))
        return float(loss), gradient.ravel().astype("float64")

    end = scipy_lbfgs(of_vector, noise.ravel(), steps, bounds=(0, 255), callback=lambda _, loss: losses.append(loss))
    return end.x.reshape(noise.shape).astype("float32"), losses


def off(image, statistics):
    """How far an image's statistics are from the style's, relative to these, the mean over layers."""
    F = net.features(image[np.newaxis].astype("float32"), LAYERS)
    pairs = [(statistics(F[name])[0], statistics(F_style[name])[0]) for name in LAYERS]
    return np.mean([np.linalg.norm(y - A) / np.linalg.norm(A) for y, A in pairs])


made = {"the style": style}
for name, statistics in (("Gram matrices", gram_of), ("moments", moments_of)):
    targets = {layer: statistics(F)[0] for layer, F in F_style.items()}
    made[f"by {name}"], _ = minimised(
        lambda x, s=statistics, A=targets: tuple(1e3 * each for each in statistics_loss(x, s, A, net)), steps
    )
show_images(made)
plt.show()

table = {
    title: (off(image, gram_of), off(image, moments_of))
    for title, image in {"noise": noise, "photograph": content, **made}.items()
}
print(f"{'off by':<18}{'Gram matrices':>14}{'moments':>10}")
for title, (of_gram, of_moments) in table.items():
    print(f"{title:<18}{of_gram:>14.3f}{of_moments:>10.3f}")
channels = [F.shape[3] for F in F_style.values()]
print(f"numbers: {sum(C * (C + 1) // 2 for C in channels)} in Gram matrices, {sum(2 * C for C in channels)} in moments")
assert np.isclose(sum(C * (C + 1) // 2 for C in channels) / sum(2 * C for C in channels), 20, atol=1)
assert table["by moments"][1] < table["noise"][1]
assert full_size(table["by moments"][1] < table["by Gram matrices"][1], True)
assert full_size(table["by Gram matrices"][0] < 0.5 * table["by moments"][0], True)
assert full_size(table["by moments"][0] < 0.3 * table["photograph"][0], True)

# %%
# With moments, too, there are colours and strokes. The moments fit very closely, and the Gram matrices, which were not
# asked for, come within some ten per cent: most of what they say about this style follows from the moments of several
# layers. What is lost is in those ten per cent: which features occur together. Moments are a description with a
# twentieth of the numbers. And they can be *given* to features in one line, as we shall see next. To give features a
# whole covariance takes the root of a matrix; that is the subject of lesson 20.

# %%
# AdaIN
# -----
#
# To give the content's channel the moments of the style's, take its own out, and put the others in:
#
# .. math::
#
#     y_i = s' \, \frac{x_i - \mu}{s} + \mu' = s' z_i + \mu' \qquad (d)
#
# It is the instance normalisation of lesson 16, and nothing else. There scale and shift were learnt, a row for each
# style. Here they are measured: the scale is the style's deviation, the shift its mean.
#
# By hand: our x has :math:`z = (1.4, 0.2, -1.4, -0.2)`. Let the style have two pixels, 10 and 30. (It may have any
# number, since only its moments count.) Then :math:`\mu' = 20`, :math:`s' = 10`, :math:`z' = (-1, 1)`, and
#
# .. math::
#
#     y = (14 + 20, \; 2 + 20, \; -14 + 20, \; -2 + 20) = (34, 22, 6, 18)
#
# Its mean is 20, and its deviation 10. With loops, and beside it ``scratchnst/ops/adain.py``.


def adain_loops(x, a):
    """Equation (d) for one channel of a content (M,) and a style (M',)."""
    (mean, s), (style_mean, style_s) = moments_loops(x), moments_loops(a)
    return np.array([style_s * (pixel - mean) / s + style_mean for pixel in x])


a = np.array([10.0, 30])
by_hand = adain_loops(x, a)
print("y =", by_hand.round(4))
assert np.allclose(by_hand, [34, 22, 6, 18], atol=1e-4)
of_package, _ = adain.forward(x.reshape(1, 2, 2, 1), a.reshape(1, 1, 2, 1))
as_norm, _ = instance_norm.forward(x.reshape(1, 2, 2, 1), np.array([[10.0]]), np.array([[20.0]]))
assert np.allclose(of_package.ravel(), by_hand)
assert np.allclose(as_norm, of_package, atol=1e-5)

# %%
# First with pixels: the channels are red, green and blue. Guess what the photograph with the style's moments looks
# like. Which of colours, brightness, strokes will it have from the style?

recoloured, _ = adain.forward(both[:1], both[1:])
show_images({"photograph": content, "style": style, "the style's moments": recoloured[0]})
plt.show()
print("moments of the result:\n", moments.forward(recoloured)[0][0].round(1))
assert np.allclose(moments.forward(recoloured)[0], moments.forward(both[1:])[0], atol=1e-3)

# %%
# Colours and contrast, no strokes: pixels do not know of strokes. Features do (lesson 8). So we take features of the
# encoder's last layer, ``conv3_4``, and give each of their 96 channels the style's moments.


def encoded(picture):
    """Features (1, H, W, C) of a picture at the encoder's last layer."""
    return net.features(picture[np.newaxis].astype("float32"), [ENCODED])[ENCODED]


X, A = encoded(content), encoded(style)
Y, _ = adain.forward(X, A)
of_X, of_A, of_Y = (moments.forward(each)[0][0] for each in (X, A, Y))

_, grid = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for axes, row, title in zip(grid, (0, 1), ("means", "deviations")):
    highest = max(of_X[row].max(), of_A[row].max(), of_Y[row].max())
    axes.plot([0, highest], [0, highest], "k:", lw=1)
    axes.plot(of_A[row], of_X[row], ".", color="0.6", label="photograph")
    axes.plot(of_A[row], of_Y[row], ".", label="after AdaIN")
    axes.set(xlabel="style", title=f"{title} of the channels at {ENCODED}")
grid[0].legend()
plt.show()

loud = X[0].std(axis=(0, 1)) > 0.05
print(f"{len(loud) - loud.sum()} of {len(loud)} channels hardly vary in the photograph")
assert np.allclose(of_Y[0], of_A[0], atol=1e-4)
assert np.allclose(of_Y[1, loud], of_A[1, loud], rtol=3e-3, atol=2e-3)

# %%
# All channels that vary have got the style's moments: they are on the dotted line. What becomes of a channel that is
# silent in the photograph, but not in the style? Silence the one that varies most in the style, and try.

loudest = of_A[1].argmax()
silenced = X.copy()
silenced[..., loudest] = 0
mean, deviation = moments.forward(adain.forward(silenced, A)[0])[0][0, :, loudest]
print(
    f"style: mean {of_A[0, loudest]:.2f}, deviation {of_A[1, loudest]:.2f}; after AdaIN {mean:.2f} and {deviation:.4f}"
)
assert np.isclose(mean, of_A[0, loudest], rtol=1e-4)
assert np.isclose(deviation, EPSILON**0.5, rtol=1e-3)

# %%
# It has :math:`z = 0`. The mean can be put in, but there is nothing that could be given a deviation, and what is left
# is the root of :math:`\varepsilon`. AdaIN scales what is there; it does not invent.

# %%
# The gradient of AdaIN
# ---------------------
#
# Two inputs, two gradients. By the *content*: the style's moments are two constants, and what is left is the backward
# of lesson 16, three paths, with :math:`h = s' g`:
#
# .. math::
#
#     \frac{\partial L}{\partial x_j}
#     = \frac{1}{s} \left( h_j - \frac{1}{M} \sum_i h_i - z_j \, \frac{1}{M} \sum_i h_i z_i \right) \qquad (e)
#
# By the *style*: the content's z is a constant. All M pixels of y have the same :math:`s'` and :math:`\mu'`, and paths
# add; these were the gradients of scale and shift:
#
# .. math::
#
#     \frac{\partial L}{\partial \mu'} = \sum_i g_i, \qquad \frac{\partial L}{\partial s'} = \sum_i g_i z_i \qquad (f)
#
# They are gradients of moments, and (c) leads from there to the style's own pixels, with its M' and z':
#
# .. math::
#
#     \frac{\partial L}{\partial a_k} = \frac{1}{M'} \left( \frac{\partial L}{\partial \mu'}
#     + \frac{\partial L}{\partial s'} \, z'_k \right)
#
# By hand, for :math:`g = (1, 0, 0, 0)`, which asks for :math:`y_1` alone. By the content this was worked out in lesson
# 16: :math:`(0.52, -0.64, 0.48, -0.36)`. By the style's moments: 1 and 1.4. By its two pixels:
# :math:`\frac{1}{2} (1 - 1.4) = -0.2` and :math:`\frac{1}{2} (1 + 1.4) = 1.2`.
#
# Check the last one with a pencil: put 31 in the place of 30. What is :math:`y_1`?

# %%
# :math:`\mu' = 20.5`, :math:`s' = 10.5`, and :math:`y_1 = 10.5 \cdot 1.4 + 20.5 = 35.2`: 1.2 more than 34. And the
# first style pixel, 10: raise it, and the mean rises, but the deviation falls; for :math:`y_1`, far above the mean,
# the second counts for more.


def adain_backward_loops(g, x, a):
    """Gradients by the pixels of content (M,) and style (M',), path by path."""
    (mean, s), (style_mean, style_s) = moments_loops(x), moments_loops(a)
    z, style_z = (x - mean) / s, (a - style_mean) / style_s
    h = style_s * g
    through_mean = sum(h) / len(x)
    through_deviation = sum(h_i * z_i for h_i, z_i in zip(h, z)) / len(x)
    by_content = [(h_j - through_mean - z_j * through_deviation) / s for h_j, z_j in zip(h, z)]
    by_mean, by_deviation = sum(g), sum(g_i * z_i for g_i, z_i in zip(g, z))
    return np.array(by_content), np.array([(by_mean + by_deviation * z_k) / len(a) for z_k in style_z])


g = np.array([1.0, 0, 0, 0])
by_content, by_style = adain_backward_loops(g, x, a)
print("by the content:", by_content.round(4), " by the style:", by_style.round(4))
assert np.allclose(by_content, [0.52, -0.64, 0.48, -0.36], atol=1e-5)
assert np.allclose(by_style, [-0.2, 1.2], atol=1e-5)
assert np.isclose(adain_loops(x, np.array([10.0, 31]))[0], 35.2)

_, cache = adain.forward(x.reshape(1, 2, 2, 1), a.reshape(1, 1, 2, 1))
by_package = adain.backward(g.reshape(1, 2, 2, 1), cache)
assert np.allclose(by_package[0].ravel(), by_content)
assert np.allclose(by_package[1].ravel(), by_style)

# %%
# For a stack of images the check takes central differences by both inputs. Then the mistakes: the content's moments
# held fixed, the style held fixed, the style's deviation averaged over the wrong number of pixels, or its sum taken
# with the content itself for z. Each is found and named.

inputs = [random.standard_normal((2, 4, 5, 3)) + 1, 2 * random.standard_normal((2, 3, 3, 3))]
report = check_backward(adain.forward, adain.backward, inputs, names=["content", "style"])
print(report)
assert report.passed


def adain_wrong(mistake):
    """A backward of AdaIN with a mistake."""

    def backward(grad_y, cache):
        (z, scale, inverse), style_z = cache
        by_content, by_style = adain.backward(grad_y, cache)
        if mistake == "content's moments fixed":
            by_content = scale[:, None, None] * grad_y * inverse
        if mistake == "style fixed":
            by_style = 0 * by_style
        if mistake == "content's M":
            by_style = by_style * style_z[0, :, :, 0].size / z[0, :, :, 0].size
        if mistake == "x for z":
            sums = moments.stacked(grad_y.sum(axis=(1, 2)), (grad_y * inputs[0]).sum(axis=(1, 2)))
            by_style = moments.backward(sums, style_z)
        return by_content, by_style

    return backward


for mistake in ("content's moments fixed", "style fixed", "content's M", "x for z"):
    report = check_backward(adain.forward, adain_wrong(mistake), inputs, operation="adain")
    diagnosis = next(each.diagnosis for each in report.inputs if each.diagnosis)
    print(f"{mistake}: {diagnosis}\n")
    assert report.verdict == "fail"

# %%
# The gradient (e) has no part along 1 and, but for :math:`\varepsilon`, none along z: y does not depend on brightness
# and contrast of the content. The gradient by the style has nothing else: y depends on brightness and contrast of the
# style, and on no other change of it. The two are complements.

g = random.standard_normal(inputs[0].shape)
_, cache = adain.forward(*inputs)
by_content, by_style = adain.backward(g, cache)
(z_content, _, _), z_style = cache
rest = by_style - by_style.mean(axis=(1, 2), keepdims=True)
rest = rest - z_style * (rest * z_style).mean(axis=(1, 2), keepdims=True)
print(f"of the content along 1 and z: {np.abs(by_content.sum((1, 2))).max():.0e}", end=", ")
print(f"{np.abs((by_content * z_content).sum((1, 2))).max():.0e}; of the style beside them: {np.abs(rest).max():.0e}")
assert np.abs(by_content.sum(axis=(1, 2))).max() < 1e-10
assert np.abs((by_content * z_content).sum(axis=(1, 2))).max() < 1e-3
assert np.abs(rest).max() < 1e-4

# %%
# No picture has these features
# -----------------------------
#
# AdaIN has made an array of features. Which picture has them? Perhaps none. The features of a picture are tied to each
# other, as neighbours see overlapping pixels; and they come out of a ReLU, so none is negative. Whoever scales and
# shifts each channel by itself asks nobody whether the result is possible. Where the photograph's feature is 0, y is
# :math:`\mu' - s' \mu / s`. When is that negative?

# %%
# When :math:`\mu' / s' < \mu / s`: when the channel is active more rarely in the style, and more strongly where it is.
# No picture has a negative feature. So the squares of the negative numbers, added up, are a distance that no picture
# can be nearer to y than.
#
# How near can one come? Lesson 9's method goes from noise to given features, with equation 1. The photograph's own
# features are the standard: for these a picture exists. Which of the two will be left with the larger loss?


def distance_to(target):
    """Return image -> (loss, gradient), equation 1 relative to the target's contrast."""
    contrast = 0.5 * np.sum((target - target.mean(axis=(1, 2), keepdims=True)) ** 2)

    def f(image):
        features, cache = net.forward(image[np.newaxis], [ENCODED], training=False)
        loss, loss_cache = content_loss.forward(features[ENCODED], target)
        gradient = net.backward({ENCODED: content_loss.backward(1.0, loss_cache)}, cache)[0]
        return 1e3 * loss / contrast, 1e3 / contrast * gradient

    return f


walk = full_size(200, 8)
found, left = {}, {}
for name, target in (("the photograph's", X), ("AdaIN's", Y)):
    started = time.perf_counter()
    found[name], losses = minimised(distance_to(target), walk)
    of_pixels = time.perf_counter() - started
    left[name] = np.array(losses) / 1e3
negative = np.minimum(Y, 0)
share = np.sum(negative**2) / np.sum((Y - Y.mean(axis=(1, 2), keepdims=True)) ** 2)

plt.figure(figsize=(6, 3.4), layout="constrained")
for name, losses in left.items():
    plt.semilogy(losses, label=f"to {name} features")
plt.axhline(share, color="k", ls=":", label="AdaIN's, at least")
plt.xlabel("step")
plt.ylabel("loss, relative to the contrast")
plt.title("Pixels optimised to given features")
plt.legend()
plt.show()
show_images({"photograph": content, "style": style, **{f"to {name}": image for name, image in found.items()}})
plt.show()

print(f"{np.mean(Y < 0):.0%} of AdaIN's features are negative, {share:.2%} of their contrast")
for name, losses in left.items():
    print(
        f"to {name} features: {losses[walk // 2 - 1]:.1%} of the contrast is left half-way, {losses[-1]:.1%} at the end"
    )
assert X.min() == 0 > Y.min()
assert 0.2 < np.mean(Y < 0) < 0.35
assert left["AdaIN's"][-1] > share
assert left["AdaIN's"][-1] > full_size(5, 1) * left["the photograph's"][-1]

# %%
# A quarter of the numbers are negative, but small: they prove that no picture has these features, and not that none
# comes near. The curves say more. From the same noise, the loss for the photograph's features goes on falling, since
# there is a picture that has them. That for AdaIN's levels off, far above what the negative numbers explain. That is
# evidence, not proof: another start might end elsewhere.
#
# And look at the pictures. The encoder forgets exact colours and the finest detail (lesson 9), so both have grain, and
# colours that are in neither of the two originals; the features do not say which of many pictures is meant.

# %%
# A decoder that was taught
# -------------------------
#
# So Huang and Belongie trained a second network, the *decoder*. It gets features, AdaIN's too, and makes a picture of
# them. It is trained like the painter of lesson 18, by a content loss and a style loss, on many photographs and many
# paintings. From this it has learnt what the features leave open, and which picture to make when there is none.
#
# ``scratchnst/models/adain_net.py`` is such a network. Its decoder has seven convolutions with a normalisation behind
# each. Scales and shifts of these are rows that a style chooses; the next section says how. Those of the last one are
# AdaIN again: red, green and blue get the style's own mean and deviation. Here we give the decoder both: features, and
# a style for the rows.


def rows_of(picture):
    """Return the mixture (1, K) that the network predicts for a style, and the statistics it is predicted from."""
    statistics = style_predictor.statistics(net, picture[np.newaxis].astype("float32"))
    return style_predictor.forward(net, statistics)[0], statistics


def decoded(features, mixture, statistics):
    """Return the picture that the decoder makes of features, with a style's rows."""
    painter = style_predictor.painter(net, mixture, statistics)
    output = painter.features(content[np.newaxis], [transform_net.OUTPUT], {ADAIN: features})[transform_net.OUTPUT]
    return transform_net.to_picture(output)[0].clip(0, 255)


def apart_of(one, other):
    """Root mean square of the difference of two pictures."""
    return np.sqrt(np.mean((one - other) ** 2))


of_content, of_style = rows_of(content), rows_of(style)
started = time.perf_counter()
painted = decoded(Y, *of_style)
of_decoder = time.perf_counter() - started
decodings = {
    "plain, its own rows": decoded(X, *of_content),
    "plain, the style's rows": decoded(X, *of_style),
    "AdaIN, the photograph's rows": decoded(Y, *of_content),
    "AdaIN, the style's rows": painted,
}
show_images({"photograph": content, "style": style, **decodings}, columns=2)
plt.show()
for name, picture in decodings.items():
    print(f"{name}: moments of the features off the style's by {off(picture, moments_of):.2f}")
print(f"the decoder {of_decoder:.2f} s; optimising pixels, {walk} steps, {of_pixels:.1f} s")
assert full_size(off(painted, moments_of) < 0.8 * off(content, moments_of), True)

# %%
# The four pictures are paintings, with strokes, and none has the grain of the optimised pixels. (Along the border,
# where the encoder sees zeros, they have a frame; ``ArbitraryStyle`` gives a photograph a margin and cuts it off.) But
# which of the two inputs makes the style? Features that are plain, with the style's rows, give nearly the picture that
# AdaIN's do. Can you say why, with lesson 16? What does ``norm1``, behind the first convolution, do with the means that
# AdaIN has put in?

# %%
# It removes them. A constant added to a channel of the features comes out of a convolution with reflected borders as a
# constant in every channel, and a normalisation subtracts the mean. So the style's means :math:`\mu'` have no influence
# at all through this path, and their gradient (f) is 0. Only the deviations pass, and of them only the ratios between
# channels: a common factor is divided out, too. The decoder of Huang and Belongie has no normalisations: each would
# give all pictures the moments of one style. Here the style comes back in by the rows.

constants = random.standard_normal((1, 1, 1, Y.shape[3])).astype("float32")
with_constants, three_times = decoded(Y + constants, *of_style), decoded(3 * Y, *of_style)
by_features = apart_of(painted, decodings["plain, the style's rows"])
by_rows = apart_of(painted, decodings["AdaIN, the photograph's rows"])
print(f"constants added to the channels: {apart_of(painted, with_constants):.3f}, all multiplied by 3:", end=" ")
print(f"{apart_of(painted, three_times):.3f}, other features: {by_features:.1f}, other rows: {by_rows:.1f}")
assert apart_of(painted, with_constants) < 0.1
assert apart_of(painted, three_times) < 0.1
assert by_rows > by_features > 1

# %%
# A style can be put in by halves. With a strength t mix the features, :math:`(1 - t) x + t y`. Both are the same z with
# other moments, so the mixture is AdaIN with mixed moments: the scale :math:`(1 - t) s + t s'`, the shift
# :math:`(1 - t) \mu + t \mu'`. By hand, for :math:`t = 1/2`: from (14, 8, 0, 6) and (34, 22, 6, 18) we get (24, 15, 3,
# 12), with mean 13.5 and deviation 7.5. Rows can be mixed as well.

halfway = (x + by_hand) / 2
print("half of the style:", halfway.round(3), "moments", moments_loops(halfway).round(3))
assert np.allclose(halfway, [24, 15, 3, 12], atol=1e-4)
assert np.allclose(moments_loops(halfway), [13.5, 7.5], atol=1e-4)


def of_strength(t):
    mixture = (1 - t) * of_content[0] + t * of_style[0]
    return decoded(((1 - t) * X + t * Y).astype("float32"), mixture.astype("float32"), of_style[1])


strengths = (0, 1 / 3, 2 / 3, 1)
by_strength = [of_strength(t) for t in strengths]
show_images({f"strength {t:.2f}": picture for t, picture in zip(strengths, by_strength)})
plt.show()
distances = [off(picture, moments_of) for picture in by_strength]
print("moments off the style's:", np.round(distances, 2))
assert full_size(distances[-1] < distances[0], True)

# %%
# At strength 0 the features are the photograph's and the rows those of the photograph as a style. Even so the picture
# is a painting, not the photograph: this decoder was taught to paint, and never to give a photograph back.

# %%
# Rows that the style chooses
# ---------------------------
#
# The rows of a norm were learnt for each style in lessons 16 and 18. For a style that is new they must be computed
# from its picture. ``scratchnst/models/style_predictor.py`` has three steps:
#
# * The statistics of the style: of red, green and blue, and of each channel at four layers of the encoder, the mean and
#   the logarithm of the deviation. These are the moments of this lesson again.
# * Two layers, like two convolutions of a single pixel, with a ReLU between. They make a mixture c of K numbers.
# * Every norm but the last has K rows of scales, S, and of shifts, T, and is given the mixture of them, :math:`c S` and
#   :math:`c T`, as in lesson 16.
#
# Backward, c has a part in every norm, and paths add:
#
# .. math::
#
#     \frac{\partial L}{\partial c} = \sum_{\text{norms}} \left( \frac{\partial L}{\partial \text{scale}} S^T
#     + \frac{\partial L}{\partial \text{shift}} T^T \right)

mixture, statistics = of_style
print(f"{statistics.shape[1]} statistics, {mixture.shape[1]} rows")
assert statistics.shape[1] == 2 * (3 + sum(channels))
painter = style_predictor.painter(net, mixture, statistics)
S, T = net.parameters["norm1"]
assert np.allclose(painter.parameters["norm1"][0], mixture @ S, atol=1e-4)
assert np.allclose(painter.parameters[ADAIN][1], of_A[0], atol=1e-4), "and AdaIN's shift is the style's mean"

small = content[np.newaxis, :16, :16].astype("float64")
wanted = style[np.newaxis, :16, :16].astype("float64")
exact_statistics = statistics.astype("float64")


def loss_of_mixture(c):
    """Return a loss of the painting, and its gradient by the mixture (1, K)."""
    painter = style_predictor.painter(exact, c, exact_statistics)
    outputs, cache = painter.forward(small, [transform_net.OUTPUT])
    difference = transform_net.to_picture(outputs[transform_net.OUTPUT]) - wanted
    grad_output = {transform_net.OUTPUT: transform_net.to_output(difference / difference.size)}
    gradients = painter.backward_parameters(grad_output, cache)
    return 0.5 * np.mean(difference**2), transform_net.of_mixture(exact, gradients)


report = check_gradient(loss_of_mixture, mixture.astype("float64"), samples=full_size(12, 4), name="mixture")
print(report)
assert report.passed

# %%
# Is it the rows that the network paints by? Exchange them. The second style is the negative of the first. Features
# with the moments of one style, rows of the other: which of the two does the picture take after?

styles = {"painting": style, "negative": 255 - style}
crossed, colours = {}, {}
for of_features, one in styles.items():
    for of_rows, other in styles.items():
        title = f"AdaIN: {of_features}, rows: {of_rows}"
        crossed[title] = decoded(adain.forward(X, encoded(one))[0], *rows_of(other))
        colours[title] = crossed[title].mean(axis=(0, 1))
show_images({**styles, **crossed}, columns=2)
plt.show()
for title, colour in colours.items():
    print(f"{title}: mean colour {colour.round(0)}")
both_painting, only_features, only_rows, both_negative = crossed.values()
print(
    f"other rows: {apart_of(both_painting, only_features):.0f}, other moments: {apart_of(both_painting, only_rows):.0f}"
)
assert apart_of(both_painting, only_features) > apart_of(both_painting, only_rows)
assert apart_of(both_negative, only_rows) > apart_of(both_negative, only_features)

# %%
# After the rows. So in this network, the style is in statistics twice: as moments of the features, and as what the rows
# are predicted from; and the second one does most of the work. Then the moments of the features may be left out, and
# the encoder need not see the photograph: ``scratchnst/models/prediction_net.py`` is the network of lesson 18 with
# rows that are predicted as here (Ghiasi and others, 2017). In the package: ``scratchnst arbitrary PHOTO PAINTING -o
# OUT.png`` paints by it in any style, with ``--transform adain`` by the network of this lesson. ``scratchnst train
# arbitrary`` trains both.

# %%
# Exercises
# ---------
#
# 1. On paper: give the third moment, the mean of :math:`z_i^3`, its gradient by :math:`x_j`. Through which statistics
#    does :math:`x_j` reach it?
# 2. On paper: AdaIN with the style's moments, and then AdaIN again with the content's. What comes out? And AdaIN twice
#    with the same style? Where does :math:`\varepsilon` spoil it?
# 3. On paper: two channels have the covariance K and get moments of a style by AdaIN. What is their covariance then,
#    and their correlation? So what of a Gram matrix does AdaIN keep of the *content*?
# 4. By experiment: write ``means_of``, like ``moments_of``, with ``y[:, :1]`` alone, and a gradient with zeros for the
#    deviations; then ``deviations_of``. Make textures of both. What has each of the style?
# 5. By experiment: paint with the features of ``style`` in the place of X, with the rows of both. What has become of
#    the content?
#
# To write: ``moments``, ``moments_backward``, ``adain`` and ``adain_backward`` in ``lessons/19_adain/exercise.py``, for
# stacks of images and without loops over pixels. ``scratchnst check 19`` tries them and says what is wrong.
