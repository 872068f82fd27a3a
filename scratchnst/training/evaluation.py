"""Evaluate a network at style transfer: a judge, another network, compares its pictures with the judge's own.

Both networks make a picture of the same pair, as a transfer does by default, and the judge's features measure both::

    style distance of a layer     |G - A| / |A|      G, A: Gram matrices of the picture and of the style image, each
                                                     divided by its number of positions
    content distance of a layer   |F - P| / |P|      F, P: features of the picture and of the content image

A network's style score is its style distance divided by that of the judge's own picture, averaged over the judge's
style layers: 1 is as near to the style as the judge's own picture.  Its content score is the same of content distances.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scratchnst import images
from scratchnst.arrays import Array
from scratchnst.losses import gram
from scratchnst.models.network import Network
from scratchnst.transfer.objective import KEEP, STYLE_FITS, Objective, fit_style
from scratchnst.transfer.scales import automatic_shapes, stylize_by_scales
from scratchnst.transfer.settings import Settings
from scratchnst.transfer.stylize import MARGIN, Stylized


@dataclass(frozen=True)
class Verdict:
    """The evaluation of one pair.

    Attributes
    ----------
    style_ratios : layer -> the network's style distance over the judge's own
    style : their mean
    content_ratio : content distance of the network's picture over that of the judge's own
    content, own_content : content distance of the network's picture and of the judge's own
    result, own_result : the results of both runs
    """

    style_ratios: dict[str, float]
    content: float
    own_content: float
    result: Stylized
    own_result: Stylized

    @property
    def style(self) -> float:
        """The mean of the ratios."""
        return float(np.mean(list(self.style_ratios.values())))

    @property
    def content_ratio(self) -> float:
        """How many times as far from the content the network's picture is."""
        return self.content / self.own_content


def judge(
    network: Network,
    by: Network,
    content: Array,
    style: Array,
    iterations: int = Settings.iterations,
    on_step: Callable | None = None,
    style_fit: str = KEEP,
) -> Verdict:
    """Transfer `style` to `content` with `network` and with `by`, and measure both pictures with `by`.

    Parameters
    ----------
    network, by : the network to be evaluated and the judge
    content, style : images (H, W, 3), RGB 0-255; the style is scaled to the content's size, see `fit_style`
    iterations : of each run, of all scales together
    on_step : called with the Iterate of every step of both runs
    style_fit : as for `fit_style`
    """
    results = [_transfer(one, content, style, iterations, on_step, style_fit) for one in (network, by)]
    height, width, _ = content.shape
    scaled = fit_style(style, height, width, style_fit)
    theirs, own = (style_distances(by, result.image, scaled) for result in results)
    contents = [content_distance(by, result.image, content) for result in results]
    ratios = {layer: theirs[layer] / own[layer] for layer in own}
    return Verdict(ratios, contents[0], contents[1], results[0], results[1])


def _transfer(network, content, style, iterations, on_step, style_fit):
    """The end of a transfer with the program's defaults: from the content image, coarse to fine."""

    def objective_at(height, width):
        canvas = images.extend(images.resize(content, height, width), MARGIN)
        return Objective(network, canvas, [style], normalized=True, style_fit=style_fit)

    def check(height, width):
        network.check_size(height, width, [*network.defaults.content_layers, *network.defaults.style_layers])
        network.check_size(*STYLE_FITS[style_fit](style.shape, height, width), network.defaults.style_layers)

    height, width, _ = content.shape
    shapes = automatic_shapes(height, width, check)
    return stylize_by_scales(objective_at, shapes, "content", iterations=iterations, margin=MARGIN, on_step=on_step)


def style_distances(by: Network, picture: Array, style: Array) -> dict[str, float]:
    """Return layer -> |G - A| / |A| at the style layers of `by`, of Gram matrices for a position."""
    layers = list(by.defaults.style_layers)
    F, S = (_features(by, image, layers) for image in (picture, style))
    return {layer: _relative_distance(_mean_gram(F[layer]), _mean_gram(S[layer])) for layer in layers}


def content_distance(by: Network, picture: Array, content: Array) -> float:
    """Return |F - P| / |P|, averaged over the content layers of `by`."""
    layers = list(by.defaults.content_layers)
    F, P = (_features(by, image, layers) for image in (picture, content))
    return float(np.mean([_relative_distance(F[layer], P[layer]) for layer in layers]))


def _features(network, image, layers):
    engine = network.engine
    features, _ = network.forward(engine.asarray(np.asarray(image, np.float32)[np.newaxis]), layers)
    return {layer: engine.asnumpy(feature) for layer, feature in features.items()}


def _mean_gram(feature):
    return gram.forward(feature)[0] / math.prod(feature.shape[1:3])


def _relative_distance(a, b):
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))
