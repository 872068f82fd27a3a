"""Loss and gradient tile by tile are those of the whole image."""

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst import Objective
from scratchnst.engine import cpu
from scratchnst.models import tiling
from scratchnst.transfer import memory
from scratchnst.transfer.stylize import stylize

LAYERS = {"content_layers": ["conv2_2"], "style_layers": ["conv1_1", "conv2_1", "conv3_1"]}
SHAPE = 45, 53  # no multiple of the pools'


@pytest.fixture(scope="module")
def network():
    return random_vgg19(5, width=4).on(cpu)


def picture(seed, shape=SHAPE):
    return np.random.default_rng(seed).uniform(0, 255, (*shape, 3))


def objective(network, **settings):
    return Objective(network, picture(1), [picture(2), picture(3)], **LAYERS, tv_weight=1e-3, **settings)


@pytest.mark.parametrize("side", [4, 16, 30, 500])
@pytest.mark.parametrize("masked", [False, True])
def test_loss_and_gradient_are_those_of_the_whole(network, side, masked):
    rows = np.linspace(0, 1, 45)[:, np.newaxis] * np.ones(53)
    settings = {"masks": [rows, 1 - rows], "keep": rows > 0.9, "guides": "touching"} if masked else {}
    whole, tiled = (objective(network, dtype="float64", tile=tile, **settings) for tile in (None, side))
    x = picture(0)
    (loss, grad), (loss_in_tiles, grad_in_tiles) = whole(x), tiled(x)
    assert loss_in_tiles == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(grad_in_tiles, grad, rtol=1e-9, atol=1e-12 * np.abs(grad).max())
    assert tiled.terms == pytest.approx(whole.terms)


@pytest.mark.parametrize("correlations", ["neighbours", "both"])
def test_pairs_of_layers_are_those_of_the_whole(network, correlations):
    settings = {"correlations": correlations, "activation_shift": -1.0, "dtype": "float64"}
    whole, tiled = (objective(network, tile=tile, **settings) for tile in (None, 16))
    (loss, grad), (loss_in_tiles, grad_in_tiles) = whole(picture(0)), tiled(picture(0))
    assert loss_in_tiles == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(grad_in_tiles, grad, rtol=1e-9, atol=1e-12 * np.abs(grad).max())


def test_every_position_belongs_to_one_tile(network):
    taps, sizes = LAYERS["style_layers"], network.shapes(*SHAPE)
    count = {layer: np.zeros(sizes[layer][:2]) for layer in taps}
    for tile in tiling.cut(network, taps, SHAPE, 16):
        for layer in taps:
            count[layer][tile.own[layer].place[1:]] += 1
            assert tile.own[layer].shape == tile.inside[layer].shape
    assert all((number == 1).all() for number in count.values())


def test_no_seam_shows_in_a_picture(network):
    whole, tiled = (
        stylize(objective(network, tile=tile), "content", iterations=5, optimizer="adam") for tile in (None, 16)
    )
    np.testing.assert_allclose(tiled.image, whole.image, atol=0.05)  # float32 throughout
    assert tiled.loss == pytest.approx(whole.loss, rel=1e-3)


def test_memory_does_not_grow_with_features(network):
    trial = objective(network, dtype="float32")
    large, kept = memory.at_size(trial, 800, 800)
    tiled, kept_in_tiles = memory.at_size(trial, 800, 800, tile=64)
    assert kept_in_tiles == 0 < kept
    assert memory.evaluation(tiled) < memory.evaluation(large) / 2
