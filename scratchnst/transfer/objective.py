r"""The objective of style transfer, from pixels to (loss, gradient): equation 7 of the paper.

    L_total = alpha L_content + beta L_style  (+ tv_weight V, our option)                          (7)
    L_content = sum_l v_l  1/2 sum (F_l - P_l)^2             equation 1, with weights v_l over layers
    L_style   = sum_s b_s sum_l w_l  E_l(A_s)                equations 4 and 5, with shares b_s of several styles

Derivation of the gradient.  A derivative of a sum is the sum of derivatives: each term hands dL/dF_l, times its
weight, to the layer it taps; `Network.backward` carries all of them back to the pixels.  Whatever is in the
gradient is in the loss.
"""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from scratchnst import images
from scratchnst.arrays import Array, array_module, numbers
from scratchnst.engine import Engine
from scratchnst.errors import UserError
from scratchnst.models import checkpointing
from scratchnst.models.network import ZERO, Network
from scratchnst.models.normalize import normalize

LayerWeights = Mapping[str, float] | Iterable[str]
KEEP = "keep"
STYLE_FITS: dict[str, Callable[[tuple[int, ...], int, int], tuple[int, int]]] = {
    KEEP: images.shape_of_area,
    "squeeze": lambda shape, height, width: (height, width),
}


@dataclass(frozen=True)
class Term:
    """One summand of equation 7: weight * loss(features at layer, target)."""

    name: str
    layer: str
    weight: float
    loss: ModuleType
    target: Array

    @property
    def loss_name(self) -> str:
        """What engines call the loss: "content_loss", "style_loss"."""
        return self.loss.__name__.rpartition(".")[2]


