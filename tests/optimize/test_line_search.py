"""The line search on difficult functions: J. Moré, D. Thuente, "Line search algorithms", ACM TOMS 1994."""

from __future__ import annotations

import math

import pytest

from scratchnst.optimize.line_search import Trial, _cubic_minimum, line_search


def one_dip(t, beta=2.0):
    """Function (5.1): falls to its only minimum at sqrt(beta), then rises, ever flatter."""
    return -t / (t * t + beta), (t * t - beta) / (t * t + beta) ** 2


def steep_wall(t, beta=0.004):
    """Function (5.2): hardly any slope at 0, and beyond the minimum at 1.596 a fifth power."""
    return (t + beta) ** 5 - 2 * (t + beta) ** 4, 5 * (t + beta) ** 4 - 8 * (t + beta) ** 3


def wiggles(t, beta=0.01, waves=39):
    """Function (5.3): |1 - t|, rounded at its tip, with many small waves on it."""
    if abs(t - 1) >= beta:
        value, slope = abs(t - 1), math.copysign(1, t - 1)
    else:
        value, slope = (t - 1) ** 2 / (2 * beta) + beta / 2, (t - 1) / beta
    k = waves * math.pi / 2
    return value + (1 - beta) / k * math.sin(k * t), slope + (1 - beta) * math.cos(k * t)


def two_bends(beta_1, beta_2):
    """Function (5.4): nearly straight, but for a sharp bend at 0 and another at 1."""

    def gamma(beta):
        return math.sqrt(1 + beta**2) - beta

    def phi(t):
        near_1, near_0 = math.hypot(1 - t, beta_2), math.hypot(t, beta_1)
        value = gamma(beta_1) * near_1 + gamma(beta_2) * near_0
        return value, gamma(beta_1) * (t - 1) / near_1 + gamma(beta_2) * t / near_0

    return phi


DIFFICULT = {  # with the c1 and c2 of the paper's tables
    "one dip": (one_dip, 0.001, 0.1),
    "steep wall": (steep_wall, 0.1, 0.1),
    "wiggles": (wiggles, 0.1, 0.1),
    "two bends alike": (two_bends(0.001, 0.001), 0.001, 0.001),
    "sharp bend at 1": (two_bends(0.01, 0.001), 0.001, 0.001),
    "sharp bend at 0": (two_bends(0.001, 0.01), 0.001, 0.001),
}


class Recorded:
    """phi, and the steps at which it was called."""

    def __init__(self, phi):
        self.phi, self.steps = phi, []

    def __call__(self, t):
        self.steps.append(t)
        return self.phi(t)


@pytest.mark.parametrize("first", [1e-3, 0.1, 10.0, 1e3])
@pytest.mark.parametrize("name", DIFFICULT)
def test_strong_wolfe_conditions(name, first):
    phi, c1, c2 = DIFFICULT[name]
    loss, slope = phi(0.0)
    recorded = Recorded(phi)
    found = line_search(recorded, loss, slope, first, c1, c2)
    assert recorded.steps[0] == first
    assert recorded.steps[-1] == found.step > 0
    assert (found.loss, found.slope) == phi(found.step)
    assert found.loss <= loss + c1 * found.step * slope
    assert abs(found.slope) <= c2 * abs(slope)


@pytest.mark.parametrize("name", DIFFICULT)
def test_the_slopes_of_the_nasty_functions_are_right(name):
    phi, h = DIFFICULT[name][0], 1e-6
    for t in (0.05, 0.3, 0.7, 0.985, 0.995, 1.2, 5.0):
        assert (phi(t + h)[0] - phi(t - h)[0]) / (2 * h) == pytest.approx(phi(t)[1], rel=1e-5, abs=1e-8)


def test_a_good_first_step_is_taken_at_once():
    phi = Recorded(lambda t: ((t - 1) ** 2, 2 * (t - 1)))
    assert line_search(phi, 1.0, -2.0, 0.5) == Trial(0.5, 0.25, -1.0)
    assert phi.steps == [0.5]


