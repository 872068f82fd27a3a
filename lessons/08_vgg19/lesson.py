r"""
VGG19: the walk down and back
=============================

Style transfer looks at pictures through a network that was trained for something else: to say what is on a
photograph.  The network is called VGG19.  After lessons 4 to 7 you know every operation that it is made of.  New
here is that they are stacked, sixteen convolutions deep; that a loss may look at any of them; and what the numbers in
the middle of such a stack stand for.

After this lesson you can

* read VGG19 as a table, and say of each row what shape it gives and how many weights it has,
* walk down the table to the features of any layer, and back up to the gradient with respect to the pixels,
* add up the gradients of several losses where their paths meet, and check the result,
* compute which pixels a number in the middle of the network can see,
* make pictures of what a filter looks for, with nothing but the walk back,
* scale every filter to a mean activation of 1 without changing what the network does.

It needs lessons 3 (chain rule), 4 (ReLU), 5 (pooling), 6 and 7 (convolution, forward and backward).

===========================  ===============================================================================
symbol                       meaning
===========================  ===============================================================================
:math:`x`                    the image, (1, H, W, 3), RGB from 0 to 255
:math:`l`                    number or name of a layer, a row of the table
:math:`F_l`                  the features of layer l, what comes out of it: :math:`(1, H_l, W_l, N_l)`
:math:`N_l`                  its number of channels, as in the paper
:math:`M_l`                  its number of positions, :math:`H_l W_l`, as in the paper
:math:`z_l`                  what its convolution gives, before the ReLU
:math:`w_l, b_l`             its kernel, :math:`(3, 3, N_{l-1}, N_l)`, and its biases
:math:`F * w`                the convolution of lesson 6, zeros around the border
:math:`L`                    a loss, one number
:math:`s_l, r_l, j_l`        start and size of what a unit of layer l sees, and how far neighbours are apart, in pixels
:math:`a_l`                  mean activation of each channel of layer l, :math:`N_l` numbers
===========================  ===============================================================================
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter

from scratchnst.classroom import full_size, network, pictures, show_images
from scratchnst.models import vgg
from scratchnst.models.normalize import normalize
from scratchnst.models.receptive_field import field, unit
from scratchnst.ops import average_pool, conv2d, preprocess, relu
from scratchnst.verify import check_gradient

# %%
# A table of rows
# ---------------
#
# K. Simonyan and A. Zisserman of the Visual Geometry Group in Oxford, hence VGG, built a network of one repeated idea
# and trained it to tell a thousand kinds of things apart on more than a million photographs
# (`their paper, 2015 <https://arxiv.org/abs/1409.1556>`_).  Each of its rows reads the row above and is one of two
# things:
#
# * a *convolution* with kernels of 3x3 pixels, zeros around the border, and a ReLU behind it (lessons 4, 6 and 7);
# * a *pooling*, which halves height and width (lesson 5).
#
# The rows come in five blocks, each ended by a pooling, and a row is named by its block and its number in it:
# ``conv3_2`` is the second convolution of the third block.  A row of the table is also called a *layer* of the
# network; the image is at the top, and *deeper* means further down.  What comes out of a row are its *features*, or
# *activations*; one channel at one position is a *unit*.
#
# The original ends in three more layers that name the thing in the photograph.  Style transfer has no use for a name;
# like the paper we leave them out, and pool by averages (lesson 5 said why).

shapes, weights = vgg.kernel_shapes(), 0
height, channels = 224, 3  # of the image
print(f"{'row':<10}{'features':<18}{'weights':>12}")
for row in vgg.table():
    count = 0
    if row.kind == "pool":
        height //= 2
    else:
        channels = shapes[row.name][3]
        count = np.prod(shapes[row.name]) + channels  # a kernel for each output channel, and a bias
    weights += count
    print(f"{row.name:<10}{f'({height}, {height}, {channels})':<18}{count:>12,}")

print(f"{len(shapes)} convolutions with {weights:,} weights in all")
assert (len(shapes), weights) == (16, 20_024_384)

# %%
# Going down, there are fewer positions, and more channels to describe each.  The next lines load a network with
# trained weights: VGG19 or what there is of it where its weights are at hand, else the small *distilled* network that
# ships with this package.  That one was trained to see what VGG19 sees down to ``conv5_1``, with rows of the same names
# and a third of the channels or so.  (It has side rows as well, ``like_...``, of which lesson 10 makes use.)  Of either
# we walk down three blocks; the others are of the same kind, only larger.  In float64, what should be equal is equal to
# many digits.

net = network().astype("float64")
deepest = [row.name for row in net.layers if row.kind == "conv" and row.name < "conv4"][-1]  # three blocks will do
rows = net.needed([deepest])  # the rows that the deepest convolution depends on: each reads the one above
w = {name: kernel for name, (kernel, bias) in net.parameters.items()}
b = {name: bias for name, (kernel, bias) in net.parameters.items()}
print(f"{net.name}: {', '.join(row.name for row in rows)}")
assert [row.kind for row in rows[:4]] == ["conv", "conv", "pool", "conv"]

# %%
# The walk down
# -------------
#
# A network expects its pixels as it met them in training: the original VGG19 blue before red, with the mean colour of
# its photographs taken off.  That is the *preprocessing*, an affine map of each number by itself,
# :math:`(\text{scale} \cdot x - \text{mean}) / \text{std}`.  The package keeps its settings with the weights.
#
# From there on the walk is what the table says, with the preprocessed image as :math:`F_0`.  For a row l that is a
# convolution (first line) or a pooling (second line),
#
# .. math::
#
#     \begin{aligned}
#     z_l &= F_{l-1} * w_l + b_l, \qquad F_l = \max(z_l, 0) \\
#     F_l &= \text{the mean of each } 2 \times 2 \text{ square of } F_{l-1}
#     \end{aligned}
#
# On the way down we keep what the way back will need: the shape at a pooling, :math:`F_l` at a ReLU (it tells where
# the ReLU let pass), and :math:`w_l` at a convolution.


def walk_down(x, w, b):
    """Return name of each row -> its features, and a list of caches, the preprocessing's and then one a row."""
    settings = net.preprocessing
    y, cache = preprocess.forward(x, settings.channels, settings.scale, settings.mean, settings.std)
    features, caches = {}, [cache]
    for row in rows:
        if row.kind == "pool":
            y, cache = average_pool.forward(y)
        else:
            z, conv_cache = conv2d.forward(y, w[row.name], b[row.name])
            y, relu_cache = relu.forward(z)
            cache = conv_cache, relu_cache
        features[row.name] = y
        caches.append(cache)
    return features, caches


