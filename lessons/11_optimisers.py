r"""
Optimisers: from the slope to the bottom of the valley
======================================================

Lessons 9 and 10 ended with a loss and its gradient, and left the rest to ``stylize``: "it changes the image until the
loss is small". How? A gradient says which way is down *here*. It says nothing about how far to go, nor about what lies
behind the next bend. This lesson is about those two questions.

After this lesson you can

* say how fast gradient descent gets to the bottom, and why a narrow valley makes it slow, with the number that tells;
* derive momentum, Adam with its bias correction, Newton's step, and the BFGS update;
* multiply by the inverse of a Hessian with more entries than any memory holds: the two loops of L-BFGS;
* say which steps a line search takes, and why;
* choose an optimiser for an image, and defend the choice with a plot.

It needs lessons 2 (differences), 3 (chain rule) and 9 (content loss), and from linear algebra that a symmetric matrix
has orthogonal eigenvectors.

=====================  ================================================================================================
symbol                 meaning
=====================  ================================================================================================
:math:`x`              the unknowns, :math:`n` numbers in one vector: two coordinates, or all values of an image
:math:`f(x), g`        the loss and its gradient, :math:`g_i = \partial f / \partial x_i`
:math:`\eta`           the rate: how far gradient descent goes for a gradient of 1
:math:`B`              the Hessian, :math:`B_{ij} = \partial^2 f / \partial x_i \partial x_j`, symmetric
:math:`\lambda_i`      its eigenvalues, the *curvatures*; the smallest is :math:`\lambda_\min`, the largest
                       :math:`\lambda_\max`
:math:`\kappa`         the condition number, :math:`\lambda_\max / \lambda_\min`
:math:`H`              a guess of :math:`B^{-1}`
:math:`d, t`           a direction and how far to go along it; :math:`\varphi(t) = f(x + t d)`
:math:`s, y`           a step, :math:`s = x' - x`, and the change of the gradient along it, :math:`y = g' - g`.
                       (:math:`y` is the usual letter; in this lesson no operation has an output :math:`y`.)
:math:`\rho`           :math:`1 / (y^T s)`
=====================  ================================================================================================

A prime marks what comes next: :math:`x'` is the point after :math:`x`, except in :math:`\varphi'(t)`, which is the
derivative.
"""

from collections import deque

import matplotlib.pyplot as plt
import numpy as np

from scratchnst import Objective, stylize
from scratchnst.lessons import full_size, network, pictures, show_images
from scratchnst.optimize import adam, lbfgs_native
from scratchnst.optimize.lbfgs_native import inverse_hessian_times
from scratchnst.optimize.line_search import line_search
from scratchnst.verify import check_gradient

# %%
# What an optimiser sees
# ----------------------
# For an optimiser an image is a vector, the network with its losses is a function, and all it may do is to ask: "what
# is the loss at this :math:`x`, and what the gradient?" One such question is an *evaluation*. On an image it is a walk
# down the network and back, and it takes nearly all of the time. So we judge optimisers by one figure: **the loss after
# so many evaluations**.
#
# A small wrapper writes down every point that an optimiser asks about:


def watched(f):
    """Return f, and the list of (point, loss) that it was called at."""
    seen = []

    def f_watched(x):
        loss, gradient = f(x)
        seen.append((x.copy(), loss))
        return loss, gradient

    return f_watched, seen


# %%
# The simplest optimiser is *gradient descent*. The gradient points uphill, so go a little the other way:
#
# .. math::
#
#     x' = x - \eta \, g


def gradient_descent(f, x, steps, rate):
    for _ in range(steps):
        _, g = f(x)
        x = x - rate * g
    return x


# %%
# A bowl, by hand
# ---------------
# Take two unknowns and :math:`f(x) = \frac{1}{2} (x_1^2 + 9 x_2^2)`. Its lowest point is 0. The gradient is
# :math:`g = (x_1, 9 x_2)`. With the rate :math:`\eta = 0.2` a step multiplies each unknown by a number:
#
# .. math::
#
#     x_1' = x_1 - 0.2 \, x_1 = 0.8 \, x_1,
#     \qquad
#     x_2' = x_2 - 0.2 \cdot 9 \, x_2 = -0.8 \, x_2
#
# From :math:`(9, 1)` it goes to :math:`(7.2, -0.8)`, to :math:`(5.76, 0.64)` and so on. The distance shrinks by a factor
# of 0.8 a step. And :math:`x_2` changes its sign each time: the path zigzags across the bowl, while all that it ought
# to do is to walk along.
#
# Could a larger rate be faster? With :math:`\eta = 0.21`, :math:`x_1` shrinks faster, by 0.79, but :math:`x_2` is
# multiplied by :math:`1 - 1.89 = -0.89`. With :math:`\eta = 0.23` it is multiplied by :math:`-1.07`, and grows.


def bowl(B):
    """Return the function x -> (x^T B x / 2, B x)."""
    return lambda x: (x @ B @ x / 2, B @ x)


def draw_path(axes, height, seen, x_limits, y_limits):
    """Draw contours of `height`, a function of two arrays of unknowns, and the points seen."""
    across, up = np.meshgrid(np.linspace(*x_limits, 200), np.linspace(*y_limits, 200))
    axes.contour(across, up, height(across, up), levels=20, colors="0.8", linewidths=0.7)
    axes.plot(*np.array([x for x, _ in seen]).T, ".-", markersize=4, linewidth=1)
    axes.set(xlim=x_limits, ylim=y_limits, xlabel="$x_1$", ylabel="$x_2$", aspect="equal")


