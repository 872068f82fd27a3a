"""Loss and gradient of the whole objective against PyTorch's autograd, which shares no code with this package."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst import Objective, load_network
from scratchnst.engine import cpu, cuda
from scratchnst.models.network import Preprocessing

torch = pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed: pip install -e .[oracle]")
functional = torch.nn.functional

TORCHVISION = Preprocessing("RGB", 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
TOLERANCE = {"float32": 1e-4, "float64": 1e-6}

SHAPE = (33, 47)  # odd heights and widths; 2x2 pixels are left at conv5_1
PAPER = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
ALL_SIXTEEN = (*PAPER, "conv5_4")


def picture(height, width, seed):
    return np.random.default_rng(seed).uniform(0, 255, (height, width, 3))


def torch_features(network, image, pooling, wanted):
    """Name -> (C, M) features of an (H, W, 3) tensor, by PyTorch's own layers, down to the deepest that is wanted."""
    settings = network.preprocessing
    mean, std = (torch.tensor(values, dtype=image.dtype) for values in (settings.mean, settings.std))
    x = image.flip(2) if settings.channels == "BGR" else image
    x = ((x * settings.scale - mean) / std).permute(2, 0, 1)[None]
    features = {}
    for layer in network.layers:
        if layer.kind == "pool":
            x = (functional.avg_pool2d if pooling == "avg" else functional.max_pool2d)(x, 2)
        else:
            w, b = (torch.tensor(array, dtype=image.dtype) for array in network.parameters[layer.name])
            x = functional.relu(functional.conv2d(x, w.permute(3, 2, 0, 1), b, padding="same"))
        features[layer.name] = x[0].flatten(1)
        if features.keys() >= wanted:
            break
    return features


def torch_terms(network, content, style, x, settings):
    """Name -> term of equation 7 before weighting, of tensors (H, W, 3)."""
    wanted = {*settings["content_layers"], *settings["style_layers"]}
    F, P, S = (torch_features(network, image, settings["pooling"], wanted) for image in (x, content, style))
    terms = {f"content/{name}": ((F[name] - P[name]) ** 2).sum() / 2 for name in settings["content_layers"]}
    for name in settings["style_layers"]:
        (N, M), (_, M_of_style) = F[name].shape, S[name].shape
        difference = F[name] @ F[name].T / M - S[name] @ S[name].T / M_of_style
        terms[f"style/{name}"] = (difference**2).sum() / (4 * N**2)
    rows, columns = torch.diff(x, dim=0), torch.diff(x, dim=1)
    return terms | {"tv": (rows**2).sum() + (columns**2).sum()}


def torch_objective(network, content, style, x, settings, dtype):
    """Equation 7 and its gradient by autograd."""
    x, content, style = (torch.tensor(image, dtype=getattr(torch, dtype)) for image in (x, content, style))
    terms = torch_terms(network, content, style, x.requires_grad_(), settings)
    loss = settings["tv_weight"] * terms["tv"]
    for kind in ("content", "style"):
        for name, weight in settings[f"{kind}_layers"].items():
            loss = loss + settings[f"{kind}_weight"] * weight * terms[f"{kind}/{name}"]
    loss.backward()
    return loss.item(), x.grad.numpy()


def compare(network, content, style, x, settings, dtype):
    loss, grad = Objective(network, content, [style], **settings, style_fit=None, dtype=dtype)(x)
    expected_loss, expected = torch_objective(network, content, style, x, settings, dtype)
    assert loss == pytest.approx(expected_loss, rel=TOLERANCE[dtype])
    assert np.linalg.norm(grad - expected) < TOLERANCE[dtype] * np.linalg.norm(expected)


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.slow
def test_whole_vgg19_with_the_papers_layers(dtype, pooling):
    network = random_vgg19(13)
    settings = {
        "content_layers": {"conv4_2": 1.0},
        "style_layers": dict.fromkeys(["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"], 0.2),
        "content_weight": 1.0,
        "style_weight": 1e-3,
        "tv_weight": 0.1,
        "pooling": pooling,
    }
    compare(network, picture(37, 50, 1), picture(37, 50, 2), picture(37, 50, 3), settings, dtype)


@pytest.mark.parametrize("shape", [(8, 8), (9, 13), (4, 31)])
def test_other_preprocessing_layers_and_sizes(dtype, shape):
    network = random_vgg19(6, width=8)
    network = replace(network, preprocessing=TORCHVISION)
    settings = {
        "content_layers": {"conv1_1": 0.5, "conv3_2": 2.0},
        "style_layers": {"conv1_2": 1.0, "pool2": 3.0, "conv3_2": 0.1},
        "content_weight": 2.0,
        "style_weight": 10.0,
        "tv_weight": 0.0,
        "pooling": "avg",
    }
    compare(network, picture(*shape, 1), picture(*shape, 2), picture(*shape, 3), settings, dtype)


