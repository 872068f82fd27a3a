"""Distillation: crops, principal axes, the gradient of all parameters, and that training lowers the loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import random_vgg19
from numerical import central_differences, relative_error

from scratchnst.errors import UserError
from scratchnst.models import student, vgg
from scratchnst.training import crops, distillation


@pytest.fixture
def small(monkeypatch):
    """A student of a few channels, and examples of a few pixels."""
    monkeypatch.setattr(student, "CHANNELS", (4, 5, 6, 6, 6))
    monkeypatch.setattr(student, "AXES", dict.fromkeys(student.AXES, 3))
    for name, value in {
        "SIDE": 16,
        "BATCH": 2,
        "POOL": 6,
        "TRANSFER_FROM": 4,
        "TRANSFER_EVERY": 4,
        "KEEP_EVERY": 2,
    }.items():
        monkeypatch.setattr(distillation, name, value)
    monkeypatch.setattr(distillation, "TRANSFER_STAGES", (1, 2))


@pytest.fixture
def pictures(random):
    return [np.float32(random.uniform(0, 255, shape)) for shape in ((20, 30, 3), (17, 16, 3), (40, 25, 3))]


def loss_of(pictures, random):
    network = random_vgg19(13, width=6)
    pupil = student.build(random, distillation.defaults(network))
    return distillation.DistillationLoss(distillation.Teacher(network, pictures), pictures, pupil, random)


@pytest.mark.parametrize("side", [8, 16, 64])
def test_crops_have_one_size_and_are_finite(random, pictures, side):
    drawn = [crops.draw(random, pictures, side) for _ in range(50)]
    assert all(crop.shape == (side, side, 3) and crop.dtype == np.float32 for crop in drawn)
    assert np.isfinite(drawn).all()
    assert len({crop.tobytes() for crop in drawn}) == 50


def test_a_grey_picture_stays_smooth_unless_noise_is_added():
    """Without noise, crops of a picture of one colour have one colour."""
    random = np.random.default_rng(0)
    plain = [np.full((50, 60, 3), 100, np.float32)]
    spreads = [crops.draw(random, plain, 16).std(axis=(0, 1)).max() for _ in range(100)]
    assert 30 < sum(spread < 1e-3 for spread in spreads) < 80  # 0.92 * 0.65 of 100 in the mean


def test_principal_axes_of_points_on_a_plane():
    """All points lie on the plane of (3, 4, 0)/5 and (0, 0, 1), and spread more along the first."""
    random = np.random.default_rng(0)
    first, second = np.array([0.6, 0.8, 0]), np.array([0.0, 0, 1])
    points = 10 * random.standard_normal((40, 1)) * first + random.standard_normal((40, 1)) * second
    U = distillation.principal_axes(points.T @ points, 2)
    assert U.dtype == np.float32
    np.testing.assert_allclose(U.T @ U, np.eye(2), atol=1e-6)
    assert abs(U[:, 0] @ first) > 0.99
    outside = np.array([0.8, -0.6, 0])
    np.testing.assert_allclose(outside @ U, 0, atol=1e-6)


def test_the_students_layers_and_defaults():
    network = random_vgg19(13)
    pupil = student.build(np.random.default_rng(0), distillation.defaults(network))
    features, _ = pupil.forward(np.zeros((1, 24, 20, 3), np.float32), [student.likeness(name) for name in student.AXES])
    sizes = {name: feature.shape[1:] for name, feature in features.items()}
    assert sizes == {
        "like_conv1_1": (24, 20, 16),
        "like_conv2_1": (12, 10, 48),
        "like_conv3_1": (6, 5, 80),
        "like_conv4_1": (3, 2, 96),
        "like_conv4_2": (3, 2, 128),
        "like_conv5_1": (1, 1, 96),
    }
    assert pupil.defaults.content_layers == {
        "like_conv4_2": 128 / 512,
        "like_conv3_1": student.CONTENT_FACTORS["conv3_1"] * 80 / 256,
    }
    share = student.STYLE_FACTORS["conv2_1"] * (48 / 128) ** 2
    assert pupil.defaults.style_layers["like_conv2_1"] == pytest.approx(0.2 * share)
    assert vgg.defaults(vgg.table()).style_layers["conv2_1"] == 0.2


def test_examples_of_a_batch_are_those_of_each_image(small, pictures, random):
    teacher = distillation.Teacher(random_vgg19(13, width=6), pictures)
    crop, other = (crops.draw(random, pictures, 16) for _ in range(2))
    (alone,), (first, second) = teacher.examples([crop]), teacher.examples([crop, other])
    np.testing.assert_array_equal(second.image, other)
    for name, target in alone.targets.items():
        np.testing.assert_allclose(first.targets[name], target, rtol=1e-4, atol=1e-5)
        assert not np.allclose(second.targets[name], target, rtol=1e-2, atol=1e-4)
    assert teacher.examples([]) == []


@pytest.mark.slow
def test_gradient_of_all_parameters_equals_central_differences(small, pictures, random):
    function = loss_of(pictures, random)
    network = function.network_with(function.flat() + 0.1 * random.standard_normal(function.flat().size))
    network = network.astype("float64")
    batch = [replace(example, image=np.float64(example.image)) for example in function.examples[:2]]
    _, gradient = distillation.loss_and_gradient(network, batch, function.energy)
    for name in ("conv1_1", "conv3_3", "conv5_1", "like_conv2_1"):
        for position, array in enumerate(network.parameters[name]):

            def loss(value, name=name, position=position):
                pair = [*network.parameters[name]]
                pair[position] = value
                changed = replace(network, parameters={**network.parameters, name: tuple(pair)})
                return distillation.loss_and_gradient(changed, batch, function.energy)[0]

            assert relative_error(gradient[name][position], central_differences(loss, array, 1e-6)) < 1e-6


def test_training_lowers_the_loss_and_is_the_same_for_the_same_seed(small, pictures):
    network = random_vgg19(13, width=6)
    losses, again = [], []
    distillation.distil(network, pictures, 60, 5, on_step=lambda step, loss: losses.append(loss))
    pupil = distillation.distil(network, pictures, 60, 5, on_step=lambda step, loss: again.append(loss))
    assert losses == again
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])
    assert pupil.normalized


def test_a_teacher_without_the_layers_is_refused(pictures):
    with pytest.raises(UserError, match="conv3_1"):
        distillation.distil(random_vgg19(4), pictures)


def test_rate_rises_and_falls():
    shares = [distillation.rate_factor(step, 1000) for step in range(1, 1001)]
    assert np.argmax(shares) == distillation.WARM_UP - 1
    assert shares[0] == pytest.approx(1 / distillation.WARM_UP, rel=1e-3)
    assert 0 < shares[-1] < 1e-4
    again = [distillation.rate_factor(step, 1000, 500) for step in range(501, 1001)]
    assert again[0] == pytest.approx(shares[500] / distillation.WARM_UP)
    assert again[distillation.WARM_UP :] == shares[500 + distillation.WARM_UP :]


def test_a_student_goes_on_where_it_was(small, pictures, monkeypatch):
    monkeypatch.setattr(distillation, "with_solved_likeness", lambda network, examples: network)
    network = random_vgg19(13, width=6)
    pupil = distillation.distil(network, pictures, 5)
    more = distillation.distil(network, pictures, 3, 6, pupil, rate=1e-3)
    for name, pair in pupil.parameters.items():
        for before, after in zip(pair, more.parameters[name]):
            assert 0 < np.abs(after - before).max() < 3 * 1e-3
    with pytest.raises(UserError, match="no student"):
        distillation.distil(network, pictures, start=network)


def test_solved_likeness_layers_are_exact_where_they_can_be(small, pictures, random):
    """The targets are a linear function of the student's own features, with a bias."""
    function = loss_of(pictures, random)
    W = {name: random.standard_normal((len(function.network.parameters[name][1]), 3)) for name in student.AXES}
    examples = []
    for example in function.examples:
        features, _ = function.network.forward(example.image[np.newaxis], student.AXES)
        examples.append(distillation.Example(example.image, {name: features[name][0] @ W[name] + 1 for name in W}))
    solved = distillation.with_solved_likeness(function.network, examples)
    before, after = (
        distillation.loss_and_gradient(network, examples, function.energy)[0] for network in (function.network, solved)
    )
    assert after < 1e-3 * before
    for name, arrays in function.network.parameters.items():
        same = all(np.array_equal(*pair) for pair in zip(arrays, solved.parameters[name]))
        assert same != name.startswith("like_")


