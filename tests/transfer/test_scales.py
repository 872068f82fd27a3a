"""Coarse to fine: sizes, shares of the iterations, and what one scale passes to the next."""

from __future__ import annotations

import weakref
from functools import partial

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst import Objective, images, stylize
from scratchnst.errors import UserError
from scratchnst.optimize import OPTIMIZERS
from scratchnst.optimize.adam import RATE, Moments
from scratchnst.transfer.scales import (
    automatic_scales,
    enlarged_moments,
    scale_shapes,
    share_iterations,
    stylize_by_scales,
)
from scratchnst.transfer.stylize import Stylized

NETWORK = random_vgg19(3, width=4)
MARGIN = 2
SHAPES = [(8, 12), (16, 24)]


def picture(height, width, seed):
    return np.random.default_rng(seed).uniform(0, 255, (height, width, 3))


def objective_at(height, width, style=9):
    content = images.extend(images.resize(picture(16, 24, 1), height, width), MARGIN)
    return Objective(NETWORK, content, [picture(style, style, 2)], normalized=True)


def run(shapes=SHAPES, objective_at=objective_at, init="noise", **settings):
    return stylize_by_scales(objective_at, shapes, init, margin=MARGIN, **{"iterations": 5, **settings})


@pytest.mark.parametrize(
    ("size", "scales"), [(1, 1), (127, 1), (128, 1), (129, 2), (192, 2), (256, 2), (257, 3), (512, 3), (16384, 8)]
)
def test_one_more_scale_with_each_doubling_above_128(size, scales):
    assert automatic_scales(size) == scales
    assert max(scale_shapes(size, 1, scales)[0]) <= 128


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((768, 1024, 1), [(768, 1024)]),
        ((768, 1024, 3), [(192, 256), (384, 512), (768, 1024)]),
        ((33, 101, 2), [(16, 50), (33, 101)]),
        ((2, 9, 4), [(1, 1), (1, 2), (1, 4), (2, 9)]),
    ],
)
def test_shapes(arguments, expected):
    assert scale_shapes(*arguments) == expected


@pytest.mark.parametrize(
    ("iterations", "shares"),
    [(120, [40, 40, 40]), (500, [167, 167, 166]), (4, [2, 1, 1]), (3, [1, 1, 1]), (2, [1, 1]), (1, [1]), (0, [0])],
)
def test_iterations_are_shared(iterations, shares):
    """Equally; where they do not suffice, the coarsest is left out."""
    shapes = scale_shapes(40, 80, 3)
    assert share_iterations(iterations, shapes) == list(zip(shapes[-len(shares) :], shares))


def test_one_scale_is_stylize():
    whole = stylize(objective_at(16, 24), iterations=5, margin=MARGIN, seed=3, optimizer="adam", bounded=True)
    result = run([(16, 24)], seed=3, optimizer="adam", bounded=True)
    np.testing.assert_array_equal(result.image, whole.image)
    for name in ("loss", "terms", "iterations", "evaluations", "stop_reason", "complete"):
        assert getattr(result, name) == getattr(whole, name)
    assert len(result.scales) == 1


def test_each_scale_starts_from_the_one_before_enlarged():
    first = stylize(objective_at(8, 12), iterations=3, margin=MARGIN)
    assert first.image.shape == (8, 12, 3)
    start = np.pad(images.resize(first.image, 16, 24), ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="reflect")
    second = stylize(objective_at(16, 24), start, iterations=2, margin=MARGIN)
    result = run()
    np.testing.assert_array_equal(result.image, second.image)
    np.testing.assert_array_equal(result.scales[0].image, first.image)
    assert (result.loss, result.terms) == (second.loss, second.terms)
    assert [end.loss for end in result.scales] == [first.loss, second.loss]
    assert [end.iterations for end in result.scales] == [3, 2]
    assert (result.iterations, result.evaluations) == (5, first.evaluations + second.evaluations)
    assert result.seconds == sum(end.seconds for end in result.scales)
    assert (result.stop_reason, result.complete) == ("all 5 iterations done", True)


def test_the_average_of_a_scale_is_where_the_next_begins():
    first = stylize(objective_at(8, 12), iterations=3, margin=MARGIN, average=0.9, optimizer="adam")
    start = np.pad(images.resize(first.image, 16, 24), ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="reflect")
    second = stylize(objective_at(16, 24), start, iterations=2, margin=MARGIN, average=0.9, optimizer="adam")
    result = run(average=0.9, optimizer="adam")
    np.testing.assert_array_equal(result.image, second.image)
    assert result.kept is None


