r"""
Instance normalisation and its derivative
=========================================

The paper optimises each picture anew. A network can be trained to paint in one pass instead: this is fast style
transfer. One layer of such a network is new to us. *Instance normalisation* takes from each channel of each image its
mean and its contrast, and gives it a mean and a contrast that the style chooses. Forward it is three lines. Backward it
is the first operation here in which every output depends on every pixel of its channel, and on three different paths.
It is easy to forget one of them, and this lesson shows what happens then.

After this lesson you can

* normalise the channels of an image, and say why a network for style transfer does so;
* derive the gradient of scale, shift and input, path by path, and check each path;
* say what the normalisation takes out of a gradient, and why;
* recognise a gradient in which a path is missing, and say which tests would not notice;
* tell instance normalisation from batch normalisation;
* let one network paint two styles, by a scale and a shift for each.

It needs lessons 2 (finite differences), 3 (paths add) and 7 (gradients of parameters); the last section also uses 10
(style) and 11 (Adam).

========================= ==========================================================================================
symbol                    meaning
========================= ==========================================================================================
:math:`x`                 input, an array (N, H, W, C)
:math:`x_i`               pixel i of one channel of one image, :math:`i = 1 \ldots M`, with :math:`M = H W`
:math:`\mu, v`            mean and variance of these M numbers
:math:`\varepsilon`       a small constant, :math:`10^{-5}`
:math:`s`                 :math:`\sqrt{v + \varepsilon}`; but for :math:`\varepsilon` the standard deviation, which is
                          the *contrast* of the channel
:math:`z`                 the normalised pixels
:math:`a, b`              scale and shift, one number each for a channel of an image; ``scale`` and ``shift``, (N, C)
:math:`y`                 output, :math:`y_i = a z_i + b`
:math:`g`                 the upstream gradient, :math:`\partial L / \partial y`; ``grad_y``
:math:`h`                 :math:`\partial L / \partial z`
:math:`t`                 a target: what y should be
:math:`J`                 the Jacobian of z, :math:`J_{ij} = \partial z_i / \partial x_j`
:math:`A, R`              scales of all styles, (S, C); how much of which style each image gets, (N, S)
========================= ==========================================================================================
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

from scratchnst.classroom import full_size, network, pictures, show_images
from scratchnst.models import transform_net
from scratchnst.ops import conv2d, instance_norm, relu
from scratchnst.optimize.adam import Moments
from scratchnst.training.perceptual_loss import PerceptualLoss, Weights
from scratchnst.verify import check_backward
from scratchnst.verify.methods.differences import central_differences

# %%
# Contrast is not content
# -----------------------
#
# The village on a clear day, in mist and at dusk. Mist lowers the contrast and raises the mean; at dusk every number is
# smaller by the same factor. Painted in one style, all three should become the same picture: colours and contrast of a
# painting come from the style, not from the weather in the photograph.
#
# A network of convolutions cannot do that easily. Convolution and ReLU carry the contrast of their input on to their
# output, layer by layer, so each kernel has to work for strong and for weak inputs. D. Ulyanov, A. Vedaldi and
# V. Lempitsky (2016) took the contrast out after each convolution, and reported clearly better pictures.

side = full_size(96, 32)
random = np.random.default_rng(0)
content, style = pictures(side)
weather = {"clear": content, "mist": 0.3 * content + 150, "dusk": 0.4 * content}
x = np.stack(list(weather.values()))
show_images(weather)
plt.show()

kernels = random.standard_normal((3, 3, 3, 8))
features, _ = relu.forward(conv2d.forward(x, kernels, np.zeros(8))[0])
contrasts = features.std(axis=(1, 2)).mean(axis=1)
for name, contrast in zip(weather, contrasts):
    print(f"{name}: contrast of the features {contrast:.0f}")
assert contrasts[2] < 0.5 * contrasts[0]

# %%
# Mean 0, variance 1
# ------------------
#
# Take one channel of one image, its M pixels in a row:
#
# .. math::
#
#     \mu = \frac{1}{M} \sum_i x_i, \qquad v = \frac{1}{M} \sum_i (x_i - \mu)^2, \qquad s = \sqrt{v + \varepsilon},
#     \qquad z_i = \frac{x_i - \mu}{s}
#
# By hand, for a channel of 2x2 pixels (:math:`\varepsilon` left out):
#
# .. math::
#
#     x = \begin{pmatrix} 14 & 8 \\ 0 & 6 \end{pmatrix}, \quad \mu = 7, \quad
#     v = \frac{7^2 + 1^2 + 7^2 + 1^2}{4} = 25, \quad s = 5, \quad
#     z = \begin{pmatrix} 1.4 & 0.2 \\ -1.4 & -0.2 \end{pmatrix}
#
# Put :math:`k x + c` with :math:`k > 0` in the place of x. Then :math:`x - \mu` is multiplied by k, the root of v is,
# too, and z stays as it is: brightness and contrast are gone. :math:`\varepsilon` is for a channel of one number
# throughout, such as one that a ReLU has silenced. There :math:`v = 0`, and without :math:`\varepsilon` we would divide
# 0 by 0. Where v is much larger than :math:`\varepsilon`, as in all pictures here, it changes nothing that one could
# see.
#
# With loops, for one channel; the exercise asks for a whole stack without them.

EPSILON = instance_norm.EPSILON


def normalise_loops(x):
    """Return z and s of one channel, whose pixels are a vector (M,)."""
    mean = sum(x) / len(x)
    variance = sum((pixel - mean) ** 2 for pixel in x) / len(x)
    s = np.sqrt(variance + EPSILON)
    return np.array([(pixel - mean) / s for pixel in x]), s


by_hand = np.array([14.0, 8, 0, 6])
z, s = normalise_loops(by_hand)
print("z =", z.round(4), " s =", s.round(4))
assert np.allclose(z, [1.4, 0.2, -1.4, -0.2])
assert np.allclose(normalise_loops(3 * by_hand - 50)[0], z)

# %%
# ``scratchnst/ops/instance_norm.py`` does it for all channels of all images. Its scale is 1 here and its shift 0; we
# come to them next. The three villages become one. (For the eye z is drawn as 128 + 50 z.)


def normalise(x):
    """z and s of a stack (N, H, W, C); s has the shape (N, 1, 1, C)."""
    rows = np.ones((len(x), x.shape[3]))
    z, (_, _, inverse) = instance_norm.forward(x, rows, 0 * rows)
    return z, 1 / inverse


z, s = normalise(x)
show_images({name: 128 + 50 * image for name, image in zip(weather, z)})
plt.show()

apart = np.abs(z - z[0]).max(axis=(1, 2, 3))
print("largest difference from the clear day's:", [f"{number:.0e}" for number in apart])
assert apart.max() < 1e-4
assert np.allclose(z.mean(axis=(1, 2)), 0)
assert np.allclose(z.var(axis=(1, 2)), 1, atol=1e-6)
assert np.allclose(z[2, :, :, 0].ravel(), normalise_loops(x[2, :, :, 0].ravel())[0])

# %%
# Scale and shift
# ---------------
#
# With its own mean and contrast gone, a channel can be given any others. Two numbers say which, a scale and a shift.
# They belong to the style, and each image of a batch may be painted in another style, so each image has its own:
#
# .. math::
#
#     y_i = a z_i + b \qquad (a)
#
# So y has the mean b and, but for :math:`\varepsilon`, the standard deviation :math:`|a|`. With :math:`a = 10` and
# :math:`b = 20` the example becomes 34, 22, 6, 18.
#
# Their gradients are short. Nudge b, and each :math:`y_i` moves by as much. Nudge a, and :math:`y_i` moves
# :math:`z_i` times as much. All pixels have the same a and b, and paths add:
#
# .. math::
#
#     \frac{\partial L}{\partial a} = \sum_i g_i z_i, \qquad \frac{\partial L}{\partial b} = \sum_i g_i \qquad (b)
#
# These sums run over the pixels of one image. The next image has its own a and b, so nothing is summed over images;
# that is different from the bias of a convolution, which all images share (lesson 7).

scale, shift = random.uniform(0.5, 2, (3, 3)), random.standard_normal((3, 3))
grad_y = random.standard_normal(x.shape)
y, cache = instance_norm.forward(x, scale, shift)
_, grad_scale, grad_shift = instance_norm.backward(grad_y, cache)
assert np.allclose(y.mean(axis=(1, 2)), shift)
assert np.allclose(y.std(axis=(1, 2)), scale, rtol=1e-6)
assert np.allclose(grad_scale, (grad_y * z).sum(axis=(1, 2)))
assert np.allclose(grad_shift, grad_y.sum(axis=(1, 2)))
print("grad_scale, a row for each image:\n", grad_scale.round(1))

# %%
# Three paths
# -----------
#
# Which z are touched by the pixel :math:`x_j`? All of them, since it is in the mean and in the variance. We take the
# paths one by one. From y back to z there is one factor, :math:`h_i = \partial L / \partial z_i = a g_i`.
#
# **Through itself.** :math:`x_j` stands in the numerator of :math:`z_j`. With :math:`\mu` and s held fixed,
#
# .. math::
#
#     \frac{\partial z_j}{\partial x_j} = \frac{1}{s} \qquad \Longrightarrow \qquad \frac{h_j}{s}
#
# **Through the mean.** :math:`x_j` moves :math:`\mu`, and :math:`\mu` moves every :math:`z_i`:
#
# .. math::
#
#     \frac{\partial \mu}{\partial x_j} = \frac{1}{M}, \quad \frac{\partial z_i}{\partial \mu} = -\frac{1}{s}
#     \qquad \Longrightarrow \qquad -\frac{1}{s} \cdot \frac{1}{M} \sum_i h_i
#
# It does not depend on j: all pixels get the same. (The mean is in the variance, too. But
# :math:`\partial v / \partial \mu = -\frac{2}{M} \sum_i (x_i - \mu) = 0`, so there is no fourth path.)
#
# **Through the variance.** :math:`x_j` moves v, and v moves every :math:`z_i`:
#
# .. math::
#
#     \frac{\partial v}{\partial x_j} = \frac{2}{M} (x_j - \mu) = \frac{2}{M} s z_j
#
# .. math::
#
#     \frac{\partial z_i}{\partial v} = (x_i - \mu) \cdot \left(-\frac{1}{2}\right) (v + \varepsilon)^{-3/2}
#     = -\frac{z_i}{2 s^2}
#
# Their product, times :math:`h_i` and added up over i, is
#
# .. math::
#
#     \sum_i h_i \cdot \left(-\frac{z_i}{2 s^2}\right) \cdot \frac{2}{M} s z_j
#     = -\frac{1}{s} \, z_j \cdot \frac{1}{M} \sum_i h_i z_i
#
# The three together:
#
# .. math::
#
#     \frac{\partial L}{\partial x_j}
#     = \frac{1}{s} \left( h_j - \frac{1}{M} \sum_i h_i - z_j \, \frac{1}{M} \sum_i h_i z_i \right) \qquad (c)
#
# By hand, for the example with :math:`a = 10` and :math:`g = (1, 0, 0, 0)`, so :math:`h = (10, 0, 0, 0)`. The mean of
# h is 2.5, that of :math:`h z` is 3.5. The paths are :math:`(2, 0, 0, 0)`, then :math:`-0.5` for each, and
# :math:`-0.7 z = (-0.98, -0.14, 0.98, 0.14)`. Their sum is :math:`(0.52, -0.64, 0.48, -0.36)`.


def three_paths_loops(grad_y, x, scale):
    """Return what comes back through x itself, through the mean and through the variance, of one channel (M,)."""
    z, s = normalise_loops(x)
    h = [scale * g for g in grad_y]
    grad_mean = sum(-each / s for each in h)
    grad_variance = sum(-each * z_i / (2 * s**2) for each, z_i in zip(h, z))
    itself = np.array([each / s for each in h])
    through_mean = np.array([grad_mean / len(x) for _ in x])
    through_variance = np.array([grad_variance * 2 * s * z_j / len(x) for z_j in z])
    return itself, through_mean, through_variance


paths = three_paths_loops(np.array([1.0, 0, 0, 0]), by_hand, 10)
for path in (*paths, sum(paths)):
    print(path.round(4))
assert np.allclose(sum(paths), [0.52, -0.64, 0.48, -0.36], atol=1e-6)

# %%
# Look at a row of pixels. The loss compares it with the row of another picture, :math:`L = \frac{1}{2} \sum_i (y_i -
# t_i)^2`, so :math:`g = y - t`. On the left the row x, and y and t; on the right the three paths and their sum. The
# dots are central differences of the whole: they lie on the sum, and on none of the paths.

line = content[side // 2, ::2, 0]
target = 0.6 * normalise_loops(style[side // 2, ::2, 0])[0] + 0.8


def loss_of_row(x):
    return 0.5 * np.sum((normalise_loops(x)[0] - target) ** 2)


z_line, _ = normalise_loops(line)
itself, through_mean, through_variance = three_paths_loops(z_line - target, line, 1)
by_differences = central_differences(loss_of_row, line, step=1e-3)

_, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
left.plot(line / 50, color="0.6", label="x / 50")
left.plot(z_line, label="y")
left.plot(target, label="t")
left.set(xlabel="pixel", title="a row of pixels, normalised, and the target")
right.plot(itself, lw=1, label="through itself")
right.plot(through_mean, lw=1, label="through the mean")
right.plot(through_variance, lw=1, label="through the variance")
right.plot(itself + through_mean + through_variance, color="black", label="sum")
right.plot(by_differences, ".", color="black", label="central differences")
right.set(xlabel="pixel", title="the gradient and its paths")
for axes in (left, right):
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3, frameon=False)
plt.show()

total = itself + through_mean + through_variance
assert np.allclose(total, by_differences, atol=1e-6 * np.abs(total).max())
assert all(np.abs(total - path).max() > 0.1 * np.abs(total).max() for path in (itself, through_mean, through_variance))

# %%
# For a whole channel the paths are three pictures. The red channel of the village is compared with that of the style.
# Red is positive, blue negative, and the colours mean the same in all four. The path through the mean is one number
# everywhere. The path through the variance is a multiple of z, here a negative of the village. Look for the village in
# the sum: it is nearly gone. Through the pixels alone, the gradient would also change the contrast of the village, and
# the path through the variance takes just that part away.

channel = np.s_[0, :, :, 0]
z_style, _ = normalise(style[np.newaxis])
grad_y = (z[:1] - (0.6 * z_style + 0.8))[..., :1]
drawn = [path.reshape(side, side) for path in three_paths_loops(grad_y[channel].ravel(), content[:, :, 0].ravel(), 1.0)]
grad_x, _, _ = instance_norm.backward(
    grad_y, instance_norm.forward(content[np.newaxis, :, :, :1], np.ones((1, 1)), np.zeros((1, 1)))[1]
)
largest = np.percentile(np.abs(drawn), 99)

_, grid = plt.subplots(1, 4, figsize=(11, 3.2), layout="constrained")
for axes, path, title in zip(
    grid, (*drawn, sum(drawn)), ("through itself", "through the mean", "through the variance", "sum: the gradient")
):
    shown = axes.imshow(path, cmap="RdBu_r", vmin=-largest, vmax=largest)
    axes.set_title(title, fontsize=10)
    axes.axis("off")
plt.colorbar(shown, ax=grid, shrink=0.8)
plt.show()

assert np.allclose(sum(drawn), grad_x[channel])
assert np.ptp(drawn[1]) == 0
assert np.isclose(abs(np.corrcoef(drawn[2].ravel(), content[:, :, 0].ravel())[0, 1]), 1)

# %%
# What is taken out of the gradient
# ---------------------------------
#
# Write (c) with the Jacobian (lesson 3). With :math:`\mathbf{1}` for a vector of ones,
#
# .. math::
#
#     J = \frac{1}{s} \left( I - \frac{1}{M} \mathbf{1} \mathbf{1}^T - \frac{1}{M} z z^T \right), \qquad J^T = J
#
# Here it is for sixteen pixels, path by path: a diagonal, a constant, and the products of the z. Each column shows
# where one pixel's nudge goes.

few = line[:16]
z_few, s_few = normalise_loops(few)
ones, M = np.ones(16), 16
parts = {
    "through itself": np.eye(M) / s_few,
    "through the mean": -np.outer(ones, ones) / (M * s_few),
    "through the variance": -np.outer(z_few, z_few) / (M * s_few),
}
J = sum(parts.values())

_, grid = plt.subplots(1, 4, figsize=(11, 3.2), layout="constrained")
for axes, (title, matrix) in zip(grid, {**parts, "sum: the Jacobian": J}.items()):
    shown = axes.imshow(matrix, cmap="RdBu_r", vmin=-1 / s_few, vmax=1 / s_few)
    axes.set_title(title, fontsize=10)
    axes.set(xticks=[], yticks=[])
plt.colorbar(shown, ax=grid, shrink=0.8)
plt.show()

for i in range(M):
    assert np.allclose(J[i], central_differences(lambda x, i=i: normalise_loops(x)[0][i], few, step=1e-3), atol=1e-9)

# %%
# Two vectors give nothing: :math:`J \mathbf{1} = 0` and, but for :math:`\varepsilon`, :math:`J z = 0`. For forward this
# is what we began with: to make all pixels brighter (add a multiple of :math:`\mathbf{1}`) or to raise the contrast
# (add a multiple of z) moves no output. For backward it says what every right gradient has in common. Since
# :math:`J^T = J`,
#
# .. math::
#
#     \sum_j \frac{\partial L}{\partial x_j} = 0, \qquad \sum_j \frac{\partial L}{\partial x_j} z_j = 0
#
# whatever the loss is. A loss that cannot see brightness and contrast must not ask for a change of them. This is a test
# that costs nothing: add up your gradient.
#
# The first sum has a consequence for networks. If the convolution in front has a bias, its gradient is that sum
# (lesson 7): always 0. Such a bias does nothing, and the package leaves it at 0.

print(f"J 1: {np.abs(J @ ones).max():.1e}, J z: {np.abs(J @ z_few).max():.1e}, J: {np.abs(J).max():.1e}")
assert np.abs(J @ ones).max() < 1e-12
assert np.abs(J @ z_few).max() < 1e-6 * np.abs(J).max()
assert np.isclose(grad_x.sum(), 0, atol=1e-9)
assert np.isclose((grad_x * z[:1, :, :, :1]).sum(), 0, atol=1e-6)

# %%
# A path forgotten
# ----------------
#
# Suppose that mean and variance are taken for constants on the way back, since they were computed before the line with
# the division. Then only :math:`h / s` comes back. How wrong is that? Measure the error relative to the right gradient,
# for two upstream gradients: random numbers, as a test would take them, and :math:`y - t` of the loss above.
#
# Random numbers have a mean near 0 and are hardly related to z: of M of them, the two paths are about
# :math:`\sqrt{2/M}` of the whole. With 8x8 pixels a test that allows 20 % lets the mistake pass, with 96x96 pixels even
# one that allows 2 %. The gradient of a real loss has a mean, and is related to the picture: there the error is twice
# the gradient itself, for pictures of any size.


def error(wrong, right):
    """Distance, relative to the right gradient."""
    return np.linalg.norm(wrong - right) / np.linalg.norm(right)


errors, pixels = {"random numbers": [], "a loss": []}, []
for step in (side // 4, side // 8, side // 16, side // 32, 1):
    small, t = content[np.newaxis, ::step, ::step], 0.6 * z_style[:, ::step, ::step] + 0.8
    y, cache = instance_norm.forward(small, np.ones((1, 3)), np.zeros((1, 3)))
    pixels.append(small[0, :, :, 0].size)
    for name, g in (("random numbers", random.standard_normal(y.shape)), ("a loss", y - t)):
        right = instance_norm.backward_input(g, cache)
        errors[name].append(error(g * cache[2], right))  # cache[2] is 1/s

plt.figure(figsize=(6, 3.5), layout="constrained")
for name, values in errors.items():
    plt.loglog(pixels, values, "o-", label=f"grad_y from {name}")
plt.loglog(pixels, np.sqrt(2 / np.array(pixels)), "k:", label="root of 2/M")
plt.xlabel("M, pixels of the image")
plt.ylabel("error of dL/dx, relative")
plt.title("Mean and variance taken for constants")
plt.legend()
plt.show()

print({name: [f"{value:.2f}" for value in values] for name, values in errors.items()})
assert errors["random numbers"][-1] < 0.3 * errors["a loss"][-1]
assert np.isclose(errors["random numbers"][-1], np.sqrt(2 / pixels[-1]), rtol=0.9)

# %%
# So a check must be exact, not roughly right. Central differences in float64 are good to eight digits or so, and
# ``check_backward`` asks for nearly all of them. It finds each of the missing paths, and by comparing with the wrong
# gradients that are known of this operation it can say which.


def without(path):
    """A backward that forgets a path, or both."""

    def backward(grad_y, cache):
        z, scale, inverse = cache
        h = scale[:, None, None] * grad_y
        grad_x, grad_scale, grad_shift = instance_norm.backward(grad_y, cache)
        if path in ("mean", "both"):
            grad_x = grad_x + inverse * h.mean(axis=(1, 2), keepdims=True)
        if path in ("variance", "both"):
            grad_x = grad_x + inverse * z * (h * z).mean(axis=(1, 2), keepdims=True)
        return grad_x, grad_scale, grad_shift

    return backward


inputs = [random.standard_normal((2, 5, 6, 3)), random.uniform(0.5, 2, (2, 3)), random.standard_normal((2, 3))]
right_report = check_backward(instance_norm.forward, instance_norm.backward, inputs, names=["x", "scale", "shift"])
assert right_report.passed
for path in ("mean", "variance", "both"):
    report = check_backward(instance_norm.forward, without(path), inputs, operation="instance_norm")
    print(f"{path}: {report.inputs[0].diagnosis}\n")
    assert report.verdict == "fail"
    assert "path" in report.inputs[0].diagnosis

# %%
# What does such a gradient do, when it is used? Walk downhill from the village with the loss :math:`\frac{1}{2} \sum
# (y - t)^2`, with the right gradient and with a path forgotten. The loss sees y only. So look at the mean and the
# contrast of x as well, of which it knows nothing.

start = content[np.newaxis, ::2, ::2] / 255
walk_target = 0.6 * z_style[:, ::2, ::2] + 0.8


def walk(way_back, rate=2e-3, steps=60):
    """Return loss, mean and contrast of x on the walk, (steps, 3)."""
    x, seen = start, []
    for _ in range(steps):
        y, cache = instance_norm.forward(x, np.ones((1, 3)), np.zeros((1, 3)))
        seen.append((0.5 * np.mean((y - walk_target) ** 2), x.mean(), x.std(axis=(1, 2)).mean()))
        x = x - rate * way_back(y - walk_target, cache)[0]
    return np.array(seen)


walks = {"right": walk(instance_norm.backward)}
for path in ("mean", "variance"):
    walks[f"without the {path}"] = walk(without(path))
_, grid = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
for column, title in enumerate(("loss", "mean of x", "contrast of x")):
    for (name, seen), looks in zip(walks.items(), ("k-", "C1--", "C2-")):
        grid[column].plot(seen[:, column], looks, label=name)
    grid[column].set(title=title, xlabel="step")
grid[0].legend()
plt.show()

right, no_mean, no_variance = walks.values()
assert np.allclose(right[:, 1], right[0, 1])
assert np.allclose(right[:, 2], right[0, 2], rtol=0.03)
assert np.allclose(no_mean[:, 0], right[:, 0])
assert no_mean[-1, 1] > no_mean[0, 1] + 0.2
assert no_variance[:, 2].min() < 0.6 * right[0, 2]
assert np.diff(right[:, 0]).max() < 0 < np.diff(no_variance[:, 0]).max()

# %%
# With the right gradient the loss falls, the mean of x stays exactly and its contrast nearly. (A step at a right angle
# to z makes the vector a little longer, by Pythagoras.)
#
# Without the path through the mean the loss falls just as well. But the picture gets brighter with every step, for no
# reason, and will leave every range. The loss does not notice; whatever else depends on x would.
#
# Without the path through the variance every step also lowers the contrast of x. The mean of :math:`g z` is positive
# here: y would come nearer to t if it shrank. It cannot shrink, since y has the contrast 1 whatever x has. But s gets
# smaller, and the gradient is divided by s. So the steps become longer, until they are far too long and the loss jumps.
# One jump has landed where the contrast is high and the loss low. That was luck: the right gradient gets as low with
# steps three times as long, without a jump.

faster = walk(instance_norm.backward, rate=6e-3)
print(f"loss at the end: right {right[-1, 0]:.3f}, faster {faster[-1, 0]:.3f}, wrong {no_variance[-1, 0]:.3f}")
assert np.diff(faster[:, 0]).max() < 0
assert faster[-1, 0] < right[-1, 0]

# %%
# Batch or instance
# -----------------
#
# *Batch normalisation* is older (S. Ioffe and C. Szegedy, 2015) and differs in one thing: mean and variance of a
# channel are taken over the pixels of *all* images of the batch. In code, lay the images of a batch below each other,
# as one tall image, and normalise that. Take the clear village and the one in mist.


def batch_norm(x):
    """Normalise each channel over all images."""
    z, _ = normalise(x.reshape(1, -1, *x.shape[2:]))
    return z.reshape(x.shape)


pair = np.stack([weather["clear"], weather["mist"]])
of_batch, (of_each, _) = batch_norm(pair), normalise(pair)
drawn = {}
for n, name in enumerate(("clear", "mist")):
    drawn |= {name: pair[n], f"{name}, batch": 128 + 50 * of_batch[n], f"{name}, instance": 128 + 50 * of_each[n]}
show_images(drawn, columns=3)
plt.show()

for name, normalised in (("batch", of_batch), ("instance", of_each)):
    print(f"{name}: contrast of each image {normalised.std(axis=(1, 2)).mean(axis=1).round(3)}")
assert np.allclose(of_each[0], of_each[1], atol=1e-4)
assert of_batch[0].std() > 2 * of_batch[1].std()

# %%
# Batch normalisation gives the batch a common mean and contrast, and leaves the differences between its images: the
# mist is still there. For telling what is on a photograph, for which it was made, that does no harm. For painting it is
# what we wanted to be rid of.
#
# And it ties the images together. What becomes of the clear village depends on which images are beside it, so the same
# photograph is painted differently in other company. The gradient goes the same way: with batch normalisation the loss
# of one image has slopes at the pixels of the others.

others = np.stack([weather["clear"], style])
moved_by_company = {
    "batch": np.abs(batch_norm(others)[0] - of_batch[0]).mean(),
    "instance": np.abs(normalise(others)[0][0] - of_each[0]).mean(),
}
print("how far the clear village's pixels move when the style is in the batch, not the mist:")
print({name: f"{moved:.2f}" for name, moved in moved_by_company.items()})
assert moved_by_company["batch"] > 0.1
assert moved_by_company["instance"] == 0

grad_y = np.stack([of_each[0] - z_style[0], 0 * z_style[0]])  # a loss of the first image alone
ones = np.ones((2, 3))
of_instance, _, _ = instance_norm.backward(grad_y, instance_norm.forward(pair, ones, 0 * ones)[1])
tall = pair.reshape(1, -1, *pair.shape[2:])
_, cache = instance_norm.forward(tall, ones[:1], 0 * ones[:1])
of_batch_norm = instance_norm.backward(grad_y.reshape(tall.shape), cache)[0].reshape(pair.shape)
sizes = {
    name: np.abs(g[1]).max() / np.abs(g[0]).max()
    for name, g in zip(("batch", "instance"), (of_batch_norm, of_instance))
}
print("largest slope at the other image, relative to the first's:")
print({name: f"{size:.2f}" for name, size in sizes.items()})
assert sizes["instance"] == 0 < 0.01 < sizes["batch"]

# %%
# One network, two styles
# -----------------------
#
# V. Dumoulin, J. Shlens and M. Kudlur (2017) asked how much of a trained network belongs to its style, and found: of
# all its parameters, scales and shifts are enough. One network can hold many styles. They share the kernels, and each
# has a row of its own in the scale and the shift of every normalisation, an array (S, C) for S styles. For a batch,
# choose a row for each image; or mix rows. If the matrix R, (N, S), says how much of which style each image
# gets, then
#
# .. math::
#
#     a = R A, \quad \frac{\partial L}{\partial A} = R^T \frac{\partial L}{\partial a}
#
# where A has the scales of all styles; for the shifts it is the same. With (b) and (c) that is all that training needs.
#
# We try it with a small network of this kind, ``scratchnst/models/transform_net.py``, and two styles: the painting,
# and its negative. (Lesson 17 derives its mirrored borders, strides and upsampling.) The
# loss compares content and style, as in lesson 13, each image with its own style. Adam moves all parameters. We train
# on the village alone, so that it takes seconds; a network that is to paint any photograph must see many.

side, steps = full_size(64, 24), full_size(140, 12)
village, painting = pictures(side)
styles = {"painting": painting, "negative": 255 - painting}
judge = network()
batch = np.stack([village, village]).astype("float32")
loss = PerceptualLoss(
    judge, list(styles.values()), batch[:1], Weights(), ["conv2_1"], ["conv1_1", "conv2_1", "conv3_1"]
)
painter = transform_net.build(np.random.default_rng(0), styles=2, widths=(8, 16, 16), blocks=1).on(judge.engine)
R = np.eye(2, dtype="float32")


def paint(painter, x, R):
    """Return the painted images (N, H, W, 3) and what the way back needs; image n gets the mixture R[n] of styles."""
    outputs, cache = transform_net.with_styles(painter, R).forward(x, [transform_net.OUTPUT])
    return transform_net.to_picture(outputs[transform_net.OUTPUT]), cache


def gradients_of(painter, grad_picture, cache, R):
    """Return the gradients of all parameters, those of the normalisations in rows of styles."""
    grad_output = {transform_net.OUTPUT: transform_net.to_output(grad_picture)}
    of_images = transform_net.with_styles(painter, R).backward_parameters(grad_output, cache)
    return transform_net.of_styles(painter, of_images, R)


def adam_step(painter, gradients, moments):
    """Return the painter after a step of Adam (lesson 11); scales and shifts learn faster than kernels."""
    parameters = {}
    for name, arrays in painter.parameters.items():
        rate = 0.02 if name in transform_net.norms(painter) else 0.005
        moments[name] = [m.after(gradient) for m, gradient in zip(moments[name], gradients[name])]
        parameters[name] = tuple(array - m.step(rate) for array, m in zip(arrays, moments[name]))
    return replace(painter, parameters=parameters)


moments = {name: [Moments.of(array) for array in arrays] for name, arrays in painter.parameters.items()}
losses = []
for _ in range(steps):
    painted, cache = paint(painter, batch, R)
    value, grad_picture = loss(painted, batch, [0, 1])
    losses.append(value.total)
    painter = adam_step(painter, gradients_of(painter, grad_picture, cache, R), moments)

mixture = np.array([[1, 0], [0.5, 0.5], [0, 1]], "float32")
first, between, second = paint(painter, np.repeat(batch[:1], 3, axis=0), mixture)[0]
show_images(
    {"village": village, **styles, "first row": first, "half of each": between, "second row": second}, columns=3
)
plt.show()

own, exchanged = (loss(np.stack([first, second]), batch, rows)[0].style for rows in ([0, 1], [1, 0]))
in_rows = sum(array.size for name in transform_net.norms(painter) for array in painter.parameters[name]) // 2
in_all = sum(array.size for arrays in painter.parameters.values() for array in arrays)
print(f"loss {losses[0]:.2f} -> {losses[-1]:.2f}; style loss {own:.3f}, with the styles exchanged {exchanged:.3f}")
print(f"{in_rows} parameters belong to each style, {in_all - 2 * in_rows} to both")
assert losses[-1] < 0.6 * losses[0]
assert own < exchanged

# %%
# The same kernels, the same photograph, and two pictures; all that differs are the rows of scales and shifts. The
# picture in the middle has the mean of both rows, which was never trained.
#
# Where does the gradient of the first row come from? Only from images painted in the first style: a loss of the second
# image has no slope there. The kernels have a gradient from every image. So a style can be added later to a network
# that holds others: train its row alone, and the others stay as they are.

painted, cache = paint(painter, batch, R)
_, grad_picture = loss(painted, batch, [0, 1])
grad_picture[0] = 0  # the second image alone
gradients = gradients_of(painter, grad_picture, cache, R)
for name in transform_net.norms(painter):
    grad_scale, grad_shift = gradients[name]
    assert not grad_scale[0].any()
    assert not grad_shift[0].any()
    assert grad_shift[1].any()
assert np.abs(gradients["conv1"][0]).max() > 0

# %%
# Exercises
# ---------
#
# 1. On paper: a convolution follows the normalisation, and its kernel is multiplied by 2. Which other parameters can
#    undo it? And a convolution in front of the normalisation, whose kernel is multiplied by 2: what undoes that?
# 2. On paper: normalise only the mean, :math:`y_i = x_i - \mu`, and only the contrast, :math:`y_i = x_i / s`. Which
#    paths are left, and what does each Jacobian do to :math:`\mathbf{1}` and to x?
# 3. On paper: what are :math:`J z` and the sum :math:`\sum_j z_j \, \partial L / \partial x_j` exactly, with
#    :math:`\varepsilon`? When are they not small?
# 4. By experiment: set ``walk_target = 1.5 * normalise(start)[0]``, the village itself with more contrast, and walk
#    again. The right gradient is almost 0 though the loss is not. Why? And what does the walk without the path through
#    the variance do?
# 5. By experiment: go on training with R = ((0, 1), (0, 1)) and new moments. What becomes of the first style? And if
#    only scales and shifts are moved?
#
# To write: ``normalise``, ``forward``, ``backward_parameters`` and ``backward_input`` in
# ``lessons/16_instance_norm/exercise.py``: the whole operation for a stack of images, without loops over pixels, and
# with a row of scale and shift for each image. ``scratchnst check 16`` tries them and says what is wrong.
