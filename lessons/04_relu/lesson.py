r"""
ReLU and its kink
=================

The smallest operation of a network is the one that makes it a network: negative numbers become zero, the others pass.
It takes one line to compute and two lines to differentiate, everywhere but at one point. That point, and the flat side
left of it, explain a good deal of what one sees when pictures are optimised, and nearly all of what one sees when
gradients are checked.

After this lesson you can

* say why a chain of linear operations is not worth its length, and what a single bend changes;
* derive the backward of a ReLU, and say which sign it looks at;
* say what a subgradient is, and what finite differences make of a kink;
* say what a ReLU must cache, and what it need not;
* recognise a dead unit, and say why a flat grey picture may be a bad place to start.

It needs lessons 1 to 3.

============================== =====================================================================================
symbol                         meaning
============================== =====================================================================================
:math:`x, y`                   input and output of the ReLU, arrays of the same shape
:math:`\text{relu}(x)`         :math:`\max(x, 0)`, element by element
*unit*                         one element of an array that an operation makes, at one place of one picture
*activation*                   the value of a unit after its ReLU
``grad_y``, ``grad_x``         the slopes of the loss with respect to y and to x, as in lesson 3
:math:`g`                      a subgradient: any slope that could stand for the missing one
:math:`h`                      the step of a central difference
:math:`F, P`                   features of the picture and of the content
============================== =====================================================================================
"""

import matplotlib.pyplot as plt
import numpy as np

from scratchnst.classroom import full_size, pictures, show_images
from scratchnst.losses import content_loss
from scratchnst.ops import relu
from scratchnst.verify import check_backward
from scratchnst.verify.methods.differences import directional_derivative
from scratchnst.verify.methods.kinks import relu_signs

# %%
# Why something must bend
# -----------------------
#
# The operations of lesson 3 that came before the loss, grey and edges, were linear. Chain two linear operations,
# :math:`y = A_1 x` and :math:`z = A_2 y`, and what you get is :math:`z = (A_2 A_1)\, x`: one linear operation, with
# the matrix :math:`A_2 A_1`. Chain a hundred of them, and it is still one. However long the chain, it can do nothing
# that a single matrix cannot do: doubling the input doubles the output, and the answer to a sum is the sum of the
# answers. No such thing can tell a sail from a cloud.

random = np.random.default_rng(0)
matrices = random.standard_normal((100, 5, 5)) / np.sqrt(5)  # a hundred operations on five numbers
x = random.standard_normal(5)

z, product = x, np.eye(5)
for A in matrices:
    z, product = A @ z, A @ product
print("a hundred operations:", z)
print("one matrix:          ", product @ x)
assert np.allclose(z, product @ x)

# %%
# So between two linear operations something has to bend. The simplest bend there is
#
# .. math::
#
#     y = \text{relu}(x) = \max(x, 0)
#
# for each element by itself: a *rectified linear unit*. By hand:
#
# .. math::
#
#     x = \begin{pmatrix} 1 & -2 \\ 0 & 3 \end{pmatrix} \quad\Longrightarrow\quad
#     y = \begin{pmatrix} 1 & 0 \\ 0 & 3 \end{pmatrix}
#
# How much can one build from that? Each :math:`\text{relu}(x - c)` is flat up to :math:`c` and rises behind it. A sum
# of several, each with its own factor, is a line with a bend at each :math:`c`, and with enough bends, and a constant
# added where it does not begin at zero, it follows any continuous curve over a finite stretch as closely as one likes.
# In the figure ten of them, with factors found by least squares, follow a sine. So the linear operations choose where
# to bend and how much, and the ReLUs bend.

t = np.linspace(0, 2 * np.pi, 200)
bends = np.linspace(0, 2 * np.pi, 10, endpoint=False)
pieces, _ = relu.forward(t[:, np.newaxis] - bends)  # (200, 10): each column is one bent line
factors, *_ = np.linalg.lstsq(pieces, np.sin(t), rcond=None)

_, grid = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
grid[0].plot(t, pieces * factors, lw=1)
grid[0].set_title("ten ReLUs, each with its factor")
grid[1].plot(t, np.sin(t), label="sine")
grid[1].plot(t, pieces @ factors, "--", label="sum of the ten")
grid[1].set_title("their sum")
grid[1].legend()
for axes in grid:
    axes.set_xlabel("t")
