r"""
L-BFGS: Newton's step without its matrix
========================================

Gradient descent, momentum and Adam (lesson 11) use the gradient and nothing else. How the gradient *changes*, the
curvature, tells more: with it a single step leads to the bottom of any bowl, however narrow. But the matrix of second
derivatives of an image is far too large for any memory. L-BFGS, the optimiser of the paper and the default of this
package, guesses what it needs of that matrix from the steps that it has taken. This lesson derives all parts of it,
puts them together in twenty lines, and lets it race on an image.

After this lesson you can

* derive Newton's step, and say why it does not serve for an image as it is;
* derive the BFGS update from what a step tells about the curvature;
* multiply by a matrix that no memory could hold: the two loops of L-BFGS;
* say which steps a line search accepts, and why;
* choose an optimiser for an image, and defend the choice with a plot.

It needs lessons 2 (differences), 9 (content loss) and 11 (gradient descent, condition number, momentum, Adam).

=====================  ==========================================================================================
symbol                 meaning
=====================  ==========================================================================================
:math:`x`              the unknowns, :math:`n` numbers in one vector: two coordinates, or all values of an image
:math:`f(x), g`        the loss, and its gradient :math:`\nabla f` as a vector, :math:`g_i = \partial f / \partial x_i`
:math:`B`              the Hessian, :math:`B_{ij} = \partial^2 f / \partial x_i \partial x_j`, a symmetric matrix
:math:`\kappa`         its condition number: the largest eigenvalue divided by the smallest
:math:`H`              a guess of :math:`B^{-1}`, and :math:`H_0` the first one
:math:`d, t`           a direction, and how far to go along it
:math:`\varphi(t)`     the loss along a direction, :math:`f(x + t d)`; :math:`\varphi'` is its derivative
:math:`s, y`           a step, and how the gradient has changed along it (no output of an operation here)
:math:`\rho, V`        :math:`1 / (y^T s)`, and the matrix :math:`I - \rho \, y s^T`
:math:`q, r`           a vector to multiply by :math:`H`, and what the product has become so far
:math:`\alpha, \beta`  :math:`\rho \, s^T q` and :math:`\rho \, y^T r`
:math:`\gamma`         the number in :math:`H_0 = \gamma I`
:math:`c_1, c_2`       the two constants of the line search
=====================  ==========================================================================================

Otherwise a prime marks what comes next: :math:`x'` is the point after :math:`x`, and :math:`g'` the gradient there.
An *evaluation* is one question for loss and gradient at a point, which for an image takes nearly all of the time. So
optimisers are judged by the loss after so many evaluations.
"""

from collections import deque

import matplotlib.pyplot as plt
import numpy as np

from scratchnst import Objective, optimize
from scratchnst.classroom import full_size, network, pictures, show_images
from scratchnst.optimize import adam
from scratchnst.optimize.lbfgs import inverse_hessian_times
from scratchnst.optimize.line_search import line_search
from scratchnst.verify import check_gradient

# %%
# The valley of lesson 11
# -----------------------
#
# We need a loss whose second derivatives can be written down. Rosenbrock's valley, which bends along the parabola
# :math:`x_2 = x_1^2` and is lowest at :math:`(1, 1)`, is one. With :math:`w = x_2 - x_1^2`, whose derivatives are
# :math:`-2 x_1` and 1,
#
# .. math::
#
#     f(x) = (1 - x_1)^2 + 100 \, w^2, \qquad
#     g = \begin{pmatrix} -2 (1 - x_1) - 400 \, x_1 w \\ 200 \, w \end{pmatrix}
#
# .. math::
#
#     B = \begin{pmatrix} 2 - 400 \, w + 800 \, x_1^2 & -400 \, x_1 \\ -400 \, x_1 & 200 \end{pmatrix}
#
# At the minimum its curvatures are 0.4 and 1002, so :math:`\kappa` is about 2500. Gradient descent needs some 10000
# evaluations from :math:`(-1.2, 1)`.


def rosenbrock(x):
    w = x[1] - x[0] ** 2
    return (1 - x[0]) ** 2 + 100 * w**2, np.array([-2 * (1 - x[0]) - 400 * x[0] * w, 200 * w])


