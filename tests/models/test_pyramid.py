"""The filter pyramid: what its filters promise, and its objective's gradient."""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst import Objective, normalize
from scratchnst.models import pyramid
from scratchnst.models.network import IMAGE

LEVELS = range(1, len(pyramid.EDGES) + 1)
ZERO_MEAN = [f"{kind}{level}" for kind in ("edges", "strokes", "forms") for level in LEVELS]
FILTERS = [*ZERO_MEAN, *(f"colour{level}" for level in LEVELS)]
SIDE = 2 ** (len(LEVELS) - 1 + 2)  # the smallest image: one pixel is left in the last level's third order


@pytest.fixture(scope="module")
def network():
    return pyramid.build()


def photo(seed, height=SIDE, width=SIDE + 4):
    return np.random.default_rng(seed).uniform(0, 255, (height, width, 3))


def test_the_same_seed_gives_the_same_filters(network):
    again = pyramid.build(0)
    assert again.layers == network.layers
    for name, (w, b) in network.parameters.items():
        np.testing.assert_array_equal(w, again.parameters[name][0])
        np.testing.assert_array_equal(b, again.parameters[name][1])


@pytest.mark.parametrize("name", FILTERS)
def test_another_seed_gives_other_filters(network, name):
    assert not np.allclose(network.parameters[name][0], pyramid.build(1).parameters[name][0])


def test_default_layers_exist_and_style_weights_add_up_to_1(network):
    defaults = network.defaults
    network.check_layers([*defaults.content_layers, *defaults.style_layers])
    assert set(defaults.style_layers) == set(FILTERS)
    assert sum(defaults.style_layers.values()) == pytest.approx(1)


def test_orders_read_each_other_through_pools_and_levels_read_the_image(network):
    kinds, sources = {layer.name: layer.kind for layer in network.layers}, network.sources()
    for level in LEVELS:
        for name, before in (("forms", "strokes"), ("strokes", "edges")):
            (pool,) = sources[f"{name}{level}"]
            assert kinds[pool] == "pool"
            assert sources[pool] == (f"{before}{level}",)
        (above,) = sources[f"edges{level}"]
        assert sources[f"colour{level}"] == (above,)
        if level == 1:
            assert above == IMAGE
        else:
            assert kinds[above] == "pool"
            assert sources[above] == (f"smooth{level - 1}",)


@pytest.mark.parametrize("name", FILTERS)
def test_filters_have_length_1_and_come_in_mirrored_pairs(network, name):
    w, b = network.parameters[name]
    assert w.dtype == b.dtype == np.float32
    np.testing.assert_allclose((w**2).sum(axis=(0, 1, 2)), 1, rtol=1e-5)
    first, second = np.split(w, 2, axis=3)
    np.testing.assert_array_equal(first, -second)
    assert (b > 0).all()


@pytest.mark.parametrize("name", ZERO_MEAN)
def test_filters_have_no_mean_in_any_channel(network, name):
    np.testing.assert_allclose(network.parameters[name][0].mean(axis=(0, 1)), 0, atol=1e-7)


def test_edges_do_not_see_flat_colour(network):
    flat = np.full((1, 32, 32, 3), [200, 30, 90], np.float32)
    edges = network.forward(flat, ["edges1"])[0]["edges1"]
    np.testing.assert_allclose(edges[:, 1:-1, 1:-1], pyramid.BIAS, atol=1e-5)


def test_smoothing_and_pool_make_the_weights_1_3_3_1(network):
    """A light pixel, moved about, weighs 1 3 3 1 / 8 in each direction at one half-sized pixel."""
    grey = 0.45 * 255
    weights = np.zeros((4, 4))
    for row, column in np.ndindex(4, 4):
        image = np.full((1, 8, 8, 3), grey)
        image[0, 1 + row, 1 + column] += 255 / 4  # one unit behind preprocessing
        features = network.astype("float64").forward(image, ["pool1"])[0]["pool1"]
        weights[row, column] = features[0, 1, 1, 0]
    expected = np.array([1, 3, 3, 1]) / 8
    np.testing.assert_allclose(weights, np.outer(expected, expected), atol=1e-6)


def test_normalising_scales_no_filter_up_by_much_more_than_1_over_bias(network):
    """Jensen's inequality; faint noise would give filters with negative biases enormous gains."""
    faint = [127.5 + 0.1 * (photo(seed, 128, 128) - 127.5) for seed in (0, 1)]
    normalized = normalize(network, faint)
    for name in ZERO_MEAN:
        gained = normalized.parameters[name][1]  # bias times gain
        assert gained.max() < 1.5, name


def test_gradient_agrees_with_central_differences(network):
    content, style, x = photo(0), photo(1), photo(2)
    objective = Objective(normalize(network, [content, style]), content, [style], dtype="float64")
    loss, grad = objective(x)
    assert np.isfinite(loss)
    random, step = np.random.default_rng(3), 1e-4
    for _ in range(3):
        direction = random.standard_normal(x.shape)
        numeric = (objective(x + step * direction)[0] - objective(x - step * direction)[0]) / (2 * step)
        assert (grad * direction).sum() == pytest.approx(numeric, rel=1e-5)


def test_defaults_weigh_every_term(network):
    content, style = photo(0), photo(1)
    objective = Objective(network, content, [style])
    objective(photo(2))
    expected = {
        *(f"content/{name}" for name in pyramid.CONTENT_LAYERS),
        *(f"style/{name}" for name in FILTERS),
        "tv",
    }
    assert set(objective.terms) == expected
