"""The optimisers on functions whose minimum is known."""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst.optimize import OPTIMIZERS, STATES, adam, scipy_lbfgs
from scratchnst.optimize.adam import RATE


def bowl(x):
    """A quadratic, ten times steeper along each further axis, minimum 3 at (1, 1, 1)."""
    steepness = 10.0 ** np.arange(x.size)
    return 3 + np.sum(steepness * (x - 1) ** 2), 2 * steepness * (x - 1)


def rosenbrock(x):
    """Rosenbrock's function, minimum 0 at (1, 1)."""
    a, b = x
    return (1 - a) ** 2 + 100 * (b - a**2) ** 2, np.array([-2 * (1 - a) - 400 * a * (b - a**2), 200 * (b - a**2)])


@pytest.mark.parametrize("f", [bowl, rosenbrock])
def test_lbfgs_finds_the_minimum(f):
    result = scipy_lbfgs(f, np.array([-1.2, 1.0]), 200)
    np.testing.assert_allclose(result.x, 1, atol=1e-6)
    assert result.loss == f(result.x)[0]
    assert result.stop_reason.startswith(("converged", "stalled"))


def test_adam_finds_the_minimum():
    result = adam(bowl, np.array([30.0, -20.0, 9.0]), 3000, rate=0.1)
    np.testing.assert_allclose(result.x, 1, atol=1e-2)
    assert result.loss == pytest.approx(3, abs=0.1)


def test_adam_by_hand():
    """Two steps with the gradients 4 and then 2, from the formulas."""
    gradients = iter([np.array([4.0]), np.array([2.0]), np.array([0.0])])
    result = adam(lambda x: (0.0, next(gradients)), np.array([10.0]), 2, rate=1.0)
    first = 10 - 1.0 * (0.4 / 0.1) / (np.sqrt(0.016 / 0.001) + 1e-8)
    m, v = 0.9 * 0.4 + 0.1 * 2, 0.999 * 0.016 + 0.001 * 4
    second = first - 1.0 * (m / (1 - 0.81)) / (np.sqrt(v / (1 - 0.999**2)) + 1e-8)
    assert result.x.item() == pytest.approx(second, rel=1e-12)
    assert result.evaluations == 3


def test_first_step_of_adam_has_the_size_of_the_rate():
    result = adam(bowl, np.zeros(3), 1)
    np.testing.assert_allclose(result.x, RATE)


@pytest.mark.parametrize("name", OPTIMIZERS)
class TestEveryOptimizer:
    def test_stops_after_the_iterations_asked_for(self, name):
        seen = []
        result = OPTIMIZERS[name](
            rosenbrock, np.array([-1.2, 1.0]), 5, callback=lambda x, loss: seen.append((x.copy(), loss))
        )
        assert result.iterations == len(seen) == 5
        assert result.stop_reason == "all 5 iterations done"
        np.testing.assert_array_equal(seen[-1][0], result.x)
        assert seen[-1][1] == result.loss
        assert all(loss == rosenbrock(x)[0] for x, loss in seen)

    def test_counts_evaluations(self, name):
        calls = []
        result = OPTIMIZERS[name](lambda x: (calls.append(0), rosenbrock(x))[1], np.array([-1.2, 1.0]), 12)
        assert result.evaluations == len(calls)

    def test_start_is_not_changed(self, name):
        start = np.array([-1.2, 1.0])
        OPTIMIZERS[name](rosenbrock, start, 3)
        np.testing.assert_array_equal(start, [-1.2, 1.0])

    def test_bounds(self, name):
        """The minimum lies outside: the result is the nearest corner, and no call leaves the box."""
        visited = []

        def f(x):
            visited.append(x.copy())
            return bowl(x)

        result = OPTIMIZERS[name](f, np.full(3, 0.25), 60, bounds=(0.0, 0.5))
        np.testing.assert_allclose(result.x, 0.5)
        assert np.min(visited) >= 0
        assert np.max(visited) <= 0.5


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("f", [bowl, rosenbrock])
@pytest.mark.parametrize("bounds", [None, (-2.0, 0.5)])
def test_goes_on_from_any_step_as_if_it_had_not_stopped(name, f, bounds):
    """Also from a step after which it ends, and through arrays, as a file holds them."""
    kept, state = [], STATES[name]()

    def keep(x, loss):
        kept.append({key: np.array(value) for key, value in state.arrays().items()})

    whole = OPTIMIZERS[name](f, np.array([-1.2, 1.0]), 40, bounds, keep, state=state)
    assert len(kept) == whole.iterations
    for arrays in kept:
        again = OPTIMIZERS[name](f, np.zeros(2), 40, bounds, state=STATES[name].of(arrays))
        np.testing.assert_array_equal(again.x, whole.x)
        assert (again.loss, again.iterations, again.evaluations) == (whole.loss, whole.iterations, whole.evaluations)
        assert again.stop_reason == whole.stop_reason


def test_lbfgs_goes_on_to_the_end_where_the_loss_fell_no_further():
    """A state after the last step, as rounding on a GPU may make it."""
    state = STATES["lbfgs"]()
    OPTIMIZERS["lbfgs"](rosenbrock, np.array([-1.2, 1.0]), 5, state=state)
    state.is_lower = False
    again = OPTIMIZERS["lbfgs"](rosenbrock, np.zeros(2), 50, state=state)
    assert again.stop_reason == "converged: the loss falls no further at this precision"
    assert (again.iterations, again.evaluations) == (5, state.evaluations)


def test_lbfgs_says_that_the_gradient_is_zero():
    result = scipy_lbfgs(bowl, np.ones(3), 50)
    assert result.iterations == 0
    assert result.stop_reason == "converged: the gradient is zero"


def test_lbfgs_says_that_the_loss_falls_no_further():
    """Near the flat bottom of a quartic, rounded to float32, the loss is the same number after a step."""
    result = scipy_lbfgs(
        lambda x: (float(np.float32(np.sum((x - 1) ** 4) + 1)), 4 * (x - 1) ** 3), np.array([3.0, 2.0]), 50
    )
    assert result.stop_reason == "converged: the loss falls no further at this precision"


def test_lbfgs_says_that_the_line_search_failed():
    """|x| with its kink: the curvature condition never holds."""
    result = scipy_lbfgs(lambda x: (np.sum(np.abs(x)), np.sign(x)), np.array([1.0, 2.0]), 200)
    assert result.stop_reason.startswith("stalled: the line search")
