"""Masks carried to a network's layers, beside the receptive fields that the way back finds."""

import numpy as np
import pytest

from scratchnst.models.guides import WAYS, carry
from scratchnst.weights.load import load_network

LAYERS = ("like_conv1_1", "like_conv2_1", "like_conv3_1")
SIZE = 26, 31


@pytest.fixture(scope="module")
def network():
    return load_network("distilled").astype("float64")


def mask():
    found = np.zeros(SIZE, np.float32)
    found[9:20, 7:] = 1
    found[9:20, 18:] = 0.5
    return found


def seen(network, layer, row, column):
    """Which pixels a unit sees: those on which the gradient of its channels depends, for some of ten images."""
    found = np.zeros(SIZE, bool)
    for seed in range(10):
        image = np.random.default_rng(seed).uniform(0, 255, (1, *SIZE, 3))
        features, cache = network.forward(image, [layer], training=False)
        grad = np.zeros_like(features[layer])
        grad[0, row, column] = np.random.default_rng(seed).standard_normal(grad.shape[3])
        found |= np.abs(network.backward({layer: grad}, cache)).sum(axis=(0, 3)) > 0
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_touching_and_inside_are_extremes_over_what_a_unit_sees(network, layer):
    found = {way: carry(network, layer, mask(), way) for way in WAYS}
    height, width = found["simple"].shape
    for row, column in [(0, 0), (height // 2, width // 2), (height - 1, width // 3), (height // 3, width - 1)]:
        pixels = mask()[seen(network, layer, row, column)]
        assert found["touching"][row, column] == pixels.max()
        assert found["inside"][row, column] == pixels.min()


@pytest.mark.parametrize("layer", LAYERS)
def test_the_ways_lie_one_within_another(network, layer):
    inside, simple, touching = (carry(network, layer, mask(), way) for way in ("inside", "simple", "touching"))
    assert inside.shape == simple.shape == touching.shape == network.shapes(*SIZE)[layer][:2]
    assert (inside <= simple + 1e-6).all()
    assert (simple <= touching + 1e-6).all()
    assert inside.sum() < touching.sum()


@pytest.mark.parametrize("way", WAYS)
def test_all_white_stays_all_white(network, way):
    np.testing.assert_allclose(carry(network, LAYERS[-1], np.ones(SIZE, np.float32), way), 1, rtol=1e-6)
