r"""
The way back through a convolution
==================================

Lesson 6 computed y from x, w and b.  Now somebody further up hands us dL/dy: how fast the loss rises with each number
of y.  We owe three answers: how fast it rises with each number of x, of w and of b.  One question leads to all of
them: *who touches whom?*  Ask it of a pixel, and a convolution with the kernel turned around comes out.  Many a
convolution written by hand has gone wrong exactly here, and wrong ones pass careless tests; we shall catch one.

After this lesson you can

* list the outputs that a pixel touches, and through which weights,
* derive dL/dx, dL/dw and dL/db with all indices, and say why the kernel is flipped and its channels are exchanged,
* write all three as products of matrices,
* test them in ways that wrong ones do not survive, and say which tests they would survive.

It needs lesson 2 (finite differences), lesson 3 (chain rule, vector-Jacobian product, adjoint) and lesson 6.

=====================  =====================================================================================
symbol                 meaning
=====================  =====================================================================================
:math:`x, w, b, y`     input (N, H, W, C), kernel (kh, kw, C, K), bias (K,), output (N, H, W, K), as in lesson 6
:math:`L`              the loss, one number, which depends on y in some way that we need not know
:math:`g`              the upstream gradient dL/dy, of y's shape; ``grad_y`` in the code
``grad_x`` ...         dL/dx, dL/dw, dL/db, each of the shape of what it belongs to
:math:`p, q, k`        row, column, channel of an output
:math:`u, v, c`        row, column, channel of an input
:math:`i, j`           row and column within the kernel; :math:`r = (kh-1)/2`, :math:`s = (kw-1)/2` its reach
:math:`X, W`           windows and kernel as matrices, (N H W, kh kw C) and (kh kw C, K), lesson 6.  (Within a
                       shape, N, H, W are numbers: images, rows, columns)
:math:`T`              a convolution of one row of pixels as a matrix
=====================  =====================================================================================
"""

import matplotlib.pyplot as plt
import numpy as np

from scratchnst.classroom import full_size, pictures, show_images
from scratchnst.ops import conv2d
from scratchnst.verify import check_backward

# %%
# One row, three weights
# ----------------------
#
# Five pixels in a row, a kernel of three weights, zeros outside.  So few that every equation can be written out:
#
# .. math::
#
#     \begin{aligned}
#     y_0 &= \phantom{w_0 x_0 +{}} w_1 x_0 + w_2 x_1 \\
#     y_1 &= w_0 x_0 + w_1 x_1 + w_2 x_2 \\
#     y_2 &= w_0 x_1 + w_1 x_2 + w_2 x_3 \\
#     y_3 &= w_0 x_2 + w_1 x_3 + w_2 x_4 \\
#     y_4 &= w_0 x_3 + w_1 x_4
#     \end{aligned}
#
# Who is touched by :math:`x_1`?  Go through the equations and look for it: :math:`y_0` through :math:`w_2`,
# :math:`y_1` through :math:`w_1`, :math:`y_2` through :math:`w_0`, and nobody else.  The chain rule (lesson 3) adds
# up all paths from :math:`x_1` to the loss, each the slope of the loss in :math:`y_p` times the slope of
# :math:`y_p` in :math:`x_1`:
#
# .. math::
#
#     \frac{\partial L}{\partial x_1} = \sum_p \frac{\partial L}{\partial y_p} \frac{\partial y_p}{\partial x_1}
#     = g_0 w_2 + g_1 w_1 + g_2 w_0
#
# Now put beside each other what place 1 receives in the forward pass, and what it receives on the way back:
#
# .. math::
#
#     y_1 = w_0 x_0 + w_1 x_1 + w_2 x_2 \qquad \frac{\partial L}{\partial x_1} = w_2 g_0 + w_1 g_1 + w_0 g_2
#
# The same sum over three neighbours, with the weights in the opposite order.  The reason is that to look back is to
# look in the opposite direction: :math:`y_0` has seen :math:`x_1` as its neighbour on the *right*, hence
# :math:`w_2`; from :math:`x_1`, :math:`y_0` is the neighbour on the *left*.
#
# The numbers by hand, for :math:`x = (1, 2, 0, -1, 3)`, :math:`w = (1, 3, -2)` and :math:`g = (2, 1, 0, -1, 2)`:
# :math:`\partial L/\partial x_1 = -2 \cdot 2 + 3 \cdot 1 + 1 \cdot 0 = -1`.  Do the first and the last one, which
# have only two terms.

