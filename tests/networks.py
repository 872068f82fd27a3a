"""Networks with random weights, for tests that need no genuine ones."""

from __future__ import annotations

import numpy as np

from scratchnst import vgg19
from scratchnst.network import Network


def random_vgg19(convolutions=16, seed=0, width=None):
    """Return a VGG19 down to its `convolutions`-th convolution, its weights random and of a size that keeps signals.

    width replaces the numbers of channels, 64 to 512, for speed.
    """
    random = np.random.default_rng(seed)
    parameters, channels = {}, 3
    for name, shape in list(vgg19.kernel_shapes().items())[:convolutions]:
        filters = width or shape[3]
        w = random.standard_normal((3, 3, channels, filters)) * np.sqrt(2 / (9 * channels))
        parameters[name] = (w.astype(np.float32), (0.1 * random.standard_normal(filters)).astype(np.float32))
        channels = filters
    layers = vgg19.truncated_table(convolutions)
    return Network("vgg19", layers, parameters, vgg19.OXFORD_PREPROCESSING, vgg19.defaults(layers), {"made": "random"})
