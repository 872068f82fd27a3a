"""The transform network: one pass through it paints a photograph in a style that it was trained for.

    layer                          kind of row            side of its features, and channels for widths (16, 32, 64)
    conv1, norm1                   reflected, norm_relu   1       16      kernels of END x END pixels
    conv2, norm2                   strided, norm_relu     1/2     32
    conv3, norm3                   strided, norm_relu     1/4     64
    block1_conv1, block1_norm1     reflected, norm_relu   1/4     64
    block1_conv2, block1_norm2     reflected, norm        1/4     64
    block1                         add                    1/4     64      block1_norm2 + norm3: a residual block
    ... block4                                            1/4     64
    conv4, norm4                   upsampled, norm_relu   1/2     32
    conv5, norm5                   upsampled, norm_relu   1       16
    output                         reflected              1       3       kernels of END x END pixels, no ReLU

J. Johnson, A. Alahi, L. Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016, with
the instance normalisation of D. Ulyanov, A. Vedaldi, V. Lempitsky (arXiv 1607.08022), whose scale and shift are chosen
by the style (V. Dumoulin, J. Shlens, M. Kudlur, ICLR 2017), and with nearest upsampling and a convolution in place of
the transposed convolution (A. Odena, V. Dumoulin, C. Olah, Distill 2016).

One network holds S styles: scale and shift of each of its norms are (S, C), a row a style, and all else is shared.
`with_styles` makes of them a row for each image of a batch, or a mixture of rows.

The output is linear: `to_picture` makes pixel values of it, by the numbers that the preprocessing subtracts and
divides by.  A convolution in front of a norm keeps its bias at zero: the norm would subtract it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scratchnst.arrays import Array
from scratchnst.models.layers import Layer
from scratchnst.models.network import Defaults, Network, Preprocessing

WIDTHS = (16, 32, 64)
BLOCKS = 4
END = 5  # pixels of the sides of the first and the last kernel
OUTPUT = "output"
MEAN, SPREAD = 0.45 * 255, 0.25 * 255  # about those of photographs
STRIDE = 4  # the sides of what it paints are multiples of it
SMALLEST_SIDE = 8  # of a picture, in pixels: a quarter of it can still be reflected
FIRST_OUTPUT = 0.5  # the output's first kernel, as part of what keeps a spread of 1
NORMS = ("norm", "norm_relu")
PAINTING = (*NORMS, "reflected", "strided", "upsampled")


def build(
    random: np.random.Generator, styles: int = 1, widths: Sequence[int] = WIDTHS, blocks: int = BLOCKS
) -> Network:
    """Return an untrained network for so many styles, with kernels after He et al. (ICCV 2015).

    Parameters
    ----------
    random : of the kernels
    styles : S, rows of each norm's scale and shift
    widths : channels at the full, half and quarter side
    blocks : residual blocks
    """
    layers: list[Layer] = []
    parameters: dict[str, tuple[Array, ...]] = {}
    wide, middle, narrow = widths

    def convolution(name: str, kind: str, side: int, depth: int, channels: int) -> None:
        layers.append(Layer(name, kind))
        w = np.sqrt(2 / (side * side * depth)) * random.standard_normal((side, side, depth, channels))
        parameters[name] = w.astype(np.float32), np.zeros(channels, np.float32)

    def norm(name: str, kind: str, channels: int) -> None:
        layers.append(Layer(name, kind))
        parameters[name] = np.ones((styles, channels), np.float32), np.zeros((styles, channels), np.float32)

    def unit(number: int, kind: str, side: int, depth: int, channels: int) -> None:
        convolution(f"conv{number}", kind, side, depth, channels)
        norm(f"norm{number}", "norm_relu", channels)

    unit(1, "reflected", END, 3, wide)
    unit(2, "strided", 3, wide, middle)
    unit(3, "strided", 3, middle, narrow)
    for number in range(1, blocks + 1):
        name, source = f"block{number}", layers[-1].name
        convolution(f"{name}_conv1", "reflected", 3, narrow, narrow)
        norm(f"{name}_norm1", "norm_relu", narrow)
        convolution(f"{name}_conv2", "reflected", 3, narrow, narrow)
        norm(f"{name}_norm2", "norm", narrow)
        layers.append(Layer(name, "add", (f"{name}_norm2", source)))
    unit(4, "upsampled", 3, narrow, middle)
    unit(5, "upsampled", 3, middle, wide)
    convolution(OUTPUT, "reflected", END, wide, 3)
    w, b = parameters[OUTPUT]
    parameters[OUTPUT] = FIRST_OUTPUT * w, b
    preprocessing = Preprocessing("RGB", 1.0, (MEAN,) * 3, (SPREAD,) * 3)
    return Network("transform_net", tuple(layers), parameters, preprocessing, Defaults({}, {}, 0.0))


def paints(network: Network) -> bool:
    """Return whether a network has layers that are only there to paint, so that no loss can be made of its features."""
    return any(layer.kind in PAINTING for layer in network.layers)


def is_transform_net(network: Network) -> bool:
    """Return whether a network is one that `build` makes, whatever its parameters."""
    if not {"conv1", "conv2", "conv3", "norm1"} <= network.parameters.keys():
        return False
    styles, widths = number_of_styles(network), [network.parameters[f"conv{n}"][0].shape[-1] for n in (1, 2, 3)]
    blocks = sum(layer.kind == "add" for layer in network.layers)
    like = build(np.random.default_rng(0), styles, widths, blocks)
    return network.preprocessing == like.preprocessing and is_like(network, like)


def is_like(network: Network, like: Network) -> bool:
    """Return whether a network has the layers of another, and parameters of their shapes."""
    return network.layers == like.layers and all(
        [array.shape for array in arrays] == [array.shape for array in network.parameters.get(name, ())]
        for name, arrays in like.parameters.items()
    )


def norms(network: Network) -> list[str]:
    """Return the names of the norms."""
    return [layer.name for layer in network.layers if layer.kind in NORMS]


def learnt(network: Network) -> dict[str, tuple[bool, ...]]:
    """Return layer -> which of its parameters are learnt: all but the biases in front of norms."""
    readers = {source: layer.kind for layer in network.layers for source in network.sources()[layer.name]}
    return {
        name: (True, readers.get(name) not in NORMS) if name not in norms(network) else (True, True)
        for name in network.parameters
    }


def number_of_styles(network: Network) -> int:
    """Return S."""
    return len(network.parameters[norms(network)[0]][0])


def with_styles(network: Network, mixture: Array) -> Network:
    """Return the network with other styles, each a mixture of its own, `mixture` (others, S).

    With a row an image of a batch, (N, S), it is the network that paints each image in its mixture.
    """
    rows = {
        name: tuple((mixture @ array).astype(array.dtype) for array in network.parameters[name])
        for name in norms(network)
    }
    return replace(network, parameters={**network.parameters, **rows})


def of_styles(network: Network, grad_parameters: dict[str, tuple[Array, ...]], mixture: Array) -> dict:
    """Return the gradients by the (S, C) arrays of the norms in place of those by the (N, C) arrays of `with_styles`.

    These are mixture @ array, so that dL/darray = mixture^T dL/d(mixture @ array).
    """
    rows = {
        name: tuple((mixture.T @ gradient).astype(gradient.dtype) for gradient in grad_parameters[name])
        for name in norms(network)
    }
    return {**grad_parameters, **rows}


def of_mixture(network: Network, grad_parameters: dict[str, tuple[Array, ...]]) -> Array:
    """Return dL/dmixture (N, S), from the gradients by the (N, C) arrays of `with_styles`: mixture @ array."""
    return sum(
        gradient @ array.T
        for name in norms(network)
        for gradient, array in zip(grad_parameters[name], network.parameters[name])
    )


def to_picture(output: Array) -> Array:
    """Return pixel values, about 0-255, of the network's output (N, H, W, 3)."""
    return output * output.dtype.type(SPREAD) + output.dtype.type(MEAN)


def of_picture(picture: Array) -> Array:
    """Return the output for which `to_picture` returns these pixel values."""
    return (picture - picture.dtype.type(MEAN)) / picture.dtype.type(SPREAD)


def to_output(grad_picture: Array) -> Array:
    """Return dL/doutput from dL/dpicture: the adjoint of `to_picture`."""
    return grad_picture * grad_picture.dtype.type(SPREAD)
