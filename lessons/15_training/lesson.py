r"""
Training: where features come from
==================================

Until now a network's weights were given. Somebody found them: VGG19's on a million photographs, those of the network
that ships with this package by imitating VGG19. This lesson finds weights from nothing. You will draw
a few hundred textures, ask a network of six convolutions which is which, and turn its 43,000 weights, all at once,
the way their gradient says, until it knows. Nobody will tell it what an edge is. And then it will paint.

After this lesson you can

* say why a task makes features, and set one,
* derive how large a network's first, random weights should be, and see what goes wrong with others,
* derive the softmax cross-entropy and its gradient, and compute both without overflow,
* train a network on mini-batches with the gradients of lesson 7 and the Adam of lesson 11,
* tell learning from learning by heart, with pictures that were held out,
* say what trained features change in style transfer, and what they do not.

It needs lessons 4, 5 and 7 (the walk back, and the weights' gradients), 8 (a network as a table), 10 (style), 11 (Adam)
and 12 (style transfer).

===========================  ==================================================================================
symbol                       meaning
===========================  ==================================================================================
:math:`x`                    a batch of :math:`N` pictures, (N, H, W, 3), RGB from 0 to 255
:math:`w, b`                 kernels and biases of all convolutions
:math:`F`                    the features of the last layer; :math:`F_{nmc}` of picture n, position m, channel c
:math:`M, C`                 number of its positions and of its channels
:math:`s`                    the mean of each channel over all positions, (N, C)
:math:`V, d`                 the classifier: a matrix (C, T) and T biases
:math:`T`                    number of textures to tell apart
:math:`z`                    *logits*, (N, T): one number for each picture and texture
:math:`p`                    probabilities, (N, T), made of the logits
:math:`t_n`                  the *label* of picture n: which texture it is, from 0 to T - 1
:math:`L`                    the loss, the mean of :math:`L_n` over the pictures of a batch
:math:`\theta`               all that is learnt, :math:`w, b, V, d`, as one long vector
===========================  ==================================================================================
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter

from scratchnst import Objective, stylize
from scratchnst.classroom import full_size, network, pictures, show_images
from scratchnst.engine import cpu, textbook
from scratchnst.images import samples
from scratchnst.models.layers import Layer
from scratchnst.models.network import Defaults, Network, Preprocessing
from scratchnst.optimize import adam
from scratchnst.verify import check_gradient

# %%
# A task
# ------
#
# Why should a network see edges, or anything? Its weights move only where a loss asks them to. So what it learns to
# see is whatever helps with the question that it is asked, its *task*. VGG19 was asked which of a thousand things is
# on a photograph (lesson 8), and the features that this took turned out to serve style transfer as well, which nobody
# had asked for.
#
# A thousand things and a million photographs are more than a few minutes allow. Our question is smaller: **which of
# twelve textures is this?** We draw them by formula. A *pattern* takes two coordinates, u down and v along, and gives
# a height, about between -1 and 1.

PATTERNS = {  # name: the height at (u, v), and the direction of u in degrees
    "across": (lambda u, v: np.sin(u), 0),
    "rising": (lambda u, v: np.sin(u), 45),
    "upright": (lambda u, v: np.sin(u), 90),
    "falling": (lambda u, v: np.sin(u), 135),
    "waves": (lambda u, v: np.sin(u + 1.5 * np.sin(v / 2)), 0),
    "checks": (lambda u, v: np.sign(np.sin(u / 1.5) * np.sin(v / 1.5)), 0),
    "rings": (lambda u, v: np.sin(np.hypot(u, v)), 0),
    "dots": (lambda u, v: np.where(np.cos(u) + np.cos(v) > 0.8, 1, -1), 0),
    "bricks": (lambda u, v: np.where((u % 6 < 1.2) | ((v + 6 * (u // 6 % 2)) % 12 < 1.2), -1, 1), 0),
}
GRAINS = {"noise": (0.5, 1.0), "clouds": (2.0, 4.0)}  # white noise, blurred by so many pixels
NAMES = [*PATTERNS, *GRAINS, "strokes"]  # strokes are cut out of a painting that scratchnst.images.samples draws
SIDE, PAINTED = 32, full_size(256, 96)  # pixels

# %%
# Each picture gets its texture at a place of its own, in a scale of its own and nearly, but not quite, in the
# texture's direction.


def draw_height(name, random, painting):
    """Return a texture's height (SIDE, SIDE), at a place, in a scale and almost in the direction of its own."""
    if name in PATTERNS:
        pattern, angle = PATTERNS[name]
        angle = np.deg2rad(angle + random.normal(0, 5))
        down, along = (np.mgrid[:SIDE, :SIDE] - random.uniform(0, SIDE, (2, 1, 1))) * random.uniform(0.6, 1.2)
        u, v = np.cos(angle) * down + np.sin(angle) * along, np.cos(angle) * along - np.sin(angle) * down
        return pattern(u, v)
    if name in GRAINS:
        height = gaussian_filter(random.standard_normal((SIDE, SIDE)), random.uniform(*GRAINS[name]), mode="wrap")
    else:
        top, left = random.integers(0, len(painting) - SIDE, 2)
        height = painting[top : top + SIDE, left : left + SIDE].mean(axis=2)
    return (height - height.mean()) / height.std()