f = bowl(np.diag([1.0, 9.0]))
start = np.array([9.0, 1.0])
_, grid = plt.subplots(1, 3, figsize=(12, 2.6), layout="constrained")
for axes, rate in zip(grid, (0.03, 0.2, 0.23)):
    f_watched, seen = watched(f)
    gradient_descent(f_watched, start, 15, rate)
    draw_path(axes, lambda x1, x2: np.sqrt(x1**2 + 9 * x2**2), seen, (-2, 10), (-3, 3))
    axes.set_title(f"rate {rate}")
plt.show()

assert np.allclose(gradient_descent(f, start, 2, 0.2), [5.76, 0.64])
assert abs(gradient_descent(f, start, 20, 0.23)[1]) > 1, "a rate that is too large leads away"

# %%
# In the figure, contours join points of equal height. Left, a small rate: no zigzag, but hardly any way made in fifteen
# steps. Middle, the best rate there is, as we now derive. Right, a little more: it climbs out across the bowl.
#
# How fast? The condition number
# ------------------------------
# Now any bowl: :math:`f(x) = \frac{1}{2} x^T B x = \frac{1}{2} \sum_{ij} x_i B_{ij} x_j`, where :math:`B` is symmetric
# and all its eigenvalues are above 0. The derivative by :math:`x_k` meets :math:`x_k` twice, as :math:`x_i` and as
# :math:`x_j`:
#
# .. math::
#
#     g_k = \frac{1}{2} \Big( \sum_j B_{kj} x_j + \sum_i x_i B_{ik} \Big) = \sum_j B_{kj} x_j ,
#     \qquad \text{so} \qquad g = B x
#
# and a step of gradient descent is :math:`x' = x - \eta B x`. Write :math:`x` in the eigenvectors :math:`q_i` of
# :math:`B`, as :math:`x = \sum_i z_i q_i`. Since :math:`B q_i = \lambda_i q_i`, each coordinate goes its own way:
#
# .. math::
#
#     z_i' = (1 - \eta \lambda_i) \, z_i
#
# So any bowl behaves like the one above, with its axes turned. Three things follow.
#
# 1. All coordinates shrink only if :math:`|1 - \eta \lambda_i| < 1` for all of them, that is :math:`\eta < 2 /
#    \lambda_\max`. *The steepest direction sets the rate.*
# 2. The slowest coordinate is one of the two at the ends, with the factor :math:`|1 - \eta \lambda_\min|` or
#    :math:`|1 - \eta \lambda_\max|`. A larger :math:`\eta` makes the first smaller and, beyond :math:`1 /
#    \lambda_\max`, the second larger. The larger of the two is least where they are equal:
#    :math:`1 - \eta \lambda_\min = \eta \lambda_\max - 1`, which is :math:`\eta = 2 / (\lambda_\min + \lambda_\max)`.
# 3. With this best rate the factor of a step is
#
# .. math::
#
#     r = 1 - \frac{2 \lambda_\min}{\lambda_\min + \lambda_\max}
#       = \frac{\lambda_\max - \lambda_\min}{\lambda_\max + \lambda_\min}
#       = \frac{\kappa - 1}{\kappa + 1}
#
# A factor of 10 in distance takes :math:`k` steps with :math:`r^k = 1/10`, so :math:`k = \ln 10 / (-\ln r)`. For large
# :math:`\kappa`, :math:`r \approx 1 - 2/\kappa` and :math:`k \approx 1.15 \, \kappa`. **The number of steps grows with
# the condition number.** For the bowl above, :math:`\kappa = 9`; how long it is and how wide it is are
# :math:`\sqrt{\kappa} = 3` to 1.

random = np.random.default_rng(0)
turn, _ = np.linalg.qr(random.standard_normal((5, 5)))  # five orthogonal directions
curvatures = np.array([1.0, 2.0, 5.0, 30.0, 100.0])
B = turn @ np.diag(curvatures) @ turn.T
kappa = curvatures[-1] / curvatures[0]

x, best_rate = turn.sum(axis=1), 2 / (curvatures[0] + curvatures[-1])  # all z_i = 1
after_400, after_401 = (gradient_descent(bowl(B), x, steps, best_rate) for steps in (400, 401))
measured = np.linalg.norm(after_401) / np.linalg.norm(after_400)
print(f"measured factor a step {measured:.6f}, (kappa - 1) / (kappa + 1) = {(kappa - 1) / (kappa + 1):.6f}")
assert np.isclose(measured, (kappa - 1) / (kappa + 1))

# %%
# A bend: Rosenbrock's valley
# ---------------------------
# Losses are no bowls. But near a minimum :math:`x^*` every smooth loss is one: in Taylor's formula the term with the
# gradient is zero there, and what is left is :math:`f(x^* + z) \approx f(x^*) + \frac{1}{2} z^T B z`, with the *Hessian*
# :math:`B`, the matrix of second derivatives, at :math:`x^*`. So the last part of every way down is in a bowl, and its
# :math:`\kappa` decides.
#
# On the way there the valley may bend. A famous one is H. H. Rosenbrock's (1960),
#
# .. math::
#
#     f(x) = (1 - x_1)^2 + 100 \, (x_2 - x_1^2)^2
#
# The second term is large off the parabola :math:`x_2 = x_1^2`: that is the valley's floor. The first makes the floor
# fall gently towards :math:`(1, 1)`, where :math:`f = 0`. With :math:`u = x_2 - x_1^2` the derivatives are
#
# .. math::
#
#     g = \begin{pmatrix} -2 (1 - x_1) - 400 \, x_1 u \\ 200 \, u \end{pmatrix},
#     \qquad
#     B = \begin{pmatrix} 2 - 400 \, u + 800 \, x_1^2 & -400 \, x_1 \\ -400 \, x_1 & 200 \end{pmatrix}


def rosenbrock(x):
    u = x[1] - x[0] ** 2
    return (1 - x[0]) ** 2 + 100 * u**2, np.array([-2 * (1 - x[0]) - 400 * x[0] * u, 200 * u])