class Objective:
    """Equation 7 for one content image and some style images: call it with an image to get loss and gradient.

    Parameters
    ----------
    network : a Network, see `load_network`
    content : (H, W, 3) array, RGB 0-255, or None to leave the content term out (a texture)
    styles : sequence of (H', W', 3) arrays, RGB 0-255, scaled to the content's size, or, without content, to the
        first style's; empty to leave the style term out
    style_fit : how they are scaled, "keep" or "squeeze", see `fit_style`; None if they are, by `fit_style`
    content_layers, style_layers : mapping of layer name to weight, or names alone, which share a weight of 1
    content_weight, style_weight : alpha and beta of equation 7
    style_blend : one weight a style, by default equal shares of 1
    tv_weight : weight of the total variation of the image in 0-255 units
    pooling : "avg" or "max"; None is the network's own, "avg" unless its file says otherwise
    padding : "zero", "replicate" or "reflect", what the network's first convolution sees around the image
    normalized : whether to scale the network's weights first, so that every filter's mean activation over the content
        and style images is 1, as in the paper; a network that is normalised already stays as it is
    dtype : "float32" or "float64", in which network and losses are computed
    largest_strip : bytes of a layer's activations from which on the layer is computed in strips, and twice; see
        `scratchnst.models.checkpointing`, and `scratchnst.transfer.memory` for the one that suits a limit

    Where layers or weights are None the network's defaults serve.  These weights, which include a little total
    variation, suit a normalised network: give normalized=True with them.

    Attributes
    ----------
    shape : (H, W, 3) of the images it takes
    summands : the `Term`s of equation 7 on features; the total variation, which is on pixels, is none of them
    terms : after a call, the value of each term before weighting: {"content/conv4_2": ..., "style/conv1_1": ...,
        "tv": ...}; with several styles "style1/conv1_1", "style2/conv1_1" ...

    Raises
    ------
    UserError
        For unknown layers, images too small for the deepest layer, negative or non-finite weights, or when no
        term is left.
    """

    def __init__(
        self,
        network: Network,
        content: Array | None = None,
        styles: Sequence[Array] = (),
        *,
        content_layers: LayerWeights | None = None,
        style_layers: LayerWeights | None = None,
        content_weight: float | None = None,
        style_weight: float | None = None,
        style_blend: Sequence[float] | None = None,
        style_fit: str | None = KEEP,
        tv_weight: float | None = None,
        pooling: str | None = None,
        padding: str = ZERO,
        normalized: bool = False,
        dtype: str = "float32",
        largest_strip: float = math.inf,
    ):
        if dtype not in ("float32", "float64"):
            raise UserError(f"the dtype must be float32 or float64, not {dtype!r}.")
        defaults = network.defaults
        self.dtype, self.largest_strip = dtype, largest_strip
        self.content_layers = _layer_weights(defaults.content_layers if content_layers is None else content_layers)
        self.style_layers = _layer_weights(defaults.style_layers if style_layers is None else style_layers)
        self.content = None if content is None else as_image("content", content, dtype)
        styles = [as_image("style", style, dtype) for style in styles]
        self.shape = self._shape(styles)
        height, width, _ = self.shape
        if content_weight is None:
            content_weight = 0.0 if self.content is None else network.content_weight(height, width, self.content_layers)
        if style_weight is None:
            style_weight = defaults.style_weight
        if tv_weight is None:
            tv_weight = defaults.tv_weight_per_pixel / (height * width)
        self.content_weight = _non_negative("content weight", content_weight)
        self.style_weight = _non_negative("style weight", style_weight)
        self.tv_weight = _non_negative("tv weight", tv_weight)
        self.styles = [fit_style(style, height, width, style_fit) if style_fit else style for style in styles]
        self.style_blend = _blend(style_blend, len(self.styles))
        network = self._prepare(replace(network, pooling=pooling or network.pooling), normalized)
        self.network = network.with_padding(padding)
        self.summands = [*self._content_terms(), *self._style_terms()]
        if not self.summands:
            raise UserError("no layer with a weight above zero is left, so there is nothing to optimise.")
        self.terms: dict[str, float] = {}

    def __call__(self, x: Array) -> tuple[float, Array]:
        """Return the total loss, equation 7, at image `x`, and its gradient.

        Parameters
        ----------
        x : array of shape (H, W, 3), or flat, RGB 0-255 (values outside are allowed), of NumPy or of the engine

        Returns
        -------
        loss : float
        grad : float64 array of x's shape, dloss/dx; it lies where x does
        """
        loss, grad, self.terms = self.evaluate(x)
        return loss, grad

    def with_engine(self, engine: Engine) -> Objective:
        """Return this objective computing with `engine`, which must take the weights' arrays as they are."""
        other = copy.copy(self)
        other.network = replace(self.network, engine=engine)
        other.summands = [
            replace(term, loss=getattr(engine, term.loss_name), target=engine.asarray(term.target))
            for term in self.summands
        ]
        return other

    def astype(self, dtype: str) -> Objective:
        """Return this objective computing in `dtype`, its weights and targets as they are."""
        other = copy.copy(self)
        other.dtype, other.network = dtype, self.network.astype(dtype)
        other.summands = [replace(term, target=term.target.astype(dtype)) for term in self.summands]
        return other

    def session(self) -> AbstractContextManager[None]:
        """Return what to enter around many calls, which are faster for it: they share what is made from the kernels."""
        return self.network.engine.session(keep_kernels=self.largest_strip == math.inf)

    def evaluate(self, x: Array) -> tuple[float, Array, dict[str, float]]:
        """Return loss and gradient as a call does, and the `terms`, which a call keeps: this changes nothing."""
        if math.prod(x.shape) != math.prod(self.shape):
            raise UserError(f"the image must have the shape {self.shape}, or be that flat, not {x.shape}.")
        engine = self.network.engine
        layers = {term.layer for term in self.summands}
        with self.session():
            image = engine.asarray(x, self.dtype).reshape(1, *self.shape)
            if self.largest_strip == math.inf:
                values, grad = self._features_and_back(image, layers)
            else:
                sections = checkpointing.cut(self.network, layers, self.shape[:2], self.largest_strip)
                values, grad = checkpointing.loss_and_gradient(self.network, sections, self.summands, image)
            if self.tv_weight:
                values["tv"], tv_cache = engine.total_variation.forward(image)
                grad += engine.total_variation.backward(self.tv_weight, tv_cache)
            values = dict(zip(values, numbers(list(values.values()))))  # last, since it waits for a GPU
        loss = 0.0
        for term in self.summands:
            loss += term.weight * values[term.name]
        if self.tv_weight:
            loss += self.tv_weight * values["tv"]
        if array_module(x) is np:
            grad = engine.asnumpy(grad)
        return loss, grad.astype("float64").reshape(x.shape), values

    def _features_and_back(self, image, layers):
        """The terms' values at an image, and dL/dimage: one way down the table and one way back."""
        features, cache = self.network.forward(image, layers, training=False)
        values: dict[str, Any] = {}  # floats, or arrays without dimensions on a GPU
        steps_back: dict[str, list[Callable[[], Array]]] = defaultdict(list)
        for term in self.summands:
            values[term.name], loss_cache = term.loss.forward(features[term.layer], term.target)
            steps_back[term.layer].append(partial(term.loss.backward, term.weight, loss_cache))
        del features, loss_cache  # they take most of the memory; the steps back hold what they need
        return values, self.network.backward(_SumsWhenAsked(steps_back), cache)

    def _shape(self, styles):
        """The images' shape: the content's or, without one, the first style's."""
        images_given = [image for image in (self.content, *styles) if image is not None]
        if not images_given:
            raise UserError("there is nothing to imitate: give a content image, a style image or both.")
        return (*np.shape(images_given[0])[:2], 3)

    def _prepare(self, network, normalized):
        """The network in our dtype, its weights scaled on our images if asked."""
        network.check_layers([*self.content_layers, *self.style_layers])
        network = network.astype(self.dtype)
        if network.normalized or not normalized:
            return network
        photos = self.styles if self.content is None else [self.content, *self.styles]
        layers = [
            *(self.content_layers if self.content is not None else ()),
            *(self.style_layers if self.styles else ()),
        ]
        return normalize(network, photos, layers)

    def _content_terms(self):
        """Equation 1 at each content layer."""
        if self.content is None:
            return []
        return self._terms("content", "content_loss", self.content, self.content_layers, self.content_weight)

    def _style_terms(self):
        """Equation 4 at each style layer for each style."""
        terms = []
        for number, (style, share) in enumerate(zip(self.styles, self.style_blend), start=1):
            name = "style" if len(self.styles) == 1 else f"style{number}"
            terms += self._terms(name, "style_loss", style, self.style_layers, self.style_weight * share)
        return terms

    def _terms(self, name, loss_name, image, layers, weight):
        """An engine's loss at each of `layers`, name -> weight; its target, what it sees of `image`, computed once."""
        engine, shape = self.network.engine, image.shape[:2]
        weights = {layer: weight * of_layer for layer, of_layer in layers.items() if weight * of_layer > 0}
        if not weights:
            return []
        loss = getattr(engine, loss_name)
        sections = checkpointing.cut(self.network, weights, shape, checkpointing.LARGEST)
        with engine.session():
            image = engine.asarray(image[np.newaxis], self.dtype)
            wanted = dict.fromkeys(weights, loss.statistic)
            targets = checkpointing.statistics(self.network, sections, image, wanted)
        if loss.statistic is not None and shape != self.shape[:2]:
            ours, theirs = self.network.shapes(*self.shape[:2]), self.network.shapes(*shape)
            for layer, target in targets.items():  # a sum over theirs becomes one over as many positions as ours
                target *= math.prod(ours[layer][:2]) / math.prod(theirs[layer][:2])
        return [Term(f"{name}/{layer}", layer, weights[layer], loss, targets[layer]) for layer in weights]