def rosenbrock_hessian(x):
    w = x[1] - x[0] ** 2
    return np.array([[2 - 400 * w + 800 * x[0] ** 2, -400 * x[0]], [-400 * x[0], 200.0]])


def watched(f):
    """Return f, and the list of (point, loss) at which it has been called."""
    seen = []

    def f_watched(x):
        loss, gradient = f(x)
        seen.append((x.copy(), loss))
        return loss, gradient

    return f_watched, seen


start, goal = np.array([-1.2, 1.0]), np.array([1.0, 1.0])
assert check_gradient(rosenbrock, start).passed
assert np.allclose(np.linalg.eigvalsh(rosenbrock_hessian(goal)), [0.399, 1001.6], rtol=1e-3)

# %%
# Newton's step
# -------------
#
# Which step would lead to the bottom at once? Take Taylor's formula at :math:`x` to second order, for a step :math:`d`:
#
# .. math::
#
#     f(x + d) \approx f(x) + g^T d + \frac{1}{2} d^T B d
#
# The gradient of the right side with respect to :math:`d` is :math:`g + B d` (the last term is a bowl). It is zero
# for
#
# .. math::
#
#     d = -B^{-1} g
#
# *Newton's step*. If :math:`f` is a bowl the formula is exact, and one step leads to the minimum, whatever
# :math:`\kappa` is. Even the units are right. Say that :math:`x` is in metres and :math:`f` in euros. A slope is in
# euros per metre, and gradient descent adds it to metres; but :math:`B` is in euros per metre squared, so
# :math:`B^{-1} g` is in metres. Gradient descent takes :math:`\eta I` for :math:`B^{-1}`, with
# its rate :math:`\eta`: it is what remains if nothing is known of :math:`B`.

B, x = np.diag([1.0, 1e6]), np.array([1.0, 1.0])
assert np.allclose(x - np.linalg.solve(B, B @ x), 0), "one step, at kappa = a million"

x, newton = start, []
for _ in range(7):
    loss, g = rosenbrock(x)
    newton.append(loss)
    x = x - np.linalg.solve(rosenbrock_hessian(x), g)
print("Newton in Rosenbrock's valley:", *(f"{loss:.2g}" for loss in newton))
assert newton[-1] < 1e-15
assert max(newton) > 1000

# %%
# Six steps in place of ten thousand. But three things speak against it.
#
# * The step trusts a formula that holds nearby. On the way it went *up* to a loss of 1400. It was lucky to come back.
# * Where :math:`B` has a negative eigenvalue, the point with :math:`g + B d = 0` is not the lowest of the formula,
#   and :math:`d` may lead uphill, with a slope :math:`g^T d > 0`.
# * :math:`B` has :math:`n^2` entries. An image of 256 by 256 pixels has :math:`n = 196608`, and its :math:`B` takes
#   309 GB. Nor do we have second derivatives; the walk back computes first ones.

x = np.array([0.0, 0.01])
_, g = rosenbrock(x)
d = -np.linalg.solve(rosenbrock_hessian(x), g)
assert np.linalg.eigvalsh(rosenbrock_hessian(x))[0] < 0
assert g @ d > 0, "uphill"
assert round((256 * 256 * 3) ** 2 * 8 / 1e9) == 309, "gigabytes, 8 bytes a number"

# %%
# What a step tells
# -----------------
#
# Yet we do have second-order knowledge: gradients at *two* points. With a single unknown, the second derivative is
# about the change of the slope over the step, :math:`y / s`, a difference quotient as in lesson 2. With many
# unknowns, walk from :math:`x` to :math:`x' = x + s` along the straight line :math:`x + \tau s`, :math:`\tau` from 0
# to 1. By the chain rule the gradient changes along it at the rate :math:`B s`, with :math:`B` as it is at that
# place:
#
# .. math::
#
#     y = g' - g = \int_0^1 \frac{d}{d\tau} \, g(x + \tau s) \, d\tau = \int_0^1 B(x + \tau s) \, s \, d\tau = \bar{B} s
#
# where :math:`\bar{B}` is the mean of the Hessian along the step. We look for a matrix :math:`H` that serves in place
# of :math:`B^{-1}`. After a step, the next guess :math:`H'` should know what the step has shown:
#
# .. math::
#
#     H' y = s \qquad \text{(the secant equation)}
#
# It says what :math:`H'` does to one vector, :math:`y`. What should it do to all the others? The next section answers
# that; first :math:`y = \bar{B} s` in Rosenbrock's valley, with the mean taken over 1000 places on the step:

