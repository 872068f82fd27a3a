"""Which layers take part in equation 7, and with which weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise

from scratchnst.errors import UserError
from scratchnst.models.network import Network
from scratchnst.models.student import is_like, style_share
from scratchnst.transfer.checks import non_negative

LayerWeights = Mapping[str, float] | Iterable[str]
ALL = "all"  # of the network's layers
EQUAL, GEOMETRIC = "equal", "geometric"
LAYER_WEIGHTS = (EQUAL, GEOMETRIC)


def layer_weights_of(layers: LayerWeights) -> dict[str, float]:
    """Return layer name -> weight; names alone share 1 equally, the paper's w_l = 1 / (number of layers)."""
    if isinstance(layers, Mapping):
        return {name: non_negative(f"weight of layer {name}", weight) for name, weight in layers.items()}
    names = [layers] if isinstance(layers, str) else list(layers)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"the layer {twice} is named twice: name each layer once.")
    return {name: 1 / len(names) for name in names}


def named(network: Network, layers: LayerWeights) -> LayerWeights:
    """Return style `layers`, where "all" alone stands for all of a network's.

    These are the layers `like_conv1_1` ... of a network that has such, see `scratchnst.models.student`, else all
    convolutions: of VGG19 sixteen.
    """
    if isinstance(layers, Mapping) or [*([layers] if isinstance(layers, str) else layers)] != [ALL]:
        return layers
    convolutions = [layer.name for layer in network.layers if layer.rule.parameter_names]
    return [name for name in convolutions if is_like(name)] or convolutions


def style_layer_weights(network: Network, layers: LayerWeights | None, layer_weights: str = EQUAL) -> dict[str, float]:
    """Return style layer -> weight.

    With geometric weights each layer has half the weight of the one before, w_l = 2^(D - d) of the d-th of D layers
    (R. Novak, Y. Nikulin, arXiv 1605.04603), divided by their sum.  Layers that stand for VGG19's count as these do,
    see `scratchnst.models.student.style_share`, where they are not chosen by name.

    Parameters
    ----------
    layers : as for `Objective`; None are the network's default
    layer_weights : "equal" or "geometric"

    Raises
    ------
    UserError
        If a layer is unknown or named twice, or has a weight and is to have a geometric one.
    """
    if layer_weights not in LAYER_WEIGHTS:
        raise UserError(f"layer weights are one of {', '.join(LAYER_WEIGHTS)}, not {layer_weights!r}.")
    defaults = network.defaults.style_layers
    if layer_weights == EQUAL and layers is None:
        return layer_weights_of(defaults)
    if layer_weights == GEOMETRIC and isinstance(layers, Mapping) and layers:
        raise UserError("the style layers have weights of their own: leave these out, or the geometric ones.")
    names = named(network, list(defaults) if layers is None else layers)
    weights = layer_weights_of(names)
    if layer_weights == GEOMETRIC:
        network.check_layers(weights)
        ordered = [layer.name for layer in network.layers if layer.name in weights]
        weights = {name: 2.0 ** -(number + 1) / (1 - 2.0 ** -len(ordered)) for number, name in enumerate(ordered)}
    chosen = names is layers and layer_weights == EQUAL
    return weights if chosen else {name: weight * style_share(name) for name, weight in weights.items()}


def neighbours(network: Network, layers: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """Return (layer, the next of `layers` down the table) -> the geometric mean of their weights.

    So a layer's pair with itself would have its own weight, as in equation 5.
    """
    ordered = [layer.name for layer in network.layers if layers.get(layer.name)]
    if len(ordered) == 1:
        raise UserError(f"{ordered[0]} has no neighbour: name two style layers or more.")
    return {pair: math.sqrt(layers[pair[0]] * layers[pair[1]]) for pair in pairwise(ordered)}
