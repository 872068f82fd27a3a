"""Reader of the HDF5 file that Keras publishes as "notop": VGG19 without its classifier.

One group a layer, block1_conv1 ... block5_conv4, each with a kernel (3, 3, C_in, C_out) and a bias (C_out,).  The
names inside a group vary: flat in the file that everybody downloads (block1_conv1_W_1:0), nested in later ones
(block1_conv1/kernel:0); the attribute ``weight_names`` tells them where it is present.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from scratchnst import vgg19
from scratchnst.errors import UserError
from scratchnst.network import Network
from scratchnst.weights.layer import read_layer

NAME = "Keras notop"


def recognises(file: h5py.File) -> bool:
    """Return whether `file` has the layout of Keras: a group for at least one of VGG19's layers."""
    return any(_group_name(name) in file for name in vgg19.kernel_shapes())


def read(file: h5py.File, provenance: dict[str, Any]) -> Network:
    """Return the VGG19 in `file`, down to the last layer that it holds.

    Raises
    ------
    UserError
        If layers are missing before the last one, shapes are not VGG19's, or values are not finite.
    """
    shapes = vgg19.kernel_shapes()
    present = [name for name in shapes if _group_name(name) in file]
    parameters = {}
    for name in list(shapes)[: len(present)]:
        if name not in present:
            raise UserError(
                f"the weights file has {_group_name(present[-1])} but lacks {_group_name(name)}; "
                "give one whose layers are complete from the first on."
            )
        kernel, bias = _datasets(file[_group_name(name)])
        parameters[name] = read_layer(name, kernel, bias, shapes[name])
    layers = vgg19.truncated_table(len(present))
    return Network("vgg19", layers, parameters, vgg19.OXFORD_PREPROCESSING, vgg19.defaults(layers), provenance)


def _group_name(name):
    """conv1_2 -> block1_conv2, Keras's name of it."""
    block, number = name.removeprefix("conv").split("_")
    return f"block{block}_conv{number}"


def _datasets(group):
    """Return the kernel and the bias in a layer's group: its array of four dimensions and its array of one."""
    arrays = {}
    if isinstance(group, h5py.Group):
        for name in _dataset_names(group):
            if isinstance(group[name], h5py.Dataset):
                arrays[group[name].ndim] = group[name]
    if set(arrays) != {1, 4}:
        raise UserError(f"{group.name} of the weights file should hold one kernel and one bias.")
    return arrays[4], arrays[1]


def _dataset_names(group):
    """The names that Keras noted in the attribute weight_names or, where it did not, all there are."""
    noted = group.attrs.get("weight_names")
    if np.ndim(noted) == 1:
        return [name.decode() if isinstance(name, bytes) else str(name) for name in noted]
    names: list[str] = []
    group.visit(names.append)
    return names