def test_the_best_step_is_counted_over_all_scales():
    """Of the 2 steps of the last scale, after 3."""
    result = run()
    assert (result.kept, [end.kept for end in result.scales]) == (5, [3, 2])


def test_moments_are_enlarged_without_their_margin(random):
    """A picture twice as wide and high shares each derivative among four pixels; the mean over pixels tells it."""
    m, v = random.normal(size=(12, 16, 3)) - 5, random.uniform(0, 1, (12, 16, 3)) ** 8
    margin_changed = m.copy()
    margin_changed[:2] = 1e6
    found = enlarged_moments(Moments(m.ravel(), v.ravel(), 7), (8, 12), (16, 24), MARGIN)
    again = enlarged_moments(Moments(margin_changed.ravel(), v.ravel(), 7), (8, 12), (16, 24), MARGIN)
    inner = np.s_[MARGIN:-MARGIN, MARGIN:-MARGIN]
    large_m, large_v = found.m.reshape(20, 28, 3)[inner], found.v.reshape(20, 28, 3)[inner]
    assert found.t == 7
    np.testing.assert_allclose(large_m, again.m.reshape(20, 28, 3)[inner], rtol=1e-4)
    np.testing.assert_allclose(large_m.mean(), m[inner].mean() / 4, rtol=0.02)
    np.testing.assert_allclose(large_v.mean(), v[inner].mean() / 16, rtol=0.2)
    assert found.v.min() >= 0
    constant = Moments(np.full(12 * 16 * 3, -3e-30), np.full(12 * 16 * 3, 2e-58), 7)
    found = enlarged_moments(constant, (8, 12), (16, 24), MARGIN)
    np.testing.assert_allclose(found.m, -3e-30 / 4, rtol=1e-6)
    np.testing.assert_allclose(found.v, 2e-58 / 16, rtol=1e-6)


def test_carried_moments_make_the_first_step_of_a_scale():
    """Without them it has the size of the rate everywhere, with them any."""
    for carried in (False, True):
        start, steps = [], []

        def make(height, width, start=start):
            objective = objective_at(height, width)
            genuine = objective.evaluate
            objective.evaluate = lambda x: start.append(x.reshape(objective.shape)) or genuine(x)
            return objective

        run(objective_at=make, optimizer="adam", carry_moments=carried, on_step=steps.append)
        moved = images.crop(start[4], MARGIN) - steps[3].image
        nearly_the_rate = np.isclose(np.abs(moved), RATE, rtol=0.01)
        assert nearly_the_rate.mean() < 0.1 if carried else nearly_the_rate.mean() > 0.9


def test_from_a_picture_the_change_is_enlarged():
    """The finer scale starts from the start in its own size, to which what the coarser one has changed is added."""
    own = picture(16, 24, 3)
    start = np.pad(images.resize(own, 8, 12), ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="reflect")
    first = stylize(objective_at(8, 12), start, iterations=3, margin=MARGIN)
    change = images.interpolate(first.image - images.resize(own, 8, 12), 16, 24)
    assert change.min() < -1
    start = np.pad((own + change).clip(0, 255), ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="reflect")
    second = stylize(objective_at(16, 24), start, iterations=2, margin=MARGIN)
    np.testing.assert_array_equal(run(init=own).image, second.image)


@pytest.mark.parametrize("name", ["content", "style"])
def test_a_named_picture_is_that_of_each_scale(name):
    """With hardly any step, the details of the picture at the finer scale are still there."""
    detailed = partial(objective_at, style=40)
    objective = detailed(16, 24)
    there = {"content": objective.content, "style": images.reframe(objective.styles[0], 20, 28)}[name]
    result = run(objective_at=detailed, init=name, iterations=2, optimizer="adam")
    blurred = images.resize(images.resize(images.crop(there, MARGIN), 8, 12), 16, 24)
    distances = [np.abs(result.image - picture).mean() for picture in (images.crop(there, MARGIN), blurred)]
    assert distances[0] < 0.5 * distances[1]


def test_what_callbacks_are_told_goes_on_from_scale_to_scale():
    steps, evaluations = [], []
    result = run(on_step=steps.append, on_evaluation=evaluations.append)
    assert [step.iteration for step in steps] == [1, 2, 3, 4, 5]
    assert [step.scale for step in steps] == [1, 1, 1, 2, 2]
    assert [step.image.shape for step in steps] == [(8, 12, 3)] * 3 + [(16, 24, 3)] * 2
    assert [evaluation.number for evaluation in evaluations] == list(range(1, result.evaluations + 1))
    assert [evaluation.scale for evaluation in evaluations].count(1) == result.scales[0].evaluations
    seconds = [evaluation.seconds for evaluation in evaluations]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_the_objective_of_a_scale_is_freed_before_the_next_is_made(optimizer):
    """Its targets and weights need memory that the next, larger one can use."""
    made = []

    def make(height, width):
        assert [objective() for objective in made] == [None] * len(made)
        objective = objective_at(height, width)
        made.append(weakref.ref(objective))
        return objective

    result = run([(4, 6), *SHAPES], make, optimizer=optimizer, on_step=lambda step: None)
    assert len(made) == len(result.scales) == 3