plt.show()

by_hand, _ = relu.forward(np.array([[1.0, -2.0], [0.0, 3.0]]))
assert np.array_equal(by_hand, [[1, 0], [0, 3]])
assert np.abs(pieces @ factors - np.sin(t)).max() < 0.1

# %%
# On a picture: the edges of lesson 3 are positive where the grey gets brighter to the right, and negative where it gets
# darker. A ReLU makes of that a *detector*, which says how much of one thing there is, and nothing about anything else.
# The figure shows the edges, then ``relu(edges)``, which answers to "brighter to the right" alone, and
# ``relu(-edges)``, which answers to the contrary. Black is zero in both: where the one answers, the other is silent.
# Each element of such an array is called a *unit*, and its value the unit's *activation*.

content, style = pictures(full_size(64, 24))
grey = content @ [0.3, 0.6, 0.1]


def edges_of(grey):
    """Differences of neighbours along the rows."""
    return grey[:, 1:] - grey[:, :-1]


edges = edges_of(grey)
brighter, _ = relu.forward(edges)
darker, _ = relu.forward(-edges)
show_images({"grey": grey, "edges": edges, "relu(edges)": brighter, "relu(-edges)": darker})
plt.show()

print(f"active units: {np.mean(brighter > 0):.0%} and {np.mean(darker > 0):.0%}")
assert np.array_equal(brighter - darker, edges), "together the two know all that the edges know"

# %%
# Backward
# --------
#
# Each :math:`y_i` depends on its own :math:`x_i` and no other, so the Jacobian of lesson 3 has entries on its diagonal
# only, and in the chain rule one term of the sum is left:
#
# .. math::
#
#     \frac{\partial L}{\partial x_i} = \frac{\partial L}{\partial y_i} \frac{d y_i}{d x_i}
#
# Where :math:`x_i > 0`, :math:`y_i = x_i`, and the slope :math:`dy_i/dx_i` is 1. Where :math:`x_i < 0`,
# :math:`y_i = 0` whatever :math:`x_i` does, and the slope is 0:
#
# .. math::
#
#     \frac{\partial L}{\partial x_i} =
#     \begin{cases} \partial L / \partial y_i & \text{if } x_i > 0 \\ 0 & \text{if } x_i < 0 \end{cases}
#
# (The case :math:`x_i = 0` comes next.) A unit that was silent on the way forward lets nothing through on the way back.
# By hand, with the same :math:`x` as above but for the zero:
#
# .. math::
#
#     x = \begin{pmatrix} 1 & -2 \\ -4 & 3 \end{pmatrix}, \quad
#     \text{grad}_y = \begin{pmatrix} 7 & 8 \\ -9 & -6 \end{pmatrix} \quad\Longrightarrow\quad
#     \text{grad}_x = \begin{pmatrix} 7 & 0 \\ 0 & -6 \end{pmatrix}
#
# Look at -6: a negative slope passes as well as a positive one. Which numbers pass is decided by the sign of
# :math:`x`, which is a matter of the picture, and not by the sign of the slope, which is a matter of the loss.
#
# Here it is with a loop, as the definition says. How to write it without a loop is an exercise; the package's
# ``scratchnst/ops/relu.py`` has both.


def backward_loops(grad_y, x):
    """One element at a time."""
    grad_x = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        if x[index] > 0:
            grad_x[index] = grad_y[index]
    return grad_x


x = np.array([[1.0, -2.0], [-4.0, 3.0]])
grad_y = np.array([[7.0, 8.0], [-9.0, -6.0]])
y, cache = relu.forward(x)
print(backward_loops(grad_y, x))
assert np.array_equal(backward_loops(grad_y, x), [[7, 0], [0, -6]])
assert np.array_equal(relu.backward(grad_y, cache), backward_loops(grad_y, x))

# %%
# Now before the judge: ``check_backward`` of lesson 3 compares with central differences. (What its lines on kinks mean
# is said in the next section.) The second backward is wrong on purpose: it takes the sign of the slope in place of that
# of :math:`x`. The report does not only say that it is wrong, it says what it is instead.


def wrong_backward(grad_y, cache):
    return np.maximum(grad_y, 0)


