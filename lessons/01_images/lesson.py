r"""
Images, losses and slopes
=========================

Take a photograph and a painting, and make a third picture that shows what the photograph shows, painted as the
painting is painted. This course derives, line by line, how that is done in "Image Style Transfer Using Convolutional
Neural Networks" by L. A. Gatys, A. S. Ecker and M. Bethge (CVPR 2016), called *the paper* from here on.

Its pictures are not drawn, they are found. A picture is a point in a space of many thousand dimensions; one number says
how far this point is from what we want; and the point moves, step by step, to where that number is smaller. This
lesson builds the three parts of that sentence in their plainest form. The later lessons replace one part after the
other by something better, and the plan stays as it is here.

A lesson is a program. Run it cell by cell, in an editor that knows cells or with ``scratchnst lesson 1``, change what
you like, and run it again. Every claim that can be checked ends in an ``assert``.

After this lesson you can

* read a picture as an array of numbers, and change it by arithmetic;
* turn "these two pictures differ" into one number, a *loss*;
* compute the slope of a loss with respect to every pixel at once, the *gradient*, and look at it as a picture;
* walk downhill from noise to a picture, and say which steps are too long, and why.

It needs derivatives of polynomials, inner products of vectors, and NumPy arrays. Nothing else is assumed.

================================ ===========================================================================
symbol                           meaning
================================ ===========================================================================
:math:`x`                        the picture that we change, in the paper too
:math:`p`                        the picture that we want, the paper's content image
:math:`H, W`                     height and width of a picture, in pixels
:math:`n`                        how many numbers a picture has, :math:`H \cdot W \cdot 3`
:math:`x_i`                      number :math:`i` of these, all rows, columns and channels counted through
:math:`L`                        the loss, one number; small is good
:math:`\partial L/\partial x_i`  the slope of the loss with respect to one number of the picture
:math:`\nabla L`                 the gradient: all these slopes, as an array of the picture's shape
:math:`h`                        a small step
:math:`v`                        a direction: a picture of changes, one for each number
:math:`\langle u, v \rangle`     the inner product, :math:`\sum_i u_i v_i`
:math:`\|v\|`                    the length of a vector, :math:`\sqrt{\langle v, v \rangle}`
:math:`\eta`                     the step length of the walk downhill ("eta")
:math:`V`                        how rough a picture is, its total variation
:math:`\lambda`                  how much :math:`V` counts beside the distance from :math:`p` ("lambda")
================================ ===========================================================================
"""

import matplotlib.pyplot as plt
import numpy as np

from scratchnst.classroom import full_size, pictures, show_images
from scratchnst.losses import total_variation

# %%
# An image is an array
# --------------------
#
# A colour picture is a table of pixels, and a pixel is three numbers: how much red, green and blue light the screen
# sends out there, each from 0 (none) to 255 (all it has). So a picture is an array with three axes, rows, columns and
# *channels*, of shape (H, W, 3). Row 0 is at the top, as in a matrix, and channel 0 is red.
#
# ``pictures`` draws two of them, which will be with us to the end of the course. The first is the *content*: what is to
# be seen. The second is the *style*: how it is to be painted. (``full_size(96, 32)`` is 96 pixels a side, or 32 where
# the lesson has to be quick. ``show_images`` draws pictures side by side.)

content, style = pictures(full_size(96, 32))
H, W, channels = content.shape
print("shape", content.shape, "of", content.dtype)
print("the pixel in the top left corner is (red, green, blue) =", content[0, 0].round(1))

show_images({"content": content, "style": style})
plt.show()

assert channels == 3
assert content.min() >= 0
assert content.max() <= 255

# %%
# One channel alone, ``content[:, :, 0]``, is a grey picture: bright where there is much of that colour. Look at the sky
# in the upper half: it is brighter in the blue channel than in the red one, except around the sun.

show_images({name: content[:, :, channel] for channel, name in enumerate(("red", "green", "blue"))})
plt.show()