# %%
# The task must not have a way round. Were all bricks red, redness would do, and the network would look at nothing
# else. So every picture gets a ground and a colour of its own by chance, is light on dark as often as dark on light,
# and has some noise on top.


def draw_texture(name, random, painting):
    colour = random.choice([-1, 1]) * (1 + 0.5 * random.standard_normal(3))
    colour *= random.uniform(60, 110) / np.linalg.norm(colour)
    picture = 128 + random.normal(0, 15, 3) + colour * draw_height(name, random, painting)[:, :, np.newaxis]
    return np.clip(picture + random.normal(0, 8, picture.shape), 0, 255)


def draw_set(count, seed):
    """Return pictures (count, SIDE, SIDE, 3) and their labels (count,), as many of each texture."""
    random, painting = np.random.default_rng(seed), samples.draw_style(PAINTED, PAINTED, seed)
    labels = np.arange(count) % len(NAMES)
    return np.float32([draw_texture(NAMES[label], random, painting) for label in labels]), labels


x_train, t_train = draw_set(full_size(960, 48), seed=1)
x_held, t_held = draw_set(full_size(240, 24), seed=2)

show_images({f"{NAMES[i % 12]} {i // 12 + 1}": x_train[i] for i in (*range(12), *range(12, 24))}, columns=6)
plt.show()

# %%
# Each texture twice; nothing but the arrangement is the same. The *held-out* pictures are drawn like the others, from
# another painting, and never trained on: they will tell whether it has learnt the textures or only these pictures.
#
# A test of the task: does a picture's mean colour give it away? We guess the texture whose mean colour, on average
# over the training pictures, is nearest. By chance alone one in twelve would be right, 8 %.

colours = x_train.mean(axis=(1, 2))
typical = np.stack([colours[t_train == t].mean(axis=0) for t in range(12)])
distance = np.linalg.norm(x_held.mean(axis=(1, 2))[:, np.newaxis] - typical, axis=2)
by_colour = np.mean(distance.argmin(axis=1) == t_held)
print(f"right by mean colour: {by_colour:.0%}")
assert by_colour < full_size(0.15, 0.4), "colour must not solve the task"

# %%
# No better than guessing. What remains is the arrangement.
#
# The network, a table
# --------------------
#
# The network has VGG19's shape, in small: 3x3 convolutions with a ReLU, two to a block, and average pooling between
# the blocks. In the package a network is a table of rows and a dictionary of weights (see
# ``scratchnst/models/network.py``). Two things are to be decided: how many channels, for which we take 16, 24 and 48;
# and what weights to begin with.
#
# Zeros will not do. If all kernels of a row are equal, all of its channels are, and so are their gradients, so they
# stay equal for ever. Random weights are all different. But how large? Let one number of a convolution's output be
#
# .. math::
#
#     y = \sum_{i=1}^{n} w_i x_i, \qquad n = 3 \cdot 3 \cdot C_{\text{in}}
#
# where :math:`C_{\text{in}}` is the number of channels that come in, and the :math:`x_i` are the :math:`n` numbers
# below the kernel. Draw the weights independently of each other, each with mean 0 and variance :math:`\sigma^2`. With
# :math:`E[\,\cdot\,]` for the average over the draw,
#
# .. math::
#
#     E[y^2] = \sum_{i,j} E[w_i w_j] \, x_i x_j = \sigma^2 \sum_i x_i^2 = n \sigma^2 \cdot \text{mean}(x^2)
#
# since :math:`E[w_i w_j] = E[w_i] E[w_j] = 0` for :math:`i \ne j`, and :math:`E[w_i^2] = \sigma^2` for :math:`i = j`.
# A bell curve around 0 is symmetric: it draws :math:`-w` as often as :math:`w`, and so :math:`-y` as often as
# :math:`y`. The ReLU removes those below zero, and half of the square remains:
#
# .. math::
#
#     E[\max(y, 0)^2] = \frac{n \sigma^2}{2} \, \text{mean}(x^2)
#
# That is a factor for each row. If it is not 1, the features grow or shrink from row to row like the powers of that
# factor, and the gradients on the way back with them. So take
#
# .. math::
#
#     \sigma = \sqrt{2 / n}
#
# (K. He and others, 2015). The biases begin at 0.

CHANNELS = full_size((16, 24, 48), (6, 8, 12))
COLOURS = Preprocessing("RGB", 1 / 255, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))  # mean about 0, spread about 1


