r"""
Convolution: one small weighted sum, everywhere
===============================================

The layers of an image network that do nearly all of its work are convolutions.  A convolution is a weighted sum
of a few neighbouring pixels, the same sum at every place of the image.  That is the whole idea.  What takes a
lesson is to see what such a sum can find, to keep its indices in order when images have many channels, and to
compute it a thousand times as fast as the loops one writes first.

After this lesson you can

* compute a convolution by hand, with the zeros around the image that keep its size,
* make a kernel that finds edges, and say why it finds them wherever they are,
* write the convolution of many channels with all its indices, and count weights and multiplications,
* turn it into one matrix product (im2col) or into a sum of nine (shifted images), and say what makes either fast,
  though neither saves a single multiplication.

It needs lesson 1 (an image is an array of numbers) and nothing else.

=====================  =====================================================================================
symbol                 meaning
=====================  =====================================================================================
:math:`x`              the input: one channel (H, W) at first, later images (N, H, W, C)
:math:`w`              the kernel, the weights: (kh, kw) at first, later (kh, kw, C, K)
:math:`b`              the biases, one number for each output channel: (K,)
:math:`y`              the output: (H, W), later (N, H, W, K)
:math:`p, q`           row and column of an output pixel
:math:`i, j`           row and column within the kernel
:math:`r, s`           how far a kernel reaches: :math:`r = (kh - 1)/2` rows, :math:`s = (kw - 1)/2` columns
:math:`n, c, k`        number of the image, of the input channel, of the output channel
:math:`X, W`           windows and kernel as matrices.  (Within a shape, N, H, W are numbers: images, rows, columns)
:math:`o, m`           number of a row of :math:`X`, a pixel; and of a column, a place in the window
=====================  =====================================================================================
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from scipy import signal

from scratchnst.classroom import full_size, pictures, show_images
from scratchnst.engine import cpu
from scratchnst.ops import conv2d

# %%
# What would go wrong without it
# ------------------------------
#
# Suppose that we want to know of each pixel how strongly it lies on a vertical edge.  The most general linear
# answer is: each output number is a weighted sum of *all* input numbers, each with a weight of its own.  For one
# modest colour image, and 16 such questions asked at each pixel, let us count the weights.

side, channels, questions = 64, 3, 16
every_weight_its_own = (side * side * channels) * (side * side * questions)
one_small_window = 3 * 3 * channels * questions

print(f"a weight for each pair of input and output number: {every_weight_its_own:,}")
print(f"a window of 3x3 pixels, the same one everywhere:   {one_small_window:,}")
assert every_weight_its_own > 1e6 * one_small_window

# %%
# Eight hundred million weights, and they would not even do.  Somebody has to find them, and whoever learned what an
# edge is in the upper left corner would have to learn it afresh for each other place.  Two restrictions remove both
# troubles:
#
# 1. *Look near by.*  An output pixel looks only at the input pixels around its own place.
# 2. *Look everywhere alike.*  The weights are the same at every place.
#
# What is left, 432 weights in place of 805 million, is a convolution.
#
# A window that slides
# --------------------
#
# Take an image of four by four pixels with one number each (one *channel*; red, green and blue are three), and a
# *kernel* of three by three weights.  Lay the kernel on the image, multiply what lies on top of each other, add up
# the nine products: one output number.  Move the kernel by one pixel and do it again.  With the kernel's upper left
# corner at row :math:`p` and column :math:`q`,
#
# .. math::
#
#     y[p, q] = \sum_{i=0}^{2} \sum_{j=0}^{2} x[p + i, q + j] \, w[i, j]
#
# There are four ways to lay three by three on four by four.  The first, by hand::
#
#     1 2 0 1        window      kernel
#     3 1 1 0        1 2 0       0 1 0       1*0 + 2*1 + 0*0
#     0 2 4 1        3 1 1       2 0 -1    + 3*2 + 1*0 - 1*1
#     1 0 2 3        0 2 4       0 0 1     + 0*0 + 2*0 + 4*1  =  2 + 6 - 1 + 4  =  11
#
# Do the other three yourself before you run the next cell.

x = np.array([[1, 2, 0, 1], [3, 1, 1, 0], [0, 2, 4, 1], [1, 0, 2, 3]], float)
w = np.array([[0, 1, 0], [2, 0, -1], [0, 0, 1]], float)


def slide(x, w):
    """Return the sum of x * w for every place at which w lies on x as a whole."""
    kh, kw = w.shape
    y = np.zeros((x.shape[0] - kh + 1, x.shape[1] - kw + 1))
    for p, q in np.ndindex(*y.shape):
        y[p, q] = np.sum(x[p : p + kh, q : q + kw] * w)
    return y


print(slide(x, w))
assert np.array_equal(slide(x, w), [[11, 3], [-1, 7]])

# %%
# A word about the name.  Mathematics and signal processing call this sum a *cross-correlation*; their *convolution*
# counts the kernel from its other end, :math:`w[2 - i, 2 - j]`.  In networks the weights are found by a computer
# that does not mind where it counts from, so the simpler sum is used, and everybody calls it a convolution.  So do
# we.  Keep the flipped kernel in mind all the same: in lesson 7 it comes back by itself.  (Another word that signal
# processing has lent us: a *tap* is one place of the kernel, with its weight.  A kernel of 3x3 has nine taps.)

assert np.array_equal(signal.correlate2d(x, w, mode="valid"), slide(x, w))
assert np.array_equal(signal.convolve2d(x, w[::-1, ::-1], mode="valid"), slide(x, w))

# %%
# Zeros around the image
# ----------------------
#
# Four pixels went in a row, two came out: with every convolution by a kernel of :math:`kh` rows and :math:`kw`
# columns the image loses :math:`kh - 1` rows and :math:`kw - 1` columns.  Sixteen of them with kernels of 3x3, one
# after the other, would use up 32 rows and 32 columns.  So we put a frame of zeros around the image first,
# :math:`r = (kh - 1)/2` rows above and below and :math:`s = (kw - 1)/2` columns left and right, and the output has
# the size of the input ("same" padding).  That wants odd :math:`kh` and :math:`kw`: only then is there a pixel in
# the middle of the kernel.
#
# In the framed image, pixel :math:`(p, q)` of the old one has moved to :math:`(p + r, q + s)`.  Written for the old
# one, the sum is
#
# .. math::
#
#     y[p, q] = \sum_{i=0}^{kh-1} \sum_{j=0}^{kw-1} x[p + i - r, q + j - s] \, w[i, j],
#     \qquad x = 0 \text{ outside of the image}
#
# and now the *middle* of the kernel lies on pixel :math:`(p, q)`.  The upper left output, by hand::
#
#     window       kernel
#     0 0 0        0 1 0         0*0 + 0*1 + 0*0
#     0 1 2        2 0 -1      + 0*2 + 1*0 - 2*1
#     0 3 1        0 0 1       + 0*0 + 3*0 + 1*1  =  -2 + 1  =  -1


def convolve_one_channel(x, w):
    """Return the convolution of x (H, W) with w (kh, kw), of x's size."""
    r, s = w.shape[0] // 2, w.shape[1] // 2
    return slide(np.pad(x, ((r, r), (s, s))), w)


