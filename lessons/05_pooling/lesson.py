r"""
Pooling: shrinking a picture, and the way back
==============================================

A network looks at a picture through small windows. To see more than a few pixels at a time it makes the picture
smaller, and looks again. *Pooling* halves height and width: of each square of two by two numbers it keeps one, either
their average or their maximum. VGG19 was trained with the maximum; the authors of the paper took the average, because
the pictures looked slightly better. Why should they? The two backwards, side by side, suggest an answer.

After this lesson you can

* write average and max pooling, and derive the backward of both;
* tell an adjoint from an inverse;
* say what happens at ties, and why they are common behind a ReLU;
* predict what a gradient looks like after several poolings, and give a reason for the paper's choice;
* deal with sizes that are odd.

It needs lessons 1 to 4.

=========================== ========================================================================================
symbol                      meaning
=========================== ========================================================================================
:math:`x`                   input, an array (N, H, W, C): N pictures, H rows, W columns, C channels
:math:`y`                   output, an array (N, H/2, W/2, C), halves rounded down
:math:`p, q`                row and column in the output
:math:`i, j`                row and column within a square of four, 0 or 1
:math:`r, s`                row and column in the input, :math:`r = 2p + i` and :math:`s = 2q + j`
``grad_y``, ``grad_x``      the slopes of the loss with respect to y and to x
:math:`A, A^T`              the matrix of average pooling, and its adjoint
:math:`F, P`                features of the picture and of the content
=========================== ========================================================================================
"""

import matplotlib.pyplot as plt
import numpy as np

from scratchnst.classroom import full_size, pictures, show_images
from scratchnst.losses import content_loss
from scratchnst.ops import average_pool, max_pool, relu
from scratchnst.verify import check_backward
from scratchnst.verify.methods.differences import central_differences
from scratchnst.verify.methods.kinks import pool_winners

# %%
# Why shrink?
# -----------
#
# The edges of the last lessons came from windows of two pixels. No stack of such windows of any reasonable height sees
# a whole sail. But halve the picture, and each pixel stands for four; halve it three times, and a window of two by two
# pixels covers sixteen by sixteen of the original ones. It is cheaper, too: each halving leaves a quarter of the
# numbers.
#
# In code a picture is from now on an array with four axes, (N, H, W, C), as everywhere in the package: a stack of N
# pictures with H rows, W columns and C channels. Channels need not be colours. Behind a few operations there is one for
# each feature. ``x[np.newaxis]`` makes a stack of one picture.

content, style = pictures(full_size(64, 32))
x = content[np.newaxis]

halved, shrinking = x, {"64 x 64" if x.shape[1] == 64 else "32 x 32": content}
for _ in range(3):
    halved, _ = average_pool.forward(halved)
    shrinking[f"{halved.shape[1]} x {halved.shape[2]}"] = halved[0]
show_images(shrinking)
plt.show()