def rosenbrock_hessian(x):
    u = x[1] - x[0] ** 2
    return np.array([[2 - 400 * u + 800 * x[0] ** 2, -400 * x[0]], [-400 * x[0], 200.0]])


start, goal = np.array([-1.2, 1.0]), np.array([1.0, 1.0])
assert check_gradient(rosenbrock, start).verdict == "pass"
columns = [(rosenbrock(start + h)[1] - rosenbrock(start - h)[1]) / 2e-5 for h in 1e-5 * np.eye(2)]
assert np.allclose(np.array(columns).T, rosenbrock_hessian(start), rtol=1e-6), "each column is a difference of gradients"

low, high = np.linalg.eigvalsh(rosenbrock_hessian(goal))
print(f"at the minimum: curvatures {low:.3f} and {high:.1f}, kappa = {high / low:.0f}")

# %%
# A condition number of 2508 predicts, for the rate 0.0015, a factor of :math:`1 - 0.0015 \cdot 0.399` a step, which is
# about 3800 steps for each digit. Let us see.

f_watched, descent = watched(rosenbrock)
gradient_descent(f_watched, start, 12000, rate=0.0015)
distance = np.array([np.linalg.norm(x - goal) for x, _ in descent])
steps_for_a_digit = np.searchsorted(-distance, -1e-3) - np.searchsorted(-distance, -1e-2)
predicted = np.log(10) / -np.log(1 - 0.0015 * low)
print(f"from a distance of 0.01 to one of 0.001: {steps_for_a_digit} steps, predicted {predicted:.0f}")
assert abs(steps_for_a_digit / predicted - 1) < 0.05


def draw_in_valley(axes, seen, title):
    draw_path(axes, lambda *x: np.log10(rosenbrock(x)[0] + 1e-3), seen, (-1.5, 1.5), (-0.5, 1.5))
    axes.plot(*goal, "k*", markersize=10)
    axes.set_title(title)


_, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
draw_in_valley(axes, descent[:2000], "2000 steps of gradient descent; contours of log f; the star is the minimum")
plt.show()

# %%
# The figure: within a few steps the path is on the floor. From then on it creeps along a slope that is hardly one, with
# a rate that the steep sides have dictated.
#
# Momentum
# --------
# Two things are wrong: across the valley the steps undo each other, and along it they are timid though they all agree.
# So do not follow the gradient itself, but a sum of all gradients so far in which old ones fade:
#
# .. math::
#
#     u_k = \beta \, u_{k-1} + g_k, \qquad x_{k+1} = x_k - \eta \, u_k, \qquad 0 \le \beta < 1, \quad u_0 = 0
#
# Written out, :math:`u_k = g_k + \beta g_{k-1} + \beta^2 g_{k-2} + \dots` If all gradients are equal to :math:`g`, the
# geometric series gives :math:`u \to g / (1 - \beta)`: with :math:`\beta = 0.9`, ten times the step. If they alternate,
# :math:`g, -g, g, \dots`, it gives :math:`u \to \pm g / (1 + \beta)`: about half of it. B. Polyak (1964) called it the
# method of the *heavy ball*, which rolls on.
#
# How much does it help in a bowl? In the coordinate of an eigenvector, :math:`g_k = \lambda z_k`. Since
# :math:`z_{k+1} - z_k = -\eta u_k = -\eta (\beta u_{k-1} + \lambda z_k)`, and :math:`-\eta u_{k-1} = z_k - z_{k-1}`,
#
# .. math::
#
#     z_{k+1} = z_k + \beta \, (z_k - z_{k-1}) - \eta \lambda z_k = (1 + \beta - \eta \lambda) \, z_k - \beta \, z_{k-1}
#
# Such a recursion is solved by powers: put :math:`z_k = r^k` in and divide by :math:`r^{k-1}`,
#
# .. math::
#
#     r^2 - (1 + \beta - \eta \lambda) \, r + \beta = 0
#
# The product of the two roots is :math:`\beta`. If they are complex they are conjugates, so :math:`|r|^2 = \beta` for
# both: **every coordinate whose roots are complex shrinks by** :math:`\sqrt{\beta}` **a step, whatever its curvature.**
# They are complex if :math:`(1 + \beta - \eta \lambda)^2 < 4 \beta`, that is, if :math:`\eta \lambda` lies between
# :math:`1 + \beta - 2 \sqrt{\beta} = (1 - \sqrt{\beta})^2` and :math:`(1 + \sqrt{\beta})^2`. To catch all curvatures
# with the smallest :math:`\beta`, put both ends there (at the very ends the two roots meet, still of size
# :math:`\sqrt{\beta}`): :math:`\eta \lambda_\min = (1 - \sqrt{\beta})^2` and
# :math:`\eta \lambda_\max = (1 + \sqrt{\beta})^2`. Their ratio is :math:`\kappa`, and its root says
#
# .. math::
#
#     \sqrt{\kappa} = \frac{1 + \sqrt{\beta}}{1 - \sqrt{\beta}},
#     \qquad \text{so the factor of a step is} \qquad
#     \sqrt{\beta} = \frac{\sqrt{\kappa} - 1}{\sqrt{\kappa} + 1}
#
# The same formula as before with :math:`\sqrt{\kappa}` in place of :math:`\kappa`: where gradient descent takes ten
# thousand steps, the heavy ball takes a hundred.


def heavy_ball(f, x, steps, rate, beta):
    u = np.zeros_like(x)
    for _ in range(steps):
        _, g = f(x)
        u = beta * u + g
        x = x - rate * u
    return x


root_beta = (np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1)
rate = (1 + root_beta) ** 2 / curvatures[-1]
x = turn.sum(axis=1)  # the bowl with five unknowns and kappa = 100 once more
for steps in (50, 100, 150):
    plain, rolling = gradient_descent(bowl(B), x, steps, best_rate), heavy_ball(bowl(B), x, steps, rate, root_beta**2)
    print(f"distance after {steps} steps: {np.linalg.norm(plain):.0e} plain, {np.linalg.norm(rolling):.0e} with momentum")