content, style = pictures(full_size(96, 32))
image = content[np.newaxis]  # images come in batches, here a batch of one
features, caches = walk_down(image, w, b)

expected, _ = net.forward(image, list(features))  # the package's own walk
for name, feature in features.items():
    assert np.allclose(feature, expected[name])
    print(f"{name:<8}{feature.shape!s:<20} {np.mean(feature > 0):.0%} of the units are active")

# %%
# The package's walk, ``Network.forward`` in ``scratchnst/models/network.py``, does the same for any table.
#
# Here are the three most active channels of the first row of each of these blocks; the brighter, the more active a
# unit.  In the first row edges and colours can be recognised, pixel by pixel.  Further down the pictures get coarser,
# and what makes a unit bright is harder to name.

looked_at = [row.name for row in rows if row.kind == "conv" and row.name.endswith("_1")]
shown = {"the image": content}
for name in looked_at:
    feature = features[name][0]
    for channel in np.argsort(-feature.mean(axis=(0, 1)))[:3]:
        shown[f"{name}, channel {channel}"] = feature[:, :, channel]
show_images(shown, columns=5)
plt.show()
assert features[looked_at[1]].shape[1] == len(content) // 2

# %%
# The walk back
# -------------
#
# Let a loss L look at the features of the deepest row alone, and hand us :math:`\partial L / \partial F`, a number
# for each unit.  How do we get from there to the pixels?  By lesson 3: each operation turns the gradient with respect
# to its output into that with respect to its input, the last operation first.  For a row l that is a convolution,
#
# .. math::
#
#     \begin{aligned}
#     \frac{\partial L}{\partial z_l} &= \frac{\partial L}{\partial F_l} \text{ where } F_l > 0,
#     \quad 0 \text{ elsewhere} && \text{(lesson 4)} \\
#     \frac{\partial L}{\partial F_{l-1}} &= \frac{\partial L}{\partial z_l} * \text{flipped } w_l && \text{(lesson 7)}
#     \end{aligned}
#
# (in both directions, its channels exchanged), and for a pooling each pixel of a square gets a quarter of what the
# square's mean is due (lesson 5).  The loop below is the one above, read from its end; compare them line by line.
# The package's walk gives the same, and the next section holds that one to differences.


