"""Sections and strips: the same loss and gradient, whatever is cut."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst import Objective
from scratchnst.engine import cpu, textbook
from scratchnst.errors import UserError
from scratchnst.models import checkpointing
from scratchnst.models.layers import Layer
from scratchnst.models.network import Defaults, Network, Preprocessing

LAYERS = {
    "content_layers": {"conv2_2": 0.5, "conv4_2": 1.0},
    "style_layers": dict.fromkeys(["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv4_2"], 0.2),
}
SETTINGS = LAYERS | {"content_weight": 1.0, "style_weight": 1e-3, "tv_weight": 0.0}


def pictures(height, width):
    random = np.random.default_rng(5)
    return [random.uniform(0, 255, (height, width, 3)) for _ in range(3)]


def relative(actual, expected):
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("engine", [textbook, cpu])
@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("shape", [(61, 45), (32, 32), (23, 70)])
@pytest.mark.parametrize("largest", [60000, 10000, 1])
def test_objective_in_strips_is_the_same(engine, pooling, shape, largest):
    content, style, x = pictures(*shape)
    network = random_vgg19(10, width=8).on(engine)
    whole = Objective(network, content, [style, x], **SETTINGS, pooling=pooling, dtype="float64")
    cut = Objective(network, content, [style, x], **SETTINGS, pooling=pooling, dtype="float64", largest_strip=largest)
    (loss, grad), (same_loss, same_grad) = whole(x), cut(x)
    assert same_loss == pytest.approx(loss, rel=1e-12)
    assert relative(same_grad, grad) < 1e-12
    assert cut.terms.keys() == whole.terms.keys()
    for name, value in whole.terms.items():
        assert cut.terms[name] == pytest.approx(value, rel=1e-11, abs=1e-12 * loss)


def test_float32_in_strips_is_the_same_but_for_rounding():
    content, style, x = pictures(64, 96)
    network = random_vgg19(8).on(cpu)
    settings = {"content_layers": ["conv3_2"], "style_layers": ["conv1_1", "conv2_1", "conv3_1"]}
    (loss, grad), (same_loss, same_grad) = (
        Objective(network, content, [style], **settings, largest_strip=largest)(x) for largest in (math.inf, 100_000)
    )
    assert same_loss == pytest.approx(loss, rel=1e-5)
    assert relative(same_grad, grad) < 1e-5


def branching(random):
    """Filters beside the pools, one of them 5x5 and one that reads another, as in no VGG."""
    layers = (
        Layer("wide", "conv"),
        Layer("half", "pool", ("image",)),
        Layer("filters", "conv", ("half",)),
        Layer("second", "linear", ("filters",)),
        Layer("quarter", "pool", ("half",)),
        Layer("deep", "conv", ("quarter",)),
    )
    shapes = {"wide": (5, 5, 3, 4), "filters": (3, 3, 3, 6), "second": (1, 3, 6, 2), "deep": (3, 3, 3, 5)}
    parameters = {
        name: (random.standard_normal(shape), random.standard_normal(shape[3])) for name, shape in shapes.items()
    }
    return Network("branching", layers, parameters, Preprocessing(), Defaults({}, {}, 1.0))


@pytest.mark.parametrize("largest", [20000, 3000, 1])
def test_a_network_that_branches(random, largest):
    content, style, x = pictures(30, 41)
    layers = {"content_layers": ["second", "half"], "style_layers": ["wide", "filters", "deep", "quarter"]}
    whole, cut = (
        Objective(
            branching(np.random.default_rng(1)), content, [style], **layers, dtype="float64", largest_strip=bytes_
        )
        for bytes_ in (math.inf, largest)
    )
    (loss, grad), (same_loss, same_grad) = whole(x), cut(x)
    assert same_loss == pytest.approx(loss, rel=1e-12)
    assert relative(same_grad, grad) < 1e-12


def test_rows_of_strips_by_hand():
    """Two convolutions and a pool on 10 rows, in two strips: the pool has 5 rows, of which 2 and 3 belong to them."""
    network = random_vgg19(3, width=4)
    sections = checkpointing.cut(network, ["conv1_1", "conv2_1"], (10, 8), largest=10 * 8 * 4 * 4 // 2)
    assert [(section.source, section.end, len(section.strips)) for section in sections] == [
        ("image", "pool1", 2),
        ("pool1", "conv2_1", 1),
    ]
    upper, lower = sections[0].strips
    assert upper.own["pool1"] == (0, 2)
    assert lower.own["pool1"] == (2, 5)
    assert upper.own["conv1_1"] == (0, 4)
    assert lower.own["conv1_1"] == (4, 10)
    assert upper.needed["conv1_2"] == (0, 4)
    assert upper.needed["conv1_1"] == (0, 5)
    assert upper.needed["image"] == (0, 6)
    assert lower.needed["conv1_1"] == (3, 10)
    assert lower.needed["image"] == (2, 10)


def test_what_fits_is_not_cut():
    network = random_vgg19(13, width=8)
    (whole,) = checkpointing.cut(network, ["conv5_1"], (64, 64))
    assert len(whole.strips) == 1
    (whole,) = checkpointing.cut(network, ["conv5_1"], (64, 64), largest=64 * 64 * 8 * 4)
    assert len(whole.strips) == 1


@pytest.mark.parametrize("largest", [0, -1, 5e-324, -math.inf, math.nan])
def test_strips_of_no_size_are_refused(largest):
    with pytest.raises(UserError, match="1 byte or more, not"):
        checkpointing.cut(random_vgg19(3, width=4), ["conv1_1"], (10, 8), largest)


@pytest.mark.parametrize("engine", [textbook, cpu])
@pytest.mark.parametrize("largest", [math.inf, 100])
def test_a_network_of_pools_alone(engine, largest):
    """Without weights, so without their dtype: E = (G - A)^2 / 4 N^2 M^2 by hand."""
    layers = (Layer("half", "pool"), Layer("quarter", "pool"))
    network = Network("pools", layers, {}, Preprocessing(), Defaults({}, {}, 1.0)).on(engine)
    style, _, x = pictures(12, 8)
    objective = Objective(network, styles=[style], style_layers=["quarter"], style_weight=1.0, largest_strip=largest)
    F, S = (image.reshape(3, 4, 2, 4, 3).mean((1, 3)).reshape(6, 3) for image in (x, style))
    assert objective(x)[0] == pytest.approx(np.sum((F.T @ F - S.T @ S) ** 2) / (4 * 3**2 * 6**2), rel=1e-4)


def test_every_row_belongs_to_one_strip():
    network = random_vgg19(13, width=8)
    for section in checkpointing.cut(network, ["conv1_1", "conv3_3", "conv5_1"], (77, 50), largest=2000):
        for layer in section.layers:
            edges = [strip.own[layer.name] for strip in section.strips]
            assert edges[0][0] == 0
            assert all(above[1] == below[0] for above, below in pairwise(edges))
        assert all(start < stop for strip in section.strips for start, stop in strip.own.values())


def test_visit_shows_what_forward_computes(random):
    network = random_vgg19(6, width=5).astype("float64")
    image = random.uniform(0, 255, (1, 38, 29, 3))
    features, _ = network.forward(image, ["conv1_2", "conv2_1", "conv3_2"])
    seen = {name: np.full(feature.shape, np.nan) for name, feature in features.items()}

    def see(name, rows, part):
        if name in seen:
            seen[name][:, slice(*rows)] = part

    checkpointing.visit(network, checkpointing.cut(network, features, (38, 29), largest=3000), image, see)
    for name, feature in features.items():
        np.testing.assert_allclose(seen[name], feature, rtol=1e-12, atol=1e-9)