x = random.standard_normal((4, 5))
right = check_backward(relu.forward, relu.backward, [x], names=["x"], name="relu")
wrong = check_backward(relu.forward, wrong_backward, [x], names=["x"], name="wrong relu")
print(right)
print(wrong.inputs[0].diagnosis)
assert right.passed
assert wrong.verdict == "fail"
assert wrong.inputs[0].diagnosis_key == "mask-from-upstream"

# %%
# The kink
# --------
#
# What is the slope at :math:`x = 0`? From the left it is 0, from the right it is 1, and so there is no derivative: the
# curve has a corner, a *kink*. What does a central difference say near it? As long as :math:`|x| < h`, the step to the
# right ends where :math:`y = x + h`, and the step to the left ends where :math:`y = 0`, so
#
# .. math::
#
#     D(h) = \frac{\text{relu}(x + h) - \text{relu}(x - h)}{2h} = \frac{(x + h) - 0}{2h}
#          = \frac{1}{2} + \frac{x}{2h}
#
# That is neither slope but a mixture of them, a straight ramp from 0 at :math:`x = -h` to 1 at :math:`x = h`. For any
# :math:`x` but 0 a step that is small enough, :math:`h < |x|`, stays on one side and gives the slope of that side. At
# 0 itself it is one half, however small the step. The figure shows the ramps, and the true slope in black.

x = np.linspace(-1.5, 1.5, 601)
plt.figure(figsize=(6, 3.4), layout="constrained")
for h in (1.0, 0.5, 0.1):
    ramp = (relu.forward(x + h)[0] - relu.forward(x - h)[0]) / (2 * h)
    plt.plot(x, ramp, label=f"central difference, h = {h}")
plt.plot(x, x > 0, "k", lw=1, label="slope")
plt.xlabel("x")
plt.ylabel("slope of the ReLU")
plt.title("A difference taken across the kink is the slope of neither side")
plt.legend()
plt.show()

near = np.abs(x) < 0.1
assert np.allclose(ramp[near], 0.5 + x[near] / 0.2), "the formula, for h = 0.1"
assert np.allclose(ramp[~near], x[~near] > 0)

# %%
# A derivative is the slope of the line that touches the curve. At a kink many lines touch without crossing it. For a
# curve that bends upwards only, such as this one, a slope :math:`g` is called a *subgradient* at 0 if the line with
# this slope stays below the curve:
#
# .. math::
#
#     \text{relu}(z) \ge \text{relu}(0) + g\, z = g\, z \qquad \text{for all } z
#
# For :math:`z > 0` that says :math:`z \ge g z`, so :math:`g \le 1`. For :math:`z < 0` it says :math:`0 \ge g z`, so
# :math:`g \ge 0`. Every :math:`g` from 0 to 1 will do, and one of them has to be agreed on. This package takes
# :math:`g = 0`, as other libraries do: a unit passes the slope on where :math:`x > 0`, and nowhere else.

z = np.linspace(-1, 1, 201)
plt.figure(figsize=(5, 3.2), layout="constrained")
for g in (0, 0.25, 0.5, 0.75, 1):
    plt.plot(z, g * z, "C0", lw=0.8, label="lines with a subgradient as slope" if g == 0 else None)
    assert (relu.forward(z)[0] >= g * z).all()
plt.plot(z, 1.3 * z, "C3--", lw=0.8, label="slope 1.3: it crosses the curve")
plt.plot(z, relu.forward(z)[0], "k", lw=2, label="relu")
plt.xlabel("z")
plt.legend()
plt.title("Subgradients at the kink")
plt.show()

_, cache = relu.forward(np.zeros(3))
assert not (relu.forward(z)[0] >= 1.3 * z).all()
assert np.array_equal(relu.backward(np.ones(3), cache), [0, 0, 0]), "at 0 the slope is taken as 0"

# %%
# Does it matter, if a number is hardly ever exactly zero? For computing pictures, little. For checking gradients, much,
# because it is enough to be *near*: whoever moves :math:`x` by :math:`h` to both sides crosses the kinks of all units
# with :math:`|x| < h`. If the values spread like a normal distribution with standard deviation 1, whose density at zero
# is :math:`1/\sqrt{2\pi} \approx 0.4`, a share of :math:`2h \cdot 0.4` of all units is that near. With a million of
# them, which is few for a network, even the good step of lesson 2 crosses some, and each gives a slope that is wrong by
# up to one half.

