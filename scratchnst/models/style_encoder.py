"""The part of a network for any style that looks at the style: the first layers of a network like VGG19.

They lie in front of the network's own layers, `scratchnst.models.adain_net` or `scratchnst.models.prediction_net`, and
are not trained.
"""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.errors import UserError
from scratchnst.models import transform_net
from scratchnst.models.layers import Layer
from scratchnst.models.network import Network

ENCODED = "conv3_4"  # the last layer that is needed
PREDICTOR = ("style_hidden", "style_code")  # parameters that are no layers, see `scratchnst.models.style_predictor`


def check(encoder: Network) -> None:
    """Raise a UserError unless a network can be an encoder."""
    if ENCODED not in encoder.parameters or transform_net.paints(encoder):
        raise UserError(f"{encoder.name} has no layer {ENCODED} to paint by: give an encoder like VGG19.")
    if not encoder.normalized:
        raise UserError(
            f"the encoder {encoder.name} is not normalised: scratchnst weights normalize writes one that is."
        )


def is_in(network: Network) -> bool:
    """Return whether a network has an encoder in front of layers that paint."""
    return ENCODED in network.parameters and transform_net.paints(network)


def rows(encoder: Network) -> tuple[list[Layer], dict[str, tuple[Array, ...]]]:
    """Return the layers up to ENCODED, each with its sources, and their parameters.

    Raises
    ------
    UserError
        If the encoder has no such layers, or is not normalised.
    """
    check(encoder)
    needed, sources = encoder.needed([ENCODED]), encoder.sources()
    layers = [Layer(row.name, row.kind, sources[row.name]) for row in needed]
    return layers, {row.name: encoder.parameters[row.name] for row in needed if row.name in encoder.parameters}


def of(network: Network) -> Network:
    """Return the encoder that `is_in` a network."""
    layers = tuple(network.needed([ENCODED]))
    names = {layer.name for layer in layers}
    parameters = {name: arrays for name, arrays in network.parameters.items() if name in names}
    return Network("encoder", layers, parameters, network.preprocessing, network.defaults, normalized=True)
