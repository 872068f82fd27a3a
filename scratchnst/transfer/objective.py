r"""The objective of style transfer, from pixels to (loss, gradient): equation 7 of the paper.

    L_total = alpha L_content + beta L_style  (+ tv_weight V, our option)                          (7)
    L_content = sum_l v_l  1/2 sum (F_l - P_l)^2             equation 1, with weights v_l over layers
    L_style   = sum_s b_s sum_l w_l  E_l(A_s)                equations 4 and 5, with shares b_s of several styles

With masks each style has a region, and E_l compares guided Gram matrices, see `scratchnst.ops.guide`.  The region's E_l
is multiplied by its share of the layer, the mean of its mask: so a position in it feels the style as strongly
as if the whole picture had that style, however small the region.

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
from scratchnst.images import masks as masks_of
from scratchnst.models import checkpointing, tiling
from scratchnst.models.guides import SIMPLE, WAYS, carry
from scratchnst.models.network import Network
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
    target: Array | None  # None if it is computed when it is needed
    guide: Array | None = None  # (1, H_l, W_l, 1), by which the features are multiplied before

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
    style_blend : one weight a style, by default equal shares of 1, or, with masks, 1 each
    masks : where each style counts, for each an (H, W) array, 0 to 1, of any size; where their sum is more than 1 they
        are divided by it; None is everywhere
    style_masks : where each style is looked at, for each an (H', W') array or None, everywhere
    keep : where the content stays as it is, an (H, W) array, 0 to 1, of any size; no style counts there
    guides : how masks are carried to the layers, one of `scratchnst.models.guides.WAYS`
    tv_weight : weight of the total variation of the image in 0-255 units
    pooling : "avg" or "max"; None is the network's own, "avg" unless its file says otherwise
    normalized : whether to scale the network's weights first, so that every filter's mean activation over the content
        and style images is 1, as in the paper; a network that is normalised already stays as it is
    dtype : "float32" or "float64", in which network and losses are computed
    largest_strip : bytes of a layer's activations from which on the layer is computed in strips, and twice; see
        `scratchnst.models.checkpointing`, and `scratchnst.transfer.memory` for the one that suits a limit
    tile : side in pixels of tiles in which all is computed, see `scratchnst.models.tiling`; no features are kept for
        it, and its gradient has the dtype of the image; None is no tiles

    Where layers or weights are None the network's defaults serve.  These weights, which include a little total
    variation, suit a normalised network: give normalized=True with them.

    Attributes
    ----------
    shape : (H, W, 3) of the images it takes
    left_out : styles' layers on which a mask has nothing, "style1/conv5_1"; they are no part of the objective
    summands : the `Term`s of equation 7 on features; the total variation, which is on pixels, is none of them
    terms : after a call, the value of each term before weighting: {"content/conv4_2": ..., "style/conv1_1": ...,
        "tv": ...}; with several styles "style1/conv1_1", "style2/conv1_1" ...

    Raises
    ------
    UserError
        For unknown layers, images too small for the deepest layer, negative or non-finite weights, a number of masks
        that is not that of the styles, masks that leave nothing to a style, or when no term is left.
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
        masks: Sequence[Array] | None = None,
        style_masks: Sequence[Array | None] | None = None,
        keep: Array | None = None,
        guides: str = SIMPLE,
        tv_weight: float | None = None,
        pooling: str | None = None,
        normalized: bool = False,
        dtype: str = "float32",
        largest_strip: float = math.inf,
        tile: int | None = None,
    ):
        if dtype not in ("float32", "float64"):
            raise UserError(f"the dtype must be float32 or float64, not {dtype!r}.")
        if guides not in WAYS:
            raise UserError(f"masks cannot be carried down by {guides!r}; choose one of {', '.join(WAYS)}.")
        defaults = network.defaults
        self.dtype, self.largest_strip, self.tile = dtype, largest_strip, tile
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
        self.style_blend = _blend(style_blend, len(self.styles), masks is not None)
        self.keep = self._kept(keep)
        self.masks = self._masks(masks)
        self.style_masks = _style_masks(style_masks, self.styles)
        self.guides = guides
        self.left_out: list[str] = []
        self.network = self._prepare(replace(network, pooling=pooling or network.pooling), normalized)
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
        grad : float64 array of x's shape, dloss/dx, or, in tiles, of the objective's dtype; it lies where x does
        """
        loss, grad, self.terms = self.evaluate(x)
        return loss, grad

    def with_engine(self, engine: Engine) -> Objective:
        """Return this objective computing with `engine`, which must take the weights' arrays as they are."""
        other = copy.copy(self)
        other.network = replace(self.network, engine=engine)
        other.summands = [
            replace(
                term,
                loss=getattr(engine, term.loss_name),
                target=None if term.target is None else engine.asarray(term.target),
                guide=None if term.guide is None else engine.asarray(term.guide),
            )
            for term in self.summands
        ]
        return other

    def astype(self, dtype: str) -> Objective:
        """Return this objective computing in `dtype`, its weights and targets as they are."""
        other = copy.copy(self)
        other.dtype, other.network = dtype, self.network.astype(dtype)
        other.summands = [
            replace(
                term,
                target=None if term.target is None else term.target.astype(dtype),
                guide=None if term.guide is None else term.guide.astype(dtype),
            )
            for term in self.summands
        ]
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
            image = engine.asarray(self.picture(x), self.dtype).reshape(1, *self.shape)
            if self.tile is not None:
                values, grad = tiling.loss_and_gradient(self.network, self.summands, image, self.content, self.tile)
            elif self.largest_strip == math.inf:
                values, grad = self._features_and_back(image, layers)
            else:
                sections = checkpointing.cut(self.network, layers, self.shape[:2], self.largest_strip)
                values, grad = checkpointing.loss_and_gradient(self.network, sections, self.summands, image)
            if self.tv_weight:
                values["tv"], tv_cache = engine.total_variation.forward(image)
                grad += engine.total_variation.backward(self.tv_weight, tv_cache)
            values = dict(zip(values, numbers(list(values.values()))))  # last, since it waits for a GPU
            if self.keep is not None:
                grad = engine.guide.backward(grad, engine.asarray(1 - self.keep, grad.dtype))
        loss = 0.0
        for term in self.summands:
            loss += term.weight * values[term.name]
        if self.tv_weight:
            loss += self.tv_weight * values["tv"]
        if array_module(x) is np:
            grad = engine.asnumpy(grad)
        if self.tile is None:
            grad = grad.astype("float64")
        return loss, grad.reshape(x.shape), values

    def picture(self, x: Array) -> Array:
        """Return the picture that an image `x`, (H, W, 3) or flat, stands for, of its shape: x, but for what is kept.

        With k the mask of what is kept it is y = k content + (1 - k) x = content + (1 - k) (x - content), so that
        dL/dx = (1 - k) dL/dy, `scratchnst.ops.guide` with the guide 1 - k.
        """
        if self.keep is None:
            return x
        module = array_module(x)
        content, keep = module.asarray(self.content), module.asarray(self.keep[0])
        return (content + (1 - keep) * (x.reshape(self.shape) - content)).astype(x.dtype).reshape(x.shape)

    def _features_and_back(self, image, layers):
        """The terms' values at an image, and dL/dimage: one way down the table and one way back."""
        features, cache = self.network.forward(image, layers, training=False)
        values: dict[str, Any] = {}  # floats, or arrays without dimensions on a GPU
        steps_back: dict[str, list[Callable[[], Array]]] = defaultdict(list)
        for term in self.summands:
            F = features[term.layer]
            if term.guide is not None:
                F, _ = self.network.engine.guide.forward(F, term.guide)
            values[term.name], loss_cache = term.loss.forward(F, term.target)
            steps_back[term.layer].append(partial(self._step_back, term, loss_cache))
        del features, F, loss_cache  # they take most of the memory; the steps back hold what they need
        return values, self.network.backward(_SumsWhenAsked(steps_back), cache)

    def _step_back(self, term, loss_cache):
        """dL/dF of one term, times its weight."""
        grad = term.loss.backward(term.weight, loss_cache)
        return grad if term.guide is None else self.network.engine.guide.backward(grad, term.guide)

    def _kept(self, keep):
        """The mask of what is kept, (1, H, W, 1)."""
        if keep is None:
            return None
        if self.content is None:
            raise UserError("there is no content to keep: give a content image, or leave the mask out.")
        return masks_of.resize(_mask("mask of what is kept", keep), *self.shape[:2])[None, ..., None]

    def _masks(self, masks):
        """The masks in our size, those of several styles sharing each pixel, and none where the content is kept."""
        if masks is None:
            if self.keep is None or not self.styles:
                return None
            masks = [np.ones(self.shape[:2], np.float32) for _ in self.styles]
            shared = masks
        else:
            if len(masks) != len(self.styles):
                raise UserError(f"there are {len(self.styles)} styles but {len(masks)} masks: give one for each style.")
            shared = masks_of.divide([masks_of.resize(_mask("mask", mask), *self.shape[:2]) for mask in masks])
        return shared if self.keep is None else [mask * (1 - self.keep[0, ..., 0]) for mask in shared]

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
            weight, mask = self.style_weight * share, None if self.masks is None else self.masks[number - 1]
            found = self._terms(
                name, "style_loss", style, self.style_layers, weight, mask, self.style_masks[number - 1]
            )
            if weight and not found:
                raise UserError(f"the masks leave nothing of {name} on any layer: give some with more white in them.")
            terms += found
        return terms

    def _regions(self, mask, layers):
        """Layer -> the mask (H_l, W_l), of those where it is not 0 everywhere."""
        if mask is None:
            return dict.fromkeys(layers)
        carried = {layer: carry(self.network, layer, mask, self.guides) for layer in layers}
        return {layer: mask for layer, mask in carried.items() if mask.any()}

    def _terms(self, name, loss_name, image, layers, weight, mask=None, target_mask=None):
        """An engine's loss at each of `layers`, name -> weight; its target, what it sees of `image`, computed once.

        It sees of the picture what `mask` has of it, and of `image` what `target_mask` has.
        """
        engine, shape = self.network.engine, image.shape[:2]
        weights = {layer: weight * of_layer for layer, of_layer in layers.items() if weight * of_layer > 0}
        regions, target_regions = self._regions(mask, weights), self._regions(target_mask, weights)
        seen = regions.keys() & target_regions.keys()
        self.left_out += [f"{name}/{layer}" for layer in weights if layer not in seen]
        weights = {layer: of_layer for layer, of_layer in weights.items() if layer in seen}
        if not weights:
            return []
        loss = getattr(engine, loss_name)
        if self.tile is not None and loss.statistic is None:
            return [Term(f"{name}/{layer}", layer, of_layer, loss, None) for layer, of_layer in weights.items()]
        sections = checkpointing.cut(self.network, weights, shape, checkpointing.LARGEST)
        with engine.session():
            image = engine.asarray(image[np.newaxis], self.dtype)
            wanted = dict.fromkeys(weights, loss.statistic)
            guides = {layer: self._guide(target_regions[layer]) for layer in weights}
            targets = checkpointing.statistics(self.network, sections, image, wanted, guides)
        if loss.statistic is not None and shape != self.shape[:2]:
            ours, theirs = self.network.shapes(*self.shape[:2]), self.network.shapes(*shape)
            for layer, target in targets.items():  # a sum over theirs becomes one over as many positions as ours
                target *= math.prod(ours[layer][:2]) / math.prod(theirs[layer][:2])
        terms = []
        for layer, of_layer in weights.items():
            region = regions[layer]
            share = 1.0 if region is None else float(np.mean(region, dtype=float))
            guide = self._guide(region)
            terms.append(Term(f"{name}/{layer}", layer, of_layer * share, loss, targets[layer], guide))
        return terms

    def _guide(self, region):
        """A mask of a layer (H_l, W_l) as the guide (1, H_l, W_l, 1), or None, everywhere."""
        if region is None:
            return None
        T = self.network.engine.guide.of_mask(region)
        return self.network.engine.asarray(T[None, ..., None], self.dtype)


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