s = np.array([0.5, -0.2])
y = rosenbrock(start + s)[1] - rosenbrock(start)[1]
places = (np.arange(1000) + 0.5) / 1000
mean_hessian = np.mean([rosenbrock_hessian(start + place * s) for place in places], axis=0)
print("y =", y, "and the mean Hessian times s =", mean_hessian @ s)
assert np.allclose(y, mean_hessian @ s, rtol=1e-5)

# %%
# The BFGS update
# ---------------
#
# C. Broyden, R. Fletcher, D. Goldfarb and D. Shanno found the answer in 1970, each on his own. Here is a way to it on
# which nothing is chosen until the very end. Suppose :math:`y^T s > 0`, and let :math:`\rho = 1 / (y^T s)`. Any
# vector :math:`q` can be split into a multiple of :math:`y` and a rest,
#
# .. math::
#
#     q = a \, y + V q \qquad \text{with} \qquad a = \rho \, s^T q, \qquad V = I - \rho \, y s^T
#
# which is the definition of :math:`V`, rearranged. The rest is orthogonal to the step:
# :math:`s^T V q = s^T q - \rho \, (s^T y) (s^T q) = 0`, because :math:`\rho \, s^T y = 1`. Now let :math:`H'` be
# *any* symmetric matrix that obeys the secant equation, and multiply out:
#
# .. math::
#
#     q^T H' q = (a y + V q)^T H' (a y + V q) = a^2 \, y^T H' y + 2 a \, y^T H' V q + (V q)^T H' V q
#
# * First term: :math:`y^T H' y = y^T s = 1 / \rho`, so it is :math:`a^2 / \rho = \rho \, (s^T q)^2`.
# * Second term: :math:`y^T H' = (H' y)^T = s^T`, and :math:`s^T V q = 0`. It vanishes.
#
# This is so for every :math:`q`. A symmetric matrix is known from such values (those for unit vectors give its
# diagonal, those for sums of two unit vectors the rest), hence
#
# .. math::
#
#     H' = V^T H' V + \rho \, s s^T
#
# The secant equation leaves open nothing but :math:`V^T H' V`: what :math:`H'` does to vectors orthogonal to the
# step. Of those the step has shown nothing. So there, and this is the only choice, we keep what we had, :math:`H`:
#
# .. math::
#
#     H' = V^T H V + \rho \, s s^T, \qquad V = I - \rho \, y s^T, \qquad \rho = \frac{1}{y^T s}
#
# That is BFGS. It keeps its promise: :math:`V y = y - \rho \, y \, (s^T y) = 0`, so
# :math:`H' y = \rho \, s \, (s^T y) = s`. And if :math:`z^T H z > 0` for all :math:`z \ne 0` (:math:`H` is *positive
# definite*), then :math:`H'` is, too: in :math:`z^T H' z = (V z)^T H (V z) + \rho \, (s^T z)^2` no term is below 0,
# and if the second is 0, then :math:`s^T z = 0` and :math:`V z = z`, so the first is not. Therefore :math:`d = -H' g`
# always leads downhill, :math:`g^T d = -g^T H' g < 0`. Newton's second trouble is gone, provided that
# :math:`y^T s > 0`. The line search will see to that.


def bfgs_update(H, s, y):
    rho = 1 / (y @ s)
    V = np.eye(len(s)) - rho * np.outer(y, s)
    return V.T @ H @ V + rho * np.outer(s, s)


# %%
# In a bowl with six unknowns we go along each direction until the loss rises again. (The slope at :math:`x + t d` is
# :math:`d^T B (x + t d)`, which is zero for :math:`t = -g^T d / d^T B d`.) After six steps :math:`H` is
# :math:`B^{-1}`, all of it, found from gradients alone:

