"""What a weights file holds, as its reader found it, and the checked network that it becomes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchnst.errors import UserError
from scratchnst.models import vgg
from scratchnst.models.network import Network, Preprocessing

# The largest kernel of any VGG, 3 x 3 x 512 x 512: whatever declares more is no convolution of it.
LARGEST_KERNEL = 3 * 3 * 512 * 512
READ = ("vgg19", "vgg16")


@dataclass(frozen=True)
class FileWeights:
    """The convolutions found in a file; nothing is checked yet but their size.

    Attributes
    ----------
    arrays : layer name, conv1_1 ..., -> (kernel, bias), kernels (kh, kw, C_in, C_out)
    preprocessing : what the first layer expects; None where the file cannot tell
    """

    arrays: Mapping[str, tuple[np.ndarray, np.ndarray]]
    preprocessing: Preprocessing | None = None


def check_declared(name: str, shape: Sequence[int]) -> None:
    """Raise a UserError if no kernel or bias of VGG has `shape`; ask before anything of that size is made, or shown."""
    sides_are_possible = len(shape) <= 4 and all(0 <= side <= LARGEST_KERNEL for side in shape)
    if not sides_are_possible or math.prod(shape) > LARGEST_KERNEL:
        raise UserError(f"{name} declares a shape that no layer of VGG has: the file is damaged.")


def assemble(weights: FileWeights, preprocessing: str | None, provenance: Mapping[str, Any]) -> Network:
    """Return the VGG in `weights`, down to the last layer that it has, every array checked.

    Parameters
    ----------
    weights : what a reader found
    preprocessing : "oxford" or "torchvision", the user's word for it, or None
    provenance : where the file comes from

    Raises
    ------
    UserError
        If layers are missing before the last one, an array has another shape than VGG's or numbers that are not
        finite, or the preprocessing is not known or contradicts the file.
    """
    weights = _in_oxfords_order(weights)
    name = _which(weights.arrays)
    if name not in READ:
        raise UserError(f"it is {name.upper()}, another network than VGG19 and VGG16: give one of these.")
    shapes = vgg.kernel_shapes(name)
    present = [layer for layer in shapes if layer in weights.arrays]
    if not present:
        raise UserError("it holds no layer of VGG: give a file of VGG19 or VGG16.")
    parameters = {}
    for layer in list(shapes)[: len(present)]:
        if layer not in weights.arrays:
            raise UserError(
                f"it has {present[-1]} but lacks {layer}: give a file that is complete from the first layer on."
            )
        shape = shapes[layer]
        arrays = dict(zip(("kernel", "bias"), weights.arrays[layer]))
        parameters[layer] = check_parameters(layer, arrays, (shape, shape[3:]))
    layers = vgg.truncated_table(len(present), name)
    settings = _preprocessing(weights.preprocessing, preprocessing)
    return Network(name, layers, parameters, settings, vgg.defaults(layers), dict(provenance))


def check_parameters(
    layer: str, arrays: Mapping[str, np.ndarray], shapes: Sequence[tuple[int, ...]]
) -> tuple[np.ndarray, ...]:
    """Return a layer's parameters as float32 arrays of the one layout that all files end in: so they compute alike.

    Parameters
    ----------
    layer : its name
    arrays : name of a parameter, "kernel" -> array
    shapes : what they must be, one each

    Raises
    ------
    UserError
        If a shape is another, the numbers are not floating-point, or one of them is NaN or infinite.
    """
    given = list(arrays.values())
    if [array.shape for array in given] != list(shapes):
        wanted = " and ".join(f"a {name} of shape {shape}" for name, shape in zip(arrays, shapes))
        found = " and ".join(str(array.shape) for array in given)
        raise UserError(f"{layer} should have {wanted}, but the file holds {found}: it belongs to another network.")
    if any(array.dtype.kind != "f" for array in given):
        dtype = given[0].dtype
        raise UserError(f"{layer} holds {dtype} where floating-point numbers belong: it is no file of weights.")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is told below
        checked = tuple(np.ascontiguousarray(array, np.float32) for array in given)
    if not all(np.isfinite(array).all() for array in checked):
        raise UserError(f"{layer} holds NaN or infinite numbers: get the file again.")
    return checked


def _in_oxfords_order(weights):
    """Exchange the first layer's channels of Oxford's weights where they were exchanged to take RGB, as in MatConvNet.

    Then they are the same numbers as in all other files of them, and compute the same features to the bit.
    """
    if weights.preprocessing != vgg.OXFORD_RGB or "conv1_1" not in weights.arrays:
        return weights
    kernel, bias = weights.arrays["conv1_1"]
    if kernel.ndim != 4:
        return weights  # it will be refused
    return FileWeights({**weights.arrays, "conv1_1": (kernel[:, :, ::-1], bias)}, vgg.OXFORD_PREPROCESSING)


def _which(arrays):
    """The network that begins with these layers; where some are missing, VGG16 if it has conv4_1 without conv3_4."""
    for name in vgg.CONVOLUTIONS_PER_BLOCK:
        if "conv3_1" in arrays and set(arrays) == set(list(vgg.kernel_shapes(name))[: len(arrays)]):
            return name
    return "vgg16" if "conv4_1" in arrays and "conv3_4" not in arrays else "vgg19"


def _preprocessing(told, asked):
    """What the file tells, or else what the user says; they must not contradict each other."""
    if asked is None:
        if told is None:
            raise UserError(
                "it cannot be told whether it expects Oxford's input (BGR, 0-255) or torchvision's (RGB, 0-1): "
                "say --preprocessing oxford or --preprocessing torchvision."
            )
        return told
    if asked not in vgg.PREPROCESSINGS:
        raise UserError(f"there is no preprocessing {asked!r}: choose one of {', '.join(vgg.PREPROCESSINGS)}.")
    if told not in (None, vgg.PREPROCESSINGS[asked]):
        raise UserError(f"the file tells another preprocessing than {asked}: leave out --preprocessing.")
    return vgg.PREPROCESSINGS[asked]