def walk_back(grad_y, caches):
    """Return dL/dx from dL/dF of the deepest row."""
    for row, cache in zip(reversed(rows), reversed(caches)):  # as long as there are rows; left is the first cache
        if row.kind == "pool":
            grad_y = average_pool.backward(grad_y, cache)
        else:
            conv_cache, relu_cache = cache
            grad_z = relu.backward(grad_y, relu_cache)
            grad_y = conv2d.backward_input(grad_z, conv_cache)
    return preprocess.backward(grad_y, caches[0])


def energy(F):
    """A loss to try it on: half the mean square of the features.  Its gradient is F over their number."""
    return 0.5 * np.mean(F**2), F / F.size


L, grad_F = energy(features[deepest])
grad_x = walk_back(grad_F, caches)
_, cache = net.forward(image, [deepest])
assert np.allclose(grad_x, net.backward({deepest: grad_F}, cache), rtol=1e-9, atol=0)  # the package's own walk

# %%
# Where paths meet
# ----------------
#
# Style transfer's loss looks at several rows at once.  Then the features F of a row have two readers: a loss, and the
# row below.  Lesson 3 met this with single numbers: paths add.  With arrays, let F be read by k functions, so that
# :math:`L = L(f_1(F), \dots, f_k(F))`.  A nudge of one unit :math:`F_i` moves every output :math:`f_{m,n}` of every
# reader m, and each of these moves L:
#
# .. math::
#
#     \frac{\partial L}{\partial F_i}
#     = \sum_{m=1}^{k} \sum_n \frac{\partial L}{\partial f_{m,n}} \, \frac{\partial f_{m,n}}{\partial F_i}
#
# The inner sum is what the backward of reader m hands up; the outer sum adds the readers.  Hence the rule: **where
# several readers hand back gradients for the same array, add them**, and only then go on.
#
# So with a loss half-way and one on the deepest row, the walk back starts at the deepest row as before, and when it
# arrives at the other, it adds what the loss there hands in.  ``Network.backward`` does that for any number of rows;
# ``check_gradient`` (lesson 2) holds it against differences.  The exercise asks you to write it yourself.

taps = looked_at[1:3]  # the first rows of the second and of the third block
random = np.random.default_rng(0)
small_image = random.uniform(0, 255, (1, 8, 8, 3))


def losses_at(x, names):
    """The sum of the energies of some rows, and its gradient by the package's walk."""
    F, cache = net.forward(x, names)
    values, grads = zip(*(energy(F[name]) for name in names))
    return sum(values), net.backward(dict(zip(names, grads)), cache)


report = check_gradient(lambda x: losses_at(x, taps), small_image, samples=full_size(12, 4), name="two losses")
assert report.passed
print(report)
_, whole = losses_at(small_image, taps)
parts = [losses_at(small_image, [name])[1] for name in taps]
shares = [np.linalg.norm(part) / np.linalg.norm(whole) for part in parts]
print(f"the two gradients alone, in lengths of the whole: {shares[0]:.2f} and {shares[1]:.2f}")
assert np.allclose(parts[0] + parts[1], whole)
assert not any(np.allclose(part, whole) for part in parts)

# %%
# What a unit sees
# ----------------
#
# A unit of the first row looks at 3x3 pixels.  One of the second looks at 3x3 units of the first, each of which looks
# at 3x3 pixels: that makes 5x5 pixels.  What a unit can see of the image is its *receptive field*.  To find it for
# each row, let us count along one axis; the other is alike.  Say that unit p of row l sees :math:`r_l` pixels, from
# pixel :math:`s_l + j_l\, p` on.  So :math:`j_l`, the *jump*, is how many pixels neighbouring units are apart.  The
# image itself is row 0: pixel p sees itself, :math:`s_0 = 0,\ r_0 = 1,\ j_0 = 1`.  (Near the border a field may begin
# before pixel 0, where the zeros are.)
#
# A *convolution* 3 wide reads units p - 1, p and p + 1 of the row above.  The first of them begins to see at
# :math:`s_{l-1} + j_{l-1}(p - 1)`, the last one begins :math:`2 j_{l-1}` further and sees :math:`r_{l-1}` pixels:
#
# .. math::
#
#     s_l = s_{l-1} - j_{l-1}, \qquad r_l = r_{l-1} + 2 j_{l-1}, \qquad j_l = j_{l-1}
#
# A *pooling* reads units 2p and 2p + 1.  The first begins at :math:`s_{l-1} + 2 j_{l-1}\, p`, the second
# :math:`j_{l-1}` further; and the next square begins two units later:
#
# .. math::
#
#     s_l = s_{l-1}, \qquad r_l = r_{l-1} + j_{l-1}, \qquad j_l = 2 j_{l-1}


