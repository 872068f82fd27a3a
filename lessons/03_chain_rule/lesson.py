r"""
The chain rule, backwards
=========================

The losses so far were short formulas of the pixels. Those to come are long: a picture becomes grey, then blurred, then
edges, then squares, then one number. A chain of many simple operations is called a *network*; in VGG19, the one that
the paper uses, some thirty of them follow each other. Nobody writes that down as one formula of the pixels, and nobody
has to. If every operation knows how to hand a derivative on, from its output to its input, then the derivative of the
whole is made by handing it on from the last operation to the first. This lesson is about that hand-over. It is the
idea that the rest of the course is built on.

After this lesson you can

* use the chain rule for one number, for paths that meet, and for arrays;
* say what a Jacobian is, why it is never written down, and what is computed in its place;
* find the adjoint of a linear operation, and test it to the last digit;
* write operations as pairs of forward and backward, chain them, and get the gradient with respect to every pixel;
* say why one goes backwards, and what it costs.

It needs lessons 1 and 2, and products of matrices with vectors.

========================================== ======================================================================
symbol                                     meaning
========================================== ======================================================================
:math:`x`                                  the input of an operation; at the beginning of a chain, the picture
:math:`y`                                  its output; an output may be the next operation's input
:math:`L`                                  the loss, the number at the end of the chain
``grad_y``, :math:`\partial L/\partial y`  the *upstream gradient*: how fast the loss changes with each :math:`y_i`
``grad_x``, :math:`\partial L/\partial x`  the same for the input: what an operation hands on
:math:`J`                                  the Jacobian, :math:`J_{ij} = \partial y_i / \partial x_j`
:math:`A`                                  the matrix of a linear operation, :math:`y = A x`
:math:`J^T, A^T`                           transposed matrices, rows and columns exchanged
:math:`u, v`                               random arrays like :math:`y` and like :math:`x`
:math:`\langle u, v \rangle`               the inner product, :math:`\sum_i u_i v_i`
:math:`n, m`                               how many numbers :math:`x` and :math:`y` have
:math:`F, P`                               features of a picture, here its edges, and of the content, as in the paper
========================================== ======================================================================
"""

import matplotlib.pyplot as plt
import numpy as np

from scratchnst.classroom import full_size, pictures, show_images
from scratchnst.verify import check_backward, check_gradient

# %%
# Slopes multiply
# ---------------
#
# Chain two operations on one number, :math:`y = x^2` and :math:`L = 1/y`. At :math:`x = 2` we get :math:`y = 4` and
# :math:`L = 0.25`. How fast does :math:`L` change with :math:`x`? Nudge :math:`x` by a tiny :math:`h` and follow the
# nudge through the chain:
#
# * :math:`y` moves by about :math:`\frac{dy}{dx} h = 2x\, h = 4h`;
# * so :math:`L` moves by about :math:`\frac{dL}{dy} \cdot 4h = -\frac{1}{y^2} \cdot 4h = -\frac{1}{16} \cdot 4h`.
#
# The slopes along the chain multiply. This is the chain rule:
#
# .. math::
#
#     \frac{dL}{dx} = \frac{dL}{dy} \cdot \frac{dy}{dx} = -\frac{1}{16} \cdot 4 = -\frac{1}{4}
#
# (Check: :math:`L = x^{-2}`, so :math:`dL/dx = -2 x^{-3} = -2/8`.)
#
# Read the product from the left, from the end of the chain to its beginning. The operation :math:`y = x^2` is told one
# number, :math:`dL/dy`, which says what the loss thinks of its output. It multiplies by its own slope, :math:`2x`, and
# hands :math:`dL/dx` on to whoever made :math:`x`. It need not know what comes after it, and no one need know what it
# does. The number that it is told is called the *upstream gradient*; in code, ``grad_y``.

x = 2.0
y = x**2
L = 1 / y

grad_y = -1 / y**2
grad_x = grad_y * 2 * x
print(f"grad_y = {grad_y}, grad_x = {grad_x}")
assert grad_x == -2 / x**3 == -0.25

