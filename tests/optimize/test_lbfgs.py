"""Our own L-BFGS: the two loops against matrices, and difficult functions."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst import Objective
from scratchnst.optimize import lbfgs, scipy_lbfgs
from scratchnst.optimize.lbfgs import CurvaturePair, inverse_hessian_times, remember, search_direction
from scratchnst.transfer.stylize import start_image


def rosenbrock(x):
    """Rosenbrock's function in any even number of dimensions, minimum 0 at (1, 1, ...)."""
    a, b = x[::2], x[1::2]
    gradient = np.empty_like(x)
    gradient[::2] = -2 * (1 - a) - 400 * a * (b - a**2)
    gradient[1::2] = 200 * (b - a**2)
    return float(np.sum((1 - a) ** 2 + 100 * (b - a**2) ** 2)), gradient


def quadratic(random, size, condition=100.0):
    """x^T B x / 2 - c^T x with a random B of that condition; also its minimum."""
    axes, _ = np.linalg.qr(random.standard_normal((size, size)))
    B = axes * np.geomspace(1, condition, size) @ axes.T
    c = random.standard_normal(size)
    return lambda x: (float(x @ B @ x / 2 - c @ x), B @ x - c), np.linalg.solve(B, c)


def random_pairs(random, size, count, dtype="float64"):
    """Pairs as a quadratic with a random Hessian makes them."""
    root = random.standard_normal((size, size))
    pairs = []
    for s in random.standard_normal((count, size)):
        y = root @ root.T @ s
        pairs.append(CurvaturePair(s.astype(dtype), y.astype(dtype), 1 / float(y @ s)))
    return pairs


def dense_inverse_hessian(pairs, size):
    """H as a matrix: the update (7.16), pair after pair, from gamma I (7.20)."""
    H = np.eye(size)
    if pairs:
        s, y, _ = pairs[-1]
        H = H * (s @ y) / (y @ y)
    for s, y, rho in pairs:
        V = np.eye(size) - rho * np.outer(y, s)
        H = V.T @ H @ V + rho * np.outer(s, s)
    return H


class TestTwoLoops:
    def test_by_hand(self):
        """s = (1, 0), y = (2, 1): rho = 1/2, gamma = 2/5, V = [[0, 0], [-1/2, 1]], so that

        H = 2/5 V^T V + 1/2 s s^T = [[0.1, -0.2], [-0.2, 0.4]] + [[0.5, 0], [0, 0]].
        """
        pairs = [CurvaturePair(np.array([1.0, 0.0]), np.array([2.0, 1.0]), 0.5)]
        H = [inverse_hessian_times(unit, pairs) for unit in np.eye(2)]
        np.testing.assert_allclose(H, [[0.6, -0.2], [-0.2, 0.4]], atol=1e-15)
        np.testing.assert_allclose(inverse_hessian_times(np.array([2.0, 1.0]), pairs), [1, 0], atol=1e-15)

    @pytest.mark.parametrize("count", [0, 1, 2, 5, 9])
    def test_equal_the_dense_update(self, random, count):
        pairs, q = random_pairs(random, 6, count), random.standard_normal(6)
        before = q.copy()
        expected = dense_inverse_hessian(pairs, 6) @ q
        np.testing.assert_allclose(inverse_hessian_times(q, deque(pairs)), expected, rtol=1e-8)
        np.testing.assert_allclose(search_direction(q, q, pairs), -expected, rtol=1e-8)
        np.testing.assert_array_equal(q, before)

    def test_the_newest_pair_fulfils_the_secant_equation(self, random):
        pairs = random_pairs(random, 5, 4)
        np.testing.assert_allclose(inverse_hessian_times(pairs[-1].y, pairs), pairs[-1].s, rtol=1e-9)

    def test_in_float32(self, random):
        pairs, q = random_pairs(random, 6, 4), random.standard_normal(6)
        rounded = [CurvaturePair(s.astype("f"), y.astype("f"), rho) for s, y, rho in pairs]
        result = inverse_hessian_times(q.astype("f"), rounded)
        assert result.dtype == np.float32
        expected = inverse_hessian_times(q, pairs)
        assert np.linalg.norm(result - expected) < 1e-4 * np.linalg.norm(expected)

    def test_with_bounds_it_is_the_inverse_hessian_of_the_free_unknowns(self, random):
        """Unknowns 0 and 3 are at a bound and descend beyond it, 1 and 2 are at one and descend away from it."""
        x = np.array([0.0, 0.0, 1.0, 1.0, 0.5, 0.7])
        gradient = np.array([1.0, -2.0, 3.0, -4.0, 5.0, -6.0])
        pairs = random_pairs(random, 6, 3)
        free = [1, 2, 4, 5]
        expected = np.zeros(6)
        expected[free] = -(dense_inverse_hessian(pairs, 6)[np.ix_(free, free)] @ gradient[free])
        np.testing.assert_allclose(search_direction(x, gradient, pairs, (0.0, 1.0)), expected, rtol=1e-8)


