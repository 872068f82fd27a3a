"""A network that paints in any style: a transform network, each of whose norms is chosen by the style.

    layer                          kind of row            side of its features
    conv1_1 ... ENCODED            conv, pool             1 to 1/4  the encoder's, as they are; they see the style
    conv1, norm1 ... conv5, norm5                                   as in `scratchnst.models.transform_net`
    conv6                          reflected              1         3 channels, no ReLU
    output                         norm                   1         its rows are moments of the style's pixels

G. Ghiasi, H. Lee, M. Kudlur, V. Dumoulin, J. Shlens, "Exploring the structure of a real-time, arbitrary neural artistic
stylization network", BMVC 2017.  There the encoder is Inception v3, and the rows of the last norm are predicted, too.

The photograph is not seen by the encoder.  conv1 reads it, and what is painted needs no row of the encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scratchnst.models import style_encoder, transform_net
from scratchnst.models.layers import IMAGE, Layer
from scratchnst.models.network import Network
from scratchnst.models.transform_net import BLOCKS, OUTPUT

WIDTHS = (20, 40, 80)
LAST = "conv6"  # the convolution in front of the output's norm


def build(
    random: np.random.Generator,
    encoder: Network,
    styles: int,
    widths: Sequence[int] = WIDTHS,
    blocks: int = BLOCKS,
) -> Network:
    """Return a network whose transform network is untrained.

    Parameters
    ----------
    random, styles, widths, blocks : see `transform_net.build`
    encoder : a network like VGG19, or the distilled one, normalised

    Raises
    ------
    UserError
        If the encoder has no such layers, or is not normalised.
    """
    layers, parameters = style_encoder.rows(encoder)
    painting = transform_net.build(random, styles, widths, blocks)
    first, *middle, last = painting.layers
    layers += [replace(first, sources=(IMAGE,)), *middle, replace(last, name=LAST), Layer(OUTPUT, "norm")]
    parameters |= painting.parameters
    parameters[LAST] = parameters[OUTPUT]
    parameters[OUTPUT] = np.ones((styles, 3), np.float32), np.zeros((styles, 3), np.float32)
    return replace(
        encoder,
        name="prediction_net",
        layers=tuple(layers),
        parameters=parameters,
        defaults=painting.defaults,
        provenance={},
    )


def is_prediction_net(network: Network) -> bool:
    """Return whether a network is one that `build` makes, whatever its parameters, with a predictor."""
    known = {style_encoder.ENCODED, "conv1", "conv2", "conv3", "conv6", "norm1", *style_encoder.PREDICTOR}
    if not known <= network.parameters.keys() or not network.normalized:
        return False
    widths = [network.parameters[f"conv{n}"][0].shape[-1] for n in (1, 2, 3)]
    blocks = sum(layer.kind == "add" for layer in network.layers)
    styles = transform_net.number_of_styles(network)
    like = build(np.random.default_rng(0), style_encoder.of(network), styles, widths, blocks)
    return transform_net.is_like(network, like)
