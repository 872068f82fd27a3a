r"""
Finite differences, and why h has a best value
==============================================

Whoever writes derivatives by hand makes mistakes, and a wrong derivative seldom crashes: the pictures get a little
worse, or the walk downhill stops a little early, and nobody knows why. So before we derive anything longer than a
square we want a judge who knows nothing of formulas, and only asks the function itself. Lesson 1 had such a judge:
nudge, and see what happens. But by how much should one nudge?

After this lesson you can

* approximate a slope by one-sided and by central differences, and say by Taylor's theorem how wrong each of them is;
* explain why a smaller step makes it worse in the end, and predict the best step for float32 and for float64;
* get a slope to the last digit with a step into the complex plane, and say when that is allowed;
* compare two gradients by a relative error that means something;
* check any gradient with ``scratchnst.verify``, and read its report.

It needs lesson 1, Taylor's theorem and complex numbers.

===================== =========================================================================================
symbol                meaning
===================== =========================================================================================
:math:`f`             a function of one number, later of an array, whose slope we want
:math:`h`             the step by which its argument is nudged
:math:`D_1(h), D(h)`  the one-sided and the central difference
:math:`\varepsilon`   the gap between 1 and the next number that the computer knows: the *machine epsilon*
:math:`e`             the rounding error of one value of :math:`f`
:math:`\tilde f`      the value of :math:`f` that the computer returns, rounding included
:math:`h^*`           the best step
:math:`g`             a gradient that is to be judged
:math:`v`             a direction, an array of the shape of :math:`x`
:math:`R(h)`          the Taylor remainder, what a gradient leaves unexplained
===================== =========================================================================================
"""

import matplotlib.pyplot as plt
import numpy as np

from scratchnst.classroom import full_size, pictures
from scratchnst.verify import check_gradient
from scratchnst.verify.methods.differences import central_differences

# %%
# What goes wrong
# ---------------
#
# A slope is what :math:`\big(f(x + h) - f(x)\big) / h` tends to as :math:`h` goes to zero. A computer cannot let
# anything go to zero, but it can take a tiny :math:`h`, and the tinier, one should think, the better. Let us try that
# on a function whose slope we know:
#
# .. math::
#
#     f(x) = \exp(x) \sin x, \qquad f'(x) = \exp(x)\, (\sin x + \cos x)


def f(x):
    return np.exp(x) * np.sin(x)


def slope(x):
    return np.exp(x) * (np.sin(x) + np.cos(x))


print("step h   (f(1 + h) - f(1)) / h   error")
for h in 10.0 ** -np.arange(1, 17):
    quotient = (f(1 + h) - f(1)) / h
    print(f"{h:.0e}    {quotient:.15f}      {abs(quotient - slope(1)):.1e}")

assert abs((f(1 + 1e-8) - f(1)) / 1e-8 - slope(1)) < 1e-6
assert (f(1 + 1e-16) - f(1)) / 1e-16 == 0, "with the tiniest step the function seems not to move at all"

# %%
# The error falls down to a step of about :math:`10^{-8}`, and from there on it *grows*; at the end the "slope" is 0.
# Two things are at work: a mistake of calculus, which falls with :math:`h`, and a mistake of arithmetic, which rises.
# We take them one after the other.
#
# Calculus: the truncation error
# ------------------------------
#
# The quotient above is the *one-sided* difference, :math:`D_1`. Another one looks to both sides, the *central*
# difference :math:`D`:
#
# .. math::
#
#     D_1(h) = \frac{f(x + h) - f(x)}{h}, \qquad D(h) = \frac{f(x + h) - f(x - h)}{2h}
#
# By hand, for :math:`x^3` at 2, where the slope is 12, with :math:`h = 0.1`:
#
# .. math::
#
#     D_1 = \frac{9.261 - 8}{0.1} = 12.61, \qquad D = \frac{9.261 - 6.859}{0.2} = 12.01
#
# The central one is much nearer. Taylor's theorem says why. Write :math:`f` for :math:`f(x)`, and so on:
#
# .. math::
#
#     \begin{aligned}
#     f(x + h) &= f + h f' + \frac{h^2}{2} f'' + \frac{h^3}{6} f''' + \dots \\
#     f(x - h) &= f - h f' + \frac{h^2}{2} f'' - \frac{h^3}{6} f''' + \dots
#     \end{aligned}
#
# For :math:`D_1` subtract :math:`f` from the first line and divide by :math:`h`. For :math:`D` subtract the second line
# from the first: everything with an even power of :math:`h` is the same in both and goes away, everything with an odd
# power doubles. Then divide by :math:`2h`:
#
# .. math::
#
#     \begin{aligned}
#     D_1(h) &= f' + \frac{h}{2} f'' + \dots \\
#     D(h)   &= f' + \frac{h^2}{6} f''' + \dots
#     \end{aligned}
#
# What stands beside :math:`f'` is the *truncation error*: what is lost by cutting the series off. Halve the step, and
# the one-sided error halves, but the central one falls to a quarter. For :math:`x^3`, with :math:`f'' = 12` and
# :math:`f''' = 6`, the central error is :math:`0.1^2 = 0.01`, as we found.


