r"""
Optimisers: gradient descent, momentum and Adam
===============================================

Lesson 1 walked downhill in a landscape whose contours were circles: every step halved what was left, and the right
step arrived at once. Lessons 9 and 10 had a better loss and left the walk to ``stylize``. Try lesson 1's walk on
their losses, and it crawls. The gradient says which way is down *here*; it does not say how far to go. This lesson says
how far gradient descent may go, why that is not far enough in a narrow valley, and what two other optimisers, momentum
and Adam, do about it. None of the three uses the curvature itself; lesson 12 has an optimiser that does.

After this lesson you can

* say how fast gradient descent comes down, and why a narrow valley makes it slow, with the number that tells;
* say how narrow the valley of an image is, and measure it;
* derive momentum, and say how much faster it is;
* derive Adam with its bias correction, and say which valleys it cures and which it does not.

It needs lessons 1 (gradient descent), 2 (differences) and 9 (content loss), and of linear algebra that a symmetric
matrix has eigenvectors that are orthogonal to each other.

=====================  ==========================================================================================
symbol                 meaning
=====================  ==========================================================================================
:math:`x`              the unknowns, :math:`n` numbers in one vector: two coordinates, or all values of an image
:math:`f(x), g`        the loss, and its gradient :math:`\nabla f` as a vector, :math:`g_i = \partial f / \partial x_i`
:math:`\eta`           the rate: how far gradient descent moves for a slope of 1 (lesson 1's step length)
:math:`B`              the Hessian, :math:`B_{ij} = \partial^2 f / \partial x_i \partial x_j`, a symmetric matrix
:math:`q_i, z_i`       its eigenvectors of length 1, and the coordinates of :math:`x` along them
:math:`\lambda_i`      its eigenvalues, the *curvatures*, from :math:`\lambda_{\min}` to :math:`\lambda_{\max}`
:math:`\kappa`         the condition number, :math:`\lambda_{\max} / \lambda_{\min}`
:math:`r`              the factor by which a step shrinks what is left
:math:`u`              momentum's running sum of gradients
:math:`m, v`           Adam's running means of gradients and of their squares
:math:`\beta`          the share of a running sum or mean that is kept at each step
:math:`k, t`           the number of a step; Adam's is called :math:`t` by custom
=====================  ==========================================================================================

A prime marks what comes next: :math:`x'` is the point after :math:`x`.
"""

import matplotlib.pyplot as plt
import numpy as np

from scratchnst import Objective
from scratchnst.classroom import full_size, network, pictures, show_images
from scratchnst.optimize import adam
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
# From :math:`(9, 1)` it goes to :math:`(7.2, -0.8)`, to :math:`(5.76, 0.64)`, and so on. The second unknown
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
# coordinate :math:`z_i` changes by itself, whatever the others are:
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
# Before that, the valley may bend. H. H. Rosenbrock (1960) made one to test optimisers with:
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
# Two things are wrong. Across the valley the steps undo each other; along it they are short, though all of them
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
# what alternates is damped. B. Polyak (1964) called it the method of the *heavy ball*: it rolls on.
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
    rolling = np.linalg.norm(heavy_ball(bowl(B), x, steps, rate=0.03306, beta=0.6694))
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
# Three ways down one valley
# --------------------------
#
# Now all three down Rosenbrock's valley. Each rate is one that serves its optimiser well; with the best that there is,
# each would need half to three quarters of the evaluations.

runs = {
    "gradient descent": lambda f: gradient_descent(f, start, 12000, rate=0.0015),
    "momentum": lambda f: heavy_ball(f, start, 1000, rate=0.001, beta=0.95),
    "Adam": lambda f: adam(f, start, 2000, rate=0.1),
}
seen = {}
for name, run in runs.items():
    f_watched, seen[name] = watched(rosenbrock)
    run(f_watched)

_, grid = plt.subplots(1, 3, figsize=(13, 3.4), layout="constrained")
for axes, (name, points) in zip(grid, seen.items()):
    draw_in_valley(axes, points[:200], f"{name}, 200 evaluations")
plt.show()

_, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for name, points in seen.items():
    axes.loglog(np.arange(1, 1 + len(points)), [loss for _, loss in points], label=name)