assert halved.shape == (1, x.shape[1] // 8, x.shape[2] // 8, 3)
assert halved.size * 64 == x.size

# %%
# Average pooling
# ---------------
#
# Cut the picture into squares of two by two; each output is the mean of a square, in every picture :math:`n` and
# channel :math:`c` by itself:
#
# .. math::
#
#     y_{n,p,q,c} = \frac{1}{4} \sum_{i=0}^{1} \sum_{j=0}^{1} x_{n,\,2p+i,\,2q+j,\,c}
#
# By hand, for one picture with one channel:
#
# .. math::
#
#     x = \begin{pmatrix} 1 & 3 & 0 & 2 \\ 5 & 7 & 4 & 2 \\ 1 & 1 & 8 & 0 \\ 1 & 1 & 0 & 0 \end{pmatrix}
#     \quad\Longrightarrow\quad y = \begin{pmatrix} 4 & 2 \\ 1 & 2 \end{pmatrix}
#
# In code, the upper left pixels of all squares are ``x[:, 0::2, 0::2]``, every second row and every second column, and
# likewise for the other three.


def average_pool_forward(x):
    """Sizes are even here; the last section deals with the others."""
    return (x[:, 0::2, 0::2] + x[:, 0::2, 1::2] + x[:, 1::2, 0::2] + x[:, 1::2, 1::2]) / 4


by_hand = np.array([[1.0, 3, 0, 2], [5, 7, 4, 2], [1, 1, 8, 0], [1, 1, 0, 0]]).reshape(1, 4, 4, 1)
print(average_pool_forward(by_hand)[0, :, :, 0])
assert np.array_equal(average_pool_forward(by_hand)[0, :, :, 0], [[4, 2], [1, 2]])
assert np.allclose(average_pool_forward(x), average_pool.forward(x)[0])

# %%
# For the backward ask, as in lesson 3, who listens to one input. The pixel in row :math:`r` and column :math:`s` lies
# in one square only, the one with :math:`p = \lfloor r/2 \rfloor` and :math:`q = \lfloor s/2 \rfloor` (division by two,
# rounded down; in Python, ``r // 2``). It enters this one output with the factor 1/4. So in the chain rule
#
# .. math::
#
#     \frac{\partial L}{\partial x_{n,r,s,c}}
#     = \sum_{p,q} \frac{\partial L}{\partial y_{n,p,q,c}} \frac{\partial y_{n,p,q,c}}{\partial x_{n,r,s,c}}
#     = \frac{1}{4} \frac{\partial L}{\partial y_{n,\,\lfloor r/2 \rfloor,\,\lfloor s/2 \rfloor,\,c}}
#
# Every number of ``grad_y`` is spread over its square, a quarter for each of the four. By hand:
#
# .. math::
#
#     \text{grad}_y = \begin{pmatrix} 4 & 8 \\ -4 & 0 \end{pmatrix} \quad\Longrightarrow\quad
#     \text{grad}_x = \begin{pmatrix} 1 & 1 & 2 & 2 \\ 1 & 1 & 2 & 2 \\ -1 & -1 & 0 & 0 \\ -1 & -1 & 0 & 0
#     \end{pmatrix}
#
# With loops, as the definition says; the exercise asks for it without.


def average_pool_backward_loops(grad_y, x):
    """Each number of grad_y gives a quarter to each pixel of its square."""
    grad_x = np.zeros_like(x)
    for n, p, q, c in np.ndindex(*grad_y.shape):
        for i, j in np.ndindex(2, 2):
            grad_x[n, 2 * p + i, 2 * q + j, c] += grad_y[n, p, q, c] / 4
    return grad_x


grad_y = np.array([[4.0, 8], [-4, 0]]).reshape(1, 2, 2, 1)
grad_x = average_pool_backward_loops(grad_y, by_hand)
print(grad_x[0, :, :, 0])
assert np.array_equal(grad_x[0, :, :, 0], [[1, 1, 2, 2], [1, 1, 2, 2], [-1, -1, 0, 0], [-1, -1, 0, 0]])

_, cache = average_pool.forward(by_hand)
assert np.array_equal(average_pool.backward(grad_y, cache), grad_x)
print("what average pooling caches:", cache)

# %%
# Average pooling is linear, so its Jacobian is a matrix :math:`A` of constants, and all that backward needs from
# forward is the shape of :math:`x`. For pictures this small we can look at :math:`A`: four rows, one for each output,
# sixteen columns, one for each input, and four quarters in every row. The adjoint :math:`A^T` stands beside it. Its
# columns are the rows of :math:`A`: each output hands its slope back to the four inputs that it came from.

A = np.zeros((4, 16))
for column, unit in enumerate(np.eye(16)):
    A[:, column] = average_pool_forward(unit.reshape(1, 4, 4, 1)).reshape(-1)

_, grid = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", width_ratios=(16, 4))
for axes, matrix, name in ((grid[0], A, "A: 4 x 16"), (grid[1], A.T, "adjoint: 16 x 4")):
    axes.imshow(matrix, cmap="Blues", vmin=0, vmax=0.5)
    axes.set_title(name)
grid[0].set(xlabel="input, counted row by row", ylabel="output", yticks=range(4))
grid[1].set(xlabel="output", ylabel="input, counted row by row", xticks=range(4))
plt.show()

assert np.allclose(A @ by_hand.reshape(-1), [4, 2, 1, 2])
assert np.allclose(A.T @ grad_y.reshape(-1), grad_x.reshape(-1))

random = np.random.default_rng(0)
report = check_backward(average_pool.forward, average_pool.backward, [random.standard_normal((2, 4, 6, 3))])
print(report)
assert report.passed
assert report.inputs[0].adjoint < 1e-12

# %%
# The adjoint goes from small to large, but it is not the inverse, and it does not bring the picture back. Pool, and
# hand the result back: each pixel gets a quarter of its square's mean. Four times that is the picture with every square
# flattened to its mean. What was within a square is lost; and a slope does not need it, since the loss, behind the
# pooling, cannot see it either.
#
# .. math::
#
#     A A^T = \frac{1}{4} I, \qquad 4 A^T A = \text{"replace each square by its mean"}
#
# (The first, because an output of :math:`A` takes the mean of four quarters of one number: a quarter of it.)

y, cache = average_pool.forward(x)
flattened = 4 * average_pool.backward(y, cache)
show_images({"x": content, "y": y[0], "4 · backward(y)": flattened[0]})
plt.show()

assert np.allclose(A @ A.T, np.eye(4) / 4)
assert np.allclose(average_pool.forward(flattened)[0], y), "the loss sees no difference"
assert not np.allclose(flattened, x)

# %%
# Max pooling
# -----------
#
# The other kind keeps the largest number of each square, the *winner*:
#
# .. math::
#
#     y_{n,p,q,c} = \max_{i, j \in \{0, 1\}} x_{n,\,2p+i,\,2q+j,\,c}
#
# In the example above the winners are 7, 4, 1 and 8. For a feature that says how strongly something is present, that
# asks "is it anywhere in this square?", where the average asks "how much of it is there?".
#
# For the backward nudge one pixel. If it is the winner, :math:`y` moves along with it, with the slope 1. If it is one
# of the other three, :math:`y` does not feel a small nudge at all: slope 0. So each number of ``grad_y`` goes to its
# winner, whole, and the rest get nothing:
#
# .. math::
#
#     \frac{\partial L}{\partial x_{n,r,s,c}} =
#     \begin{cases}
#     \partial L / \partial y_{n,\,\lfloor r/2 \rfloor,\,\lfloor s/2 \rfloor,\,c}
#       & \text{if } (r, s) \text{ won its square} \\
#     0 & \text{otherwise}
#     \end{cases}
#
# Like a ReLU, a max pool is a switch, set by the picture and obeyed on the way back. What must be cached is who won, a
# number from 0 to 3 for each output: upper left, upper right, lower left, lower right.


def winner_of(square):
    """The number 0-3 of the largest of a 2x2 square, the first one if several are equal."""
    return int(np.argmax(square))  # argmax reads row by row and takes the first


def max_pool_backward_loops(grad_y, x):
    """Each number of grad_y goes to the winner of its square."""
    grad_x = np.zeros_like(x)
    for n, p, q, c in np.ndindex(*grad_y.shape):
        i, j = divmod(winner_of(x[n, 2 * p : 2 * p + 2, 2 * q : 2 * q + 2, c]), 2)
        grad_x[n, 2 * p + i, 2 * q + j, c] += grad_y[n, p, q, c]
    return grad_x


y, cache = max_pool.forward(by_hand)
shape, winner = cache
print("y =\n", y[0, :, :, 0], "\nwinners =\n", winner[0, :, :, 0])
print("grad_x =\n", max_pool_backward_loops(grad_y, by_hand)[0, :, :, 0])
assert np.array_equal(y[0, :, :, 0], [[7, 4], [1, 8]])
assert np.array_equal(winner[0, :, :, 0], [[3, 2], [0, 0]])
assert np.array_equal(max_pool.backward(grad_y, cache), max_pool_backward_loops(grad_y, by_hand))

# %%
# Ties
# ----
#
# In the lower left square of the example all four numbers are 1. Who has won? Look at two numbers, :math:`a = b`, and
# their maximum. Nudge :math:`a` up by :math:`h`, and the maximum rises by :math:`h`; nudge it down, and the maximum
# stays, because :math:`b` is still there. So the two slopes are 1 and 0: a tie is a kink. The central difference gives
# the mean, one half.
#
# One could be tempted to send ``grad_y`` to every pixel that equals the maximum. Then, if both go up together by
# :math:`h`, the gradient promises a rise of :math:`h + h`, but the maximum rises by :math:`h`: it would be counted
# twice. As with the ReLU there is a range of slopes that can be defended, all shares that add up to one, and one has to
# be agreed on: the first winner in reading order gets all.

tie = np.array([[2.0, 2.0], [0.0, 1.0]]).reshape(1, 2, 2, 1)
by_differences = central_differences(lambda x: max_pool.forward(x)[0].sum(), tie, step=1e-3)
by_backward = max_pool.backward(np.ones((1, 1, 1, 1)), max_pool.forward(tie)[1])
print("central differences:", by_differences.reshape(-1).round(6), " backward:", by_backward.reshape(-1))
assert np.allclose(by_differences.reshape(-1), [0.5, 0.5, 0, 0])
assert np.array_equal(by_backward.reshape(-1), [1, 0, 0, 0])

tied = random.standard_normal((1, 4, 6, 2))
tied[0, 0, 0] = tied[0, 0, 1] = 3  # a tie in the first square of each channel
report = check_backward(max_pool.forward, max_pool.backward, [tied], names=["x"], kinks=pool_winners)
print(report)
assert report.passed
assert report.inputs[0].kinks.not_judged == 4, "two pixels in each of two channels"

# %%
# Are ties rare? In our content two winners are equal in few squares (in more, if its numbers are rounded to 0, 1, ...
# 255, as they are in a file). Behind a ReLU ties are common, because whole squares are silent there, and zeros tie with
# zeros: with an edge detector of lesson 4 it is about a tenth of the squares.
#
# It does no harm. The winner of a silent square is a silent unit, and the ReLU before it lets nothing through on the
# way back. In the chain of both backwards it does not matter whom we agreed on.

grey = x @ np.array([[0.3], [0.6], [0.1]])  # (1, H, W, 1): one channel
edges = grey[:, :, 1:] - grey[:, :, :-1]
F, relu_cache = relu.forward(edges)
pooled, pool_cache = max_pool.forward(F)
silent = pooled == 0

two_largest = np.sort([content[i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=0)[2:]
tied_squares = np.mean(two_largest[0] == two_largest[1])
print(f"{tied_squares:.1%} of the squares of the content are tied, {np.mean(silent):.0%} of the detector's are silent")

grad_pooled = random.standard_normal(pooled.shape)
grad_edges = relu.backward(max_pool.backward(grad_pooled, pool_cache), relu_cache)
from_the_last = max_pool.backward(grad_pooled, (pool_cache[0], np.where(silent, 3, pool_cache[1])))  # another winner
assert np.mean(silent) > 0.05 > tied_squares
assert np.array_equal(relu.backward(from_the_last, relu_cache), grad_edges)

# %%
# Why the paper takes the average
# -------------------------------
#
# In its section 2 the paper reports that with average pooling in the place of max pooling the pictures come out
# slightly more appealing, and leaves it at that. (The first version of the paper, "A Neural Algorithm of Artistic
# Style", 2015, also speaks of a better flow of the gradient.) The two backwards suggest how that may come about. Pool a
# picture three times, and ask for the gradient of a *single* number at the end:
#
# * With averages each pooling spreads it over four pixels, a quarter for each. In the end all 64 pixels that this
#   number has seen get 1/64.
# * With maxima it goes to the winner of the winner of the winner: one pixel of the 64 gets 1, the others 0.
#
# Either way the slopes add up to 1, but one tells all pixels a little, the other tells one pixel everything. The figure
# shows both for a number in the middle: the white square on the left is the region that it sees, and on the right a
# single pixel of the same region is left. (Each is drawn from black, zero, to white, its largest slope.)


def pool_three_times(pool, x):
    """Three poolings, and their caches."""
    caches = []
    for _ in range(3):
        x, cache = pool.forward(x)
        caches.append(cache)
    return x, caches


def back_three_times(pool, grad, caches):
    for cache in reversed(caches):
        grad = pool.backward(grad, cache)
    return grad


seen = {}
for name, pool in (("average", average_pool), ("max", max_pool)):
    F, caches = pool_three_times(pool, x)
    grad_F = np.zeros_like(F)
    middle = F.shape[1] // 2
    grad_F[0, middle, middle, 0] = 1  # a loss that is this one number
    grad_x = back_three_times(pool, grad_F, caches)
    around = slice(8 * middle - 4, 8 * middle + 12)  # the eight rows or columns that it sees, and four on each side
    seen[f"{name}: {np.count_nonzero(grad_x)} of 64, each {grad_x.max():.3g}"] = grad_x[0, around, around, 0]
    print(f"{name:8}: {np.count_nonzero(grad_x)} pixels, largest {grad_x.max():.4f}, sum {grad_x.sum():.4f}")
    assert np.isclose(grad_x.sum(), 1)
    assert np.count_nonzero(grad_x) == {"average": 64, "max": 1}[name]
show_images(seen)
plt.show()

# %%
# And what does a walk make of it? Start from noise, and let the loss compare the picture with the content behind three
# poolings, equation 1 of the paper once more. The step lengths differ, so that the walks are equally fast. By
# :math:`A A^T = I/4`, three times, a step :math:`\eta` opposite to the gradient multiplies :math:`F - P` by
# :math:`1 - \eta/64`; with maxima it is :math:`1 - \eta`, as long as the winners stay the same. So :math:`\eta = 32`
# for the one and 0.5 for the other halve :math:`F - P` in each step.
#
# Both walks bring their loss down. But look at the pictures. With averages every square of eight by eight has moved as
# a whole to the right colour, with the noise on top left alone. With maxima only the winners have moved. Where the
# content is brighter than the noise, that is one bright dot in a square. Where it is darker, as in the grass and the
# trees, the winner is pushed down until another number wins, which is pushed down in turn: the noise is cut off from
# above. The rest is still noise, and a loss that sees winners only is satisfied.

start = 127.5 + random.normal(0, 20, x.shape)
results, losses = {"content": content, "start": start[0]}, {}
for name, pool, step in (("average", average_pool, 32), ("max", max_pool, 0.5)):
    P, _ = pool_three_times(pool, x)
    moving = start
    for _ in range(full_size(300, 100)):
        F, caches = pool_three_times(pool, moving)
        L, loss_cache = content_loss.forward(F, P)
        losses.setdefault(name, []).append(L)
        moving = moving - step * back_three_times(pool, content_loss.backward(1.0, loss_cache), caches)
    results[name] = moving[0]
show_images(results)
plt.show()

moved = {name: np.mean(results[name] != start[0]) for name in losses}
print({name: f"{share:.0%} of the numbers have moved" for name, share in moved.items()})
print({name: f"loss {trace[0]:.0f} -> {trace[-1]:.3g}" for name, trace in losses.items()})
assert all(trace[-1] < 0.01 * trace[0] for trace in losses.values())
assert moved["average"] == 1
assert moved["max"] < 0.25

# %%
# Odd sizes
# ---------
#
# Five rows make two squares and leave a row over. There are several customs; VGG's, and the package's, is to leave the
# last row or column out. Then no output listens to it, and its slopes are zero. This is why the shape of :math:`x` has
# to be cached: an output with two rows may come from four or from five.

odd = np.arange(25.0).reshape(1, 5, 5, 1)
for pool in (average_pool, max_pool):
    y, cache = pool.forward(odd)
    grad_x = pool.backward(np.ones_like(y), cache)
    print(pool.__name__.split(".")[-1], y.shape, "->", grad_x.shape)
    print(grad_x[0, :, :, 0])
    assert y.shape == (1, 2, 2, 1)
    assert grad_x.shape == odd.shape
    assert (grad_x[:, -1] == 0).all()
    assert (grad_x[:, :, -1] == 0).all()
    assert check_backward(pool.forward, pool.backward, [random.standard_normal((2, 5, 7, 3))]).passed

# %%
# With several poolings the rows left over add up. A picture of 63 rows has 31, 15, 7, 3 and 1 after five of them, and
# the last one stands for 32 rows. If nothing but poolings came in between, the lower 31 would not be seen at all.
#
# Of VGG19 only one operation is missing now, the one that does all the work: convolution. It takes two lessons.
#
# Exercises
# ---------
#
# 1. On paper: a chain of :math:`k` average poolings is one linear operation. Which one? What is its adjoint, and how
#    long is ``grad_x``, measured by :math:`\|\text{grad}_x\|`, compared with ``grad_y``, for one pooling and for
#    :math:`k`? And with maxima?
# 2. On paper: pooling that keeps the *root mean square* of each four numbers, the root of the mean of their squares.
#    Derive its backward. Where does it have a kink? For numbers that are not negative, show that it lies between the
#    average and the maximum.
# 3. By experiment: in the walk with maxima, start from the style picture instead of noise. Then start from a flat
#    picture. Explain what you see by the rule for ties.
# 4. In code: ``lessons/05_pooling/exercise.py`` asks for the backward of average pooling
#    (``average_pool_backward``) and for max pooling, forward and backward (``max_pool_forward``,
#    ``max_pool_backward``), without loops over pixels and for odd sizes, too. ``scratchnst check 5`` tells whether they
#    are right.
