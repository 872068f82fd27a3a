"""The perceptual loss: its terms by hand, and its gradient by central differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import random_vgg19
from numerical import central_differences, relative_error

from scratchnst.models.transform_net import SPREAD
from scratchnst.training import perceptual_loss
from scratchnst.training.perceptual_loss import Losses, PerceptualLoss, Weights

CONTENT, STYLE = ["conv2_1"], ["conv1_1", "conv2_1"]
WEIGHTS = Weights(content=0.7, style=3.0, roughness=0.4, outside=2.0)


@pytest.fixture
def photographs(random):
    return random.uniform(0, 255, (2, 8, 12, 3))


@pytest.fixture
def styles(random):
    """Two pictures, of another size than the photographs."""
    return [random.uniform(0, 255, (10, 6, 3)), random.uniform(100, 200, (7, 9, 3))]


def loss_of(photographs, styles, weights=WEIGHTS):
    network = random_vgg19(4, width=5).astype("float64")
    return PerceptualLoss(network, [style.astype(np.float32) for style in styles], photographs, weights, CONTENT, STYLE)


def test_targets_of_many_styles_are_not_all_kept(photographs, styles, monkeypatch):
    monkeypatch.setattr(perceptual_loss, "TARGETS", 1)
    loss = loss_of(photographs, styles)
    first = loss.target(0)
    assert loss.target(0) is first
    loss.target(1)
    again = loss.target(0)
    assert again is not first
    np.testing.assert_array_equal(again["conv2_1"], first["conv2_1"])


def test_the_photograph_itself_has_its_content(photographs, styles):
    losses, _ = loss_of(photographs, styles)(photographs, photographs, [0, 1])
    assert losses.content == 0
    assert losses.style > 0


def test_the_style_itself_has_its_style(random, styles):
    style = np.float32(styles[0])[np.newaxis].astype(float)
    losses, _ = loss_of(random.uniform(0, 255, (1, 10, 6, 3)), styles)(style, style, [0])
    assert losses.style == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("betas", [(3.0, 3.0), (3.0, 5.0)])
def test_terms_by_hand(photographs, styles, random, betas):
    """Equations (a) to (e), straight from the features."""
    painted = random.uniform(-40, 300, photographs.shape)
    loss = loss_of(photographs, styles, replace(WEIGHTS, style=betas if betas[0] != betas[1] else betas[0]))
    losses, _ = loss(painted, photographs, [1, 0])
    features = lambda x: loss.network.forward(x, STYLE)[0]  # noqa: E731
    F, P = features(painted), features(photographs)
    energy = np.mean([np.sum(P["conv2_1"][n] ** 2) for n in (0, 1)])
    content = np.mean([np.sum((F["conv2_1"][n] - P["conv2_1"][n]) ** 2) / energy for n in (0, 1)])

    def gram(F):
        matrix = F.reshape(-1, F.shape[-1])
        return matrix.T @ matrix / len(matrix)

    ratios, weighted = [], []
    for n, number in enumerate([1, 0]):
        targets = features(np.float32(styles[number])[np.newaxis].astype(float))
        for name in STYLE:
            A = gram(targets[name][0])
            ratios.append(np.sum((gram(F[name][n]) - A) ** 2) / np.sum(A**2))
            weighted.append(betas[number] * ratios[-1])
    down, right = np.diff(painted, axis=1), np.diff(painted, axis=2)
    roughness = (np.sum(down**2) + np.sum(right**2)) / painted.size / SPREAD**2
    outside = np.mean(np.maximum(np.maximum(-painted, painted - 255), 0) ** 2) / SPREAD**2
    expected = Losses(
        0.7 * content + np.mean(weighted) + 0.4 * roughness + 2 * outside,
        content,
        np.mean(ratios),
        roughness,
        outside,
    )
    for name in ("content", "style", "roughness", "outside", "total"):
        assert getattr(losses, name) == pytest.approx(getattr(expected, name), rel=1e-6), name


@pytest.mark.parametrize(
    "weights",
    [
        WEIGHTS,
        replace(WEIGHTS, style=(3.0, 5.0)),
        *(replace(Weights(0, 0, 0, 0), **{name: 1.5}) for name in ("content", "style", "roughness", "outside")),
    ],
)
def test_gradient(photographs, styles, random, weights):
    painted = random.uniform(-40, 300, photographs.shape)
    loss = loss_of(photographs, styles, weights)
    _, grad = loss(painted, photographs, [1, 0])
    assert grad.shape == painted.shape
    expected = central_differences(lambda y: loss(y, photographs, [1, 0])[0].total, painted, 1e-4)
    assert relative_error(grad, expected) < 1e-5


def test_nothing_given_is_changed(photographs, styles, random):
    painted = random.uniform(0, 255, photographs.shape)
    before = painted.copy(), photographs.copy()
    loss_of(photographs, styles)(painted, photographs, [0, 1])
    np.testing.assert_array_equal(painted, before[0])
    np.testing.assert_array_equal(photographs, before[1])


def test_a_batch_has_the_mean_of_its_images(photographs, styles, random):
    painted = random.uniform(0, 255, photographs.shape)
    loss = loss_of(photographs, styles)
    both, _ = loss(painted, photographs, [0, 1])
    alone = [loss(painted[n : n + 1], photographs[n : n + 1], [n])[0] for n in (0, 1)]
    for name in ("content", "style", "roughness"):
        assert getattr(both, name) == pytest.approx(np.mean([getattr(each, name) for each in alone]))


def test_losses_are_added_and_multiplied():
    assert Losses(1, 2, 3, 4, 5).plus(Losses(2, 2, 5, 4, 9, 6)) == Losses(3, 4, 8, 8, 14, 6)
    assert Losses(1, 2, 3, 4, 5, 6).times(2) == Losses(2, 4, 6, 8, 10, 12)


def test_a_photograph_in_its_own_style(photographs, styles, random):
    loss = loss_of(photographs, styles)
    same, grad = loss.of_itself(photographs, photographs)
    assert same.total == 0
    assert not grad.any()
    painted = photographs + random.standard_normal(photographs.shape)
    found, grad = loss.of_itself(painted, photographs)
    content = loss(painted, photographs, [0, 1])[0].content
    assert found.content == pytest.approx(content)
    assert found.total == pytest.approx(10 * np.mean((painted - photographs) ** 2) / SPREAD**2 + 5 * content)
    expected = central_differences(lambda y: loss.of_itself(y, photographs)[0].total, painted, 1e-4)
    assert relative_error(grad, expected) < 1e-6