# %%
# Paths add
# ---------
#
# A number may be used twice. Let :math:`a = x^2`, :math:`b = x + 1` and :math:`L = a b`. A nudge of :math:`x` by
# :math:`h` moves both, :math:`a` by :math:`2x\, h` and :math:`b` by :math:`h`, and each of them moves the loss:
#
# .. math::
#
#     \frac{dL}{dx} = \frac{\partial L}{\partial a} \frac{da}{dx} + \frac{\partial L}{\partial b} \frac{db}{dx}
#                   = b \cdot 2x + a \cdot 1
#
# Every path from :math:`x` to :math:`L` gives a product of slopes, and what comes in on different paths is added. At
# :math:`x = 2` that is :math:`3 \cdot 4 + 4 \cdot 1 = 16`. (Check: :math:`L = x^3 + x^2`, so
# :math:`dL/dx = 3x^2 + 2x = 16`.) So in the backward of something that is used several times, there is a ``+=``.

a, b = x**2, x + 1

grad_a, grad_b = b, a
grad_x = grad_a * 2 * x
grad_x += grad_b * 1
print("grad_x =", grad_x)
assert grad_x == 3 * x**2 + 2 * x == 16

# %%
# Many numbers: the Jacobian
# --------------------------
#
# Now let :math:`x` be :math:`n` numbers and :math:`y` :math:`m` numbers, each :math:`y_i` made of all the :math:`x_j`.
# Nudge one of them, :math:`x_j`, by :math:`h`. Then every :math:`y_i` moves by about
# :math:`h\, \partial y_i / \partial x_j`, and each adds its share to the change of the loss. The paths from
# :math:`x_j` to :math:`L` lead through :math:`y_1`, through :math:`y_2`, and so on, and paths add:
#
# .. math::
#
#     \frac{\partial L}{\partial x_j} = \sum_{i=1}^{m} \frac{\partial L}{\partial y_i} \frac{\partial y_i}{\partial x_j}
#
# That is the chain rule, complete; everything else in this course is this line for one operation or another. Write
# the slopes :math:`\partial y_i / \partial x_j` as a matrix :math:`J` with :math:`m` rows and :math:`n` columns, the
# *Jacobian*. Column :math:`j` says where :math:`y` goes if :math:`x_j` is nudged. The sum runs over the rows of
# :math:`J`, which makes it a product with the transposed matrix:
#
# .. math::
#
#     \text{grad}_x = J^T\, \text{grad}_y
#
# By hand: :math:`y = (x_1 x_2,\; x_1 + x_2,\; x_1^2)` at :math:`x = (2, 3)`, and say that from above comes
# :math:`\text{grad}_y = (1, 10, 100)`:
#
# .. math::
#
#     J = \begin{pmatrix} x_2 & x_1 \\ 1 & 1 \\ 2 x_1 & 0 \end{pmatrix}
#       = \begin{pmatrix} 3 & 2 \\ 1 & 1 \\ 4 & 0 \end{pmatrix}, \qquad
#     J^T \begin{pmatrix} 1 \\ 10 \\ 100 \end{pmatrix}
#       = \begin{pmatrix} 3 + 10 + 400 \\ 2 + 10 + 0 \end{pmatrix} = \begin{pmatrix} 413 \\ 12 \end{pmatrix}
#
# ``jacobian`` below finds :math:`J` by the central differences of lesson 2, one column for each nudge.


def three_of_two(x):
    return np.array([x[0] * x[1], x[0] + x[1], x[0] ** 2])


def jacobian(f, x, h=1e-5):
    """The Jacobian of f at x, a column for each number of x."""
    columns = [(f(x + h * unit) - f(x - h * unit)) / (2 * h) for unit in np.eye(x.size)]
    return np.stack(columns, axis=1)


J = jacobian(three_of_two, np.array([2.0, 3.0]))
grad_y = np.array([1.0, 10.0, 100.0])
print(J.round(6))
print("J^T grad_y =", (J.T @ grad_y).round(6))
assert np.allclose(J, [[3, 2], [1, 1], [4, 0]])
assert np.allclose(J.T @ grad_y, [413, 12])

# %%
# Never the Jacobian itself
# -------------------------
#
# A Jacobian has :math:`m \cdot n` entries. For an operation that turns a picture into one of the same size,
# :math:`m = n`, and for 512 by 512 pixels in three colours that is :math:`786\,432^2`, or 5 terabytes in float64. For
# one operation; for pictures of ordinary size.
#
# Nearly all of these entries are zero, because an operation on pictures mostly looks at few numbers at a time. The
# figure shows it for a row of 16 numbers and three operations: the square of each number, the difference of
# neighbours, :math:`y_i = x_{i+1} - x_i`, and a blur, :math:`y_i = (x_{i-1} + 2 x_i + x_{i+1})/4` with zeros beyond
# the ends. Row :math:`i` of a Jacobian shows which of the :math:`x_j` the output :math:`y_i` listens to.