x, w, g = np.array([1.0, 2, 0, -1, 3]), np.array([1.0, 3, -2]), np.array([2.0, 1, 0, -1, 2])


def convolve_row(x, w):
    """y_p = w_0 x_{p-1} + w_1 x_p + w_2 x_{p+1}, zeros outside."""
    padded = np.pad(x, 1)
    return w[0] * padded[:-2] + w[1] * padded[1:-1] + w[2] * padded[2:]


print("y      =", convolve_row(x, w))
print("grad_x =", convolve_row(g, w[::-1]), " the same function, on g, the weights in the opposite order")
assert np.array_equal(convolve_row(x, w), [-1, 7, 4, -9, 8])
assert np.array_equal(convolve_row(g, w[::-1]), [7, -1, -3, -1, 8])

# %%
# The same in a matrix.  A convolution is linear in x, so it has a matrix :math:`T` with :math:`y = T x`; column
# :math:`u` is what happens to a single 1 at pixel :math:`u`.  Then (lesson 3) the way back is its transpose,
# :math:`\partial L/\partial x = T^T g`.  In the figure, a row of :math:`T` (framed) holds the kernel in its order, a
# row of :math:`T^T` holds it in the opposite order: transposing a matrix with the kernel along its diagonals flips
# the kernel.

T = np.stack([convolve_row(unit, w) for unit in np.eye(5)], axis=1)
_, axes = plt.subplots(1, 2, figsize=(6, 3.2), layout="constrained")
for panel, matrix, title in ((axes[0], T, "T, forward"), (axes[1], T.T, "its transpose, on the way back")):
    panel.imshow(matrix, cmap="RdBu_r", vmin=-4, vmax=4)
    for (row, column), value in np.ndenumerate(matrix):
        panel.text(column, row, f"{value:.0f}", ha="center", va="center", color="black" if value else "lightgrey")
    panel.add_patch(plt.Rectangle((0.5, 1.5), 3, 1, fill=False, edgecolor="black", linewidth=3))
    panel.set(title=title, xticks=[], yticks=[])
plt.show()

assert np.array_equal(T @ x, convolve_row(x, w))
assert np.array_equal(T.T @ g, convolve_row(g, w[::-1]))

# %%
# And who is touched by a weight?  :math:`w_0` stands in nearly every equation, each time at another pixel: with
# :math:`x_0` in :math:`y_1`, with :math:`x_1` in :math:`y_2`, and so on.  Again all paths are added up:
#
# .. math::
#
#     \frac{\partial L}{\partial w_0} = \sum_p g_p x_{p-1}, \qquad
#     \frac{\partial L}{\partial w_1} = \sum_p g_p x_p, \qquad
#     \frac{\partial L}{\partial w_2} = \sum_p g_p x_{p+1}
#
# Nothing is turned around here: the weight of the left neighbour meets the left neighbour.  A bias :math:`b`, added
# to each :math:`y_p`, touches all of them with slope 1: :math:`\partial L/\partial b = \sum_p g_p`.

padded = np.pad(x, 1)
grad_w = np.array([g @ padded[:-2], g @ padded[1:-1], g @ padded[2:]])
print("grad_w =", grad_w, " grad_b =", g.sum())
assert np.array_equal(grad_w, [-1, 11, 1])