def one_sided(f, x, h):
    return (f(x + h) - f(x)) / h


def central(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


def cube(x):
    return x**3


print(f"x³ at 2, h = 0.1: {one_sided(cube, 2, 0.1):.4f} and {central(cube, 2, 0.1):.4f}")
assert np.isclose(one_sided(cube, 2, 0.1), 12.61)
assert np.isclose(central(cube, 2, 0.1), 12.01)

# %%
# How does one *see* an exponent? By logarithmic axes: if an error is :math:`C h^k`, its logarithm is
# :math:`\log C + k \log h`, a straight line whose steepness is :math:`k`. The dots in the figure are measured, the
# dashed lines are the first terms of the errors above, with nothing fitted. One has the steepness 1, the other 2.

h = np.logspace(-3, -0.5, 12)
errors = {"one-sided": abs(one_sided(f, 1, h) - slope(1)), "central": abs(central(f, 1, h) - slope(1))}
second, third = 2 * np.exp(1) * np.cos(1), 2 * np.exp(1) * (np.cos(1) - np.sin(1))  # f'' and f''' at 1
first_terms = {"one-sided": h / 2 * abs(second), "central": h**2 / 6 * abs(third)}

plt.figure(figsize=(6, 3.6), layout="constrained")
for number, name in enumerate(errors):
    plt.loglog(h, errors[name], f"C{number}o", label=f"{name}, measured")
    plt.loglog(h, first_terms[name], f"C{number}--", label=f"{name}, first term")
plt.xlabel("step h")
plt.ylabel("error of the slope")
plt.title("Truncation error of the two differences")
plt.legend()
plt.show()

orders = {name: np.polyfit(np.log(h[:6]), np.log(error[:6]), 1)[0] for name, error in errors.items()}
print({name: f"{order:.3f}" for name, order in orders.items()})
assert abs(orders["one-sided"] - 1) < 0.01
assert abs(orders["central"] - 2) < 0.01

# %%
# Arithmetic: the round-off error
# -------------------------------
#
# A computer keeps a number to a fixed count of digits: about 16 decimal ones in float64, 7 in float32. Between 1 and
# the next larger number that float64 knows there is a gap, the machine epsilon :math:`\varepsilon = 2^{-52}`, about
# :math:`2 \cdot 10^{-16}`; for float32 it is :math:`2^{-23}`, about :math:`10^{-7}`. Whatever falls between two
# numbers is rounded to one of them, so every result carries an error of up to :math:`\varepsilon/2` times its size.
#
# That is harmless until two numbers that are nearly equal are subtracted. Say we have eight decimal digits:
#
# .. math::
#
#     2.2873553 - 2.2873551 = 0.0000002
#
# Both numbers were good to eight digits, their difference is good to one. The leading digits have cancelled, and what
# is left is mostly the rounding of the last ones. This is just what a difference quotient does, and then it divides by
# a tiny number, which makes a large error of it.
#
# Let :math:`\tilde f` be what the computer returns for :math:`f`, off by at most :math:`e` each time. Then
#
# .. math::
#
#     \frac{\tilde f(x + h) - \tilde f(x - h)}{2h}
#     = \frac{f(x + h) - f(x - h)}{2h} + \frac{\text{at most } e + e}{2h}
#     = D(h) + \text{at most } \frac{e}{h}
#
# The *round-off error* is at most :math:`e/h`: halve the step, and it doubles. How large is :math:`e`? The rounding of
# the result alone is at most :math:`|f|\, \varepsilon/2`, and a little is added on the way to it. We take
# :math:`e = \varepsilon |f|`.

epsilon = np.finfo("float64").eps
print(f"after 1 comes 1 + {np.spacing(1.0):.3e};  in float32 1 + {np.spacing(np.float32(1)):.3e}")
print("1 + epsilon / 4 == 1 is", 1 + epsilon / 4 == 1)

h = np.logspace(-15, -10, 200)
round_off = np.abs(central(f, 1, h) - slope(1))  # h² / 6 times f''' is below 1e-20 here: all of this is rounding
assert np.spacing(1.0) == epsilon == 2.0**-52
assert np.polyfit(np.log(h), np.log(round_off + 1e-30), 1)[0] < -0.8, "smaller steps, larger errors"

# %%
# There is a second rounding, which is easy to avoid. The computer does not know :math:`1 + 10^{-15}` either. It steps
# to the nearest number that it knows, and that is :math:`5 \varepsilon` away from 1, 11 % further than we meant to go.
# So divide by the step that was really taken, the difference of the two arguments. They are so close to each other
# that their difference needs no rounding. From here on ``central`` does that, and so does the package, in
# ``scratchnst/verify/methods/differences.py``. (Where a step is far larger than :math:`\varepsilon`, as in some figures
# of the next lessons, dividing by :math:`2h` is good enough.)


def central(f, x, h):
    """The central difference, by the distance that x really moved."""
    ahead, behind = x + h, x - h
    return (f(ahead) - f(behind)) / (ahead - behind)


really = (1 + 1e-15) - 1
print(f"a step of 1e-15 from 1 is really one of {really:.4e}")
assert np.isclose(really, 5 * epsilon)
assert abs(really / 1e-15 - 1) > 0.1

# %%
# The V-curve, and the best step
# ------------------------------
#
# Together, with :math:`C = |f'''|/6`, the error is at most about
#
# .. math::
#
#     E(h) = C h^2 + \frac{e}{h}
#
# The first part falls as :math:`h` gets smaller, the second rises, so somewhere in between lies a best step
# :math:`h^*`. There the slope of :math:`E` is zero:
#
# .. math::
#
#     E'(h) = 2 C h - \frac{e}{h^2} = 0
#     \quad\Longrightarrow\quad h^3 = \frac{e}{2C}
#     \quad\Longrightarrow\quad h^* = \Big( \frac{e}{2C} \Big)^{1/3} = \Big( \frac{3e}{|f'''|} \Big)^{1/3}
#
# How good does it get? From the middle equation :math:`e = 2 C h^{*3}`, hence the round-off at the best step is
# :math:`e/h^* = 2 C h^{*2}`, twice the truncation, and
#
# .. math::
#
#     E(h^*) = C h^{*2} + 2 C h^{*2} = 3 C h^{*2} = \frac{1}{2} |f'''| h^{*2}
#
# Where :math:`f`, :math:`f'''` and :math:`x` are all numbers around 1, only the powers of :math:`\varepsilon` count:
# :math:`h^*` is about :math:`\sqrt[3]{\varepsilon}`, and the error there about the square of that.
#
# =========== ============================= ================================== ==================================
# type        :math:`\varepsilon`           best step                          best error
# =========== ============================= ================================== ==================================
# float64     :math:`2 \cdot 10^{-16}`      about :math:`6 \cdot 10^{-6}`      about :math:`4 \cdot 10^{-11}`
# float32     :math:`1 \cdot 10^{-7}`       about :math:`5 \cdot 10^{-3}`      about :math:`2 \cdot 10^{-5}`
# =========== ============================= ================================== ==================================
#
# Two thirds of the digits are the most that a central difference can give. (The same steps for the one-sided
# difference, exercise 1, lead to one half.) In float32 that leaves hardly five digits, and for long computations less:
# check gradients in float64, whatever type you compute with later.
#
# The figure compares this prediction with measured errors, each the largest at 50 points near 1, since a single point
# is exact now and then by luck. On logarithmic axes the two parts are straight lines of steepness 2 and -1, and their
# sum is a V. The dashed lines are :math:`E(h)`, and the dots lie on them or somewhat below. Two things can lift a dot
# above: our :math:`e` is an estimate, not a bound, and at the largest steps, on the far right, the next terms of the
# series count as well.

steps = np.logspace(-13, 0, 53)
third = 2 * np.exp(1.01) * (np.sin(1.01) - np.cos(1.01))  # the size of f''' at the last of the points
predicted, measured, dtype_error = {}, {}, {}
for dtype in ("float64", "float32"):
    points = np.linspace(1, 1.01, 50).astype(dtype)
    e = np.finfo(dtype).eps * np.abs(f(points)).max()
    best, dtype_error[dtype] = (3 * e / third) ** (1 / 3), e
    predicted[dtype] = (best, third * best**2 / 2, third / 6 * steps**2 + e / steps)  # h*, E(h*), E(h)

    exact = slope(points.astype("float64"))
    moving = steps[steps > 2 * np.finfo(dtype).eps]  # smaller ones do not move the points at all
    errors = [np.abs(central(f, points, points.dtype.type(h)) - exact).max() for h in moving]
    measured[dtype] = (moving, np.array(errors))

plt.figure(figsize=(7, 4.2), layout="constrained")
for number, (dtype, (moving, errors)) in enumerate(measured.items()):
    best, lowest, bound = predicted[dtype]
    plt.loglog(moving, errors, f"C{number}o", ms=4, label=f"{dtype}, measured")
    plt.loglog(steps, bound, f"C{number}--", label=f"{dtype}, predicted")
    plt.loglog(best, lowest, f"C{number}*", ms=14, mec="black")
plt.ylim(1e-12, 1e2)
plt.xlabel("step h")
plt.ylabel("error of the slope")
plt.title("The V-curve of the central difference (stars: the predicted best step)")
plt.legend()
plt.show()

for dtype, (moving, errors) in measured.items():
    best, lowest, _ = predicted[dtype]
    best_measured = moving[errors.argmin()]
    print(f"{dtype}: predicted, error {lowest:.1e} at the step {best:.1e}")
    print(f"         measured,  error {errors.min():.1e} at the step {best_measured:.1e}")
    ratio = errors / (third / 6 * moving**2 + dtype_error[dtype] / moving)
    assert ratio.min() > 0.2
    assert ratio.max() < 1.5, "no dot is far from its line"
    assert best / 10 < best_measured < best * 10
    assert lowest / 10 < errors.min() < lowest

# %%
# A step that loses nothing
# -------------------------
#
# The harm came from subtracting two numbers that are nearly equal. There is a way without: step along the imaginary
# axis. Let :math:`\mathrm{i}` be the square root of -1, and put :math:`\mathrm{i} h` into Taylor's series, with
# :math:`\mathrm{i}^2 = -1` and :math:`\mathrm{i}^3 = -\mathrm{i}`:
#
# .. math::
#
#     f(x + \mathrm{i} h) = f + \mathrm{i} h f' - \frac{h^2}{2} f'' - \mathrm{i} \frac{h^3}{6} f''' + \dots
#
# For real :math:`x` the terms without :math:`\mathrm{i}` are the real part and those with it the imaginary part. Take
# the imaginary part and divide by :math:`h`:
#
# .. math::
#
#     \frac{\text{Im} f(x + \mathrm{i} h)}{h} = f' - \frac{h^2}{6} f''' + \dots
#
# Value and slope travel in two separate numbers, and no two that are nearly equal are subtracted. So there is no
# round-off that rises, and :math:`h` can be so small that :math:`h^2` is nothing beside any other number,
# :math:`10^{-100}` say. (W. Squire, G. Trapp, "Using complex variables to estimate derivatives of real functions", SIAM
# Review 40, 1998.)


def complex_step(f, x, h=1e-100):
    return f(x + 1j * h).imag / h


print(f"complex step, h = 1e-100: {complex_step(f, 1.0):.15f}")
print(f"exact:                    {slope(1.0):.15f}")

h = np.logspace(-20, 0, 81)
h_central = h[h > 2 * epsilon]
plt.figure(figsize=(7, 3.8), layout="constrained")
plt.loglog(h_central, np.abs(central(f, 1.0, h_central) - slope(1.0)) + 1e-17, "o-", ms=3, label="central difference")
plt.loglog(h, np.abs(complex_step(f, 1.0, h) - slope(1.0)) + 1e-17, "o-", ms=3, label="complex step")
plt.xlabel("step h")
plt.ylabel("error of the slope (plus 1e-17)")
plt.title("The complex step has no round-off branch")
plt.legend()
plt.show()

assert abs(complex_step(f, 1.0) - slope(1.0)) < 10 * epsilon

# %%
# It has a price. The function must accept complex numbers all the way through, and it must be *analytic*, which is to
# say that Taylor's series with a complex step is right. Sums, products, powers, exp and sin are; the absolute value,
# the maximum and every comparison are not. And a function that is not may go wrong without a word: the two functions
# below are both :math:`x^2` for real numbers, and one of them tells the complex step that its slope is 0.


def honest(x):
    return x * x


def treacherous(x):
    return np.abs(x) ** 2


print("x * x:    ", complex_step(honest, 3.0))
print("abs(x)**2:", complex_step(treacherous, 3.0))
assert np.isclose(complex_step(honest, 3.0), 6)
assert complex_step(treacherous, 3.0) == 0

# %%
# What a relative error is
# ------------------------
#
# A slope is off by 0.001. Is that much? Beside a slope of 1000 it is a millionth, beside one of 0.001 it is
# everything. An error means something only beside the size of what it is an error of, so we divide by that:
#
# .. math::
#
#     \text{relative error} = \frac{|\text{got} - \text{expected}|}{|\text{expected}|}
#
# For a gradient there are many elements, and whether each is divided by itself or all by the largest one makes a
# difference. Take a gradient that a numerical judge knows to about :math:`10^{-9}`, and look at one after the other.

expected = np.array([1000.0, 1.0, 1e-8, 0.0])
got = expected + 1e-9
with np.errstate(divide="ignore"):
    each_by_itself = np.abs(got - expected) / np.abs(expected)
by_the_largest = np.abs(got - expected) / np.abs(expected).max()
print("each by itself:", each_by_itself)
print("by the largest:", by_the_largest)
assert each_by_itself[3] == np.inf
assert by_the_largest.max() < 1e-11

# %%
# Divided by itself, the smallest element seems off by a tenth and the zero by infinity, though nothing is wrong: the
# judge's own error is being judged. So this course divides by the largest element of the expected gradient:
#
# .. math::
#
#     \frac{\max_i |\text{got}_i - \text{expected}_i|}{\max_i |\text{expected}_i|}
#
# It has a blind spot in turn, a mistake in elements that are tiny beside the largest one, so a good judge should also
# say how small an error it would have noticed. As a rule of thumb, for central differences in float64: :math:`10^{-7}`
# and below is agreement, :math:`10^{-2}` and above is a mistake in the formula. In between, look for steps that are
# too large or too small, for float32 in the middle of the computation, and for kinks, which lesson 4 is about.
#
# A whole gradient at once
# ------------------------
#
# Now a loss of a whole picture. The squares of lesson 1 are too easy a patient: their third derivative is zero, and
# so is the truncation error. Let us take a loss that is not so upset by a few pixels that are far off: it grows like a
# square near zero and like a straight line further out,
#
# .. math::
#
#     L(x) = \sum_i \Big( \sqrt{1 + (x_i - p_i)^2} - 1 \Big), \qquad
#     \frac{\partial L}{\partial x_i} = \frac{x_i - p_i}{\sqrt{1 + (x_i - p_i)^2}}
#
# with the derivative by the rule for :math:`\sqrt{u}`, which is :math:`u' / (2 \sqrt{u})`, and
# :math:`u' = 2 (x_i - p_i)`. The package's ``central_differences`` nudges one element after the other.

content, style = pictures(full_size(24, 16))
random = np.random.default_rng(0)
p, x = content / 64, style / 64  # not 0-255 but 0-4, so that both ends of the loss are at work


def patient_loss(x):
    return np.sum(np.sqrt(1 + (x - p) ** 2) - 1)


def patient_gradient(x):
    return (x - p) / np.sqrt(1 + (x - p) ** 2)


got, expected = patient_gradient(x), central_differences(patient_loss, x, step=1e-5)
relative = np.abs(got - expected).max() / np.abs(expected).max()
print(f"{2 * x.size} evaluations of the loss, relative error {relative:.1e}")
assert relative < 1e-7

# %%
# The judge is less sure than for one number: the loss is a sum over the whole picture, many hundred times as large as
# one term of it, and so is its rounding error :math:`e`. And it is slow, two evaluations for each element. Two
# evaluations for *all* elements are enough if the picture moves along a random direction :math:`v`, in which every
# element has its own random share. By lesson 1 the slope of :math:`L` along :math:`v` is
# :math:`\langle \nabla L, v \rangle`, so a gradient :math:`g` promises the slope :math:`\langle g, v \rangle`. If one
# element of :math:`g` is wrong by :math:`d_k`, the promise is wrong by :math:`d_k v_k`, and it shows.
#
# Better still, look at what the promise leaves over, the *Taylor remainder*
#
# .. math::
#
#     R(h) = L(x + h v) - L(x) - h\, \langle g, v \rangle
#
# If :math:`g` is right, Taylor's theorem leaves :math:`\frac{h^2}{2}` times the second derivative along :math:`v`: the
# remainder falls as :math:`h^2`. If :math:`g` is off by :math:`d`, a term :math:`-h \langle d, v \rangle` is left as
# well, and soon outweighs the other: the remainder falls as :math:`h`. An exponent of 2 or of 1 tells right from wrong
# without any tolerance to choose. In the figure, the wrong gradient forgets the square root in the denominator in only
# one row of the picture. For large steps both look alike, for small ones they part.

forgetful_gradient = patient_gradient(x)
forgetful_gradient[3] = (x - p)[3] / (1 + (x - p)[3] ** 2)

v = random.standard_normal(x.shape)
h = np.logspace(-4, 0, 17)
remainders = {}
plt.figure(figsize=(6, 3.8), layout="constrained")
for name, g in (("right", patient_gradient(x)), ("wrong in one row", forgetful_gradient)):
    remainders[name] = [abs(patient_loss(x + s * v) - patient_loss(x) - s * np.sum(g * v)) for s in h]
    plt.loglog(h, remainders[name], "o-", ms=4, label=f"gradient {name}")
plt.xlabel("step h along a random direction")
plt.ylabel("Taylor remainder")
plt.title("Steepness 2: right; steepness 1: wrong")
plt.legend()
plt.show()

orders = {name: np.polyfit(np.log(h[:6]), np.log(sizes[:6]), 1)[0] for name, sizes in remainders.items()}
print({name: f"{order:.2f}" for name, order in orders.items()})
assert abs(orders["right"] - 2) < 0.1
assert abs(orders["wrong in one row"] - 1) < 0.1

# %%
# All of it in one call
# ---------------------
#
# ``scratchnst.verify.check_gradient`` does all of this and chooses nothing by guessing. It tries some twenty steps and
# estimates truncation and round-off apart, so that it knows how far its own slopes can be trusted; it judges elements
# one by one, and all of them along random directions; it measures the exponent of the Taylor remainder, its *order*;
# and it tries the complex step. Read the report of the right gradient line by line: you have met everything in it.

report = check_gradient(patient_loss, x, patient_gradient)
print(report)
assert report.passed
assert report.inputs[0].order > 1.9

# %%
# And this is how it speaks of the wrong one. From the first line on it says where: the elements that are wrong all
# lie in row 3. (Having found one that is wrong among the 64 it drew, it has gone on to look at all 1728.)

report = check_gradient(patient_loss, x, forgetful_gradient)
print(report)
assert report.verdict == "fail"
assert report.inputs[0].worst.index[0] == 3
assert report.inputs[0].order < 1.1

# %%
# From here on every gradient of this course goes through this gate. The next lesson turns to the other side: how to
# get gradients of long computations in the first place, at the price of about one evaluation.
#
# Exercises
# ---------
#
# 1. On paper: repeat the derivation of the best step for the one-sided difference, whose error is at most about
#    :math:`\frac{h}{2} |f''| + \frac{2e}{h}`. Which powers of :math:`\varepsilon` come out? Do the errors that the
#    first section printed agree?
# 2. On paper: for the loss of lesson 1, half a sum of squares, the central difference has no truncation error at all.
#    What becomes of the V-curve, and which step is best? Try it.
# 3. By experiment: add a constant of a million to :math:`f` and draw the V-curve again. A constant has no slope, so why
#    does it do harm? Predict the new best step before you look.
# 4. In code: ``lessons/02_finite_differences/exercise.py`` asks for a central difference for arrays of any shape
#    (``numerical_gradient``) and for a better one that needs four evaluations and has an error of order
#    :math:`h^4` (``extrapolated_slope``). ``scratchnst check 2`` tells whether they are right.
