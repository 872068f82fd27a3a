"""Reader of the HDF5 files that Keras writes for VGG19 and VGG16, with or without the classifier.

There are several layouts, in each of which a convolution has a kernel (3, 3, C_in, C_out) and a bias (C_out,):

    block1_conv1/block1_conv1_W_1:0       the published file: one group a layer
    block1_conv1/block1_conv1/kernel:0    later files
    model_weights/block1_conv1/...        a whole model: the same in a group of its own
    layers/conv2d/vars/0, layers/conv2d_1/vars/0 ...    Keras 3's .weights.h5: kernel 0 and bias 1, layers by number
"""

from __future__ import annotations

import itertools
from pathlib import Path

import h5py

from scratchnst.errors import UserError
from scratchnst.models import vgg
from scratchnst.weights.assembly import FileWeights
from scratchnst.weights.formats.hdf5 import is_hdf5, member, opened, read_array

NAME = "Keras"


def recognises(path: Path) -> bool:
    """Return whether the file is HDF5: Keras's files are the only ones read here, apart from our own layout."""
    return is_hdf5(path)


def read(path: Path) -> FileWeights:
    """Return the convolutions in the file.

    Raises
    ------
    UserError
        If it is damaged or incomplete, or has another layout or Theano's ordering.
    """
    with opened(path) as file:
        found = _by_name(member(file, "model_weights") or file) or _by_number(file)
        if not found:
            raise UserError("it is an HDF5 file, but neither Keras's VGG nor a network of scratchnst: give another.")
        arrays = {
            name: (read_array(f"{name}'s kernel", kernel), read_array(f"{name}'s bias", bias))
            for name, (kernel, bias) in found.items()
        }
    first, _ = arrays.get("conv1_1", (None, None))
    if first is not None and first.ndim == 4 and first.shape[1:] == (3, 3, 3):
        raise UserError("its kernels are in Theano's ordering: give the file with TensorFlow's (tf_dim_ordering).")
    return FileWeights(arrays, vgg.OXFORD_PREPROCESSING)


def _by_name(root):
    """The datasets in groups block1_conv1 ..., by the names conv1_1 ..."""
    found = {}
    for name in {**vgg.kernel_shapes("vgg19"), **vgg.kernel_shapes("vgg16")}:
        block, number = name.removeprefix("conv").split("_")
        group = member(root, f"block{block}_conv{number}")
        if group is not None:
            found[name] = _kernel_and_bias(group)
    return found


def _by_number(root):
    """The datasets in layers/conv2d, layers/conv2d_1 ..., which are named by their order alone."""
    found = []
    for number in itertools.count():
        layer = member(root, "layers/conv2d" + (f"_{number}" if number else ""))
        if layer is None:
            break
        found.append((member(layer, "vars/0"), member(layer, "vars/1")))
    for network in vgg.CONVOLUTIONS_PER_BLOCK:
        names = list(vgg.kernel_shapes(network))
        if len(found) == len(names):
            return dict(zip(names, found))
    if found:
        raise UserError(
            f"it has {len(found)} convolutions without names, but VGG19 has 16 and VGG16 has 13: give another."
        )
    return {}


def _kernel_and_bias(group):
    """A layer's array of four dimensions and its array of one."""
    arrays = []
    if isinstance(group, h5py.Group):
        group.visititems(lambda _, item: arrays.append(item) if isinstance(item, h5py.Dataset) else None)
    arrays.sort(key=lambda array: -array.ndim)
    if [array.ndim for array in arrays] != [4, 1]:
        raise UserError(f"{group.name} should hold one kernel and one bias: get the file again.")
    return arrays