@pytest.mark.parametrize("shape", [(13, 9), (40, 4), (21, 34)])
def test_styles_of_another_size(dtype, shape):
    settings = {
        "content_layers": {"conv3_2": 1.0},
        "style_layers": {"conv1_2": 1.0, "pool2": 3.0, "conv3_2": 0.1},
        "content_weight": 1e-3,
        "style_weight": 10.0,
        "tv_weight": 0.0,
        "pooling": "avg",
    }
    compare(random_vgg19(6, width=8), picture(9, 13, 1), picture(*shape, 2), picture(9, 13, 3), settings, dtype)


def test_genuine_vgg19(dtype, vgg19_file):
    network = load_network(vgg19_file)
    settings = {
        "content_layers": {"conv3_3": 1.0},
        "style_layers": dict.fromkeys(["conv1_1", "conv2_1", "conv3_1", "conv3_4"], 0.25),
        "content_weight": 1.0,
        "style_weight": 1e3,
        "tv_weight": 1.0,
        "pooling": "avg",
    }
    compare(network, picture(40, 52, 1), picture(40, 52, 2), picture(40, 52, 3), settings, dtype)


def cases():
    """Parameters (platform, way to convolve, largest strip, style layers); the emulator takes many seconds for most."""
    ways = {"textbook": (), "cpu": cpu.ways, "emulated": cuda.ways, "gpu": cuda.ways}
    for place, largest_strip in product(ways, (math.inf, 50_000)):
        for way, layers in ((None, PAPER), (None, ALL_SIXTEEN), *((way, PAPER) for way in ways[place])):
            slow = place == "emulated" and (way, largest_strip, layers) != (None, math.inf, PAPER)
            marks = [*[pytest.mark.slow] * slow, *[pytest.mark.gpu] * (place == "gpu")]
            strips, depth = "whole" if largest_strip == math.inf else "strips", layers[-1]
            yield pytest.param(place, way, largest_strip, layers, marks=marks, id=f"{place}-{way}-{strips}-{depth}")


@pytest.fixture(scope="module")
def by_autograd(complete_vgg19):
    """Return pooling -> name of each term before weighting -> its value and its gradient."""

    @cache
    def terms_and_gradients(pooling):
        x, content, style = (torch.tensor(picture(*SHAPE, seed)) for seed in (3, 1, 2))
        settings = {"content_layers": ["conv4_2"], "style_layers": ALL_SIXTEEN, "pooling": pooling}
        terms = torch_terms(complete_vgg19, content, style, x.requires_grad_(), settings)
        gradients = {name: torch.autograd.grad(term, x, retain_graph=True)[0] for name, term in terms.items()}
        return {name: (terms[name].item(), gradients[name].numpy()) for name in terms}

    return terms_and_gradients


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize(("platform", "way", "largest_strip", "style_layers"), [*cases()], indirect=["platform"])
@pytest.mark.slow
def test_complete_vgg19(complete_vgg19, by_autograd, platform, way, largest_strip, style_layers, pooling):
    """Each term is weighted so that its gradient has length 1: none can hide behind another."""
    names = ["content/conv4_2", *(f"style/{layer}" for layer in style_layers), "tv"]
    expected = {name: by_autograd(pooling)[name] for name in names}
    weights = {name: 1 / np.linalg.norm(gradient) for name, (_, gradient) in expected.items()}
    network, content, style, x = complete_vgg19.on(platform.engine), *(picture(*SHAPE, seed) for seed in (1, 2, 3))
    objective = Objective(
        network,
        content,
        [style],
        content_layers={"conv4_2": weights["content/conv4_2"]},
        style_layers={layer: weights[f"style/{layer}"] for layer in style_layers},
        content_weight=1,
        style_weight=1,
        tv_weight=weights["tv"],
        pooling=pooling,
        dtype="float64",
        largest_strip=largest_strip,
    )
    with platform.engine.conv2d.using(way) if way else nullcontext():
        loss, grad = objective(x)
    assert objective.terms == pytest.approx({name: value for name, (value, _) in expected.items()}, rel=1e-6)
    assert loss == pytest.approx(sum(weights[name] * value for name, (value, _) in expected.items()), rel=1e-6)
    whole = sum(weights[name] * gradient for name, (_, gradient) in expected.items())
    assert np.linalg.norm(grad - whole) < 1e-6 * np.linalg.norm(whole)
