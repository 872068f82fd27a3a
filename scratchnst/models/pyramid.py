r"""The filter pyramid: a network made from a seed, with nothing to download and nothing to train.

    image ------ smooth1, pool1 ------ smooth2, pool2          the image at full, half and quarter size
      |                |                     |
    colour1          colour2               colour3             1x1 filters: which colours there are
    edges1           edges2                edges3              3x3 filters of the image: first order
    strokes1         strokes2              strokes3            3x3 filters of pooled edges: second order
    forms1           forms2                forms3              3x3 filters of pooled strokes: third order

Gram matrices of random filters on several scales make textures (I. Ustyuzhaninov, W. Brendel, L. Gatys, M.
Bethge, "What does it take to generate natural textures?", ICLR 2017), as the statistics of filter pyramids
did before them (D. Heeger, J. Bergen, SIGGRAPH 1995; J. Portilla, E. Simoncelli, IJCV 2000). These choices
were made by looking at pictures and by measuring them with the genuine VGG19:

* Small positive biases. Normalisation divides a filter by its mean activation, so one that is hardly ever
  active, as negative biases make some, gets an enormous gain, and the run ends in noise. A filter without a
  mean answers u with mean 0 but for the borders, and mean relu(u + b) >= relu(mean u + b) = b (Jensen): its
  gain is at most 1 / b.
* Mirrored pairs w, -w, since a ReLU shows one half of what a filter sees: bright lines apart from dark ones.
* No mean, in each channel, but for `colour`: edges, which hold the content, leave its colours free for the
  style's.
* Second and third order: where edges go on is what makes strokes out of dots. Pooling before each widens
  their view at a quarter of the cost (J. Bruna, S. Mallat, "Invariant scattering convolution networks", PAMI
  2013).
* Smoothing before each pool of the image: a 2x2 mean alone hands the same gradient to whole squares of
  pixels; with the binomial filter its weights become 1 3 3 1, which fade into each other (P. Burt, E.
  Adelson, "The Laplacian pyramid as a compact image code", 1983).
* Three levels: the third order on the last one sees squares of about 75 pixels of the image.
* Content by the second order: at half and quarter size, whose coarse edges also keep the sky even; very
  little at full size, so that fine strokes are the style's.
"""

from __future__ import annotations

import numpy as np

from scratchnst.models.layers import IMAGE, Layer
from scratchnst.models.network import Defaults, Network, Preprocessing

COLOURS = 16  # filters of each kind on a level
EDGES = (24, 32, 48)  # level by level: few where there are many pixels
STROKES = 48
FORMS = 96

COLOUR_BIAS = 0.5  # pixels have a spread of about 1, the colours' kinks lie where pixels are
BIAS = 0.05
BINOMIAL = (0.25, 0.5, 0.25)

STYLE_SHARES = {"colour": 1.0, "edges": 1.0, "strokes": 1.0, "forms": 2.0}  # of each level
CONTENT_LAYERS = {"strokes1": 0.02, "strokes2": 0.7, "strokes3": 0.7}
CONTENT_WEIGHT_PER_FEATURE = 4e-3
TV_WEIGHT_PER_PIXEL = 3e-7  # a little, against speckle

# Pixels about zero with a spread of about 1: (x/255 - 0.45) * 4.  The zeros beyond the border are mid-grey.
PREPROCESSING = Preprocessing("RGB", 1 / 255, (0.45, 0.45, 0.45), (0.25, 0.25, 0.25))


def build(seed: int = 0) -> Network:
    """Return the filter pyramid whose filters are drawn with `seed`."""
    random = np.random.default_rng(seed)
    layers, parameters = [], {}

    def add(name, kind, source, weights=None):
        layers.append(Layer(name, kind, (source,) if source else ()))
        if weights:
            parameters[name] = weights
        return name

    source = IMAGE
    for level, edges in enumerate(EDGES, start=1):
        if level > 1:
            smooth = add(f"smooth{level - 1}", "linear", source, smoothing())
            source = add(f"pool{level - 1}", "pool", smooth)
        add(f"colour{level}", "conv", source, filters(random, (1, 1, 3, COLOURS), COLOUR_BIAS))
        add(f"edges{level}", "conv", source, filters(random, (3, 3, 3, edges), BIAS))
        add(f"edges{level}_pool", "pool", f"edges{level}")
        add(f"strokes{level}", "conv", None, filters(random, (3, 3, edges, STROKES), BIAS))
        add(f"strokes{level}_pool", "pool", None)
        add(f"forms{level}", "conv", None, filters(random, (3, 3, STROKES, FORMS), BIAS))
    provenance = {"made from seed": seed}
    return Network("pyramid", tuple(layers), parameters, PREPROCESSING, defaults(), provenance)


def defaults() -> Defaults:
    """Return the layers and weights that suit the pyramid; the style's add up to 1."""
    levels = range(1, len(EDGES) + 1)
    total = len(levels) * sum(STYLE_SHARES.values())
    style = {f"{kind}{level}": share / total for level in levels for kind, share in STYLE_SHARES.items()}
    return Defaults(CONTENT_LAYERS, style, CONTENT_WEIGHT_PER_FEATURE, tv_weight_per_pixel=TV_WEIGHT_PER_PIXEL)


def filters(random: np.random.Generator, shape: tuple[int, int, int, int], bias: float) -> tuple:
    """Return random kernels (kh, kw, C, K), K even, and biases (K,).

    Kernels have length 1, and the second half mirrors the first.  Where a kernel is larger than 1x1 it has no
    mean in any channel.
    """
    height, width, channels, count = shape
    w = random.standard_normal((height, width, channels, count // 2))
    if height * width > 1:
        w -= w.mean(axis=(0, 1))
    w /= np.sqrt((w**2).sum(axis=(0, 1, 2)))
    w = np.concatenate([w, -w], axis=3)
    return w.astype(np.float32), np.full(count, bias, np.float32)


def smoothing() -> tuple[np.ndarray, np.ndarray]:
    """Return the binomial kernel (3, 3, 3, 3) that smooths each channel by itself, and zero biases."""
    kernel = np.outer(BINOMIAL, BINOMIAL)[:, :, np.newaxis, np.newaxis] * np.eye(3)
    return kernel.astype(np.float32), np.zeros(3, np.float32)