y = convolve_one_channel(x, w)
print(y)
assert y[0, 0] == -1
assert y.shape == x.shape
assert np.array_equal(y[1:3, 1:3], slide(x, w)), "in the middle, where no zero is looked at, nothing has changed"

# %%
# The frame has its price.  Here is an evenly light grey image, and the mean of 3x3 pixels (all nine weights are
# 1/9).  The mean of light grey is light grey, but beside the border the window also sees the frame: three zeros at
# a side, five at a corner.  In the right picture the border has darkened.  Networks live with it, and so shall we;
# when something odd happens along the border of a picture in a later lesson, think of the frame first.

even = np.full((12, 12), 200.0)
mean_of_nine = np.full((3, 3), 1 / 9)
blurred = convolve_one_channel(even, mean_of_nine)
show_images({"even": np.dstack([even] * 3), "mean of 3x3, zeros around it": np.dstack([blurred] * 3)})
plt.show()

assert np.allclose(blurred[5, 5], 200)
assert np.allclose(blurred[0, 5], 200 * 6 / 9)
assert np.allclose(blurred[0, 0], 200 * 4 / 9)

# %%
# A kernel that finds edges
# -------------------------
#
# What does a weighted sum of nine neighbours find?  Choose the weights on purpose.  On a vertical edge, what is on
# the right differs from what is on the left.  So subtract the left column from the right one, the middle row
# counting twice since it is nearest (the kernel is known by the name of I. Sobel):
#
# .. math::
#
#     w = \begin{pmatrix} -1 & 0 & 1 \\ -2 & 0 & 2 \\ -1 & 0 & 1 \end{pmatrix}
#
# Its weights add up to zero, so it answers 0 wherever the image is constant, be it bright or dark.  On a ramp that
# rises by :math:`a` from column to column, :math:`x[p, q] = a q`, each row contributes its weight times
# :math:`a(q + 1) - a(q - 1) = 2a`, and the answer is :math:`(1 + 2 + 1) \cdot 2a = 8a`: eight times the slope.
# Turned by 90 degrees, the kernel finds horizontal edges.

across = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float)
down = across.T
ramp = np.tile(3.0 * np.arange(8), (6, 1))

assert np.allclose(slide(even, across), 0), "constant: no answer"
assert np.allclose(slide(ramp, across), 8 * 3), "a ramp of slope 3: eight times 3"
assert np.allclose(slide(ramp, down), 0), "and nothing rises from top to bottom"

# %%
# On a picture.  In the second and third image mid-grey means zero, white a strong positive answer, black a strong
# negative one.  The second shows the mast, walls and the sails, white where the picture brightens towards the right,
# black where it darkens; the horizontal shore is missing.  The third shows roofs, shore and the tops of the
# mountains, and no mast.  The fourth takes both answers as a vector and shows its length: every outline, whatever
# its direction.


def signed(answer):
    """Return an image in which zero is mid-grey."""
    return np.dstack([127.5 + 127.5 * answer / np.abs(answer).max()] * 3)


content, _ = pictures(full_size(128, 64))
grey = content.mean(axis=2)  # red, green and blue, averaged: one channel
rises_right, rises_down = convolve_one_channel(grey, across), convolve_one_channel(grey, down)
outline = np.hypot(rises_right, rises_down)
inside = np.s_[1:-1, 1:-1]  # without the border, where the frame of zeros makes an edge of its own
show_images(
    {
        "one channel": grey[inside],
        "brighter to the right": signed(rises_right[inside]),
        "brighter downwards": signed(rises_down[inside]),
        "either": outline[inside],
    }
)
plt.show()

strength = outline[inside] / outline[inside].max()
assert np.mean(strength > 1 / 2) < 0.1, "few pixels lie on a strong edge,"
assert np.median(strength) < 1 / 5, "most on none, or on a weak one"

# %%
# Wherever it is
# --------------
#
# The same weights everywhere: so if the image moves, the answers move along.  Let
# :math:`x'[p, q] = x[p - 5, q - 9]` be the image moved by five rows and nine columns.  Put it into the sum:
#
# .. math::
#
#     y'[p, q] = \sum_{i,j} x'[p + i - r, q + j - s] \, w[i, j] = \sum_{i,j} x[p - 5 + i - r, q - 9 + j - s] \, w[i, j]
#     = y[p - 5, q - 9]
#
# The moved image's answer is the answer, moved (but for the border).  Nothing has to be learned twice.

moved = np.roll(grey, (5, 9), axis=(0, 1))
answer_moved = np.roll(rises_right, (5, 9), axis=(0, 1))
answer_of_moved = convolve_one_channel(moved, across)
middle = np.s_[8:-2, 12:-2]  # away from the border and from what np.roll brings in on the other side
assert np.allclose(answer_of_moved[middle], answer_moved[middle])

# %%
# Channels come in
# ----------------
#
# A colour image has three channels, so a pixel's window holds 3x3x3 numbers, and the kernel gets a weight for each
# of them: :math:`w[i, j, c]`.  The sum runs over the channels as well:
#
# .. math::
#
#     y[p, q] = \sum_{i} \sum_{j} \sum_{c} x[p + i - r, q + j - s, c] \, w[i, j, c]
#
# There is still *one* number for each place: the channels are added up, they do not stay apart.  What is that good
# for?  Left half orange, right half blue, chosen so that the mean of red, green and blue is the same.  The grey
# image is flat and has no edge to be found.  A kernel that subtracts left from right in blue and does the contrary
# in red finds it.

orange, blue = np.array([210.0, 120.0, 30.0]), np.array([30.0, 120.0, 210.0])
halves = np.where(np.arange(16)[None, :, None] < 8, orange, blue) * np.ones((12, 1, 1))
orange_to_blue = np.stack([-across, 0 * across, across], axis=2)  # (3, 3, C): the weights of red, green, blue

