r"""The paper's normalisation: every filter's mean activation over images and positions becomes 1.

Let a[c] be the mean over images and positions of channel c of a convolution's activations.  ReLU and both poolings
commute with a positive factor, relu(x / a) = relu(x) / a, so dividing a filter's kernel and bias by a[c] divides its
activations by a[c]; multiplying the kernels that read this channel by a[c] undoes it::

    w'[i,j,c,k] = w[i,j,c,k]  a_before[c] / a[k],        b'[k] = b[k] / a[k]

and every layer's features are the old ones divided by their own a: the function of the network is unchanged, but for
the scale in which each channel is read off.  The paper: "we normalized the network by scaling the weights such that
the mean activation of each convolutional filter over images and positions is equal to one".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from scratchnst.errors import UserError
from scratchnst.network import Network

Array = Any


def normalize(network: Network, photos: Sequence[Array], layers: Iterable[str] | None = None) -> Network:
    """Return `network` with every filter scaled to mean activation 1 over `photos`.

    Parameters
    ----------
    network : a Network
    photos : images (H, W, 3), RGB 0-255, of any sizes; each position of each counts the same
    layers : names; only these and what they depend on are scaled.  None is all

    A filter that is active nowhere in `photos` has no scale and stays as it is.

    Raises
    ------
    UserError
        If there are no images, or one is too small for the network.
    """
    if not photos:
        raise UserError("normalising needs at least one image.")
    means = mean_activations(network, photos, layers)
    scales = {name: np.ones(w.shape[3]) for name, (w, _) in network.parameters.items()}
    scales |= {name: np.where(mean > 0, mean, 1.0) for name, mean in means.items()}
    parameters = {}
    for name, (w, b) in network.parameters.items():
        before = network.convolution_before(name)
        scale_before = np.ones(w.shape[2]) if before is None else scales[before]
        scaled = w * (scale_before[:, np.newaxis] / scales[name])
        parameters[name] = scaled.astype(w.dtype), (b / scales[name]).astype(b.dtype)
    return replace(network, parameters=parameters, normalized=True)


def mean_activations(
    network: Network, photos: Sequence[Array], layers: Iterable[str] | None = None
) -> dict[str, np.ndarray]:
    """Return name of each convolution with a ReLU -> mean activation (C,) of its filters, in float64.

    `layers` limits it to these names and what they depend on.
    """
    rows = network.layers if layers is None else network.needed(layers)
    filters = [layer.name for layer in rows if layer.kind == "conv"]
    sums: dict[str, Any] = {}
    positions: dict[str, int] = {}
    for photo in photos:
        dtype = next(iter(network.parameters.values()))[0].dtype
        features, _ = network.forward(np.asarray(photo, dtype)[np.newaxis], filters)
        for name, feature in features.items():
            sums[name] = sums.get(name, 0) + feature.sum(axis=(0, 1, 2), dtype="float64")
            positions[name] = positions.get(name, 0) + feature.shape[1] * feature.shape[2]
    return {name: sums[name] / positions[name] for name in sums}
