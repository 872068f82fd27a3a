r"""
Optimisers: from the slope to the bottom of the valley
======================================================

Lesson 1 walked downhill in a landscape whose contours were circles: every step halved what was left, and the right
step arrived at once. Lessons 9 and 10 had a better loss and left the walk to ``stylize``. Try lesson 1's walk on
their losses, and it crawls. The gradient says which way is down *here*; it does not say how far to go, nor what lies
behind the next bend. This lesson is about these two questions.

After this lesson you can

* say how fast gradient descent comes down, and why a narrow valley makes it slow, with the number that tells;
* derive momentum, Adam with its bias correction, Newton's step, and the BFGS update;
* multiply by a matrix that no memory could hold: the two loops of L-BFGS;
* say which steps a line search accepts, and why;
* choose an optimiser for an image, and defend the choice with a plot.

It needs lessons 1 (gradient descent), 2 (differences) and 9 (content loss), and of linear algebra that a symmetric
matrix has eigenvectors that are orthogonal to each other.

=====================  ==========================================================================================
symbol                 meaning
=====================  ==========================================================================================
:math:`x`              the unknowns, :math:`n` numbers in one vector: two coordinates, or all values of an image
:math:`f(x), g`        the loss, and its gradient :math:`\nabla f` as a vector, :math:`g_i = \partial f / \partial x_i`
:math:`\eta`           the rate: how far gradient descent moves for a slope of 1 (lesson 1's step length)
:math:`B`              the Hessian, :math:`B_{ij} = \partial^2 f / \partial x_i \partial x_j`, a symmetric matrix
:math:`\lambda_i`      its eigenvalues, the *curvatures*, from :math:`\lambda_{\min}` to :math:`\lambda_{\max}`
:math:`\kappa`         the condition number, :math:`\lambda_{\max} / \lambda_{\min}`
:math:`u, m, v`        running sums and means of gradients and of their squares
:math:`H`              a guess of :math:`B^{-1}`
:math:`d, t`           a direction, and how far to go along it (with Adam, :math:`t` counts steps)
:math:`\varphi(t)`     the loss along a direction, :math:`f(x + t d)`; :math:`\varphi'` is its derivative
:math:`s, y`           a step, and how the gradient has changed along it (no output of an operation here)
:math:`\rho`           :math:`1 / (y^T s)`
=====================  ==========================================================================================

Otherwise a prime marks what comes next: :math:`x'` is the point after :math:`x`, and :math:`g'` the gradient there.
Two letters serve twice, by custom: :math:`r` is the factor by which a step shrinks what is left, and :math:`\beta` the
share of a sum or mean that is kept, until the two loops of L-BFGS, which have an :math:`r` and a :math:`\beta` of their
own.
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
# What an optimiser sees
# ----------------------
#
# To an optimiser an image is a vector of numbers, and network and losses together are one function. All it can do is
# ask: "at this :math:`x`, what is the loss, and what is the gradient?" One such question is an *evaluation*. For an
# image it is a walk down the network and back, and takes nearly all of the time. So optimisers are judged by **the
# loss after so many evaluations**.
#
# The simplest one is gradient descent, and a small wrapper writes down every point that an optimiser asks about:


def gradient_descent(f, x, steps, rate):
    for _ in range(steps):
        _, g = f(x)
        x = x - rate * g
    return x


def watched(f):
    """Return f, and the list of (point, loss) at which it has been called."""
    seen = []

    def f_watched(x):
        loss, gradient = f(x)
        seen.append((x.copy(), loss))
        return loss, gradient

    return f_watched, seen


circles, seen = watched(lambda x: (x @ x / 2, x))  # lesson 1's landscape around 0, with its gradient
gradient_descent(circles, np.array([4.0, 8.0]), steps=3, rate=0.5)
print("evaluated at", *(x for x, _ in seen))
assert np.allclose([x for x, _ in seen], [[4, 8], [2, 4], [1, 2]]), "every step halves what is left"

# %%
# A narrow bowl, by hand
# ----------------------
#
# Take two unknowns and :math:`f(x) = \frac{1}{2} (x_1^2 + 9 x_2^2)`, lowest at 0. Its contours are no circles but
# ellipses, three times as long as wide. The gradient is :math:`g = (x_1, 9 x_2)`. With the rate :math:`\eta = 0.2` a
# step multiplies each unknown by a number of its own:
#
# .. math::
#
#     x_1' = x_1 - 0.2 \cdot x_1 = 0.8 \, x_1, \qquad x_2' = x_2 - 0.2 \cdot 9 x_2 = -0.8 \, x_2
#
# From :math:`(9, 1)` it goes to :math:`(7.2, -0.8)`, to :math:`(5.76, 0.64)`, and so on. And the second unknown
# changes its sign each time: the path zigzags across the bowl, when all it ought to do is walk along it.
#
# Would a larger rate be faster? With :math:`\eta = 0.21` the first unknown shrinks a little faster, by 0.79, but the
# second is multiplied by :math:`1 - 1.89 = -0.89`. With :math:`\eta = 0.23` it is multiplied by -1.07, and grows.


def bowl(B):
    """Return the function x -> (x^T B x / 2, its gradient B x)."""
    return lambda x: (x @ B @ x / 2, B @ x)


def draw_path(axes, height, seen, x_limits, y_limits):
    """Draw contours of `height`, a function of two arrays of unknowns, and the points seen."""
    across, up = np.meshgrid(np.linspace(*x_limits, 200), np.linspace(*y_limits, 200))
    axes.contour(across, up, height(across, up), levels=20, colors="0.8", linewidths=0.7)
    axes.plot(*np.array([x for x, _ in seen]).T, ".-", markersize=4, linewidth=1)
    axes.set(xlim=x_limits, ylim=y_limits, xlabel="$x_1$", ylabel="$x_2$", aspect="equal")


f, start = bowl(np.diag([1.0, 9.0])), np.array([9.0, 1.0])
_, grid = plt.subplots(1, 3, figsize=(12, 2.6), layout="constrained")
for axes, rate in zip(grid, (0.03, 0.2, 0.23)):
    f_watched, seen = watched(f)
    gradient_descent(f_watched, start, 15, rate)
    draw_path(axes, lambda x1, x2: np.sqrt(x1**2 + 9 * x2**2), seen, (-2, 10), (-3, 3))
    axes.set_title(f"15 steps with the rate {rate}")
plt.show()

assert np.allclose(gradient_descent(f, start, 2, 0.2), [5.76, 0.64])
assert abs(gradient_descent(f, start, 20, 0.23)[1]) > 1, "a rate that is too large leads away"

# %%
# Left, a small rate: no zigzag, but little way made. Middle, the best rate there is, as we now derive. Right, a
# little more, and it climbs out of the bowl on both sides.
#
# How fast? The condition number
# ------------------------------
#
# Now any bowl with its lowest point at 0:
#
# .. math::
#
#     f(x) = \frac{1}{2} x^T B x = \frac{1}{2} \sum_{i,j} x_i B_{ij} x_j
#
# with a symmetric :math:`B` whose eigenvalues are all above 0. To differentiate by :math:`x_k`, collect what contains
# it: once it stands in the place of :math:`x_i`, once in that of :math:`x_j`:
#
# .. math::
#
#     g_k = \frac{1}{2} \Big( \sum_j B_{kj} x_j + \sum_i x_i B_{ik} \Big) = \sum_j B_{kj} x_j,
#     \qquad \text{so} \qquad g = B x
#
# as :math:`B_{ik} = B_{ki}`. A step of gradient descent is therefore :math:`x' = x - \eta B x`. Write :math:`x` as
# :math:`\sum_i z_i q_i` with the eigenvectors :math:`q_i` of :math:`B`. Since :math:`B q_i = \lambda_i q_i`, each
# coordinate :math:`z_i` goes its own way, as if it were alone in the world:
#
# .. math::
#
#     z_i' = (1 - \eta \lambda_i) \, z_i
#
# So any bowl behaves like the one above, turned. Three things follow.
#
# 1. All coordinates shrink only if :math:`|1 - \eta \lambda_i| < 1` for all :math:`i`, that is, if
#    :math:`\eta < 2 / \lambda_{\max}`. *The steepest direction limits the rate for all.*
# 2. :math:`1 - \eta \lambda` falls steadily as :math:`\lambda` grows, so its size is largest at one of the two ends:
#    the slowest coordinate has the factor :math:`|1 - \eta \lambda_{\min}|` or
#    :math:`|1 - \eta \lambda_{\max}|`. Raising :math:`\eta` improves the first and, beyond
#    :math:`1 / \lambda_{\max}`, spoils the second. The larger of the two is smallest where they are equal,
#    :math:`1 - \eta \lambda_{\min} = \eta \lambda_{\max} - 1`, which gives
#    :math:`\eta = 2 / (\lambda_{\min} + \lambda_{\max})`.
# 3. Then a step multiplies what is left by
#
# .. math::
#
#     r = 1 - \frac{2 \lambda_{\min}}{\lambda_{\min} + \lambda_{\max}}
#       = \frac{\lambda_{\max} - \lambda_{\min}}{\lambda_{\max} + \lambda_{\min}}
#       = \frac{\kappa - 1}{\kappa + 1}
#
# One more digit takes :math:`k` steps with :math:`r^k = 1/10`, so :math:`k = \ln 10 / (-\ln r)`. With
# :math:`r = (1 - 1/\kappa) / (1 + 1/\kappa)` and :math:`\ln(1 \pm a) \approx \pm a` for small :math:`a`, it is
# :math:`\ln r \approx -2/\kappa` for large :math:`\kappa`, and
# :math:`k \approx (\ln 10 / 2) \, \kappa \approx 1.15 \, \kappa`. **The number of steps grows in proportion to the
# condition number.** (Where a contour crosses the axes, :math:`\lambda_i z_i^2` is the same for all, so a bowl is
# :math:`\sqrt{\kappa}` times as long as wide.)

random = np.random.default_rng(0)
turn, _ = np.linalg.qr(random.standard_normal((5, 5)))  # its columns: five orthogonal directions
curvatures = np.array([1.0, 2.0, 5.0, 30.0, 100.0])
B, kappa = turn @ np.diag(curvatures) @ turn.T, 100.0

x, best_rate = turn.sum(axis=1), 2 / (1.0 + 100.0)  # all z_i are 1
after_400, after_401 = (gradient_descent(bowl(B), x, steps, best_rate) for steps in (400, 401))
measured = np.linalg.norm(after_401) / np.linalg.norm(after_400)
print(f"measured factor of a step {measured:.6f}, (kappa - 1) / (kappa + 1) = {(kappa - 1) / (kappa + 1):.6f}")
assert np.isclose(measured, (kappa - 1) / (kappa + 1))

# %%
# A valley with a bend
# --------------------
#
# Losses are no bowls. But near a minimum :math:`x^*` every smooth loss looks like one: in Taylor's formula the term
# with the gradient vanishes there, and what remains is :math:`f(x^* + z) \approx f(x^*) + \frac{1}{2} z^T B z`, with
# the matrix :math:`B` of second derivatives at :math:`x^*`, the *Hessian*. So the last part of every way down lies in
# a bowl, and its condition number decides.
#
# Before that, the valley may bend. H. H. Rosenbrock (1960) made one to torment optimisers:
#
# .. math::
#
#     f(x) = (1 - x_1)^2 + 100 \, (x_2 - x_1^2)^2
#
# The second term is large unless :math:`x_2 = x_1^2`: along this parabola runs the valley's floor. The first makes
# the floor fall gently towards :math:`(1, 1)`, where :math:`f = 0`. With :math:`w = x_2 - x_1^2`, whose derivatives
# are :math:`-2 x_1` and 1, gradient and Hessian are
#
# .. math::
#
#     g = \begin{pmatrix} -2 (1 - x_1) - 400 \, x_1 w \\ 200 \, w \end{pmatrix},
#     \qquad
#     B = \begin{pmatrix} 2 - 400 \, w + 800 \, x_1^2 & -400 \, x_1 \\ -400 \, x_1 & 200 \end{pmatrix}


def rosenbrock(x):
    w = x[1] - x[0] ** 2
    return (1 - x[0]) ** 2 + 100 * w**2, np.array([-2 * (1 - x[0]) - 400 * x[0] * w, 200 * w])


def rosenbrock_hessian(x):
    w = x[1] - x[0] ** 2
    return np.array([[2 - 400 * w + 800 * x[0] ** 2, -400 * x[0]], [-400 * x[0], 200.0]])


start, goal = np.array([-1.2, 1.0]), np.array([1.0, 1.0])
assert check_gradient(rosenbrock, start).passed
columns = [(rosenbrock(start + h)[1] - rosenbrock(start - h)[1]) / 2e-5 for h in 1e-5 * np.eye(2)]
assert np.allclose(np.stack(columns, axis=1), rosenbrock_hessian(start)), "columns of B"

low, high = np.linalg.eigvalsh(rosenbrock_hessian(goal))
print(f"at the minimum: curvatures {low:.3f} and {high:.1f}, kappa = {high / low:.0f}")

# %%
# We walk with the rate 0.0015. At the end of the way the slow coordinate should shrink by the factor
# :math:`1 - 0.0015 \cdot 0.399` a step, which means some 3800 steps for each digit. Let us see.

f_watched, descent = watched(rosenbrock)
gradient_descent(f_watched, start, 12000, rate=0.0015)
distance = np.array([np.linalg.norm(x - goal) for x, _ in descent])
steps_for_a_digit = np.argmax(distance < 1e-3) - np.argmax(distance < 1e-2)
predicted = np.log(10) / -np.log(1 - 0.0015 * low)
print(f"from a distance of 0.01 to 0.001: {steps_for_a_digit} steps, predicted {predicted:.0f}")
assert abs(steps_for_a_digit / predicted - 1) < 0.05


def draw_in_valley(axes, seen, title):
    draw_path(axes, lambda *x: np.log10(rosenbrock(x)[0] + 1e-3), seen, (-1.5, 1.5), (-0.5, 1.5))
    axes.plot(*goal, "k*", markersize=10)
    axes.set_title(title)


_, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
draw_in_valley(axes, descent[:2000], "2000 steps of gradient descent; contours of log f; star: the minimum")
plt.show()

# %%
# Within a few steps the path is down on the floor. From then on it creeps along a slope that is hardly one, at a rate
# that the steep sides have dictated.
#
# Momentum
# --------
#
# Two things are wrong. Across the valley the steps undo each other; along it they are timid, though all of them
# agree. So follow not the last gradient but a sum of all of them, in which old ones fade. With :math:`u_0 = 0` and a
# number :math:`\beta` from 0 to 1,
#
# .. math::
#
#     u_k = \beta \, u_{k-1} + g_k, \qquad x_k = x_{k-1} - \eta \, u_k
#
# Put the formula for :math:`u_{k-1}` into that for :math:`u_k`, and so on:
# :math:`u_k = g_k + \beta g_{k-1} + \beta^2 g_{k-2} + \dots` If all gradients are the same :math:`g`, this geometric
# series tends to :math:`g / (1 - \beta)`, which for :math:`\beta = 0.9` is a step ten times as long. If they
# alternate, :math:`g, -g, g, \dots`, it tends to :math:`\pm g / (1 + \beta)`, about half. What agrees is amplified,
# what quarrels is damped. B. Polyak (1964) called it the method of the *heavy ball*: it rolls on.
#
# How much it helps can be derived as above; exercise 2 leads to the answer, which is the same formula with
# :math:`\sqrt{\kappa}` in place of :math:`\kappa`. Here is the measurement, on the bowl with :math:`\kappa = 100`,
# with the rate and the :math:`\beta` that exercise 2 finds:


def heavy_ball(f, x, steps, rate, beta):
    u = np.zeros_like(x)
    for _ in range(steps):
        _, g = f(x)
        u = beta * u + g
        x = x - rate * u
    return x


x = turn.sum(axis=1)
for steps in (50, 100, 150):
    plain = np.linalg.norm(gradient_descent(bowl(B), x, steps, best_rate))
    rolling = np.linalg.norm(heavy_ball(bowl(B), x, steps, rate=4 / (1 + 10) ** 2, beta=(9 / 11) ** 2))
    print(f"distance after {steps:3} steps: {plain:.0e} without, {rolling:.0e} with momentum")
assert rolling < 1e-8 * plain
assert abs(rolling ** (1 / 150) / (9 / 11) - 1) < 0.05, "9/11 a step, in place of 99/101"

# %%
# Adam
# ----
#
# Momentum still takes the size of a slope for a measure of how far to go. It is a poor one: in the narrow bowl the
# slope is largest across, where there is the least way to go. And multiply the loss by 1000, and every step is 1000
# times as long, though all valleys are where they were. So divide each unknown's slope by its own usual size. What is
# left is a number of about 1 that has a sign, and a rate of 5 means "move by about 5".
#
# *Adam* (D. P. Kingma and J. Ba, 2015) takes a running mean of the gradient for the direction, which is momentum once
# more, and a running mean of its square for the size. For each unknown by itself (squares, roots and divisions are
# element by element):
#
# .. math::
#
#     m_t = \beta_1 m_{t-1} + (1 - \beta_1) \, g_t, \qquad
#     v_t = \beta_2 v_{t-1} + (1 - \beta_2) \, g_t^2, \qquad m_0 = v_0 = 0
#
# with :math:`\beta_1 = 0.9`, :math:`\beta_2 = 0.999`, and :math:`t` the number of the step. There is a catch. Means
# that start at 0 are too small at first. By how much? Put the formula into itself until :math:`m_0 = 0` is reached:
#
# .. math::
#
#     m_t = (1 - \beta_1) \, \big( g_t + \beta_1 g_{t-1} + \beta_1^2 g_{t-2} + \dots + \beta_1^{t-1} g_1 \big)
#
# In a mean the weights add up to 1. Here they add up to
#
# .. math::
#
#     (1 - \beta_1) \, \big( 1 + \beta_1 + \beta_1^2 + \dots + \beta_1^{t-1} \big) = 1 - \beta_1^t
#
# (multiply out: all but the first and the last power cancel). So divide by that, likewise for :math:`v_t`, and the
# step of Adam is
#
# .. math::
#
#     x_t = x_{t-1} - \eta \, \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}
#
# where :math:`\epsilon = 10^{-8}` keeps 0 / 0 away. In the first step the fraction is :math:`g_1 / |g_1|`, but for
# :math:`\epsilon`: every unknown moves by :math:`\eta`. Without the correction it would move by
# :math:`0.1 / \sqrt{0.001} = 3.2` times as much, and soon by more, as the figure shows.

t = np.arange(1, 201)
uncorrected = (1 - 0.9**t) / np.sqrt(1 - 0.999**t)  # m / sqrt(v) where all gradients are equal
_, axes = plt.subplots(figsize=(7, 3), layout="constrained")
axes.plot(t, uncorrected, label="without the correction")
axes.plot(t, np.ones_like(t), label="with it")
axes.set(xlabel="number of the step, t", ylabel="step / rate", ylim=(0, None), title="Adam, equal gradients")
axes.legend()
plt.show()

first_step = adam(bowl(np.diag([1.0, 1e6])), np.array([3.0, 3.0]), iterations=1, rate=0.25).x - 3
assert np.allclose(first_step, -0.25), "whatever the slope"
assert np.isclose(uncorrected[0], 0.1 / np.sqrt(0.001))
assert uncorrected.max() > 6

# %%
# If a valley lies along an axis, Adam does not even notice that it is narrow. If it lies aslant, both unknowns have
# slopes of the same size, and dividing by sizes changes nothing. Adam cures slopes of different sizes, but not a
# valley.


def steps_of_adam(B, x):
    """Return after how many steps Adam is within 0.001 of the minimum of a bowl, for good."""
    f_watched, seen = watched(bowl(B))
    adam(f_watched, x, iterations=4000, rate=0.05)
    return 1 + np.flatnonzero([np.linalg.norm(x) > 1e-3 for x, _ in seen])[-1]


aslant = np.array([[1, -1], [1, 1]]) / np.sqrt(2)  # a rotation by 45 degrees
for kappa in (1, 100, 1000):
    straight, x = np.diag([1.0, kappa]), np.array([1.0, 0.5])
    along_an_axis, turned = steps_of_adam(straight, x), steps_of_adam(aslant @ straight @ aslant.T, aslant @ x)
    print(f"kappa {kappa:4}: {along_an_axis} steps along an axis, {turned} aslant")
    assert abs(along_an_axis - 125) < 5
assert turned > 10 * along_an_axis

# %%
# Newton's step
# -------------
#
# What would settle a valley for good? Taylor's formula at :math:`x` to second order, for a step :math:`d`:
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
# :math:`B^{-1} g` is in metres. Gradient descent is what remains for those who know nothing of :math:`B`, and take
# :math:`\eta I` for :math:`B^{-1}`.

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
# Six steps in place of ten thousand! Three things speak against it.
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
# It says what :math:`H'` does to one vector, :math:`y`. What should it do to all the others?
#
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
# :math:`B^{-1}`, all of it, learnt from gradients alone:

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
# What happens when in this recursion? With three pairs, 3 being the newest::
#
#     alpha_3 = rho_3 (s_3 . q)        q becomes  q - alpha_3 y_3
#     alpha_2 = rho_2 (s_2 . q)        q becomes  q - alpha_2 y_2
#     alpha_1 = rho_1 (s_1 . q)        q becomes  q - alpha_1 y_1
#                                      r is       gamma q
#     beta_1  = rho_1 (y_1 . r)        r becomes  r + (alpha_1 - beta_1) s_1
#     beta_2  = rho_2 (y_2 . r)        r becomes  r + (alpha_2 - beta_2) s_2
#     beta_3  = rho_3 (y_3 . r)        r becomes  r + (alpha_3 - beta_3) s_3
#
# On the way in, from the newest pair to the oldest, it subtracts; on the way out, from the oldest to the newest, it
# adds. These are the *two loops* that L-BFGS is known by. In the package they are ``inverse_hessian_times`` in
# ``scratchnst/optimize/lbfgs.py``. You will write them yourself in this lesson's exercise, so look there
# later.
#
# Do they give what the matrix gives? Five pairs of a bowl with eight unknowns, and the matrix made of the same pairs:

random = np.random.default_rng(2)
root = random.standard_normal((8, 8))
B = root @ root.T  # y.s = s^T B s = |root^T s|^2 > 0
pairs = [(s, B @ s) for s in random.standard_normal((5, 8))]
s, y = pairs[-1]
gamma = (s @ y) / (y @ y)

H = gamma * np.eye(8)
for s, y in pairs:
    H = bfgs_update(H, s, y)
q = random.standard_normal(8)
two_loops = inverse_hessian_times(q, [(s, y, 1 / (y @ s)) for s, y in pairs])  # it wants rho as well
assert np.allclose(recursive_product(q, pairs, gamma), H @ q)
assert np.allclose(two_loops, H @ q)

# %%
# A pair costs two inner products and two multiples of vectors, :math:`4 n` multiplications, and :math:`2 n` numbers of
# memory. The L stands for *limited memory*: only the last ten pairs are kept, the oldest is forgotten when a new one
# comes. For 256 by 256 pixels that is 31 MB in place of 309 GB. Forgetting has
# its good side, too: in a valley that bends, old pairs tell of another bend.

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
# A step can also be too *short*: for tiny :math:`t` Armijo is always content. If the loss still falls nearly as
# steeply as at the start, it would pay to go on. So ask that some of the slope is gone, with :math:`c_2 = 0.9`:
#
# .. math::
#
#     |\varphi'(t)| \le c_2 \, |\varphi'(0)| \qquad \text{(the strong condition of P. Wolfe, 1969)}
#
# **Such a step exists**, if :math:`f` is bounded below and :math:`c_1 < c_2`. The straight line
# :math:`\varphi(0) + c_1 t \varphi'(0)` falls for ever; :math:`\varphi` starts out below it, being steeper, and
# cannot stay there, so they meet, first at some :math:`t_1`. Up to there Armijo is content. By the mean value theorem
# there is a :math:`t_2` before :math:`t_1` with
# :math:`\varphi'(t_2) = (\varphi(t_1) - \varphi(0)) / t_1 = c_1 \varphi'(0)`, and there Wolfe is content as well,
# since :math:`c_1 < c_2`.
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
# polynomial through the values and slopes at two steps and tries where that is lowest (derived at the top of the
# file). Here it is at work along the first direction in Rosenbrock's valley, from :math:`(-1.2, 1)` straight
# downhill. To make the figure show something, the conditions are stricter than usual: :math:`c_1 = 0.01`,
# :math:`c_2 = 0.1`.


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
# In the figure, blue is where Armijo is content, green where Wolfe is, too.

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
# Now all of them down Rosenbrock's valley. The rates are the best of a few that were tried. L-BFGS needs none.

runs = {
    "gradient descent": lambda f: gradient_descent(f, start, 12000, rate=0.0015),
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
# The ball rolls past the bend and swings back. Adam overshoots, then takes steps of nearly one size, whether the
# floor falls or not. L-BFGS takes the bend in a few large steps; the points off its path were tried by the line
# search and rejected. In the plot both axes are logarithmic. Evaluations until the loss is below a millionth:

needed = {name: next(k for k, (_, loss) in enumerate(points, 1) if loss < 1e-6) for name, points in seen.items()}
print(needed)
assert needed["L-BFGS"] < 100 < needed["momentum"] < needed["gradient descent"]
assert needed["L-BFGS"] < needed["Adam"] / 5

# %%
# How narrow is the valley of an image?
# -------------------------------------
#
# Now the content loss of lesson 9, at a layer of the second block. An image of 12 by 12 pixels has 432 unknowns, few
# enough for the whole Hessian: its column :math:`j` is how the gradient changes with unknown :math:`j`, by central
# differences. We take it at the content image itself, where the loss is 0.

net = network()
layer = list(net.defaults.style_layers)[1]


def content_objective(side, dtype):
    settings = {"content_layers": [layer], "content_weight": 1, "tv_weight": 0, "normalized": True}
    return Objective(net, pictures(side)[0], **settings, dtype=dtype)


side, h = full_size(12, 6), 1e-3
objective, content = content_objective(side, "float64"), pictures(side)[0].ravel()
columns = [(objective(content + e)[1] - objective(content - e)[1]) / (2 * h) for e in h * np.eye(content.size)]
B = np.stack(columns, axis=1)
curvatures = np.linalg.eigvalsh((B + B.T) / 2)[::-1]  # the largest first
print(f"{net.name}, {layer}: curvatures from {curvatures[0]:.2g} down to {curvatures[-1]:.2g}")

_, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
axes.semilogy(np.maximum(curvatures, curvatures[0] * 1e-9), ".")
axes.axhline(curvatures[0] / 300, color="tab:red", label=r"$\lambda_{\max} / 300$")
axes.set(xlabel="direction, the steepest first", ylabel=r"curvature $\lambda_i$", title="Hessian of a content loss")
axes.legend()
plt.show()

assert abs(B - B.T).max() < 1e-6 * abs(B).max(), "which unknown is differentiated first makes no difference"
assert curvatures[0] > 1e4 * curvatures[-1], "a condition number of ten thousand at least"
assert np.mean(curvatures < curvatures[0] / 300) > 0.5, "most directions are below the red line"

# %%
# The curvatures run through many powers of ten: the valley of an image is narrower than Rosenbrock's, and in hundreds
# of directions at once. With the rate :math:`1 / \lambda_{\max}`, gradient descent multiplies coordinate :math:`i` by
# :math:`(1 - \lambda_i / \lambda_{\max})^k` in :math:`k` steps. At the red line that leaves
# :math:`(1 - 1/300)^{300} \approx 1/e = 0.37` after 300 steps. Most directions lie below it, where more is left, and
# far below nearly all. Losses that fall fast and then hardly at all: this is why.
#
# A race on an image
# ------------------
#
# All start from the same white noise and have the same number of evaluations. Gradient descent and momentum need
# :math:`\lambda_{\max}` for their rates. That of a larger image is a little larger than that of the small one
# (exercise 4 measures it); half of :math:`1 / \lambda_{\max}` is on the safe side. Adam has the package's usual rate,
# 5 grey levels a step. L-BFGS is the package's, once with a memory of a single pair and once with ten.

side, evaluations = full_size(96, 24), full_size(300, 60)
objective = content_objective(side, "float32")
safe_rate = 0.5 / curvatures[0]
noise = np.random.default_rng(0).normal(127.5, 20, side * side * 3)
runs = {
    "gradient descent": lambda f: gradient_descent(f, noise, evaluations, rate=safe_rate),
    "momentum": lambda f: heavy_ball(f, noise, evaluations, rate=safe_rate, beta=0.9),
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
assert at_the_end["L-BFGS, 10 pairs"] < 0.1 * at_the_end["gradient descent"]

# %%
# After 25 evaluations L-BFGS has a picture; momentum and Adam are still full of grain, and gradient descent is pale,
# as it has not gone far. After all evaluations they look more alike than their losses are: what is left is fine
# grain, in the directions of small curvature. Even one pair does most of the good. So L-BFGS is the package's
# default, as it was the paper's choice, and ``--optimizer adam`` is there for comparison. Momentum does well, too,
# but only since we have measured :math:`\lambda_{\max}` for it.
#
# Exercises
# ---------
#
# 1. With the rate :math:`1 / \lambda_{\max}`, what is the factor of a step in a bowl? After how many steps, compared
#    with the best rate, is the distance a tenth?
# 2. *The heavy ball in a bowl.* (a) Show that a coordinate obeys
#    :math:`z_{k+1} = (1 + \beta - \eta \lambda) \, z_k - \beta \, z_{k-1}`. (b) Try :math:`z_k = r^k`: which
#    quadratic equation must :math:`r` solve, and what is the product of its roots? (c) So what is :math:`|r|` if the
#    roots are complex, and for which :math:`\eta \lambda` are they? (d) Choose :math:`\beta` and :math:`\eta` so that
#    all curvatures from :math:`\lambda_{\min}` to :math:`\lambda_{\max}` are just covered, and compare with the
#    numbers in the section "Momentum".
# 3. Multiply the loss by 1000. Which of the optimisers of this lesson take the same steps as before, and which do
#    not? Find out by thought, then by trial. Then measure :math:`x_1` in millimetres instead: who notices?
# 4. *The power method.* :math:`B v \approx (g(x + h v) - g(x - h v)) / 2h` costs two evaluations, and no matrix. Why
#    does multiplying a random vector by :math:`B` again and again, each time scaled to length 1, turn it into the
#    steepest eigenvector? Measure :math:`\lambda_{\max}` in this way for the image of the race (:math:`h = 10`
#    serves).
# 5. Give ``optimize.lbfgs`` a ``history`` of 3, 30 and 100 in the race. What does it cost, what does it bring? What
#    happens to L-BFGS in Rosenbrock's valley when Wolfe's condition is dropped (``c2=1e9``)?
#
# To write: ``adam_step``, a step with both corrections, and ``two_loops``, :math:`H q` with two loops and no
# recursion, in ``lessons/11_optimisers/exercise.py``. ``scratchnst check 11`` tries them and says what is wrong.