random = np.random.default_rng(1)
turn, _ = np.linalg.qr(random.standard_normal((6, 6)))
B = turn @ np.diag([1.0, 3.0, 10.0, 30.0, 100.0, 300.0]) @ turn.T
x, H, errors = random.standard_normal(6), np.eye(6), []
for _ in range(6):
    g = B @ x
    d = -H @ g
    s = -(g @ d) / (d @ B @ d) * d
    y = B @ s
    x, H = x + s, bfgs_update(H, s, y)
    assert np.allclose(H @ y, s)
    assert np.allclose(H, H.T)
    assert np.linalg.eigvalsh(H)[0] > 0
    errors.append(np.linalg.norm(H @ B - np.eye(6)))
print("|H B - I| after each step:", *(f"{error:.2g}" for error in errors))
assert errors[-1] < 1e-6
assert np.linalg.norm(x) < 1e-6

# %%
# L-BFGS: the product without the matrix
# --------------------------------------
#
# :math:`H` is as large as :math:`B`, 309 GB. But nobody needs :math:`H`. The direction is :math:`-H g`, so a
# *product* with a vector is enough, and :math:`H` is made of little: a first guess :math:`H_0`, and the pairs
# :math:`(s, y)` of the steps taken. J. Nocedal (1980) read the update as an instruction for the product. For any
# vector :math:`q`,
#
# .. math::
#
#     H' q = V^T \, \big( H \, (V q) \big) + \rho \, s \, (s^T q)
#
# From the inside outwards:
#
# 1. :math:`V q = q - \rho \, y \, (s^T q) = q - \alpha y`, with the number :math:`\alpha = \rho \, s^T q`.
# 2. :math:`r = H \, (q - \alpha y)`: the same task again, with the matrix *before* the last update.
# 3. :math:`V^T r = r - \rho \, s \, (y^T r) = r - \beta s`, with the number :math:`\beta = \rho \, y^T r`.
# 4. The last term is :math:`\rho \, s \, (s^T q) = \alpha s`. Together,
#
# .. math::
#
#     H' q = r + (\alpha - \beta) \, s
#
# No matrix is left, only inner products of vectors and multiples of vectors. Line 2 asks for the matrix before, that
# one for the one before it, and so on down to :math:`H_0`. For :math:`H_0` a multiple of the identity is taken,
# :math:`\gamma I`, with the :math:`\gamma` that does best what an inverse Hessian does, :math:`\gamma y \approx s`:
# the square :math:`|\gamma y - s|^2 = \gamma^2 \, y^T y - 2 \gamma \, s^T y + s^T s` has the derivative
# :math:`2 \gamma \, y^T y - 2 \, s^T y`, which is zero for
#
# .. math::
#
#     \gamma = \frac{s^T y}{y^T y}, \qquad \text{with the newest pair, which knows the valley as it is here}
#
# By hand, with one pair: :math:`s = (1, 0)`, :math:`y = (2, 1)`, and :math:`q = (1, 1)`. So :math:`\rho = 1/2`,
# :math:`\gamma = 2/5`, :math:`\alpha = 1/2`. Line 1 gives :math:`q - \alpha y = (0, 1/2)`, line 2
# :math:`r = (0, 1/5)`, line 3 :math:`\beta = 1/10`, and :math:`H' q = (0, 1/5) + 2/5 \, (1, 0) = (2/5, 1/5)`.


def recursive_product(q, pairs, gamma):
    """Return H q; `pairs` holds (s, y), the oldest first.  The four lines above, one by one."""
    if not pairs:
        return gamma * q
    *older, (s, y) = pairs
    rho = 1 / (y @ s)
    alpha = rho * (s @ q)
    r = recursive_product(q - alpha * y, older, gamma)
    beta = rho * (y @ r)
    return r + (alpha - beta) * s


s, y, q = np.array([1.0, 0.0]), np.array([2.0, 1.0]), np.array([1.0, 1.0])
assert np.allclose(recursive_product(q, [(s, y)], gamma=2 / 5), [2 / 5, 1 / 5])
assert np.allclose(bfgs_update(2 / 5 * np.eye(2), s, y) @ q, [2 / 5, 1 / 5]), "the matrix says the same"

# %%
# The recursion makes no matrix, and it must still give what the matrix gives. Two pairs of a bowl with two unknowns,
# first with :math:`H` written out, then with the four lines; then the same for five pairs and eight unknowns:


def pairs_of_a_bowl(n, count, random):
    root = random.standard_normal((n, n))
    return [(s, root @ root.T @ s) for s in random.standard_normal((count, n))]  # y.s = |root^T s|^2 > 0