def build(random, factor=1.0, channels=CHANNELS):
    """Return a network with random weights, `factor` times as large as derived."""
    layers, parameters, depth = [], {}, 3
    for block, count in enumerate(channels, start=1):
        for number in (1, 2):
            name, sigma = f"conv{block}_{number}", factor * np.sqrt(2 / (9 * depth))
            layers.append(Layer(name, "conv"))
            w = sigma * random.standard_normal((3, 3, depth, count))
            parameters[name], depth = (np.float32(w), np.zeros(count, np.float32)), count
        if block < len(channels):
            layers.append(Layer(f"pool{block}", "pool"))
    style = {"conv1_1": 1 / 3, "conv2_1": 1 / 3, "conv3_1": 1 / 3}  # for the end of the lesson
    defaults = Defaults({"conv3_1": 1.0}, style, content_weight_per_feature=0.1, tv_weight_per_pixel=1e-6)
    return Network("textures", tuple(layers), parameters, COLOURS, defaults).on(cpu)


untrained = build(np.random.default_rng(0))

# %%
# Is the derivation right? We measure the size of the features, the root of their mean square, in each row of three
# random networks: one with these weights, one with half and one with twice as large ones.

convolutions = list(untrained.parameters)
LAST = convolutions[-1]
sizes = {}
for factor in (0.5, 1.0, 2.0):
    F, _ = build(np.random.default_rng(0), factor).forward(x_train[:24], convolutions, training=False)
    sizes[factor] = [np.sqrt(np.mean(F[name] ** 2)) for name in convolutions]

_, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
for factor, size in sizes.items():
    axes.semilogy(convolutions, size, "o-", label=rf"{factor:g} $\cdot \sqrt{{2/n}}$")
axes.set(title="size of the features of a random network", ylabel="root mean square")
axes.legend(title="size of its weights")
plt.show()

assert 0.1 < sizes[1.0][-1] / sizes[1.0][0] < 3
assert np.isclose(sizes[1.0][-1] / sizes[0.5][-1], 2**6), "half the weights, six times over"
assert np.isclose(sizes[2.0][-1] / sizes[1.0][-1], 2**6)

# %%
# With the size that we derived, the features keep theirs, but for what zero padding and pooling take away. With half
# of it, they are 64 times smaller than that after six rows, with twice, 64 times larger: a factor of 2 for each row.
# In a network of sixteen rows it would be 65,536.
#
# From features to an answer
# --------------------------
#
# A texture is the same wherever in the picture one looks. So average each channel of the last row over all positions,
# and let a *linear classifier* add up what the channels say for each texture:
#
# .. math::
#
#     s_{nc} = \frac{1}{M} \sum_m F_{nmc}, \qquad z_{nt} = \sum_c s_{nc} V_{ct} + d_t
#
# The :math:`z` are called *logits*. The largest one is the answer. But "is the largest" is a yes or no: nothing that
# could be differentiated. So the logits of a picture are made into probabilities, positive numbers that sum to 1:
#
# .. math::
#
#     p_t = \frac{e^{z_t}}{\sum_{r} e^{z_r}}
#
# This is the *softmax*. Three logits by hand, :math:`z = (\ln 1, \ln 2, \ln 1)`: the exponentials are 1, 2 and 1, so
# :math:`p = (\frac{1}{4}, \frac{1}{2}, \frac{1}{4})`.
#
# In a computer :math:`e^{1000}` is infinite, and infinity divided by infinity is not a number. But adding the same
# number :math:`a` to all logits of a picture changes nothing, since :math:`e^{z_t + a} = e^a e^{z_t}`, and
# :math:`e^a` cancels. So take the largest logit off first: then the largest exponential is :math:`e^0 = 1`.


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


by_hand = np.log([[1.0, 2.0, 1.0]])
print(softmax(by_hand), softmax(by_hand + 1000))
assert np.allclose(softmax(by_hand), [[1 / 4, 1 / 2, 1 / 4]])
assert np.allclose(softmax(by_hand + 1000), softmax(by_hand))