# %%
# Two dimensions: every output that a pixel touches
# -------------------------------------------------
#
# Now an image of one channel.  From lesson 6:
#
# .. math::
#
#     y[p, q] = \sum_{i,j} x[p + i - r, q + j - s] \, w[i, j]
#
# Pixel :math:`x[u, v]` stands in the term :math:`(i, j)` of output :math:`(p, q)` exactly when
#
# .. math::
#
#     u = p + i - r, \quad v = q + j - s \qquad \Longleftrightarrow \qquad p = u - i + r, \quad q = v - j + s
#
# So for each weight :math:`(i, j)` there is one output that sees our pixel through it, unless it would lie outside of
# the image: there we take :math:`g` as zero, like :math:`x`.  The chain rule sums over them:
#
# .. math::
#
#     \frac{\partial L}{\partial x[u, v]} = \sum_{i,j} g[u - i + r, v - j + s] \, w[i, j]
#
# This could be coded as it stands.  But it is nearly a convolution, with a minus where there ought to be a plus.
# So count the kernel from its other end: :math:`i = kh - 1 - i'`, :math:`j = kw - 1 - j'`.  As :math:`i` runs from
# 0 to :math:`kh - 1`, so does :math:`i'`, in the opposite order, and since :math:`kh - 1 = 2r`,
#
# .. math::
#
#     -i + r = -(2r - i') + r = i' - r, \qquad -j + s = j' - s
#
# .. math::
#
#     \frac{\partial L}{\partial x[u, v]} = \sum_{i',j'} g[u + i' - r, v + j' - s] \, w[kh - 1 - i', kw - 1 - j']
#
# That is the sum of lesson 6, with :math:`g` in place of :math:`x` and with the kernel *flipped* in both
# directions, as if turned by 180 degrees.  Here are both ways beside each other.  The first goes through the
# forward loops and reverses each product: what was ``y += x * w`` becomes ``grad_x += g * w``.  It throws what an
# output has to say at all its pixels (a *scatter*).  The second lets each pixel collect it (a *gather*), and is a
# convolution.


def scatter(g, w):
    """Each y[p, q] += x[u, v] w[i, j] of the forward pass becomes grad_x[u, v] += g[p, q] w[i, j]."""
    grad_x, (kh, kw) = np.zeros_like(g), w.shape
    for p, q in np.ndindex(*g.shape):
        for i, j in np.ndindex(kh, kw):
            u, v = p + i - kh // 2, q + j - kw // 2
            if 0 <= u < g.shape[0] and 0 <= v < g.shape[1]:
                grad_x[u, v] += g[p, q] * w[i, j]
    return grad_x


def convolve(x, w):
    """Lesson 6's convolution of one channel, by the package."""
    return conv2d.forward(x[None, :, :, None], w[:, :, None, None], np.zeros(1))[0][0, :, :, 0]


random = np.random.default_rng(0)
g, w = random.standard_normal((6, 7)), random.standard_normal((3, 5))
assert np.allclose(scatter(g, w), convolve(g, w[::-1, ::-1]))

# %%
# Which way round is it?
# ----------------------
#
# A kernel in the shape of the letter F shows it.  Forward, light up a single *pixel* and look which outputs
# answer: the output to the left of it sees it on its right, and so forth; the F appears turned around.  On the way
# back, let a single *output* complain and look which pixels hear of it: exactly those in its window, each with its
# weight.  The F stands upright.  So: *a lit pixel makes the flipped kernel, a complaining output makes the kernel
# itself.*

F = np.zeros((7, 7))
F[1:6, 2] = F[1, 2:5] = F[3, 2:4] = 1
spot = np.zeros((13, 13))
spot[6, 6] = 1
show_images(
    {
        "one pixel of x": spot,
        "its y: the kernel, flipped": convolve(spot, F),
        "one output of g": spot,
        "its grad_x: the kernel": convolve(spot, F[::-1, ::-1]),
    }
)
plt.show()

window = np.s_[3:10, 3:10]
assert np.array_equal(convolve(spot, F)[window], F[::-1, ::-1])
assert np.array_equal(convolve(spot, F[::-1, ::-1])[window], F)
assert np.array_equal(scatter(spot, F)[window], F)

# %%
# Channels change places
# ----------------------
#
# With channels, lesson 6's sum runs over the input channels :math:`c`, once for each output channel :math:`k`:
#
# .. math::
#
#     y[n, p, q, k] = b[k] + \sum_{i,j,c} x[n, p + i - r, q + j - s, c] \, w[i, j, c, k]
#
# Who is touched by :math:`x[n, u, v, c]`?  Of its own image :math:`n`, the outputs at the places that we know, and
# there *every* channel :math:`k`, through :math:`w[i, j, c, k]`.  So the paths to be added up run over :math:`i, j`
# and :math:`k`, once for each :math:`c`:
#
# .. math::
#
#     \frac{\partial L}{\partial x[n, u, v, c]} = \sum_{i',j',k} g[n, u + i' - r, v + j' - s, k] \,
#     w[kh - 1 - i', kw - 1 - j', c, k]
#
# What was summed over, :math:`c`, now numbers the results, and the other way round.  To use the same convolution,
# whose kernels are (kh, kw, channels in, channels out), flip the first two axes and exchange the last two.


