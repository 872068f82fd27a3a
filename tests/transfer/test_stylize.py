"""`stylize`: starts, seeds, callbacks, and all reasons to stop."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst import Objective, stylize
from scratchnst.engine import textbook
from scratchnst.errors import UserError
from scratchnst.optimize import OPTIMIZERS
from scratchnst.transfer.stylize import NOISE_MEAN, NOISE_STD, start_image


def picture(height, width, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (height, width, 3))


@pytest.fixture
def objective():
    return Objective(random_vgg19(5, width=4), picture(12, 16, 1), [picture(9, 9, 2)], normalized=True)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
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
    assert (result.iterations, result.complete) == (15, True)
    assert result.stop_reason == "all 15 iterations done"


def test_same_seed_same_pixels_other_seed_other_pixels(objective):
    first, again, other = (stylize(objective, iterations=4, seed=seed).image for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_stops_when_little_is_gained(objective, optimizer):
    """The step at which it stops is the first whose loss is not below 0.7 of that 50 steps before."""
    losses = [step.loss for step in stylize_steps(objective, optimizer, 0.0)]
    stopped = stylize_steps(objective, optimizer, 0.3)
    expected = next(number for number in range(51, 121) if losses[number - 1] > 0.7 * losses[number - 51])
    assert [step.loss for step in stopped] == losses[:expected]


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
    np.testing.assert_array_equal(result.image, steps[-1][0].clip(0, 255))
    assert result.loss == steps[-1][1]


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