# %%
# The loss: cross-entropy
# -----------------------
#
# How good are probabilities? What counts is the one given to the truth, :math:`p_t` for a picture with the label
# :math:`t`. For several pictures they multiply: :math:`p_{1, t_1} \, p_{2, t_2} \cdots` is how likely the
# network held it that all labels are as they are. A logarithm makes a sum of the product, a minus makes it a loss, and
# the mean makes it independent of the number of pictures:
#
# .. math::
#
#     L = \frac{1}{N} \sum_n L_n, \qquad L_n = -\ln p_{n, t_n}
#
# It is called *cross-entropy*. Certain and right costs nothing, certain and wrong any amount. Guessing, 1/12 for each
# texture, costs :math:`\ln 12 \approx 2.48`: remember this number, training begins there.
#
# Now its slope in the logits, for one picture with the label t (so without n). First put the softmax in:
#
# .. math::
#
#     L_n = -\ln \frac{e^{z_t}}{\sum_r e^{z_r}} = -z_t + \ln \sum_r e^{z_r}
#
# Differentiate by :math:`z_k`. The first summand depends on it only if :math:`k = t`: its derivative is -1 there and 0
# elsewhere. In the second, the outer derivative of the logarithm is one over the sum, and the inner one is
# :math:`e^{z_k}`, the only exponential that contains :math:`z_k`:
#
# .. math::
#
#     \frac{\partial L_n}{\partial z_k} = -[k = t] + \frac{e^{z_k}}{\sum_r e^{z_r}} = p_k - [k = t]
#
# where :math:`[k = t]` is 1 if :math:`k = t` and 0 otherwise. *What it said, minus what is true*: a row with a single
# 1, called *one-hot*. And since :math:`L` is the mean of :math:`N` such losses, each picture's row comes with
# :math:`1/N`.
#
# By hand, with the logits of above and the label 0: :math:`L = -\ln \frac{1}{4} = \ln 4`, and the gradient is
# :math:`(\frac{1}{4} - 1, \frac{1}{2}, \frac{1}{4}) = (-\frac{3}{4}, \frac{1}{2}, \frac{1}{4})`. Its sum is 0, as it
# must be: adding the same to all logits does not change the loss.
#
# In the code the loss is computed from :math:`-z_t + \ln \sum e^{z_r}`, again with the largest logit taken off, for a
# probability may be too small for a number while its logarithm is a fine one.


def cross_entropy(z, labels):
    """Return the loss and dL/dz of logits (N, T) and labels (N,)."""
    pictures = np.arange(len(z))
    z = z - z.max(axis=1, keepdims=True)
    loss = np.mean(np.log(np.exp(z).sum(axis=1)) - z[pictures, labels])
    grad_z = softmax(z)
    grad_z[pictures, labels] -= 1
    return loss, grad_z / len(z)


loss, grad_z = cross_entropy(by_hand, [0])
print(f"loss {loss:.4f}, ln 4 = {np.log(4):.4f}; gradient {grad_z}")
assert np.isclose(loss, np.log(4))
assert np.allclose(grad_z, [[-3 / 4, 1 / 2, 1 / 4]])
random = np.random.default_rng(0)
report = check_gradient(lambda z: cross_entropy(z, np.array([3, 0, 1, 1])), 3 * random.standard_normal((4, 5)))
print(report)
assert report.passed

# %%
# The way back to all weights
# ---------------------------
#
# From :math:`z` the chain rule goes on. Each :math:`V_{ct}` is read once for every picture, each :math:`d_t` as well,
# and :math:`s_{nc}` once for every texture. Add up over all readers:
#
# .. math::
#
#     \frac{\partial L}{\partial V_{ct}} = \sum_n s_{nc} \frac{\partial L}{\partial z_{nt}}, \qquad
#     \frac{\partial L}{\partial d_t} = \sum_n \frac{\partial L}{\partial z_{nt}}, \qquad
#     \frac{\partial L}{\partial s_{nc}} = \sum_t \frac{\partial L}{\partial z_{nt}} V_{ct}
#
# The sums are matrix products: ``s.T @ grad_z``, and ``grad_z @ V.T``. And :math:`F_{nmc}` is in :math:`s_{nc}` with
# the factor :math:`1/M`, at every position m alike (it is average pooling of lesson 5, with one very large square):
#
# .. math::
#
#     \frac{\partial L}{\partial F_{nmc}} = \frac{1}{M} \frac{\partial L}{\partial s_{nc}}
#
# From there on the walk back of lesson 8 takes over. At each convolution it also asks lesson 7's question, "how fast
# does the loss rise with the weights?", and writes the answer down: ``Network.backward_parameters`` returns the
# name of each convolution with dL/dw and dL/db.
#
# An optimiser wants one vector. Two small functions go back and forth between it and the dictionary of arrays.


def to_vector(parameters):
    return np.concatenate([array.ravel() for pair in parameters.values() for array in pair]).astype(float)


def from_vector(theta, like):
    """Return the numbers of `theta` in arrays shaped, named and typed as `like`'s."""
    arrays, start = {}, 0
    for name, pair in like.items():
        arrays[name] = []
        for array in pair:
            arrays[name].append(theta[start : start + array.size].reshape(array.shape).astype(array.dtype))
            start += array.size
    return arrays


# %%
# Now the whole way, down and back. The rows of the network and the classifier, a row of its own by the name of
# "answer", are one dictionary and one vector :math:`\theta`. Read ``loss_and_gradient`` line by line: the formulas of
# the last three sections stand in it, each in a line or half of one.


