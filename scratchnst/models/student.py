"""The student: VGG19 down to conv5_1, the last layer that the paper's losses read, with fewer channels.

    conv1_1 conv1_2 pool1           24 channels instead of 64
    conv2_1 conv2_2 pool2           48 instead of 128
    conv3_1 ... conv3_4 pool3       96 instead of 256
    conv4_1 ... conv4_4 pool4      136 instead of 512
    conv5_1                        136 instead of 512

Beside the chain, 1x1 filters without a ReLU say what the teacher sees at its layer of that name: `like_conv1_1`,
`like_conv2_1`, `like_conv3_1`, `like_conv4_1`, `like_conv4_2` and `like_conv5_1`.  The losses read these.
"""

from __future__ import annotations

import numpy as np

from scratchnst.models.layers import Layer
from scratchnst.models.network import Defaults, Network, Preprocessing
from scratchnst.models.vgg import CHANNELS_PER_BLOCK

LIKE = "like_"
CHANNELS = (24, 48, 96, 136, 136)
CONVOLUTIONS = (2, 2, 4, 4, 1)
# Layer of the teacher -> numbers a pixel that the student says of it.
AXES = {"conv1_1": 16, "conv2_1": 48, "conv3_1": 80, "conv4_1": 96, "conv4_2": 128, "conv5_1": 96}
# Content layer beside VGG19's own: details of conv4_2 that the student misses show there.  Its weight, and those of the
# style losses beside VGG19's own, were found by measuring pictures.
CONTENT_FACTORS = {"conv3_1": 0.8}
STYLE_FACTORS = {"conv1_1": 4.0, "conv2_1": 1.5, "conv3_1": 1.0, "conv4_1": 1.0, "conv5_1": 1.0}
PREPROCESSING = Preprocessing("RGB", 1 / 255, (0.45, 0.45, 0.45), (0.25, 0.25, 0.25))  # a spread of about 1


def likeness(layer: str) -> str:
    """Return the name of the student's layer that says what the teacher sees at `layer`."""
    return f"{LIKE}{layer}"


def is_like(layer: str) -> bool:
    """Return whether that is the name of such a layer."""
    return layer.removeprefix(LIKE) in AXES and layer.startswith(LIKE)


def style_share(layer: str) -> float:
    """Return what a style loss at a layer is to be multiplied by, so that it counts as VGG19's own there: 1 for others.

    Equation 4 divides by the square of the number of channels, of which such a layer has fewer.
    """
    if not is_like(layer):
        return 1.0
    name = layer.removeprefix(LIKE)
    return (AXES[name] / CHANNELS_PER_BLOCK[int(name[4]) - 1]) ** 2 * STYLE_FACTORS.get(name, 1.0)


def build(random: np.random.Generator, defaults: Defaults) -> Network:
    """Return an untrained student: filters as large as keep the features' size through ReLUs (He et al., ICCV 2015)."""
    layers, parameters, depth = [], {}, 3
    sources: tuple[str, ...] = ()

    def convolution(name, kind, side, channels):
        layers.append(Layer(name, kind, sources))
        spread = np.sqrt((2 if kind == "conv" else 1) / (side * side * depth))
        w = spread * random.standard_normal((side, side, depth, channels))
        parameters[name] = w.astype(np.float32), np.zeros(channels, np.float32)

    for block, (count, channels) in enumerate(zip(CONVOLUTIONS, CHANNELS), start=1):
        for number in range(1, count + 1):
            name = f"conv{block}_{number}"
            convolution(name, "conv", 3, channels)
            sources, depth = (name,), channels
            if name in AXES:
                convolution(likeness(name), "linear", 1, AXES[name])
        if block < len(CHANNELS):
            layers.append(Layer(f"pool{block}", "pool", sources))
            sources = (f"pool{block}",)
    return Network("distilled", tuple(layers), parameters, PREPROCESSING, defaults, normalized=True)
