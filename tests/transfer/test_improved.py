"""The method of Novak and Nikulin in the objective: its four parts, one by one and together."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst import Objective
from scratchnst.attribution.attribution import trace
from scratchnst.errors import UserError
from scratchnst.losses import cross_gram, gram
from scratchnst.models.student import likeness
from scratchnst.transfer import memory, presets
from scratchnst.transfer.layer_weights import neighbours, style_layer_weights
from scratchnst.transfer.settings import Settings
from scratchnst.verify.catalogue import check_objective
from scratchnst.verify.network.chain import check_chain
from scratchnst.weights.load import load_network

IMPROVED = {"style_layers": ["all"], "layer_weights": "geometric", "activation_shift": -1.0, "correlations": "both"}


@pytest.fixture(scope="module")
def network():
    return random_vgg19(5, width=4)


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(1).uniform(0, 255, (2, 19, 22, 3))


def objective(network, pictures, **settings):
    content, style = pictures
    return Objective(network, content, [style[:15]], dtype="float64", normalized=True, style_fit=None, **settings)


def test_all_layers_of_vgg19_are_its_sixteen_convolutions():
    weights = style_layer_weights(random_vgg19(16, width=2), "all", "geometric")
    assert list(weights) == [f"conv{b}_{n}" for b, count in enumerate((2, 2, 4, 4, 4), 1) for n in range(1, count + 1)]
    assert sum(weights.values()) == pytest.approx(1)
    numbers = list(weights.values())
    assert all(one == pytest.approx(2 * next_one) for one, next_one in pairwise(numbers))


def test_geometric_weights_by_hand(network):
    """Three layers: 4/7, 2/7, 1/7, whatever their order on the command line."""
    weights = style_layer_weights(network, ["conv3_1", "conv1_1", "conv2_1"], "geometric")
    assert weights == pytest.approx({"conv1_1": 4 / 7, "conv2_1": 2 / 7, "conv3_1": 1 / 7})


def test_all_layers_of_the_distilled_network_are_those_that_stand_for_vgg19s():
    network = load_network("distilled")
    names = [likeness(name) for name in ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv4_2", "conv5_1")]
    assert list(style_layer_weights(network, ["all"])) == names
    defaults = network.defaults.style_layers
    found = style_layer_weights(network, None, "geometric")
    for number, name in enumerate(defaults):  # a fifth of each is its default
        assert found[name] == pytest.approx(5 * defaults[name] * 2 ** (4 - number) / 31)


def test_pairs_by_hand(network):
    weights = {"conv2_1": 0.25, "conv1_1": 1.0, "conv3_1": 0.0, "conv2_2": 0.04}
    assert neighbours(network, weights) == pytest.approx({("conv1_1", "conv2_1"): 0.5, ("conv2_1", "conv2_2"): 0.1})
    with pytest.raises(UserError, match="conv1_1 has no neighbour: name two style layers or more"):
        neighbours(network, {"conv1_1": 1.0})


def test_the_shift_on_a_normalised_network_makes_covariances(network, pictures):
    """Every filter's mean over the picture is 1, so that the Gram matrix of F - 1 is M times the covariance."""
    _, style = pictures
    one = Objective(network, None, [style], style_layers=["conv1_1"], normalized=True, activation_shift=-1.0)
    (term,) = one.summands
    features = one.network.features(np.float32(style[np.newaxis]), ["conv1_1"])["conv1_1"].reshape(-1, 4)
    np.testing.assert_allclose(term.target[0], len(features) * np.cov(features.T, bias=True), rtol=1e-3)


def test_the_terms_are_what_they_say(network, pictures):
    found = objective(network, pictures, **IMPROVED)
    features = found.network.features(found.styles[0][np.newaxis], ["conv1_2", "conv2_1"])
    shifted = {name: array - 1 for name, array in features.items()}
    targets = {term.name: term for term in found.summands}
    pair, alone = targets["style/conv1_2+conv2_1"], targets["style/conv1_2"]
    assert pair.layers == ("conv1_2", "conv2_1")
    as_many = 9 * 11 / (7 * 11)  # positions behind the pool
    np.testing.assert_allclose(pair.target, as_many * cross_gram.forward(*shifted.values())[0])
    np.testing.assert_allclose(alone.target, 19 / 15 * gram.forward(shifted["conv1_2"])[0])
    assert pair.weight == pytest.approx(math.sqrt(alone.weight * targets["style/conv2_1"].weight))


