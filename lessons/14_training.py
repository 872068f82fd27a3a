r"""
Training: where the filters come from
=====================================

Until now the filters came out of a file. Those of VGG19 were found by K. Simonyan and A. Zisserman ("Very Deep
Convolutional Networks for Large-Scale Image Recognition", 2015) with more than a million photographs, on four graphics
cards, in two to three weeks. They were not made for style transfer at all: the network was asked what is in a
photograph, of a thousand things, and the filters are what helped to answer. In this lesson you do the same on a small
scale. In a minute or two a network of seven layers learns to tell textures apart, by the gradients of lesson 7 and by
Adam; then we ask whether what it has learned can carry a style, and what filters could do that have learned nothing.

After this lesson you can

* say how large random weights must be at the start, and why;
* turn scores into probabilities, and derive the gradient of the cross-entropy, which is as simple as can be;
* train a network by the gradients of its weights, and judge it by pictures that it has not seen;
* transfer a style with a network of your own, and say what the training has contributed.

It needs lessons 6, 7 and 8 (convolutions, their gradients, VGG19), 10 (Gram matrices), 11 (Adam) and 12 (style
transfer).

======================== =====================================================================================
symbol                   meaning
======================== =====================================================================================
:math:`z_k`              the score of class :math:`k`: any number, the larger the more likely
:math:`p_k`              its probability, the softmax of the scores
:math:`t`                the right class
:math:`K`                the number of classes
:math:`L`                the loss, the cross-entropy :math:`-\log p_t`, a mean over patches
:math:`w, b`             kernels and biases
:math:`n`                how many numbers an output of a convolution looks at, :math:`kh \, kw \, C`
:math:`s^2`              the variance of the random weights at the start
:math:`F`                the activations of a layer, (M, N): pixels by channels
:math:`\mu_c, \sigma_c`  mean and standard deviation of channel :math:`c` over the pixels of some pictures
======================== =====================================================================================
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

from scratchnst import Objective, stylize
from scratchnst.engine import cpu
from scratchnst.lessons import full_size, network, pictures, show_images
from scratchnst.network import Defaults, Layer, Network, Preprocessing
from scratchnst.optimize.adam import adam
from scratchnst.verify import check_gradient

# %%
# A task that needs features
# --------------------------
#
# What should a network learn, so that its layers become useful for style? It must have to look at what style is
# made of: colours, and how they lie side by side. So we draw textures, in eight patterns and six hues, and ask for
# both. Drawn pictures have three advantages: there is no end to them, nobody has to say what is on them since we
# know, and no one else has a right to them.
#
# The regular patterns are functions of two directions :math:`u, v`, turned and scaled at random. The irregular ones
# are white noise of which some frequencies were kept: low ones give clouds, those of nearly one wavelength give a
# maze once they are rounded to black and white, and low ones in one direction only give fur.


def pattern(kind, random, side):
    """Return a pattern (side, side), from 0 to 1, turned and scaled at random."""
    angle, wavelength = random.uniform(0, 2 * np.pi), random.uniform(6, 14)

    def turned(a, b):
        return a * np.cos(angle) + b * np.sin(angle), b * np.cos(angle) - a * np.sin(angle)

    def kept(share):  # of each frequency of white noise
        return np.fft.ifft2(np.fft.fft2(random.standard_normal((side, side))) * share).real

    down, right = np.mgrid[:side, :side] - side / 2
    u, v = (2 * np.pi / wavelength * axis for axis in turned(right, down))
    across, along = turned(np.fft.fftfreq(side)[None], np.fft.fftfreq(side)[:, None])  # in waves a pixel
    frequency = np.hypot(across, along)
    values = {
        "waves": lambda: np.sin(u),
        "checks": lambda: np.sign(np.sin(u) * np.sin(v)),
        "dots": lambda: np.sign(np.cos(u) + np.cos(v) - 0.9),
        "rings": lambda: np.sin(np.hypot(u, v)),
        "bricks": lambda: np.minimum(np.sin(v) > -0.8, np.sin(u / 2 + np.pi * (np.sin(v / 2) > 0)) > -0.9),
        "clouds": lambda: kept(1 / (frequency + 1 / side) ** 1.5),
        "maze": lambda: np.sign(kept(np.exp(-(((frequency - 1 / wavelength) / 0.015) ** 2)))),
        "fur": lambda: kept(np.exp(-((across / 0.03) ** 2) - (along / 0.25) ** 2)),
    }[kind]()
    values = np.clip(values / np.std(values), -2, 2)
    return (values - values.min()) / np.ptp(values)


PATTERNS = ("waves", "checks", "dots", "rings", "bricks", "clouds", "maze", "fur")
HUES = {
    "red": (200, 60, 40),
    "yellow": (230, 190, 60),
    "green": (60, 150, 60),
    "turquoise": (60, 160, 190),
    "blue": (50, 70, 160),
    "purple": (150, 70, 160),
}

# %%
# A patch is a pattern painted from a dark to a light shade of its hue. Sixteen patches, sewn together to a quilt,
# make one image; a network can look at all of them at once, and that is faster than one after the other. Noise is
# added on purpose, to each patch another amount: who has to see through noise does not rely on single pixels. A
# style transfer often starts from noise, and it looks for whatever a network misjudges.


def quilt(random, patches, side):
    """Return an image (1, H, W, 3), RGB 0-255, and numbers of pattern and hue, (patches, patches, 2)."""
    labels = random.integers((len(PATTERNS), len(HUES)), size=(patches, patches, 2))
    image = np.empty((patches, side, patches, side, 3))
    for i, j in np.ndindex(patches, patches):
        kind, hue = labels[i, j]
        colour = np.array(list(HUES.values())[hue]) + random.normal(0, 20, 3)
        dark, light = colour * random.uniform(0.1, 0.5), colour + (255 - colour) * random.uniform(0.3, 0.9)
        values = pattern(PATTERNS[kind], random, side)[:, :, None]
        grain = random.uniform(0, 25) * random.standard_normal((side, side, 3))
        image[i, :, j] = dark + (light - dark) * values + grain
    return image.reshape(1, patches * side, patches * side, 3).astype(np.float32), labels


example, labels = quilt(np.random.default_rng(2), 4, 48)
show_images({"a quilt of sixteen patches": example[0]}, columns=1)
plt.show()
for row in labels:
    print("   ".join(f"{list(HUES)[hue]:>9} {PATTERNS[kind]:6}" for kind, hue in row))
assert example.shape == (1, 192, 192, 3)
rows_of_bricks = pattern("bricks", np.random.default_rng(0), 48)
assert rows_of_bricks.min() == 0
assert rows_of_bricks.max() == 1

# %%
# A small VGG
# -----------
#
# VGG's plan, made small: three blocks of two 3x3 convolutions, each with its ReLU, an average pooling after the
# first and the second block; 16, 32 and 64 channels. At the end a 1x1 convolution without a ReLU (in our tables a
# "linear" layer) takes the 64 numbers of each pixel to 8 + 6 scores, one for each pattern and one for each hue.
#
# Where do the weights start? Not at zero: then all channels would be alike, and get like gradients for ever. At
# random, then; but how large? An output before its ReLU is a sum of :math:`n = 9C` products,
# :math:`y = \sum_{m=1}^n w_m x_m`. With independent weights of mean zero and variance :math:`s^2`, the products
# have mean zero, they are uncorrelated, and the variances of a sum of uncorrelated numbers add up:
#
# .. math::
#
#     \mathrm{E}[y^2] = \sum_{m=1}^n \mathrm{E}[w_m^2] \, \mathrm{E}[x_m^2] = n \, s^2 \, \mathrm{E}[x^2]
#
# As :math:`y` is as often negative as positive, its ReLU keeps half of that:
# :math:`\mathrm{E}[\mathrm{relu}(y)^2] = \tfrac12 n s^2 \, \mathrm{E}[x^2]`. For the numbers to keep their size
# from layer to layer, this must be :math:`\mathrm{E}[x^2]` again:
#
# .. math::
#
#     s^2 = \frac{2}{n}
#
# (K. He et al., "Delving Deep into Rectifiers", 2015). With half of that, the scores would be smaller by
# :math:`\sqrt{2}` for each of our seven layers, eleven times in all; in a deep network nothing would be left.

CHANNELS = (16, 32, 64)


def build(random, channels=CHANNELS, factor=1.0):
    """Return an untrained network; `factor` scales the standard deviation of its weights."""
    layers, parameters, depth = [], {}, 3

    def add(name, kind, side, outputs, gain):
        nonlocal depth
        layers.append(Layer(name, kind))
        n = side * side * depth
        w = factor * np.sqrt(gain / n) * random.standard_normal((side, side, depth, outputs))
        parameters[name] = w.astype(np.float32), np.zeros(outputs, np.float32)
        depth = outputs

    for block, outputs in enumerate(channels, start=1):
        add(f"conv{block}_1", "conv", 3, outputs, gain=2)
        add(f"conv{block}_2", "conv", 3, outputs, gain=2)
        if block < len(channels):
            layers.append(Layer(f"pool{block}", "pool"))
    add("scores", "linear", 1, len(PATTERNS) + len(HUES), gain=1)  # no ReLU behind it: nothing is lost
    preprocessing = Preprocessing("RGB", 1 / 255, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    return Network("small", tuple(layers), parameters, preprocessing, Defaults({}, {}, 0.0), engine=cpu)


untrained = build(np.random.default_rng(0))
count = sum(w.size + b.size for w, b in untrained.parameters.values())
sizes = {}
for title, small in (("s^2 = 2/n", untrained), ("half of it", build(np.random.default_rng(0), factor=np.sqrt(0.5)))):
    features, _ = small.forward(example, ["conv1_1", "conv2_1", "conv3_1", "scores"])
    sizes[title] = [float(np.sqrt(np.mean(F**2))) for F in features.values()]
    print(f"{title}: size of conv1_1, conv2_1, conv3_1, scores:", *(f"{size:.3f}" for size in sizes[title]))
print(f"{count:,} weights and biases")
kept, lost = sizes.values()
assert 0.3 < kept[-1] / kept[0] < 3
assert lost[-1] < 0.15 * kept[-1]

# %%
# From scores to a loss
# ---------------------
#
# The scores :math:`z_k` of a patch are any numbers. To compare them with the truth, make probabilities of them:
# positive numbers that add up to 1. The exponential makes them positive, dividing by the sum makes them add up.
# That is the *softmax*:
#
# .. math::
#
#     p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}
#
# Adding a constant to all scores changes nothing, for it multiplies numerator and denominator by the same factor.
# So we may subtract the largest score first, and no exponential can overflow.
#
# A good network gives the right class :math:`t` a probability near 1. The loss is the *cross-entropy*,
#
# .. math::
#
#     L = -\log p_t
#
# It is 0 for :math:`p_t = 1` and grows without limit as :math:`p_t` goes to 0: to be sure and wrong is expensive.
# Who guesses evenly among :math:`K` classes pays :math:`\log K`, here :math:`\log 8 + \log 6 = 3.87` for both
# questions.
#
# Its gradient. Put the softmax into the logarithm:
#
# .. math::
#
#     L = -\log \frac{e^{z_t}}{\sum_j e^{z_j}} = -z_t + \log \sum_j e^{z_j}
#
# Differentiate with respect to one score :math:`z_k`. The first term gives :math:`-1` if :math:`k = t`, else 0. The
# second gives the inner derivative :math:`e^{z_k}` over the sum, which is :math:`p_k`. So
#
# .. math::
#
#     \frac{\partial L}{\partial z_k} = p_k - [k = t]
#
# where :math:`[k = t]` is 1 for the right class and 0 for the others. What is said, minus what is true: each wrong
# class is pushed down by as much as it was believed in, and the right one is pushed up by what it lacks.
#
# By hand, with three classes, scores (2, 1, 0) and the second class right: the exponentials are 7.39, 2.72 and 1,
# their sum is 11.11, the probabilities are 0.665, 0.245 and 0.090. The loss is :math:`-\log 0.245 = 1.41`, the
# gradient is (0.665, -0.755, 0.090). It adds up to zero, as it must: adding a constant to all scores changes
# nothing.


def cross_entropy(scores, right):
    """Return the mean loss of scores (..., K) for classes (...), dL/dscores, and the share of right answers."""
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p = exponentials / exponentials.sum(axis=-1, keepdims=True)
    true = np.eye(scores.shape[-1])[right]  # 1 for the right class, else 0
    loss = -np.log(p[true == 1]).mean()
    return loss, (p - true) / right.size, np.mean(p.argmax(axis=-1) == right)


loss, gradient, _ = cross_entropy(np.array([[2.0, 1, 0]]), np.array([1]))
print(f"loss {loss:.4f}, gradient", gradient.round(3))
assert np.isclose(loss, 1.4076, atol=1e-4)
assert np.allclose(gradient, [[0.665, -0.755, 0.090]], atol=1e-3)

random = np.random.default_rng(1)
scores, right_classes = random.standard_normal((5, 8)), random.integers(8, size=5)
report = check_gradient(lambda z: cross_entropy(z, right_classes)[:2], scores)
print(report)
assert report.verdict == "pass"

# %%
# From the loss to every weight
# -----------------------------
#
# The network gives scores at every pixel of its last layer, twelve by twelve of them for a patch of 48 pixels,
# because of the two poolings. A patch's score is their mean. On the way back, a mean hands the same share of its
# gradient to each of the numbers it was made of (lesson 5), here 1/144. There are two questions with a loss each,
# and their sum has the sum of their gradients; as they read different scores, the gradients are put side by side.
#
# From dL/dscores on, ``Network.backward_parameters`` walks the table in reverse, as lesson 8 described it for the
# image. At each convolution it asks for dL/dx, to walk on, and for dL/dw and dL/db, lesson 7's three answers.


def loss_and_gradients(net, image, labels):
    """Return the loss on a quilt, name -> (dL/dw, dL/db), and the shares of right patterns and hues."""
    features, cache = net.forward(image, ["scores"])
    patches = len(labels)
    side = features["scores"].shape[1] // patches
    scores = features["scores"].reshape(patches, side, patches, side, -1).mean(axis=(1, 3), dtype=np.float64)
    kinds = len(PATTERNS)
    loss_1, grad_1, right_1 = cross_entropy(scores[..., :kinds], labels[..., 0])
    loss_2, grad_2, right_2 = cross_entropy(scores[..., kinds:], labels[..., 1])
    grad_means = np.concatenate([grad_1, grad_2], axis=-1)
    grad_scores = np.repeat(np.repeat(grad_means / side**2, side, axis=0), side, axis=1)[None]
    gradients = net.backward_parameters({"scores": grad_scores.astype(image.dtype)}, cache)
    return loss_1 + loss_2, gradients, (right_1, right_2)


def flatten(parameters):
    """Return all kernels and biases, or their gradients, as one vector, which is what an optimiser takes."""
    return np.concatenate([array.ravel() for pair in parameters for array in pair]).astype(np.float64)


def with_weights(net, vector):
    """Return the network with the kernels and biases that stand in a vector."""
    parameters, start = {}, 0
    for name, (w, b) in net.parameters.items():
        middle, end = start + w.size, start + w.size + b.size
        parameters[name] = vector[start:middle].reshape(w.shape).astype(w.dtype), vector[middle:end].astype(b.dtype)
        start = end
    return replace(net, parameters=parameters)


# %%
# Before an hour is spent on training with a wrong gradient, a minute goes into checking it: on a quilt of four
# small patches, in float64, for a network of the same plan with few channels, and for some of its weights, drawn
# from all layers. The report judges those weights whose ReLUs stay on their side of the kink (lesson 4).

careful = build(np.random.default_rng(0), channels=(4, 6, 8)).astype("float64")
small_quilt, small_labels = quilt(np.random.default_rng(3), 2, 8)


def loss_of(vector):
    """Loss and gradient as functions of all weights."""
    loss, gradients, _ = loss_and_gradients(with_weights(careful, vector), small_quilt.astype(float), small_labels)
    return loss, flatten(gradients[name] for name in careful.parameters)


report = check_gradient(loss_of, flatten(careful.parameters.values()), samples=full_size(12, 4))
print(report)
assert report.verdict == "pass"

# %%
# Training
# --------
#
# All is there: draw a quilt, compute the loss and its gradient with respect to the 73,000 weights, let Adam (lesson
# 11) take a step; and again, with a fresh quilt. No quilt comes twice, so nothing can be learned by heart. The loss
# is another function at each step, a sample of the one that is meant, and its gradient trembles about the one that
# is meant; Adam's running mean smooths it. The rate rises at first, while the running means are young, and then
# falls along half a cosine, to come to rest.

STEPS, PATCHES, SIDE = full_size((600, 4, 48), (40, 3, 32))
HEIGHT, WARM_UP = 3e-3, 30  # of the rate, and the steps that lead up to it


def train(net, random):
    """Return the trained network, and loss and shares of right patterns and hues at each step."""
    history = []

    def f(vector):
        """Called by Adam at each step: the loss on a fresh quilt, and its gradient."""
        current = with_weights(net, vector)
        loss, gradients, right = loss_and_gradients(current, *quilt(random, PATCHES, SIDE))
        history.append((loss, *right))
        return loss, flatten(gradients[name] for name in net.parameters)

    def rate(t):
        return HEIGHT * min(1, t / WARM_UP) * (0.5 + 0.5 * np.cos(np.pi * t / (STEPS + 1)))

    result = adam(f, flatten(net.parameters.values()), STEPS, rate=rate)
    return with_weights(net, result.x), np.array(history)


trained, history = train(untrained, np.random.default_rng(4))

# %%
# In the figure each point is a mean over a fiftieth of the steps. On the left the loss, beginning at about
# :math:`\log 8 + \log 6` (grey), what guessing costs. On the right the shares of right answers, and what guessing
# would give (dotted). Hues come first: a mean colour is all that it takes. Patterns take longer, since there must
# be filters for edges in several directions before anything can be made of them.

means = np.array([part.mean(axis=0) for part in np.array_split(history, min(50, STEPS // 6))])
at = np.linspace(0, STEPS, len(means))
_, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
axes[0].plot(at, means[:, 0])
axes[0].axhline(np.log(len(PATTERNS)) + np.log(len(HUES)), color="grey")
axes[0].set(xlabel="step", ylabel="cross-entropy", title="loss", ylim=(0, None))
for column, name, classes in ((1, "pattern", PATTERNS), (2, "hue", HUES)):
    (line,) = axes[1].plot(at, means[:, column], label=name)
    axes[1].axhline(1 / len(classes), color=line.get_color(), linestyle=":")
axes[1].set(xlabel="step", title="share of right answers", ylim=(0, 1))
axes[1].legend()
plt.show()
assert means[-1, 0] < full_size(0.4, 0.9) * means[0, 0]

# %%
# Judged by pictures that it has never seen
# -----------------------------------------
#
# These share nothing with the training but the rules by which they are drawn. Wrong answers are red. Look at them:
# are they mistakes that you would have made?

test_random = np.random.default_rng(1000)
shares = []
for _ in range(full_size(10, 4)):
    image, labels = quilt(test_random, PATCHES, SIDE)
    _, _, right = loss_and_gradients(trained, image, labels)
    shares.append(right)
pattern_share, hue_share = np.mean(shares, axis=0)
print(f"right on fresh quilts: {pattern_share:.0%} of the patterns, {hue_share:.0%} of the hues")

features, _ = trained.forward(image, ["scores"])
scores = features["scores"].reshape(PATCHES, SIDE // 4, PATCHES, SIDE // 4, -1).mean(axis=(1, 3))
said = np.stack([scores[..., : len(PATTERNS)].argmax(-1), scores[..., len(PATTERNS) :].argmax(-1)], axis=-1)
_, axes = plt.subplots(figsize=(5.5, 5.5), layout="constrained")
axes.imshow(np.clip(image[0] / 255, 0, 1))
axes.axis("off")
axes.set_title("what the network says: red where it is wrong")
for i, j in np.ndindex(PATCHES, PATCHES):
    text = f"{list(HUES)[said[i, j, 1]]}\n{PATTERNS[said[i, j, 0]]}"
    colour = "white" if np.array_equal(said[i, j], labels[i, j]) else "tomato"
    place = (j + 0.5) * SIDE, (i + 0.5) * SIDE
    axes.text(*place, text, color=colour, ha="center", va="center", bbox={"facecolor": "black", "alpha": 0.6})
plt.show()
assert hue_share > full_size(0.8, 1.5 / len(HUES))
assert pattern_share > full_size(0.5, 0), "which takes longer than the small size has"

# %%
# What has become of the filters
# ------------------------------
#
# First the sixteen kernels of conv1_1, as small colour pictures, each stretched to the full range; above, as they
# were drawn at random; below, after the training. You need sharp eyes to see a difference. Small random kernels are
# not so bad: each is lighter on one side than on the other, or of another colour, and so finds *some* edge. What is
# made of their answers is what had to be learned. The deeper a layer, the more it has turned away from where it
# was; the list gives the cosine of the angle between all its weights before and after.


def as_pictures(w):
    """Return kernels (3, 3, 3, K) as a row of K pictures, with a frame between them."""
    low, high = w.min(axis=(0, 1, 2)), w.max(axis=(0, 1, 2))
    stretched = np.moveaxis((w - low) / (high - low), 3, 0)
    return np.hstack([np.pad(kernel, ((1, 1), (1, 1), (0, 0)), constant_values=1) for kernel in stretched])


_, axes = plt.subplots(2, 1, figsize=(10, 1.8), layout="constrained")
for panel, net, title in ((axes[0], untrained, "conv1_1 before"), (axes[1], trained, "conv1_1 after the training")):
    panel.imshow(as_pictures(net.parameters["conv1_1"][0]))
    panel.set_title(title, fontsize=10)
    panel.axis("off")
plt.show()

cosines = {}
for name, (w, _) in untrained.parameters.items():
    w_after = trained.parameters[name][0]
    cosines[name] = float(np.sum(w * w_after) / np.linalg.norm(w) / np.linalg.norm(w_after))
print("  ".join(f"{name} {cosine:.3f}" for name, cosine in cosines.items()))
assert cosines["conv3_2"] < cosines["conv1_1"]

# %%
# So look at a deep layer, conv3_2, by what is alike to it. The means of its 64 channels over a patch are 64
# numbers; divide each by its channel's standard deviation, and let the distance between two patches be that of
# these numbers. Which patches are a patch's neighbours? On the left of each row is the patch that is asked for,
# then its five nearest among nearly two hundred. Before the training they are alike in brightness and contrast.
# After it they share the pattern, mostly, or the hue, since that was asked for too.


def patch_answers(net, quilts):
    """Return conv3_2's mean answers to patches, (patches, 64), as standard deviations from the mean of all."""
    answers = []
    for image, labels in quilts:
        F = net.forward(image, ["conv3_2"])[0]["conv3_2"]
        answers.append(F.reshape(len(labels), SIDE // 4, len(labels), SIDE // 4, -1).mean(axis=(1, 3)))
    answers = np.reshape(answers, (-1, CHANNELS[-1]))
    return (answers - answers.mean(axis=0)) / (answers.std(axis=0) + 1e-6)


def neighbours(answers):
    """Return for each patch the numbers of all others, the nearest first, (patches, patches - 1)."""
    distances = np.linalg.norm(answers[:, None] - answers[None], axis=2)
    return np.argsort(distances, axis=1)[:, 1:]  # the very nearest is the patch itself


quilts = [quilt(test_random, PATCHES, SIDE) for _ in range(12)]
labels = np.concatenate([labels.reshape(-1, 2) for _, labels in quilts])
patches = np.concatenate(
    [image[0].reshape(PATCHES, SIDE, PATCHES, SIDE, 3).swapaxes(1, 2).reshape(-1, SIDE, SIDE, 3) for image, _ in quilts]
)
nearest = {title: neighbours(patch_answers(net, quilts)) for title, net in (("before", untrained), ("after", trained))}

asked = [int(np.argmax(labels[:, 0] == kind)) for kind in (0, 3, 4, 6)]  # the first waves, rings, bricks and maze
_, axes = plt.subplots(len(asked), 2, figsize=(9, 3.4), layout="constrained")
for column, (title, others) in enumerate(nearest.items()):
    for row, number in enumerate(asked):
        gap = np.full((SIDE, 6, 3), 255.0)
        images = np.hstack([patches[number], gap, *patches[others[number][:5]]])
        axes[row, column].imshow(np.clip(images / 255, 0, 1))
        axes[row, column].axis("off")
    axes[0, column].set_title(f"{title} the training: a patch and its neighbours")
plt.show()

same = {title: np.mean(labels[others[:, :5]] == labels[:, None], axis=(0, 1)) for title, others in nearest.items()}
for title, (patterns, hues) in same.items():
    print(f"{title}: {patterns:.0%} of the five nearest have the same pattern, {hues:.0%} the same hue")
assert same["after"].sum() > same["before"].sum()

# %%
# Style transfer with a network of our own
# ----------------------------------------
#
# The Gram matrices of lesson 10 take any network. One thing has to be seen to. The paper scales VGG19's filters so
# that their mean activation is 1. Our channels differ more than VGG's: some are nearly dead, some answer to
# everything, and in their Gram matrix :math:`\sum_m F_{mi} F_{mj}` the means drown how the channels go together. So
# each channel is *standardised*: with its mean :math:`\mu_c` and standard deviation :math:`\sigma_c` over the
# pictures at hand,
#
# .. math::
#
#     \frac{F_{mc} - \mu_c}{\sigma_c} = F_{mc} \cdot \frac{1}{\sigma_c} + \left( -\frac{\mu_c}{\sigma_c} \right)
#
# That is a 1x1 convolution (lesson 6), from each channel to itself, with the weight :math:`1/\sigma_c` and the bias
# :math:`-\mu_c/\sigma_c`. Our tables of layers can take it as a row beside the chain, read by nobody but the
# losses, and the way back is there already.

LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv3_2")


def standardised(net, images):
    """Return the network with a row see_NAME for each of the layers, in which channels have mean 0 and deviation 1."""
    features, _ = net.forward(np.stack(images).astype(np.float32), LAYERS)
    rows, parameters = list(net.layers), dict(net.parameters)
    for name, F in features.items():
        mean, deviation = F.mean(axis=(0, 1, 2)), F.std(axis=(0, 1, 2))
        deviation = np.maximum(deviation, 0.1 * deviation.mean())  # a dead channel stays quiet
        rows.append(Layer(f"see_{name}", "linear", source=name))
        parameters[f"see_{name}"] = np.diag(1 / deviation)[None, None], -mean / deviation
    return replace(net, layers=tuple(rows), parameters=parameters)


content, style = pictures(full_size(96, 48))
ready = {
    "random weights": standardised(untrained, [content, style]),
    "trained": standardised(trained, [content, style]),
}
seen, _ = ready["trained"].forward(np.stack([content, style]).astype(np.float32), ["see_conv2_1"])
assert abs(seen["see_conv2_1"].mean()) < 1e-3
assert seen["see_conv2_1"].std() < 1 + 1e-3

# %%
# First a texture: from noise, an image with the style's Gram matrices and no content at all (lesson 10). It shows
# what a network takes a style to be. Beside the untrained network and the trained one stands the course's usual
# one, VGG19 or its distilled relative. Random weights know the colours and that they come in blotches. After a
# minute of training there are strokes. The large network has seen more of the world, and knows better how strokes
# lie side by side.
#
# As a measure, let the usual network say how far each texture is from the style, by its own style loss. (It is the
# judge and one of the judged, so its own figure is small by construction.)

iterations = full_size(100, 10)
usual = network()
judge = Objective(usual, styles=[style], normalized=True, tv_weight=0)


def objective_of(name, **settings):
    """Return equation 7 as one of the three networks sees it."""
    if name not in ready:
        return Objective(usual, styles=[style], normalized=True, **settings)
    layers = {"style_layers": [f"see_{layer}" for layer in LAYERS], "content_layers": ["see_conv3_1"]}
    return Objective(
        ready[name], styles=[style], style_weight=100, tv_weight=3e-6 / style[..., 0].size, **layers, **settings
    )


textures, distances = {}, {}
for name in (*ready, usual.name):
    objective = objective_of(name)
    result = stylize(objective, "noise", iterations=iterations)
    textures[name], distances[name] = result.image, judge(result.image)[0]
    start, _ = objective(np.random.default_rng(0).normal(127.5, 20, style.shape))
    print(f"{name:16} own loss {start:8.3f} -> {result.loss:8.3f}   distance from the style {distances[name]:.3g}")
    assert result.loss < full_size(0.1, 0.5) * start
show_images({"style": style, **textures})
plt.show()

# %%
# Then the whole of equation 7, from the content. The village keeps its place, and each network paints it with the
# strokes that it knows.

pixels = content[..., 0].size
transfers = {}
for name in (*ready, usual.name):
    alpha = {"content_weight": 0.3 / pixels} if name in ready else {}
    transfers[name] = stylize(objective_of(name, content=content, **alpha), "content", iterations=iterations).image
    print(f"{name:16} distance from the style {judge(transfers[name])[0]:.3g}, of the content {judge(content)[0]:.3g}")
    assert judge(transfers[name])[0] < judge(content)[0]
show_images({"content": content, **transfers})
plt.show()

# %%
# It is remarkable how far random weights come, once their channels are standardised: colours, and how smooth or
# rough they lie, can be had from any filters. What training adds are the shapes. And nothing in it is special to
# textures of eight kinds. With a million photographs in place of quilts, five blocks in place of three, and weeks
# in place of a minute, the same few lines, loss, gradients, step, make VGG19. The distilled network that comes with
# the package was made by them too, only that it was asked another question: what would VGG19 say here?
# (``scratchnst/distil/training.py``)
#
# Exercises
# ---------
#
# 1. Show that the softmax with two classes depends on :math:`z_1 - z_2` only, and draw :math:`p_1` against it. Then
#    show that the cross-entropy of a patch that is right by far, and of one that is wrong by far, goes like a ReLU
#    of the difference.
# 2. Start the weights from zero, all of them, and train for some steps. What do the gradients of conv1_1 do, and
#    why?
# 3. Train with the hues alone, or with the patterns alone (leave one of the two gradients out). What becomes of the
#    texture?
# 4. Train with ``HEIGHT`` ten times as large and ten times as small. Which loss is lower in the end, and which
#    texture is nearer to the style? They need not agree: what was asked for is not what it is used for.
#
# The coding exercise: in ``lessons/exercises/14_training.py`` write the log-softmax in a way that no score is too
# large for, and a cross-entropy, with its gradient, whose truth is a distribution and whose patches have weights of
# their own. Then run ``scratchnst check 14``.