random = np.random.default_rng(2)
for n, count in ((2, 2), (8, 5)):
    pairs, q = pairs_of_a_bowl(n, count, random), random.standard_normal(n)
    s, y = pairs[-1]
    gamma = (s @ y) / (y @ y)
    H = gamma * np.eye(n)
    for s, y in pairs:
        H = bfgs_update(H, s, y)
    product = recursive_product(q, pairs, gamma)
    if n == 2:
        print(f"H =\n{H}\nH q       = {H @ q}\nrecursion = {product}")
    assert np.allclose(product, H @ q)

# %%
# A recursion with ten pairs is ten calls deep, and each of which keeps its :math:`\alpha` until the inner ones have
# returned. All that happens *before* an inner call can be done for one pair after the other in a loop, and all that
# happens *after* it in a second one. These are the *two loops* that L-BFGS is known by. In which order does each of
# them go through the pairs, and what must the second know of the first? That is this lesson's exercise. The package's
# loops are ``inverse_hessian_times`` in ``scratchnst/optimize/lbfgs.py``; look there when you have written yours.

in_the_package = inverse_hessian_times(q, [(s, y, 1 / (y @ s)) for s, y in pairs])  # it wants rho as well
assert np.allclose(in_the_package, H @ q)

# %%
# A pair costs two inner products and two multiples of vectors, :math:`4 n` multiplications, and :math:`2 n` numbers of
# memory. The L stands for *limited memory*: only the last ten pairs are kept, the oldest is forgotten when a new one
# comes. For 256 by 256 pixels that is 31 MB in place of 309 GB. Forgetting also helps: in a valley that bends, old
# pairs tell of another bend.

assert 31e6 < 2 * 10 * (256 * 256 * 3) * 8 < 32e6

# %%
# How far? The line search
# ------------------------
#
# A direction with :math:`g^T d < 0` leads downhill at first. The formula behind Newton's step says: go all of it,
# :math:`t = 1`. But it holds only nearby. So look at the loss along the line,
#
# .. math::
#
#     \varphi(t) = f(x + t d), \qquad \varphi'(t) = g(x + t d)^T d
#
# (chain rule: :math:`x + t d` moves with the velocity :math:`d`); one evaluation gives both numbers. Which :math:`t`
# is good enough? "The loss has fallen" will not do. On :math:`f(x) = x^2`, the points
# :math:`2, -1.5, 1.25, -1.125, \dots` fall at each step and end up jumping between 1 and -1, with the minimum in the
# middle: long steps for next to nothing. So ask for a gain in proportion to what the slope has promised,
# :math:`t \, |\varphi'(0)|`. A small share of it will do, :math:`c_1 = 10^{-4}`:
#
# .. math::
#
#     \varphi(t) \le \varphi(0) + c_1 \, t \, \varphi'(0) \qquad \text{(sufficient decrease; L. Armijo, 1966)}
#
# A step can also be too *short*: a tiny :math:`t` always meets the first condition. If the loss still falls nearly as
# steeply as at the start, it would pay to go on. So ask that some of the slope is gone, with :math:`c_2 = 0.9`:
#
# .. math::
#
#     |\varphi'(t)| \le c_2 \, |\varphi'(0)| \qquad \text{(the strong condition of P. Wolfe, 1969)}
#
# **Such a step exists**, if :math:`f` is bounded below and :math:`c_1 < c_2`. The straight line
# :math:`\varphi(0) + c_1 t \varphi'(0)` falls for ever; :math:`\varphi` starts out below it, being steeper, and
# cannot stay there, so they meet, first at some :math:`t_1`. Up to there the first condition holds. By the mean value
# theorem there is a :math:`t_2` before :math:`t_1` with
# :math:`\varphi'(t_2) = (\varphi(t_1) - \varphi(0)) / t_1 = c_1 \varphi'(0)`, and there the second holds as well, since
# :math:`c_1 < c_2`.
#
# **And it keeps BFGS safe.** After such a step, :math:`s = t d`. As :math:`\varphi'(0) < 0` and
# :math:`\varphi'(t) \ge -c_2 \, |\varphi'(0)|`,
#
# .. math::
#
#     y^T s = t \, (g'^T d - g^T d) = t \, \big( \varphi'(t) - \varphi'(0) \big) \ge t \, (1 - c_2) \, |\varphi'(0)| > 0

