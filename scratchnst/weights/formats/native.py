"""Our own HDF5 layout: any network, with everything that is needed to run it.  See weights/README.md.

/                 attribute "scratchnst_format": 2, the version of this layout
                  attribute "network": JSON, everything of a Network but its weights
/<layer>/kernel   (kh, kw, C_in, C_out), one group a convolution
/<layer>/bias     (C_out,)
/<layer>/<name>   of another kind of layer, the parameters that it names
/style_hidden, /style_code   with kernel and bias: the predictor of a network that paints in any style

Parameters are float32 or float16, which rounds each to 11 bits: by 0.05 % at most, if it is 6e-5 or more.
"""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from scratchnst.errors import UserError
from scratchnst.files import write_atomically
from scratchnst.models import style_predictor, transform_net
from scratchnst.models.layers import IMAGE
from scratchnst.models.network import Network
from scratchnst.weights.assembly import check_parameters
from scratchnst.weights.formats.description import describe, parse
from scratchnst.weights.formats.hdf5 import Contents
from scratchnst.weights.formats.untrusted import shown

NAME = "scratchnst"
MARK = "scratchnst_format"
CONVOLUTION = ("kernel", "bias")
ATTRIBUTES = (MARK, "network")
FORMAT = 2
WEIGHT_OF_A_PIXEL = 1  # the version in which the default content weight was that of a pixel, not of a feature
CONTENT_WEIGHTS = {WEIGHT_OF_A_PIXEL: "content_weight_per_pixel", FORMAT: "content_weight_per_feature"}

# Of what is read; VGG19 has 512 channels and windows of 3 pixels.
MOST_CHANNELS = 4096
LARGEST_SIDE = 31


def recognises(file: Contents) -> bool:
    """Return whether an HDF5 file has our own mark; it has been opened with ATTRIBUTES."""
    return MARK in file.attributes


def read(file: Contents, provenance: dict[str, Any]) -> Network:
    """Return the network in an HDF5 file.

    `provenance` of the file itself goes first, what the file says of its origin stands under "origin".

    Raises
    ------
    UserError
        If the version is unknown, the description does not make a network, or weights are missing or bad.
    """
    version = file.attributes[MARK]
    if version not in CONTENT_WEIGHTS:
        raise UserError(
            f"its layout has version {shown(str(version))}, but this program reads version {FORMAT}: write it anew."
        )
    network = parse(str(file.attributes.get("network")), provenance, CONTENT_WEIGHTS[version])
    network.check_layers([*network.defaults.content_layers, *network.defaults.style_layers])
    parts = {layer.name: layer.rule.parameter_names for layer in network.layers}
    paths = [f"{name}/{part}" for name in parts for part in parts[name]]
    numbers = file.read({path: path for path in paths})
    arrays = {name: {part: numbers[f"{name}/{part}"] for part in parts[name]} for name in parts}
    network = replace(network, parameters=_checked(network, arrays))
    network = _with_predictor(network, file)
    return _with_weight_of_a_feature(network) if version == WEIGHT_OF_A_PIXEL else network


def write(network: Network, path: Path, dtype: str = "float32") -> None:
    """Write `network` to `path`, whole or not at all, its parameters as float32 or float16.

    Raises
    ------
    UserError
        If a parameter is too large for float16, or the file cannot be written.
    """
    import h5py  # not before: only writing needs it, and it takes a fifth of the time in which the program starts

    buffer = BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs[MARK] = FORMAT
        file.attrs["network"] = describe(network)
        parts = {layer.name: layer.rule.parameter_names for layer in network.layers}
        for name, arrays in network.parameters.items():
            for part, array in zip(parts.get(name, CONVOLUTION), arrays):
                file.require_group(name)[part] = _rounded(name, array, dtype)
    write_atomically(path, buffer.getvalue())


def _rounded(name, array, dtype):
    """`array` in `dtype`."""
    with np.errstate(over="ignore"):  # told below
        rounded = array.astype(dtype)
    if not np.isfinite(rounded).all():
        raise UserError(f"{name} has weights that {dtype} cannot hold: write them as float32.")
    return rounded


def _checked(network, arrays):
    """The parameters of each layer that has some; their shapes follow from its kind and its sources' channels."""
    parameters, channels, sources = {}, {IMAGE: 3}, network.sources()
    for layer in network.layers:
        name, given, read = layer.name, arrays[layer.name], [channels[source] for source in sources[layer.name]]
        if given:
            _check_sides(name, list(given.values()))
            shapes = layer.rule.parameter_shapes(name, list(given.values()), read)
            parameters[name] = check_parameters(name, given, shapes)
        channels[name] = layer.rule.channels(read, parameters.get(name, ()))
    return parameters


def _with_predictor(network, file):
    """The network with the style predictor that is in the file, if there is one."""
    names = style_predictor.NAMES
    if f"{names[0]}/{CONVOLUTION[0]}" not in file.arrays:
        return network
    numbers = file.read({f"{name}/{part}": f"{name}/{part}" for name in names for part in CONVOLUTION})
    parameters, sides = {}, [numbers[f"{names[0]}/kernel"].shape[-2:-1]]
    for name in names:
        given = {part: numbers[f"{name}/{part}"] for part in CONVOLUTION}
        _check_sides(name, list(given.values()))
        sides.append(given["bias"].shape)
        parameters[name] = check_parameters(name, given, ((1, 1, *sides[-2], *sides[-1]), sides[-1]))
    norms = transform_net.norms(network)
    if not norms or sides[-1] != (transform_net.number_of_styles(network),):
        raise UserError(f"its style predictor gives {sides[-1]} numbers, which are not the styles of its network.")
    return replace(network, parameters={**network.parameters, **parameters})


def _check_sides(name, arrays):
    """Refuse arrays without numbers, and those that would make features or products of any size."""
    for array in arrays:
        *window, channels = array.shape or (0,)
        if not 1 <= channels <= MOST_CHANNELS or not all(1 <= side <= LARGEST_SIDE for side in window[:-1]):
            raise UserError(
                f"{name} has an array of shape {array.shape}, but a layer has 1 to {MOST_CHANNELS} channels and a "
                f"window of at most {LARGEST_SIDE} pixels: give another network."
            )


def _with_weight_of_a_feature(network):
    """The network whose default content weight, which is that of a pixel, is made that of a feature."""
    side = 1024  # pixels of an image in which all poolings come out even
    of_a_pixel = network.defaults.content_weight_per_feature
    of_one = replace(network, defaults=replace(network.defaults, content_weight_per_feature=1.0))
    one_over_features = of_one.content_weight(side, side)  # 0 if there is no content layer
    of_a_feature = of_a_pixel / (side**2 * one_over_features) if one_over_features else 0.0
    return replace(network, defaults=replace(network.defaults, content_weight_per_feature=of_a_feature))
