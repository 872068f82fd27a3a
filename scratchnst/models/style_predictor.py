r"""The style predictor: from what a picture looks like to the style in which a network paints like it.

`scratchnst.models.prediction_net` and `adain_net` hold K styles, a row a style in each of their norms, and paint in any
mixture of them.  With a predictor the rows are no styles of their own but what all styles are mixed of, and the mixture
of a picture that was never seen before is computed.  Let z (N, D) be the statistics of N pictures: of red, green and
blue, and of each channel of some layers of the network's encoder, the mean and the logarithm of the deviation, see
`statistics`.  Then ::

    h = max(0, z U + a),   m = h V + b                  the mixtures                                   (a)
    scale = m S,   shift = m T                          at each norm, S and T (K, C) its rows          (b)
    scale = exp(log deviation),   shift = mean          at ADAIN, of the layer before; at OUTPUT, of the pixels   (c)

(b) is of G. Ghiasi, H. Lee, M. Kudlur, V. Dumoulin, J. Shlens, BMVC 2017; there a network predicts the rows from a
picture's features in Inception v3.  (c) is adaptive instance normalisation: what is painted gets the moments of the
style's pixels and, where there is a norm ADAIN, the photograph's features those of the style's (X. Huang, S. Belongie,
ICCV 2017).

Derivation of ``backward``.  (b) is linear in m, and m has a part in every norm::

    dL/dm = sum over norms of  dL/dscale S^T + dL/dshift T^T                                           (d)

which is `transform_net.of_mixture`, beside `transform_net.of_styles` for dL/dS = m^T dL/dscale.  (a) is two 1x1
convolutions of a picture of one pixel with D channels, the first with a ReLU: `scratchnst.ops.conv2d` and
`scratchnst.ops.relu` lead from dL/dm to dL/dV, dL/db, dL/dU and dL/da.  In (c) nothing is learnt.

The predictor's arrays are parameters of the network, under the names in NAMES, which are no layers.  Without them K = 1
and m = 1: all styles have the decoder's norms in common, and differ by (c) alone, as with Huang and Belongie.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.errors import UserError
from scratchnst.models import style_encoder, transform_net
from scratchnst.models.adain_net import ADAIN
from scratchnst.models.network import Network
from scratchnst.models.style_encoder import PREDICTOR
from scratchnst.models.transform_net import OUTPUT

HIDDEN, CODE = NAMES = PREDICTOR
COMPUTED = (ADAIN, OUTPUT)  # norms whose rows are moments of the style
LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv3_4")  # of the encoder; the last one's moments are those of (c)
UNITS = 128  # of the hidden layer
STYLES = 64  # K
FIRST_SPREAD = 0.05  # of the rows before training
COLOURS = 3  # red, green and blue
LARGEST = 3.0  # statistic in (a): those of pictures that are grey or black are far from all others


def statistics(network: Network, pictures: Array) -> Array:
    """Return z (N, D): mean and logarithm of the deviation of each channel of the pixels and of LAYERS of the encoder.

    The pixels are as the network's output has them, see `transform_net.to_picture`; features have a mean less 1.

    Parameters
    ----------
    network : with an encoder that is normalised, so that a channel's mean is about 1 in usual pictures
    pictures : (N, H, W, 3) array of its engine, RGB 0-255
    """
    features, xp = network.features(pictures, LAYERS), array_module(pictures)
    usual = {"": 0, **dict.fromkeys(LAYERS, 1)}  # what is subtracted from a mean
    values = {"": transform_net.of_picture(pictures), **features}
    found = {name: network.engine.moments.forward(values[name])[0] for name in usual}  # (N, 2, C) each
    return xp.concatenate([z for name, y in found.items() for z in (y[:, 0] - usual[name], xp.log(y[:, 1]))], axis=1)


def with_predictor(network: Network, random: np.random.Generator, units: int = UNITS) -> Network:
    """Return a network with an untrained predictor, for which all styles are nearly the same.

    Parameters
    ----------
    network : see `scratchnst.models.prediction_net` and `adain_net`, with K styles
    random : of the weights
    units : of the hidden layer
    """
    inputs, count = _inputs(network), transform_net.number_of_styles(network)
    U = np.sqrt(2 / inputs) * random.standard_normal((1, 1, inputs, units))
    V = np.sqrt(1 / units) * random.standard_normal((1, 1, units, count))
    arrays = {HIDDEN: (U, np.zeros(units)), CODE: (V, np.eye(count)[0])}
    for name in transform_net.norms(network):
        of_any, spread = np.eye(count, 1), FIRST_SPREAD * (np.arange(count) > 0)[:, np.newaxis]
        shape = network.parameters[name][0].shape
        scale, shift = (spread * random.standard_normal(shape) for _ in range(2))
        arrays[name] = (0 * scale, 0 * shift) if name in COMPUTED else (of_any + scale, shift)
    found = {name: tuple(array.astype(np.float32) for array in each) for name, each in arrays.items()}
    return replace(network, parameters={**network.parameters, **found})


def is_there(network: Network) -> bool:
    """Return whether a network has a predictor."""
    return HIDDEN in network.parameters


def learnt(network: Network) -> dict[str, tuple[bool, ...]]:
    """Return layer -> which of its parameters are learnt: behind an encoder neither this nor rows that are computed."""
    found = transform_net.learnt(network)
    if not style_encoder.is_in(network):
        return found
    fixed = {layer.name for layer in network.layers if layer.kind == "conv"} | (set(COMPUTED) & found.keys())
    predicted = NAMES if is_there(network) else ()
    return {**found, **{name: (False, False) for name in fixed}, **{name: (True, True) for name in predicted}}


def check(network: Network) -> None:
    """Raise a UserError unless the predictor of a network fits its encoder, if there is one."""
    if not is_there(network):
        return
    given, taken = _inputs(network), network.parameters[HIDDEN][0].shape[2]
    if given != taken:
        raise UserError(f"the encoder says {given} numbers of a style, but the predictor takes {taken}: train it anew.")


def _inputs(network):
    return 2 * (COLOURS + sum(len(network.parameters[name][1]) for name in LAYERS))


def forward(network: Network, z: Array) -> tuple[Array, Any]:
    """Return the mixtures m (N, K) for statistics z (N, D), equation (a), and the cache of `backward`."""
    if not is_there(network):
        return array_module(z).ones((len(z), 1), z.dtype), None
    engine, pixel = network.engine, z[:, None, None].clip(-LARGEST, LARGEST)
    h, hidden_cache = engine.conv2d_relu.forward(pixel, *network.parameters[HIDDEN])
    m, code_cache = engine.conv2d.forward(h, *network.parameters[CODE])
    return m[:, 0, 0], (hidden_cache, code_cache)


def backward(network: Network, grad_m: Array, cache: Any) -> dict[str, tuple[Array, Array]]:
    """Return the gradients of what the predictor learns from `grad_m` = dL/dm (N, K)."""
    if cache is None:
        return {}
    hidden_cache, code_cache = cache
    grad_h, *grad_code = network.engine.conv2d.backward(grad_m[:, None, None], code_cache)
    grad_hidden = network.engine.conv2d_relu.backward_parameters(grad_h, hidden_cache)
    return {HIDDEN: tuple(grad_hidden), CODE: tuple(grad_code)}


def painter(network: Network, m: Array, z: Array) -> Network:
    """Return the network that paints in N styles, a row a style: equations (b) and (c)."""
    painting = transform_net.with_styles(network, m)
    kept = {name: arrays for name, arrays in painting.parameters.items() if name not in NAMES}
    xp = array_module(z)
    if ADAIN in kept:
        channels = kept[ADAIN][0].shape[1]
        kept[ADAIN] = xp.exp(z[:, -channels:]), z[:, -2 * channels : -channels] + 1
    kept[OUTPUT] = xp.exp(z[:, COLOURS : 2 * COLOURS]), z[:, :COLOURS]
    layers = tuple(painting.needed([OUTPUT]))
    return replace(
        painting, layers=layers, parameters={layer.name: kept[layer.name] for layer in layers if layer.name in kept}
    )
