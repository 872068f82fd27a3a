"""Guides: where in a picture a layer's features count, carried down from a mask of the picture's pixels.

L. A. Gatys, A. S. Ecker, M. Bethge, A. Hertzmann, E. Shechtman, "Controlling Perceptual Factors in Neural Style
Transfer", CVPR 2017, names three ways from a mask m to its value at a position of a layer, each a row of `WAYS`:

    simple      the mean of m over the pixels that the position stands for: m made smaller
    touching    the largest value of m in the position's receptive field: whatever sees the region counts
    inside      the smallest: only what sees nothing but the region counts
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scratchnst.images import masks
from scratchnst.models.network import Network
from scratchnst.models.receptive_field import field, unit

SIMPLE = "simple"


def carry(network: Network, layer: str, mask: np.ndarray, way: str = SIMPLE) -> np.ndarray:
    """Return a mask of an image's pixels (H, W), 0 to 1, as one of a layer's positions (H_l, W_l).

    Parameters
    ----------
    network : a Network
    layer : the name of one of its layers
    mask : (H, W) array
    way : "simple", "touching" or "inside", see above
    """
    return WAYS[way](network, layer, mask)


def _simple(network, layer, mask):
    height, width, _ = network.shapes(*mask.shape)[layer]
    return masks.resize(mask, height, width)


def _touching(network, layer, mask):
    return _over_fields(network, layer, mask, np.max)


def _inside(network, layer, mask):
    return _over_fields(network, layer, mask, np.min)


def _over_fields(network, layer, mask, extreme):
    """The extreme value of a mask in every receptive field, which is a rectangle: over its rows, then its columns."""
    height, width, _ = network.shapes(*mask.shape)[layer]
    rows = [field(network, mask.shape, layer, unit(row, 0)) for row in range(height)]
    columns = [field(network, mask.shape, layer, unit(0, column)) for column in range(width)]
    over_rows = np.stack([extreme(mask[seen.top : seen.bottom], axis=0) for seen in rows])
    return np.stack([extreme(over_rows[:, seen.left : seen.right], axis=1) for seen in columns], axis=1)


WAYS: dict[str, Callable[[Network, str, np.ndarray], np.ndarray]] = {
    SIMPLE: _simple,
    "touching": _touching,
    "inside": _inside,
}