axes.set(xlabel="evaluations", ylabel="loss", ylim=(1e-12, 1e3), title="In Rosenbrock's valley")
axes.legend()
plt.show()

# %%
# The ball rolls past the bend and swings back. Adam overshoots, then takes steps of nearly one size, whether the
# floor falls or not. In the plot both axes are logarithmic. Evaluations until the loss is below a millionth:

needed = {name: next(k for k, (_, loss) in enumerate(points, 1) if loss < 1e-6) for name, points in seen.items()}
print(needed)
assert needed["momentum"] < needed["Adam"] < needed["gradient descent"] / 5

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


side, h = full_size(12, 6), 1e-4
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
# All three start from the same white noise and have the same number of evaluations. Gradient descent and momentum need
# :math:`\lambda_{\max}` for their rates. That of the larger image is less than twice that of the small one (exercise 4
# measures it), so half of :math:`1 / \lambda_{\max}` is on the safe side. Adam has the package's usual rate, 5 grey
# levels a step.

side, evaluations = full_size(96, 24), full_size(300, 60)
objective = content_objective(side, "float32")
safe_rate = 0.5 / curvatures[0]
noise = np.random.default_rng(0).normal(127.5, 20, side * side * 3)
runs = {
    "gradient descent": lambda f: gradient_descent(f, noise, evaluations, rate=safe_rate),
    "momentum": lambda f: heavy_ball(f, noise, evaluations, rate=safe_rate, beta=0.9),
    "Adam": lambda f: adam(f, noise, evaluations - 1, rate=5),  # it evaluates its last point as well
}
early, losses, images_seen = 25, {}, {}
for name, run in runs.items():
    f_watched, points = watched(objective)
    run(f_watched)
    losses[name] = np.array([loss for _, loss in points])
    for number in (early, evaluations):
        images_seen[f"{name}, {number}"] = points[number - 1][0].reshape(side, side, 3)

# %%
# The lowest loss after so many evaluations, and the pictures after 25 of them and after all:

_, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
lowest = {name: np.minimum.accumulate(trace) / trace[0] for name, trace in losses.items()}
for name, trace in lowest.items():
    axes.loglog(np.arange(1, 1 + len(trace)), trace, label=name)
axes.set(xlabel="evaluations", ylabel="lowest loss so far / first loss", title=f"{side}x{side} pixels, {layer}")
axes.legend()
plt.show()

for number in (early, evaluations):
    show_images({title: image for title, image in images_seen.items() if title.endswith(f", {number}")})
    plt.show()

at_the_end = {name: trace[-1] for name, trace in lowest.items()}
print({name: f"{loss:.1e}" for name, loss in at_the_end.items()})
assert max(at_the_end["momentum"], at_the_end["Adam"]) < 0.8 * at_the_end["gradient descent"]

# %%
# After 25 evaluations gradient descent is pale, as it has not gone far; momentum and Adam have come further, with
# coloured grain. After all evaluations the pictures look more alike than their losses are: what is left is fine grain,
# in the directions of small curvature. With the distilled network momentum ends lowest and Adam close to it, with VGG19
# Adam ends lowest. Momentum's rate is good only since we have measured :math:`\lambda_{\max}`; Adam's, in grey levels,
# needs no measurement. All three are slow in valleys that lie aslant. Lesson 12 has an optimiser that is not.
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
#    not? Find out by thought, then by trial. Then measure :math:`x_1` in millimetres instead: which take other steps?
# 4. *The power method.* :math:`B v \approx (g(x + h v) - g(x - h v)) / 2h` costs two evaluations, and no matrix. Why
#    does multiplying a random vector by :math:`B` again and again, each time scaled to length 1, turn it into the
#    steepest eigenvector? Measure :math:`\lambda_{\max}` in this way for the image of the race (:math:`h = 10`
#    serves).
# 5. In Rosenbrock's valley, give Adam the rates 0.03, 0.3 and 1, and one that falls,
#    ``rate=lambda t: 0.3 / (1 + t / 100)``. With which is the loss below a millionth within 2000 steps? What goes
#    wrong with the others?
#
# To write: ``adam_step``, a step with both corrections, and ``best_momentum``, what exercise 2 finds, in
# ``lessons/11_optimisers/exercise.py``. ``scratchnst check 11`` tries them and says what is wrong.
