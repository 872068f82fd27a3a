r"""
Padding, strides, upsampling: changing a picture's size
=======================================================

A network that paints a picture makes it smaller on the way in, so that its kernels see more of it at less cost, and
larger again on the way out. Three linear operations do this: padding adds pixels around a picture, a stride leaves
pixels out, and upsampling repeats pixels. Each of them is a matrix, and each backward is the transposed matrix. One of
these transposed matrices serves as a layer of its own, the *transposed convolution*. It tends to paint checkerboards,
and this lesson shows where they come from.

After this lesson you can

* write reflection padding, a convolution with a stride and nearest upsampling as matrices, forward and back,
* derive each backward by the question which outputs read a pixel, and test it by the adjoint identity,
* say what a transposed convolution is, and count the terms that each of its outputs sums,
* explain the checkerboard by these counts, measure it, and avoid it,
* compare what zeros and what mirrors around a picture do to its border.

It needs lesson 3 (adjoint), lesson 5 (pooling) and lessons 6 and 7 (convolution and its backward).

===========================  ==================================================================================
symbol                       meaning
===========================  ==================================================================================
:math:`x, y`                 input (N, H, W, C) and output of an operation; in a row of pixels, :math:`x_u, y_p`
:math:`g`                    the upstream gradient dL/dy; ``grad_y`` in the code
:math:`A, A^T`               an operation's matrix, :math:`y = A x`, and the transposed matrix
:math:`r`                    how many pixels are added on each side
:math:`m(i)`                 the pixel that the mirror shows at place :math:`i`
:math:`s`                    the stride: how many pixels it is from one window to the next
:math:`w, b`                 kernel (kh, kw, C, K) and bias (K,), as in lesson 6; :math:`w_0, w_1, w_2` in a row
:math:`G`                    the upstream gradient with zeros between its numbers
:math:`f`                    a frequency, in periods a pixel: from 0, constant, to 1/2, alternating
===========================  ==================================================================================
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter

from scratchnst.classroom import full_size, pictures, show_images
from scratchnst.models import transform_net
from scratchnst.ops import average_pool, conv2d, reflection_pad, strided_conv2d, upsample
from scratchnst.verify import check_backward

# %%
# Three maps, three matrices
# --------------------------
#
# Take a row of pixels, and do the three things to it.
#
# * *Reflection padding* by :math:`r = 2`: four pixels a b c d become c b a b c d c b. The two that are added on each
#   side are what a mirror shows that stands on the outermost pixel.
# * *Nearest upsampling*: a b c d becomes a a b b c c d d.
# * *A convolution with stride 2*: of the windows that a kernel of three weights has in five pixels, every second one,
#   :math:`y_0 = w_0 x_0 + w_1 x_1 + w_2 x_2` and :math:`y_1 = w_0 x_2 + w_1 x_3 + w_2 x_4`.
#
# All three are linear, :math:`y = A x`. Column :math:`u` of :math:`A` is what happens to a single 1 at pixel
# :math:`u`, so the matrix can be made by trying out. By lesson 3 the backward is :math:`A^T g`. Read a row of the upper
# matrices as "which pixels does this output read?" and a row of the lower ones as "which outputs read this pixel?".

weights = np.array([1.0, 3, -2])


def reflect_row(x, r=2):
    return np.concatenate([x[r:0:-1], x, x[-2 : -2 - r : -1]])


def upsample_row(x):
    return np.repeat(x, 2)


def convolve_row_by_two(x):
    return np.array([weights @ x[start : start + 3] for start in range(0, len(x) - 2, 2)])


def matrix_of(operation, pixels):
    """The matrix of a linear operation: its columns are what it makes of each unit vector."""
    return np.stack([operation(unit) for unit in np.eye(pixels)], axis=1)


matrices = {
    "reflection by 2": matrix_of(reflect_row, 4),
    "upsampling": matrix_of(upsample_row, 4),
    "stride 2, kernel (1, 3, -2)": matrix_of(convolve_row_by_two, 5),
}


def draw_numbers(axes, numbers, title, colors="RdBu_r", low=-2, digits=0):
    """A matrix or a small picture, with its numbers on colours that are not too dark for them."""
    largest = np.abs(numbers).max()
    axes.imshow(numbers, cmap=colors, vmin=low * largest, vmax=2 * largest)
    for (row, column), number in np.ndenumerate(numbers):
        color = "black" if number else "lightgrey"
        axes.text(column, row, f"{number:.{digits}f}", ha="center", va="center", size=8, color=color)
    axes.set_title(title, loc="left")
    axes.set(xticks=[], yticks=[])


_, grid = plt.subplots(2, 3, figsize=(9, 6.2), layout="constrained", height_ratios=(8, 5))
for (name, A), (forward, back) in zip(matrices.items(), grid.T):
    draw_numbers(forward, A, f"{name}\nA, {A.shape[0]} x {A.shape[1]}")
    draw_numbers(back, A.T, f"transposed, {A.shape[1]} x {A.shape[0]}")
    forward.set(xlim=(-0.5, 4.5), ylim=(7.5, -0.5))
    back.set(xlim=(-0.5, 7.5), ylim=(4.5, -0.5))
for axes in grid.flat:
    axes.set_frame_on(False)
    axes.set_anchor("NW")
plt.show()

x = np.array([1.0, 2, 0, -1, 3])
print("y =", matrices["stride 2, kernel (1, 3, -2)"] @ x)
assert np.array_equal(matrices["stride 2, kernel (1, 3, -2)"] @ x, [1 + 6 - 0, 0 - 3 - 6])
assert np.array_equal(matrices["reflection by 2"] @ [1, 2, 3, 4], [3, 2, 1, 2, 3, 4, 3, 2])
assert all((A.sum(axis=1) == 1).all() for A in list(matrices.values())[:2]), "these two read one pixel for each output"

# %%
# Nobody makes these matrices in earnest: for a picture they would have as many columns as it has numbers. So what can
# be tested is not the matrix but the two functions that stand for it, by the adjoint identity of lesson 3:
#
# .. math::
#
#     \langle A v, g \rangle = \langle v, A^T g \rangle
#
# for random :math:`v` and :math:`g`. All backwards of this lesson have to pass it.


def adjoint_error(forward, backward, v):
    """Relative difference of the two sides of the adjoint identity, for a random g."""
    y = forward(v)
    g = random.standard_normal(y.shape)
    ahead, back = np.sum(y * g), np.sum(v * backward(g))
    return abs(ahead - back) / max(abs(ahead), abs(back))


random = np.random.default_rng(0)
for name, A in matrices.items():
    error = adjoint_error(lambda v, A=A: A @ v, lambda g, A=A: A.T @ g, random.standard_normal(A.shape[1]))
    print(f"{name}: {error:.1e}")
    assert error < 1e-12

# %%
# Mirrors at the edges
# --------------------
#
# A convolution without padding makes a picture smaller. To keep its size something must stand around it. Reflection
# padding shows at row :math:`i` the row
#
# .. math::
#
#     m(i) = \begin{cases}
#     -i & \text{if } i < 0 \\
#     i & \text{if } 0 \le i < H \\
#     2(H - 1) - i & \text{if } i \ge H
#     \end{cases}
#
# and likewise for columns, each axis on its own:
#
# .. math::
#
#     y[n, p, q, c] = x[n, m(p - r), m(q - r), c]
#
# The outermost pixel itself is not repeated: row -1 shows row 1. So there are :math:`H - 1` rows to be shown, and
# :math:`r` can be at most that.
#
# For the backward ask which outputs show pixel :math:`u`: all :math:`p` with :math:`m(p - r) = u`. The first case of
# :math:`m` gives :math:`p = r - u`, for :math:`1 \le u \le r`; the second :math:`p = r + u`, for all :math:`u`; the
# third :math:`p = r + 2(H - 1) - u`, for :math:`H - 1 - r \le u \le H - 2`. In the row c b a b c d c b the pixel b
# stands at three places, so with :math:`g = (1, 2, \dots, 8)` its gradient is :math:`2 + 4 + 8 = 14`. The others: a
# gets 3, c gets :math:`1 + 5 + 7 = 13`, d gets 6.
#
# In code: take the middle of :math:`g`, which is the picture itself; turn over what was added on each side, and add it
# to the rows that it shows. That is a *fold*, as of a strip of paper. A picture is folded along its rows, and what
# comes out is folded along its columns. This takes care of the corners, which were mirrored twice.


def fold(g, r):
    """The backward of reflection along axis 1 of (N, H + 2r, W, C)."""
    end = g.shape[1] - r
    height = end - r
    grad_x = g[:, r:end].copy()
    grad_x[:, 1 : 1 + r] += g[:, :r][:, ::-1]
    grad_x[:, height - 1 - r : height - 1] += g[:, end:][:, ::-1]
    return grad_x


def reflect_backward(g, r):
    of_rows = fold(g, r)
    return fold(of_rows.swapaxes(1, 2), r).swapaxes(1, 2)


def reflect(x, r):
    return reflection_pad.forward(x, r, r)[0]


by_hand = fold(np.arange(1.0, 9).reshape(1, 8, 1, 1), 2).ravel()
print("grad_x =", by_hand)
assert np.array_equal(by_hand, [3, 14, 13, 6])
assert np.array_equal(by_hand, matrices["reflection by 2"].T @ np.arange(1, 9))
x = random.standard_normal((2, 5, 6, 3))
assert adjoint_error(lambda x: reflect(x, 3), lambda g: reflect_backward(g, 3), x) < 1e-12
report = check_backward(lambda x: (reflect(x, 2), None), lambda g, _: reflect_backward(g, 2), [x])
print(report)
assert report.passed

# %%
# How often a pixel is read
# -------------------------
#
# Hand back a gradient of ones, and each pixel gets the number of places at which it is shown. In the figure on the
# left, for a margin of 3, that is 1 in the middle, 2 in three rows beside an edge, and 4 near a corner. The outermost
# row is shown only once.
#
# What follows the padding is a convolution; here one of 5x5 pixels, behind a margin of 2. How many of its windows read
# each pixel? In the middle, 25. With zeros around the picture (in the middle of the figure) the windows beyond the edge
# are missing: 15 along an edge and 9 in a corner. With mirrors (on the right) the outermost pixel keeps these numbers,
# and the two next to it are read 30 times along an edge and 36 times near a corner. Each output reads 25 places. What
# it reads of the margin is lost with zeros; with mirrors it counts for the pixels that are shown there.
#
# The gradient's size follows these numbers: where a picture is optimised through a reflected convolution, the rows
# beside an edge accumulate the gradient of what is shown twice. It is no mistake: these pixels do change more outputs.

side = 12
shown = reflect_backward(np.ones((1, side + 6, side + 6, 1)), 3)[0, :, :, 0]
ones = np.ones((5, 5, 1, 1))
read_by_windows = strided_conv2d.transposed(np.ones((1, side, side, 1)), ones, 1, (1, side + 4, side + 4, 1))
with_zeros = read_by_windows[0, 2:-2, 2:-2, 0]  # the gradient of the zeros themselves is dropped
with_mirrors = reflect_backward(read_by_windows, 2)[0, :, :, 0]

_, grid = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
draw_numbers(grid[0], shown, "shown by a margin of 3", "Blues", low=0)
draw_numbers(grid[1], with_zeros, "read by 5x5 windows, zeros around", "Blues", low=0)
draw_numbers(grid[2], with_mirrors, "read by 5x5 windows, mirrors around", "Blues", low=0)
plt.show()

assert shown.sum() == (side + 6) ** 2
assert (shown[0, 0], shown[0, 1], shown[1, 1], shown[6, 6]) == (1, 2, 4, 1)
assert np.array_equal(with_zeros[0, :4], [9, 12, 15, 15])
assert np.array_equal(with_mirrors[:4, 6], [15, 30, 30, 25])
assert with_mirrors[1, 1] == 36
assert with_mirrors.sum() == 25 * side**2 > with_zeros.sum()

# %%
# Upsampling: each pixel four times
# ---------------------------------
#
# Nearest upsampling makes a square of 2x2 pixels of each pixel:
#
# .. math::
#
#     y[n, p, q, c] = x[n, \lfloor p/2 \rfloor, \lfloor q/2 \rfloor, c]
#
# Which outputs show :math:`x[n, u, v, c]`? The four with :math:`\lfloor p/2 \rfloor = u` and
# :math:`\lfloor q/2 \rfloor = v`, each with the slope 1. So the backward adds up the four gradients of each square:
#
# .. math::
#
#     \frac{\partial L}{\partial x[n, u, v, c]} = \sum_{i,j \in \{0, 1\}} g[n, 2u + i, 2v + j, c]
#
# A sum, not a mean. Compare lesson 5: average pooling takes a quarter of this sum forward, and hands back a quarter to
# each pixel of the square. With :math:`P` for pooling and :math:`U` for upsampling, :math:`P = U^T/4` and
# :math:`U = 4 P^T`: up to the factor 4, each is the backward of the other.


def upsample_backward(g):
    return g[:, 0::2, 0::2] + g[:, 0::2, 1::2] + g[:, 1::2, 0::2] + g[:, 1::2, 1::2]


def upsampled(x):
    return upsample.forward(x)[0]


x = random.standard_normal((2, 4, 6, 3))
print(f"adjoint identity: {adjoint_error(upsampled, upsample_backward, x):.1e}")
g = random.standard_normal(upsampled(x).shape)
pooled, cache = average_pool.forward(g)
assert adjoint_error(upsampled, upsample_backward, x) < 1e-12
assert np.allclose(pooled, upsample_backward(g) / 4), "P = U^T / 4"
assert np.allclose(upsampled(x), 4 * average_pool.backward(x, cache)), "U = 4 P^T"

# %%
# A convolution with a stride
# ---------------------------
#
# With the stride :math:`s` window :math:`(p, q)` begins at pixel :math:`(s p, s q)`. There is nothing around the image
# here; where something is wanted, pad before.
#
# .. math::
#
#     y[n, p, q, k] = b[k] + \sum_{i,j,c} x[n, s p + i, s q + j, c] \, w[i, j, c, k]
#
# The last window must lie within the image, :math:`s p + kh \le H`. So there are
# :math:`\lfloor (H - kh)/s \rfloor + 1` rows of windows, and up to :math:`s - 1` rows of pixels at the end that no
# window reads.
#
# Lesson 6 went through the kernel's places :math:`(i, j)` and added shifted images. That needs one change: the pixels
# that meet :math:`w[i, j]` lie :math:`s` apart, which is a slice with a step.


def strided_forward(x, w, b, s):
    kh, kw = w.shape[:2]
    height, width = (x.shape[1] - kh) // s + 1, (x.shape[2] - kw) // s + 1
    y = np.zeros((len(x), height, width, w.shape[3]))
    for i, j in np.ndindex(kh, kw):
        y += x[:, i : i + s * height : s, j : j + s * width : s] @ w[i, j]
    return y + b


x, w, b = random.standard_normal((2, 8, 9, 3)), random.standard_normal((3, 3, 3, 4)), random.standard_normal(4)
y = strided_forward(x, w, b, 2)
print(x.shape, "->", y.shape)
assert np.allclose(y, strided_conv2d.forward_loops(x, w, b, 2))
every = strided_forward(x, w, b, 1)
assert np.allclose(y, every[:, ::2, ::2]), "every second window of those with stride 1"

# %%
# Back through the stride: zeros between
# --------------------------------------
#
# First the row of five pixels. Which windows read :math:`x_u`?
#
# .. math::
#
#     \begin{aligned}
#     y_0 &= w_0 x_0 + w_1 x_1 + w_2 x_2 \\
#     y_1 &= \phantom{w_0 x_0 + w_1 x_1 +{}} w_0 x_2 + w_1 x_3 + w_2 x_4
#     \end{aligned}
#
# An odd :math:`u` is read by one window, through :math:`w_1`. An even one is read by two, through :math:`w_2` and
# :math:`w_0`, except for the first and the last. So with :math:`g = (2, 5)` and :math:`w = (1, 3, -2)`:
#
# .. math::
#
#     \frac{\partial L}{\partial x} = (w_0 g_0,\; w_1 g_0,\; w_2 g_0 + w_0 g_1,\; w_1 g_1,\; w_2 g_1)
#     = (2, 6, 1, 15, -10)
#
# One formula for both kinds of pixels is found by putting zeros between the numbers of :math:`g`,
# :math:`G = (g_0, 0, g_1)`: with stride 1 there would be a window in between, and a window that is left out has the
# gradient zero. From here on it is lesson 7: a convolution of :math:`G` with the flipped kernel.
#
# .. math::
#
#     G[n, s p, s q, k] = g[n, p, q, k], \qquad 0 \text{ at all other places}
#
# .. math::
#
#     \frac{\partial L}{\partial x[n, u, v, c]} = \sum_{i,j,k} G[n, u - i, v - j, k] \, w[i, j, c, k]
#
# The sum counts :math:`G` backwards, so flip the kernel, :math:`i = kh - 1 - i'`, as there; and :math:`c`, which was
# summed over, now numbers the results, so exchange the kernel's channels. The figure goes through the three steps for a
# row of four gradients.

g_row = np.array([2.0, 5, -1, 3])
G = np.zeros(2 * len(g_row) - 1)
G[::2] = g_row
around = np.pad(G, 2)  # kh - 1 zeros at either end
grad_row = np.array([weights[::-1] @ around[u : u + 3] for u in range(len(around) - 2)])

_, axes = plt.subplots(figsize=(9, 2.8), layout="constrained")
steps = (
    ("g", g_row, 2, 2, "lightsalmon"),
    ("G: zeros between", G, 2, 1, "lightsalmon"),
    ("zeros around", around, 0, 1, "lightsalmon"),
    ("grad_x: convolved with (-2, 3, 1)", grad_row, 1, 1, "lightblue"),
)
for line, (name, numbers, start, step, color) in enumerate(steps):
    axes.text(-1, -line, name, ha="right", va="center")
    for place, number in enumerate(numbers):
        box = {"boxstyle": "square", "facecolor": color if number else "white"}
        axes.text(start + step * place, -line, f"{number:.0f}", ha="center", va="center", bbox=box)
axes.set(xlim=(-7, 11), ylim=(-3.6, 0.6))
axes.axis("off")
plt.show()

print("grad_x =", grad_row)
assert np.array_equal(grad_row, matrix_of(convolve_row_by_two, 9).T @ g_row)
assert np.array_equal(matrix_of(convolve_row_by_two, 5).T @ g_row[:2], [2, 6, 1, 15, -10])

# %%
# How many zeros stand around :math:`G`? Before it :math:`kh - 1` rows, because the window of the flipped kernel at row
# 0 has its last weight on :math:`g_0`; after it so many that :math:`H` rows come out. The array has
# :math:`H + kh - 1` rows, and :math:`g_p` lies at row :math:`s p + kh - 1` of it. Pixels that no window reads find
# zeros alone: their gradient is 0.
#
# dL/dw asks which pixel :math:`w[i, j, c, k]` meets in each output. That is the slice with a step of the forward, and
# nothing is flipped. The bias collects all of :math:`g`.
#
# .. math::
#
#     \begin{aligned}
#     \frac{\partial L}{\partial w[i, j, c, k]} &= \sum_{n,p,q} x[n, s p + i, s q + j, c] \, g[n, p, q, k] \\
#     \frac{\partial L}{\partial b[k]} &= \sum_{n,p,q} g[n, p, q, k]
#     \end{aligned}


def transposed(g, w, s, height, width):
    """dL/dx (N, H, W, C): zeros between, then the convolution with the flipped kernel."""
    kh, kw, channels, outputs = w.shape
    G = np.zeros((len(g), height + kh - 1, width + kw - 1, outputs))
    G[:, kh - 1 : height : s, kw - 1 : width : s] = g
    return strided_forward(G, w[::-1, ::-1].swapaxes(2, 3), np.zeros(channels), 1)


def strided_backward(g, x, w, s):
    """dL/dx, dL/dw and dL/db."""
    (kh, kw, channels, outputs), (height, width) = w.shape, g.shape[1:3]
    grad_w = np.zeros(w.shape)
    for i, j in np.ndindex(kh, kw):
        met = x[:, i : i + s * height : s, j : j + s * width : s]
        grad_w[i, j] = met.reshape(-1, channels).T @ g.reshape(-1, outputs)
    return transposed(g, w, s, *x.shape[1:3]), grad_w, g.sum(axis=(0, 1, 2))


g = random.standard_normal(y.shape)
by_loops = strided_conv2d.backward_loops(g, x, w, 2)  # y += x w, one product at a time, reversed
assert all(np.allclose(*pair) for pair in zip(strided_backward(g, x, w, 2), by_loops))
assert (by_loops[0][:, -1] == 0).all(), "the last of 8 rows is read by no window"

report = check_backward(
    lambda x, w, b: (strided_forward(x, w, b, 2), (x, w)),
    lambda g, cache: strided_backward(g, *cache, 2),
    [x, w, b],
    names=["x", "w", "b"],
)
print(report)
assert report.passed

# %%
# There is a shorter way to the zeros. A convolution with a stride is a convolution with stride 1, :math:`T`, of whose
# outputs :math:`S` keeps every second one: :math:`y = S T x`. Transposing a product exchanges its factors:
#
# .. math::
#
#     (S T)^T = T^T S^T
#
# :math:`S^T` comes first. It puts each number back to the place that it was taken from and leaves zeros at the others.
# Then :math:`T^T` is the backward of lesson 7.

T = matrix_of(lambda x: np.array([weights @ x[start : start + 3] for start in range(7)]), 9)
S = matrix_of(lambda y: y[::2], 7)
print("S^T g =", S.T @ g_row)
assert np.array_equal(S @ T, matrix_of(convolve_row_by_two, 9))
assert np.array_equal(S.T @ g_row, G)
assert np.array_equal(T.T @ (S.T @ g_row), grad_row)

# %%
# The transposed convolution, and its checkerboard
# ------------------------------------------------
#
# A backward is a linear map like any other. The map :math:`A^T` of a convolution with stride 2 takes a small image to
# one about twice as large, with a kernel that can be trained. Used as a layer of a network it is called a *transposed
# convolution*. (Some call it a deconvolution, but it does not undo a convolution: :math:`A^T A` is not the identity.)
#
# How many terms does each of its outputs sum? As many windows as read this pixel in the convolution that it is the
# transposed of. In a row, by the two equations above, that is two for an even pixel and one for an odd pixel. In a
# picture the counts of rows and columns multiply: 4, 2 or 1. In the figure a kernel of ones counts them, on the left.
# (In the first row and column there are fewer, because no window lies before the first.) In the middle of the figure
# the kernel is random, as it is before training, and the input is constant: the four kinds of places get four different
# sums of weights,
#
# .. math::
#
#     \begin{aligned}
#     & w_{00} + w_{02} + w_{20} + w_{22}, && w_{01} + w_{21}, \\
#     & w_{10} + w_{12}, && w_{11}
#     \end{aligned}
#
# and a pattern with a period of two pixels comes out. On the right the constant input was upsampled first, and the same
# kernel convolved it with stride 1. Every window then sums all nine weights, and the output is constant.

constant = np.ones((1, 6, 6, 1))
untrained = random.standard_normal((3, 3, 1, 1))


def upsampled_by_transposed(x, w):
    """Twice the size: a transposed convolution with stride 2, less its last row and column."""
    height, width = 2 * x.shape[1], 2 * x.shape[2]
    return transposed(x, w, 2, height + 1, width + 1)[:, :height, :width]


def upsampled_by_repeating(x, w):
    """Twice the size: nearest upsampling, then a convolution with stride 1."""
    return strided_forward(reflect(upsampled(x), 1), w, np.zeros(w.shape[3]), 1)


counts = upsampled_by_transposed(constant, np.ones((3, 3, 1, 1)))[0, :, :, 0]
board = upsampled_by_transposed(constant, untrained)[0, :, :, 0]
flat = upsampled_by_repeating(constant, untrained)[0, :, :, 0]
_, grid = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
draw_numbers(grid[0], counts, "transposed, kernel of ones: terms", "Blues", low=0)
draw_numbers(grid[1], board, "transposed, random kernel", digits=1)
draw_numbers(grid[2], flat, "upsampled, then the same kernel", digits=1)
plt.show()

k = untrained[:, :, 0, 0]
assert np.array_equal(counts[2:4, 2:4], [[4, 2], [2, 1]])
assert np.allclose(board[2:4, 2:4], [[k[::2, ::2].sum(), k[::2, 1].sum()], [k[1, ::2].sum(), k[1, 1]]])
assert np.allclose(flat, k.sum()), "constant"

# %%
# The same with a picture, made smooth before, so that whatever alternates from pixel to pixel was made by the layer.
# How much is that? A picture is a sum of waves, and the Fourier transform, ``np.fft.fft2``, says how strong each of
# them is. The highest frequency along an axis is :math:`f = 1/2`, half a period a pixel: up and down from one pixel to
# the next. We measure the share of the energy, the sum of the squares of all waves but the constant one, at
# :math:`f > 3/8` along either axis. (The picture is faded out towards its border, because the transform takes it for
# periodic, and a jump from one border to the opposite one would count as a high frequency.)
#
# For 100 random kernels the median of this share is more than eight tenths for the transposed convolution, and about
# one part in a hundred for upsampling and convolution with the same kernels. The figure shows what the kernel in the
# middle of the 100 makes of a part of the picture, with its share.

side = full_size(96, 64)
grey = pictures(side)[0].mean(axis=2)
smooth = gaussian_filter(grey - grey.mean(), 1.5)[None, :, :, None]


def high_share(picture):
    """The share of the energy of a picture (1, H, W, 1) at frequencies above 3/8 along either axis."""
    picture = picture[0, :, :, 0]
    fade = np.outer(*(np.hanning(length) for length in picture.shape))
    energy = np.abs(np.fft.fft2(fade * (picture - np.average(picture, weights=fade)))) ** 2
    rows, columns = (np.abs(np.fft.fftfreq(length)) for length in picture.shape)
    return energy[np.maximum(rows[:, None], columns) > 3 / 8].sum() / energy.sum()


kernels = random.standard_normal((100, 3, 3, 1, 1))
shares = {
    layer.__name__: np.array([high_share(layer(smooth, w)) for w in kernels])
    for layer in (upsampled_by_transposed, upsampled_by_repeating)
}
for name, found in shares.items():
    print(f"{name}: {np.median(found):.2%} at high frequencies, the median of 100 kernels")

middle = kernels[np.argsort(shares["upsampled_by_transposed"])[50]]
made = {
    "transposed": upsampled_by_transposed(smooth, middle),
    "upsampled, convolved": upsampled_by_repeating(smooth, middle),
}
part = slice(side // 4, side * 3 // 4)  # in the middle of the input; twice as far in the others
twice = slice(2 * part.start, 2 * part.stop)
panels = {f"input: {high_share(smooth):.1%}": smooth[0, part, part, 0]}
for name, image in made.items():
    panels[f"{name}: {high_share(image):.1%}"] = image[0, twice, twice, 0]
show_images(panels)
plt.show()

assert high_share(smooth) < 1e-4
assert np.median(shares["upsampled_by_transposed"]) > 0.5
assert np.median(shares["upsampled_by_repeating"]) < 0.02
assert np.mean(shares["upsampled_by_transposed"] > shares["upsampled_by_repeating"]) > 0.95

# %%
# Zeros bring a copy along
# ------------------------
#
# Counting terms explains a constant input. What of a wave, :math:`x_u = \cos(2 \pi \cdot 2f u)`? Put zeros between its
# numbers. At even :math:`p = 2u` stands :math:`\cos(2 \pi f p)`, which is the wave stretched to twice its length, as is
# wanted; at odd :math:`p` stands 0. The factor :math:`(1 + (-1)^p)/2` is 1 for even and 0 for odd :math:`p`, so
#
# .. math::
#
#     G_p = \tfrac12 \cos(2 \pi f p) + \tfrac12 (-1)^p \cos(2 \pi f p)
#
# The second half is a wave, too. Since :math:`(-1)^p = \cos(\pi p)` and :math:`\sin(\pi p) = 0`,
#
# .. math::
#
#     (-1)^p \cos(2 \pi f p) = \cos(\pi p - 2 \pi f p) = \cos\big(2 \pi (\tfrac12 - f)\, p\big)
#
# Every wave has a copy of the same strength, and if it is slow, its copy is fast. A bright sky, nearly constant, has
# its copy near 1/2: a checkerboard as strong as the sky is bright. Only the kernel can remove it. A convolution
# multiplies the wave of frequency :math:`f` by a number, its *response*, of the size
#
# .. math::
#
#     R(f) = \Big| \sum_j w_j\, e^{-2 \pi i f j} \Big|, \qquad
#     R(0) = |w_0 + w_1 + w_2|, \quad R(\tfrac12) = |w_0 - w_1 + w_2|
#
# (:math:`i` is the imaginary unit here.) The copy of a constant row disappears if :math:`R(1/2) = 0`, which says
# :math:`w_0 + w_2 = w_1`: the two kinds of sums that were counted above are equal. An untrained kernel has no reason to
# obey this, and nothing but the loss leads a trained one there.
#
# To repeat pixels is the same as to put zeros between and to convolve with (1, 1). The response of (1, 1) at 1/2 is
# :math:`1 - 1 = 0`, and near 1/2 it is small, as the figure shows. So upsampling removes the copy of a constant, and
# most of the copies of slow waves, before any trained kernel comes. A later convolution multiplies what is there and
# cannot bring back what is gone. (1/2, 1, 1/2) interpolates linearly between pixels. It removes the copies better
# still; as the kernel of a transposed convolution it paints no checkerboard.
#
# In the figure each curve is drawn up to its largest value.


def response(w, f):
    return np.abs(np.exp(-2j * np.pi * np.outer(f, np.arange(len(w)))) @ w)


f = np.linspace(0, 0.5, 101)
_, axes = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
for w in random.standard_normal((6, 3)):
    axes.plot(f, response(w, f) / response(w, f).max(), color="silver")
row_kernels = {
    "(1, 1): repeating": np.array([1.0, 1]),
    "(1/2, 1, 1/2): interpolating": np.array([0.5, 1, 0.5]),
}
for name, w in row_kernels.items():
    axes.plot(f, response(w, f) / response(w, f).max(), label=name)
axes.plot([], color="silver", label="3 random weights")
axes.axvspan(3 / 8, 1 / 2, color="mistyrose", zorder=0, label="copies of slow waves")
axes.set(xlabel="frequency f, periods a pixel", ylabel="response, largest = 1", xlim=(0, 0.5), ylim=(0, 1.05))
axes.legend()
plt.show()

wave, p = np.cos(2 * np.pi * 0.1 * np.arange(20)), np.arange(40)
zeros_between = np.zeros(40)
zeros_between[::2] = wave
assert np.allclose(zeros_between, np.cos(2 * np.pi * 0.05 * p) / 2 + np.cos(2 * np.pi * 0.45 * p) / 2), "and its copy"
assert np.array_equal(np.convolve(zeros_between, [1, 1])[:40], np.repeat(wave, 2)), (
    "to repeat is to convolve with (1, 1)"
)

linear = np.outer([0.5, 1, 0.5], [0.5, 1, 0.5])[:, :, None, None]
print(f"interpolating: {high_share(upsampled_by_transposed(smooth, linear)):.4%} at high frequencies")
assert response(np.array([1.0, 1]), [0.5]) < 1e-12
assert np.allclose(upsampled_by_transposed(constant, linear)[0, 2:, 2:], 1), "a constant stays constant"
assert high_share(upsampled_by_transposed(smooth, linear)) < 1e-3

# %%
# The same pattern appears in gradients. A transposed convolution is the backward of a convolution with a stride, so a
# network that begins with a 3x3 kernel and stride 2 hands a checkerboard to the pixels, however smooth dL/dy is. Where
# the pixels are what is optimised, it can be seen in the result. VGG19 has no stride but in its pooling, and average
# pooling hands the same quarter to all pixels of a square.

pooled = average_pool.backward(smooth, (1, 2 * side, 2 * side, 1))
through_pooling = conv2d.backward_input(pooled, (pooled, middle))
through_stride = upsampled_by_transposed(smooth, middle)
print(f"dL/dx of a strided convolution: {high_share(through_stride):.2%} at high frequencies")
print(f"of a convolution and average pooling: {high_share(through_pooling):.2%}")
assert high_share(through_stride) > 10 * high_share(through_pooling)

# %%
# Zeros or mirrors at the border
# ------------------------------
#
# What should stand around a picture? We can compare answers with the truth if we cut the picture out of a larger one:
# then the pixels beyond its border are known. Take the village without its outer margin, blur it with 9x9 pixels, and
# pad it for that by zeros, or by mirrors. The truth is the blurred larger picture without its margin. As networks do,
# we subtract the mean colour before, so that a zero is not black but the mean colour.
#
# With zeros the border is wrong by two to three times as much as with mirrors: in the corner that the figure shows, the
# sky turns grey towards the edges. A mirror continues the picture by what is next to the border, and what is near is
# mostly similar. The error of either reaches 4 pixels far, half the kernel, and each further convolution carries it
# further in.

reach = 4
larger = pictures(full_size(128, 64))[0][None]
mean = larger.mean(axis=(0, 1, 2))
inner = (slice(None), slice(reach, -reach), slice(reach, -reach))
blur = np.einsum("ij,ck->ijck", np.full((9, 9), 1 / 81), np.eye(3))


def blurred(padded):
    """Blur what has `reach` pixels around it already."""
    return strided_forward(padded, blur, np.zeros(3), 1)


cut = (larger - mean)[inner]
margin = ((0, 0), (reach, reach), (reach, reach), (0, 0))
truth = blurred(larger - mean)
padded = {"zeros": np.pad(cut, margin), "mirrors": reflect(cut, reach)}
results = {name: blurred(around) for name, around in padded.items()}
corner = np.s_[0, : cut.shape[1] // 3, -cut.shape[2] // 3 :]
show_images({name: (result + mean)[corner] for name, result in {"truth": truth, **results}.items()})
plt.show()

# %%
# And how large the error is, by the distance from the border:

rows, columns = np.indices(truth.shape[1:3])
distance = np.minimum.reduce([rows, columns, rows[::-1], columns[:, ::-1]])
errors = {
    name: np.array([np.abs(result - truth)[0][distance == pixels].mean() for pixels in range(7)])
    for name, result in results.items()
}
_, axes = plt.subplots(figsize=(6, 3), layout="constrained")
for name, error in errors.items():
    axes.plot(error, "o-", label=name)
    print(f"{name}: {', '.join(f'{each:.1f}' for each in error)} levels at 0, 1, ... pixels from the border")
axes.set(xlabel="pixels from the border", ylabel="mean error, levels of 255", ylim=(0, None))
axes.legend()
plt.show()
assert (errors["mirrors"][:reach] < 0.6 * errors["zeros"][:reach]).all()
assert all(np.allclose(error[reach:], 0) for error in errors.values()), "half a kernel far"
flat = np.full((1, 12, 12, 3), 7.0)
assert np.allclose(blurred(reflect(flat, reach)), 7), "with mirrors a constant picture stays constant,"
assert not np.allclose(blurred(np.pad(flat, margin)), 7), "with zeros it does not"

# %%
# What a wrong one does
# ---------------------
#
# Three mistakes, each of which has the right shape:
#
# * to fold without turning over,
# * to repeat the numbers of :math:`g` where zeros belong between them,
# * to take the mean of each square in place of the sum.
#
# A test with an upstream gradient of ones misses the first: what is added is the same in either direction. The adjoint
# identity with random numbers misses none of them.


def reflect_rows(x):
    return reflection_pad.forward(x, 3, 0)[0]


def fold_without_turning(g, r):
    grad_x = g[:, r : g.shape[1] - r].copy()
    grad_x[:, 1 : 1 + r] += g[:, :r]
    grad_x[:, -1 - r : -1] += g[:, g.shape[1] - r :]
    return grad_x


def repeated_not_spread(g):
    wide = g.repeat(2, axis=1).repeat(2, axis=2)[:, :6, :6]
    return strided_forward(np.pad(wide, ((0, 0), (2, 2), (2, 2), (0, 0))), turned, 0, 1)


w = random.standard_normal((3, 3, 2, 2))
turned = w[::-1, ::-1].swapaxes(2, 3)
x = random.standard_normal((1, 8, 8, 2))
errors = {
    "not turned over": adjoint_error(reflect_rows, lambda g: fold_without_turning(g, 3), x),
    "repeated": adjoint_error(lambda x: strided_forward(x, w, 0, 2), repeated_not_spread, x),
    "mean of a square": adjoint_error(upsampled, lambda g: upsample_backward(g) / 4, x),
}
print({name: f"{error:.2g}" for name, error in errors.items()})
ones = np.ones((1, 14, 8, 2))
assert np.array_equal(fold_without_turning(ones, 3), fold(ones, 3)), "passes"
assert min(errors.values()) > 1e-3, "and fails"

# %%
# In a network that paints
# ------------------------
#
# The package's network for fast style transfer, ``scratchnst/models/transform_net.py``, is made of these parts (after
# J. Johnson, A. Alahi and L. Fei-Fei, 2016). Every convolution is padded by mirrors; two with stride 2 make the
# features smaller; four blocks of convolutions work there; two layers of nearest upsampling and a convolution bring the
# size back. (Instance normalisation and addition, which it uses as well, do not change sizes.)
#
# With a mirror of one pixel and a 3x3 kernel, stride 2 makes :math:`\lfloor (H + 2 - 3)/2 \rfloor + 1` rows of
# :math:`H`, which is :math:`H/2` for even :math:`H`. Two of them need a multiple of four, or the size does not come
# back. At a quarter of the side there is a sixteenth of the pixels: a convolution there costs as much as one with a
# quarter of the channels, in and out, at full size. And its kernel sees farther: the windows of the first block's 3x3
# kernels, followed back through the convolutions, are 19 pixels of the picture wide.
#
# The mathematics is in ``scratchnst/ops/reflection_pad.py``, ``strided_conv2d.py`` and ``upsample.py``, as derived
# here. Checkerboards of transposed convolutions, and upsampling before a convolution in their place, are the subject of
# A. Odena, V. Dumoulin and C. Olah, "Deconvolution and Checkerboard Artifacts", Distill 2016.

network = transform_net.build(random)
names = ("conv1", "conv2", "conv3", "block4", "conv4", "conv5", "output")
features = network.features(pictures(64)[0][None].astype("float32"), names)
for name in names:
    print(f"{name:>7}: {features[name].shape[1:]}")
assert [features[name].shape[1] for name in names] == [64, 32, 16, 16, 32, 64, 64]
seen = 3  # pixels a side of one window in the first block
for kernel_side, stride in ((3, 2), (3, 2), (5, 1)):  # conv3, conv2, conv1
    seen = (seen - 1) * stride + kernel_side
assert seen == 19

# %%
# Exercises
# ---------
#
# 1. On paper: count the terms of each output of a transposed convolution with a 4x4 kernel and stride 2. Does a
#    constant input stay constant for every such kernel? What must its weights obey? Then try 100 random ones with
#    ``high_share``.
# 2. On paper: zeros around a picture are a linear map, too. What is its matrix for a row of four pixels, and what is
#    its backward? Find a padding that repeats the edge, a a a b c d d d, in the same way. How often is the outermost
#    pixel read then?
# 3. Upsampling followed by a 3x3 kernel computes many products twice, since neighbours in the large picture are the
#    same pixel of the small one. Show that each of the four outputs of a square is a convolution of the small picture
#    with a 2x2 kernel, whose weights are sums of the nine. How many multiplications are saved?
# 4. By experiment: blur the cut-out village five times in place of once, each time padded anew, and plot the errors for
#    zeros and for mirrors. How far into the picture do they reach?
#
# To write: ``reflect_backward``, ``upsample_backward``, ``strided_forward``, ``strided_backward_input`` and
# ``strided_backward_parameters`` in ``lessons/17_sampling/exercise.py``. Margins may differ for rows and columns, and
# the stride may be any. ``scratchnst check 17`` tries them and says what is wrong.
