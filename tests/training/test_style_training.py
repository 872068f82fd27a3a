"""Training a transform network: the loss falls, it resumes exactly, and it keeps what was learnt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst.errors import UserError
from scratchnst.models import transform_net
from scratchnst.training import steadiness, style_training
from scratchnst.training.perceptual_loss import PerceptualLoss, Weights
from scratchnst.training.photographs import Photographs
from scratchnst.training.style_training import Plan, Training

PLAN = Plan(iterations=6, batch=2, side=16, seed=3)
ORIGIN = {"of": ["this"]}


@pytest.fixture
def make(random):
    """What makes the same training again and again."""
    photographs = [(str(n), random.uniform(0, 255, (40, 50, 3))) for n in range(3)]
    styles = [np.float32(random.uniform(0, 255, (16, 20, 3))) for _ in range(2)]
    loss_network = random_vgg19(4, width=5)

    def training(plan=PLAN, count=1, weights=None):
        found = Photographs(photographs)
        crops = found.crops(np.random.default_rng(0), 3, plan.side)
        layers = ["conv2_1"], ["conv1_1", "conv2_1"]
        loss = PerceptualLoss(loss_network, styles[:count], crops, weights or Weights(), *layers)
        network = transform_net.build(np.random.default_rng(0), count, (3, 4, 5), 1)
        return Training(network, {0.0: loss}, found, plan)

    return training


def steps(training, count):
    for _ in range(count):
        training.step()
    return training


def assert_equal(training, other):
    a, b = training.state, other.state
    assert a.iteration == b.iteration
    assert a.losses == b.losses
    assert a.random == b.random
    for name, arrays in a.parameters.items():
        for array, like in zip(arrays, b.parameters[name]):
            np.testing.assert_array_equal(array, like)
    for place, moments in a.moments.items():
        np.testing.assert_array_equal(moments.m, b.moments[place].m)
        np.testing.assert_array_equal(moments.v, b.moments[place].v)
        assert moments.t == b.moments[place].t


def test_the_loss_falls(make):
    training = make(replace(PLAN, iterations=60))
    first = np.mean([steps(training, 1).state.losses.total for _ in range(3)])
    steps(training, 57)
    assert training.state.losses.total < 0.7 * first
    assert training.progress == 1


@pytest.mark.parametrize(("count", "steady"), [(1, 0.0), (2, 0.0), (1, 5.0)])
def test_it_goes_on_exactly_as_if_nothing_had_happened(make, tmp_path, count, steady):
    given = {"plan": replace(PLAN, side=20), "count": count, "weights": Weights(steady=steady)}
    whole = steps(make(**given), 5)
    part = steps(make(**given), 2)
    part.save(tmp_path / "state", ORIGIN)
    resumed = make(**given)
    resumed.restore(tmp_path / "state", ORIGIN)
    assert_equal(resumed, part)
    assert_equal(steps(resumed, 3), whole)


def test_an_interrupted_step_leaves_the_state_as_it_was(make, monkeypatch, tmp_path):
    training = steps(make(), 2)
    calls = []

    def interrupted(moments, rate):
        calls.append(rate)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return np.zeros_like(moments.m)

    with monkeypatch.context() as patch:
        patch.setattr(style_training.Moments, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            training.step()
    assert_equal(training, steps(make(), 2))
    assert_equal(steps(training, 1), steps(make(), 3))


def test_kept_at_the_end_and_when_interrupted(make):
    kept = []
    style_training.run(
        make(), lambda training: None, lambda training: kept.append(training.state.iteration), 1e9, print
    )
    assert kept == [6]

    def interrupt(training):
        if training.state.iteration == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        style_training.run(make(), interrupt, lambda training: kept.append(training.state.iteration), 1e9, print)
    assert kept == [6, 2]
    style_training.run(make(), lambda training: None, lambda training: kept.append(training.state.iteration), 0, print)
    assert kept == [6, 2, 1, 2, 3, 4, 5, 6, 6]


def test_another_training_is_refused(make, tmp_path):
    training = steps(make(), 1)
    training.save(tmp_path / "state", ORIGIN)
    with pytest.raises(UserError, match="of another training"):
        make().restore(tmp_path / "state", {"of": ["that"]})
    with pytest.raises(UserError, match="no whole checkpoint"):
        make(count=2).restore(tmp_path / "state", ORIGIN)


@pytest.mark.parametrize("damage", [lambda data: data[:-200], lambda data: b"", lambda data: b"text" + data])
def test_a_damaged_checkpoint_is_refused(make, tmp_path, damage):
    training = steps(make(), 1)
    training.save(tmp_path / "state", ORIGIN)
    (tmp_path / "state").write_bytes(damage((tmp_path / "state").read_bytes()))
    resumed = make()
    with pytest.raises(UserError, match="no whole checkpoint"):
        resumed.restore(tmp_path / "state", ORIGIN)
    assert resumed.state.iteration == 0


def test_no_checkpoint(make, tmp_path):
    with pytest.raises(UserError, match="leave out --resume"):
        make().restore(tmp_path / "state", ORIGIN)


def test_the_rate_rises_and_falls(make):
    rates = []
    training = make(replace(PLAN, iterations=100))
    for iteration in range(100):
        training.state = replace(training.state, iteration=iteration)
        rates.append(training.rate)
    highest = int(np.argmax(rates))
    assert 15 < highest < 25
    assert rates[0] == pytest.approx(PLAN.rate / style_training.WARM_UP)
    assert all(np.diff(rates[highest:]) < 0)
    assert rates[-1] == pytest.approx(PLAN.rate * style_training.LAST_RATE, rel=0.05)


def test_minutes(make):
    training = make(replace(PLAN, iterations=None, minutes=0.5))
    assert training.progress == 0
    training.state = replace(training.state, seconds=15.0)
    assert training.progress == pytest.approx(0.5)
    training.state = replace(training.state, seconds=40.0)
    assert training.progress == 1


def test_another_loss_from_some_part_on(make):
    training, other = make(), make().loss
    training.losses = {0.0: training.loss, 0.5: other}
    seen = []
    for iteration in range(6):
        training.state = replace(training.state, iteration=iteration)
        seen.append(training.loss is other)
    assert seen == [False] * 3 + [True] * 3


def test_all_styles_in_turn(make):
    training = make(replace(PLAN, batch=3), count=2)
    assert training._styles_of_batch(None) == [0, 1, 0]
    assert steps(training, 1)._styles_of_batch(None) == [1, 0, 1]


def test_a_batch_has_another_frame_of_each_crop_where_steadiness_is_asked_for(make):
    training, random = make(weights=Weights(steady=5.0)), np.random.default_rng(1)
    batch = training._batch(random)
    assert batch.x.shape == batch.later.shape == (2, 16, 16, 3)
    (down, right), noise = batch.shift, 5 * steadiness.NOISE
    shown, before = batch.later[:, : 16 - down, : 16 - right], batch.x[:, down:, right:]
    assert np.abs(shown - before).max() < noise


def test_a_batch_without_steadiness_is_of_crops_alone(make):
    training = make()
    batch = training._batch(np.random.default_rng(1))
    assert batch.later is None
    np.testing.assert_array_equal(batch.x, training.photographs.crops(np.random.default_rng(1), 2, 16))


def test_a_style_that_is_added_leaves_the_others_as_they_are(make):
    training = steps(make(replace(PLAN, trained=(1,)), count=2), 3)
    before = transform_net.build(np.random.default_rng(0), 2, (3, 4, 5), 1).parameters
    norms = transform_net.norms(training.network)
    for name, arrays in training.state.parameters.items():
        for array, start in zip(arrays, before[name]):
            if name not in norms:
                np.testing.assert_array_equal(array, start)
            else:
                np.testing.assert_array_equal(array[0], start[0])
                assert np.abs(array[1] - start[1]).max() > 0


def test_a_loss_that_is_not_finite(make):
    training = make(weights=Weights(style=1e60))
    with pytest.raises(UserError, match="--style-weight"):
        training.step()
    assert training.state.iteration == 0


def test_an_entry_of_the_log(make):
    entry = style_training.entry(steps(make(), 1))
    assert entry["iteration"] == 1
    assert set(entry["losses"]) == {"total", "content", "style", "roughness", "outside", "unsteadiness"}
    assert entry["painted"]["least"] < entry["painted"]["mean"] < entry["painted"]["largest"]


def test_a_large_gradient_is_scaled_down(make, monkeypatch):
    """Adam's mean after the first step is a tenth of the gradient it was given."""
    norms = []
    for bound in (1e9, 0.5):
        monkeypatch.setattr(style_training, "LARGEST_GRADIENT", bound)
        moments = steps(make(), 1).state.moments.values()
        norms.append(10 * np.sqrt(sum(np.sum(each.m.astype(float) ** 2) for each in moments)))
    assert norms[0] > 0.6
    assert norms[1] == pytest.approx(0.5, rel=1e-5)


def test_what_cannot_be_kept_for_now_does_not_end_the_training(make):
    """The disk is full until the last step."""
    kept, told = [], []

    def keep(training):
        if training.state.iteration < 6:
            raise UserError("no room.")
        kept.append(training.state.iteration)

    style_training.run(make(), lambda training: None, keep, 0, told.append)
    assert kept == [6, 6]
    assert told == ["what was learnt is not kept for now: no room."] * 5