answer = sum(convolve_one_channel(halves[:, :, c], orange_to_blue[:, :, c]) for c in range(3))
edge_in_grey = convolve_one_channel(halves.mean(axis=2), across)
show_images(
    {"two colours": halves, "their mean": np.dstack([halves.mean(axis=2)] * 3), "orange to blue": answer[inside]}
)
plt.show()

assert np.allclose(edge_in_grey[inside], 0), "to the grey kernel there is nothing"
assert np.allclose(answer[1:-1, 7:9], 4 * (180 + 180)), "1 + 2 + 1 rows, each 180 more blue and 180 less red"
assert np.allclose(answer[1:-1, 2:6], 0), "within orange there is no edge"

# %%
# Channels go out
# ---------------
#
# One kernel asks one question.  To ask :math:`K` questions take :math:`K` kernels: the last axis of
# :math:`w[i, j, c, k]` numbers them, and their answers are the :math:`K` channels of the output.  Each answer gets
# a constant added, its bias :math:`b[k]`.  With several images at once, numbered by :math:`n`, here is the
# convolution of every network in this course:
#
# .. math::
#
#     y[n, p, q, k] = b[k] + \sum_{i=0}^{kh-1} \sum_{j=0}^{kw-1} \sum_{c=0}^{C-1} x[n, p + i - r, q + j - s, c] \,
#     w[i, j, c, k]
#
# and, index by index, its seven loops.  It is slow, and it can be read beside the formula.


def convolve_loops(x, w, b):
    """The formula, one multiplication at a time: x (N, H, W, C), w (kh, kw, C, K), b (K,)."""
    (images, height, width, _), (kh, kw, channels, outputs) = x.shape, w.shape
    y = np.empty((images, height, width, outputs))
    for n, p, q, k in np.ndindex(*y.shape):
        y[n, p, q, k] = b[k]
        for i, j, c in np.ndindex(kh, kw, channels):
            u, v = p + i - kh // 2, q + j - kw // 2  # row and column of the pixel that is looked at
            if 0 <= u < height and 0 <= v < width:  # outside, x is zero
                y[n, p, q, k] += x[n, u, v, c] * w[i, j, c, k]
    return y


random = np.random.default_rng(0)
x = random.standard_normal((2, 5, 6, 3))
w, b = random.standard_normal((3, 3, 3, 4)), random.standard_normal(4)
reference = convolve_loops(x, w, b)
package, _ = conv2d.forward(x, w, b)  # by scratchnst/ops/conv2d.py; what the way back needs comes second
assert np.allclose(reference, package)
assert reference.shape == (2, 5, 6, 4)

# %%
# Two special cases are worth knowing.  A 1x1 kernel looks at no neighbour at all.  It mixes the channels of each
# pixel, which is the product of the pixel's channels, a row of :math:`C` numbers, with the matrix :math:`w[0, 0]`.
# And a kernel whose only weight is a 1 in the middle, from each channel to itself, changes nothing.

one_by_one = random.standard_normal((1, 1, 3, 4))
assert np.allclose(conv2d.forward(x, one_by_one, b)[0], x @ one_by_one[0, 0] + b)

unchanged = np.zeros((3, 3, 3, 3))
unchanged[1, 1] = np.eye(3)
assert np.array_equal(conv2d.forward(x, unchanged, np.zeros(3))[0], x)

# %%
# What it costs
# -------------
#
# Each of the :math:`N H W K` outputs takes :math:`kh \, kw \, C` multiplications.  The number of weights,
# :math:`kh \, kw \, C K + K`, does not depend on the image's size at all.  The second layer of VGG19, the network
# of the paper, has 64 channels in and 64 out.  On an image of 256x256 pixels:

multiplications = 256 * 256 * 64 * 3 * 3 * 64
weights = 3 * 3 * 64 * 64 + 64
print(f"{weights:,} weights, {multiplications:,} multiplications")