units = random.standard_normal(1_000_000)
for h in (1e-2, 1e-3, 1e-4, 1e-5):
    print(f"h = {h:.0e}: {np.sum(np.abs(units) < h):5} units within h of their kink, expected {0.8e6 * h:.0f}")

x = np.array([1e-6, 0.5])  # the first is nearer to the kink than the step that lesson 2 found best
slopes = [directional_derivative(lambda x: relu.forward(x)[0].sum(), x, index, 1e-5) for index in (0, 1)]
print("slopes by central differences:", slopes, "by backward:", relu.backward(np.ones(2), relu.forward(x)[1]))
assert abs(np.sum(np.abs(units) < 1e-2) / 8000 - 1) < 0.1
assert np.allclose(slopes, [0.55, 1.0])

# %%
# It would be wrong to be content with a large tolerance, for then real mistakes pass, too. A good judge looks at
# which side of its kink each unit is on, at :math:`x - h` and at :math:`x + h`. Where a unit has changed sides, it
# takes a smaller step, and if the unit sits on the kink, it says so and does not judge. ``kinks=relu_signs`` tells
# ``check_backward`` which sides to look at. In the report, the last lines name the units.

x = random.standard_normal((4, 5))
x[0, 0] = 0  # on its kink
x[1, 2] = 1e-7  # near it
report = check_backward(relu.forward, relu.backward, [x], names=["x"], kinks=relu_signs, name="relu with kinks")
print(report)
assert report.passed
assert report.inputs[0].kinks.not_judged == 1

# %%
# What must be cached
# -------------------
#
# Backward has to know where :math:`x` was positive. Does it have to keep :math:`x`? The output tells as much: :math:`y`
# is positive exactly where :math:`x` was. And :math:`y` is kept anyway, since it is the input of the next operation, so
# a ReLU that caches :math:`y` costs no memory of its own. This is what ``scratchnst/ops/relu.py`` does.
#
# Where even :math:`y` can be let go, the mask, one bit for each unit, is enough. In the first layer of VGG19, for a
# picture of 512 by 512 pixels, there are 64 units for each pixel. (``scratchnst/engine/cpu``, the package at its
# fastest, keeps a byte for each: bits save memory, but cost time.)

x = random.standard_normal((16, 16, 64))
y, cache = relu.forward(x)
assert cache is y
assert np.array_equal(y > 0, x > 0)

bits = np.packbits(x > 0)  # eight units in a byte
grad_y = random.standard_normal(x.shape)
grad_x = grad_y * np.unpackbits(bits).reshape(x.shape)
assert np.array_equal(grad_x, relu.backward(grad_y, cache))

unit_count = 512 * 512 * 64
for what, size in (("x or y in float32", 4), ("a mask of bytes", 1), ("a mask of bits", 1 / 8)):
    print(f"{what:18} {unit_count * size / 1e6:5.1f} MB")
assert bits.nbytes * 8 == x.size

# %%
# Dead units
# ----------
#
# The flat side of a ReLU has a consequence that no formula warns of: where the slope is 0, gradient descent does not
# move. Take one number :math:`x` and the loss :math:`L = \frac{1}{2} (\text{relu}(x - 1) - 2)^2`. It is smallest at
# :math:`x = 3`. But for all :math:`x < 1` the unit is silent, the slope is 0, and a walk that starts there stays there
# for ever, although the loss is large. Such a unit is called *dead*.

x = np.linspace(-1, 5, 200)
plt.figure(figsize=(6, 3.4), layout="constrained")
plt.plot(x, 0.5 * (relu.forward(x - 1)[0] - 2) ** 2, "0.6")
ends = {}
for start in (0.5, 1.2, 4.5):
    place, walk = start, [start]
    for _ in range(30):
        active = place > 1
        place = place - 0.3 * (max(place - 1, 0) - 2) * active
        walk.append(place)
    ends[start] = place
    walk = np.array(walk)
    plt.plot(walk, 0.5 * (np.maximum(walk - 1, 0) - 2) ** 2, "o-", ms=4, label=f"start at {start}")
plt.xlabel("x")
plt.ylabel("loss L")
plt.title("On the flat side nothing moves")
plt.legend()
plt.show()