@pytest.mark.parametrize("left_out", [None, *IMPROVED])
def test_the_gradient_with_each_left_out(network, pictures, left_out):
    settings = {name: value for name, value in IMPROVED.items() if name != left_out}
    report = check_objective(network, *pictures, samples=4, **settings)
    assert report.passed, report


def test_neighbours_alone(network, pictures):
    found = objective(network, pictures, correlations="neighbours", style_layers=["conv1_1", "conv3_1"])
    assert [term.name for term in found.summands if term.name.startswith("style")] == ["style/conv1_1+conv3_1"]
    assert check_objective(network, *pictures, samples=4, correlations="neighbours").passed


@pytest.mark.parametrize("largest", [3000, 500])
def test_in_strips(network, pictures, largest):
    whole = objective(network, pictures, **IMPROVED)
    x = np.random.default_rng(2).uniform(0, 255, whole.shape)
    loss, grad = whole(x)
    whole.largest_strip = largest
    in_strips, same = whole(x)
    assert in_strips == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(same, grad, rtol=1e-9, atol=1e-12 * np.abs(grad).max())
    assert memory.evaluation(whole, largest) < memory.evaluation(whole)


def test_traced_and_verified_link_by_link(network, pictures):
    found = objective(network, pictures, **IMPROVED)
    x = np.random.default_rng(2).uniform(0, 255, found.shape)
    traced = trace(found, x, (3, 4))
    assert traced.error < 1e-12
    assert {"style/conv1_2+conv2_1 at conv1_2", "style/conv1_2+conv2_1 at conv2_1"} <= {
        part.name for part in traced.parts
    }
    report = check_chain(found, x, samples=2)
    assert report.passed, report


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"correlations": "some"}, "there is no kind of correlations 'some'; choose one of layers, neighbours, both"),
        ({"layer_weights": "falling"}, "layer weights are one of equal, geometric, not 'falling'"),
        ({"layer_weights": "geometric", "style_layers": {"conv1_1": 1}}, "the style layers have weights of their own"),
        ({"layer_weights": "geometric", "style_layers": ["conv1_9"]}, "no layer 'conv1_9'"),
        ({"activation_shift": math.nan}, "the activation shift must be a finite number"),
        ({"correlations": "both", "style_layers": ["conv1_1"]}, "conv1_1 has no neighbour"),
    ],
)
def test_what_cannot_be(network, pictures, settings, sentence):
    with pytest.raises(UserError, match=sentence):
        objective(network, pictures, **settings)


def test_the_preset_is_settings_that_can_be_read_again():
    settings = Settings(content="a.png", styles=["b.png"], output="c.png", **presets.read("improved"))
    assert Settings.from_json(settings.to_json()) == settings
    assert settings.style_layers == ("all",)
    with pytest.raises(UserError, match="activation_shift must be a finite number"):
        Settings(content="a.png", styles=["b.png"], output="c.png", activation_shift=math.inf)


def test_layers_that_stand_for_vgg19s_are_shifted_by_their_own_means():
    """In other axes a mean of 1 is another vector: s = -1 takes it out, channel by channel."""
    network, style = load_network("distilled"), np.random.default_rng(3).uniform(0, 255, (24, 20, 3))
    one = Objective(network, None, [style], activation_shift=-1.0, dtype="float64")
    features = one.network.features(style[np.newaxis], one.style_layers)
    for term in one.summands:
        F = features[term.layer].reshape(-1, features[term.layer].shape[3])
        np.testing.assert_allclose(term.target[0], len(F) * np.cov(F.T, bias=True), rtol=1e-9, atol=1e-6)