def seconds(function, *arguments, repeats=3):
    """Return the shortest of a few times, and what the function returned."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function(*arguments)
        times.append(time.perf_counter() - start)
    return min(times), result


few = random.standard_normal((1, 4, 4, 16)), random.standard_normal((3, 3, 16, 16)), np.zeros(16)
taken, _ = seconds(convolve_loops, *few, repeats=1)
per_multiplication = taken / (4 * 4 * 16 * 3 * 3 * 16)
print(f"loops: {1 / per_multiplication:.1e} multiplications a second, by what a few pixels took:")
print(f"{per_multiplication * multiplications / 60:.0f} minutes for this one layer")

size = full_size(1000, 300)
matrix = random.standard_normal((size, size), np.float32)
taken, _ = seconds(np.matmul, matrix, matrix)  # size^3 products, added up
print(f"a product of matrices: {size**3 / taken:.1e} multiplications a second")

assert multiplications == 2_415_919_104
assert weights == 36_928

# %%
# Compare the two rates: both were reached by the same machine.  In Python's loops nearly all the time goes
# into finding out, each time again, what kind of numbers are to be multiplied and where they are.  The way out is to
# say it once, for all of them: to write the sum as an operation on whole arrays.
#
# im2col: one matrix product
# --------------------------
#
# A matrix product is a sum over *one* index.  Ours runs over three, :math:`i, j, c`.  So number the triples: count
# through :math:`c` fastest, then :math:`j`, then :math:`i`,
#
# .. math::
#
#     m = (i \cdot kw + j) \cdot C + c, \qquad m = 0, \ldots, kh \, kw \, C - 1
#
# and likewise number the output pixels :math:`(n, p, q)` one after the other as :math:`o`.  With the two matrices
#
# .. math::
#
#     X[o, m] = x[n, p + i - r, q + j - s, c], \qquad W[m, k] = w[i, j, c, k]
#
# the convolution reads
#
# .. math::
#
#     y[o, k] = b[k] + \sum_m X[o, m] \, W[m, k], \qquad y = X W + b
#
# Row :math:`o` of :math:`X` is the window of output pixel :math:`o`, written in a line.  (The name is from MATLAB,
# where a window becomes a column: image to columns.)  :math:`W` costs nothing: numbers of an array lie in memory
# with the last index running fastest, so the weights are in the order of :math:`m` already, and
# ``w.reshape(-1, K)`` only looks at them in another way.  :math:`X` has to be gathered.  ``sliding_window_view``
# hands out all windows as a view, (N, H, W, C, kh, kw), which copies nothing yet; moving C to the end puts the indices
# into the order of :math:`m`, and ``reshape`` writes the windows out, one in a row.


def windows(x, kh, kw):
    """Return X (N H W, kh kw C): in each row the window of one output pixel."""
    r, s = kh // 2, kw // 2
    padded = np.pad(x, ((0, 0), (r, r), (s, s), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(1, 2))
    return view.transpose(0, 1, 2, 4, 5, 3).reshape(-1, kh * kw * x.shape[3])


def convolve_im2col(x, w, b):
    """One matrix product."""
    kh, kw, _, outputs = w.shape
    return (windows(x, kh, kw) @ w.reshape(-1, outputs) + b).reshape(*x.shape[:3], outputs)


assert np.allclose(convolve_im2col(x, w, b), reference)

# %%
# The image that we did by hand, once more: 16 windows of 9 numbers.  On the left the image in its frame, with the
# window of pixel (1, 1) marked; in the middle :math:`X`, in which row 5 is that window (pixel (1, 1) is number
# :math:`1 \cdot 4 + 1 = 5`); times the nine weights it gives the 11 that we know.  See how each number of the image
# comes back in :math:`X` up to nine times, in the nine places that a pixel can have in a window.


def draw_numbers(axes, matrix, title, marked):
    """Show a matrix with its numbers; `marked` is a rectangle, (row, column, rows, columns)."""
    axes.imshow(matrix, cmap="Blues", vmin=-2, vmax=16)
    for (row, column), value in np.ndenumerate(matrix):
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8)
    top, left, height, width = marked
    axes.add_patch(plt.Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor="tab:red", linewidth=2))
    axes.set(title=title, xticks=[], yticks=range(len(matrix)))


by_hand = np.array([[1, 2, 0, 1], [3, 1, 1, 0], [0, 2, 4, 1], [1, 0, 2, 3]], float)
kernel = np.array([[0, 1, 0], [2, 0, -1], [0, 0, 1]], float)
X, W = windows(by_hand[None, :, :, None], 3, 3), kernel.reshape(-1, 1)
_, axes = plt.subplots(1, 4, figsize=(10, 6), width_ratios=(6, 9, 2, 2), layout="constrained")
draw_numbers(axes[0], np.pad(by_hand, 1), "image in its frame", (1, 1, 3, 3))
draw_numbers(axes[1], X, "X: in each row a window", (5, 0, 1, 9))
draw_numbers(axes[2], W, "W", (0, 0, 9, 1))
draw_numbers(axes[3], X @ W, "y = X W", (5, 0, 1, 1))
plt.show()

assert np.array_equal(X[5], [1, 2, 0, 3, 1, 1, 0, 2, 4])
assert (X @ W)[5, 0] == 11
assert np.sum(X == 4) == 9, "the 4 of pixel (2, 2) is in nine windows"

# %%
# Why is it fast?  It does the same multiplications as the loops, not one less.  But a matrix product is the one
# thing that processors and the library behind NumPy (BLAS) have been tuned for: the loops run in compiled code, one
# instruction multiplies 8 or 16 pairs of numbers, and a number that has come from the slow memory into the fast
# cache is used many times before it goes: each number of :math:`X` is needed for all :math:`K` outputs, each weight
# for all pixels.
#
# The price is memory.  :math:`X` repeats each number of :math:`x` nine times.  So the package does not gather the
# windows of the whole image at once but of some 2,000 pixels at a time (``strips`` in
# ``scratchnst/ops/conv2d.py``).

one_layer = 256 * 256 * 64 * 4  # bytes of the input of VGG19's second layer: float32 takes four bytes a number
print(f"x: {one_layer / 1e6:.0f} MB, all its windows: {9 * one_layer / 1e6:.0f} MB")
assert windows(x, 3, 3).size == 9 * x.size

# %%
# Shifted images: nine matrix products
# ------------------------------------
#
# Can the gathering be saved?  Take the sums in another order: the kernel's places outside, the channels inside.
#
# .. math::
#
#     y[n, p, q, k] = b[k] + \sum_{i, j} \left( \sum_c x[n, p + i - r, q + j - s, c] \, w[i, j, c, k] \right)
#
# For fixed :math:`(i, j)` the bracket is a matrix product already: all pixels, as rows of :math:`C` channels, with
# the (C, K) matrix ``w[i, j]``.  The pixels are those of the image itself, seen :math:`i - r` rows lower and
# :math:`j - s` columns further right.  No window is needed: nine shifted images, each through its own 1x1 kernel,
# are added up.


def convolve_shifted(x, w, b):
    """A matrix product for each place in the kernel."""
    (_, height, width, _), (kh, kw, _, outputs) = x.shape, w.shape
    r, s = kh // 2, kw // 2
    padded = np.pad(x, ((0, 0), (r, r), (s, s), (0, 0)))
    y = np.zeros((*x.shape[:3], outputs), x.dtype) + b
    for i in range(kh):
        for j in range(kw):
            y += padded[:, i : i + height, j : j + width] @ w[i, j]
    return y


assert np.allclose(convolve_shifted(x, w, b), reference)

# %%
# It is also another way to *see* a convolution: not as one window that slides over the image, but as copies of the
# whole image, shifted against each other, weighted and added.  Here are the six copies that the kernel for vertical
# edges takes (three of its weights are zero), those of the left column with negative weights: these look like
# photographic negatives.  (Each picture is drawn from its own darkest to its own brightest number, so that a factor
# of 2 does not show.)  Where the image is constant they cancel.  Where there is an edge the copies do not lie exactly
# on top of each other, and what sticks out is the answer.

framed = np.pad(grey, 1)
copies = {
    f"{across[i, j]:+.0f} times, moved by ({1 - i}, {1 - j})": across[i, j] * framed[i:, j:][: len(grey), : len(grey)]
    for i in range(3)
    for j in (0, 2)
}
total = sum(copies.values())
show_images({**{title: copy[inside] for title, copy in copies.items()}, "their sum": signed(total[inside])})
plt.show()

assert np.allclose(total, rises_right)

# %%
# With a trick a shifted image costs nothing at all.  Let the framed image have :math:`V` columns, :math:`2s` more
# than the image, and number its pixels row by row: pixel :math:`(p, q)` has the number :math:`V p + q`.  The pixel
# :math:`i` rows lower and :math:`j` columns further right has the number :math:`V p + q + (V i + j)`.  So *moving the
# image is starting to read later*, at pixel :math:`V i + j`, and BLAS reads it where it lies.  At the end of a row it
# runs on into the next one; what comes out there falls on the :math:`2s` columns of the frame, and these are cut off
# at the end.  That is how ``scratchnst/engine/cpu/shifted.py`` does it.

small = random.standard_normal((5, 6))  # rows, columns; the kernel is that of the example by hand
V = 6 + 2
in_a_row = np.pad(small, 1).ravel()  # 7 V numbers
length = 5 * V - 2  # of the last row we need no frame
moved_and_added = sum(kernel[i, j] * in_a_row[V * i + j :][:length] for i, j in np.ndindex(3, 3))
rows = np.append(moved_and_added, [0, 0]).reshape(5, V)  # two zeros in the place of that frame
assert np.allclose(rows[:, :6], convolve_one_channel(small, kernel)), "right, once the last two columns are cut off"

# %%
# How fast
# --------
#
# All of them compute the same numbers, as asserted above, so now they may be timed.  Times depend on the machine
# and on what else it does: look at the orders of magnitude.  The last two bars are the package's: the textbook,
# im2col for a few pixels at a time, and the engine for the CPU, which cuts shifted images into strips that fit into
# the cache and shares them among the cores.  The axis is logarithmic, from one line to the next it is a factor of
# ten.


def engine(x, w, b):
    """The package's fast convolution by shifted images."""
    with cpu.conv2d.using("shifted"):
        return cpu.conv2d.forward(x, w, b)[0]