jumps = np.array([(-1) ** k * (1 + 0.5**k) for k in range(20)])  # 2, -1.5, 1.25 ...
lengths, gains = np.abs(np.diff(jumps)), -np.diff(jumps**2)
assert (gains > 0).all(), "it falls each time,"
assert np.isclose(abs(jumps[-1]), 1, atol=1e-4), "and ends at 1 or -1"
assert gains[-1] < 1e-4 * lengths[-1] * abs(2 * jumps[-2]), "Armijo would not have taken the last step"

# %%
# The package's search, ``scratchnst/optimize/line_search.py``, tries a step; if a condition fails, it lays a cubic
# polynomial through the values and slopes at two steps and tries where that is lowest (exercise 2 derives it). Here it
# is at work along the first direction in Rosenbrock's valley, from :math:`(-1.2, 1)` straight downhill. So that the
# search has something to do, the conditions are stricter than usual: :math:`c_1 = 0.01`, :math:`c_2 = 0.1`.


def along(f, x, d):
    """Return phi, and a dictionary in which it leaves the point and the gradient of its last call."""
    last = {}

    def phi(t):
        last["x"] = x + t * d
        loss, last["g"] = f(last["x"])
        return loss, last["g"] @ d

    return phi, last


direction = -rosenbrock(start)[1] / np.linalg.norm(rosenbrock(start)[1])
f_watched, tried = watched(rosenbrock)
phi, _ = along(f_watched, start, direction)
t = np.linspace(0, 2.9, 1000)
values, slopes = np.array([phi(step) for step in t]).T
tried.clear()
found = line_search(phi, values[0], slopes[0], step=0.7, c1=0.01, c2=0.1)
assert found.loss <= values[0] + 0.01 * found.step * slopes[0]
assert abs(found.slope) <= 0.1 * abs(slopes[0])

# %%
# In the figure, blue is where the first condition holds, green where both do.

_, axes = plt.subplots(figsize=(8, 4), layout="constrained")
armijo = values[0] + 0.01 * t * slopes[0]
falls, flat = values <= armijo, abs(slopes) <= 0.1 * abs(slopes[0])
axes.plot(t, values, "k")
axes.plot(t, armijo, "--", color="tab:blue", label="what Armijo asks for")
axes.fill_between(t, 0, 150, where=falls, color="tab:blue", alpha=0.15, label="sufficient decrease")
axes.fill_between(t, 0, 150, where=falls & flat, color="tab:green", alpha=0.5, label="and flat enough")
for number, (x, loss) in enumerate(tried, start=1):
    axes.plot((x - start) @ direction, loss, "o", color="tab:red")
    axes.annotate(str(number), ((x - start) @ direction, loss), xytext=(5, 6), textcoords="offset points")
axes.set(xlabel="t", ylabel=r"$\varphi(t)$", ylim=(0, 150), title="The first direction in Rosenbrock's valley")
axes.legend(loc="upper center")
plt.show()
assert len(tried) <= 4
assert (falls & flat).any()

# %%
# The line crosses the valley's floor twice, and in both places there is a green stretch in which the search may stop.
# The red points are its tries, in order.
#
# All together
# ------------
#
# Direction from the two loops, distance from the line search, a new pair: that is L-BFGS. In the first step there are
# no pairs, :math:`d = -g`, and the units are wrong; we say how far to move.


def lbfgs(f, x, iterations, first_move, history=10):
    pairs = deque(maxlen=history)  # a new pair pushes the oldest out
    loss, g = f(x)
    for _ in range(iterations):
        d = -inverse_hessian_times(g, pairs)
        phi, last = along(f, x, d)
        found = line_search(phi, loss, g @ d, 1.0 if pairs else first_move / np.linalg.norm(d))
        if found is None:
            break  # no lower loss can be told from rounding
        s, y = last["x"] - x, last["g"] - g
        pairs.append((s, y, 1 / (y @ s)))
        x, loss, g = last["x"], found.loss, last["g"]
    return x


# %%
# Now beside the optimisers of lesson 11, down Rosenbrock's valley. Gradient descent is momentum with
# :math:`\beta = 0`, where this :math:`\beta` is the share of the old sum that is kept. Each rate is one that serves its
# optimiser well. L-BFGS needs none.


