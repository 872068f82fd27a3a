"""Our own HDF5 layout: any network, with everything that is needed to run it.  See weights/README.md.

/                 attribute "scratchnst_format": 2, the version of this layout
                  attribute "network": JSON, everything of a Network but its weights
/<layer>/kernel   (kh, kw, C_in, C_out), one group a convolution
/<layer>/bias     (C_out,)
/<layer>/<name>   of another kind of layer, the parameters that it names

Parameters are float32 or float16, which rounds each to 11 bits: by 0.05 % at most, if it is 6e-5 or more.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from scratchnst.errors import UserError
from scratchnst.files import write_atomically
from scratchnst.models.layers import IMAGE, Layer
from scratchnst.models.network import Defaults, Network, Preprocessing
from scratchnst.weights.assembly import check_parameters
from scratchnst.weights.formats.hdf5 import is_hdf5, member, opened, read_array
from scratchnst.weights.formats.untrusted import shown

NAME = "scratchnst"
FORMAT = 2
WEIGHT_OF_A_PIXEL = 1  # the version in which the default content weight was that of a pixel, not of a feature


def recognises(path: Path) -> bool:
    """Return whether the file is HDF5 and has our own mark."""
    if not is_hdf5(path):
        return False
    with opened(path) as file:
        return "scratchnst_format" in file.attrs


def read(path: Path, provenance: dict[str, Any]) -> Network:
    """Return the network in the file.

    `provenance` of the file itself goes first, what the file says of its origin stands under "origin".

    Raises
    ------
    UserError
        If the version is unknown, the description does not make a network, or weights are missing or bad.
    """
    with opened(path) as file:
        version = file.attrs["scratchnst_format"]
        if version not in (WEIGHT_OF_A_PIXEL, FORMAT):
            raise UserError(
                f"its layout has version {version}, but this program reads version {FORMAT}: write it anew."
            )
        network = _network(str(file.attrs["network"]), version, provenance)
        network.check_layers([*network.defaults.content_layers, *network.defaults.style_layers])
        arrays = {
            layer.name: {part: _read(file, f"{layer.name}/{part}") for part in layer.rule.parameter_names}
            for layer in network.layers
        }
    network = replace(network, parameters=_checked(network, arrays))
    return _with_weight_of_a_feature(network) if version == WEIGHT_OF_A_PIXEL else network


def write(network: Network, path: Path, dtype: str = "float32") -> None:
    """Write `network` to `path`, whole or not at all, its parameters as float32 or float16.

    Raises
    ------
    UserError
        If a parameter is too large for float16, or the file cannot be written.
    """
    buffer = BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["scratchnst_format"] = FORMAT
        file.attrs["network"] = json.dumps(_description(network), default=asdict)
        for layer in network.layers:
            for part, array in zip(layer.rule.parameter_names, network.parameters.get(layer.name, ())):
                file.require_group(layer.name)[part] = _rounded(layer.name, array, dtype)
    write_atomically(path, buffer.getvalue())


def _rounded(name, array, dtype):
    """`array` in `dtype`."""
    with np.errstate(over="ignore"):  # told below
        rounded = array.astype(dtype)
    if not np.isfinite(rounded).all():
        raise UserError(f"{name} has weights that {dtype} cannot hold: write them as float32.")
    return rounded


def _read(file, name):
    return read_array(name, member(file, name))


def _checked(network, arrays):
    """The parameters of each layer that has some; their shapes follow from its kind and its sources' channels."""
    parameters, channels, sources = {}, {IMAGE: 3}, network.sources()
    for layer in network.layers:
        name, given, read = layer.name, arrays[layer.name], [channels[source] for source in sources[layer.name]]
        if given:
            shapes = layer.rule.parameter_shapes(name, list(given.values()), read)
            parameters[name] = check_parameters(name, given, shapes)
        channels[name] = layer.rule.channels(read, parameters.get(name, ()))
    return parameters


def _with_weight_of_a_feature(network):
    """The network whose default content weight, which is that of a pixel, is made that of a feature."""
    side = 1024  # pixels of an image in which all poolings come out even
    of_a_pixel = network.defaults.content_weight_per_feature
    of_one = replace(network, defaults=replace(network.defaults, content_weight_per_feature=1.0))
    one_over_features = of_one.content_weight(side, side)  # 0 if there is no content layer
    of_a_feature = of_a_pixel / (side**2 * one_over_features) if one_over_features else 0.0
    return replace(network, defaults=replace(network.defaults, content_weight_per_feature=of_a_feature))


def _description(network):
    """Everything of a network but its weights, and who computes with them: for JSON, with asdict for the rest."""
    names = [field.name for field in fields(network) if field.name not in ("parameters", "engine")]
    return {name: getattr(network, name) for name in names} | {"layers": [_row(layer) for layer in network.layers]}


def _row(layer):
    """A row of the table, for JSON: "source" is the row that it reads or null, and "sources" are several."""
    if len(layer.sources) > 1:
        return asdict(layer)
    return {"name": layer.name, "kind": layer.kind, "source": layer.sources[0] if layer.sources else None}


def _layer(name, kind, source=None, sources=()):
    """The row that `_row` describes."""
    if source and sources:
        raise ValueError(f"layer {name} has a source and sources as well")
    return Layer(name, kind, (source,) if source else tuple(sources))


def _network(text, version, provenance):
    """The network without weights that `_description` describes."""
    try:
        described = json.loads(text)
        preprocessing, defaults = described["preprocessing"], described["defaults"]
        if version == WEIGHT_OF_A_PIXEL:
            defaults["content_weight_per_feature"] = defaults.pop("content_weight_per_pixel")
        return Network(
            name=described["name"],
            layers=tuple(_layer(**row) for row in described["layers"]),
            parameters={},
            preprocessing=Preprocessing(
                preprocessing["channels"],
                preprocessing["scale"],
                tuple(preprocessing["mean"]),
                tuple(preprocessing["std"]),
            ),
            defaults=Defaults(**defaults),
            provenance={**provenance, "origin": described["provenance"]},
            pooling=described["pooling"],
            normalized=described["normalized"],
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = shown(str(error), most=200)
        raise UserError(f"its description of the network is incomplete or wrong ({reason}): write it anew.") from None
