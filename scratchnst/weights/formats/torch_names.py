"""Find VGG's convolutions by the names of the arrays in a file; used by all readers of named arrays.

Two ways to name convolutions are known:

features.0.weight, features.0.bias, features.2.weight ...
    torchvision's position in a list of modules.  A ReLU follows each convolution, so the next one is two places further
    in the same block, and three if a pool comes between: positions alone distinguish VGG16 and VGG19.
conv1_1.weight, conv1_1.bias, conv1_2.weight ...
    block and number, as in Caffe, and in PyTorch's form of Gatys's normalised network.

A network that was trained on several devices has ``module.`` before its names, or after ``features.``.  What a training
run saves, the number of the epoch and the like, has the names in a nested dict.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchnst.errors import UserError
from scratchnst.models.network import Preprocessing
from scratchnst.weights.assembly import FileWeights, check_declared

# Axes of a file's kernels in the order (kh, kw, C_in, C_out).
OUTPUTS_FIRST = (2, 3, 1, 0)  # PyTorch's
OUTPUTS_LAST = (0, 1, 2, 3)  # TensorFlow's, and ours

_MEANINGFUL = re.compile(r"(features\.(?:0|[1-9][0-9]?)|conv[1-5]_[1-4])\.(weight|bias|running_mean|running_var)")
_MODULE = re.compile(r"\bmodule\.")  # DataParallel's, around the network or, in PyTorch's example, its features
_WRAPPERS = ("state_dict", "model_state_dict", "model")


@dataclass(frozen=True)
class Declared:
    """An array whose shape is known, and whose numbers `load` reads."""

    shape: tuple[int, ...]
    load: Callable[[], np.ndarray]


def unwrapped(contents: dict[str, Any]) -> dict[str, Any]:
    """Return the state dict in what a training run saved, {"epoch": 3, "state_dict": {...}}, or `contents` itself."""
    return next((contents[key] for key in _WRAPPERS if isinstance(contents.get(key), dict)), contents)


def meaningful(names: Iterable[str]) -> dict[str, str]:
    """Return name without ``module.`` -> name in the file, for those names that VGG's convolutions may have.

    Raises
    ------
    UserError
        If one array is there with ``module.`` and without it.
    """
    found: dict[str, str] = {}
    for name in names:
        plain = _MODULE.sub("", name, count=1)
        if not _MEANINGFUL.fullmatch(plain):
            continue
        if plain in found:
            raise UserError(f"it holds {plain} with module. in its name and without: give a file of one network.")
        found[plain] = name
    return found


def has_plain_names(names: Iterable[str]) -> bool:
    """Return whether the convolutions are called conv1_1.weight ..., as in Gatys's file."""
    return "conv1_1.weight" in names


def collect(
    found: Mapping[str, Declared], axes: tuple[int, int, int, int], preprocessing: Preprocessing | None
) -> FileWeights:
    """Return the convolutions among the arrays that a file declares, loaded, by the names conv1_1 ...

    Parameters
    ----------
    found : name -> array, for the names that are `meaningful`
    axes : OUTPUTS_FIRST or OUTPUTS_LAST, how the file lays out its kernels
    preprocessing : what the first layer expects, or None

    Raises
    ------
    UserError
        If there are none, they are not arranged as in VGG, or one lacks its kernel or bias.
    """
    stems = set()
    for name in found:
        stem, _, part = name.rpartition(".")
        if part.startswith("running") or (stem.startswith("features") and _is_scale(name, found)):
            raise UserError("it is the variant with batch normalisation: give plain VGG.")
        stems.add(stem)
    arrays = {}
    for name, stem in _stems(stems).items():
        if not {f"{stem}.weight", f"{stem}.bias"} <= found.keys():
            raise UserError(f"{stem} lacks its weight or its bias: give a file whose layers are complete.")
        arrays[name] = _load(name, found[f"{stem}.weight"], found[f"{stem}.bias"], axes)
    return FileWeights(arrays, preprocessing)


def _is_scale(name, found):
    """Whether this is not a kernel but the factors of a batch normalisation, one a channel."""
    return name.endswith("weight") and len(found[name].shape) == 1


def _stems(stems):
    """Return canonical name -> name in the file without .weight and .bias, from the first layer to the last."""
    plain = sorted(stem for stem in stems if stem.startswith("conv"))
    indices = sorted(int(stem.removeprefix("features.")) for stem in stems if stem.startswith("features"))
    if plain and indices:
        raise UserError("it names some layers by position and some by block: give a file that holds one network.")
    if plain:
        return {name: name for name in plain}
    if not indices:
        raise UserError("no array in it is named like a convolution of VGG: give another file.")
    return {name: f"features.{index}" for name, index in zip(_names(indices), indices)}


def _names(indices):
    """The names of the convolutions at these positions: two places further is the same block, three the next."""
    if indices[0] != 0:
        raise UserError("features.0, the first convolution, is missing: give a file that is complete from there on.")
    block = number = 1
    names = ["conv1_1"]
    for before, index in itertools.pairwise(indices):
        if index - before not in (2, 3):
            raise UserError(f"no VGG has a convolution at features.{index} next after features.{before}: give VGG.")
        block, number = (block, number + 1) if index - before == 2 else (block + 1, 1)
        names.append(f"conv{block}_{number}")
    if block > 5 or any(name[-1] > "4" for name in names):
        raise UserError("it has more convolutions than any VGG: give VGG16 or VGG19.")
    return names


def _load(name, kernel, bias, axes):
    """Load kernel and bias of one convolution, if their shapes fit each other and are not too large."""
    if len(kernel.shape) != 4 or bias.shape != (kernel.shape[axes[3]],):
        raise UserError(f"the kernel and the bias of {name} do not belong together: the file is damaged.")
    for array in (kernel, bias):  # a kernel without numbers may still declare any number of channels
        check_declared(name, array.shape)
    return np.ascontiguousarray(kernel.load().transpose(axes)), bias.load()