class TestRemember:
    def test_the_oldest_goes(self):
        pairs = deque(maxlen=2)
        for size in (1.0, 2.0, 3.0):
            remember(pairs, np.array([size, 0.0]), np.array([2 * size, 1.0]))
        assert [pair.s[0] for pair in pairs] == [2, 3]
        assert [pair.rho for pair in pairs] == [1 / 8, 1 / 18]

    @pytest.mark.parametrize(
        "y", [[-1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [1e-20, 1.0], [np.nan, 1.0], [np.inf, 1.0], [1e-9, 1.0]]
    )
    def test_no_pair_without_positive_curvature(self, y, dtype):
        """The last y is below the rounding error of float32, but not of float64."""
        pairs = deque()
        remember(pairs, np.array([1.0, 0.0], dtype), np.array(y, dtype))
        assert len(pairs) == (y == [1e-9, 1.0] and dtype == "float64")


class TestMinimum:
    @pytest.mark.parametrize("size", [2, 20])
    def test_rosenbrock(self, size, dtype):
        result = lbfgs(rosenbrock, np.tile([-1.2, 1.0], size // 2), 200, dtype=dtype)
        np.testing.assert_allclose(result.x, 1, atol=1e-6)
        assert result.loss == rosenbrock(result.x)[0]
        assert result.x.dtype == np.float64
        assert result.evaluations < 80
        assert result.stop_reason.startswith(("converged", "stalled"))

    def test_quadratic(self, random, dtype):
        f, minimum = quadratic(random, 8)
        result = lbfgs(f, np.zeros(8), 100, dtype=dtype)
        np.testing.assert_allclose(result.x, minimum, rtol=1e-6, atol=1e-8)
        assert result.evaluations < 60

    def test_steepest_descent_has_no_memory_and_is_slower(self, random):
        f, _ = quadratic(random, 8)
        losses = [lbfgs(f, np.zeros(8), 12, history=history).loss for history in (1, 3, 10)]
        assert losses[0] > losses[1] > losses[2]

    def test_bounds_agree_with_scipy(self, random):
        """The unknowns depend on each other, and half of them end on a bound."""
        f, _ = quadratic(random, 30)
        bounds = (-0.02, 0.05)
        ours, scipys = (minimise(f, np.full(30, 0.5), 300, bounds) for minimise in (lbfgs, scipy_lbfgs))
        assert 5 < np.sum((ours.x == -0.02) | (ours.x == 0.05)) < 25
        np.testing.assert_allclose(ours.x, scipys.x, atol=1e-6)

    def test_style_transfer_as_fast_as_scipy(self, dtype):
        """The loss of SciPy after 40 iterations takes hardly more evaluations."""
        pictures = np.random.default_rng(3).uniform(0, 255, (2, 24, 32, 3))
        objective = Objective(random_vgg19(5, width=6), pictures[0], pictures[1:], normalized=True)
        start = start_image(objective, "noise").ravel()
        goal = scipy_lbfgs(objective, start, 40)
        losses = []

        def counted(x):
            loss, gradient = objective(x)
            losses.append(loss)
            return loss, gradient

        lbfgs(counted, start, 60, dtype=dtype)
        assert np.argmax(np.array(losses) <= goal.loss) < 1.1 * goal.evaluations
        assert min(losses) <= goal.loss


class TestUnits:
    @pytest.mark.parametrize("exponent", [-300, -80, 80, 300])
    def test_of_the_loss_do_not_matter(self, exponent, dtype):
        """Squares of these gradients are beyond float32."""
        unit, seen = 2.0**exponent, []

        def scaled(x):
            loss, gradient = rosenbrock(x)
            return unit * loss, unit * gradient

        start = np.array([-1.2, 1.0])
        plain = lbfgs(rosenbrock, start, 30, dtype=dtype)
        result = lbfgs(scaled, start, 30, dtype=dtype, callback=lambda x, loss: seen.append(loss))
        np.testing.assert_array_equal(result.x, plain.x)
        assert result.loss == unit * plain.loss == seen[-1]
        assert result.evaluations == plain.evaluations

    def test_first_step_moves_the_unknowns_by_four_on_average(self):
        visited = []

        def f(x):
            visited.append(x.copy())
            return float(1e6 * np.sum((x - 50) ** 2)), 2e6 * (x - 50)

        lbfgs(f, np.arange(5.0), 1)
        assert np.sqrt(np.mean((visited[1] - visited[0]) ** 2)) == pytest.approx(4)


class TestContract:
    def test_f_was_called_last_where_the_callback_is(self):
        """At the kink of |x| the line search returns to steps tried before."""
        visited = []

        def f(x):
            visited.append(x.copy())
            return float(np.sum(np.abs(x))), np.sign(x)

        def callback(x, loss):
            np.testing.assert_array_equal(x, visited[-1])
            assert loss == np.sum(np.abs(x))

        result = lbfgs(f, np.array([1.1, 2.3, -7.3]), 100, callback=callback)
        assert result.evaluations == len(visited)
        assert result.stop_reason.startswith("stalled: the line search")
        assert result.loss < 1

    def test_gradients_may_lie_in_one_array_and_have_any_type(self):
        shared = np.empty(2, np.float32)

        def f(x):
            loss, gradient = rosenbrock(x)
            shared[:] = gradient
            return np.float32(loss), shared

        np.testing.assert_allclose(lbfgs(f, np.array([-1, 1]), 200).x, 1, atol=1e-2)

    def test_losses_never_rise(self):
        losses = [rosenbrock(np.array([-1.2, 1.0]))[0]]
        lbfgs(rosenbrock, np.array([-1.2, 1.0]), 100, callback=lambda x, loss: losses.append(loss))
        assert all(after <= before for before, after in pairwise(losses))


class TestEnds:
    def test_gradient_is_zero(self):
        result = lbfgs(lambda x: (3.0, np.zeros(2)), np.ones(2), 50)
        assert (result.iterations, result.evaluations, result.loss) == (0, 1, 3.0)
        assert result.stop_reason == "converged: the gradient is zero"

    def test_all_unknowns_are_pressed_against_their_bounds(self):
        result = lbfgs(lambda x: (float(np.sum(x)), np.ones(2)), np.array([5.0, -3.0]), 50, bounds=(-1.0, 4.0))
        np.testing.assert_array_equal(result.x, [-1, -1])
        assert result.stop_reason == "converged: the gradient is zero"

    def test_no_iterations(self):
        result = lbfgs(rosenbrock, np.zeros(2), 0)
        assert (result.iterations, result.evaluations) == (0, 1)
        np.testing.assert_array_equal(result.x, [0, 0])

    def test_flat_but_the_gradient_says_otherwise(self):
        result = lbfgs(lambda x: (3.0, np.array([1.0, -2.0])), np.ones(2), 50)
        assert result.stop_reason == "stalled: the line search found no lower loss in its direction"
        assert (result.iterations, result.evaluations) == (0, 21)
        np.testing.assert_array_equal(result.x, [1, 1])

    def test_loss_falls_no_further(self):
        result = lbfgs(lambda x: (float(np.sum((x - 1e9) ** 4)) + 1e300, 4 * (x - 1e9) ** 3), np.zeros(2), 50)
        assert result.stop_reason.startswith(("stalled", "converged: the loss falls no further"))
        assert result.loss == 1e300

    @pytest.mark.parametrize("start", [(np.nan, 1.0), (np.inf, 1.0), (1.0, np.nan), (1.0, np.inf)])
    def test_not_finite_at_the_start(self, start):
        loss, derivative = start
        result = lbfgs(lambda x: (loss, np.array([1.0, derivative])), np.zeros(2), 50)
        assert result.stop_reason == "failed: the loss or its gradient is not finite at the start"
        assert (result.iterations, result.evaluations) == (0, 1)
        np.testing.assert_equal(result.loss, loss)

    @pytest.mark.parametrize("nothing", [np.nan, np.inf])
    def test_not_finite_beyond_a_border(self, nothing, dtype):
        """x - log x, minimum at 1, begins at 1e-3, where the first step lands far below zero."""

        def f(x):
            inside = x > 0
            x = np.where(inside, x, 1.0)
            return float(np.sum(np.where(inside, x - np.log(x), nothing))), np.where(inside, 1 - 1 / x, nothing)

        result = lbfgs(f, np.array([3.0, 1.5, 1e-3]), 100, dtype=dtype)
        np.testing.assert_allclose(result.x, 1, atol=1e-4)

    def test_not_finite_anywhere_else(self):
        start = np.ones(3)
        result = lbfgs(lambda x: (float(x.sum()) if (x == 1).all() else np.nan, np.ones(3)), start, 50)
        assert result.stop_reason.startswith("stalled")
        np.testing.assert_array_equal(result.x, start)

    def test_gradient_that_overflows_float32_on_the_way(self):
        """exp: a step that is too long overflows float32, without a warning."""
        result = lbfgs(lambda x: (float(np.sum(np.exp(x) - x)), np.exp(x) - 1), np.array([-300.0, 1.0]), 200)
        np.testing.assert_allclose(result.x, 0, atol=1e-3)

    def test_a_slope_without_end(self):
        result = lbfgs(lambda x: (float(-np.sum(x)), -np.ones(2)), np.zeros(2), 5)
        assert result.iterations == 5
        assert result.stop_reason == "all 5 iterations done"
        assert np.isfinite(result.x).all()
        assert result.x.min() > 1e6
