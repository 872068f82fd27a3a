"""`stylize`: starts, seeds, callbacks, and all reasons to stop."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst import Objective, stylize
from scratchnst.engine import textbook
from scratchnst.errors import UserError
from scratchnst.optimize import OPTIMIZERS, STATES
from scratchnst.transfer.stylize import NOISE_MEAN, NOISE_STD, start_image


def picture(height, width, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (height, width, 3))


@pytest.fixture
def objective():
    return Objective(random_vgg19(5, width=4), picture(12, 16, 1), [picture(9, 9, 2)], normalized=True)


@pytest.mark.parametrize("optimizer", ["lbfgs", "scipy-lbfgs"])
def test_loss_falls_and_the_result_is_what_was_seen_last(objective, optimizer):
    steps, evaluations = [], []
    result = stylize(
        objective, iterations=15, optimizer=optimizer, on_step=steps.append, on_evaluation=evaluations.append
    )
    assert result.loss < 0.5 * evaluations[0].loss
    assert [step.iteration for step in steps] == list(range(1, 16))
    assert [evaluation.number for evaluation in evaluations] == list(range(1, result.evaluations + 1))
    assert result.loss == steps[-1].loss
    np.testing.assert_array_equal(result.image, steps[-1].image.clip(0, 255))
    loss, _ = objective(steps[-1].image)
    assert loss == result.loss
    assert objective.terms == result.terms
    assert (result.iterations, result.kept, result.complete) == (15, 15, True)
    assert result.stop_reason == "all 15 iterations done"


def test_of_adam_the_result_is_the_best_that_was_seen():
    """Its steps are of one size: about the minimum the loss rises and falls."""
    objective, steps = Broken(999, None), []
    result = stylize(objective, iterations=40, optimizer="adam", on_step=steps.append)
    losses = [step.loss for step in steps]
    best = int(np.argmin(losses))
    assert 5 < best < 35
    assert (result.kept, result.loss) == (best + 1, losses[best])
    np.testing.assert_array_equal(result.image, steps[best].image.clip(0, 255))
    assert result.terms == {"calls left": 999 - 1 - result.kept}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_average(objective, optimizer):
    """Of all steps, with its own loss, which is one evaluation more."""
    steps, evaluations = [], []
    given = {"iterations": 12, "optimizer": optimizer, "margin": 2}
    plain = stylize(objective, on_step=lambda step: steps.append(step.image.copy()), **given)
    result = stylize(objective, average=0.5, on_evaluation=evaluations.append, **given)
    mean = np.average(steps, axis=0, weights=0.5 ** np.arange(11, -1, -1))
    np.testing.assert_allclose(result.image, mean.clip(0, 255), rtol=1e-12)
    assert (result.kept, result.iterations, result.evaluations) == (None, 12, plain.evaluations + 1)
    assert (evaluations[-1].loss, evaluations[-1].terms) == (result.loss, result.terms)
    assert result.loss != plain.loss


def test_the_average_of_an_interrupted_run():
    def interrupt(x):
        raise KeyboardInterrupt

    steps = []
    result = stylize(Broken(4, interrupt), average=0.0, on_step=lambda step: steps.append(step.image.copy()))
    np.testing.assert_allclose(result.image, steps[-1].clip(0, 255))
    assert (result.kept, result.stop_reason) == (None, "interrupted")


def test_same_seed_same_pixels_other_seed_other_pixels(objective):
    first, again, other = (stylize(objective, iterations=4, seed=seed).image for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_stops_when_little_is_gained(objective, optimizer):
    """The step at which it stops is the first at which the lowest loss is not below 0.7 of that 50 steps before."""
    losses = [step.loss for step in stylize_steps(objective, optimizer, 0.0)]
    lowest = np.minimum.accumulate(losses)
    stopped = stylize_steps(objective, optimizer, 0.3)
    expected = next(number for number in range(51, 121) if lowest[number - 1] > 0.7 * lowest[number - 51])
    assert [step.loss for step in stopped] == losses[:expected]


@pytest.mark.parametrize("optimizer", STATES)
@pytest.mark.parametrize(("grey", "average"), [(False, 0.9), (True, None)])
def test_goes_on_from_a_state_as_if_it_had_not_stopped(optimizer, grey, average):
    """To the same end: there, where little is gained, the losses of the steps before count."""
    pictures = [picture(12, 16, 1), picture(9, 9, 2)]
    content, style = (one[..., :1].repeat(3, axis=2) for one in pictures) if grey else pictures
    objective = Objective(random_vgg19(5, width=4), content, [style], normalized=True)
    given, kept = {"iterations": 120, "optimizer": optimizer, "least_gain": 0.3, "average": average}, {}

    def keep(state):
        arrays = {name: np.array(value) for name, value in state.optimizer.arrays().items()}
        kept[state.iterations] = copy.deepcopy(replace(state, optimizer=STATES[optimizer].of(arrays)))

    whole = stylize(objective, on_state=keep, **given)
    assert "less than 30 %" in whole.stop_reason
    assert set(kept) == set(range(1, whole.iterations))
    for state in (kept[1], kept[30], kept[whole.iterations - 1]):
        again = stylize(objective, "content", state=state, **given)
        np.testing.assert_array_equal(again.image, whole.image)
        for name in ("loss", "terms", "kept", "iterations", "evaluations", "stop_reason"):
            assert getattr(again, name) == getattr(whole, name)


def test_a_spike_of_the_loss_is_no_stagnation():
    """Steps of Adam may raise the loss: it stops when the lowest one falls no more."""
    losses = [100.0 - number for number in range(60)]
    losses[52] = 1000.0

    class Falling(Broken):
        def __call__(self, x):
            self.calls += 1
            return losses[self.calls - 1], np.ones_like(x)

    result = stylize(Falling(0, None), optimizer="adam", iterations=55, least_gain=0.4)
    assert result.iterations == 55


def stylize_steps(objective, optimizer, least_gain):
    steps = []
    result = stylize(objective, iterations=120, optimizer=optimizer, least_gain=least_gain, on_step=steps.append)
    assert result.complete
    if least_gain:
        assert result.stop_reason == "the loss fell by less than 30 % in 50 iterations"
    return steps


def test_starts(objective):
    noise = start_image(objective, "noise", 1)
    assert noise.shape == objective.shape
    assert abs(noise.mean() - NOISE_MEAN) < NOISE_STD / 5
    assert 0.8 < noise.std() / NOISE_STD < 1.2
    np.testing.assert_allclose(start_image(objective, "content"), picture(12, 16, 1), rtol=1e-6)
    style = objective.styles[0]  # 14x14
    expected = np.pad(style[1:13], ((0, 0), (1, 1), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(start_image(objective, "style"), expected)
    own = picture(12, 16, 9)
    np.testing.assert_array_equal(start_image(objective, own), own)
    assert start_image(objective, picture(30, 30)).shape == objective.shape


def test_start_from_the_content_stays_nearer_to_it(objective):
    results = {init: stylize(objective, init, iterations=3).image for init in ("content", "noise")}
    distances = {init: np.abs(image - objective.content).mean() for init, image in results.items()}
    assert distances["content"] < 0.5 * distances["noise"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_bounded_keeps_pixels_in_range(objective, optimizer):
    steps = []
    stylize(
        objective,
        picture(12, 16, 5),
        iterations=10,
        optimizer=optimizer,
        bounded=True,
        on_step=lambda step: steps.append(step.image.copy()),
    )
    assert np.min(steps) >= 0
    assert np.max(steps) <= 255


class Broken:
    """An objective that works until its n-th call."""

    shape, content, styles, tile = (2, 2, 3), None, [], None
    network = SimpleNamespace(engine=textbook)

    def __init__(self, calls, failure):
        self.calls, self.failure, self.terms = calls, failure, {}

    def session(self):
        return nullcontext()

    def picture(self, x):
        return x

    def __call__(self, x):
        self.calls -= 1
        self.terms = {"calls left": self.calls}
        if self.calls < 0:
            return self.failure(x)
        return float(np.sum((x - 100) ** 4)), 4 * (x - 100) ** 3  # takes many steps


def not_a_number(x):
    return float("nan"), x


def infinite_gradient(x):
    return 1.0, np.full_like(x, np.inf)


@pytest.mark.parametrize("failure", [not_a_number, infinite_gradient])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_loss_that_is_not_finite_ends_with_the_last_good_image(failure, optimizer):
    steps = []
    result = stylize(
        Broken(9, failure), optimizer=optimizer, on_step=lambda step: steps.append((step.image.copy(), step.loss))
    )
    assert not result.complete
    assert "NaN or infinite at evaluation 10" in result.stop_reason
    best, loss = min(steps, key=lambda step: step[1])
    np.testing.assert_array_equal(result.image, best.clip(0, 255))
    assert result.loss == loss


def test_not_finite_at_the_start(objective):
    with pytest.raises(UserError, match="not finite at the start"):
        stylize(Broken(0, not_a_number))


def test_huge_weights_overflow_float32_and_are_told(objective):
    network = objective.network
    huge = Objective(network, objective.content, objective.styles, style_weight=1e42)
    with pytest.raises(UserError, match="lower the weights"):
        stylize(huge)


def test_interrupted_keeps_the_current_image():
    def interrupt(x):
        raise KeyboardInterrupt

    steps = []
    result = stylize(Broken(9, interrupt), on_step=lambda step: steps.append(step.image.copy()))
    assert result.stop_reason == "interrupted"
    assert not result.complete
    np.testing.assert_array_equal(result.image, steps[-1].clip(0, 255))


def test_interrupted_before_anything_was_computed():
    def interrupt(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stylize(Broken(0, interrupt))


def test_adam_tells_of_gradients_whose_squares_overflow():
    result = stylize(Broken(3, lambda x: (1.0, np.full_like(x, 1e200))), optimizer="adam")
    assert not result.complete
    assert "overflow" in result.stop_reason


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        ({"iterations": 0}, "1 or more"),
        ({"optimizer": "sgd"}, "lbfgs, scipy-lbfgs, adam"),
        ({"init": "nois"}, "none of noise, content, style"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"init": np.zeros((12, 16))}, "start image must have the shape"),
        ({"init": np.full((12, 16, 3), np.nan)}, "start image holds values that are NaN"),
    ],
)
def test_nonsense(objective, arguments, pattern):
    with pytest.raises(UserError, match=pattern):
        stylize(objective, **arguments)


def test_start_from_an_image_that_is_not_there():
    texture = Objective(random_vgg19(2, width=2), None, [picture(8, 8)])
    with pytest.raises(UserError, match="'content'"):
        stylize(texture, "content")


def test_a_margin_is_optimised_but_not_handed_out(objective):
    whole, steps = stylize(objective, iterations=3), []
    inner = stylize(objective, iterations=3, margin=2, on_step=steps.append)
    np.testing.assert_array_equal(inner.image, whole.image[2:-2, 2:-2])
    assert [step.image.shape for step in steps] == [(8, 12, 3)] * 3
    assert inner.loss == whole.loss
    for margin in (6, -1):
        with pytest.raises(UserError, match="margin"):
            stylize(objective, margin=margin)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("init", ["noise", "content", "image"])
def test_grey_pictures_give_a_grey_result(optimizer, init):
    """Colours would be those of the noise, which no loss on grey pictures takes away."""
    content, style = (picture(12, 16, seed)[..., :1].repeat(3, axis=2) for seed in (1, 2))
    content[0, 0] += (1, 0, -1)  # as JPEG makes it
    objective = Objective(random_vgg19(5, width=4), content, [style], normalized=True)
    losses = []
    result = stylize(
        objective,
        content if init == "image" else init,
        iterations=8,
        optimizer=optimizer,
        on_evaluation=lambda evaluation: losses.append(evaluation.loss),
    )
    assert np.ptp(result.image, axis=2).max() == 0
    assert result.loss < (0.5 if optimizer == "lbfgs" and init == "noise" else 1) * losses[0]


@pytest.mark.parametrize("coloured", ["content", "style", "start"])
def test_where_there_is_colour_the_result_has_some(coloured):
    grey = {name: picture(12, 16, seed)[..., :1].repeat(3, axis=2) for seed, name in enumerate(("content", "style"))}
    given = {**grey, "start": grey["content"], coloured: picture(12, 16, 5)}
    objective = Objective(random_vgg19(5, width=4), given["content"], [given["style"]], normalized=True)
    assert np.ptp(stylize(objective, given["start"], iterations=3).image, axis=2).max() > 5