measured = np.linalg.norm(rolling) ** (1 / 150)
assert abs(measured / root_beta - 1) < 0.05, "sqrt(beta) a step"

# %%
# Adam
# ----
# Momentum still has one rate for all unknowns. Here is an argument that this cannot be right. Say that :math:`x_1` is a
# length in metres and the loss a number of euros. The gradient is euros per metre, and a step must be metres. What the
# rate has to be depends on the unit: measured in millimetres, :math:`x_1` has a gradient that is 1000 times *smaller*
# and needs steps that are 1000 times *larger*.
#
# A cure: divide the gradient of each unknown by its own usual size. What is left has no unit, and a rate of 5 means "move
# by about 5". *Adam* (D. P. Kingma and J. Ba, 2015) takes a running mean of the gradient for the direction, which is
# momentum again, and a running mean of its square for the size. With squares, roots and divisions by element:
#
# .. math::
#
#     m_t = \beta_1 m_{t-1} + (1 - \beta_1) \, g_t, \qquad
#     v_t = \beta_2 v_{t-1} + (1 - \beta_2) \, g_t^2, \qquad m_0 = v_0 = 0
#
# with :math:`\beta_1 = 0.9` and :math:`\beta_2 = 0.999`. There is a catch: means that start at 0 are too small at
# first. By how much? Put the recursion into itself until :math:`m_0` is reached:
#
# .. math::
#
#     m_t = (1 - \beta_1) \, (g_t + \beta_1 g_{t-1} + \dots + \beta_1^{t-1} g_1)
#
# The weights of the gradients add up to :math:`(1 - \beta_1)(1 + \beta_1 + \dots + \beta_1^{t-1}) = 1 - \beta_1^t`, the
# geometric sum. A mean has weights that add up to 1, so divide by that; likewise for :math:`v_t`:
#
# .. math::
#
#     x_t = x_{t-1} - \eta \, \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}
#
# where :math:`\epsilon = 10^{-8}` only keeps 0 / 0 away. In the first step the fraction is :math:`g_1 / |g_1|`: every
# unknown moves by exactly :math:`\eta`. Without the correction it would move by :math:`0.1 / \sqrt{0.001} = 3.2` times
# as much, and soon by more:

t = np.arange(1, 201)
uncorrected = (1 - 0.9**t) / np.sqrt(1 - 0.999**t)  # m / sqrt(v) where all gradients are equal
_, axes = plt.subplots(figsize=(7, 3), layout="constrained")
axes.plot(t, uncorrected, label="without the correction")
axes.plot(t, np.ones_like(t), label="with it")
axes.set(xlabel="step t", ylabel="step in units of the rate", ylim=(0, None), title="Adam, all gradients equal")
axes.legend()
plt.show()

first_step = adam(bowl(np.diag([1.0, 1e6])), np.array([3.0, 3.0]), 1, rate=0.25).x - 3
assert np.allclose(first_step, -0.25), "whatever the curvature"
assert np.isclose(uncorrected[0], 0.1 / np.sqrt(0.001)) and uncorrected.max() > 6

# %%
# If the valley lies along an axis, Adam does not notice that it is narrow: its steps are the same for any
# :math:`\kappa`. If it lies aslant, all unknowns have gradients alike, and dividing by their sizes changes nothing. So Adam
# cures a bad choice of units, but not a valley in general.


def steps_of_adam(B, x, most=4000):
    """Return after how many steps Adam stays within 0.001 of the minimum of a bowl."""
    f_watched, seen = watched(bowl(B))
    adam(f_watched, x, most, rate=0.05)
    return 1 + np.flatnonzero([np.linalg.norm(x) > 1e-3 for x, _ in seen])[-1]


aslant = np.array([[1, -1], [1, 1]]) / np.sqrt(2)  # a rotation by 45 degrees
for kappa in (1, 100, 1000):
    straight, x = np.diag([1.0, kappa]), np.array([1.0, 0.5])
    along_axes, turned = steps_of_adam(straight, x), steps_of_adam(aslant @ straight @ aslant.T, aslant @ x)
    print(f"kappa {kappa:5}: {along_axes} steps along the axes, {turned} aslant")
    assert abs(along_axes - 124) < 5
assert turned > 10 * along_axes

# %%
# Newton's step
# -------------
# What would settle the valley for good? Taylor's formula at :math:`x`, to second order:
#
# .. math::
#
#     f(x + d) \approx f(x) + g^T d + \frac{1}{2} d^T B d
#
# The gradient of the right side with respect to :math:`d` is :math:`g + B d`. It is zero at
#
# .. math::
#
#     d = -B^{-1} g
#
# *Newton's step*: in a bowl one step leads to the minimum, whatever :math:`\kappa` is. The units are right as well:
# :math:`B` has euros per metre squared, so :math:`B^{-1} g` has metres. Gradient descent is what we get if we know
# nothing of :math:`B` and say :math:`\eta I` instead of :math:`B^{-1}`.

B = np.diag([1.0, 1e6])
x = np.array([1.0, 1.0])
assert np.allclose(x - np.linalg.solve(B, B @ x), 0), "one step, at kappa = a million"

x, newton = start, []
for _ in range(7):
    loss, g = rosenbrock(x)
    newton.append(loss)
    x = x - np.linalg.solve(rosenbrock_hessian(x), g)
print("Newton in Rosenbrock's valley:", *(f"{loss:.3g}" for loss in newton))
assert newton[-1] < 1e-15 and max(newton) > 1000

