"""Networks with random weights, for tests that need no genuine ones."""

from __future__ import annotations

import numpy as np

from scratchnst import ArbitraryStyle, load_network
from scratchnst.models import adain_net, prediction_net, style_predictor, vgg
from scratchnst.models.network import Network


def random_vgg19(convolutions=16, seed=0, width=None):
    """Return a VGG19 down to its `convolutions`-th convolution; see `random_vgg`."""
    return random_vgg("vgg19", convolutions, seed, width)


def random_vgg(name, convolutions=None, seed=0, width=None):
    """Return a VGG with random weights of a size that keeps signals.

    width replaces the numbers of channels, 64 to 512, for speed.
    """
    random = np.random.default_rng(seed)
    shapes = list(vgg.kernel_shapes(name).items())[:convolutions]
    parameters, channels = {}, 3
    for layer, shape in shapes:
        filters = width or shape[3]
        w = random.standard_normal((3, 3, channels, filters)) * np.sqrt(2 / (9 * channels))
        parameters[layer] = (w.astype(np.float32), (0.1 * random.standard_normal(filters)).astype(np.float32))
        channels = filters
    layers = vgg.truncated_table(len(shapes), name)
    return Network(name, layers, parameters, vgg.OXFORD_PREPROCESSING, vgg.defaults(layers), {"made": "random"})


def arbitrary_style(seed=0, widths=(4, 6, 8), transform="adain"):
    """Return an untrained network that paints in any style, each a little otherwise."""
    random, encoder = np.random.default_rng(seed), load_network("distilled").astype("float32")
    if transform == "adain":
        network = adain_net.build(random, encoder, 8, widths)
    else:
        network = prediction_net.build(random, encoder, 8, widths, blocks=1)
    return ArbitraryStyle(style_predictor.with_predictor(network, random), {})
