"""Networks: tables, the walk down and the walk back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import random_vgg19
from numerical import central_differences, relative_error

from scratchnst.errors import UserError
from scratchnst.models.layers import Layer
from scratchnst.models.network import Defaults, Network, Preprocessing
from scratchnst.ops import average_pool, conv2d, max_pool, preprocess, relu

BGR = Preprocessing("BGR", 1 / 64, (1.5, 1.75, 2.0), (1.0, 0.5, 2.0))
CHAIN = (Layer("conv1_1", "conv"), Layer("pool1", "pool"), Layer("conv2_1", "conv"), Layer("conv2_2", "conv"))
# Two rows read the image, two read pool1, and conv2 reads a linear row: every way of reading.
BRANCHES = (
    Layer("smooth", "linear", ("image",)),
    Layer("conv1", "conv"),
    Layer("pool1", "pool", ("smooth",)),
    Layer("conv2", "conv", ("pool1",)),
    Layer("pool2", "pool", ("pool1",)),
    Layer("conv3", "conv", ("pool2",)),
)


def make_network(layers, pooling="avg", channels=4):
    """Return a network over `layers` with random weights in float64."""
    random = np.random.default_rng(3)
    outputs, parameters, above = {"image": 3}, {}, "image"
    for layer in layers:
        (source,) = layer.sources or (above,)
        outputs[layer.name] = outputs[source]
        if layer.kind != "pool":
            outputs[layer.name] = channels
            w = random.standard_normal((3, 3, outputs[source], channels)) / np.sqrt(9 * outputs[source])
            parameters[layer.name] = (w, random.standard_normal(channels) / 4)
        above = layer.name
    return Network("toy", layers, parameters, BGR, Defaults({}, {}, 1.0), pooling=pooling)


def test_forward_of_a_chain_is_its_operations_one_after_the_other(random):
    network = make_network(CHAIN)
    x = random.uniform(0, 255, (2, 7, 6, 3))
    features, _ = network.forward(x, ["conv1_1", "conv2_2", "pool1"])
    z, _ = preprocess.forward(x, BGR.channels, BGR.scale, BGR.mean, BGR.std)
    first = relu.forward(conv2d.forward(z, *network.parameters["conv1_1"])[0])[0]
    pooled = average_pool.forward(first)[0]
    second = relu.forward(conv2d.forward(pooled, *network.parameters["conv2_1"])[0])[0]
    third = relu.forward(conv2d.forward(second, *network.parameters["conv2_2"])[0])[0]
    assert list(features) == ["conv1_1", "conv2_2", "pool1"]
    np.testing.assert_array_equal(features["conv1_1"], first)
    np.testing.assert_array_equal(features["pool1"], pooled)
    np.testing.assert_array_equal(features["conv2_2"], third)


def test_a_linear_row_has_no_relu_and_rows_may_name_their_source(random):
    network = make_network(BRANCHES)
    x = random.uniform(0, 255, (1, 8, 8, 3))
    features, _ = network.forward(x, ["smooth", "conv3"])
    z, _ = preprocess.forward(x, BGR.channels, BGR.scale, BGR.mean, BGR.std)
    smooth = conv2d.forward(z, *network.parameters["smooth"])[0]
    assert (smooth < 0).any()
    np.testing.assert_array_equal(features["smooth"], smooth)
    pooled = average_pool.forward(average_pool.forward(smooth)[0])[0]
    np.testing.assert_array_equal(
        features["conv3"], relu.forward(conv2d.forward(pooled, *network.parameters["conv3"])[0])[0]
    )


def test_max_pooling(random):
    network = make_network(CHAIN, pooling="max")
    features, _ = network.forward(random.uniform(0, 255, (1, 6, 6, 3)), ["conv1_1", "pool1"])
    np.testing.assert_array_equal(features["pool1"], max_pool.forward(features["conv1_1"])[0])


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize(
    ("layers", "taps"),
    [
        (CHAIN, ["conv2_2"]),
        (CHAIN, ["conv1_1", "conv2_1", "conv2_2"]),
        (CHAIN, ["pool1"]),
        (BRANCHES, ["conv1", "conv2", "conv3"]),
        (BRANCHES, ["smooth", "conv1", "pool2"]),
    ],
)
def test_backward_equals_central_differences_in_every_pixel(random, layers, taps, pooling):
    network = make_network(layers, pooling)
    x = random.uniform(0, 255, (1, 7, 6, 3))
    features, cache = network.forward(x, taps)
    upstream = {name: random.standard_normal(feature.shape) for name, feature in features.items()}
    before = {name: gradient.copy() for name, gradient in upstream.items()}
    grad_x = network.backward(upstream, cache)

    def loss(image):
        return sum(np.sum(upstream[name] * feature) for name, feature in network.forward(image, taps)[0].items())

    assert relative_error(grad_x, central_differences(loss, x, 1e-4)) < 1e-6
    for name in upstream:
        np.testing.assert_array_equal(upstream[name], before[name])


@pytest.mark.parametrize("layers", [CHAIN, BRANCHES])
def test_gradients_of_all_parameters_equal_central_differences(random, layers):
    network = make_network(layers, channels=2)
    x = random.uniform(0, 255, (2, 6, 5, 3))
    taps = [layer.name for layer in layers if layer.kind != "pool"]
    features, cache = network.forward(x, taps)
    upstream = {name: random.standard_normal(feature.shape) for name, feature in features.items()}
    grad_parameters = network.backward_parameters(upstream, cache)
    assert grad_parameters.keys() == network.parameters.keys()
    for name, pair in network.parameters.items():
        for position, array in enumerate(pair):

            def loss(value, name=name, pair=pair, position=position):
                changed = (value, pair[1]) if position == 0 else (pair[0], value)
                other = replace(network, parameters={**network.parameters, name: changed})
                return sum(np.sum(upstream[tap] * feature) for tap, feature in other.forward(x, taps)[0].items())

            assert relative_error(grad_parameters[name][position], central_differences(loss, array, 1e-5)) < 1e-6


def test_nothing_is_computed_beyond_the_deepest_tap(random):
    """Weights of NaN below the tap do no harm, because nobody touches them."""
    network = make_network(BRANCHES)
    parameters = dict(network.parameters)
    for name in ("conv1", "conv3"):
        parameters[name] = tuple(np.full_like(array, np.nan) for array in parameters[name])
    network = replace(network, parameters=parameters)
    features, cache = network.forward(random.uniform(0, 255, (1, 8, 8, 3)), ["conv2"])
    assert "conv1" not in cache
    assert "pool2" not in cache
    assert np.isfinite(network.backward(features, cache)).all()


def test_unknown_layer_names_the_nearest_and_all_there_are():
    network = make_network(CHAIN)
    with pytest.raises(
        UserError, match=r"no layer 'conv2_3'; did you mean conv2_[12]\?.*conv1_1, pool1, conv2_1, conv2_2"
    ):
        network.forward(np.zeros((1, 8, 8, 3)), ["conv2_3"])


@pytest.mark.parametrize("shape", [(1, 9), (9, 1)])
def test_too_small_an_image_says_how_large_it_must_be(shape):
    network = make_network(CHAIN)
    network.forward(np.zeros((1, *shape, 3)), ["conv1_1"])
    with pytest.raises(UserError, match=r"too small for layer conv2_1.*2x2"):
        network.forward(np.zeros((1, *shape, 3)), ["conv2_1"])


def test_a_row_must_stand_below_the_row_that_it_reads():
    with pytest.raises(ValueError, match="not above it"):
        Network("bad", (Layer("a", "conv", ("b",)), Layer("b", "conv", ("image",))), {}, BGR, Defaults({}, {}, 1.0))


def test_unknown_kinds_and_poolings_are_refused():
    with pytest.raises(ValueError, match="kind"):
        Network("bad", (Layer("a", "dense"),), {}, BGR, Defaults({}, {}, 1.0))
    with pytest.raises(UserError, match="avg, max"):
        make_network(CHAIN, pooling="median")


class TestContentWeight:
    """conv1_2 has 4 channels at each of the 8x12 pixels, conv2_1 has 4 at each of 4x6."""

    @pytest.mark.parametrize(
        ("layers", "features"),
        [({"conv1_2": 1.0}, 384), ({"conv2_1": 1.0}, 96), ({"conv2_1": 5.0}, 96), ({"conv1_2": 2, "conv2_1": 6}, 168)],
        ids=str,
    )
    def test_is_that_of_a_feature_over_their_number(self, layers, features):
        network = replace(random_vgg19(3, width=4), defaults=Defaults(layers, {}, 0.5))
        assert network.content_weight(8, 12) == pytest.approx(0.5 / features)
        assert random_vgg19(3, width=4).content_weight(8, 12, layers) == pytest.approx(0.08 / features)

    @pytest.mark.parametrize("layers", [{}, {"conv1_2": 0.0}], ids=str)
    def test_is_zero_where_no_layer_has_a_weight(self, layers):
        assert random_vgg19(3, width=4).content_weight(8, 12, layers) == 0

    @pytest.mark.parametrize(("layer", "sentence"), [("conv9_1", "no layer 'conv9_1'"), ("conv2_1", "too small")])
    def test_layers_that_there_are_not(self, layer, sentence):
        with pytest.raises(UserError, match=sentence):
            random_vgg19(3, width=4).content_weight(1, 12, {layer: 1.0})


def test_features_that_are_known_are_not_computed(random):
    network, x = random_vgg19(4, width=4), np.float32(random.uniform(0, 255, (1, 16, 16, 3)))
    known = network.features(x, ["pool1"])
    expected = network.features(x, ["conv2_1"])["conv2_1"]
    np.testing.assert_array_equal(network.features(x, ["conv2_1"], known)["conv2_1"], expected)
    nothing = {"pool1": 0 * known["pool1"]}
    others = network.features(x, ["conv2_1", "pool1"], nothing)
    assert np.abs(others["conv2_1"] - expected).max() > 1e-3
    assert not others["pool1"].any()
    assert [layer.name for layer in network.needed(["conv2_1"], known)] == ["conv2_1"]
