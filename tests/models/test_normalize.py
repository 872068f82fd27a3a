"""The paper's normalisation of weights: mean activation 1, function unchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst import load_network
from scratchnst.errors import UserError
from scratchnst.images import samples
from scratchnst.models.normalize import mean_activations, normalize


@pytest.fixture
def photos(random):
    return [random.uniform(0, 255, (20, 24, 3)), random.uniform(0, 255, (16, 17, 3))]


@pytest.fixture
def network():
    return random_vgg19(8, width=6).astype("float64")


def means_over_positions(network, photos, layers):
    """Layer -> mean activations by their definition: all positions of all photos in one heap."""
    features = [network.forward(photo[np.newaxis], layers)[0] for photo in photos]
    heaps = {name: [one[name].reshape(-1, one[name].shape[3]) for one in features] for name in layers}
    return {name: np.concatenate(heap).mean(axis=0) for name, heap in heaps.items()}


def mean_over_positions(network, photos, layer):
    return means_over_positions(network, photos, [layer])[layer]


def expected_scales(network, photos, layer):
    """The mean, or a twentieth of the median of the layer's active filters where that is more."""
    mean = mean_over_positions(network, photos, layer)
    return np.maximum(mean, np.median(mean[mean > 0]) / 20)


def test_every_filter_has_mean_activation_1(network, photos):
    normalized = normalize(network, photos)
    for name in network.parameters:
        mean = mean_over_positions(network, photos, name)
        active = mean == expected_scales(network, photos, name)
        assert active.sum() >= 3
        np.testing.assert_allclose(mean_over_positions(normalized, photos, name)[active], 1, rtol=1e-9)
    assert normalized.normalized
    assert not network.normalized


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_function_is_unchanged(network, photos, random, pooling):
    """On any image each channel is the old one divided by one positive number."""
    network = replace(network, pooling=pooling)
    normalized = normalize(network, photos)
    image = random.uniform(0, 255, (1, 16, 16, 3))
    before, _ = network.forward(image, network.parameters)
    after, _ = normalized.forward(image, network.parameters)
    for name in network.parameters:
        scales = expected_scales(network, photos, name)
        np.testing.assert_allclose(after[name] * scales, before[name], rtol=1e-9, atol=1e-12)


def test_filters_that_are_hardly_active_are_not_scaled_up_without_limit(network, photos):
    """Not even where most filters of a layer are dead."""
    w, b = (array.copy() for array in network.parameters["conv1_1"])
    b[:4] = -1e9
    network = replace(network, parameters={**network.parameters, "conv1_1": (w, b)})
    normalized = normalize(network, photos)
    mean = mean_over_positions(network, photos, "conv1_1")
    assert (mean > 0).sum() == 2
    floor = mean[mean > 0].mean() / 20  # of two numbers the median is the mean
    np.testing.assert_allclose(normalized.parameters["conv1_1"][0][..., 2], w[..., 2] / floor)


def test_a_layer_that_is_active_nowhere_stays(network, photos):
    w, b = network.parameters["conv3_4"]
    network = replace(network, parameters={**network.parameters, "conv3_4": (w, np.full_like(b, -1e9))})
    before = mean_over_positions(network, photos, "conv3_3")
    normalized = normalize(network, photos)
    np.testing.assert_array_equal(normalized.parameters["conv3_4"][1], -1e9)
    assert np.isfinite(normalized.parameters["conv3_4"][0]).all()
    assert (before > 0).any()


def test_only_what_the_layers_named_depend_on(network, photos):
    normalized = normalize(network, photos, ["conv2_1"])
    assert set(mean_activations(network, photos, ["conv2_1"])) == {"conv1_1", "conv1_2", "conv2_1"}
    np.testing.assert_array_equal(normalized.parameters["conv3_1"][0], network.parameters["conv3_1"][0])
    scales = expected_scales(network, photos, "conv2_1")
    before = mean_over_positions(network, photos, "conv2_1")
    np.testing.assert_allclose(mean_over_positions(normalized, photos, "conv2_1"), before / scales, rtol=1e-9)


def test_branches(photos):
    """In the pyramid many rows read one; each stays itself but for its scale."""
    pyramid = load_network("pyramid").astype("float64")
    photos = [np.tile(photo, (2, 2, 1)) for photo in photos]
    normalized = normalize(pyramid, photos)
    names = [layer.name for layer in pyramid.layers if layer.kind == "conv"]
    means = mean_activations(normalized, photos)
    for name in names:
        np.testing.assert_allclose(means[name], 1, rtol=1e-9)


@pytest.mark.parametrize("share", [1 / 20, 1e-12])
@pytest.mark.slow
def test_genuine_vgg19_layer_by_layer(vgg19_file, random, monkeypatch, share):
    """With the floor and, as good as, without it: then every filter that is active at all has mean activation 1."""
    monkeypatch.setattr("scratchnst.models.normalize.SMALLEST_SHARE", share)
    network = load_network(vgg19_file).astype("float64")
    photos, image = [*samples.draw_pair(64, 128)], random.uniform(0, 255, (1, 33, 47, 3))
    photos[1] = photos[1][:47]
    normalized = normalize(network, photos)
    means, means_after = (means_over_positions(one, photos, network.parameters) for one in (network, normalized))
    before, after = (one.forward(image, network.parameters)[0] for one in (network, normalized))
    for name, mean in means.items():
        alive = mean > 0
        scales = np.maximum(mean, share * np.median(mean[alive]))
        np.testing.assert_allclose(means_after[name], mean / scales, rtol=1e-9)
        np.testing.assert_allclose(after[name] * scales, before[name], rtol=1e-9, atol=1e-12 * before[name].max())
        if share < 1 / 20:
            np.testing.assert_allclose(means_after[name][alive], 1, rtol=1e-9)


def test_no_images(network):
    with pytest.raises(UserError, match="at least one image"):
        normalize(network, [])


def test_layers_that_are_not_there(network, photos):
    with pytest.raises(UserError, match=r"no layer 'conv4_2'.* its layers are conv1_1, .*, conv3_4, pool3\.$"):
        normalize(network, photos, ["conv1_1", "conv4_2"])


def test_images_too_small(network):
    with pytest.raises(UserError, match="too small"):
        normalize(network, [np.zeros((3, 3, 3))])
