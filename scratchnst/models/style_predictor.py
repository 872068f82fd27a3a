r"""The style predictor: from what a picture looks like to the style in which a transform network paints like it.

`scratchnst.models.transform_net` holds K styles, a row a style in each of its norms, and paints in any mixture of them.
With a predictor the rows are no styles of their own but what all styles are mixed of, and the mixture of a picture that
was never seen before is computed.  Let z (N, D) be the statistics of N pictures: of each channel of some layers of an
encoder, the mean and the logarithm of the deviation, see `statistics`.  Then ::

    h = max(0, z U + a),   m = h V + b                                                             (a)
    scale = m S,   shift = m T          at each norm, S and T (K, C) its rows                      (b)

Derivation of ``backward``.  (b) is linear in m, and m has a part in every norm::

    dL/dm = sum over norms of  dL/dscale S^T + dL/dshift T^T                                       (c)

which `transform_net.of_styles` adds up beside dL/dS = m^T dL/dscale.  (a) is two 1x1 convolutions of a picture of one
pixel with D channels, the first with a ReLU: their own pages lead from dL/dm to dL/dV, dL/db, dL/dU and dL/da.

The predictor's arrays are parameters of the network, under the names HIDDEN and CODE, which are no layers.

G. Ghiasi, H. Lee, M. Kudlur, V. Dumoulin, J. Shlens, "Exploring the structure of a real-time, arbitrary neural artistic
stylization network", BMVC 2017, arXiv 1705.06830.  There a network predicts all rows (b) of a picture, from its
features in Inception v3 averaged over positions, by way of 100 numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.errors import UserError
from scratchnst.models import transform_net
from scratchnst.models.network import Network

HIDDEN, CODE = "style_hidden", "style_code"
LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv3_4")  # of the encoder
UNITS = 128  # of the hidden layer
STYLES = 64  # K
FIRST_SPREAD = 0.05  # of the rows before training
EPSILON = 1e-5  # of the variance, as in `scratchnst.ops.instance_norm`
LARGEST = 3.0  # statistic: those of pictures that are grey or black are far from all others


def statistics(encoder: Network, pictures: Array, layers: Sequence[str] = LAYERS) -> np.ndarray:
    """Return z (N, D) float32: mean - 1 and the logarithm of the deviation of each channel at some layers.

    Parameters
    ----------
    encoder : normalised, so that a channel's mean is about 1 in usual pictures
    pictures : (N, H, W, 3) array of its engine, RGB 0-255
    layers : of it
    """
    features = encoder.features(pictures, layers)
    found = [each for name in layers for each in _moments(features[name])]
    return encoder.engine.asnumpy(array_module(found[0]).concatenate(found, axis=1)).clip(-LARGEST, LARGEST)


def _moments(F):
    """The mean - 1 and the logarithm of the deviation of each channel, (N, C) each."""
    mean = F.mean(axis=(1, 2), dtype="float64")
    variance = ((F - mean[:, None, None]) ** 2).mean(axis=(1, 2))
    return (mean - 1).astype(F.dtype), (0.5 * array_module(F).log(variance + EPSILON)).astype(F.dtype)


def with_predictor(network: Network, inputs: int, random: np.random.Generator, units: int = UNITS) -> Network:
    """Return a transform network with an untrained predictor, which mixes all pictures alike at first.

    Parameters
    ----------
    network : with K styles in its norms
    inputs : D
    random : of the weights
    units : of the hidden layer
    """
    count = transform_net.number_of_styles(network)
    U = np.sqrt(2 / inputs) * random.standard_normal((1, 1, inputs, units))
    V = np.sqrt(1 / units) * random.standard_normal((1, 1, units, count))
    b = np.eye(count)[0]
    rows = {}
    for name in transform_net.norms(network):
        scale, shift = (FIRST_SPREAD * random.standard_normal(array.shape) for array in network.parameters[name])
        scale[0], shift[0] = 1, 0
        rows[name] = scale.astype(np.float32), shift.astype(np.float32)
    predictor = {
        HIDDEN: (U.astype(np.float32), np.zeros(units, np.float32)),
        CODE: (V.astype(np.float32), b.astype(np.float32)),
    }
    return replace(network, parameters={**network.parameters, **rows, **predictor})


def is_there(network: Network) -> bool:
    """Return whether a network has a predictor."""
    return HIDDEN in network.parameters


def without_predictor(network: Network) -> Network:
    """Return the network whose rows are styles of their own."""
    kept = {name: arrays for name, arrays in network.parameters.items() if name not in (HIDDEN, CODE)}
    return replace(network, parameters=kept)


def inputs(network: Network) -> int:
    """Return D, how many statistics the predictor of a network takes."""
    return network.parameters[HIDDEN][0].shape[2]


def check_encoder(network: Network, encoder: Network) -> None:
    """Raise a UserError unless an encoder gives as many statistics as the predictor of a network takes."""
    missing = [name for name in LAYERS if name not in encoder.parameters]
    given = 0 if missing else 2 * sum(len(encoder.parameters[name][1]) for name in LAYERS)
    if given != inputs(network):
        raise UserError(
            f"the encoder {encoder.name} gives {given} numbers of a style, but the network {network.name} was trained "
            f"on {inputs(network)}: give the encoder that it was trained with."
        )


def forward(network: Network, z: Array) -> tuple[Array, Any]:
    """Return the mixtures m (N, K) for statistics z (N, D), equation (a), and the cache of `backward`."""
    engine, pixel = network.engine, z[:, None, None]
    h, hidden_cache = engine.conv2d_relu.forward(pixel, *network.parameters[HIDDEN])
    m, code_cache = engine.conv2d.forward(h, *network.parameters[CODE])
    return m[:, 0, 0], (hidden_cache, code_cache)


def backward(network: Network, grad_m: Array, cache: Any) -> dict[str, tuple[Array, Array]]:
    """Return the gradients of the predictor's arrays from `grad_m` = dL/dm (N, K)."""
    hidden_cache, code_cache = cache
    grad_h, *grad_code = network.engine.conv2d.backward(grad_m[:, None, None], code_cache)
    grad_hidden = network.engine.conv2d_relu.backward_parameters(grad_h, hidden_cache)
    return {HIDDEN: tuple(grad_hidden), CODE: tuple(grad_code)}