def test_a_student_of_fewer_layers_is_taken_over(random):
    whole = student.build(random, distillation.defaults(random_vgg19(13)))
    few = ("conv1_1", "like_conv1_1", "conv1_2")
    start = replace(whole, layers=whole.layers[:3], parameters={name: whole.parameters[name] for name in few})
    pupil = distillation.with_parameters_of(start, student.build(random, whole.defaults))
    for name, (w, _) in whole.parameters.items():
        assert np.array_equal(pupil.parameters[name][0], w) == (name in few)
    with pytest.raises(UserError, match="no student"):
        distillation.with_parameters_of(replace(start, preprocessing=vgg.OXFORD_PREPROCESSING), pupil)


def test_checkpoints(small, pictures):
    """Every KEEP_EVERY steps, and where it is interrupted; from there it goes on at the rate that is next."""
    network = random_vgg19(13, width=6)
    kept, numbers = [], []

    def interrupt(step, loss):
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distillation.distil(
            network, pictures, 20, on_step=interrupt, keep=lambda step, pupil: kept.append((step, pupil))
        )
    assert [step for step, _ in kept] == [2, 4, 5]
    done, pupil = kept[-1]
    distillation.distil(network, pictures, 8, start=pupil, done=done, on_step=lambda step, loss: numbers.append(step))
    assert numbers == [6, 7, 8]


def test_the_axes_of_a_teacher_are_always_the_same(small, pictures):
    """Otherwise a student could not be trained further."""
    network = random_vgg19(13, width=6)
    first, again = distillation.Teacher(network, pictures), distillation.Teacher(network, pictures)
    for name in student.AXES:
        np.testing.assert_array_equal(first.axes[name], again.axes[name])