# %%
# Six steps in place of ten thousand. But three things keep us from using it.
#
# * The step trusts a formula that holds nearby. It went up to a loss of 1400 on the way: lucky that it came back.
# * Where :math:`B` has a negative eigenvalue, the point with :math:`g + B d = 0` is no minimum of the formula, and
#   :math:`d` may lead uphill: :math:`g^T d > 0`.
# * :math:`B` has :math:`n^2` entries. A picture of 256 by 256 pixels has :math:`n = 196608`, and :math:`B` takes 309
#   GB. Nor do we have second derivatives: the walk back gives first ones.

x = np.array([0.0, 0.01])
_, g = rosenbrock(x)
d = -np.linalg.solve(rosenbrock_hessian(x), g)
print(f"at (0, 0.01) Newton's direction has the slope g . d = {g @ d:.2f}: uphill")
assert g @ d > 0 and np.linalg.eigvalsh(rosenbrock_hessian(x))[0] < 0
assert round((256 * 256 * 3) ** 2 * 8 / 1e9) == 309

# %%
# The secant equation
# -------------------
# There is second-order knowledge in what we have, though. We have gradients at *two* points. With one unknown, the
# second derivative is about the difference of slopes over the step, :math:`y / s`: lesson 2's difference quotient, which
# here costs nothing as both slopes are there anyway. With many unknowns: walk from :math:`x` to :math:`x' = x + s` on
# the straight line :math:`x + \tau s`. By the chain rule the gradient changes along it at the rate :math:`B s`, so
#
# .. math::
#
#     y = g' - g = \int_0^1 \frac{d}{d\tau} \, g(x + \tau s) \, d\tau = \int_0^1 B(x + \tau s) \, s \, d\tau
#
# that is, :math:`y = \bar{B} s` with the mean :math:`\bar{B}` of the Hessian along the step. We look for a matrix
# :math:`H` to use in place of :math:`B^{-1}`. After a step, the next one should have learnt what the step has shown:
#
# .. math::
#
#     H' y = s \qquad \text{(the secant equation)}
#
# These are :math:`n` equations for the :math:`n (n + 1) / 2` entries of a symmetric matrix. They say what :math:`H'` does
# to one vector. What should it do to the others?
#
# The BFGS update
# ---------------
# Found in 1970 by Broyden, Fletcher, Goldfarb and Shanno independently. Here is a way to it in which nothing is
# chosen until the very end. Suppose :math:`y^T s > 0` and let :math:`\rho = 1 / (y^T s)`. Split any vector :math:`q` in
# two, a multiple of :math:`y` and a rest:
#
# .. math::
#
#     q = \rho \, (s^T q) \, y + V q \qquad \text{with} \qquad V = I - \rho \, y s^T
#
# That is the definition of :math:`V` rearranged. The rest is orthogonal to the step: :math:`s^T V q = s^T q - \rho
# (s^T y)(s^T q) = 0`, as :math:`\rho \, s^T y = 1`. Now let :math:`H'` be *any* symmetric matrix with :math:`H' y = s`,
# and multiply out, with :math:`a = \rho \, s^T q`:
#
# .. math::
#
#     q^T H' q = (a y + V q)^T H' (a y + V q)
#              = a^2 \, y^T H' y + 2 a \, y^T H' V q + (V q)^T H' V q
#
# * In the first term :math:`y^T H' y = y^T s = 1 / \rho`, so it is :math:`a^2 / \rho = \rho \, (s^T q)^2`.
# * In the second :math:`y^T H' = (H' y)^T = s^T`, and :math:`s^T V q = 0`: it vanishes.
#
# This holds for every :math:`q`, so the symmetric matrices on both sides are equal:
#
# .. math::
#
#     H' = V^T H' V + \rho \, s s^T
#
# The secant equation leaves nothing open but :math:`V^T H' V`: what :math:`H'` does to vectors orthogonal to the step.
# Of those the step has shown nothing. So there we keep what we had, :math:`H`, and that is BFGS:
#
# .. math::
#
#     H' = V^T H V + \rho \, s s^T, \qquad V = I - \rho \, y s^T, \qquad \rho = \frac{1}{y^T s}
#
# It keeps its promise: :math:`V y = y - \rho \, y \, (s^T y) = 0`, so :math:`H' y = \rho \, s \, (s^T y) = s`. And if
# :math:`z^T H z > 0` for all :math:`z \ne 0`, the same is true of :math:`H'`. In :math:`z^T H' z = (V z)^T H (V z) + \rho
# (s^T z)^2` neither term is below 0; if the second is 0 then :math:`s^T z = 0`, so :math:`V z = z` and the first is
# not. Therefore :math:`d = -H' g` always leads downhill: :math:`g^T d = -g^T H' g < 0`. Newton's second trouble is gone,
# as long as :math:`y^T s > 0`. Who sees to that? The line search, below.


def bfgs_update(H, s, y):
    rho = 1 / (y @ s)
    V = np.eye(len(s)) - rho * np.outer(y, s)
    return V.T @ H @ V + rho * np.outer(s, s)


# %%
# In a bowl with six unknowns, going along each direction as far as the loss falls, six steps are enough to learn
# :math:`B^{-1}` as a whole, from gradients alone. (Along :math:`d` the slope is :math:`d^T B (x + t d)`; it is zero at
# :math:`t = -g^T d / d^T B d`. That only a bowl is so simple is why the next sections are needed.)

random = np.random.default_rng(1)
turn, _ = np.linalg.qr(random.standard_normal((6, 6)))
B = turn @ np.diag([1.0, 3.0, 10.0, 30.0, 100.0, 300.0]) @ turn.T
x, H, errors = random.standard_normal(6), np.eye(6), []
for _ in range(6):
    g = B @ x
    d = -H @ g
    s = -(g @ d) / (d @ B @ d) * d
    x, H = x + s, bfgs_update(H, s, B @ s)
    assert np.allclose(H @ (B @ s), s) and np.allclose(H, H.T) and np.linalg.eigvalsh(H)[0] > 0
    errors.append(np.linalg.norm(H @ B - np.eye(6)))
