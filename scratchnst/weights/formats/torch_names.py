"""Find VGG's convolutions by the names of the arrays in a file; used by all readers of named arrays.

Two ways to name convolutions are known:

features.0.weight, features.0.bias, features.2.weight ...
    torchvision's position in a list of modules.  A ReLU follows each convolution, so the next one is two places further
    in the same block, and three if a pool comes between: positions alone distinguish VGG16 and VGG19.  The list may be
    saved by itself (0.weight) or be cut into slices (slice1.0.weight, slice2.5.weight).
conv1_1.weight, conv1_1.bias, conv1_2.weight ...
    block and number, as in Caffe, and in PyTorch's form of Gatys's normalised network.

Before these names may stand those of the larger network that it is a part of (model. or net.vgg.), and anywhere
``module.``, if it was trained on several devices, or ``_orig_mod.``, if it was compiled.  What a training run saves,
the number of the epoch and the like, has the names in a nested dict.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchnst.errors import UserError
from scratchnst.models import vgg
from scratchnst.models.network import Preprocessing
from scratchnst.weights.assembly import FileWeights, check_declared
from scratchnst.weights.formats.untrusted import listed, shown

# Axes of a file's kernels in the order (kh, kw, C_in, C_out).
OUTPUTS_FIRST = (2, 3, 1, 0)  # PyTorch's
OUTPUTS_LAST = (0, 1, 2, 3)  # TensorFlow's, and ours

_NAME = re.compile(
    r"(?P<group>(?:.*\.)?)(?P<stem>0|[1-9][0-9]?|conv[1-5]_[1-4])\.(?P<part>weight|bias|running_mean|running_var)"
)
_ADDED = re.compile(r"\b(?:module|_orig_mod|slice[1-9])\.")  # by DataParallel, torch.compile and LPIPS
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_DEEPEST = 3  # dicts within dicts
_LONGEST_NAME = 256


@dataclass(frozen=True)
class Declared:
    """An array whose shape is known, and whose numbers `load` reads."""

    shape: tuple[int, ...]
    load: Callable[[], np.ndarray]


def unwrapped(contents: dict[str, Any]) -> dict[str, Any]:
    """Return what is in `contents`, {"epoch": 3, "state_dict": {...}}, and in the dicts in it, by names with dots.

    Of a dict under a usual name nothing else is returned.
    """
    inner = next((contents[key] for key in _WRAPPERS if isinstance(contents.get(key), dict)), contents)
    found: dict[str, Any] = {}
    _flatten(inner, "", 0, found, set())
    return found


def _flatten(contents, prefix, depth, found, seen):
    """Put what is in a dict into `found`, and what is in the dicts in it, each of them once."""
    seen.add(id(contents))
    for key, value in contents.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            if depth < _DEEPEST and id(value) not in seen and len(name) < _LONGEST_NAME:
                _flatten(value, f"{name}.", depth + 1, found, seen)
        elif len(name) <= _LONGEST_NAME:
            found[name] = value


def meaningful(names: Iterable[str]) -> dict[str, str]:
    """Return name as in a plain VGG, conv1_1.weight or features.0.weight -> name in the file, of VGG's convolutions.

    Raises
    ------
    UserError
        If there are none, there are several networks, or one array is there with ``module.`` and without it.
    """
    groups: dict[str, dict[str, str]] = {}
    names = list(names)
    for name in names:
        match = _NAME.fullmatch(name)
        if not match:
            continue
        prefix, stem, part = _ADDED.sub("", match["group"]), match["stem"], match["part"]
        plain = f"{stem}.{part}" if stem.startswith("conv") else f"features.{stem}.{part}"
        found = groups.setdefault(prefix, {})
        if plain in found:
            raise UserError(f"it holds {plain} with module. in its name and without: give a file of one network.")
        found[plain] = name
    likely = _likely(groups)
    if len(likely) > 1:
        several = ", ".join(shown(group.rstrip(".") or "the top", 24) for group in itertools.islice(likely, 4))
        raise UserError(f"it holds {len(likely)} networks ({several}): give a file of one network.")
    if not likely:
        raise UserError(f"no array in it is named like a convolution of VGG{listed(names)}: give another file.")
    return next(iter(likely.values()))


def _likely(groups):
    """Return the groups that are named as in VGG, or else those whose positions are like VGG's, not a classifier's."""
    named = {
        group: found
        for group, found in groups.items()
        if group.endswith("features.") or any(name.startswith("conv") for name in found)
    }
    return named or {
        group: found
        for group, found in groups.items()
        if {"features.0.weight", "features.0.bias"} <= found.keys()
        and not found.keys().isdisjoint({"features.2.weight", "features.8.weight"})
    }


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
    if math.prod(kernel.shape) > math.prod(vgg.kernel_shapes().get(name, kernel.shape)):
        shape = tuple(kernel.shape[axis] for axis in axes)
        raise UserError(f"{name} has a kernel of shape {shape}, larger than VGG's: it belongs to another network.")
    return np.ascontiguousarray(kernel.load().transpose(axes)), bias.load()
