"""A network is a table of named layers: a walk down the table computes features, a walk back up the gradient.

What a row computes, its kind says (`scratchnst.models.layers`).  It reads the row above, or the rows that it names as
its sources, so the same two walks serve VGG19 (a chain) and the filter pyramid (filters beside the pools).
"""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine import Engine, textbook
from scratchnst.errors import UserError
from scratchnst.models.layers import IMAGE, KINDS, POOLINGS, Layer, strides
from scratchnst.ops import preprocess

ZERO = "zero"
PADDED = {"replicate": "replicated", "reflect": "reflected"}  # padding -> the kind of a convolution with that
PADDINGS = (ZERO, *PADDED)


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

    Equation 4 is a mean over features and pixels, equation 1 and the total variation are sums.  So that one choice
    suits every layer and every size of image, the content weight stands here for one feature: it is divided by their
    number, see `Network.content_weight`.  That of the total variation stands for one pixel: it is divided by H W.
    """

    content_layers: Mapping[str, float]
    style_layers: Mapping[str, float]
    content_weight_per_feature: float
    style_weight: float = 1.0
    tv_weight_per_pixel: float = 0.0

    def __post_init__(self):
        layers = [*self.content_layers.values(), *self.style_layers.values()]
        weights = np.array(
            [*layers, self.content_weight_per_feature, self.style_weight, self.tv_weight_per_pixel], float
        )
        if not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise ValueError("default weights are finite numbers of 0 or more")


@dataclass(frozen=True)
class Network:
    """A table of layers with their parameters.

    Attributes
    ----------
    name : what to call it, "vgg19"
    layers : the table's rows, each after the rows that it reads
    parameters : layer name -> its arrays; of a convolution (w, b), kernels (kh, kw, C, K) and biases (K,)
    preprocessing : what the first row expects
    defaults : layers and weights that suit this network
    provenance : where the weights come from, JSON-able: file, SHA-256, format ...
    pooling : "avg" or "max"
    normalized : whether every filter's mean activation is about 1, see `scratchnst.models.normalize`
    engine : whose operations compute, see `scratchnst.engine`
    """

    name: str
    layers: tuple[Layer, ...]
    parameters: Mapping[str, tuple[Array, ...]]
    preprocessing: Preprocessing
    defaults: Defaults
    provenance: Mapping[str, Any] = field(default_factory=dict)
    pooling: str = "avg"
    normalized: bool = False
    engine: Engine = textbook

    def __post_init__(self):
        if self.pooling not in POOLINGS:
            raise UserError(f"there is no pooling {self.pooling!r}; choose one of {', '.join(POOLINGS)}.")
        names = [layer.name for layer in self.layers]
        if not names or len(set(names)) < len(names):
            raise ValueError("a network has layers, each with a name of its own")
        if IMAGE in names:
            raise ValueError(f"no layer is called {IMAGE}, which is the preprocessed image")
        if any(layer.kind not in KINDS for layer in self.layers):
            raise ValueError(f"the kind of a layer is one of {', '.join(KINDS)}")
        sides: dict[str, Fraction | int] = {IMAGE: 1}
        for layer, sources in zip(self.layers, self.sources().values()):
            if len(sources) != layer.rule.inputs:
                raise ValueError(f"layer {layer.name} must read {layer.rule.inputs} layers, not {len(sources)}")
            for source in sources:
                if source not in sides:
                    raise ValueError(f"layer {layer.name} reads {source}, which is not above it in the table")
            if len({sides[source] for source in sources}) > 1:
                raise ValueError(f"layer {layer.name} reads layers of different sizes: {', '.join(sources)}")
            sides[layer.name] = sides[sources[0]] * layer.rule.stride

    def astype(self, dtype: str) -> Network:
        """Return this network with its weights in `dtype`, float32 or float64."""
        cast = {
            name: tuple(array.astype(dtype, copy=False) for array in arrays) for name, arrays in self.parameters.items()
        }
        return replace(self, parameters=cast)

    def with_padding(self, padding: str) -> Network:
        """Return this network with its convolutions of the image continuing it by `padding`, one of `PADDINGS`.

        "replicate" repeats its outermost pixels, "reflect" mirrors it at its edges, where the convolutions of other
        layers have zeros.  A convolution with a ReLU becomes two rows, of which the second has its name.
        """
        if padding not in PADDINGS:
            raise UserError(f"there is no padding {padding!r}; choose one of {', '.join(PADDINGS)}.")
        if padding == ZERO:
            return self
        layers: list[Layer] = []
        parameters, sources = dict(self.parameters), self.sources()
        for layer in self.layers:
            if sources[layer.name] == (IMAGE,) and layer.kind == "conv":
                name = f"{layer.name}/linear"
                parameters[name] = parameters.pop(layer.name)
                layers += [Layer(name, PADDED[padding], (IMAGE,)), Layer(layer.name, "relu", (name,))]
            elif sources[layer.name] == (IMAGE,) and layer.kind == "linear":
                layers.append(replace(layer, kind=PADDED[padding]))
            else:
                layers.append(replace(layer, sources=sources[layer.name]))
        return replace(self, layers=tuple(layers), parameters=parameters)

    def on(self, engine: Engine) -> Network:
        """Return this network computing with `engine`, its weights where that computes."""
        if engine is self.engine:
            return self
        here, there = self.engine.asnumpy, engine.asarray
        moved = {name: tuple(there(here(array)) for array in arrays) for name, arrays in self.parameters.items()}
        return replace(self, parameters=moved, engine=engine)

    def forward(self, x: Array, taps: Iterable[str], training: bool = True) -> tuple[dict[str, Array], dict[str, Any]]:
        """Compute the features of images at the layers named in `taps`, and nothing that these do not need.

        Parameters
        ----------
        x : (N, H, W, 3) array, RGB 0-255, in the dtype of the network's weights
        taps : names of layers
        training : whether to keep what `backward_parameters` alone needs, as the input of every convolution

        Returns
        -------
        features : name of tap -> activation (N, H_l, W_l, C_l)
        cache : what `backward` needs, for one walk back: it is emptied on the way

        Raises
        ------
        UserError
            If a tap is not in the table, or the image is too small for one.
        """
        cache: dict[str, Any] = {}

        def keep(layer, layer_cache):
            cache[layer.name] = layer_cache if training else layer.rule.without_input(layer_cache)

        features, cache[IMAGE] = self._walk(x, taps, keep)
        return features, cache

    def features(self, x: Array, taps: Iterable[str], known: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Return the features that `forward` does, and keep nothing for a walk back.

        `known` are features of some layers, in place of those that would be computed.
        """
        features, _ = self._walk(x, taps, lambda layer, layer_cache: None, known or {})
        return features

    def _walk(self, x, taps, keep, known=MappingProxyType({})):
        """Compute the features at the taps, and what the preprocessing keeps; `keep` gets each layer's cache."""
        taps = list(taps)
        self.check_layers(taps)
        self.check_size(x.shape[1], x.shape[2], taps)
        needed, sources, outputs = self.needed(taps, known), self.sources(), dict(known)
        outputs[IMAGE], cache_of_image = self.preprocess(x)
        readers = Counter(source for layer in needed for source in sources[layer.name])
        readers.update(taps)
        for layer in needed:
            inputs = (outputs[source] for source in sources[layer.name])
            y, layer_cache = self.operation(layer).forward(*inputs, *self.arguments(layer))
            outputs[layer.name] = y
            keep(layer, layer_cache)
            del layer_cache
            for source in sources[layer.name]:
                readers[source] -= 1
                if not readers[source]:
                    del outputs[source]  # no row reads it any more
        return {name: outputs[name] for name in taps}, cache_of_image

    def preprocess(self, x: Array) -> tuple[Array, Any]:
        """Return what the first row reads, in place of images (N, H, W, 3), RGB 0-255, and the cache of it."""
        settings = self.preprocessing
        return self.engine.preprocess.forward(x, settings.channels, settings.scale, settings.mean, settings.std)

    def backward(self, grad_features: Mapping[str, Array], cache: dict[str, Any]) -> Array:
        """Return dL/dx (N, H, W, 3) from dL/dfeatures at the taps.

        Each of `grad_features` is asked for once, when the walk back has come to its layer, so that a mapping may
        compute it only then.
        """
        grad_x, _ = self._walk_back(grad_features, cache, with_parameters=False)
        return self.engine.preprocess.backward(grad_x, cache.pop(IMAGE))

    def backward_parameters(
        self, grad_features: Mapping[str, Array], cache: dict[str, Any]
    ) -> dict[str, tuple[Array, ...]]:
        """Return name of each layer with parameters that the taps depend on -> their gradients, for training."""
        _, grad_parameters = self._walk_back(grad_features, cache, with_parameters=True)
        return grad_parameters

    def _walk_back(self, grad_features, cache, with_parameters):
        """Return dL/d(preprocessed image) and, if asked, the gradients of all parameters on the way.

        A layer's gradient is the sum over everything that reads it: the loss, where it is a tap, and the rows
        that name it among their sources.  The walk meets all of these before the layer itself.
        """
        sources = self.sources()
        gradients: dict[str, Array] = {}
        grad_parameters: dict[str, tuple[Array, ...]] = {}
        for layer in reversed(self.needed(grad_features)):
            if layer.name in grad_features:
                gradients[layer.name] = self._sum(gradients.get(layer.name), grad_features[layer.name])
            grad_y = gradients.pop(layer.name)
            layer_cache = cache.pop(layer.name)
            of_image = sources[layer.name] == (IMAGE,)
            if with_parameters and layer.rule.parameter_names:
                grads_x, grad_parameters[layer.name] = self.backward_all(layer, grad_y, layer_cache)
            else:
                grads_x = () if with_parameters and of_image else self.backward_inputs(layer, grad_y, layer_cache)
            for source, grad_x in zip(sources[layer.name], grads_x):
                gradients[source] = self._sum(gradients.get(source), grad_x)
                del grad_x
            del grad_y, layer_cache, grads_x  # before the next layer's gradient is made
        return gradients.get(IMAGE), grad_parameters

    def operation(self, layer: Layer) -> Any:
        """Return the engine's module for a row of the table."""
        return getattr(self.engine, layer.rule.operation(self.pooling))

    def arguments(self, layer: Layer) -> tuple[Any, ...]:
        """Return what that operation takes behind the sources' features."""
        return layer.rule.arguments(self.parameters.get(layer.name, ()))

    def backward_inputs(self, layer: Layer, grad_y: Array, layer_cache: Any) -> tuple[Array, ...]:
        """Return the gradients of what a row reads, one a source."""
        operation = self.operation(layer)
        if layer.rule.parameter_names:
            grads_x = operation.backward_input(grad_y, layer_cache)
        else:
            grads_x = operation.backward(grad_y, layer_cache)
        return grads_x if layer.rule.inputs > 1 else (grads_x,)

    def backward_all(
        self, layer: Layer, grad_y: Array, layer_cache: Any
    ) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """Return the gradients of what a row with parameters reads, none of the image, and those of the parameters."""
        if layer_cache[0] is None:
            raise ValueError("gradients of the parameters need a forward pass with training=True")
        operation = self.operation(layer)
        if self.sources()[layer.name] == (IMAGE,):
            return (), operation.backward_parameters(grad_y, layer_cache)
        gradients = operation.backward(grad_y, layer_cache)
        return gradients[: layer.rule.inputs], gradients[layer.rule.inputs :]

    def _sum(self, ours, another):
        """Add `another` to `ours`, an array that nobody else holds, or None."""
        return another if ours is None else self.engine.add(ours, another)

    def check_layers(self, names: Iterable[str]) -> None:
        """Raise a UserError that names the layers there are, and the nearest one, if one of `names` is not there."""
        known = [layer.name for layer in self.layers]
        for name in names:
            if name not in known:
                nearest = difflib.get_close_matches(name, known, 1)
                hint = f" did you mean {nearest[0]}?" if nearest else ""
                raise UserError(f"{self.name} has no layer {name!r};{hint} its layers are {', '.join(known)}.")

    def smallest_side(self, taps: Iterable[str]) -> tuple[str, int]:
        """Return the deepest of `taps`, and the side of the smallest image of which a pixel is left there."""
        taps = list(taps)
        sides = strides(self.needed(taps), self.sources(), IMAGE)
        deepest = max(taps, key=lambda name: sides[name], default=IMAGE)
        return deepest, math.ceil(sides[deepest])

    def check_size(self, height: int, width: int, taps: Iterable[str]) -> None:
        """Raise a UserError if a `height` x `width` image has no pixel left at one of `taps`."""
        deepest, side = self.smallest_side(taps)
        if min(height, width) < side:
            raise UserError(
                f"an image of {width}x{height} pixels is too small for layer {deepest} of {self.name}: "
                f"take one of at least {side}x{side}, or layers above it."
            )

    def shapes(self, height: int, width: int) -> dict[str, tuple[int, int, int]]:
        """Return the shape (H_l, W_l, C_l) of every layer's features, and of the image, for an image of that size."""
        shapes, sources = {IMAGE: (height, width, 3)}, self.sources()
        for layer in self.layers:
            read = [shapes[source] for source in sources[layer.name]]
            shapes[layer.name] = layer.rule.shape(read, self.parameters.get(layer.name, ()))
        return shapes

    def content_weight(self, height: int, width: int, layers: Mapping[str, float] | None = None) -> float:
        """Return the default alpha of equation 7 for images of that size.

        It is the default weight of a feature over the number of features N M at the content layer, so that the sum of
        equation 1 becomes a mean.  Of several `layers`, name -> weight, their weighted mean number counts.

        Raises
        ------
        UserError
            If a layer is unknown, or the images are too small for one.
        """
        weights = self.defaults.content_layers if layers is None else layers
        self.check_layers(weights)
        self.check_size(height, width, weights)
        shapes = self.shapes(height, width)
        features = sum(weight * math.prod(shapes[name]) for name, weight in weights.items())
        return self.defaults.content_weight_per_feature * sum(weights.values()) / features if features else 0.0

    def needed(self, taps: Iterable[str], known: Container[str] = ()) -> list[Layer]:
        """Return the rows that `taps` depend on, in the table's order; what is `known` depends on nothing."""
        sources, wanted = self.sources(), set(taps)
        for layer in reversed(self.layers):
            if layer.name in wanted and layer.name not in known:
                wanted.update(sources[layer.name])
        return [layer for layer in self.layers if layer.name in wanted and layer.name not in known]

    def sources(self) -> dict[str, tuple[str, ...]]:
        """Return name of each row -> names of the rows that it reads."""
        above = [IMAGE, *(layer.name for layer in self.layers[:-1])]
        return {layer.name: layer.sources or (previous,) for layer, previous in zip(self.layers, above)}