def backward_input(grad_y, w):
    """Return dL/dx: a convolution of grad_y."""
    flipped = w[::-1, ::-1]  # [i', j'] is w[kh - 1 - i', kw - 1 - j']
    exchanged = flipped.swapaxes(2, 3)  # (kh, kw, K, C): K channels come in, C go out
    return conv2d.forward(grad_y, exchanged, np.zeros(w.shape[2]))[0]


x = random.standard_normal((2, 5, 6, 3))
w, b = random.standard_normal((3, 3, 3, 4)), random.standard_normal(4)
y, cache = conv2d.forward(x, w, b)
grad_y = random.standard_normal(y.shape)
loops = conv2d.backward_loops(grad_y, x, w)  # y += x w, one product at a time, reversed
assert np.allclose(backward_input(grad_y, w), loops[0])
assert np.allclose(backward_input(grad_y, w), conv2d.backward_input(grad_y, cache))

# %%
# The weights
# -----------
#
# :math:`w[i, j, c, k]` multiplies :math:`x[n, p + i - r, q + j - s, c]`, and adds the product to
# :math:`y[n, p, q, k]`, in every image :math:`n` and at every place :math:`(p, q)`.  All these paths are added up:
#
# .. math::
#
#     \frac{\partial L}{\partial w[i, j, c, k]} = \sum_{n,p,q} x[n, p + i - r, q + j - s, c] \, g[n, p, q, k]
#
# In words: it is the inner product of channel :math:`c` of the input, shifted by :math:`(i - r, j - s)`, with the
# upstream gradient of output channel :math:`k`.  In matrices it is shorter.  Lesson 6 wrote :math:`y = X W + b`, with
# a window in each row of :math:`X`, a pixel in each row of :math:`y`.  There :math:`W[m, k]` multiplies
# :math:`X[o, m]` in output :math:`y[o, k]`, for each :math:`o`.  With :math:`g` as a matrix of the same form,
#
# .. math::
#
#     \frac{\partial L}{\partial W[m, k]} = \sum_o X[o, m] \, g[o, k], \qquad \frac{\partial L}{\partial W} = X^T g
#
# and the bias, which is added to every pixel of its channel, collects all of them:
#
# .. math::
#
#     \frac{\partial L}{\partial b[k]} = \sum_{n,p,q} g[n, p, q, k]


