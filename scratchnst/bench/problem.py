"""The task that all contenders do: loss and gradient of the paper's objective, VGG19 down to conv5_1.

Weights are random, since time and memory do not depend on them.  They keep the size of activations from layer to layer
(K. He et al., "Delving Deep into Rectifiers", ICCV 2015), about 1 as in a normalised network, for which the default
weights of the losses are made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import psutil

from scratchnst.arrays import Array
from scratchnst.bench.names import EMULATED
from scratchnst.engine import Engine, cpu
from scratchnst.errors import UserError
from scratchnst.images import samples
from scratchnst.models import vgg
from scratchnst.models.network import Network
from scratchnst.transfer.objective import Objective
from scratchnst.transfer.stylize import NOISE_MEAN, NOISE_STD

CONVOLUTIONS = 13  # down to conv5_1
DRAWN = 128  # pixels, the side of the sample pictures before they are resized: drawing large ones takes long
CHANNELS = vgg.CHANNELS_PER_BLOCK[0]
NARROWER = 16  # times, with an emulated device
WARM_UP = 3  # iterations of a run that is not timed, before one on a GPU


@dataclass(frozen=True)
class Problem:
    """A network, the two pictures and the white noise to start from, each (H, W, 3), float32, RGB 0-255."""

    network: Network
    content: Array
    style: Array
    start: Array


def make(size: int, seed: int = 0, device: str = "cpu") -> Problem:
    """Return the problem on images of `size` x `size` pixels; the same seed makes the same problem.

    Where `device` is emulated, the network has fewer channels.
    """
    content, style = (image.astype(np.float32) for image in samples.draw_pair(size, DRAWN, seed))
    network = random_network(seed, NARROWER) if device == EMULATED else random_network(seed)
    return Problem(network, content, style, noise(size, seed))


def objective(problem: Problem, engine: Engine = cpu, dtype: str = "float32") -> Objective:
    """Return the problem as this package states it; like the paper's, it has no total variation."""
    return Objective(problem.network.on(engine), problem.content, [problem.style], tv_weight=0.0, dtype=dtype)


def noise(size: int, seed: int) -> Array:
    """Return white noise to start from."""
    return NOISE_MEAN + NOISE_STD * np.random.default_rng(seed).standard_normal((size, size, 3), np.float32)


def random_network(seed: int = 0, narrower: int = 1) -> Network:
    """Return VGG19 down to conv5_1 with random weights in float32, no biases, and `narrower` times fewer channels."""
    random = np.random.default_rng(seed)
    layers, parameters, shapes = vgg.truncated_table(CONVOLUTIONS), {}, vgg.kernel_shapes()
    for layer in layers:
        if layer.name in shapes:
            *_, channels, outputs = shapes[layer.name]
            channels, outputs = channels if channels == 3 else channels // narrower, outputs // narrower
            w = random.standard_normal((3, 3, channels, outputs), np.float32)
            w *= np.float32(np.sqrt(2 / (9 * channels)) / (255 / 4 if channels == 3 else 1))  # a pixel's size is 255/4
            parameters[layer.name] = w, np.zeros(outputs, np.float32)
    return Network("random vgg19", layers, parameters, vgg.OXFORD_RGB, vgg.defaults(layers))


def check(size: int, device: str = "cpu") -> None:
    """Raise a UserError if images of `size` x `size` pixels are too small for the network or too large for the machine.

    Every contender needs at least the memory of conv1_2's input and output.  A GPU's memory is not checked: contenders
    that find it too small are lost, and the others measured.
    """
    defaults = (network := random_network()).defaults
    network.check_size(size, size, [*defaults.content_layers, *defaults.style_layers])
    if device != "cpu":
        return
    needed = 2 * CHANNELS * np.dtype(np.float32).itemsize * size**2
    there = psutil.virtual_memory().total
    if needed > there:
        raise UserError(
            f"images of {size}x{size} pixels need more than {needed / 1e9:.0f} GB of memory, "
            f"and this machine has {there / 1e9:.0f} GB: take smaller ones."
        )