assert ends[0.5] == 0.5
assert np.isclose(ends[1.2], 3, atol=1e-3)
assert np.isclose(ends[4.5], 3, atol=1e-3)

# %%
# The paper's equation 2 says the same of its content loss. Half the squared distance of features has the slope
# :math:`F - P`; and handed back through the ReLU that has made :math:`F`, it is
#
# .. math::
#
#     \frac{\partial L_{\text{content}}}{\partial F_{ij}} =
#     \begin{cases} F_{ij} - P_{ij} & \text{if } F_{ij} > 0 \\ 0 & \text{if } F_{ij} < 0 \end{cases}
#
# Strictly, what stands on the left is the slope with respect to the *input* of the ReLU, and :math:`F < 0` is a way of
# saying that this input was negative. The package states it as a function, and a chain of two backwards gives the same.

x, P = random.standard_normal((1, 4, 5, 3)), np.abs(random.standard_normal((1, 4, 5, 3)))
F, relu_cache = relu.forward(x)
_, loss_cache = content_loss.forward(F, P)
chained = relu.backward(content_loss.backward(1.0, loss_cache), relu_cache)
assert np.array_equal(chained, content_loss.equation_2(F, P))

# %%
# And in a picture? Let us walk to the content's edges as in lesson 3, this time with both detectors, ``relu(edges)``
# and ``relu(-edges)``, as features. From a flat grey picture the walk does not take a single step. All edges are zero,
# all units sit on their kink, and the slope there was agreed to be zero. From the same grey with a little noise, hardly
# to be seen, the walk succeeds nearly everywhere: no unit sits on its kink any more. The paper, too, begins with noise.
# (Some units die on the way, wherever an edge first points in the wrong direction and nothing around it helps it across
# zero. They are what the last result lacks.)


def detector_loss(grey, P):
    """How far the two detectors' answers to a grey picture are from those to edges P, and the gradient."""
    edges, L, grad_edges = edges_of(grey), 0.0, 0.0
    for sign in (1, -1):
        F, relu_cache = relu.forward(sign * edges)
        part, loss_cache = content_loss.forward(F, relu.forward(sign * P)[0])
        L += part
        grad_edges = grad_edges + sign * relu.backward(content_loss.backward(1.0, loss_cache), relu_cache)
    grad_grey = np.zeros_like(grey)
    grad_grey[:, 1:] += grad_edges
    grad_grey[:, :-1] -= grad_edges
    return L, grad_grey


P = edges
starts = {"flat grey": np.full_like(grey, 127.5), "faint noise": 127.5 + random.standard_normal(grey.shape)}
losses, shown = {}, {"what we want": grey}
for name, x in starts.items():
    for _ in range(full_size(2000, 500)):
        losses[name], grad_grey = detector_loss(x, P)
        x = x - 0.25 * grad_grey
    shown[f"from {name}"] = x

in_colour = {title: np.repeat(picture[:, :, np.newaxis], 3, axis=2) for title, picture in shown.items()}
show_images(in_colour)  # three equal channels: the same scale for all, so that a flat picture is shown as it is
plt.show()

print(losses)
assert np.array_equal(shown["from flat grey"], starts["flat grey"]), "it has not moved"
assert losses["faint noise"] < 0.05 * losses["flat grey"]

# %%
# A ReLU, then, is a switch for each unit, set by the picture on the way forward and obeyed on the way back. The next
# lesson's operation, pooling, is of the same kind: it is linear in one of its forms, and a switch in the other.
#
# Exercises
# ---------
#
# 1. On paper: write :math:`|x|` and :math:`\max(a, b)` as sums of ReLUs. Find the backward of :math:`\max(a, b)` from
#    that, and say which paths meet where.
# 2. On paper: a *leaky* ReLU is :math:`y = x` for :math:`x > 0` and :math:`y = 0.1 x` otherwise. Find its backward and
#    its subgradients at 0. Can its units die? Is :math:`y` still enough as a cache?
# 3. By experiment: in the last section, agree on the slope 1 at the kink instead of 0. Does the walk from flat grey
#    move now? Where does it get to, and what do the two detectors do to each other at the first step?
# 4. In code: ``lessons/04_relu/exercise.py`` asks for a ReLU's forward (``relu_forward``) and backward
#    (``relu_backward``), without loops. ``scratchnst check 4`` tells whether they are right.
