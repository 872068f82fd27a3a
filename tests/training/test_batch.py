"""What a transform network learns from a batch: the gradient of all its parameters, and parts of a batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import arbitrary_style, random_vgg19

from scratchnst.errors import UserError
from scratchnst.models import style_predictor, transform_net
from scratchnst.training.batch import Batch, gradients, mean
from scratchnst.training.perceptual_loss import PerceptualLoss, Weights
from scratchnst.training.steadiness import EDGE

SIDE = 2 * EDGE + 8
WEIGHTS = Weights(content=0.7, style=3.0, roughness=0.4, outside=2.0, steady=5.0)


@pytest.fixture
def network():
    return transform_net.build(np.random.default_rng(0), 2, (3, 4, 5), 1).astype("float64")


@pytest.fixture
def batch(random):
    x, later = random.uniform(0, 255, (2, 3, SIDE, SIDE, 3))
    return Batch(x, [1, 0, 1], later, (2, 1))


def loss_of(random, batch, weights=WEIGHTS):
    pictures = [np.float32(random.uniform(0, 255, (16, 20, 3))) for _ in range(2)]
    network = random_vgg19(4, width=5).astype("float64")
    return PerceptualLoss(network, pictures, batch.x, weights, ["conv2_1"], ["conv1_1", "conv2_1"])


@pytest.mark.parametrize("steady", [True, False])
def test_gradients_of_the_parameters(network, batch, random, steady):
    batch = batch if steady else replace(batch, later=None)
    loss = loss_of(random, batch)
    assert (gradients(network, loss, batch).losses.unsteadiness > 0) == steady
    check_gradients(network, loss, batch, random, 1e-7)


@pytest.mark.parametrize("transform", ["prediction", "adain"])
@pytest.mark.parametrize("of_itself", [True, False])
def test_gradients_of_a_predictor(batch, random, of_itself, transform):
    network = arbitrary_style(widths=(3, 4, 5), transform=transform).network.astype("float64")
    z = random.standard_normal((3, 534))
    noise = 5 * random.standard_normal(batch.x.shape)
    batch = replace(batch, statistics=z, grain=noise, of_itself=of_itself, later=None if of_itself else batch.later)
    loss = loss_of(random, batch, replace(WEIGHTS, squared=False))
    check_gradients(network, loss, batch, random, 1e-8)  # of many parameters


def check_gradients(network, loss, batch, random, step):
    """Along a direction in which all parameters move; the ReLUs' kinks lie far enough from it."""
    found = gradients(network, loss, batch)
    learnt = style_predictor.learnt(network)
    direction = {
        name: tuple(random.standard_normal(array.shape) * learns for array, learns in zip(arrays, learnt[name]))
        for name, arrays in network.parameters.items()
        if any(learnt.get(name, ()))
    }

    def total(length):
        moved = {
            name: tuple(a + length * d for a, d in zip(arrays, direction[name])) if name in direction else arrays
            for name, arrays in network.parameters.items()
        }
        return gradients(replace(network, parameters=moved), loss, batch).losses.total

    promised = sum(
        float((gradient * along).sum())
        for name, arrays in direction.items()
        for gradient, along in zip(found.gradients[name], arrays)
        if np.any(along)
    )
    assert promised == pytest.approx((total(step) - total(-step)) / (2 * step), rel=1e-4)


@pytest.mark.parametrize("size", [1, 2])
def test_a_batch_in_parts(network, batch, random, size):
    loss = loss_of(random, batch)
    whole = gradients(network, loss, batch)
    parts = mean([gradients(network, loss, part) for part in batch.parts(size)])
    np.testing.assert_allclose(parts.painted, whole.painted, rtol=1e-9)
    for name in ("total", "content", "style", "roughness", "outside", "unsteadiness"):
        assert getattr(parts.losses, name) == pytest.approx(getattr(whole.losses, name))
    for name, arrays in whole.gradients.items():
        for array, of_parts in zip(arrays, parts.gradients[name]):
            np.testing.assert_allclose(of_parts, array, rtol=1e-7, atol=1e-12)


def test_parts(batch):
    first, last = batch.parts(2)
    assert [len(part.x) for part in (first, last)] == [2, 1]
    assert (first.styles, last.styles) == ([1, 0], [1])
    np.testing.assert_array_equal(last.later, batch.later[2:])
    assert last.shift == batch.shift
    assert replace(batch, later=None).parts(2)[1].later is None


def test_grain_is_seen_by_the_painter_alone(network, batch, random):
    """What is painted is compared with the crops as they were."""
    batch = replace(batch, later=None)
    loss, noise = loss_of(random, batch), 5 * random.standard_normal(batch.x.shape)
    grained = gradients(network, loss, replace(batch, grain=noise))
    np.testing.assert_allclose(grained.painted, gradients(network, loss, replace(batch, x=batch.x + noise)).painted)
    expected, _ = loss(grained.painted, batch.x, batch.styles)
    assert grained.losses.total == pytest.approx(expected.total)
    assert replace(batch, grain=noise).parts(2)[1].grain.shape == (1, *noise.shape[1:])


def test_both_frames_have_grain(network, batch, random):
    loss, noise = loss_of(random, batch), 5 * random.standard_normal(batch.x.shape)
    found = gradients(network, loss, replace(batch, grain=noise))
    seen = gradients(network, loss, replace(batch, x=batch.x + noise, later=batch.later + noise))
    assert found.losses.unsteadiness == pytest.approx(seen.losses.unsteadiness)


def test_what_is_not_finite_is_told(network, batch, random):
    with pytest.raises(UserError, match="--style-weight"):
        gradients(network, loss_of(random, batch), replace(batch, x=np.nan * batch.x))
