"""The step: noise, V-curves and what they say of functions good and bad."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scratchnst.verify.methods.steps import Line, Noise, Probe, common_rung, computational_noise, v_curve

X = np.array([0.4, -0.9, 1.3, 0.7, -0.2])
V = np.array([0.9, -1.2, 0.7, 1.1, -0.8])


def noise_of(f, x=X, v=V, patterns=None):
    return computational_noise(Probe(f, x, patterns=patterns), [v])


def line(f, x=X, v=V, noise=None):
    probe = Probe(f, x)
    swept = Line(probe, v, noise or computational_noise(probe, [v]))
    swept.sweep()
    return swept


def with_noise(level, seed=0):
    """A smooth function with normal noise of a known size."""
    random = np.random.default_rng(seed)
    return lambda x: np.exp(x).sum() + level * random.standard_normal()


def in_single(x):
    """A function that is computed in float32 inside."""
    return float(np.exp(x.astype("float32")).sum())


@pytest.mark.parametrize("level", [1e-13, 1e-11, 1e-8])
def test_noise_of_a_known_size_is_found(level):
    levels = [noise_of(with_noise(level, seed)).level for seed in range(20)]
    assert min(levels) > level / 5
    assert level / 2 < np.median(levels) < 3 * level


def test_a_smooth_function_has_noise_in_its_last_digits():
    noise = noise_of(lambda x: np.exp(x).sum())
    assert 1e-16 < noise.level < 1e-14
    assert not noise.is_coarse


@pytest.mark.parametrize("count", [1, 5, 300])
def test_float32_inside_shows(count):
    x = np.random.default_rng(1).standard_normal(count)
    noise = noise_of(in_single, x, np.ones(count))
    assert noise.is_coarse
    assert noise.level > 1e-8


def test_numbers_that_fit_into_float32_by_nature_are_not_coarse():
    x = np.array([1.0, 2.0, 3.0])
    assert not noise_of(lambda x: (x**2).sum(), x, np.array([1.0, -0.7, 0.3])).is_coarse


@pytest.mark.parametrize("frequency", [1.0, 1e3, 1e6])
def test_a_function_that_oscillates_is_not_noise(frequency):
    assert noise_of(lambda x: np.sin(frequency * x).sum()).level < 1e-15 * max(10, frequency)


def test_a_kink_is_not_noise():
    at_kinks = np.array([0.0, 0.0, 1.3, 0.7, -0.2])
    without = V * (at_kinks != 0)
    probe = Probe(lambda x: np.abs(x).sum(), at_kinks)
    assert computational_noise(probe, [V, without]).level < 1e-14


def test_a_large_offset_is_noise():
    assert noise_of(lambda x: np.exp(x).sum() + 1e10).level > 1e-6


def test_a_constant_has_the_noise_of_its_last_digit():
    noise = noise_of(lambda x: 1e6)
    assert noise == Noise(1e6 * np.finfo(float).eps, 4 * np.finfo(float).eps, False)


def test_a_probe_subtracts_before_it_sums():
    """Outputs that stay cancel exactly, so that 1e16 beside 1 does no harm."""
    probe = Probe(lambda x: np.array([1e16, x[0]]), np.array([1.0]), np.array([1.0, 1.0]))
    assert probe(np.array([1.5])) == 0.5


def test_a_probe_gives_nan_where_the_function_fails():
    def f(x):
        if x[0] > 1:
            raise ValueError("too far")
        return math.sqrt(x[0])

    probe = Probe(f, np.array([0.5]))
    assert math.isnan(probe(np.array([2.0])))
    assert math.isnan(probe(np.array([-2.0])))
    assert isinstance(probe.failure, ValueError)


def test_the_typical_size_of_x():
    assert Probe(np.sum, np.array([0.0, 1.0, -3.0, 2.0, 0.0])).unit == 2
    assert Probe(np.sum, np.zeros(3)).unit == 1


def test_the_error_falls_as_h_squared_and_rises_as_one_over_h():
    swept = line(lambda x: np.exp(x).sum())
    curve = v_curve([swept], [float(np.exp(X) @ V)], swept.best().rung, 1.0)
    assert curve.falls == pytest.approx(2, abs=0.1)
    assert curve.rises == pytest.approx(-1, abs=0.2)
    assert 1e-6 < curve.best < 1e-4  # eps^(1/3) is 6e-6
    assert min(curve.error) < 1e-9


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (lambda x: np.exp(x).sum(), np.exp(X) @ V),
        (lambda x: np.sin(50 * x).sum(), 50 * np.cos(50 * X) @ V),
        (lambda x: (x**2).sum(), 2 * X @ V),
        (lambda x: 3 * x.sum() + 1e8, 3 * V.sum()),
        (lambda x: np.maximum(x, 0).sum(), V[X > 0].sum()),
        (with_noise(1e-9), np.exp(X) @ V),
        (in_single, np.exp(X) @ V),
    ],
)
def test_the_error_is_as_large_as_estimated(f, slope):
    best = line(f).best()
    assert abs(best.slope - slope) < 5 * best.error
    assert best.error < 2e-3 * abs(slope)


def test_the_ladder_is_lengthened_where_x_is_small_and_the_function_slow():
    x = np.full(3, 1e-8)
    best = line(lambda x: np.exp(x).sum(), x, np.ones(3)).best()
    assert best.slope == pytest.approx(3 * math.exp(1e-8), rel=1e-9)


def test_a_kink_at_x_is_seen_in_the_slopes():
    swept = line(lambda x: np.abs(x).sum(), np.array([0.0]), np.array([1.0]))
    assert swept.has_kink
    assert swept.best() is None or swept.best().error > 1e-3


@pytest.mark.parametrize("seed", range(30))
def test_kinks_that_all_but_cancel_are_seen(seed):
    """The slopes on both sides are alike, each far from that of a gradient that takes one side at every kink."""
    random = np.random.default_rng(seed)
    signs = np.array([1.0, -1.0]) + 0.01 * random.standard_normal(2)
    f = lambda x: signs @ np.maximum(x[:2], 0) + np.sin(x[2:]).sum() + np.maximum(x[2:] - 1, 0).sum()  # noqa: E731
    x = np.append([0.0, 0.0], random.standard_normal(40))
    swept = line(f, x, np.where(np.arange(42) < 2, 1.0, random.choice([-1.0, 1.0], 42)))
    assert swept.has_kink
    assert swept.best() is None


def test_slopes_on_both_sides():
    def sides(f, at=0.0, index=0):
        swept = line(f, np.array([at, 0.5, 1.3]), index)
        lower, upper, error = swept.side_slopes()
        assert error < 1e-6
        return pytest.approx(lower, abs=1e-6), pytest.approx(upper, abs=1e-6)

    assert sides(lambda x: np.abs(x).sum()) == (-1, 1)
    assert sides(lambda x: np.maximum(1 - x, 0).sum(), 1.0) == (-1, 0)
    assert sides(lambda x: (np.maximum(x, 0) + np.exp(x)).sum()) == (0, 2)  # 0: as where several kinks meet
    assert sides(lambda x: np.exp(x).sum()) == (1, 1)
    assert line(lambda x: np.sqrt(x).sum(), np.array([0.0, 1.0]), 0).side_slopes() is None


def test_a_kink_nearby_is_kept_clear_of():
    swept = line(lambda x: np.maximum(x, 0).sum(), np.array([1e-4, 1.0]), 0)
    assert not swept.has_kink
    assert swept.best().slope == pytest.approx(1, rel=1e-9)
    assert swept.step(swept.best().rung) < 1e-4


def test_a_small_error_at_large_steps_does_not_deceive():
    """sin(1e4 x) over steps of many periods has slopes that are small, and agree with each other, and are wrong."""
    x = np.array([1.0])
    best = line(lambda x: np.sin(1e4 * x).sum(), x, np.array([1.0])).best()
    assert best.slope == pytest.approx(1e4 * math.cos(1e4), rel=1e-6)


def test_descending_stops_when_it_is_good_enough():
    probe = Probe(lambda x: np.maximum(x, 0).sum(), np.array([1e-3, 1.0]))
    climber = Line(probe, 0, Noise(1e-16, 1e-15))
    found = climber.descend(-1, target_error=1e-9, max_roundoff=1e-3)
    assert found.slope == pytest.approx(1, rel=1e-9)
    assert climber.step(found.rung + 1) < 1e-3 <= climber.step(found.rung + 3)


def test_the_common_rung_serves_four_lines_in_five():
    x = np.array([2.0, 1.0, 3.0, 0.5, 1e-6, 0.0])
    probe = Probe(lambda x: np.abs(x).sum(), x)
    lines = [Line(probe, index, Noise(1e-16, 1e-15)) for index in range(6)]
    for each in lines:
        each.sweep()
    rung, error = common_rung(
        lines
    )  # the last sits on its kink, where no step would do, and the last but one close to it
    assert all(line.estimate(rung) for line in lines[:4])
    assert lines[4].estimate(rung) is None
    assert lines[0].step(rung) > 0.05
    assert error < 1e-12


def test_steps_that_cross_a_declared_kink_do_not_count():
    patterns = lambda x: {"relu": np.sign(x)}  # noqa: E731
    probe = Probe(lambda x: np.maximum(x, 0).sum(), np.array([0.3, -0.5]), patterns=patterns)
    swept = Line(probe, np.array([1.0, 1.0]), Noise(1e-16, 1e-15))
    swept.sweep()
    assert all(swept.step(rung) > 0.3 for rung in swept.units if swept.units[rung])
    assert all(not swept.is_clear(rung) for rung in swept.units if swept.units[rung])
    assert swept.best().slope == pytest.approx(1, rel=1e-12)