def receptive_fields(table):
    """Return name of each row -> (s, r, j)."""
    s, r, j = 0, 1, 1
    found = {}
    for row in table:
        if row.kind == "pool":
            s, r, j = s, r + j, 2 * j
        else:
            s, r, j = s - j, r + 2 * j, j
        found[row.name] = s, r, j
    return found


for name, (_, r, j) in receptive_fields(vgg.table()).items():
    print(f"{name:<8} sees {r:>3} x {r:<3} pixels; neighbours are {j:>2} pixels apart")
sizes = [r for _, r, _ in receptive_fields(vgg.table()).values()]
assert sizes[:4] == [3, 5, 6, 10]  # try these by hand

# %%
# Each pooling doubles the jump, so each convolution after it adds twice as much, until windows 3 wide see a whole
# photograph of 224 pixels.  Is it true?  Ask the network.  Take as loss a single unit, one channel at one position: its
# gradient is 1 there and 0 elsewhere.  The walk back brings it to the pixels, and can only reach those that the unit
# sees.  A unit may happen to be silent, so we take all channels of a position at once, each with a random sign; and
# noise for an image, which favours no place.  The figure shows how strongly each pixel moves the units in the middle
# (its square root, so that the faint rim can be seen as well).


def influence(name, size):
    """Return how strongly each pixel of a noise image moves the features at the middle of a layer, and that unit."""
    noise = random.uniform(0, 255, (1, size, size, 3))
    F, cache = net.forward(noise, [name])
    middle = F[name].shape[1] // 2
    grad = np.zeros_like(F[name])
    grad[0, middle, middle] = random.choice([-1.0, 1.0], F[name].shape[3])
    return np.abs(net.backward({name: grad}, cache)[0]).sum(axis=2), middle


size = full_size(72, 56)
seen = {}
for name in [*looked_at, deepest]:
    strength, middle = influence(name, size)
    s, r, j = receptive_fields(rows)[name]
    start = s + j * middle
    touched = np.flatnonzero(strength.max(axis=1) > 1e-9 * strength.max())  # beside it there is rounding, 1e-16
    print(f"{name}: unit {middle} sees pixels {touched[0]} to {touched[-1]}, predicted {start} to {start + r - 1}")
    assert touched[0] == max(start, 0)
    assert touched[-1] == min(start + r, size) - 1
    assert field(net, (size, size), name, unit(middle, middle)).top == touched[0]  # and the package's own
    seen[f"{name}: {r} x {r} pixels"] = np.sqrt(strength / strength.max())
show_images(seen)
plt.show()

# %%
# Inside its square the deepest unit is not fair: pixels in the middle count most, those at the rim hardly at all.
# There are many paths from a pixel in the middle to the unit, and few from the rim (W. Luo and others,
# `Understanding the effective receptive field <https://arxiv.org/abs/1701.04128>`_, 2016).  If all pixels counted
# alike, the inner half along each axis, a quarter of the area, would hold a quarter of the influence.

