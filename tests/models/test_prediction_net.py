"""A transform network whose norms are chosen by a style: its layers, and what they depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import arbitrary_style

from scratchnst.engine import cpu
from scratchnst.models import adain_net, prediction_net, style_encoder, style_predictor, transform_net


@pytest.fixture
def network():
    return arbitrary_style(transform="prediction").network


@pytest.fixture
def painter(network, random):
    z = style_predictor.statistics(network, np.float32(random.uniform(0, 255, (1, 40, 48, 3))))
    return style_predictor.painter(network, style_predictor.forward(network, z)[0], z)


def test_it_is_told_apart(network):
    assert prediction_net.is_prediction_net(network)
    assert not adain_net.is_adain_net(network)
    assert not prediction_net.is_prediction_net(arbitrary_style().network)
    assert not transform_net.is_transform_net(network)
    assert not prediction_net.is_prediction_net(transform_net.build(np.random.default_rng(0)))
    w, b = network.parameters["conv6"]
    wider = {**network.parameters, "conv6": (np.concatenate([w, w], axis=2), b)}
    assert not prediction_net.is_prediction_net(replace(network, parameters=wider))


def test_what_paints_has_no_encoder(painter, random):
    """The photograph goes into the transform network alone, beside the encoder and not behind it."""
    names = [layer.name for layer in painter.layers]
    assert names[0] == "conv1"
    assert names[-2:] == ["conv6", "output"]
    assert not style_encoder.is_in(painter)
    assert set(painter.parameters) == set(names) - {"block1"}


def test_it_paints_as_a_transform_network_does(painter, random):
    """Without its last norm it is one, of an image that is preprocessed as the encoder's."""
    x = np.float32(random.uniform(0, 255, (1, 16, 20, 3)))
    like = transform_net.build(random, 1, (4, 6, 8), 1)
    renamed = {"output" if name == "conv6" else name: arrays for name, arrays in painter.parameters.items()}
    like = replace(
        like,
        preprocessing=painter.preprocessing,
        parameters={**renamed, "output": painter.parameters["conv6"]},
    )
    found = painter.features(x, ["conv6"])["conv6"]
    np.testing.assert_allclose(found, like.features(x, ["output"])["output"], rtol=1e-5, atol=1e-5)


def test_what_is_painted_has_the_moments_of_the_style(network, random):
    network = network.on(cpu)
    style, photo = (
        np.float32(random.uniform(0, 200, (1, 40, 48, 3))),
        np.float32(random.uniform(50, 255, (1, 32, 32, 3))),
    )
    z = style_predictor.statistics(network, style)
    painter = style_predictor.painter(network, style_predictor.forward(network, z)[0], z)
    picture = transform_net.to_picture(painter.features(photo, ["output"])["output"])
    np.testing.assert_allclose(picture.mean((1, 2)), style.mean((1, 2)), rtol=1e-3)
    np.testing.assert_allclose(picture.std((1, 2)), style.std((1, 2)), rtol=1e-2)
