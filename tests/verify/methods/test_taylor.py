"""The order of convergence of the Taylor remainder: 2 for a right gradient, 1 for a wrong one."""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst.verify.methods.steps import Line, Noise, Probe
from scratchnst.verify.methods.taylor import order_of_convergence, remainders

X = np.array([0.3, -0.8, 1.1])
V = np.array([1.0, -0.5, 0.7])
NOISE = Noise(1e-15, 1e-15)


def line(f, x=X, v=V):
    swept = Line(Probe(f, x), v, NOISE)
    swept.sweep()
    return swept


def order(f, gradient):
    return order_of_convergence(*remainders(line(f), float(gradient @ V)))


def test_an_exponent_by_hand():
    assert order_of_convergence([1.0, 2.0, 4.0], [3.0, 12.0, 48.0]) == pytest.approx(2)
    assert order_of_convergence([1.0, 2.0, 4.0], [5.0, 10.0, 20.0]) == pytest.approx(1)


def test_two_points_make_no_order():
    assert order_of_convergence([1.0, 2.0], [1.0, 4.0]) is None


def test_the_smallest_steps_decide():
    steps = [10.0**k for k in range(-8, 0)]
    assert order_of_convergence(steps, [1e-3 * h + h**2 for h in steps]) == pytest.approx(1, abs=0.2)


def test_right_gradient():
    assert order(lambda x: np.exp(x).sum(), np.exp(X)) == pytest.approx(2, abs=0.02)


@pytest.mark.parametrize("factor", [0, -1, 2, 1.001, 1 + 1e-5])
def test_wrong_gradient(factor):
    assert order(lambda x: np.exp(x).sum(), factor * np.exp(X)) < 1.3


def test_the_remainder_is_what_the_equation_says():
    # x^2 along v = 1 at 0.3: R(h) = h^2, whatever x
    steps, sizes = remainders(line(lambda x: (x**2).sum(), np.array([0.3]), np.array([1.0])), 0.6)
    np.testing.assert_allclose(sizes, np.square(steps), rtol=0.05)


def test_a_linear_function_leaves_round_off_only():
    c = np.array([2.0, 3.0, -1.0])
    assert order(lambda x: c @ x, c) is None
    assert order(lambda x: c @ x, c * [1, 1, 1.01]) == pytest.approx(1, abs=0.02)


def test_steps_above_the_highest_do_not_count():
    swept = line(lambda x: np.exp(x).sum())
    steps, _ = remainders(swept, float(np.exp(X) @ V), highest=-8)
    assert max(steps) == swept.step(-8)