side, channels = full_size(128, 32), 64
arrays = [random.standard_normal(shape, np.float32) for shape in ((1, side, side, 64), (3, 3, 64, 64), (64,))]
ways = {
    "im2col": convolve_im2col,
    "shifted": convolve_shifted,
    "im2col in strips (ops)": lambda x, w, b: conv2d.forward(x, w, b)[0],
    "shifted, in strips, on all cores (engine)": engine,
}
products = side * side * 9 * 64 * 64
taken, results = {"loops (scaled up)": per_multiplication * products}, {}
for name, way in ways.items():
    taken[name], results[name] = seconds(way, *arrays)
    print(f"{name:42} {1e3 * taken[name]:8.1f} ms")
    assert np.allclose(results[name], results["im2col"], atol=1e-3), name

_, axes = plt.subplots(figsize=(8, 2.5), layout="constrained")
axes.barh(list(taken), list(taken.values()), color=["tab:red"] + ["tab:blue"] * len(ways))
axes.set(xscale="log", xlabel="seconds", title=f"3x3 convolution, {side}x{side} pixels, 64 to 64 channels")
axes.invert_yaxis()
axes.grid(axis="x")
plt.show()

# %%
# The loops are slower by a factor of thousands, the others lie near each other.  im2col spends its extra time on
# copying, the shifted images on adding nine products up.  With few channels there is little to copy, and each of the
# nine products is thin.  So the package decides by the shapes (``choose`` in ``scratchnst/engine/cpu/conv2d.py``),
# after what was measured (``python -m scratchnst.engine.cpu.measure`` prints it for your machine): with three
# channels it gathers windows, with many it shifts images.  And for 3x3 kernels with many channels there is something
# better still, which does save multiplications: lesson 14.

