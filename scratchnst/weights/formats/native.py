"""Our own HDF5 layout: any network, with everything that is needed to run it.  See weights/README.md.

/                 attribute "scratchnst_format": 1, the version of this layout
                  attribute "network": JSON, everything of a Network but its weights
/<layer>/kernel   (kh, kw, C_in, C_out) float32, one group a convolution
/<layer>/bias     (C_out,) float32
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
from scratchnst.models.layers import Layer
from scratchnst.models.network import Defaults, Network, Preprocessing
from scratchnst.weights.assembly import check_layer
from scratchnst.weights.formats.hdf5 import is_hdf5, member, opened, read_array
from scratchnst.weights.formats.untrusted import shown

NAME = "scratchnst"
FORMAT = 1


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
        if version != FORMAT:
            raise UserError(
                f"its layout has version {version}, but this program reads version {FORMAT}: write it anew."
            )
        network = _network(str(file.attrs["network"]), provenance)
        network.check_layers([*network.defaults.content_layers, *network.defaults.style_layers])
        arrays = {
            layer.name: [_read(file, f"{layer.name}/{part}") for part in ("kernel", "bias")]
            for layer in network.layers
            if layer.rule.has_parameters
        }
    parameters: dict[str, Any] = {}
    for name, (kernel, bias) in arrays.items():
        if kernel.ndim != 4 or any(side % 2 == 0 for side in kernel.shape[:2]):
            raise UserError(f"the kernel of {name} has the shape {kernel.shape}, not (odd, odd, C_in, C_out).")
        before = network.convolution_before(name)
        channels = 3 if before is None else parameters[before][0].shape[3]
        parameters[name] = check_layer(name, kernel, bias, (*kernel.shape[:2], channels, kernel.shape[3]))
    return replace(network, parameters=parameters)


def write(network: Network, path: Path) -> None:
    """Write `network` to `path`, whole or not at all."""
    buffer = BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["scratchnst_format"] = FORMAT
        file.attrs["network"] = json.dumps(_description(network), default=asdict)
        for name, (w, b) in network.parameters.items():
            group = file.create_group(name)
            group["kernel"] = w.astype(np.float32)
            group["bias"] = b.astype(np.float32)
    write_atomically(path, buffer.getvalue())


def _read(file, name):
    return read_array(name, member(file, name))


def _description(network):
    """Everything of a network but its weights, and who computes with them: for JSON, with asdict for the rest."""
    names = [field.name for field in fields(network) if field.name not in ("parameters", "engine")]
    return {name: getattr(network, name) for name in names}


def _network(text, provenance):
    """The network without weights that `_description` describes."""
    try:
        described = json.loads(text)
        preprocessing = described["preprocessing"]
        return Network(
            name=described["name"],
            layers=tuple(Layer(**row) for row in described["layers"]),
            parameters={},
            preprocessing=Preprocessing(
                preprocessing["channels"],
                preprocessing["scale"],
                tuple(preprocessing["mean"]),
                tuple(preprocessing["std"]),
            ),
            defaults=Defaults(**described["defaults"]),
            provenance={**provenance, "origin": described["provenance"]},
            pooling=described["pooling"],
            normalized=described["normalized"],
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = shown(str(error), most=200)
        raise UserError(f"its description of the network is incomplete or wrong ({reason}): write it anew.") from None
