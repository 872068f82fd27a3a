"""A network that paints in any style: the features of an encoder, normalised as a style's are, and a decoder.

    layer                          kind of row            side of its features, and channels for widths (24, 48, 96)
    conv1_1 ... ENCODED            conv, pool             1 to 1/4  the encoder's, as they are
    adain                          norm                   1/4       the encoder's; its rows are moments of the style
    conv1, norm1                   reflected, norm_relu   1/4     96
    conv2, norm2                   reflected, norm_relu   1/4     48
    conv3, norm3                   upsampled, norm_relu   1/2     48
    conv4, norm4                   reflected, norm_relu   1/2     24
    conv5, norm5                   upsampled, norm_relu   1       24
    conv6, norm6                   reflected, norm_relu   1       24
    conv7                          reflected              1        3      no ReLU
    output                         norm                   1        3      its rows are moments of the style's pixels

X. Huang, S. Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", ICCV 2017, whose
decoder mirrors the encoder and has no norms.  Here each of its layers is normalised, with a scale and a shift that
`scratchnst.models.style_predictor` chooses by the style; of the last one, which gives the colours, they are computed.

Rows of norms, mixtures of them, and pixel values of the output are as in `scratchnst.models.transform_net`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.models import style_encoder, transform_net
from scratchnst.models.layers import Layer
from scratchnst.models.network import Defaults, Network
from scratchnst.models.style_encoder import ENCODED, PREDICTOR
from scratchnst.models.transform_net import OUTPUT, number_of_styles

ADAIN = "adain"  # the norm behind the encoder
WIDTHS = (24, 48, 96)
SIDE = 3  # pixels of a kernel
MARGIN = 16  # pixels around a picture, see `with_margin`


def build(random: np.random.Generator, encoder: Network, styles: int, widths: Sequence[int] = WIDTHS) -> Network:
    """Return a network with an untrained decoder, with kernels after He et al. (ICCV 2015).

    Parameters
    ----------
    random : of the kernels
    encoder : a network like VGG19, or the distilled one, normalised
    styles : rows of each norm's scale and shift
    widths : the decoder's channels at the full, half and quarter side

    Raises
    ------
    UserError
        If the encoder has no such layers, or is not normalised.
    """
    layers, parameters = style_encoder.rows(encoder)
    depth = len(encoder.parameters[ENCODED][1])
    layers.append(Layer(ADAIN, "norm", (ENCODED,)))
    parameters[ADAIN] = np.zeros((styles, depth), np.float32), np.zeros((styles, depth), np.float32)

    def convolution(name: str, kind: str, channels: int) -> None:
        nonlocal depth
        layers.append(Layer(name, kind))
        w = np.sqrt(2 / (SIDE * SIDE * depth)) * random.standard_normal((SIDE, SIDE, depth, channels))
        parameters[name] = w.astype(np.float32), np.zeros(channels, np.float32)
        depth = channels

    wide, middle, narrow = widths
    units = (("reflected", narrow), ("reflected", middle), ("upsampled", middle), ("reflected", wide))
    for number, (kind, channels) in enumerate((*units, ("upsampled", wide), ("reflected", wide)), start=1):
        convolution(f"conv{number}", kind, channels)
        layers.append(Layer(f"norm{number}", "norm_relu"))
        parameters[f"norm{number}"] = np.ones((styles, channels), np.float32), np.zeros((styles, channels), np.float32)
    convolution("conv7", "reflected", 3)
    layers.append(Layer(OUTPUT, "norm"))
    parameters[OUTPUT] = np.ones((styles, 3), np.float32), np.zeros((styles, 3), np.float32)
    defaults = Defaults({}, {}, 0.0)
    return Network(
        "adain_net", tuple(layers), parameters, encoder.preprocessing, defaults, {}, encoder.pooling, normalized=True
    )


def with_margin(images: Array) -> Array:
    """Return images (N, H, W, C) continued by reflection, MARGIN pixels to each side.

    The encoder pads with zeros, as VGG19 does, and sees a frame where a picture ends.  It is in what is cut off again.
    """
    around = (MARGIN, MARGIN)
    return array_module(images).pad(images, ((0, 0), around, around, (0, 0)), mode="reflect")


def without_margin(images: Array) -> Array:
    """Return images without the margin."""
    return images[:, MARGIN:-MARGIN, MARGIN:-MARGIN]


def margin_of_zeros(grad_images: Array) -> Array:
    """Return the gradient by images with a margin from that by images without: the adjoint of `without_margin`."""
    around = (MARGIN, MARGIN)
    return array_module(grad_images).pad(grad_images, ((0, 0), around, around, (0, 0)))


def is_adain_net(network: Network) -> bool:
    """Return whether a network is one that `build` makes, whatever its parameters."""
    if not {ENCODED, ADAIN, "conv1", "conv2", "conv6", "norm1"} <= network.parameters.keys() or not network.normalized:
        return False
    if number_of_styles(network) > 1 and not network.parameters.keys() >= set(PREDICTOR):
        return False
    widths = [network.parameters[f"conv{n}"][0].shape[-1] for n in (6, 2, 1)]
    like = build(np.random.default_rng(0), style_encoder.of(network), number_of_styles(network), widths)
    return transform_net.is_like(network, like)


def has_margin(network: Network) -> bool:
    """Return whether a network paints by what its encoder sees of the photograph, so that it needs a margin."""
    return ADAIN in network.parameters
