"""A network is a table of named layers: a walk down the table computes features, a walk back up the gradient.

A row is a convolution, with or without a ReLU behind it, or a pooling.  It reads the row above, or the row that it
names as its source, so the same two walks serve VGG19 (a chain) and the filter pyramid (filters beside the pools).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from scratchnst.errors import UserError
from scratchnst.ops import average_pool, conv2d, max_pool, preprocess, relu

Array = Any

KINDS = ("conv", "linear", "pool")
IMAGE = "image"  # the name of the source of the first row: the preprocessed image
POOLINGS = {"avg": average_pool, "max": max_pool}


@dataclass(frozen=True)
class Layer:
    """One row of the table.

    kind is "conv", a convolution and its ReLU (the features are the activations after the ReLU, as in the
    paper), "linear", a convolution alone, or "pool", which halves height and width.  source names the row that
    it reads; None is the row above, and the image for the first row.
    """

    name: str
    kind: str
    source: str | None = None


@dataclass(frozen=True)
class Preprocessing:
    """What a network expects in place of RGB 0-255: the settings of `scratchnst.ops.preprocess`."""

    channels: str = "RGB"
    scale: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self):
        if self.channels not in preprocess.ORDERS:
            raise ValueError(f"the order of channels is one of {', '.join(preprocess.ORDERS)}, not {self.channels!r}")
        numbers = np.array([self.scale, *self.mean, *self.std], float)
        if len(self.mean) != 3 or len(self.std) != 3 or not np.isfinite(numbers).all() or min(self.std) <= 0:
            raise ValueError("mean and std are three finite numbers each, std above zero, and scale is one")


@dataclass(frozen=True)
class Defaults:
    """Layers and weights of equations 5 and 7 that suit a network once it is normalised.

    Equation 4 is a mean over pixels, equation 1 and the total variation are sums.  So that one choice suits every
    size of image, the weights of the two sums stand here for one pixel: they are divided by H W of the image.
    """

    content_layers: Mapping[str, float]
    style_layers: Mapping[str, float]
    content_weight_per_pixel: float
    style_weight: float = 1.0
    tv_weight_per_pixel: float = 0.0

    def __post_init__(self):
        layers = [*self.content_layers.values(), *self.style_layers.values()]
        weights = np.array([*layers, self.content_weight_per_pixel, self.style_weight, self.tv_weight_per_pixel], float)
        if not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise ValueError("default weights are finite numbers of 0 or more")


@dataclass(frozen=True)
class Network:
    """A table of layers with the weights of its convolutions.

    Attributes
    ----------
    name : what to call it, "vgg19"
    layers : the table's rows, each after the row that it reads
    parameters : layer name -> (w, b), kernels (kh, kw, C, K) and biases (K,)
    preprocessing : what the first row expects
    defaults : layers and weights that suit this network
    provenance : where the weights come from, JSON-able: file, SHA-256, format ...
    pooling : "avg" or "max"
    normalized : whether every filter's mean activation is about 1, see `scratchnst.weights.normalize`
    """

    name: str
    layers: tuple[Layer, ...]
    parameters: Mapping[str, tuple[Array, Array]]
    preprocessing: Preprocessing
    defaults: Defaults
    provenance: Mapping[str, Any] = field(default_factory=dict)
    pooling: str = "avg"
    normalized: bool = False

    def __post_init__(self):
        if self.pooling not in POOLINGS:
            raise UserError(f"there is no pooling {self.pooling!r}; choose one of {', '.join(POOLINGS)}.")
        names = [layer.name for layer in self.layers]
        if not names or len(set(names)) < len(names):
            raise ValueError("a network has layers, each with a name of its own")
        if any(layer.kind not in KINDS for layer in self.layers):
            raise ValueError(f"the kind of a layer is one of {', '.join(KINDS)}")
        known = {IMAGE}
        for layer, source in zip(self.layers, self._sources().values()):
            if source not in known:
                raise ValueError(f"layer {layer.name} reads {source}, which is not above it in the table")
            known.add(layer.name)

    def astype(self, dtype: str) -> Network:
        """Return this network with its weights in `dtype`, float32 or float64."""
        cast = {name: (w.astype(dtype), b.astype(dtype)) for name, (w, b) in self.parameters.items()}
        return replace(self, parameters=cast)

    def forward(self, x: Array, taps: Iterable[str]) -> tuple[dict[str, Array], dict[str, Any]]:
        """Compute the features of images at the layers named in `taps`, and nothing that these do not need.

        Parameters
        ----------
        x : (N, H, W, 3) array, RGB 0-255, in the dtype of the network's weights
        taps : names of layers

        Returns
        -------
        features : name of tap -> activation (N, H_l, W_l, C_l)
        cache : what `backward` needs

        Raises
        ------
        UserError
            If a tap is not in the table, or the image is too small for one.
        """
        taps = list(taps)
        self.check_layers(taps)
        self.check_size(x.shape[1], x.shape[2], taps)
        needed, sources = self.needed(taps), self._sources()
        settings = self.preprocessing
        outputs, cache = {}, {}
        outputs[IMAGE], cache[IMAGE] = preprocess.forward(
            x, settings.channels, settings.scale, settings.mean, settings.std
        )
        for layer in needed:
            source = outputs[sources[layer.name]]
            if layer.kind == "pool":
                outputs[layer.name], cache[layer.name] = POOLINGS[self.pooling].forward(source)
                continue
            y, conv_cache = conv2d.forward(source, *self.parameters[layer.name])
            y, relu_cache = relu.forward(y) if layer.kind == "conv" else (y, None)
            outputs[layer.name], cache[layer.name] = y, (conv_cache, relu_cache)
        return {name: outputs[name] for name in taps}, cache

    def backward(self, grad_features: Mapping[str, Array], cache: Mapping[str, Any]) -> Array:
        """Return dL/dx (N, H, W, 3) from dL/dfeatures at the taps."""
        grad_x, _ = self._walk_back(grad_features, cache, with_parameters=False)
        return preprocess.backward(grad_x, cache[IMAGE])

    def backward_parameters(
        self, grad_features: Mapping[str, Array], cache: Mapping[str, Any]
    ) -> dict[str, tuple[Array, Array]]:
        """Return name of each convolution below the taps -> (dL/dw, dL/db), for training."""
        _, grad_parameters = self._walk_back(grad_features, cache, with_parameters=True)
        return grad_parameters

    def _walk_back(self, grad_features, cache, with_parameters):
        """Return dL/d(preprocessed image) and, if asked, the gradients of all parameters on the way.

        A layer's gradient is the sum over everything that reads it: the loss, where it is a tap, and the rows
        that name it as their source.  The walk meets all of these before the layer itself.
        """
        sources = self._sources()
        gradients, grad_parameters = dict(grad_features), {}
        for layer in reversed(self.needed(grad_features)):
            grad_y = gradients.pop(layer.name)
            if layer.kind == "pool":
                grad_x = POOLINGS[self.pooling].backward(grad_y, cache[layer.name])
            else:
                conv_cache, relu_cache = cache[layer.name]
                grad_y = relu.backward(grad_y, relu_cache) if layer.kind == "conv" else grad_y
                grad_x = conv2d.backward_input(grad_y, conv_cache)
                if with_parameters:
                    grad_parameters[layer.name] = conv2d.backward_parameters(grad_y, conv_cache)
            source = sources[layer.name]
            gradients[source] = gradients[source] + grad_x if source in gradients else grad_x
        return gradients[IMAGE], grad_parameters

    def check_layers(self, names: Iterable[str]) -> None:
        """Raise a UserError that names the layers there are, and the nearest one, if one of `names` is not there."""
        known = [layer.name for layer in self.layers]
        for name in names:
            if name not in known:
                nearest = difflib.get_close_matches(name, known, 1)
                hint = f" did you mean {nearest[0]}?" if nearest else ""
                raise UserError(f"{self.name} has no layer {name!r};{hint} its layers are {', '.join(known)}.")

    def check_size(self, height: int, width: int, taps: Iterable[str]) -> None:
        """Raise a UserError if a `height` x `width` image has no pixel left at one of `taps`."""
        sources, taps = self._sources(), list(taps)
        pools = {IMAGE: 0}
        for layer in self.needed(taps):
            pools[layer.name] = pools[sources[layer.name]] + (layer.kind == "pool")
        deepest = max(taps, key=lambda name: pools[name], default=IMAGE)
        side = 2 ** pools[deepest]
        if min(height, width) < side:
            raise UserError(
                f"an image of {width}x{height} pixels is too small for layer {deepest} of {self.name}: "
                f"take one of at least {side}x{side}, or layers above it."
            )

    def convolution_before(self, name: str) -> str | None:
        """Return the convolution whose channels layer `name` reads, through pools, or None for the image."""
        sources, pools = self._sources(), {layer.name for layer in self.layers if layer.kind == "pool"}
        source = sources[name]
        while source in pools:
            source = sources[source]
        return None if source == IMAGE else source

    def needed(self, taps: Iterable[str]) -> list[Layer]:
        """Return the rows that `taps` depend on, in the table's order."""
        sources, wanted = self._sources(), set(taps)
        for layer in reversed(self.layers):
            if layer.name in wanted:
                wanted.add(sources[layer.name])
        return [layer for layer in self.layers if layer.name in wanted]

    def _sources(self) -> dict[str, str]:
        """Name of each row -> name of the row that it reads."""
        above = [IMAGE, *(layer.name for layer in self.layers[:-1])]
        return {layer.name: layer.source or previous for layer, previous in zip(self.layers, above)}