def heavy_ball(f, x, steps, rate, beta):
    u = np.zeros_like(x)
    for _ in range(steps):
        _, g = f(x)
        u = beta * u + g
        x = x - rate * u
    return x


def draw_in_valley(axes, seen, title):
    across, up = np.meshgrid(np.linspace(-1.5, 1.5, 200), np.linspace(-0.5, 1.5, 200))
    axes.contour(across, up, np.log10(rosenbrock((across, up))[0] + 1e-3), levels=20, colors="0.8", linewidths=0.7)
    axes.plot(*np.array([x for x, _ in seen]).T, ".-", markersize=4, linewidth=1)
    axes.plot(*goal, "k*", markersize=10)
    axes.set(xlim=(-1.5, 1.5), ylim=(-0.5, 1.5), xlabel="$x_1$", ylabel="$x_2$", aspect="equal", title=title)


runs = {
    "gradient descent": lambda f: heavy_ball(f, start, 12000, rate=0.0015, beta=0),
    "momentum": lambda f: heavy_ball(f, start, 1000, rate=0.001, beta=0.95),
    "Adam": lambda f: adam(f, start, 2000, rate=0.1),
    "L-BFGS": lambda f: lbfgs(f, start, 50, first_move=0.1),
}
seen = {}
for name, run in runs.items():
    f_watched, seen[name] = watched(rosenbrock)
    run(f_watched)

_, grid = plt.subplots(2, 2, figsize=(10, 7.2), layout="constrained")
for axes, (name, points) in zip(grid.flat, seen.items()):
    draw_in_valley(axes, points[:200], f"{name}, {min(200, len(points))} evaluations")
plt.show()

_, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for name, points in seen.items():
    axes.loglog(np.arange(1, 1 + len(points)), [loss for _, loss in points], label=name)
axes.set(xlabel="evaluations", ylabel="loss", ylim=(1e-12, 1e3), title="In Rosenbrock's valley")
axes.legend()
plt.show()

# %%
# L-BFGS takes the bend in a few large steps; the points off its path were tried by the line search and rejected. In
# the plot both axes are logarithmic. Evaluations until the loss is below a millionth:

needed = {name: next(k for k, (_, loss) in enumerate(points, 1) if loss < 1e-6) for name, points in seen.items()}
print(needed)
assert needed["L-BFGS"] < 100 < needed["momentum"] < needed["gradient descent"]
assert needed["L-BFGS"] < needed["Adam"] / 5

# %%
# A race on an image
# ------------------
#
# The loss is the content loss of lesson 9, at a layer of the second block. All start from the same white noise and
# have the same number of evaluations. *Gradient descent with a line search* is L-BFGS without any pairs: it shows
# what the line search alone is worth. Momentum needs a rate, and so the largest curvature :math:`\lambda_{\max}`. It
# is measured by the power method of lesson 11's exercise 4: a random vector that is multiplied by :math:`B` again and
# again, as a difference of two gradients, turns to the steepest direction. Adam has the package's usual rate, 5 grey
# levels a step. L-BFGS is the package's, once with a memory of a single pair and once with ten.

net = network()
layer = list(net.defaults.style_layers)[1]
side, evaluations = full_size(96, 24), full_size(300, 60)
content = pictures(side)[0]
settings = {"content_layers": [layer], "content_weight": 1, "tv_weight": 0, "normalized": True}
objective = Objective(net, content, **settings, dtype="float32")

v, h = np.random.default_rng(1).standard_normal(content.size), 10
for _ in range(15):
    v /= np.linalg.norm(v)
    v = (objective(content.ravel() + h * v)[1] - objective(content.ravel() - h * v)[1]) / (2 * h)
steepest = np.linalg.norm(v)
print(f"{net.name}, {layer}: the largest curvature is {steepest:.2g}")