print("|H B - I| after each step:", *(f"{error:.2g}" for error in errors), f"; |x| = {np.linalg.norm(x):.1g}")
assert errors[-1] < 1e-6 and np.linalg.norm(x) < 1e-6

# %%
# L-BFGS: the product without the matrix
# --------------------------------------
# :math:`H` has as many entries as :math:`B`: 309 GB. But nobody needs :math:`H`. The direction is :math:`-H g`: a
# *product* with a vector is enough. And :math:`H` is made of few things: of a first guess :math:`H_0` and the pairs
# :math:`(s, y)`. J. Nocedal (1980) read the update as an instruction for the product. For any vector :math:`q`,
#
# .. math::
#
#     H' q = V^T \, \big( H \, (V q) \big) + \rho \, s \, (s^T q)
#
# From the inside:
#
# 1. :math:`V q = q - \rho \, y \, (s^T q) = q - \alpha y`, with the number :math:`\alpha = \rho \, s^T q`.
# 2. :math:`r = H \, (q - \alpha y)`: the same task, with the matrix *before* the last update. Its answer is a vector.
# 3. :math:`V^T r = r - \rho \, s \, (y^T r) = r - \beta s`, with the number :math:`\beta = \rho \, y^T r`.
# 4. And the last term is :math:`\rho \, s \, (s^T q) = \alpha s`. Together:
#
# .. math::
#
#     H' q = r + (\alpha - \beta) \, s
#
# No matrix is left, only inner products of vectors and multiples of them. Step 2 calls for the matrix before, and that
# one for the one before it, until :math:`H_0` is reached, for which a multiple of the identity is taken,
# :math:`H_0 = \gamma I`. Which :math:`\gamma`? It should do what an inverse Hessian does, :math:`\gamma y \approx s`,
# as well as one number can. The square :math:`|\gamma y - s|^2 = \gamma^2 \, y^T y - 2 \gamma \, s^T y + s^T s` has the
# derivative :math:`2 \gamma \, y^T y - 2 s^T y`, which is zero for
#
# .. math::
#
#     \gamma = \frac{s^T y}{y^T y} \qquad \text{of the newest pair}
#
# By hand, with one pair and :math:`\gamma = 1`: let :math:`s = (1, 0)`, :math:`y = (2, 1)`, :math:`q = (1, 1)`. Then
# :math:`\rho = 1/2`, :math:`\alpha = 1/2`, :math:`q - \alpha y = (0, 1/2) = r`, :math:`\beta = 1/4`, and
# :math:`H' q = (0, 1/2) + 1/4 \, (1, 0) = (1/4, 1/2)`.


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
assert np.allclose(recursive_product(q, [(s, y)], 1.0), [1 / 4, 1 / 2])
assert np.allclose(bfgs_update(np.eye(2), s, y) @ q, [1 / 4, 1 / 2])

# %%
# What does the recursion do, in order of time? With three pairs, 3 the newest::
#
#     alpha_3 = rho_3 (s_3 . q)        q becomes q - alpha_3 y_3
#     alpha_2 = rho_2 (s_2 . q)        q becomes q - alpha_2 y_2
#     alpha_1 = rho_1 (s_1 . q)        q becomes q - alpha_1 y_1
#                                      q becomes gamma q
#     beta_1  = rho_1 (y_1 . q)        q becomes q + (alpha_1 - beta_1) s_1
#     beta_2  = rho_2 (y_2 . q)        q becomes q + (alpha_2 - beta_2) s_2
#     beta_3  = rho_3 (y_3 . q)        q becomes q + (alpha_3 - beta_3) s_3
#
# The way in goes from the newest pair to the oldest and subtracts; the way out from the oldest to the newest and adds.
# These are the *two loops* for which L-BFGS is known. In the package they are ``inverse_hessian_times`` in
# ``scratchnst/optimize/lbfgs_native.py``; writing them is the exercise of this lesson, so look there afterwards.
#
# The claim is that the loops give what the matrix gives. Here is the matrix, made of the same five pairs:

random = np.random.default_rng(2)
root = random.standard_normal((8, 8))
steps = random.standard_normal((5, 8))
pairs = [(s, root @ root.T @ s) for s in steps]  # y = B s with B = root root^T, so y . s = |root^T s|^2 > 0
s, y = pairs[-1]
gamma = (s @ y) / (y @ y)

H = gamma * np.eye(8)
for s, y in pairs:
    H = bfgs_update(H, s, y)
q = random.standard_normal(8)
two_loops = inverse_hessian_times(q, [(s, y, 1 / (y @ s)) for s, y in pairs])
assert np.allclose(H @ q, recursive_product(q, pairs, gamma))
assert np.allclose(H @ q, two_loops)

# %%
# Each loop takes two products of :math:`n` numbers for each of :math:`m` pairs: :math:`4 m n` multiplications in all, and
# :math:`2 m` vectors of memory. The L in L-BFGS is for *limited memory*: of all pairs only the last :math:`m = 10` are
# kept, the oldest is forgotten when a new one comes. For the picture of 256 by 256 pixels that is 31 MB in place of 309
# GB. And forgetting has its good side: in a valley that bends, old pairs tell of another bend.

assert 2 * 10 * (256 * 256 * 3) * 8 < 32e6