class Classifier:
    """A network and its linear classifier, whose row in the dictionary is "answer"; theta is all weights, a vector."""

    def __init__(self, net):
        self.net = net
        w_last, _ = net.parameters[LAST]
        V, d = np.zeros((w_last.shape[3], len(NAMES)), w_last.dtype), np.zeros(len(NAMES), w_last.dtype)
        self.shapes = {**net.parameters, "answer": (V, d)}
        self.start = to_vector(self.shapes)

    def network_with(self, theta):
        """Return the network with these weights, and (V, d)."""
        parameters = from_vector(theta, self.shapes)
        answer = parameters.pop("answer")
        return replace(self.net, parameters=parameters), answer

    def loss_and_gradient(self, theta, x, labels):
        net, (V, d) = self.network_with(theta)
        features, cache = net.forward(x, [LAST])
        F = features[LAST]
        s = F.mean(axis=(1, 2))
        loss, grad_z = cross_entropy(s @ V + d, labels)
        grad_s = grad_z @ V.T
        M = F.shape[1] * F.shape[2]
        grad_F = np.zeros_like(F) + grad_s[:, np.newaxis, np.newaxis] / M  # the same at each position
        gradients = net.backward_parameters({LAST: grad_F}, cache)
        gradients["answer"] = s.T @ grad_z, grad_z.sum(axis=0)
        return loss, to_vector({name: gradients[name] for name in self.shapes})

    def answers(self, theta, x):
        net, (V, d) = self.network_with(theta)
        parts = [net.forward(part, [LAST], training=False)[0][LAST] for part in np.array_split(x, -(-len(x) // 40))]
        return np.concatenate([(F.mean(axis=(1, 2)) @ V + d).argmax(axis=1) for F in parts])


# %%
# Is it right? The gradient has as many numbers as there are weights. For the check a network with a few channels will
# do, since its code is the same: in float64, on two small pictures, and away from the start, since there
# :math:`V = 0` and most of the gradient with it. It is held against differences of the loss at a few weights drawn by
# chance, and along whole directions.

exact = Classifier(build(np.random.default_rng(0), channels=(3, 4, 5)).on(textbook).astype("float64"))
somewhere = exact.start + 0.05 * random.standard_normal(exact.start.size)
x_two = x_train[[0, 7], :8, :8].astype(float)
report = check_gradient(
    lambda theta: exact.loss_and_gradient(theta, x_two, t_train[[0, 7]]), somewhere, samples=full_size(8, 3)
)
print(f"{exact.start.size:,} weights here, {Classifier(untrained).start.size:,} in the network to be trained")
print(report)
assert report.passed

# %%
# Training
# --------
#
# The loss over all training pictures would cost a walk through 960 pictures for a single step. But a mean over 960 is
# well estimated by a mean over 32 drawn by chance, a *mini-batch*. Its gradient points a little beside the true one,
# each time to another side; Adam's running means (lesson 11) smooth that out. So shuffle the pictures, take 32 after
# 32, and when all have been seen, an *epoch*, shuffle again.
#
# For Adam a mini-batch is nothing special. It asks for loss and gradient at :math:`\theta`, and gets them for the
# batch whose turn it is. The *rate*, which for an image was about 5 of 255 grey levels, is 0.004 here, small beside
# weights of about 0.1 to 0.3, and falls to 0 along half a cosine, for a calm end.
#
# (In lesson 12's L-BFGS a mini-batch would be a disaster: it compares gradients of two steps, and they would be
# gradients of two different functions.)

BATCH, STEPS = 32, full_size(180, 10)


def batches(count, random):
    """Yield the numbers of the pictures in each mini-batch, for ever."""
    while True:
        shuffled = random.permutation(count)
        for first in range(0, max(count - BATCH, 0) + 1, BATCH):
            yield shuffled[first : first + BATCH]


def train(classifier, x, labels, steps, rate=0.004):
    """Return theta, the losses of all steps, and a list of (step, share right of x, of held-out pictures)."""
    turn = batches(len(x), np.random.default_rng(3))
    losses, accuracy = [], []

    def next_batch(theta):
        chosen = next(turn)
        loss, gradient = classifier.loss_and_gradient(theta, x[chosen], labels[chosen])
        losses.append(loss)
        return loss, gradient

    def look(theta, _):
        if len(losses) % full_size(20, 8) == 1:
            seen = np.mean(classifier.answers(theta, x[:240]) == labels[:240])
            accuracy.append((len(losses) - 1, seen, np.mean(classifier.answers(theta, x_held) == t_held)))

    def falling(step):
        return rate * (0.5 + 0.5 * np.cos(np.pi * step / (steps + 1)))

    return adam(next_batch, classifier.start, steps, callback=look, rate=falling).x, losses, accuracy


# %%
# The few lines that draw it, and here it learns:


def draw_training(losses, accuracy, title):
    _, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
    left.plot(losses, color="0.7", label="of a mini-batch")
    last = min(10, len(losses))
    mean = np.convolve(losses, np.ones(last) / last, "valid")
    left.plot(np.arange(last - 1, len(losses)), mean, label=f"mean of the last {last}")
    left.axhline(np.log(12), color="k", lw=0.8, ls=":", label="ln 12, guessing")
    left.set(title=f"{title}: loss", xlabel="step", ylabel="cross-entropy")
    left.legend()
    steps, seen, held = zip(*accuracy)
    right.plot(steps, seen, "o-", label="pictures trained on")
    right.plot(steps, held, "s--", label="held-out pictures")
    right.set(title=f"{title}: share of right answers", xlabel="step", ylim=(0, 1.02))
    right.legend()
    plt.show()


classifier = Classifier(untrained)
theta, losses, accuracy = train(classifier, x_train, t_train, STEPS)
draw_training(losses, accuracy, f"{len(x_train)} pictures")
print(f"first loss {losses[0]:.4f}; in the end {accuracy[-1][1]:.0%} right, of held-out pictures {accuracy[-1][2]:.0%}")
assert np.isclose(losses[0], np.log(12)), "with V = 0 it begins by guessing"
assert np.mean(losses[-10:]) < full_size(0.5, 1.1) * losses[0]
assert accuracy[-1][2] > full_size(0.75, 0.0), "far better than chance, on pictures that it has never seen"

# %%
# For a while nothing seems to happen: the first steps are spent on making the twelve answers differ at all. Then one
# texture after the other is found out. The two curves on the right stay together: what it has learnt on the one set
# of pictures holds on the other.
#
# What it gets wrong
# ------------------
#
# A table of all held-out pictures, a row for what they are and a column for what the network says, shows more than
# a percentage. It is called the *confusion matrix*; what is right stands on its diagonal.

said = classifier.answers(theta, x_held)
confusion = np.zeros((12, 12), int)
np.add.at(confusion, (t_held, said), 1)

_, axes = plt.subplots(figsize=(5.6, 5), layout="constrained")
axes.imshow(confusion, cmap="Blues")
for row, column in zip(*np.nonzero(confusion)):
    dark = confusion[row, column] > confusion.max() / 2
    axes.text(column, row, confusion[row, column], ha="center", va="center", fontsize=8, color="w" if dark else "k")
axes.set_xticks(range(12), NAMES, rotation=60, ha="right")
axes.set_yticks(range(12), NAMES)
axes.set(title="held-out pictures", xlabel="what the network says", ylabel="what it is")
plt.show()

wrong = np.flatnonzero(said != t_held)
show_images({f"{NAMES[t_held[n]]}?\n{NAMES[said[n]]}, it says": x_held[n] for n in wrong[:6]}, columns=6)
plt.show()
assert confusion.sum() == len(x_held)
assert np.isclose(np.trace(confusion) / len(x_held), accuracy[-1][2])

# %%
# Nine in ten are right, and some of what is wrong can be understood. Dots and bricks, small shapes set out in rows and
# columns, are the pair most often taken for one another. Stripes that chance has turned a little towards the diagonal
# are near the border between two answers. Why some rings are bricks to it, we cannot tell. The twelve words are ours;
# for the network there is nothing but what helped to tell these pictures apart.
#
# By heart
# --------
#
# A network with 43,000 weights can also learn a few pictures one by one, as one learns telephone numbers. Let us give
# it 24 pictures, two of each texture, all of them in every step.

few = Classifier(untrained)
theta_few, losses_few, accuracy_few = train(few, x_train[:24], t_train[:24], full_size(80, 8))
draw_training(losses_few, accuracy_few, "24 pictures")
print(f"{accuracy_few[-1][1]:.0%} right of the pictures trained on, {accuracy_few[-1][2]:.0%} of held-out ones")
assert accuracy_few[-1][1] > full_size(0.85, 0.0)
assert accuracy_few[-1][2] < full_size(0.5 * accuracy_few[-1][1], 1.0), "what is learnt by heart does not carry over"

# %%
# All 24 are right, the loss is nearly zero, and of other pictures the network knows about one in four: more than
# guessing, and far from the nine in ten of before. This is *overfitting*. The loss that is minimised cannot show it,
# only held-out pictures can. With 960 pictures it did not appear: learning so many by heart is harder than finding out
# what they have in common.
#
# What has changed in the network
# -------------------------------
#
# Here are the kernels of the first row, 3x3 weights for each of red, green and blue, drawn as small pictures with
# grey for zero, before and after.

trained, _ = classifier.network_with(theta)
moved = {}
for name in convolutions:
    before, after = untrained.parameters[name][0], trained.parameters[name][0]
    moved[name] = np.linalg.norm(after - before) / np.linalg.norm(before)
print("how far the kernels have moved, in lengths of their own:", {name: f"{far:.2f}" for name, far in moved.items()})

_, grid = plt.subplots(2, CHANNELS[0], figsize=(0.7 * CHANNELS[0], 1.9), layout="constrained")
for panels, net, when in zip(grid, (untrained, trained), ("before", "after")):
    w = net.parameters["conv1_1"][0]
    for k, panel in enumerate(panels):
        panel.imshow(np.clip(0.5 + w[:, :, :, k] / 1.4, 0, 1))
        panel.set(xticks=[], yticks=[])
    panels[0].set_ylabel(when)
plt.suptitle("kernels of conv1_1", fontsize=10)
plt.show()

assert min(moved.values()) > 0
assert moved[LAST] > moved["conv1_1"], "the last row has moved further than the first"

# %%
# Above and below, nearly the same: the kernels of the first row are still those that chance made, with a nudge. No
# clean edges have appeared, as they do in networks that have seen a million photographs. The printed numbers say that
# deeper rows have moved further. Among sixteen random kernels some already answer to differences from left to right,
# some to differences from top to bottom; for twelve textures, it seems, that is a usable beginning, and learning was
# mostly learning how to combine them.
#
# So look at the far end. Each channel's mean activation :math:`s_c` is a number for each held-out picture. How much
# of its variance is due to the texture, and how much to what does not matter (colour, scale, place)? With
# :math:`\bar s_t` the mean over the pictures of texture t, the *share* of the texture is the variance of
# :math:`\bar s_t` over the variance of all :math:`s`.


def means_by_texture(net):
    """Return the mean of each channel for each texture, in units of the channel's largest, and the texture's share."""
    s = net.forward(x_held, [LAST], training=False)[0][LAST].mean(axis=(1, 2))
    typical = np.stack([s[t_held == t].mean(axis=0) for t in range(12)])
    alive = s.var(axis=0) > 0
    share = typical.var(axis=0)[alive] / s.var(axis=0)[alive]
    return typical / np.maximum(typical.max(axis=0), 1e-9), share.mean()


_, grid = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained", sharey=True)
shares = {}
for panel, (when, net) in zip(grid, {"before": untrained, "after": trained}.items()):
    table, shares[when] = means_by_texture(net)
    panel.imshow(table[:, np.argsort(table.argmax(axis=0))], aspect="auto", vmin=0, vmax=1)
    panel.set(title=f"{when}: share of the texture {shares[when]:.0%}", xlabel=f"channel of {LAST}, sorted")
    panel.set_yticks(range(12), NAMES)
plt.show()
assert shares["after"] > full_size(1.3, 0) * shares["before"]

# %%
# In the figure a row is a texture, a column is a channel, and yellow is where the channel is loudest. Before, a channel
# says much the same of every texture. After, it is loud for one or two and nearly silent for the others. Nobody
# asked for a channel that finds falling stripes: the loss asked for right answers, and the walk back told each weight
# its part. That is what is meant by *features*.
#
# Style, transferred
# ------------------
#
# Now let the network paint. One thing has to be seen to first. The paper scales VGG19's filters to a mean activation of
# 1 (lesson 8). The channels of a network that has been trained for a minute are less even: some are always loud, and
# in the Gram matrix :math:`\sum_m F_{mi} F_{mj}` such means drown what occurs together with what. So *standardise* each
# channel: with its mean :math:`\mu_c` and its standard deviation :math:`\sigma_c` over content and style,
#
# .. math::
#
#     \frac{F_{mc} - \mu_c}{\sigma_c} = \frac{1}{\sigma_c} F_{mc} - \frac{\mu_c}{\sigma_c}
#
# That is a 1x1 convolution without a ReLU, from each channel to itself, with the weight :math:`1 / \sigma_c` and the
# bias :math:`-\mu_c / \sigma_c`. A table takes it as a side row, which only the losses read, and the walk back is there
# already.

READ = ("conv1_1", "conv2_1", "conv3_1", LAST)


def standardised(net, images):
    """Return the network with a side row see_NAME for each NAME in READ: mean 0 and deviation 1 over the images."""
    features, _ = net.forward(np.float32(images), READ)
    rows, parameters = list(net.layers), dict(net.parameters)
    for name, F in features.items():
        mu, sigma = F.mean(axis=(0, 1, 2)), F.std(axis=(0, 1, 2))
        sigma = np.maximum(sigma, 0.1 * sigma.mean())  # a channel that hardly speaks is not made to shout
        rows.append(Layer(f"see_{name}", "linear", sources=(name,)))
        parameters[f"see_{name}"] = np.diag(1 / sigma)[np.newaxis, np.newaxis], -mu / sigma
    return replace(net, layers=tuple(rows), parameters=parameters)


content, style = pictures(full_size(128, 32))
ours = {title: standardised(net, [content, style]) for title, net in (("random", untrained), ("trained", trained))}
seen, _ = ours["trained"].forward(np.float32([content, style]), ["see_conv2_1"])
assert np.abs(seen["see_conv2_1"].mean(axis=(0, 1, 2))).max() < 1e-3
assert seen["see_conv2_1"].std() < 1.001

# %%
# Three networks get the same content, the same style, the same number of steps from the same noise: ours with the
# random weights of the start; ours as trained; and the one of the other lessons, normalised as there. If VGG19 is not
# at hand, that is the small network that ships with the package. It has been trained like ours, by
# ``backward_parameters`` and Adam, but with another task: to say, at each pixel, what VGG19 would say there, which is
# called *distillation* (``scratchnst/training/distillation.py``). So it knows a little of a million photographs.
#
# As a measure, let it judge all three by its own losses; its own picture is good in its eyes by construction.

usual, pixels = network(), content[:, :, 0].size
judge = Objective(usual, content, [style], normalized=True)
objectives = {usual.name: judge}
for title, net in ours.items():
    objectives[title] = Objective(
        net,
        content,
        [style],
        content_layers=["see_conv3_1"],
        style_layers=[f"see_{name}" for name in READ],
        content_weight=0.3 / pixels,
        style_weight=100,
        tv_weight=3e-6 / pixels,
    )

painted = {"content": content, "style": style}
for title in (*ours, usual.name):
    objective = objectives[title]
    start, _ = objective(np.random.default_rng(0).uniform(0, 255, content.shape))
    painted[title] = stylize(objective, "noise", iterations=full_size(150, 3), optimizer="scipy-lbfgs").image
    end, _ = objective(painted[title])
    judge(painted[title])
    content_seen = sum(weight * judge.terms[f"content/{name}"] for name, weight in judge.content_layers.items())
    style_seen = sum(weight * judge.terms[f"style/{name}"] for name, weight in judge.style_layers.items())
    print(f"{title:>10}: own loss {start:.3g} -> {end:.3g}; ", end="")
    print(f"as {usual.name} sees it: content {content_seen:.3g}, style {style_seen:.3g}")
    assert end < start

show_images(painted, columns=5)
plt.show()

# %%
# What do the pictures show? Judge for yourself; this is what we see.
#
# * *Random* weights carry more than one would think: the colours of the style are there, and how they lie, in
#   blotches. (That random filters are enough for some textures has been studied: I. Ustyuzhaninov and others, 2016.)
#   But there are no strokes, and of the content there is little: a random channel answers to everything a little.
# * *Trained*, the same rows paint strokes that have a direction and an edge, and the ridge of the mountain and the
#   boat come out of the noise, faintly. Nobody showed it a boat, or paint of
#   these colours; stripes, bricks and dots were enough for edges and directions to be worth seeing.
# * The third has been taught by far more pictures and for far longer, has more rows, and it shows: longer strokes,
#   and whirls, for which a network must see further than a texture of 32 pixels.
#
# Does the judge agree with our eyes? Only in part. When we ran this with the shipped network, it found the picture of
# the trained one 7 % nearer to the village than that of the random one, and 4 % farther from the style. That is one
# picture of each kind, from one noise and one training: too little to say by how much training helps. What is certain
# is how far both are from the third, although its numbers are no fair comparison: it is the judge itself.
#
# VGG19 stands at the end of this road: a task so broad, a thousand kinds of things in all colours and sizes, that
# hardly anything visible could be overlooked. The cross-entropy, the mini-batches, the walk back to the weights and the
# momentum that trained it are in these fifteen lessons; what is not are two safeguards against learning by heart,
# called weight decay and dropout (K. Simonyan and A. Zisserman, 2015).
#
# Exercises
# ---------
#
# 1. Write :math:`L_n` for two textures as a function of :math:`z_0 - z_1` alone, and plot it. What is its slope for a
#    picture that is certainly right, and for one that is certainly wrong? Which pictures does training listen to?
# 2. :math:`V = 0` at the start. What are the gradients of :math:`V`, and of :math:`w`, in the first step? Would it
#    still learn if the kernels were 0 instead, and :math:`V` were random?
# 3. In ``draw_texture``, replace the 1 in ``1 + 0.5 * random...`` by 0, so that colours lie in every direction and
#    none has more to do with light and dark than another. How many steps does it take now? Double the rate. What does
#    training need, more than a high rate?
# 4. Draw fresh pictures for every step instead of shuffling 960. What can the curve for held-out pictures no longer
#    do? And what becomes of the pictures at the end if the losses read ``conv2_1`` in place of ``see_conv2_1``, and so
#    on? Repeat it with other noise (``seed`` of ``stylize``) before you believe a difference.
#
# To write: ``smoothed_cross_entropy`` and ``energy_backward`` in ``lessons/15_training/exercise.py``. The first is the
# loss for labels that are not quite certain. The second is the way back through a classifier that reads not the
# channels' means but their mean squares: what a Gram matrix has on its diagonal. ``scratchnst check 15`` tries them
# and says what is wrong.