def windows(x, kh, kw):
    """Lesson 6's X (N H W, kh kw C): in each row the window of one output pixel."""
    padded = np.pad(x, ((0, 0), (kh // 2, kh // 2), (kw // 2, kw // 2), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(1, 2))
    return view.transpose(0, 1, 2, 4, 5, 3).reshape(-1, kh * kw * x.shape[3])


def backward_parameters(grad_y, x, w):
    """Return dL/dw and dL/db."""
    X, g = windows(x, *w.shape[:2]), grad_y.reshape(-1, w.shape[3])
    return (X.T @ g).reshape(w.shape), g.sum(axis=0)


grad_w, grad_b = backward_parameters(grad_y, x, w)
assert np.allclose(grad_w, loops[1])
assert np.allclose(grad_b, loops[2])

# %%
# What the weights' gradient is good for
# --------------------------------------
#
# It lets a machine *find* a kernel.  Somebody has convolved noise with a kernel and gives us the noise and the
# result, but not the kernel.  Start from a kernel of zeros.  The loss is half the mean squared difference from the
# result, so :math:`g = (y - \text{result})/M` for :math:`M` pixels; take a step against the gradient, 0.7 times as
# long as it, and again.  In the figure the kernel for vertical edges of lesson 6 appears out of nothing.  Training a
# network, lesson 15, is the same for many kernels at once.

sobel = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])[:, :, None, None]
noise = random.standard_normal((1, 32, 32, 1))
result, _ = conv2d.forward(noise, sobel, np.zeros(1))
kernel, found, losses = np.zeros_like(sobel), {}, []
for step in range(31):
    answer, cache = conv2d.forward(noise, kernel, np.zeros(1))
    losses.append(np.mean((answer - result) ** 2) / 2)
    if step in (0, 1, 3, 30):
        found[f"step {step}"] = kernel[:, :, 0, 0]
    kernel = kernel - 0.7 * backward_parameters((answer - result) / result.size, noise, kernel)[0]

_, axes = plt.subplots(1, 5, figsize=(11, 2.4), layout="constrained")
for panel, (title, weights) in zip(axes, found.items()):
    panel.imshow(weights, cmap="gray", vmin=-2, vmax=2)
    panel.set(title=title, xticks=[], yticks=[])
axes[4].semilogy(losses)
axes[4].set(title="loss", xlabel="step")
plt.show()

assert np.allclose(kernel, sobel, atol=1e-3)

# %%
# Is it right?
# ------------
#
# Lesson 3's exact test: for a linear map :math:`A` and the map back :math:`A^T`,
# :math:`\langle A v, g \rangle = \langle v, A^T g \rangle` for any :math:`v` and :math:`g`, to the last digits.  A
# convolution without its bias is linear in x for a given w, and it is linear in w for a given x.  So the same
# number must come out three times, computed in three different ways:
#
# .. math::
#
#     \langle y, g \rangle = \langle x, \partial L/\partial x \rangle = \langle w, \partial L/\partial w \rangle

y_without_bias, _ = conv2d.forward(x, w, np.zeros(4))
three = [np.sum(y_without_bias * grad_y), np.sum(x * backward_input(grad_y, w)), np.sum(w * grad_w)]
print("three times the same:", *(f"{number:.12f}" for number in three))
assert np.allclose(three, three[0], rtol=1e-12, atol=0)

# %%
# And the package's own check, which anybody's forward and backward can be handed to.  It draws a random upstream
# gradient, compares central differences, sweeps their step, tries the Taylor remainder and the complex step (all of
# lesson 2) and the adjoint identity (lesson 3), and says what it found.


def backward(grad_y, cache):
    """Return dL/dx, dL/dw, dL/db, as the package's operations do."""
    x, w = cache
    return backward_input(grad_y, w), *backward_parameters(grad_y, x, w)


report = check_backward(conv2d.forward, backward, [x, w, b], names=["x", "w", "b"])
print(report)
assert report.verdict == "pass"

# %%
# What a wrong one does
# ---------------------
#
# Forget the flip, which is easily done: exchange the channels, but leave the kernel as it is.  The shapes fit,
# nothing complains, and here are two tests that it passes.  With a kernel that looks the same from both ends, as
# blurring ones do, there is nothing to flip.  And with an upstream gradient of ones, the first that comes to mind,
# each pixel gets the sum of all weights, in whatever order they are; only beside the border some of them are missing.


def without_flip(grad_y, w):
    """Wrong."""
    return conv2d.forward(grad_y, w.swapaxes(2, 3), np.zeros(w.shape[2]))[0]


symmetric = w + w[::-1, ::-1]
assert np.allclose(without_flip(grad_y, symmetric), backward_input(grad_y, symmetric)), "passes"
ones = np.ones_like(grad_y)
inside = np.s_[:, 1:-1, 1:-1]
assert np.allclose(without_flip(ones, w)[inside], backward_input(ones, w)[inside]), "passes, away from the border"
assert not np.allclose(without_flip(grad_y, w), backward_input(grad_y, w)), "and is wrong"

report = check_backward(
    conv2d.forward, lambda g, cache: (without_flip(g, cache[1]), None, None), [x, w, b], names=["x", "w", "b"]
)
print(report.inputs[0].diagnosis)
assert report.verdict == "fail"
assert "not flipped" in report.inputs[0].diagnosis

# %%
# What happens to somebody who does not test?  Take 16 random kernels, and keep what they answer to the village.  Then
# start from grey and walk downhill until an image gives the same answers, with the loss
# :math:`L = \tfrac12 \langle y - P, y - P \rangle` and hence :math:`g = y - P`, where :math:`P` holds the village's
# answers.  With the right gradient the picture comes back.  Without the flip each step is a little off, and the
# errors feed on each other: the loss falls at first, as if all were well, and then it rises, in the end by the same
# factor each step (a straight line, the scale being logarithmic).

side, steps = full_size(96, 48), 60
village = pictures(side)[0][None] / 255 - 0.5
kernels = random.standard_normal((3, 3, 3, 16))
P, _ = conv2d.forward(village, kernels, np.zeros(16))
rate = 0.003  # exercise 4 asks how large it may be


def walk(way_back):
    """Return the losses on the walk from grey, and some of the images."""
    image, losses, seen = np.zeros_like(village), [], {}
    for step in range(steps + 1):
        y, _ = conv2d.forward(image, kernels, np.zeros(16))
        losses.append(0.5 * np.sum((y - P) ** 2))
        if step in (2, 10, steps):
            seen[step] = 255 * (image[0] + 0.5)
        image = image - rate * way_back(y - P, kernels)
    return losses, seen


(right_losses, right), (wrong_losses, wrong) = walk(backward_input), walk(without_flip)
show_images({f"right, {step} steps": image for step, image in right.items()}, columns=3)
show_images({f"not flipped, {step} steps": image for step, image in wrong.items()}, columns=3)
_, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.semilogy(right_losses, label="right")
axes.semilogy(wrong_losses, label="not flipped")
axes.set(xlabel="step", ylabel="loss", title="downhill with the right gradient, and with a wrong one")
axes.legend()
plt.show()
assert right_losses[-1] < 1e-5 * right_losses[0]
assert np.allclose(right[steps], 255 * (village[0] + 0.5), atol=0.5), "each number to less than half a grey level"
assert min(wrong_losses[1:4]) < wrong_losses[0], "a few steps look well"
assert wrong_losses[-1] > 1e6 * wrong_losses[0]
assert np.isclose(wrong_losses[-1] / wrong_losses[-2], wrong_losses[-2] / wrong_losses[-3], rtol=0.05)

# %%
# What it costs
# -------------
#
# Each product of the forward loops, ``y += x * w``, has become two on the way back, ``grad_x += g * w`` and
# ``grad_w += g * x``: each takes as many multiplications as the forward pass.  A step of training costs three
# convolutions a layer.  Style transfer leaves the weights as they are and asks for dL/dx alone, so it takes two; that
# is why the package has ``backward_input`` and ``backward_parameters`` apart.  And whatever makes a forward
# convolution faster serves dL/dx too, since it is a convolution.
#
# What has to be kept from the forward pass?  dL/dx needs w, and dL/dw needs x, which is there anyway as the output
# of the layer before.  The windows are gathered afresh.  All of it stands in ``scratchnst/ops/conv2d.py``,
# equations (a) to (d), in the form derived here.

x_kept, w_kept = cache = conv2d.forward(x, w, b)[1]
assert x_kept is x, "kept by reference: no copy"
assert w_kept is w
assert [part.shape for part in backward(grad_y, cache)] == [x.shape, w.shape, b.shape], (
    "a gradient for each, of its shape"
)

# %%
# Exercises
# ---------
#
# 1. A convolution with stride 2 computes every second output only: :math:`y[p] = \sum_i x[2p + i - r] \, w[i]`.
#    Which outputs does :math:`x[u]` touch, and through which weights?  (The answer differs for even and odd
#    :math:`u`.)
# 2. A 1x1 kernel is a matrix product, pixel by pixel.  Write dL/dx and dL/dw for it, and see that they are what
#    this lesson says for :math:`kh = kw = 1`.
# 3. A careless tester takes C = K and kernels with ``w[i, j, c, k] == w[i, j, k, c]``.  Which mistake does he miss?
#    Make a kernel with which *every* mistake of this lesson passes every test.
# 4. In the last experiment, how large may ``rate`` be?  Find out by trial.  Then explain it: along an eigenvector
#    of :math:`A^T A` with eigenvalue :math:`\lambda`, where :math:`A` is the convolution, what does a step do to
#    the difference between image and village?  You have :math:`A` and :math:`A^T` as functions: can you find the
#    largest :math:`\lambda` with them?
#
# The coding exercise: in ``lessons/07_convolution_backward/exercise.py`` the convolution takes *no* zeros around the
# image, so y is smaller than x.  Write ``backward_input`` and ``backward_parameters`` for it; the derivation above
# needs a second look at its borders, and the sides of a kernel may be even.  Then run ``scratchnst check 7``.