half = slice(start + r // 4, start + r - r // 4)  # of the deepest field, the last in the loop above
inner = strength[half, half].sum() / strength.sum()
print(f"the inner quarter of the field of {deepest} holds {inner:.0%} of the influence")
assert inner > 0.4

# %%
# What the first filters look for
# -------------------------------
#
# The kernels of the first row can be looked at as they are: each is 3x3 pixels with three colours.  What enters the
# ReLU of a unit is the inner product of its kernel with the pixels under it, plus a bias.  Among patches of the same
# length the inner product is largest for the one that points where the kernel points (Cauchy and Schwarz), so a unit
# looks for patches like its kernel.  Preprocessing may have exchanged red and blue; its backward, which is linear,
# puts a kernel into RGB again.
#
# Below, grey means a weight of zero.  Some kernels are nearly of one colour, some go from dark to bright in a
# direction, or from one colour to another.

first = rows[0].name
kernels = preprocess.backward(np.moveaxis(w[first], 3, 0), caches[0])  # (K, 3, 3, 3): one little image a kernel
patches = 127.5 * (1 + kernels / np.abs(kernels).max(axis=(1, 2, 3), keepdims=True))
liveliest = np.argsort(-features[first].mean(axis=(0, 1, 2)))[:12]
show_images({f"{first}, kernel {k}": patches[k] for k in liveliest}, columns=6)
plt.show()
strongest = liveliest[0]
tried = np.stack([patches[strongest], 255 - patches[strongest]])  # the kernel's picture and its negative
answers = net.forward(tried, [first])[0][first][:, 1, 1, strongest]
print(f"kernel {strongest} answers {answers[0]:.3g} to its own picture, {answers[1]:.3g} to the negative of it")
assert answers[0] > answers[1]

# %%
# What the deeper filters look for
# --------------------------------
#
# The kernels of the second row read 24 or 64 channels; they are no pictures any more.  But there is another way to
# ask: *which image makes this channel most active?*  That is a question for a gradient.  Let the "loss" be the mean
# activation of channel k, which we now want large,
#
# .. math::
#
#     L(x) = \frac{1}{M_l} \sum_{p=1}^{M_l} F_l[p, k], \qquad
#     \frac{\partial L}{\partial F_l[p, k']} = \begin{cases} 1/M_l & k' = k \\ 0 & \text{otherwise} \end{cases}
#
# walk that gradient back to the pixels, and climb: from faint noise, step by step *along* the gradient (D. Erhan and
# others, 2009; K. Simonyan and others, 2013).  Each step has the same size, whatever the gradient's length.  After it
# the image is kept within 0 to 255, and blurred a little, lest mere speckle come out.


def climb(name, channel, steps, blur=0.6, step=6.0):
    """Return an image that makes a channel active, and how many times as active as at the start."""
    x, answers = noise, []
    for _ in range(steps):
        F, cache = fast.forward(x, [name], training=False)
        answers.append(F[name][..., channel].mean())
        grad = np.zeros_like(F[name])
        grad[..., channel] = 1 / grad[0, :, :, 0].size
        uphill = fast.backward({name: grad}, cache)
        x = x + step * uphill / np.sqrt(np.mean(uphill**2))
        x = gaussian_filter(x, (0, blur, blur, 0)).clip(0, 255)
    return x[0], answers[-1] / answers[0]


fast = net.astype("float32")  # half the memory, twice as fast, and exact enough here
noise = np.random.default_rng(1).normal(127.5, 10, (1, 40, 40, 3)).astype("float32")
found = {}
for name in [*(name[:-1] + "2" for name in looked_at), deepest]:  # the second row of each block, and the deepest
    answers = fast.forward(noise, [name])[0][name].mean(axis=(0, 1, 2))
    alive = np.flatnonzero(answers > 0.1 * answers.mean())  # where noise wakes nothing, there is no slope to climb
    for channel in alive[: full_size(4, 2)]:
        picture, times = climb(name, channel, full_size(40, 6))
        found[f"{name}, channel {channel}: {times:.0f} times"] = picture
        assert times > 1.5
show_images(found, columns=4)
plt.show()

# %%
# The titles say how many times as active the channel is at the end.  In VGG19 and in the distilled network, from the
# top down: flat colours and fine stripes; broader and bent stripes; then patterns of several colours, with crossings,
# rows of dots, waves.  (Where a picture stays grey, the channel was silent there, and a silent unit has no slope.)
# This is a vocabulary of textures, and it is why these features are good for telling styles apart: lesson 10 will
# count how often its words occur, and which occur together.
#
# Mean activation 1
# -----------------
#
# One thing about these features is arbitrary: their size.  Multiply a kernel and its bias by 2 and halve the weights
# that read this channel, and what comes out further down stays the same.  Training left the sizes as they happened
# to come, in some rows a hundred times apart (see the table below).  A loss that adds up squares of features (lesson
# 9), or even fourth powers (lesson 10), would listen to the loudest channels and be deaf to the others.  So the paper
# scales every filter such that its mean activation over images and positions is 1; here one image must do.  We may do
# that because neither operation minds a positive factor :math:`a`:
#
# .. math::
#
#     \max\left(\frac{z}{a}, 0\right) = \frac{\max(z, 0)}{a}, \qquad
#     \text{mean}\left(\frac{F}{a}\right) = \frac{\text{mean}(F)}{a}
#
# Divide channel k of row l by :math:`a_l[k]`.  Suppose that the row above has been treated already, so its features
# are :math:`F_{l-1}[c] / a_{l-1}[c]` now, and set
#
# .. math::
#
#     w'_l[q,c,k] = w_l[q,c,k] \frac{a_{l-1}[c]}{a_l[k]}, \qquad b'_l[k] = \frac{b_l[k]}{a_l[k]}
#
# where q is one of the nine places of the kernel, and :math:`F_{l-1}[q,c]` what lies under it.  Then the convolution
# of the new features with the new kernel is
#
# .. math::
#
#     z'_l[k] = \sum_{q,c} \frac{F_{l-1}[q,c]}{a_{l-1}[c]}\, w_l[q,c,k] \frac{a_{l-1}[c]}{a_l[k]}
#     + \frac{b_l[k]}{a_l[k]} = \frac{z_l[k]}{a_l[k]}
#
# and the ReLU and the pooling pass the factor on: :math:`F'_l = F_l / a_l`, row by row down the table.  Above the
# first row is the image, :math:`a_0 = 1`.
#
# A channel that is never active has :math:`a = 0`; dividing by it would be an error, and a channel that hardly ever
# is active would become enormously loud.  So no :math:`a` counts as less than a twentieth of the median of its row's
# active channels.


def scale_of(mean):
    """What to divide a row's channels by."""
    return np.maximum(mean, 0.05 * np.median(mean[mean > 0]))


means = {row.name: features[row.name].mean(axis=(0, 1, 2)) for row in rows if row.kind == "conv"}
a_above = np.ones(3)  # of the image
scaled_w, scaled_b = {}, {}
for name, mean in means.items():
    a = scale_of(mean)
    scaled_w[name] = w[name] * a_above[:, np.newaxis] / a
    scaled_b[name] = b[name] / a
    a_above = a

rescaled, _ = walk_down(image, scaled_w, scaled_b)
package = normalize(net, [content]).parameters  # scratchnst/models/normalize.py does the same
print(f"{'mean activation':<16}{'as trained':>18}{'scaled':>16}{'channels at 1':>16}")
for name, mean in means.items():
    a, new = scale_of(mean), rescaled[name].mean(axis=(0, 1, 2))
    lively = mean >= a  # those that were divided by their own mean
    before, after = (f"{each.min():.2g} to {each.max():.2g}" for each in (mean, new))
    print(f"{name:<16}{before:>18}{after:>16}{lively.mean():>16.0%}")
    assert np.allclose(rescaled[name] * a, features[name])
    assert np.array_equal(np.isclose(new, 1), lively)
    assert np.allclose(scaled_w[name], package[name][0])
    assert np.allclose(scaled_b[name], package[name][1])

# %%
# The network says what it said, and each channel says it with the same voice, but for those that are hardly ever
# active in this picture.  The distilled network's deeper rows have many of them, VGG19's first three blocks hardly any.
#
# Exercises
# ---------
#
# 1. A network of eight convolutions and no pooling: how many pixels does its last unit see?  How many with a pooling
#    after every second convolution?  What does that say about the use of pooling?
# 2. Double the kernel and the bias of one channel of ``conv1_1`` and halve what ``conv1_2`` multiplies it with.  By
#    which factor does the gradient of L with respect to the *pixels* change?  Derive it, then try it.
# 3. In ``climb``, leave out the blur, or start from ``content``, or climb two channels at once.  What changes?
# 4. Replace ``average_pool`` by ``scratchnst.ops.max_pool`` in both walks.  Is the gradient still right?  What has to
#    be kept on the way down?
#
# To write: ``what_it_sees`` and ``walk_back`` in ``lessons/08_vgg19/exercise.py``.  The first finds the exact pixels
# that one unit sees, walking from the unit up to the image.  The second is a walk back with a loss on each of two
# rows.  ``scratchnst check 8`` tries them and says what is wrong.
