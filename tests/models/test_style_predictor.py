"""The style predictor: statistics of a style, mixtures of them, and the network that paints in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import arbitrary_style

from scratchnst.engine import cpu
from scratchnst.errors import UserError
from scratchnst.models import adain_net, style_predictor, transform_net
from scratchnst.models.style_encoder import ENCODED
from scratchnst.models.style_predictor import CODE, HIDDEN
from scratchnst.weights.load import load_network


@pytest.fixture
def network():
    return arbitrary_style().network


@pytest.fixture
def pictures(random):
    return np.float32(random.uniform(0, 255, (2, 32, 40, 3)))


def test_statistics(network, pictures):
    z = style_predictor.statistics(network, pictures)
    features = network.features(pictures, style_predictor.LAYERS)
    channels = [features[name].shape[3] for name in style_predictor.LAYERS]
    assert z.shape == (2, 6 + 2 * sum(channels))
    np.testing.assert_allclose(z[:, :3], pictures.mean((1, 2)) / 63.75 - 1.8, atol=1e-5)
    np.testing.assert_allclose(np.exp(z[:, 3:6]), pictures.std((1, 2)) / 63.75, rtol=1e-3)
    np.testing.assert_allclose(z[:, 6 : 6 + channels[0]], features["conv1_1"].mean((1, 2)) - 1, atol=1e-5)
    np.testing.assert_allclose(np.exp(z[:, -channels[-1] :]) ** 2, features["conv3_4"].var((1, 2)) + 1e-5, rtol=1e-3)


def test_equation_a_by_hand(network, random):
    z = np.float32(random.uniform(-5, 5, (2, 534)))
    m, _ = style_predictor.forward(network, z)
    (U, a), (V, b) = network.parameters[HIDDEN], network.parameters[CODE]
    np.testing.assert_allclose(m, np.maximum(z.clip(-3, 3) @ U[0, 0] + a, 0) @ V[0, 0] + b, rtol=1e-4, atol=1e-5)


def test_backward_by_differences(network, random):
    network, z, g = network.astype("float64"), random.standard_normal((3, 534)), random.standard_normal((3, 8))
    _, cache = style_predictor.forward(network, z)
    found = style_predictor.backward(network, g, cache)
    for name in (HIDDEN, CODE):
        along = [random.standard_normal(array.shape) for array in network.parameters[name]]

        def loss(step, name=name, along=along):
            moved = tuple(array + step * each for array, each in zip(network.parameters[name], along))
            m, _ = style_predictor.forward(replace(network, parameters={**network.parameters, name: moved}), z)
            return float((g * m).sum())

        promised = sum(float((gradient * each).sum()) for gradient, each in zip(found[name], along))
        assert promised == pytest.approx((loss(1e-5) - loss(-1e-5)) / 2e-5, rel=1e-6)


def test_the_painter_has_the_moments_of_the_style(network, pictures):
    """Behind AdaIN features have the moments of those of the style, and what is painted has those of its pixels."""
    network = network.on(cpu)
    z = style_predictor.statistics(network, pictures[:1])
    m, _ = style_predictor.forward(network, z)
    painter = style_predictor.painter(network, m, z)
    assert not style_predictor.is_there(painter)
    of_photo = painter.features(pictures[1:], [adain_net.ADAIN])[adain_net.ADAIN]
    of_style = network.features(pictures[:1], [ENCODED])[ENCODED]
    np.testing.assert_allclose(of_photo.mean((1, 2)), of_style.mean((1, 2)), rtol=1e-3, atol=1e-3)
    own = network.features(pictures[1:], [ENCODED])[ENCODED].std((1, 2))
    alive = own > 0.1  # a channel that is the same everywhere stays so
    np.testing.assert_allclose(of_photo.std((1, 2))[alive], of_style.std((1, 2))[alive], rtol=1e-2, atol=4e-3)
    assert alive.mean() > 0.5
    painted = painter.features(pictures[1:], [transform_net.OUTPUT])[transform_net.OUTPUT]
    picture = transform_net.to_picture(painted)
    np.testing.assert_allclose(picture.mean((1, 2)), pictures[:1].mean((1, 2)), rtol=1e-3)
    np.testing.assert_allclose(picture.std((1, 2)), pictures[:1].std((1, 2)), rtol=1e-2)


def test_without_a_predictor(random):
    """Only the norms whose rows are computed depend on the style."""
    network = adain_net.build(random, load_network("distilled").astype("float32"), 1, (3, 4, 5))
    m, cache = style_predictor.forward(network, np.zeros((2, 534), np.float32))
    np.testing.assert_array_equal(m, np.ones((2, 1)))
    assert style_predictor.backward(network, np.ones((2, 1), np.float32), cache) == {}
    learnt = style_predictor.learnt(network)
    assert learnt["norm1"] == (True, True)
    assert learnt["conv3_4"] == learnt[transform_net.OUTPUT] == (False, False)
    assert HIDDEN not in learnt
    assert adain_net.is_adain_net(network)
    assert not adain_net.is_adain_net(adain_net.build(random, load_network("distilled"), 2, (3, 4, 5)))


def test_what_is_learnt(network):
    learnt = style_predictor.learnt(network)
    assert learnt[HIDDEN] == learnt[CODE] == learnt["norm1"] == (True, True)
    assert learnt["conv1"] == (True, False), "a norm follows"
    assert learnt["conv3_4"] == learnt[adain_net.ADAIN] == learnt[transform_net.OUTPUT] == (False, False)
    assert HIDDEN not in style_predictor.learnt(transform_net.build(np.random.default_rng(0)))
    of_prediction = style_predictor.learnt(arbitrary_style(transform="prediction").network)
    assert of_prediction[HIDDEN] == of_prediction["norm1"] == of_prediction["block1_norm2"] == (True, True)
    assert of_prediction["conv3_4"] == of_prediction[transform_net.OUTPUT] == (False, False)
    assert of_prediction["conv1"] == of_prediction["conv6"] == (True, False), "norms follow"
    assert adain_net.ADAIN not in of_prediction


def test_it_is_told_apart(network):
    assert adain_net.is_adain_net(network)
    assert not transform_net.is_transform_net(network)
    assert not adain_net.is_adain_net(transform_net.build(np.random.default_rng(0)))
    w, b = network.parameters["conv4"]
    assert not adain_net.is_adain_net(replace(network, parameters={**network.parameters, "conv4": (w[..., :2], b)}))


def test_an_encoder_that_does_not_fit(network):
    style_predictor.check(network)
    U, a = network.parameters[HIDDEN]
    wrong = replace(network, parameters={**network.parameters, HIDDEN: (U[:, :, 1:], a)})
    with pytest.raises(UserError, match="says 534 numbers of a style, but the predictor takes 533"):
        style_predictor.check(wrong)
    random = np.random.default_rng(0)
    with pytest.raises(UserError, match="no layer conv3_4"):
        adain_net.build(random, load_network("pyramid"), 2)
    with pytest.raises(UserError, match="normalised"):
        adain_net.build(random, replace(load_network("distilled"), normalized=False), 2)