def test_starts_from_a_picture_without_margin():
    class Seen(Exception):
        pass

    def objective(height, width):
        genuine = objective_at(height, width)

        class Spy:
            shape, content, styles = genuine.shape, genuine.content, genuine.styles
            network, session = genuine.network, staticmethod(genuine.session)
            picture, tile = staticmethod(genuine.picture), None

            def __call__(self, x):
                raise Seen(x.reshape(self.shape))

        return Spy()

    own = picture(40, 60, 5)
    with pytest.raises(Seen) as seen:
        run(objective_at=objective, init=own)
    start = seen.value.args[0]
    assert start.shape == (12, 16, 3)
    np.testing.assert_allclose(images.crop(start, MARGIN), images.resize(own, 8, 12))


def failing_at(scale, calls, failure):
    """objective_at whose objectives fail at one scale, after so many calls; None: when the objective is made."""
    made = []

    def make(height, width):
        made.append(0)
        genuine, here = objective_at(height, width), len(made) == scale
        if here and calls is None:
            raise failure

        class Failing:
            shape, content, styles, count = genuine.shape, genuine.content, genuine.styles, 0
            network, session = genuine.network, staticmethod(genuine.session)
            picture, tile = staticmethod(genuine.picture), None

            def __call__(self, x):
                self.count += 1
                if here and self.count > calls:
                    raise failure
                loss, gradient = genuine(x)
                self.terms = genuine.terms
                return loss, gradient

        return Failing()

    return make


@pytest.mark.parametrize("calls", [None, 0])
@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (MemoryError(), "there is not enough memory for 24x16 pixels"),
        (UserError("lower the weights."), "lower the weights"),
    ],
)
def test_trouble_between_scales_keeps_the_coarse_picture(failure, reason, calls):
    whole = run()
    result = run(objective_at=failing_at(2, calls, failure))
    np.testing.assert_array_equal(result.image, images.resize(whole.scales[0].image, 16, 24))
    assert result.stop_reason == result.scales[-1].stop_reason == reason
    assert not result.complete
    assert not result.scales[-1].complete
    assert (len(result.scales), result.iterations) == (1, 3)
    assert (result.loss, result.terms) == (whole.scales[0].loss, whole.scales[0].terms)


@pytest.mark.parametrize("calls", [None, 0])
@pytest.mark.parametrize("failure", [KeyboardInterrupt(), MemoryError(), UserError("lower the weights.")])
def test_trouble_at_the_first_scale_is_for_the_caller(failure, calls):
    with pytest.raises(type(failure)):
        run(objective_at=failing_at(1, calls, failure))


@pytest.mark.parametrize("scale", [1, 2])
def test_interrupted_in_the_middle_of_a_scale(scale):
    result = run(objective_at=failing_at(scale, 3, KeyboardInterrupt()), iterations=20)
    assert result.image.shape == (16, 24, 3)
    assert (result.stop_reason, result.complete) == ("interrupted", False)
    assert len(result.scales) == scale
    last: Stylized = result.scales[-1]
    assert last.evaluations == 3
    np.testing.assert_array_equal(result.image, images.resize(last.image, 16, 24))


def test_a_scale_that_converges_early_is_followed_by_the_next():
    """From the content, with nothing but the content to imitate, there is nothing to do at the first scale."""

    def content_only_at_first(height, width):
        if height > 8:
            return objective_at(height, width)
        return Objective(NETWORK, images.extend(images.resize(picture(16, 24, 1), height, width), MARGIN), tv_weight=0)

    result = run(objective_at=content_only_at_first, init="content", iterations=8)
    assert [end.iterations for end in result.scales] == [0, 4]
    assert result.scales[0].stop_reason == "converged: the gradient is zero"
    assert (result.iterations, result.stop_reason, result.complete) == (4, "all 4 iterations done", True)


@pytest.mark.parametrize("settings", [{"iterations": 0}, {"seed": -1}, {"optimizer": "sgd"}, {"init": "nois"}])
def test_nonsense(settings):
    with pytest.raises(UserError):
        run(**settings)