def square(x):
    return x**2


def difference(x):
    return x[1:] - x[:-1]


def blur(x):
    padded = np.pad(x, 1)  # a zero at either end
    return (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4


random = np.random.default_rng(0)
row = random.standard_normal(16)
jacobians = {f.__name__: jacobian(f, row) for f in (square, difference, blur)}

_, grid = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
for axes, (name, J) in zip(grid, jacobians.items()):
    picture = axes.imshow(J, cmap="RdBu", vmin=-2, vmax=2)
    axes.set_title(f"J of {name}, {J.shape[0]} x {J.shape[1]}")
    axes.set(xlabel="input j", ylabel="output i", xticks=range(0, 16, 5), yticks=range(0, J.shape[0], 5))
plt.colorbar(picture, ax=grid, label="slope")
plt.show()

zeros = {name: np.mean(np.abs(J) < 1e-8) for name, J in jacobians.items()}
print({name: f"{share:.0%} zeros" for name, share in zeros.items()})
assert min(zeros.values()) > 0.8
assert (512 * 512 * 3) ** 2 * 8 > 4.9e12  # bytes

# %%
# And what we want is not :math:`J` but the product :math:`J^T \text{grad}_y`, a *vector-Jacobian product*. That can be
# computed without :math:`J`. For the square, :math:`J` has the numbers :math:`2 x_i` on its diagonal, and the product
# is
#
# .. math::
#
#     \frac{\partial L}{\partial x_j} = \sum_i \frac{\partial L}{\partial y_i} \frac{\partial y_i}{\partial x_j}
#                                     = \frac{\partial L}{\partial y_j}\, 2 x_j
#
# since :math:`\partial y_i / \partial x_j` is zero unless :math:`i = j`: only one term of the sum is left. In code that
# is ``grad_y * 2 * x``: one multiplication for each number, hardly more than the square itself has cost. This function
# is called the *backward* of the operation. A matrix of :math:`n^2` entries has become one line.

grad_y = random.standard_normal(16)
by_matrix = jacobians["square"].T @ grad_y  # 16 * 16 multiplications, and the matrix had to be made
by_backward = grad_y * 2 * row
print("largest difference:", np.abs(by_matrix - by_backward).max())
assert np.allclose(by_matrix, by_backward)

# %%
# Linear operations and their adjoint
# -----------------------------------
#
# Differences and blurs are linear, :math:`y = A x` with a matrix of constants. Then
# :math:`\partial y_i / \partial x_j = A_{ij}`, so the Jacobian is :math:`A` itself, and backward is the product with
# :math:`A^T`, which is called the *adjoint* of the operation.
#
# Find it for the difference of neighbours by asking who listens to :math:`x_j`. It enters two outputs:
# :math:`y_{j-1} = x_j - x_{j-1}` with the slope 1, and :math:`y_j = x_{j+1} - x_j` with the slope -1. The sum over
# :math:`i` has these two terms:
#
# .. math::
#
#     \frac{\partial L}{\partial x_j} = \frac{\partial L}{\partial y_{j-1}} - \frac{\partial L}{\partial y_j}
#
# At the ends one of the two does not exist and is left out: nothing ends at the first number, and nothing begins at the
# last. The code says it the other way round, for each :math:`y_i` who made it: its end gets ``+= grad_y``, its start
# gets ``-= grad_y``.


def difference_backward(grad_y):
    """The adjoint of `difference`."""
    grad_x = np.zeros(grad_y.size + 1)
    grad_x[1:] += grad_y
    grad_x[:-1] -= grad_y
    return grad_x


grad_y = random.standard_normal(15)
print(difference_backward(np.array([1.0, 10.0, 100.0])))
assert np.array_equal(difference_backward(np.array([1.0, 10.0, 100.0])), [-1, -9, -90, 100])
assert np.allclose(difference_backward(grad_y), jacobians["difference"].T @ grad_y)

# %%
# How do we know that a backward is the adjoint, without writing down the matrix? Take any :math:`v`, of the shape of
# :math:`x`, and any :math:`u`, of the shape of :math:`y`. Then
#
# .. math::
#
#     \begin{aligned}
#     \langle A v, u \rangle &= \sum_i \Big( \sum_j A_{ij} v_j \Big) u_i \\
#                            &= \sum_j v_j \Big( \sum_i A_{ij} u_i \Big) = \langle v, A^T u \rangle
#     \end{aligned}
#
# because a double sum may be summed in either order. So: run forward on a random :math:`v`, run backward on a random
# :math:`u`, and compare two numbers. This is the *adjoint identity*. There is no step :math:`h` in it, hence no
# truncation error. It holds to the last digits or the backward is wrong, and one random pair is enough to see it, since
# a wrong :math:`A^T` would have to agree by chance. (What it compares is backward with forward. Whether forward does
# what you meant, it cannot know.)


def adjoint_error(forward, backward, n, m):
    """Relative difference of the two sides of the adjoint identity."""
    v, u = random.standard_normal(n), random.standard_normal(m)
    ahead, back = np.sum(forward(v) * u), np.sum(v * backward(u))
    return abs(ahead - back) / max(abs(ahead), abs(back))


def without_the_last(grad_y):
    """A wrong adjoint: the last number of the row gets nothing."""
    return np.append(difference_backward(grad_y)[:-1], 0)


print(f"right: {adjoint_error(difference, difference_backward, 1000, 999):.1e}")
print(f"wrong: {adjoint_error(difference, without_the_last, 1000, 999):.1e}, in one number of a thousand")
assert adjoint_error(difference, difference_backward, 1000, 999) < 1e-12
assert adjoint_error(difference, without_the_last, 1000, 999) > 1e-6

# %%
# The contract
# ------------
#
# The slope of the square is :math:`2x`: its backward needs the :math:`x` that forward has seen. The adjoint of a linear
# operation needs nothing but the shape. So whatever forward knows and backward will need, it hands over in a parcel,
# the *cache*. Every operation of this course, and every file in ``scratchnst/ops/``, keeps the same contract::
#
#     y, cache = forward(x, ...)
#     grad_x = backward(grad_y, cache)
#
# where ``grad_y`` has the shape of ``y`` and ``grad_x`` that of ``x``. Here are three operations on pictures. The first
# turns colours into grey, by how bright red, green and blue look to the eye: :math:`y = 0.3 r + 0.6 g + 0.1 b` for each
# pixel. A slope with respect to ``y`` is handed on to the three colours with the same factors, for
# :math:`\partial y / \partial r = 0.3`, and so on.

EYE = np.array([0.3, 0.6, 0.1])


def grey_forward(x):
    """(H, W, 3) -> (H, W)."""
    return x @ EYE, None


def grey_backward(grad_y, cache):
    return grad_y[:, :, np.newaxis] * EYE


# %%
# The second takes differences of neighbours along the rows, as above; it shows edges. What operations make of a
# picture is called its *features*, :math:`F`. The third operation is the loss of lesson 1, half the squared distance
# of :math:`F` from the features :math:`P` that we want, and now it is equation 1 of the paper. Its output is one
# number, so its upstream gradient is one number as well, ``grad_L``. Its backward is that times :math:`F - P`, and this
# difference is what it caches.


def edges_forward(x):
    """(H, W) -> (H, W - 1)."""
    return x[:, 1:] - x[:, :-1], None


def edges_backward(grad_y, cache):
    grad_x = np.zeros((grad_y.shape[0], grad_y.shape[1] + 1))
    grad_x[:, 1:] += grad_y
    grad_x[:, :-1] -= grad_y
    return grad_x


def distance_forward(F, P):
    difference = F - P
    return 0.5 * np.sum(difference**2), difference


def distance_backward(grad_L, cache):
    difference = cache
    return grad_L * difference


# %%
# Each of them by itself goes through the gate of lesson 2. ``check_backward`` draws a random upstream gradient and
# compares :math:`\langle \text{grad}_x, v \rangle` with central differences, and where it finds that an operation is
# linear, it tries the adjoint identity, too. Why random? An upstream gradient of ones would not notice if you had
# mixed up which number belongs to which output.

P_small = random.standard_normal((4, 5))
print(check_backward(grey_forward, grey_backward, [random.standard_normal((4, 5, 3))], names=["x"], name="grey"))
for forward, backward, shape in (
    (grey_forward, grey_backward, (4, 5, 3)),
    (edges_forward, edges_backward, (4, 5)),
    (lambda F: distance_forward(F, P_small), distance_backward, (4, 5)),
):
    assert check_backward(forward, backward, [random.standard_normal(shape)]).passed

# %%
# Chained
# -------
#
# How far are the edges of a picture :math:`x` from those of the content? Forward, from the first operation to the last,
# each cache put aside; backward, from the last to the first, each cache opened by the operation that packed it. The
# hand-over begins with :math:`dL/dL = 1`.


def edge_loss(x, P):
    """How far the edges of x are from P, and the gradient of that."""
    grey, grey_cache = grey_forward(x)
    edges, edges_cache = edges_forward(grey)
    L, distance_cache = distance_forward(edges, P)

    grad_edges = distance_backward(1.0, distance_cache)
    grad_grey = edges_backward(grad_edges, edges_cache)
    grad_x = grey_backward(grad_grey, grey_cache)
    return L, grad_x, (grey, edges, grad_edges, grad_grey)


content, style = pictures(full_size(64, 24))
P, _ = edges_forward(grey_forward(content)[0])
L, grad_x, (grey, edges, grad_edges, grad_grey) = edge_loss(style, P)

report = check_gradient(lambda x: edge_loss(x, P)[:2], style, name="edge_loss")
print(report)
assert report.passed

# %%
# In the figure, the upper row goes forward, from the style picture, which stands for :math:`x` here, to its edges. The
# lower row goes backward and is read from the right: what the loss thinks of each edge, of each grey value and, at
# last, of each colour of each pixel. (In the edges and in all three gradients mid-grey is zero.) Under each array
# stands its gradient, of the same shape.


def as_picture(slopes):
    """Map slopes to 0-255, so that zero is mid-grey; without channels, to three equal ones."""
    values = 127.5 + 127.5 * slopes / np.abs(slopes).max()
    return values if values.ndim == 3 else np.stack([values] * 3, axis=2)


show_images(
    {
        "x": style,
        "grey": grey,
        "edges": as_picture(edges),
        "grad_x": as_picture(grad_x),
        "grad_grey": as_picture(grad_grey),
        "grad_edges": as_picture(grad_edges),
    },
    columns=3,
)
plt.show()

assert grad_x.shape == style.shape
assert grad_grey.shape == grey.shape
assert grad_edges.shape == edges.shape

# %%
# And it can be walked down. From a flat grey, and from the style picture, the walk of lesson 1 leads to a picture with
# the edges of the content. The second one begins to look like style transfer: the colours of one picture, the forms of
# another. Why? Because of what this loss does *not* see, and so leaves as it was at the start.
#
# * Most of the colours. Every pixel moves along ``EYE``, since that is what ``grey_backward`` multiplies by. This is a
#   direction of mostly green, hence the tint of the first result.
# * The brightness of a whole row. Adding a constant to a row changes none of its differences.
#
# A loss can only bring back what the operations before it have kept. Lesson 9 asks what each layer of VGG19 keeps.

results = {}
for name, x in (("grey", np.full_like(content, 127.5)), ("style", style)):
    for _ in range(full_size(3000, 500)):
        _, grad_x, _ = edge_loss(x, P)
        x = x - 0.5 * grad_x
    results[f"start: {name}"] = x
show_images({"content": content, **results})
plt.show()

flat, painted = results["start: grey"], results["start: style"]
assert edge_loss(flat, P)[0] < 0.01 * edge_loss(np.full_like(content, 127.5), P)[0], "the edges are there"
assert np.allclose((flat @ EYE).mean(axis=1), 127.5), "no row has changed its mean grey"
assert np.allclose(grad_x[:, :, 0] / 0.3, grad_x[:, :, 1] / 0.6), "each pixel moves along EYE"

# %%
# Why backwards?
# --------------
#
# With three operations, the chain rule is a product of three Jacobians:
#
# .. math::
#
#     \nabla L = J_1^T J_2^T J_3^T \cdot 1
#
# with :math:`J_1` of the first operation, and :math:`J_3`, of the loss, with a single row. A product of matrices may be
# bracketed as one likes. From the right, :math:`J_1^T (J_2^T (J_3^T \cdot 1))`, a matrix meets a vector each time, and
# a vector comes out: ``grad_edges``, then ``grad_grey``, then ``grad_x``. This is called *reverse mode* and, in
# networks, *backpropagation*; you have just done it. From the left, :math:`(J_1^T J_2^T) J_3^T`, a matrix meets a
# matrix, which is as much work as thousands of vectors. Row :math:`j` of :math:`J_1^T J_2^T` says where all the edges
# go if :math:`x_j` alone is nudged.
#
# So the second way is to follow a nudge *forward* through the chain, from any :math:`v` in the picture to the grey
# values :math:`y`, the edges :math:`z` and the loss:
#
# .. math::
#
#     \dot y = J_1 v, \qquad \dot z = J_2\, \dot y, \qquad \dot L = J_3\, \dot z
#
# where a dot means how fast that quantity moves. This is *forward mode*. It yields the slope of the loss along
# :math:`v`, one number; for the whole gradient one has to do it for :math:`n` directions. (The complex step of lesson
# 2 is forward mode in disguise: the imaginary part is the dot.) Both ways give the same number:
# :math:`\dot L = \langle \nabla L, v \rangle`, the adjoint identity of the whole chain.

x = style
L, grad_x, (_, edges, _, _) = edge_loss(x, P)
v = random.standard_normal(x.shape)

grey_dot = v @ EYE  # grey and edges are linear: a nudge goes through them as a picture does
edges_dot = grey_dot[:, 1:] - grey_dot[:, :-1]
L_dot = np.sum((edges - P) * edges_dot)

print(f"forward: {L_dot:.9g}   backward: {np.sum(grad_x * v):.9g}")
assert np.isclose(L_dot, np.sum(grad_x * v), rtol=1e-10)

# %%
# ============================ ============================= ===============================
# for the whole gradient       passes through the chain      kept in memory
# ============================ ============================= ===============================
# nudging (lesson 1)           n + 1 forward                 nothing
# forward mode                 n forward                     nothing
# reverse mode                 1 forward, 1 backward         the caches of all operations
# ============================ ============================= ===============================
#
# A picture has :math:`n` numbers and a loss has one: many inputs, one output. That is the case for which reverse mode
# is made. (With one input and many outputs it is the other way round.) It has a price: the caches of all operations
# must be kept until the way back has passed them, and in a large network they are what fills the memory. This is why
# each file in ``scratchnst/ops/`` says what it caches, and why no more than that.
#
# To make the table concrete, here is the whole gradient of a small picture by forward mode, a pass for each number.

small, P_small = style[:6, :6], P[:6, :5]
_, grad_small, (_, edges, _, _) = edge_loss(small, P_small)
by_forward_mode, passes = np.zeros_like(small), 0
for index in np.ndindex(*small.shape):
    nudge = np.zeros_like(small)
    nudge[index] = 1
    by_forward_mode[index] = np.sum((edges - P_small) * edges_forward(grey_forward(nudge)[0])[0])
    passes += 1

print(f"forward mode: {passes} passes; reverse mode: 1 forward and 1 backward")
assert passes == small.size
assert np.allclose(by_forward_mode, grad_small)

# %%
# From now on a lesson takes one operation, or two, and asks: what is its backward? The answers are the links of a chain
# that in lesson 8 becomes VGG19. First the smallest link of all, which is not linear, and has a corner.
#
# Exercises
# ---------
#
# 1. On paper: :math:`y = a x + b` for numbers :math:`a, x, b`. What are ``grad_x``, ``grad_a`` and ``grad_b``, given
#    ``grad_y``? What if the same :math:`b` is added to every pixel of a picture?
# 2. On paper: find the adjoint of ``blur``, with its ends. Draw its matrix for five numbers first. What is special
#    about it? Now take for the number beyond an end not zero but the number next to the end: is it still so?
# 3. By experiment: add the differences down the columns to ``edge_loss``, as a second path that leaves from ``grey``.
#    Where does a ``+=`` appear? What changes in the pictures that the walks lead to, and why?
# 4. In code: ``lessons/03_chain_rule/exercise.py`` asks for the backward of a matrix product with respect to both
#    of its factors (``matmul_backward``), of which lessons 7 and 10 are made, and for the way back through a chain of
#    any length (``chain_gradient``). ``scratchnst check 3`` tells whether they are right.