# %%
# How far? The line search
# ------------------------
# A direction :math:`d` with :math:`g^T d < 0` is downhill at first. Newton's formula suggests :math:`t = 1`, the whole of
# it, but the formula holds only nearby. So look at the loss along the line,
#
# .. math::
#
#     \varphi(t) = f(x + t d), \qquad \varphi'(t) = g(x + t d)^T d
#
# (the chain rule: :math:`x + t d` changes by :math:`d`). An evaluation gives both. When is :math:`t` good enough? "The
# loss has fallen" will not do. On :math:`f(x) = x^2` the points :math:`2, -1.5, 1.25, -1.125, \dots` fall each time, and
# end up jumping between 1 and -1, with 0 in the middle. Each step is long and gains next to nothing. So ask for a gain
# that is in proportion to what was promised. The slope promises :math:`t \, |\varphi'(0)|`; ask for a small share of
# it, :math:`c_1 = 10^{-4}`:
#
# .. math::
#
#     \varphi(t) \le \varphi(0) + c_1 \, t \, \varphi'(0) \qquad \text{(L. Armijo, 1966: sufficient decrease)}
#
# A step can also be too *short*: as :math:`t \to 0` Armijo's condition always holds. If the loss at :math:`t` still falls
# nearly as steeply as at the start, it would pay to go on. So ask that most of the slope is gone, :math:`c_2 = 0.9`:
#
# .. math::
#
#     |\varphi'(t)| \le c_2 \, |\varphi'(0)| \qquad \text{(strong Wolfe condition on the slope, P. Wolfe, 1969)}
#
# **Such a step exists** if :math:`f` is bounded below. The straight line :math:`\varphi(0) + c_1 t \varphi'(0)` falls for
# ever, and :math:`\varphi` starts below it, so they meet, first at some :math:`t_1`. Up to there Armijo holds. By the mean
# value theorem there is a :math:`t_2` before :math:`t_1` with :math:`\varphi'(t_2) = (\varphi(t_1) - \varphi(0)) / t_1 =
# c_1 \varphi'(0)`, and :math:`c_1 < c_2`: at :math:`t_2` both hold.
#
# **And it keeps BFGS safe.** The pair of such a step is :math:`s = t d` and :math:`y = g' - g`, so
#
# .. math::
#
#     y^T s = t \, (g'^T d - g^T d) = t \, \big( \varphi'(t) - \varphi'(0) \big) \ge t \, (1 - c_2) \, |\varphi'(0)| > 0
#
# Positive, as promised above. The search itself tries a step, 1 if there are pairs. If it fails one of the conditions, it
# lays a cubic polynomial through the values and slopes of two steps, and tries where that is lowest; the derivation of
# this cubic is on top of ``scratchnst/optimize/line_search.py``.

zigzag = np.array([(-1) ** k * (1 + 0.5**k) for k in range(20)])
lengths, gains = np.abs(np.diff(zigzag)), -np.diff(zigzag**2)
assert (gains > 0).all() and np.isclose(abs(zigzag[-1]), 1, atol=1e-4)
assert gains[-1] < 1e-4 * lengths[-1] * abs(2 * zigzag[-2]), "Armijo sees it"

_, g = rosenbrock(start)
direction = -g / np.linalg.norm(g)
t = np.linspace(0, 2.9, 1000)
values, gradients = zip(*(rosenbrock(start + step * direction) for step in t))
values, slopes = np.array(values), np.array(gradients) @ direction
decrease = values <= values[0] + 0.01 * t * slopes[0]  # stricter than usual, so that the figure shows something:
flatter = abs(slopes) <= 0.1 * abs(slopes[0])  # c1 = 0.01 and c2 = 0.1

tried = []


def phi(step):
    loss, gradient = rosenbrock(start + step * direction)
    tried.append((step, loss))
    return loss, gradient @ direction


found = line_search(phi, values[0], slopes[0], step=0.7, c1=0.01, c2=0.1)
_, axes = plt.subplots(figsize=(8, 4), layout="constrained")
axes.plot(t, values, "k")
axes.plot(t, values[0] + 0.01 * t * slopes[0], "--", color="tab:blue", label="what Armijo asks for")
axes.fill_between(t, 0, 150, where=decrease, color="tab:blue", alpha=0.15, label="sufficient decrease")
axes.fill_between(t, 0, 150, where=decrease & flatter, color="tab:green", alpha=0.5, label="and flat enough")
for number, (step, loss) in enumerate(tried, start=1):
    axes.plot(step, loss, "o", color="tab:red")
    axes.annotate(str(number), (step, loss), xytext=(4, 6), textcoords="offset points")
axes.set(xlabel="t", ylabel=r"$\varphi(t)$", ylim=(0, 150), title="Along the first direction in Rosenbrock's valley")
axes.legend(loc="upper center")
plt.show()

assert found.loss <= values[0] + 0.01 * found.step * slopes[0] and abs(found.slope) <= 0.1 * abs(slopes[0])

# %%
# The line crosses the valley twice, so there are two stretches, in green, where the search may stop. The numbers tell
# in which order it tried.
#
# All together
# ------------
# These fifteen lines are L-BFGS. For the first step there are no pairs and no unit; we say how far to move.


def lbfgs(f, x, iterations, first_move, history=10):
    pairs = deque(maxlen=history)  # drops the oldest
    loss, g = f(x)
    for _ in range(iterations):
        d = -inverse_hessian_times(g, pairs)
        at = {}

        def phi(t):
            at["x"] = x + t * d  # noqa: B023, it is called in this round only
            loss, at["g"] = f(at["x"])
            return loss, at["g"] @ d  # noqa: B023

        found = line_search(phi, loss, g @ d, 1.0 if pairs else first_move / np.linalg.norm(d))
        if found is None:
            break  # nothing lower can be told from rounding
        s, y = at["x"] - x, at["g"] - g
        pairs.append((s, y, 1 / (y @ s)))
        x, loss, g = at["x"], found.loss, at["g"]
    return x


# %%
# Into the valley with all of them. The rates are the best of a few that were tried for each; L-BFGS needs none.

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
# The ball rolls past the bends and swings back. Adam first overshoots, then takes steps of one size, whether the floor
# falls or not. L-BFGS takes the curve in a few large steps; the points off its path are steps that the line search tried
# and rejected. In the plot both axes are logarithmic. The evaluations until the loss is below a millionth:

