"""The gradient of a pixel, taken apart: the parts against the walk back, and each against its definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst import Objective
from scratchnst.attribution import plot
from scratchnst.attribution.attribution import check_pixel, tangents, trace
from scratchnst.engine import cpu, textbook
from scratchnst.errors import UserError
from scratchnst.models import pyramid
from scratchnst.models.network import IMAGE
from scratchnst.models.receptive_field import Window
from scratchnst.ops import relu

SHAPE = (17, 21, 3)  # odd, so that pools leave a row out


def picture(seed, shape=SHAPE):
    return np.random.default_rng(seed).uniform(0, 255, shape)


def objective_of(network=None, **settings):
    """Equation 7 with two styles and total variation, in float64, weighed so that every term counts."""
    weights = {"content_weight": 1e-3, "style_weight": 1e4, "tv_weight": 1e-6, "dtype": "float64"}
    network = network or random_vgg19(6, width=5)
    return Objective(network, picture(1), [picture(2), picture(3)], normalized=True, **(weights | settings))


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_on_every_engine_the_same(platform, pooling):
    network = random_vgg19(6, width=5)
    expected = trace(objective_of(network, pooling=pooling), picture(4), (7, 4))
    found = trace(objective_of(network.on(platform.engine), pooling=pooling), picture(4), (7, 4))
    assert found.error < 1e-12
    for ours, theirs in zip(found.parts, expected.parts):
        assert isinstance(ours.contributions, np.ndarray)
        np.testing.assert_allclose(ours.contributions, theirs.contributions, atol=1e-12 * abs(expected.gradient).max())


@pytest.mark.parametrize("engine", [textbook, cpu], ids=lambda engine: engine.name)
@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("network", [random_vgg19(6, width=5), pyramid.build()], ids=lambda network: network.name)
@pytest.mark.parametrize("pixel", [(0, 0), (16, 20), (7, 4)])
def test_parts_add_up_to_the_gradient(engine, pooling, network, pixel):
    objective = objective_of(network.on(engine), pooling=pooling)
    found = trace(objective, picture(4), pixel)
    _, gradient = objective(picture(4))
    np.testing.assert_array_equal(found.gradient, gradient[pixel])
    np.testing.assert_allclose(found.total, gradient[pixel], rtol=1e-10)
    assert found.error < 1e-10
    assert [part.name for part in found.parts] == list(objective.terms)
    assert sum(found.share(part.gradient) for part in found.parts) == pytest.approx(1)


def test_each_part_is_the_gradient_of_its_term_alone():
    objective, pixel = objective_of(), (5, 6)
    found = trace(objective, picture(4), pixel)
    for part in found.parts:
        alone = objective_of()
        alone.summands = [term for term in alone.summands if term.name == part.name]
        alone.tv_weight = alone.tv_weight if part.name == "tv" else 0.0
        if part.name == "tv":  # the walk back needs some term
            alone.summands = [replace(objective.summands[0], weight=0.0)]
        _, gradient = alone(picture(4))
        np.testing.assert_allclose(part.gradient, gradient[pixel], rtol=1e-10, err_msg=part.name)


def test_a_contribution_is_what_the_walk_back_brings_from_one_unit():
    """All of the loss's gradient but one unit's set to zero: only that product of equation (a) is left."""
    objective, pixel, layer = objective_of(), (5, 6), "conv2_1"
    (part,) = (part for part in trace(objective, picture(4), pixel).parts if part.name == f"style2/{layer}")
    (term,) = (term for term in objective.summands if term.name == part.name)
    for place in [(0, 0, 0), (1, 2, 3), (2, 1, 4)]:
        features, cache = objective.network.forward(picture(4)[np.newaxis], [layer])
        _, loss_cache = term.loss.forward(features[layer], term.target)
        whole, only = term.loss.backward(term.weight, loss_cache), np.zeros_like(features[layer])
        index = (0, part.window.top + place[0], part.window.left + place[1], place[2])
        only[index] = whole[index]
        gradient = objective.network.backward({layer: only}, cache)[0]
        np.testing.assert_allclose(part.contributions[(slice(None), *place)], gradient[pixel], rtol=1e-9, atol=1e-25)


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("network", [random_vgg19(6, width=5), pyramid.build()], ids=lambda network: network.name)
def test_tangents_against_central_differences(network, pooling):
    network = replace(network.astype("float64"), pooling=pooling)
    image, pixel, step = picture(4), (16, 5), 1e-6
    layers = [layer.name for layer in network.layers]
    seen = []
    for layer, features, window, tangent in tangents(network, image, pixel, layers):
        seen.append(layer)
        np.testing.assert_array_equal(features, network.forward(image[np.newaxis], [layer])[0][layer])
        whole = np.zeros((3, *features.shape[1:]))
        window.of(whole)[...] = tangent
        for colour in range(3):
            ahead, behind = image.copy(), image.copy()
            ahead[(*pixel, colour)] += step
            behind[(*pixel, colour)] -= step
            ahead, behind = (network.forward(each[np.newaxis], [layer])[0][layer][0] for each in (ahead, behind))
            np.testing.assert_allclose(whole[colour], (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-7)
    assert seen == layers


def test_channels_and_positions():
    found = trace(objective_of(), picture(4), (5, 6))
    for part in found.parts:
        np.testing.assert_allclose(part.channels.sum(axis=0), part.gradient, atol=1e-18)
        np.testing.assert_allclose(part.positions.sum(axis=(0, 1)), part.gradient, atol=1e-18)
        assert part.positions.shape == (*part.window.shape, 3)
    part = next(part for part in found.parts if part.layer == "conv2_1")
    lengths = np.linalg.norm(part.channels, axis=1)
    assert lengths[part.top_channels(3)].tolist() == sorted(lengths)[-1:-4:-1]
    (row, column), *_ = part.top_positions(2)
    longest = np.linalg.norm(part.positions, axis=2).max()
    assert np.linalg.norm(part.positions[row - part.window.top, column - part.window.left]) == longest
    assert len(part.top_channels(100)) == 5


def test_total_variation_by_neighbours():
    """By hand: the pixel 5 has the neighbours 1 above, 2 to the left, 7 to the right; below is the border."""
    image = np.repeat(np.array([[9.0, 1, 9], [2, 5, 7]])[..., np.newaxis], 3, axis=2)
    objective = Objective(random_vgg19(1, width=2), image, [], tv_weight=0.5, content_weight=1, dtype="float64")
    (part,) = (part for part in trace(objective, image, (1, 1)).parts if part.name == "tv")
    assert (part.layer, part.window) == (IMAGE, Window(0, 2, 0, 3))
    np.testing.assert_array_equal(part.positions[..., 1], [[0, 4, 0], [3, 0, -2]])


def test_at_the_content_there_is_no_content_gradient_and_no_shares_of_nothing():
    objective = Objective(random_vgg19(2, width=3), picture(1), [], dtype="float64", tv_weight=0)
    found = trace(objective, picture(1), (3, 3))
    assert not found.total.any()
    assert found.error == 0
    assert np.isnan(found.share(found.parts[0].gradient))


def test_a_wrong_backward_shows(monkeypatch):
    monkeypatch.setattr(relu, "backward", lambda grad_y, cache: grad_y)
    assert trace(objective_of(), picture(4), (5, 6)).error > 1e-3


def test_float32():
    assert trace(objective_of(dtype="float32"), picture(4), (5, 6)).error < 1e-4


@pytest.mark.parametrize(
    ("pixel", "said"),
    [
        ((17, 0), "no pixel 17,0 in an image of 21x17 pixels: rows go from 0 to 16, columns from 0 to 20"),
        ((0, 21), "no pixel 0,21"),
        ((-1, 0), "no pixel -1,0"),
        ((1.5, 0), "two whole numbers"),
        ((1,), "two whole numbers"),
        ((1, 2, 3), "two whole numbers"),
        (None, "two whole numbers"),
    ],
)
def test_bad_pixels(pixel, said):
    with pytest.raises(UserError, match=said):
        trace(objective_of(), picture(4), pixel)


def test_pixels_of_numpy_are_whole_numbers_too():
    assert check_pixel(np.array([3, 4]), SHAPE) == (3, 4)


def test_bad_images():
    objective, bad = objective_of(), picture(4)
    with pytest.raises(UserError, match="must have the shape"):
        trace(objective, bad[1:], (0, 0))
    bad[2, 3, 1] = np.nan
    with pytest.raises(UserError, match="NaN or infinite"):
        trace(objective, bad, (0, 0))
    with pytest.raises(UserError, match="lower the weights"):
        trace(objective_of(style_weight=1e308), picture(4) * 1e8, (0, 0))


def test_picture():
    pytest.importorskip("matplotlib")
    found = trace(objective_of(), picture(4), (5, 6))
    drawn = plot.picture(found, {"content": picture(1), "noise": picture(4)})
    assert drawn.shape[2] == 3
    assert drawn.min() < 100
    assert drawn.max() == 255
    nothing = trace(Objective(random_vgg19(2, width=3), picture(1), [], tv_weight=0), picture(1), (3, 3))
    assert plot.picture(nothing, {"content": picture(1)}).shape[2] == 3
