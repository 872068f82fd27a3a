"""Reader of the files that Keras writes for VGG19 and VGG16, with or without the classifier, whole or cut.

There are several layouts, in each of which a convolution has a kernel (3, 3, C_in, C_out) and a bias (C_out,):

    block1_conv1/block1_conv1_W_1:0       the published file: one group a layer
    block1_conv1/block1_conv1/kernel:0    later files
    model_weights/block1_conv1/...        a whole model: the same in a group of its own
    model_weights/vgg19/block1_conv1/...  a larger model with VGG as one of its layers
    layers/conv2d/vars/0, layers/conv2d_1/vars/0 ...    Keras 3's .weights.h5: kernel 0 and bias 1, layers by number
    layers/functional/layers/conv2d/vars/0 ...          the same in a larger model

The last two tell by their shapes alone which layers they are.  A .keras file is a zip archive with one of these in it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from scratchnst.errors import UserError
from scratchnst.models import vgg
from scratchnst.weights.assembly import FileWeights
from scratchnst.weights.formats.archives import archive_names, unpacked
from scratchnst.weights.formats.hdf5 import Array, Contents, opened
from scratchnst.weights.formats.untrusted import listed, shown

NAME = "Keras"

_ENTRY = "model.weights.h5"  # of a .keras archive
_LARGEST_ENTRY = 1 << 30  # bytes; VGG19 with its classifier has 575 MB
_NAMED = re.compile(r"(?:block([1-5])_conv|conv([1-5])_)([1-4])")
_NUMBERED = re.compile(r"conv2d(?:_([0-9]{1,4}))?")

Network = Mapping[str, dict[str, Array]]  # name of a convolution -> its arrays, by their paths


def recognises(path: Path) -> bool:
    """Return whether the file is an archive of Keras's; a bare HDF5 file is given to `convolutions` already opened."""
    return _ENTRY in archive_names(path)


def read(path: Path) -> FileWeights:
    """Return the convolutions in an archive, or raise a UserError as `convolutions` does."""
    with unpacked(path, _ENTRY, _LARGEST_ENTRY) as entry, opened(entry) as file:
        return convolutions(file)


def convolutions(file: Contents) -> FileWeights:
    """Return the convolutions in an HDF5 file.

    Raises
    ------
    UserError
        If it is damaged or incomplete, holds several networks, or has another layout or Theano's ordering.
    """
    network = _only(_by_name(file.arrays)) or _named_by_shapes(_by_number(file.arrays))
    if not network:
        raise UserError(
            "it is an HDF5 file, but neither Keras's VGG nor a network of scratchnst"
            f"{listed(file.arrays)}: give another."
        )
    kernels, biases = zip(*(_kernel_and_bias(found) for found in network.values()))
    numbers = file.read(
        {f"{name}'s kernel": path for name, path in zip(network, kernels)}
        | {f"{name}'s bias": path for name, path in zip(network, biases)}
    )
    weights = {name: (numbers[f"{name}'s kernel"], numbers[f"{name}'s bias"]) for name in network}
    first, _ = weights.get("conv1_1", (None, None))
    if first is not None and first.shape[1:] == (3, 3, 3):
        raise UserError("its kernels are in Theano's ordering: give the file with TensorFlow's (tf_dim_ordering).")
    return FileWeights(weights, vgg.OXFORD_PREPROCESSING)


def _by_name(found: Mapping[str, Array]) -> dict[str, Network]:
    """Group -> the network in it, of the arrays in groups block1_conv1 ..., by the names conv1_1 ..."""
    networks: dict[str, dict[str, dict[str, Array]]] = defaultdict(lambda: defaultdict(dict))
    for path, array in found.items():
        parts = _parts(path)
        matches = [(place, match) for place, part in enumerate(parts) if (match := _NAMED.fullmatch(part))]
        if matches and not parts[0].startswith("optimizer"):
            place, match = matches[0]
            networks["/".join(parts[:place])][f"conv{match[1] or match[2]}_{match[3]}"][path] = array
    return {group: dict(sorted(network.items())) for group, network in networks.items()}


def _by_number(found: Mapping[str, Array]) -> dict[str, Network]:
    """Group -> the network in it, of the arrays in groups conv2d, conv2d_1 ..., by these names, in their order."""
    networks: dict[str, dict[int, dict[str, Array]]] = defaultdict(lambda: defaultdict(dict))
    for path, array in found.items():
        parts = _parts(path)
        match = _NUMBERED.fullmatch(parts[-3]) if len(parts) >= 3 and parts[-2] == "vars" else None
        if match:
            networks["/".join(parts[:-3])][int(match[1] or 0)][path] = array
    return {
        group: {f"conv2d_{number}": network[number] for number in sorted(network)}
        for group, network in networks.items()
    }


def _parts(path):
    """The names in a path; Keras under Windows has written backslashes."""
    return path.replace("\\", "/").split("/")


def _only(networks: Mapping[str, Network]) -> Network:
    """Return the one network, or an empty one where there is none."""
    if len(networks) > 1:
        groups = ", ".join(shown(group or "the root") for group in sorted(networks)[:3])
        raise UserError(f"it holds {len(networks)} networks of convolutions (in {groups}): save VGG alone.")
    return next(iter(networks.values()), {})


def _named_by_shapes(networks: Mapping[str, Network]) -> Network:
    """Return the one network whose kernels have VGG's shapes, by the names conv1_1 ..., which follow from these."""
    shapes = {group: _kernel_shapes(network) for group, network in networks.items()}
    named = {
        group: dict(zip(names, networks[group].values()))
        for group in networks
        if (names := vgg.names_by_shape(shapes[group]))
    }
    if networks and not named:
        first = next(iter(shapes.values()))
        filters = ", ".join(str(shape[-1]) for shape in first[:16])
        raise UserError(
            f"it has {len(first)} convolutions without names, of {filters} filters, which are not VGG19's or VGG16's: "
            "give another."
        )
    return _only(named)


def _kernel_shapes(network):
    return [max((array.shape or (0,) for array in arrays.values()), key=len) for arrays in network.values()]


def _kernel_and_bias(arrays):
    """The paths of a layer's array of four dimensions and its array of one."""
    paths = sorted(arrays, key=lambda path: -arrays[path].ndim)
    if [arrays[path].ndim for path in paths] != [4, 1]:
        group = shown(paths[0].rpartition("/")[0] or paths[0])
        raise UserError(f"{group} should hold one kernel and one bias: get the file again.")
    return paths