needed = {name: next(k for k, (_, loss) in enumerate(points, 1) if loss < 1e-6) for name, points in seen.items()}
print(needed)
assert needed["L-BFGS"] < 100 < needed["momentum"] < needed["gradient descent"]
assert needed["L-BFGS"] < needed["Adam"] / 5

# %%
# How narrow is the valley of an image?
# -------------------------------------
# Now the content loss of lesson 9, at a layer of the second block. An image of 12 by 12 pixels has 432 unknowns, few
# enough for its Hessian: column :math:`j` is how the gradient changes with unknown :math:`j`, by central differences.
# We take it where the loss is zero, at the content image itself.

net = network()
layer = list(net.defaults.style_layers)[1]


def content_objective(side, dtype):
    content, _ = pictures(side)
    return Objective(net, content, content_layers=[layer], content_weight=1, tv_weight=0, normalized=True, dtype=dtype)


side, h = full_size(12, 8), 1e-3
objective, content = content_objective(side, "float64"), pictures(side)[0].ravel()
B = np.array([objective(content + e)[1] - objective(content - e)[1] for e in h * np.eye(content.size)]) / (2 * h)
curvatures = np.linalg.eigvalsh((B + B.T) / 2)[::-1]
print(f"{net.name}, {layer}: curvatures from {curvatures[0]:.2g} down to {curvatures[-1]:.2g}")

_, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
axes.semilogy(np.maximum(curvatures, curvatures[0] * 1e-9), ".")
axes.axhline(curvatures[0] / 300, color="tab:red", label=r"$\lambda_\max / 300$")
axes.set(xlabel="direction, the steepest first", ylabel=r"curvature $\lambda_i$", title="The Hessian of a content loss")
axes.legend()
plt.show()

assert abs(B - B.T).max() < 1e-6 * abs(B).max(), "second derivatives do not depend on the order"
assert curvatures[0] > 1e4 * curvatures[-1], "a condition number of ten thousand at least"

# %%
# The curvatures run through many powers of ten: the valley of an image is far narrower than Rosenbrock's, in hundreds of
# directions at once. With the rate :math:`1 / \lambda_\max`, gradient descent shrinks direction :math:`i` by
# :math:`(1 - \lambda_i / \lambda_\max)^k` in :math:`k` steps: after 300 steps little has happened to those below the red
# line, which are most. The steep ones are few; the loss falls fast while they are dealt with, and then hardly any more.
# These are the plots that you know from the lessons before.
#
# A race on an image
# ------------------
# Gradient descent and momentum need :math:`\lambda_\max`, of a Hessian that is now too large to write down. But its
# products are cheap: :math:`B v \approx (g(x + h v) - g(x - h v)) / (2 h)`, two evaluations. Multiplying a random vector
# again and again makes the part along the steepest eigenvector grow most, until it is all that is left (the *power
# method*); for a vector :math:`v` of length 1 then :math:`v^T B v = \lambda_\max`.

side, evaluations = full_size(96, 32), full_size(300, 80)
objective, content = content_objective(side, "float32"), pictures(side)[0].ravel()
v, h = np.random.default_rng(3).standard_normal(content.size), 10.0
for _ in range(15):
    v /= np.linalg.norm(v)
    Bv = (objective(content + h * v)[1] - objective(content - h * v)[1]) / (2 * h)
    steepest, v = v @ Bv, Bv
print(f"the largest curvature is about {steepest:.3g}, so the rate is about {1 / steepest:.3g}")

# %%
# From white noise, each method has the same number of evaluations. Adam has the rate that is the package's default, 5 grey
# levels a step. L-BFGS runs twice, with one pair and with ten.

noise = np.random.default_rng(0).normal(127.5, 20, content.size)
runs = {
    "gradient descent": lambda f: gradient_descent(f, noise, evaluations, rate=1 / steepest),
    "momentum": lambda f: heavy_ball(f, noise, evaluations, rate=1 / steepest, beta=0.9),
    "Adam": lambda f: adam(f, noise, evaluations, rate=5),
    "L-BFGS, one pair": lambda f: lbfgs_native(f, noise, evaluations, history=1),
    "L-BFGS, ten": lambda f: lbfgs_native(f, noise, evaluations),
}


class Enough(Exception):
    """All evaluations are spent."""


def race(run, early=25):
    """Return the losses of a run, and its images after `early` evaluations and after all."""
    losses, stages = [], {}

    def f(x):
        if len(losses) == evaluations:
            raise Enough
        loss, gradient = objective(x)
        losses.append(loss)
        if len(losses) in (early, evaluations):
            stages[len(losses)] = x.reshape(side, side, 3).copy()
        return loss, gradient

    try:
        run(f)
    except Enough:
        pass
    return losses, stages


raced = {name: race(run) for name, run in runs.items()}

# %%
_, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
for name, (losses, _) in raced.items():
    axes.loglog(np.arange(1, 1 + len(losses)), np.minimum.accumulate(losses) / losses[0], label=name)
axes.set(xlabel="evaluations", ylabel="lowest loss so far / first loss", title=f"{side}x{side} pixels, content at {layer}")
axes.legend()
plt.show()
rows = {}
for number in (25, evaluations):
    rows |= {f"{name}, {number}": stages[number] for name, (_, stages) in raced.items()}
show_images(rows, columns=len(runs))
plt.show()

# %%
# Upper row, after 25 evaluations; lower row, after all. What is left to be done is always the same: grain and edges, the
# directions of small curvature. 

best = {name: min(losses) / losses[0] for name, (losses, _) in raced.items()}
print({name: f"{loss:.1e}" for name, loss in best.items()})
assert best["L-BFGS, ten"] == min(best.values())
assert best["gradient descent"] > 10 * best["L-BFGS, ten"]