noise = np.random.default_rng(0).normal(127.5, 20, content.size)
runs = {
    "line search only": lambda f: optimize.lbfgs(f, noise, evaluations, history=0),
    "momentum": lambda f: heavy_ball(f, noise, evaluations, rate=0.5 / steepest, beta=0.9),
    "Adam": lambda f: adam(f, noise, evaluations, rate=5),
    "L-BFGS, 1 pair": lambda f: optimize.lbfgs(f, noise, evaluations, history=1),
    "L-BFGS, 10 pairs": lambda f: optimize.lbfgs(f, noise, evaluations, history=10),
}
early, losses, images_seen = 25, {name: [] for name in runs}, {}
for name, run in runs.items():

    def f(x, name=name):
        loss, gradient = objective(x)
        losses[name].append(loss)
        if len(losses[name]) in (early, evaluations):
            images_seen[f"{name}, {len(losses[name])}"] = x.reshape(side, side, 3).copy()
        return loss, gradient

    run(f)

# %%
# The lowest loss after so many evaluations, and the pictures after 25 of them and after all:

_, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
lowest = {name: np.minimum.accumulate(trace[:evaluations]) / trace[0] for name, trace in losses.items()}
for name, trace in lowest.items():
    axes.loglog(np.arange(1, 1 + len(trace)), trace, label=name)
axes.set(xlabel="evaluations", ylabel="lowest loss so far / first loss", title=f"{side}x{side} pixels, {layer}")
axes.legend()
plt.show()

for number in (early, evaluations):
    show_images({title: image for title, image in images_seen.items() if title.endswith(f", {number}")}, columns=5)
    plt.show()

at_the_end = {name: trace[-1] for name, trace in lowest.items()}
print({name: f"{loss:.1e}" for name, loss in at_the_end.items()})
with_pairs = min(at_the_end["L-BFGS, 1 pair"], at_the_end["L-BFGS, 10 pairs"])
assert with_pairs == min(at_the_end.values())
assert at_the_end["L-BFGS, 10 pairs"] < 0.5 * at_the_end["line search only"]

# %%
# The line search alone begins well and then falls behind: a good length does not help a poor direction. With pairs the
# directions are good, and even one pair does most of the good. After 25 evaluations L-BFGS has the cleanest picture;
# those of momentum and Adam still have coloured grain or stains. After all evaluations the pictures look more alike
# than their losses are: what is left is fine grain, in the directions of small curvature. So L-BFGS is the package's
# default, as it was the paper's choice, and ``--optimizer adam`` is there for comparison. Momentum, for which we have
# measured :math:`\lambda_{\max}`, does about as well as Adam with the distilled network, and worse with VGG19.
#
# Exercises
# ---------
#
# 1. A step :math:`s` in a bowl has :math:`y = B s`. Between which two numbers does :math:`\gamma = s^T y / y^T y`
#    then lie, for any :math:`s`? Write :math:`s` in the eigenvectors of :math:`B`. What does that say of the first
#    guess :math:`\gamma I`?
# 2. *The cubic of the line search.* At the steps :math:`a` and :math:`b` value and slope are known. Let
#    :math:`u = (t - a) / (b - a)`, which runs from 0 to 1, and let the numbers :math:`A = \varphi'(a) (b - a)` and
#    :math:`B = \varphi'(b) (b - a)` be the slopes in this unit (no Hessian here). (a) Show that the derivative of any
#    cubic with these slopes is :math:`p'(u) = A (1 - u)^2 - 2 C u (1 - u) + B u^2`, with some number :math:`C`.
#    (b) Integrate it from 0 to 1: what must :math:`C` be, for the difference of the values to be right? (c) Solve
#    :math:`p'(u) = 0`. Which of the two roots is the minimum? (d) What remains of your formula if the cubic is only a
#    parabola, or if its maximum is at :math:`a` or :math:`b`?
# 3. Multiply the loss by 1000. Does the L-BFGS of this lesson take the same steps as before? Find out by thought, then
#    by trial. Then measure :math:`x_1` in millimetres instead. Compare with exercise 3 of lesson 11.
# 4. Give ``optimize.lbfgs`` a ``history`` of 3, 30 and 100 in the race. What does it cost, what does it bring? What
#    happens to L-BFGS in Rosenbrock's valley when Wolfe's condition is dropped (``c2=1e9``)?
#
# To write: ``cubic_minimum``, where exercise 2 leads to, and ``two_loops``, :math:`H q` with two loops and no
# recursion, in ``lessons/12_lbfgs/exercise.py``. ``scratchnst check 12`` tries them and says what is wrong.
