"""Strips give the painting of the whole, at their edges as elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import random_vgg

from scratchnst.engine import cpu
from scratchnst.fast.strips import Painter, kept_layers
from scratchnst.models import adain_net, prediction_net, transform_net

HEIGHTS = [1, 4, 12, 1000]  # rows of the picture in a strip, at most


def network(random, dtype, blocks=1):
    """Of two styles that differ."""
    built = transform_net.build(random, 2, (3, 4, 5), blocks)
    for name in transform_net.norms(built):
        built.parameters[name] = tuple(
            np.float32(array + 0.3 * random.standard_normal(array.shape)) for array in built.parameters[name]
        )
    return built.astype(dtype)


def whole(network, photo):
    height, width, _ = photo.shape
    padded = np.pad(photo, ((0, -height % 4), (0, -width % 4), (0, 0)), mode="reflect")
    output = network.features(padded[np.newaxis], ["output"])["output"]
    return transform_net.to_picture(output)[0, :height, :width]


def in_strips(network, photo, rows):
    """The painting, and the first rows of its strips."""
    width = photo.shape[1] + -photo.shape[1] % 4
    strips = list(Painter(network, photo, numbers=rows * 3 * width).strips())
    return np.concatenate([strip for _, strip in strips]), [start for start, _ in strips]


@pytest.mark.parametrize("engine", ["textbook", "cpu"])
@pytest.mark.parametrize(("dtype", "rounding"), [("float64", 1e-9), ("float32", 5e-3)])
@pytest.mark.parametrize("rows", HEIGHTS)
@pytest.mark.parametrize("size", [(8, 8), (9, 30), (33, 17), (50, 71)])
def test_they_give_the_painting_of_the_whole(random, size, rows, dtype, rounding, engine):
    style = transform_net.with_styles(network(random, dtype), np.array([[0.3, 0.7]]))
    style = style.on(cpu) if engine == "cpu" else style
    photo = random.uniform(0, 255, (*size, 3)).astype(dtype)
    painting, starts = in_strips(style, photo, rows)
    assert painting.dtype == dtype
    assert len(starts) >= min(size[0] // rows, 2)
    np.testing.assert_allclose(painting, whole(style, photo), atol=rounding)


@pytest.mark.parametrize("blocks", [0, 3])
def test_networks_of_other_depths(random, blocks):
    style = transform_net.with_styles(network(random, "float64", blocks), np.array([[1.0, 0.0]]))
    photo = random.uniform(0, 255, (30, 22, 3))
    np.testing.assert_allclose(in_strips(style, photo, 8)[0], whole(style, photo), atol=1e-9)


@pytest.mark.parametrize("rows", HEIGHTS)
def test_a_network_behind_an_encoder(random, rows):
    """Its encoder pools, and pads by zeros."""
    encoder = replace(random_vgg("vgg19", 8, width=4), normalized=True)
    style = adain_net.build(random, encoder, 1, (3, 4, 5)).astype("float64")
    ones = np.ones_like(style.parameters["adain"][0])
    style = replace(style, parameters={**style.parameters, "adain": (ones, ones)})
    photo = random.uniform(0, 255, (33, 18, 3))
    np.testing.assert_allclose(in_strips(style, photo, rows)[0], whole(style, photo), atol=1e-9)


def test_a_network_beside_an_encoder(random):
    encoder = replace(random_vgg("vgg19", 8, width=4), normalized=True)
    network = prediction_net.build(random, encoder, 1, (3, 4, 5), 1).astype("float64")
    style = replace(network, layers=tuple(network.needed([transform_net.OUTPUT])))
    photo = random.uniform(0, 255, (33, 18, 3))
    np.testing.assert_allclose(in_strips(style, photo, 8)[0], whole(style, photo), atol=1e-9)


def test_no_seam(random):
    """Where strips meet, they differ from the whole no more than elsewhere."""
    style = transform_net.with_styles(network(random, "float32"), np.array([[1.0, 0.0]])).on(cpu)
    photo = np.float32(random.uniform(0, 255, (64, 40, 3)))
    painting, starts = in_strips(style, photo, 8)
    difference = np.abs(painting - whole(style, photo)).max(axis=(1, 2))
    edges = [row for start in starts[1:] for row in (start - 1, start)]
    assert len(starts) == 8
    assert difference[edges].max() <= 1e-3 + 2 * np.delete(difference, edges).max()


def test_the_statistics_of_strips_that_differ_much(random):
    """A dark half and a bright one: the variance is that between them."""
    style = transform_net.with_styles(network(random, "float32"), np.array([[1.0, 0.0]])).on(cpu)
    photo = np.float32(random.uniform(0, 0.1, (48, 24, 3)))
    photo[30:] += 250
    np.testing.assert_allclose(in_strips(style, photo, 4)[0], whole(style, photo), atol=2e-2)


def test_what_is_kept(random):
    """Convolutions of half the side, and all of a quarter, no longer than they are read."""
    kept = kept_layers(network(random, "float32"))
    assert kept == {
        "conv2": {"conv2"},
        "conv3": {"conv3"},
        "norm3": {"norm3"},
        "block1_conv1": {"norm3", "block1_conv1"},
        "block1_norm1": {"norm3", "block1_norm1"},
        "block1_conv2": {"norm3", "block1_conv2"},
        "block1_norm2": {"norm3", "block1_norm2"},
        "block1": {"block1"},
        "conv4": {"conv4"},
    }
