"""Loss and gradient of the whole objective against PyTorch's autograd, which shares no code with this package."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst import Objective, load_network
from scratchnst.models.network import Preprocessing

torch = pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed: pip install -e .[oracle]")
functional = torch.nn.functional

TORCHVISION = Preprocessing("RGB", 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
TOLERANCE = {"float32": 1e-4, "float64": 1e-6}


def picture(height, width, seed):
    return np.random.default_rng(seed).uniform(0, 255, (height, width, 3))


def torch_features(network, image, pooling):
    """Name -> (C, M) features of an (H, W, 3) tensor, by PyTorch's own layers, in the order of the table."""
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
    return features


def torch_objective(network, content, style, x, settings, dtype):
    """Equation 7 and its gradient by autograd."""
    tensors = [torch.tensor(image, dtype=getattr(torch, dtype)) for image in (x, content, style)]
    tensors[0].requires_grad_()
    F, P, S = (torch_features(network, tensor, settings["pooling"]) for tensor in tensors)
    loss = 0.0
    for name, weight in settings["content_layers"].items():
        loss = loss + settings["content_weight"] * weight * ((F[name] - P[name]) ** 2).sum() / 2
    for name, weight in settings["style_layers"].items():
        N, M = F[name].shape
        difference = F[name] @ F[name].T - S[name] @ S[name].T
        loss = loss + settings["style_weight"] * weight * (difference**2).sum() / (4 * N**2 * M**2)
    rows, columns = torch.diff(tensors[0], dim=0), torch.diff(tensors[0], dim=1)
    loss = loss + settings["tv_weight"] * ((rows**2).sum() + (columns**2).sum())
    loss.backward()
    return loss.item(), tensors[0].grad.numpy()


def compare(network, content, style, x, settings, dtype):
    loss, grad = Objective(network, content, [style], **settings, dtype=dtype)(x)
    expected_loss, expected = torch_objective(network, content, style, x, settings, dtype)
    assert loss == pytest.approx(expected_loss, rel=TOLERANCE[dtype])
    assert np.linalg.norm(grad - expected) < TOLERANCE[dtype] * np.linalg.norm(expected)


@pytest.mark.parametrize("pooling", ["avg", "max"])
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
