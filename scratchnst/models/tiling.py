"""The same loss and gradient of a large image, computed tile by tile: nothing of the whole is kept but the image.

Strips, see `scratchnst.models.checkpointing`, keep the results of the pools over the whole width and height, and the
content's features.  Of 8192x8192 pixels VGG19's first pool alone has four gigabytes.  A tile is computed from its own
part of the image and what the deepest layer sees around that, and nothing else is kept:

    once    each tile's features are computed, and what they have of the sums that losses need, the Gram matrices
    again   each tile's features, those of the same part of the content, and the way back; what overlaps is added

So the gradient is that of the whole image, and there are no seams.  The price is that everything is computed twice, the
content's features at each evaluation, and the pixels around tiles several times.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from scratchnst.arrays import Array
from scratchnst.models.checkpointing import Losses
from scratchnst.models.layers import strides
from scratchnst.models.network import Network
from scratchnst.models.receptive_field import Window, field


@dataclass(frozen=True)
class Tile:
    """A part of an image, and of every tapped layer.

    Attributes
    ----------
    seen : the window of the image from which it is computed
    own : layer -> the window of its positions that belong to this tile and to no other
    inside : layer -> the same window, in the layer that is computed from `seen`
    """

    seen: Window
    own: Mapping[str, Window]
    inside: Mapping[str, Window]


def cut(network: Network, taps: Collection[str], shape: tuple[int, int], side: int) -> list[Tile]:
    """Cut an image (height, width) into tiles of `side` pixels, or what comes near it and suits the pools."""
    layers, sizes = network.needed(taps), network.shapes(*shape)
    found = strides(layers, network.sources(), "image")
    stride = {name: int(found[name]) for name in taps}
    coarsest = int(max(found.values()))
    step = max(1, round(side / coarsest)) * coarsest
    return [
        _tile(network, shape, stride, coarsest, sizes, Window(top, top + step, left, left + step))
        for top in range(0, shape[0], step)
        for left in range(0, shape[1], step)
    ]


def loss_and_gradient(
    network: Network, terms: Sequence[Any], image: Array, content: np.ndarray | None, side: int
) -> tuple[dict[str, Any], Array]:
    """Return what `checkpointing.loss_and_gradient` does; terms on features themselves have no target.

    Parameters
    ----------
    network, terms, image : as there
    content : (H, W, 3) array of NumPy, whose features are the targets of the terms without one
    side : of a tile, in pixels
    """
    engine, losses = network.engine, Losses(network.engine, terms)
    taps = [layer.name for layer in network.layers if layer.name in losses.taps]  # from the image down
    shape = image.shape[1:3]
    sizes = network.shapes(*shape)
    compared = {term.layer for term in terms if term.loss.statistic is None}
    tiles = cut(network, taps, shape, side)
    with_sums = {layer for term in terms if term.loss.statistic is not None for layer in term.layers}
    for tile in tiles if with_sums else ():
        features = network.features(tile.seen.of(image), with_sums)
        for layer in (tap for tap in taps if tap in with_sums):
            losses.add_up(layer, tile.own[layer].place, tile.inside[layer].of(features[layer]))
        del features
    grad = engine.zeros(image.shape, image.dtype)
    for tile in tiles:
        targets = {}
        if compared:
            assert content is not None
            part = engine.asarray(tile.seen.of(content[np.newaxis]), image.dtype)
            features = network.features(part, compared)
            targets = {layer: tile.inside[layer].of(features[layer]) for layer in compared}
        features, cache = network.forward(tile.seen.of(image), taps, training=False)
        own, grads = {layer: tile.inside[layer].of(features[layer]) for layer in taps}, {}
        for layer in reversed(taps):
            place, pixels = tile.own[layer].place, sizes[layer][0] * sizes[layer][1]
            grads[layer] = engine.zeros(features[layer].shape, image.dtype)
            grads[layer][tile.inside[layer].place] = losses.backward(layer, place, own, pixels, targets.get(layer))
        del features, own
        engine.add(tile.seen.of(grad), network.backward(grads, cache))
    return losses.values, grad


def _tile(network, shape, stride, coarsest, sizes, window):
    """The tile whose own pixels are those of a window of the image, as far as it goes."""

    def along(start, stop, length, one, positions):
        return start // one, positions if stop >= length else stop // one

    own = {}
    for layer, one in stride.items():
        top, bottom = along(window.top, window.bottom, shape[0], one, sizes[layer][0])
        left, right = along(window.left, window.right, shape[1], one, sizes[layer][1])
        own[layer] = Window(top, max(top, bottom), left, max(left, right))
    seen = reduce(Window.joined, (field(network, shape, layer, part) for layer, part in own.items()))
    seen = Window(
        seen.top // coarsest * coarsest,
        min(shape[0], -(-seen.bottom // coarsest) * coarsest),
        seen.left // coarsest * coarsest,
        min(shape[1], -(-seen.right // coarsest) * coarsest),
    )
    inside = {
        layer: Window(
            part.top - seen.top // stride[layer],
            part.bottom - seen.top // stride[layer],
            part.left - seen.left // stride[layer],
            part.right - seen.left // stride[layer],
        )
        for layer, part in own.items()
    }
    return Tile(seen, own, inside)