assert cpu.conv2d.choose((1, 256, 256, 3), (3, 3, 3, 64)) == "windows"
assert cpu.conv2d.choose((1, 64, 64, 64), (5, 5, 64, 64)) == "shifted"
assert cpu.conv2d.choose((1, 64, 64, 64), (3, 3, 64, 64)) == "winograd"

# %%
# Exercises
# ---------
#
# 1. By hand: of the image of four by four pixels in its frame, the eleven outputs at the border that the lesson has
#    not worked out, or as many of them as you need until it is no effort.  Which outputs would change if pixel (0, 0)
#    became 5, and by how much?  (Lesson 7 is about this question.)
# 2. Find a kernel that moves the image by one pixel to the right, one that sharpens (twice the image minus its
#    blurred version), and one that answers to isolated bright points but neither to constants nor to ramps.  Try
#    them.
# 3. Two 3x3 convolutions one after the other, from :math:`C` to :math:`C` channels: how many input pixels does an
#    output pixel see?  Which single kernel sees as many, and how many weights has it, beside the two?
# 4. Blur an image with ``mean_of_nine`` twice, and find the one 5x5 kernel that does the same in a single
#    convolution.  Why not along the border?
#
# The coding exercise: write ``convolve_dilated`` in ``lessons/06_convolution/exercise.py``.  A dilated convolution
# leaves gaps between the pixels that a kernel looks at, and so sees further with as many weights.  Write it as
# matrix products, by windows or by shifted images, as you like.  Then run ``scratchnst check 6``.