sky = content[: H // 8]  # the rows at the top
assert sky[:, :, 2].mean() > sky[:, :, 0].mean()

# %%
# What can be done to an array can be done to a picture. Indices move pixels, arithmetic changes their colours.

show_images(
    {
        "content[:, ::-1]": content[:, ::-1],  # the columns in reverse: a mirror
        "content[:, :, ::-1]": content[:, :, ::-1],  # the channels in reverse: blue, green, red
        "content / 2": content / 2,
        "(content + style) / 2": (content + style) / 2,
    }
)
plt.show()

assert np.array_equal(content[:, ::-1][:, ::-1], content)  # twice mirrored is as it was

# %%
# A picture is a point
# --------------------
#
# Write all numbers of a picture one after the other, row by row: a vector of :math:`n = H \cdot W \cdot 3` numbers,
# a point in a space with :math:`n` axes. ``x.reshape(-1)`` is that vector, and ``reshape`` with the picture's shape
# makes a picture of it again; no number changes. We call them :math:`x_1, x_2, \dots, x_n`.
#
# Every picture of that size is a point of this space, and every point is a picture. Most of them are noise: if you
# draw each number at random, you will not live to see a face. Between any two points there is a straight line,
# :math:`(1 - t)\, x + t\, p` for :math:`t` from 0 to 1, and each point on it is a picture as well.

n = content.size
random = np.random.default_rng(0)
noise = random.uniform(0, 255, content.shape)

line = {f"t = {t}": (1 - t) * noise + t * content for t in (0, 0.25, 0.5, 0.75, 1)}
show_images(line, columns=5)
plt.show()

point = content.reshape(-1)
print(f"a picture of {H} x {W} pixels is a point in a space of n = {n} dimensions")
assert point.shape == (n,)
assert np.array_equal(point.reshape(content.shape), content)

# %%
# A loss is a number
# ------------------
#
# The noise at the left end of that row is wrong, the picture at the right end is right. How wrong is a picture
# in between? We need *one* number, since only numbers can be compared: is this picture better than that one?
#
# The simplest choice takes the difference of each number, squares it, so that too bright and too dark count alike, and
# adds up:
#
# .. math::
#
#     L(x) = \frac{1}{2} \sum_{i=1}^{n} (x_i - p_i)^2
#
# The factor one half does no harm, since it changes no comparison, and it will take a factor 2 away in a moment.
# :math:`L` is called a *loss*. It is zero if :math:`x` is :math:`p`, and positive otherwise. (The paper's equation 1,
# its content loss, has this very form. There, however, it does not compare pixels but what a network makes of them.)
#
# Once by hand, for a grey picture of four pixels:
#
# .. math::
#
#     x = \begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}, \quad
#     p = \begin{pmatrix} 1 & 0 \\ 3 & 5 \end{pmatrix}, \quad
#     x - p = \begin{pmatrix} 0 & 2 \\ 0 & -1 \end{pmatrix}, \quad
#     L = \frac{1}{2} (0 + 4 + 0 + 1) = 2.5


def loss(x, p):
    """Half the sum of squared differences."""
    return 0.5 * np.sum((x - p) ** 2)


x_by_hand = np.array([[1.0, 2.0], [3.0, 4.0]])
p_by_hand = np.array([[1.0, 0.0], [3.0, 5.0]])
print("by hand:", loss(x_by_hand, p_by_hand))
for name, picture in line.items():
    print(f"{name:8}  L = {loss(picture, content):.3e}")

losses_on_line = [loss(picture, content) for picture in line.values()]
assert loss(x_by_hand, p_by_hand) == 2.5
assert losses_on_line == sorted(losses_on_line, reverse=True), "the loss falls all the way along the line"
assert losses_on_line[-1] == 0

# %%
# One number of the picture, one slope
# ------------------------------------
#
# Now take one of the :math:`n` numbers, :math:`x_k`, and make it larger by a small step :math:`h`. Does the loss rise
# or fall, and how fast? All terms of the sum but one stay as they are and cancel in the difference:
#
# .. math::
#
#     \begin{aligned}
#     L(x_k + h) - L(x_k) &= \frac{1}{2} (x_k + h - p_k)^2 - \frac{1}{2} (x_k - p_k)^2 \\
#                         &= h\, (x_k - p_k) + \frac{1}{2} h^2
#     \end{aligned}
#
# where we have multiplied out :math:`\big((x_k - p_k) + h\big)^2`. Divide by :math:`h` and let it go to zero: what is
# left is the slope,
#
# .. math::
#
#     \frac{\partial L}{\partial x_k} = x_k - p_k
#
# The curly :math:`\partial` says: all other numbers are held still. Here the factor 2 from the square has met the one
# half. The slope is a promise: "change :math:`x_k` by :math:`h` and the loss changes by about :math:`h` times me". A
# positive slope says that this number is too large, a negative one that it is too small.
#
# In the picture of four pixels, take the one in the upper right, :math:`x_k = 2`, :math:`p_k = 0`: the slope is 2. In
# the figure the curve is the loss as this pixel changes, and the straight line is what the slope promises.

slope, h = 2.0 - 0.0, 0.5
pixel = np.linspace(-3, 5, 81)
curve = [loss(np.array([[1.0, value], [3.0, 4.0]]), p_by_hand) for value in pixel]
plt.figure(figsize=(6, 3.6), layout="constrained")
plt.plot(pixel, curve, label="the loss")
plt.plot(pixel, 2.5 + slope * (pixel - 2), "--", label="2.5 + slope · (pixel - 2)")
plt.plot(2, 2.5, "ko", label="here we are")
plt.xlabel("value of the upper right pixel")
plt.ylabel("loss L")
plt.title("One pixel changes, the other three stay")
plt.legend()
plt.show()

nudged = x_by_hand.copy()
nudged[0, 1] += h
rise = loss(nudged, p_by_hand) - loss(x_by_hand, p_by_hand)
print(f"the slope promises a rise of {h * slope}, the loss rises by {rise}, the rest is h²/2 = {h**2 / 2}")
assert rise == h * slope + h**2 / 2

# %%
# All slopes at once: the gradient
# --------------------------------
#
# Nothing was special about the number :math:`k`: every number of the picture has its slope, :math:`x_i - p_i`. Put
# each slope where its number stands in the picture. This array of slopes, as large as the picture, is the *gradient*,
#
# .. math::
#
#     \nabla L = \Big( \frac{\partial L}{\partial x_1}, \dots, \frac{\partial L}{\partial x_n} \Big) = x - p
#
# and in code ``grad_x``. All over this course ``grad_`` in front of a name means: the slope of the final loss with
# respect to that.


def gradient(x, p):
    """The slopes of `loss` with respect to every number of x."""
    return x - p


print(gradient(x_by_hand, p_by_hand))
assert np.array_equal(gradient(x_by_hand, p_by_hand), [[0, 2], [0, -1]])

# %%
# The gradient has the shape of a picture, so we look at it as one. Slopes are positive or negative: let mid-grey be
# zero, brighter than that positive, darker negative.
#
# For :math:`x` we take the content with three faults: the upper left quarter is darker, a square has too much red, and
# the lower right quarter is replaced by noise. The gradient shows them, and nothing else: it is dark where the
# picture should become brighter, reddish where there is too much red, and grey where all is well. It answers, for
# every pixel and colour at once, the question "should there be less of you, or more?"


def as_picture(slopes):
    """Map slopes to 0-255, so that zero is mid-grey and the largest one, up or down, is white or black."""
    return 127.5 + 127.5 * slopes / np.abs(slopes).max()


faulty = content.copy()
faulty[: H // 2, : W // 2] *= 0.6
faulty[H // 8 : 3 * H // 8, 5 * W // 8 : 7 * W // 8, 0] += 80
faulty[H // 2 :, W // 2 :] = noise[H // 2 :, W // 2 :]
grad_x = gradient(faulty, content)

show_images({"x": faulty, "p": content, "the gradient, x - p": as_picture(grad_x)})
plt.show()

assert grad_x.shape == content.shape
assert (grad_x[H // 2 :, : W // 2] == 0).all(), "the lower left quarter was left alone"
assert grad_x[: H // 2, : W // 2].max() <= 0, "where the picture is too dark, more light lowers the loss"

# %%
# Is the formula right? We can ask the loss itself: nudge one number after the other by :math:`h`, see by how much the
# loss rises, divide by :math:`h`. That is the brute-force gradient. From the derivation above we even know how far it
# will be off, :math:`h/2`, since :math:`(h (x_k - p_k) + h^2/2)/h = x_k - p_k + h/2`.
#
# But count. One evaluation of the loss looks at :math:`n` numbers. The brute-force way evaluates it :math:`n + 1`
# times, that is about :math:`n^2` differences; the formula needs :math:`n`. For a picture of 512 by 512 pixels
# :math:`n` is 786 432. If one evaluation takes a second, then one gradient takes nine days, and we shall need some
# hundred gradients to make one picture. A formula for the gradient of *any* loss, at the price of a few evaluations,
# whatever :math:`n` is: this is what lessons 3 to 10 are about.


def brute_force_gradient(x, p, h):
    """Nudge one number after the other."""
    slopes = np.zeros_like(x)
    before = loss(x, p)
    for index in np.ndindex(*x.shape):
        nudged = x.copy()
        nudged[index] += h
        slopes[index] = (loss(nudged, p) - before) / h
    return slopes


corner, corner_noise = content[:8, :8], noise[:8, :8]  # 192 numbers
brute = brute_force_gradient(corner_noise, corner, h=0.001)
difference = np.abs(brute - gradient(corner_noise, corner)).max()
print(f"{corner.size + 1} evaluations; largest difference from the formula {difference:.2g}, expected h/2 = 0.0005")
assert abs(difference - 0.0005) < 0.0001

# %%
# Downhill
# --------
#
# So far one number changed at a time. Now let all change at once: the picture takes a step :math:`h` in a direction
# :math:`v`, which is a picture of changes, one for each number. Each number :math:`x_i` moves by :math:`h v_i` and
# adds its promise, the slope times how far it moves:
#
# .. math::
#
#     L(x + h v) - L(x) \approx \sum_{i=1}^{n} \frac{\partial L}{\partial x_i}\, h v_i
#                       = h\, \langle \nabla L, v \rangle
#
# For our loss we need not believe it. Multiply out as before, in each term of the sum, and the rest is known exactly:
#
# .. math::
#
#     L(x + h v) - L(x) = h\, \langle x - p, v \rangle + \frac{1}{2} h^2 \|v\|^2
#
# Which direction, of all that have the length 1, goes down most steeply? By the inequality of Cauchy and Schwarz
#
# .. math::
#
#     -\|\nabla L\| \le \langle \nabla L, v \rangle \le \|\nabla L\| \qquad \text{if } \|v\| = 1
#
# and the lower end is reached by :math:`v = -\nabla L / \|\nabla L\|`, the direction opposite to the gradient: then
# :math:`\langle \nabla L, v \rangle = -\|\nabla L\|^2 / \|\nabla L\| = -\|\nabla L\|`. So the gradient points uphill,
# as steeply as can be, and the opposite direction downhill.
#
# How much better is that than a direction chosen by chance? Try 200. In the figure their slopes form the narrow
# heap at zero: in a space with so many axes nearly every direction is nearly level, and half of them lead uphill. The
# dashed line far to the left is the slope in the direction opposite to the gradient. Who searches a picture by trial
# and error walks within the heap. Who knows the gradient walks along the line.

grad_x = gradient(noise, content)
steepest = -grad_x / np.linalg.norm(grad_x)
directions = random.standard_normal((200, n))
directions /= np.linalg.norm(directions, axis=1, keepdims=True)
slopes = directions @ grad_x.reshape(-1)  # 200 inner products with the gradient
slope_downhill = np.sum(grad_x * steepest)

plt.figure(figsize=(7, 3.2), layout="constrained")
plt.hist(slopes, bins=20, label="200 random directions")
plt.axvline(slope_downhill, color="C3", ls="--", label="opposite to the gradient")
plt.xlabel("slope of the loss in that direction, for a step of length 1")
plt.ylabel("how many directions")
plt.title(f"Slopes at a noise picture, in {n} dimensions")
plt.legend()
plt.show()

h, v = 0.1, directions[0].reshape(content.shape)
exact = h * slopes[0] + h**2 / 2
assert np.isclose(loss(noise + h * v, content) - loss(noise, content), exact, rtol=1e-4), "the formula holds"
assert np.isclose(slope_downhill, -np.linalg.norm(grad_x))
assert np.abs(slopes).max() < 0.2 * np.linalg.norm(grad_x), "no random direction comes near"

# %%
# The walk
# --------
#
# Start somewhere, take a step opposite to the gradient, compute the gradient there, take the next step: this is
# *gradient descent*,
#
# .. math::
#
#     x \leftarrow x - \eta\, \nabla L(x)
#
# with a step length :math:`\eta` that we have to choose. To see the whole landscape, take a picture with only two
# pixels and one channel, so that the space has two axes. Want :math:`p = (6, 4)`, start at :math:`x = (1, 2)`, and
# walk with :math:`\eta = 0.5`. By hand:
#
# 1. the gradient is :math:`x - p = (-5, -2)`, and the step goes to :math:`(1, 2) + 0.5\,(5, 2) = (3.5, 3)`;
# 2. the gradient is :math:`(-2.5, -1)`, and the step goes to :math:`(4.75, 3.5)`;
# 3. and so on: each step halves what is left.


def descend(x, p, step, count):
    """Take `count` steps opposite to the gradient; return all pictures on the way, the start included."""
    path = [x]
    for _ in range(count):
        path.append(path[-1] - step * gradient(path[-1], p))
    return path


two_pixels, start = np.array([6.0, 4.0]), np.array([1.0, 2.0])
walks = {step: np.array(descend(start, two_pixels, step, 8)) for step in (0.1, 0.5, 1.9)}

first, second = np.meshgrid(np.linspace(0, 12, 100), np.linspace(0, 8, 100))
landscape = 0.5 * ((first - 6) ** 2 + (second - 4) ** 2)
_, grid = plt.subplots(1, 3, figsize=(11, 3), sharey=True, layout="constrained")
for axes, (step, walk) in zip(grid, walks.items()):
    axes.contour(first, second, landscape, levels=12, colors="0.75", linewidths=0.8)
    axes.plot(*walk.T, "o-", ms=4)
    axes.plot(*two_pixels, "k*", ms=10)
    axes.set_title(f"step length {step}")
    axes.set_xlabel("first pixel")
    axes.set_aspect("equal")
grid[0].set_ylabel("second pixel")
plt.show()

assert np.array_equal(walks[0.5][1], [3.5, 3.0])
assert np.array_equal(walks[0.5][2], [4.75, 3.5])

# %%
# Each grey ring in the figure joins points of equal loss, the star is :math:`p`, and the dots are the walk. With the
# step length 0.1 it creeps, with 0.5 it arrives soon, with 1.9 it jumps across the valley, to and fro, and yet comes
# nearer.
#
# Why? Follow what is left, the difference from :math:`p`, through one step:
#
# .. math::
#
#     x_{\text{new}} - p = x - \eta\, (x - p) - p = (1 - \eta)\, (x - p)
#
# Every step multiplies what is left by :math:`1 - \eta`, and the loss, which is a square, by :math:`(1 - \eta)^2`.
#
# * For :math:`0 < \eta < 1` the factor lies between 0 and 1: the walk comes nearer from one side.
# * For :math:`\eta = 1` it is 0: the walk arrives in one step.
# * For :math:`1 < \eta < 2` it lies between -1 and 0: the walk jumps across and still comes nearer.
# * For :math:`\eta = 2` it is -1: the walk jumps to and fro for ever, always equally far away.
# * For :math:`\eta > 2` its size is larger than 1: each step leads further away. The walk *diverges*.
#
# The figure shows the loss against the number of steps, on a logarithmic axis, where multiplying by a constant gives
# a straight line. The walks with 0.1 and 1.9 share one line, since :math:`0.9^2 = (-0.9)^2`, and only the one with 2.1
# goes up.

steps = (0.1, 0.5, 1.9, 2.1)
traces = {step: [loss(x, content) for x in descend(noise, content, step, 30)] for step in steps}
plt.figure(figsize=(6.5, 3.6), layout="constrained")
for step, trace in traces.items():
    plt.semilogy(trace, ".-", label=f"step length {step}")
plt.ylim(bottom=1e-6)
plt.xlabel("steps taken")
plt.ylabel("loss L")
plt.title("From noise to the picture")
plt.legend()
plt.show()

for step, trace in traces.items():
    assert np.isclose(trace[1] / trace[0], (1 - step) ** 2), "each step multiplies the loss by (1 - step)²"
assert traces[2.1][-1] > traces[2.1][0]

# %%
# And this is what it looks like: a picture appears out of noise, though no one has painted it.

path = descend(noise, content, step=0.1, count=40)
show_images({f"{k} steps": path[k] for k in (0, 5, 10, 20, 40)}, columns=5)
plt.show()

assert loss(path[40], content) < 0.001 * loss(path[0], content)

# %%
# Two wishes at once
# ------------------
#
# A walk whose end we know beforehand is a toy. It becomes useful when two wishes contradict each other, and no picture
# fulfils both. Say that our picture was taken at night: :math:`p` is the content with noise on it, and the clean one
# is lost. We wish for a picture that is close to :math:`p`, and *smooth*, because noise is rough and the world mostly
# is not.
#
# How rough a picture is, is again one number: the squared differences between neighbours, added up. In style transfer
# it is called the *total variation*, :math:`V`. (Elsewhere this name stands for the sum of the absolute differences.)
# For a row of three grey pixels
#
# .. math::
#
#     V = (x_2 - x_1)^2 + (x_3 - x_2)^2
#
# Each pixel's slope comes from the terms that contain it. The middle one stands in both, once with a plus and once
# with a minus sign; the outer ones stand in one each:
#
# .. math::
#
#     \begin{aligned}
#     \frac{\partial V}{\partial x_1} &= -2\, (x_2 - x_1) \\
#     \frac{\partial V}{\partial x_2} &= 2\, (x_2 - x_1) - 2\, (x_3 - x_2) \\
#     \frac{\partial V}{\partial x_3} &= 2\, (x_3 - x_2)
#     \end{aligned}
#
# For :math:`x = (1, 4, 2)` the differences are 3 and -2, so :math:`V = 9 + 4 = 13` and the slopes are
# :math:`(-6, 10, -4)`: the middle pixel sticks out and should go down, its neighbours should come up.
#
# In a picture the same holds along every row and every column. The package has it in
# ``scratchnst/losses/total_variation.py``: ``forward`` returns :math:`V` and a second thing, the *cache*, which
# ``backward`` needs to compute the gradient. (The number that ``backward`` takes first is a factor; lesson 3 explains
# both.) The package's functions work on a stack of :math:`N` pictures, of shape (N, H, W, C) with C channels, and
# our row is a stack of one picture, one row high, with one channel.

row = np.array([1.0, 4.0, 2.0]).reshape(1, 1, 3, 1)
V, cache = total_variation.forward(row)
print("V =", V, " slopes", total_variation.backward(1.0, cache).reshape(-1))
assert V == 13
assert np.array_equal(total_variation.backward(1.0, cache).reshape(-1), [-6, 10, -4])

# %%
# The new loss adds both wishes up, with a weight :math:`\lambda` ("lambda") that says how much the second one counts:
#
# .. math::
#
#     L(x) = \frac{1}{2} \|x - p\|^2 + \lambda\, V(x), \qquad \nabla L = (x - p) + \lambda\, \nabla V
#
# The slope of a sum is the sum of the slopes, so the gradients are added with the same weights. Where the first part
# pulls a pixel up and the second pulls it down, the walk ends when they are equally strong.


def two_wishes(x, p, weight):
    """The loss of a picture that should be close to p, and smooth; and its gradient."""
    V, cache = total_variation.forward(x[np.newaxis])
    L = loss(x, p) + weight * V
    grad_x = gradient(x, p) + total_variation.backward(weight, cache)[0]
    return L, grad_x


noisy = content + random.normal(0, 40, content.shape)
results, traces = {}, {}
for weight in (0.05, 0.4, 10.0):
    x, traces[weight] = noisy, []
    step = 1 / (1 + 16 * weight)  # the larger the weight, the steeper the walls of the valley: exercise 3
    for _ in range(60):
        L, grad_x = two_wishes(x, noisy, weight)
        traces[weight].append(L)
        x = x - step * grad_x
    results[weight] = x

print("the noisy picture's distance from the clean one:", np.linalg.norm(noisy - content).round())
for weight, x in results.items():
    print(f"with the weight {weight:5}: {np.linalg.norm(x - content).round()}")
show_images(
    {"what we have": noisy, **{f"weight {weight}": x for weight, x in results.items()}, "what is lost": content},
    columns=5,
)
plt.show()

distances = {weight: np.linalg.norm(x - content) for weight, x in results.items()}
assert min(distances, key=distances.get) == 0.4, "the best weight is neither the smallest nor the largest"
assert distances[0.4] < 0.7 * np.linalg.norm(noisy - content), "a third of the noise is gone"
assert all(np.all(np.diff(trace) <= 1e-6 * trace[0]) for trace in traces.values()), "the loss never rises"

# %%
# Too small a weight leaves the noise, too large a one blurs the picture, and in between lies a picture that is much
# nearer to the clean one than what we had, although the walk has never seen the clean one.
#
# This is the whole plan of style transfer. There, the first wish is "show the same things as the content image", the
# second one "be painted like the style image", their weights are the paper's :math:`\alpha` and :math:`\beta`, and
# equation 7 adds them up as we did. What is missing is a loss that knows what a thing is and what a brush stroke is,
# and its gradient. For that we need functions of pixels that are a good deal longer than a square, a way to
# differentiate them, and, first of all, a way to know whether such a derivative is right. That is the next lesson.
#
# Exercises
# ---------
#
# 1. On paper: let the loss be :math:`\frac{1}{2} \sum_i m_i (x_i - p_i)^2` with a weight :math:`m_i \ge 0` for every
#    number of the picture. What is its gradient? By which factor does a step of gradient descent multiply
#    :math:`x_i - p_i` now, and for which :math:`\eta` does the walk not diverge?
# 2. On paper: why is the sum of all slopes of :math:`V` zero, in the example above and always? Which change of a
#    picture leaves :math:`V` as it is?
# 3. By experiment: take the weight 0.4 in ``two_wishes`` and find the largest step length, to two digits, with which
#    the loss keeps falling. Compare it with :math:`2 / (1 + 16 \cdot 0.4)`. What do the pictures look like shortly
#    above it, and can you explain the pattern by the slopes of :math:`V` of a single row?
# 4. In code: ``lessons/01_images/exercise.py`` asks for a first loss that is about style, the mean colour of a
#    picture, with its gradient (``mean_colour_loss``), and for gradient descent on any loss whatever (``descend``).
#    ``scratchnst check 1`` tells whether they are right and, if not, what is wrong.
