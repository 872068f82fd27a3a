"""The filter pyramid: a network made from a seed, with nothing to download and nothing to train.

    image -- pool1 -- pool2 -- pool3 -- pool4
      |        |        |        |        |
    level1   level2   level3   level4   level5        random 3x3 filters and a ReLU on each

Every level sees the image averaged to half the size of the one before.  Deep random networks transfer no style, but
the Gram matrices of random filters on several scales do: I. Ustyuzhaninov, W. Brendel, L. Gatys, M. Bethge, "What
does it take to generate natural textures?", ICLR 2017; before that, filter pyramids made textures for D. Heeger and
J. Bergen (1995) and J. Portilla and E. Simoncelli (2000).
"""

from __future__ import annotations

import numpy as np

from scratchnst.network import Defaults, Layer, Network, Preprocessing

LEVELS = 5
FILTERS = 128
SHARE_WITHOUT_MEAN = 0.7  # of the filters: these see edges and textures, the others brightness and colour as well
BIAS = 0.3

# Pixels about zero with a spread of about 1: (x/255 - 0.45) * 4.
PREPROCESSING = Preprocessing("RGB", 1 / 255, (0.45, 0.45, 0.45), (0.25, 0.25, 0.25))


def build(seed: int = 0, levels: int = LEVELS, filters: int = FILTERS) -> Network:
    """Return a filter pyramid of `levels` levels with `filters` random filters each."""
    random = np.random.default_rng(seed)
    layers, parameters = [], {}
    source = "image"
    for level in range(1, levels + 1):
        layers.append(Layer(f"level{level}", "conv", source))
        parameters[f"level{level}"] = _filters(random, filters)
        if level < levels:
            layers.append(Layer(f"pool{level}", "pool", source))
            source = f"pool{level}"
    style = {f"level{level}": 1 / levels for level in range(1, levels + 1)}
    defaults = Defaults({"level3": 1.0}, style, content_weight_per_pixel=1.5e-2)
    provenance = {"made from seed": seed, "levels": levels, "filters": filters}
    return Network("pyramid", tuple(layers), parameters, PREPROCESSING, defaults, provenance)


def _filters(random, count):
    """Random kernels (3, 3, 3, count) of length 1, most of them without a mean, and biases."""
    w = random.standard_normal((3, 3, 3, count))
    without_mean = random.random(count) < SHARE_WITHOUT_MEAN
    w -= w.mean(axis=(0, 1, 2)) * without_mean
    w /= np.sqrt((w**2).sum(axis=(0, 1, 2)))
    return w.astype(np.float32), (BIAS * random.standard_normal(count)).astype(np.float32)