class _SumsWhenAsked(Mapping):
    """Layer -> dL/dF, the sum of what the losses on it say, computed when it is asked for, and once."""

    def __init__(self, steps_back: dict[str, list[Callable[[], Array]]]):
        self.steps_back = steps_back

    def __getitem__(self, layer: str) -> Array:
        first, *others = self.steps_back.pop(layer)
        total = first()
        for step in others:
            total += step()
        return total

    def __iter__(self) -> Iterator[str]:
        return iter(self.steps_back)

    def __len__(self) -> int:
        return len(self.steps_back)

    def __contains__(self, layer: object) -> bool:
        return layer in self.steps_back


def fit_style(style: Array, height: int, width: int, style_fit: str = KEEP) -> Array:
    """Return a style image (H', W', 3) scaled to the size of an image of `height` x `width` pixels.

    "squeeze" forces it into the image's height and width.  "keep" keeps its proportions, and it gets as many pixels as
    the image: so equation 4 compares sums over as many positions, as in the paper, and strokes are as large, on
    average, as when they are squeezed.  Scaled by the longer side instead, a style of 10:1 has 51 rows beside an image
    of 512x512.  Painted with an upright style of 1:2.5 on a photograph of 16:9, squeezed strokes lie flat, kept ones
    curve as in the style, and those of the longer side are finer, down to speckle.

    Raises
    ------
    UserError
        If there is no such way.
    """
    if style_fit not in STYLE_FITS:
        raise UserError(f"a style cannot be fitted by {style_fit!r}; choose one of {', '.join(STYLE_FITS)}.")
    return images.resize(style, *STYLE_FITS[style_fit](style.shape, height, width))


def as_image(role: str, image: Array, dtype: str = "float64") -> Array:
    """Return `image` as an array (H, W, 3) of `dtype`, or raise a UserError that calls it the `role` image."""
    image = np.asarray(image, dtype)
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise UserError(f"the {role} image must have the shape (height, width, 3), not {image.shape}.")
    if not np.isfinite(image).all():
        raise UserError(f"the {role} image holds values that are NaN or infinite; give RGB values from 0 to 255.")
    return image


def _layer_weights(layers: LayerWeights) -> dict[str, float]:
    """Return layer name -> weight; names alone share 1 equally, the paper's w_l = 1 / (number of layers)."""
    if isinstance(layers, Mapping):
        return {name: _non_negative(f"weight of layer {name}", weight) for name, weight in layers.items()}
    names = [layers] if isinstance(layers, str) else list(layers)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"the layer {twice} is named twice: name each layer once.")
    return {name: 1 / len(names) for name in names}


def _blend(shares, count):
    """Return one weight a style; equal shares of 1 where none are given."""
    if shares is None:
        return [1 / count for _ in range(count)]
    if len(shares) != count:
        raise UserError(f"there are {count} styles but {len(shares)} blend weights; give one for each style.")
    return [_non_negative("blend weight", share) for share in shares]


def _non_negative(what, number):
    """Return `number` as a float, or raise a UserError."""
    number = float(number)
    if not (np.isfinite(number) and number >= 0):
        raise UserError(f"the {what} must be a number of 0 or more, not {number:g}.")
    return number
