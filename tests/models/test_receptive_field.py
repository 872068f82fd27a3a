"""Windows of units that see a pixel, and of pixels that a unit sees, against networks that are asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst.models import pyramid
from scratchnst.models.layers import KINDS, Layer
from scratchnst.models.network import IMAGE, Defaults, Network, Preprocessing
from scratchnst.models.receptive_field import Window, field, reach, unit


def positive(network):
    """The network with positive weights, in float64: nothing cancels, and no ReLU cuts off."""
    parameters = {name: (np.abs(w) + 0.01, np.abs(b)) for name, (w, b) in network.parameters.items()}
    return replace(network, parameters=parameters).astype("float64")


@pytest.mark.parametrize("network", [random_vgg19(6, width=2), pyramid.build()], ids=lambda network: network.name)
@pytest.mark.parametrize("pixel", [(0, 0), (11, 7), (16, 20)])
def test_reach_is_where_features_change(network, pixel):
    shape = (17, 21)  # the last row and column belong to no square of the first pool
    network, layers = positive(network), [layer.name for layer in network.layers]
    image = np.random.default_rng(0).uniform(100, 200, (1, *shape, 3))
    changed = image.copy()
    changed[0, pixel[0], pixel[1]] += 50
    before, after = (network.forward(each, layers)[0] for each in (image, changed))
    windows = reach(network, shape, unit(*pixel))
    assert windows[IMAGE] == unit(*pixel)
    for layer in layers:
        moved = (before[layer] != after[layer]).any(axis=(0, 3))
        expected = np.zeros_like(moved)
        windows[layer].of(expected[np.newaxis])[...] = True
        np.testing.assert_array_equal(moved, expected, err_msg=layer)


@pytest.mark.parametrize("network", [random_vgg19(6, width=2), pyramid.build()], ids=lambda network: network.name)
def test_field_is_where_the_gradient_of_a_unit_is_not_zero(network):
    shape = (17, 21)
    network = positive(network)
    for layer in [layer.name for layer in network.layers]:
        features, cache = network.forward(np.full((1, *shape, 3), 200.0), [layer])
        grad = np.zeros_like(features[layer])
        row, column = grad.shape[1] // 2, grad.shape[2] - 1
        grad[0, row, column, 0] = 1
        seen = network.backward({layer: grad}, cache).any(axis=(0, 3))
        expected = np.zeros_like(seen)
        field(network, shape, layer, unit(row, column)).of(expected[np.newaxis])[...] = True
        np.testing.assert_array_equal(seen, expected, err_msg=layer)


def test_receptive_fields_of_vgg19():
    """By hand: 3, 5, pool 6, 10, 14, pool 16, 24, 32, 40."""
    network = random_vgg19(7, width=1)
    sides = [field(network, (224, 224), layer.name, unit(20, 20)).shape for layer in network.layers]
    assert sides == [(side, side) for side in (3, 5, 6, 10, 14, 16, 24, 32, 40)]


def test_what_a_pool_leaves_out_nobody_below_it_sees():
    """The lower right unit of 2x2 looks beyond the border, where there is a row of pixels that is in no square."""
    layers = (Layer("pool1", "pool"), Layer("conv1", "conv"))
    network = Network(
        "small", layers, {"conv1": (np.ones((3, 3, 3, 1)), np.zeros(1))}, Preprocessing(), Defaults({}, {}, 0)
    )
    assert field(network, (5, 5), "conv1", unit(1, 1)) == Window(0, 4, 0, 4)


def test_a_pixel_that_every_pool_leaves_out_is_seen_by_nobody_below():
    windows = reach(random_vgg19(3, width=1), (5, 5), unit(4, 4))
    assert windows["conv1_2"] == Window(2, 5, 2, 5)
    assert windows["pool1"] == Window(1, 2, 1, 2)
    assert reach(pyramid.build(), (5, 5), unit(4, 4))["edges1_pool"] == Window(1, 2, 1, 2)
    assert KINDS["pool"].read_by((4, 5), ()) == (2, 3), "and the pool has rows 0 and 1"
