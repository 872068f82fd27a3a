r"""The paper's normalisation (its section 2): every filter's mean activation over images and positions becomes 1.

Let a[c] be the mean over images and positions of channel c of a convolution's activations.  ReLU and both poolings
commute with a positive factor, relu(x / a) = relu(x) / a, so dividing a filter's kernel and bias by a[c] divides its
activations by a[c]; multiplying the kernels that read this channel by a[c] undoes it::

    w'[i,j,c,k] = w[i,j,c,k]  a_before[c] / a[k],        b'[k] = b[k] / a[k]

and every layer's features are the old ones divided by their own a: the function of the network is unchanged, but for
the scale in which each channel is read off.  Only a layer that reads several, as an addition does, needs them in one
scale: these keep theirs, a = 1.

Differs from the paper: a filter that is hardly ever active on these images would be scaled up without limit, and an
optimisation would end in its noise, so a[c] is taken as at least 1/20 of the median of its layer's active filters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from scratchnst.arrays import Array
from scratchnst.errors import UserError
from scratchnst.models import checkpointing
from scratchnst.models.network import Network

SMALLEST_SHARE = 0.05  # of the median of a layer's mean activations


def normalize(network: Network, photos: Sequence[Array], layers: Iterable[str] | None = None) -> Network:
    """Return `network` with every filter scaled to mean activation 1 over `photos`.

    Parameters
    ----------
    network : a Network
    photos : images (H, W, 3), RGB 0-255, of any sizes; each position of each counts the same
    layers : names; only these and what they depend on are scaled.  None is all

    Filters that are hardly ever active are scaled up less; a layer that is active nowhere stays as it is.

    Raises
    ------
    UserError
        If there are no images, one is too small for the network, or it has no layer of a name.
    """
    if not photos:
        raise UserError("normalising needs at least one image.")
    means = mean_activations(network, photos, layers)
    sources, read_together = network.sources(), _read_together(network)
    scales = {name: np.ones(channels) for name, (_, _, channels) in network.shapes(1, 1).items()}
    parameters = {}
    for layer in network.layers:
        name, before = layer.name, scales[sources[layer.name][0]]
        if layer.rule.parameter_names:
            if name in means and name not in read_together:
                scales[name] = _scale(means[name])
            given = network.parameters[name], network.engine.asarray(before), network.engine.asarray(scales[name])
            parameters[name] = layer.rule.rescaled(*given)
        elif layer.rule.inputs == 1:
            scales[name] = before
    return replace(network, parameters=parameters, normalized=True)


def _read_together(network):
    """Names of the layers whose scale comes down to a layer that reads several."""
    found, sources = set(), network.sources()
    for layer in reversed(network.layers):
        if layer.rule.inputs > 1 or (layer.name in found and not layer.rule.parameter_names):
            found.update(sources[layer.name])
    return found


def _scale(mean):
    """What each filter of a layer is divided by: its mean activation, or the floor under it."""
    active = mean[mean > 0]
    return np.maximum(mean, SMALLEST_SHARE * np.median(active)) if active.size else np.ones_like(mean)


def mean_activations(
    network: Network, photos: Sequence[Array], layers: Iterable[str] | None = None
) -> dict[str, np.ndarray]:
    """Return name of each layer that ends in a ReLU -> mean activation (C,) of its filters, in float64.

    `layers` limits it to these names and what they depend on.
    """
    wanted = [layer.name for layer in network.layers] if layers is None else list(layers)
    network.check_layers(wanted)
    return mean_features(network, photos, [layer.name for layer in network.needed(wanted) if layer.rule.rectified])


def mean_features(network: Network, photos: Sequence[Array], layers: Iterable[str]) -> dict[str, np.ndarray]:
    """Return name of each of `layers` -> the mean (C,) of its channels over all positions of images, in float64."""
    filters = set(layers)
    dtype = next(iter(network.parameters.values()))[0].dtype
    sums: dict[str, Any] = dict.fromkeys(filters, 0.0)
    positions = dict.fromkeys(filters, 0)

    def see(name, _, features):
        if name in filters:
            sums[name] = sums[name] + features.sum(axis=(0, 1, 2), dtype="float64")
            positions[name] += features.shape[1] * features.shape[2]

    for photo in photos:
        height, width, _ = np.shape(photo)
        sections = checkpointing.cut(network, filters, (height, width), checkpointing.LARGEST)
        with network.engine.session():
            checkpointing.visit(network, sections, network.engine.asarray(np.asarray(photo)[np.newaxis], dtype), see)
    return {name: network.engine.asnumpy(sums[name] / positions[name]) for name in sums}
