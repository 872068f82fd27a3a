"""A trial: one picture optimised by the loss of a training."""

from __future__ import annotations

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst.errors import UserError
from scratchnst.training import trial
from scratchnst.training.perceptual_loss import PerceptualLoss, Weights


@pytest.fixture
def photograph(random):
    return np.float32(random.uniform(0, 255, (16, 24, 3)))


def loss_of(photograph, random, **weights):
    style = np.float32(random.uniform(0, 255, (20, 16, 3)))
    network = random_vgg19(4, width=5)
    return PerceptualLoss(network, [style], photograph[np.newaxis], Weights(**weights), ["conv2_1"], ["conv1_1"])


def test_the_loss_falls(photograph, random):
    seen = []
    loss = loss_of(photograph, random, style=4.0)
    picture = trial.paint(loss, photograph, None, 30, lambda progress, losses: seen.append((progress, losses.total)))
    assert picture.shape == photograph.shape
    assert 0 <= picture.min() <= picture.max() <= 255
    assert [progress for progress, _ in seen] == pytest.approx(np.arange(1, 31) / 30)
    assert seen[-1][1] < 0.6 * seen[0][1]
    assert loss(picture[np.newaxis], photograph[np.newaxis], [0])[0].total < 0.7 * seen[0][1]


def test_minutes(photograph, random):
    seen = []
    trial.paint(loss_of(photograph, random), photograph, 0.01, None, lambda progress, _: seen.append(progress))
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_content_alone_leaves_the_photograph(photograph, random):
    loss = loss_of(photograph, random, style=0.0, roughness=0.0)
    np.testing.assert_allclose(trial.paint(loss, photograph, None, 5), photograph, atol=1e-3)


def test_a_loss_that_is_not_finite(photograph, random):
    with pytest.raises(UserError, match="--style-weight"):
        trial.paint(loss_of(photograph, random, style=1e60), photograph, None, 3)