def _blend(shares, count, masked):
    """Return one weight a style: where none are given, equal shares of 1, or 1 each if each has a mask."""
    if shares is None:
        return [1.0 if masked else 1 / count for _ in range(count)]
    if len(shares) != count:
        raise UserError(f"there are {count} styles but {len(shares)} blend weights; give one for each style.")
    return [_non_negative("blend weight", share) for share in shares]


def _style_masks(masks, styles):
    """Return a mask for each style, in the style's size, or None."""
    if masks is None:
        return [None for _ in styles]
    if len(masks) != len(styles):
        raise UserError(f"there are {len(styles)} styles but {len(masks)} style masks: give one for each style.")
    return [
        None if mask is None else masks_of.resize(_mask("style mask", mask), *style.shape[:2])
        for mask, style in zip(masks, styles)
    ]


def _mask(what, mask):
    """Return a mask as a float32 array (H, W), or raise a UserError."""
    mask = np.asarray(mask, np.float32)
    if mask.ndim != 2 or mask.size == 0:
        raise UserError(f"the {what} must have the shape (height, width), not {mask.shape}.")
    if not (np.isfinite(mask).all() and mask.min() >= 0 and mask.max() <= 1):
        raise UserError(f"the {what} must hold numbers from 0 to 1.")
    return mask


def _non_negative(what, number):
    """Return `number` as a float, or raise a UserError."""
    number = float(number)
    if not (np.isfinite(number) and number >= 0):
        raise UserError(f"the {what} must be a number of 0 or more, not {number:g}.")
    return number