def test_of_a_cubic_the_minimum_is_found_at_once():
    """t^3 - 3 t has its minimum at 1; from (0, 3) the cubic through both ends is the function itself."""
    phi = Recorded(lambda t: (t**3 - 3 * t, 3 * t**2 - 3))
    found = line_search(phi, 0.0, -3.0, 3.0, c2=0.1)
    assert phi.steps[0] == 3.0
    assert found.step == pytest.approx(1.0)
    assert len(phi.steps) == 2


@pytest.mark.parametrize(("a", "b"), [(0.0, 3.0), (0.5, 0.75), (1.5, 0.25), (4.0, -0.5)])
def test_cubic_minimum_inside_and_beyond(a, b):
    u = _cubic_minimum(*(Trial(t, t**3 - 3 * t, 3 * t**2 - 3) for t in (a, b)))
    assert a + u * (b - a) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("phi", "a", "b"),
    [
        (lambda t: (-t, -1.0), 0.0, 1.0),  # a straight line
        (lambda t: (-(t**3) - t, -3 * t**2 - 1), 0.0, 2.0),  # unbounded below
        (lambda t: (math.inf if t else 0.0, math.nan if t else -1.0), 0.0, 1.0),
    ],
)
def test_cubic_without_a_minimum(phi, a, b):
    assert math.isnan(_cubic_minimum(Trial(a, *phi(a)), Trial(b, *phi(b))))


@pytest.mark.parametrize(
    "beyond", [(math.nan, 1.0), (math.inf, 1.0), (-math.inf, 1.0), (0.0, math.nan), (0.0, math.inf)]
)
def test_what_is_not_finite_is_too_far(beyond):
    """Minimum at 1; not finite from 1.5 on."""
    phi = Recorded(lambda t: ((t - 1) ** 2, 2 * (t - 1)) if t < 1.5 else beyond)
    found = line_search(phi, 1.0, -2.0, 1e6)
    assert 0 < found.step < 1.5
    assert found.loss < 1


def test_a_slope_that_promises_what_never_comes():
    phi = Recorded(lambda t: (5.0, -1.0))
    assert line_search(phi, 5.0, -1.0, 1.0) is None
    assert len(phi.steps) == 20
    assert max(phi.steps) == 1.0


def test_no_step_where_its_promise_is_less_than_the_loss_can_tell():
    phi = Recorded(lambda t: (1e20, -1.0))
    assert line_search(phi, 1e20, -1.0, 1.0) is None
    assert phi.steps == []


def test_a_function_that_falls_for_ever_ends_at_the_lowest_step():
    phi = Recorded(lambda t: (-t, -1.0))
    found = line_search(phi, 0.0, -1.0, 1.0, evaluations=6)
    assert found.step == max(phi.steps) == phi.steps[-1]
    assert len(phi.steps) == 6


def test_out_of_evaluations_phi_is_called_once_more_at_the_lowest():
    """Of |t - 1| no slope is ever flat enough; the last step tried is not the lowest."""
    phi = Recorded(lambda t: (abs(t - 1), math.copysign(1.0, t - 1)))
    for evaluations in range(2, 12):
        phi.steps.clear()
        found = line_search(phi, 1.0, -1.0, 3.0, evaluations=evaluations)
        if found is None:
            continue
        assert found.loss == min(abs(t - 1) for t in phi.steps)
        assert phi.steps[-1] == found.step
        assert len(phi.steps) <= evaluations + 1


@pytest.mark.parametrize("unit", [1e-150, 1e-8, 1e8, 1e150])
def test_the_unit_of_the_loss_does_not_matter(unit):
    plain, scaled = Recorded(steep_wall), Recorded(lambda t: tuple(unit * value for value in steep_wall(t)))
    found = [line_search(phi, *phi.phi(0.0), 0.3, 0.1, 0.1) for phi in (plain, scaled)]
    assert found[1].step == pytest.approx(found[0].step, rel=1e-6)
