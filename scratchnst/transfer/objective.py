r"""The objective of style transfer, from pixels to (loss, gradient): equation 7 of the paper.

    L_total = alpha L_content + beta L_style  (+ tv_weight V + laplacian_weight L, our options)    (7)
    L_content = sum_l v_l  1/2 sum (F_l - P_l)^2             equation 1, with weights v_l over layers
    L_style   = sum_s b_s sum_l w_l  E_l(A_s)                equations 4 and 5, with shares b_s of several styles

With masks each style has a region, and E_l compares guided Gram matrices, see `scratchnst.ops.guide`.  The region's E_l
is multiplied by its share of the layer, the mean of its mask: so a position in it feels the style as strongly
as if the whole picture had that style, however small the region.

E_l and V are those of `STYLE_LOSSES` and `TOTAL_VARIATIONS`.

Derivation of the gradient.  A derivative of a sum is the sum of derivatives: each term hands dL/dF_l, times its
weight, to the layer it taps; `Network.backward` carries all of them back to the pixels.  Whatever is in the
gradient is in the loss.
"""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np

from scratchnst import images
from scratchnst.arrays import Array, array_module, numbers
from scratchnst.engine import Engine
from scratchnst.errors import UserError
from scratchnst.images import masks as masks_of
from scratchnst.losses import as_target, is_joined
from scratchnst.models import checkpointing, tiling
from scratchnst.models.checkpointing import Shift
from scratchnst.models.guides import SIMPLE, WAYS, carry
from scratchnst.models.layers import IMAGE
from scratchnst.models.network import ZERO, Network
from scratchnst.models.normalize import mean_features, normalize
from scratchnst.models.student import is_like
from scratchnst.transfer.checks import as_image, as_mask, blend, finite, masks_of_styles, non_negative, one_of
from scratchnst.transfer.layer_weights import EQUAL, LayerWeights, layer_weights_of, neighbours, style_layer_weights

LAYERS, NEIGHBOURS, BOTH = "layers", "neighbours", "both"
CORRELATIONS = (LAYERS, NEIGHBOURS, BOTH)
KEEP = "keep"
STYLE_FITS: dict[str, Callable[[tuple[int, ...], int, int], tuple[int, int]]] = {
    KEEP: images.shape_of_area,
    "squeeze": lambda shape, height, width: (height, width),
}
# Setting -> the loss, and a factor on its weight, with which a weight is of about the same strength whatever the loss;
# docs/options.md tells how these were found.
GRAM = "gram"
STYLE_LOSSES = {
    GRAM: ("style_loss", 1.0),
    "moments": ("moments_style_loss", 0.3),
    "wasserstein": ("wasserstein_style_loss", 0.1),
    "sliced": ("sliced_style_loss", 0.25),
}
SQUARED = "squared"
TOTAL_VARIATIONS = {SQUARED: ("total_variation", 1.0), "absolute": ("absolute_variation", 35.0)}


@dataclass(frozen=True)
class Term:
    """One summand of equation 7: weight * loss(features at layer + shift, target), or of the image itself, at IMAGE.

    With `above`, a layer that is not deeper, it is weight * loss(features there, features at layer, target).  `shifts`
    has a number, or one for each channel, for each of the layers, or nothing.
    """

    name: str
    layer: str
    weight: float
    loss: ModuleType
    target: Any  # an array, or None if it is computed when it is needed
    above: str | None = None
    shifts: tuple[Shift, ...] = ()
    guide: Array | None = None  # (1, H_l, W_l, 1), by which what is seen is multiplied

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that it taps, from the image down."""
        return (self.layer,) if self.above is None else (self.above, self.layer)

    @property
    def loss_name(self) -> str:
        """What engines call the loss: "content_loss", "style_loss"."""
        return self.loss.__name__.rpartition(".")[2]

    @property
    def targets(self) -> tuple[Array, ...]:
        """What the loss takes beside features or image: its target, if it has one."""
        return () if self.target is None else (self.target,)


class Objective:
    """Equation 7 for one content image and some style images: call it with an image to get loss and gradient.

    Parameters
    ----------
    network : a Network, see `load_network`
    content : (H, W, 3) array, RGB 0-255, or None to leave the content term out (a texture)
    styles : sequence of (H', W', 3) arrays, RGB 0-255, scaled to the content's size, or, without content, to the
        first style's; empty to leave the style term out
    style_fit : how they are scaled, "keep" or "squeeze", see `fit_style`; None if they are, by `fit_style`
    content_layers, style_layers : mapping of layer name to weight, or names alone, which share a weight of 1; for style
        "all" stands for all layers of the network, see `named`
    layer_weights : how style layers share it: "equal", or "geometric", see `style_layer_weights`
    activation_shift : s, what is added to the features that style is taken from; of layers that stand for VGG19's, s
        times each channel's mean over the images
    correlations : whose channels a Gram matrix correlates: those of each of the style "layers" with one another, those
        of "neighbours", each style layer's with the next one's, or "both"
    content_weight, style_weight : alpha and beta of equation 7
    style_blend : one weight a style, by default equal shares of 1, or, with masks, 1 each
    masks : where each style counts, for each an (H, W) array, 0 to 1, of any size; where their sum is more than 1 they
        are divided by it; None is everywhere
    style_masks : where each style is looked at, for each an (H', W') array or None, everywhere
    keep : where the content stays as it is, an (H, W) array, 0 to 1, of any size; no style counts there
    guides : how masks are carried to the layers, one of `scratchnst.models.guides.WAYS`
    tv_weight : weight of the total variation of the image in 0-255 units
    style_loss, tv : the style loss and the total variation, of `STYLE_LOSSES` and `TOTAL_VARIATIONS`
    laplacian_weight : weight of the Laplacian loss of the image in 0-1 units, for which there must be a content
    pooling : "avg" or "max"; None is the network's own, "avg" unless its file says otherwise
    padding : "zero", "replicate" or "reflect", what the network's first convolution sees around the image
    normalized : whether to scale the network's weights first, so that every filter's mean activation over the content
        and style images is 1, as in the paper; a network that is normalised already stays as it is
    dtype : "float32" or "float64", in which network and losses are computed
    largest_strip : bytes of a layer's activations from which on the layer is computed in strips, and twice; see
        `scratchnst.models.checkpointing`, and `scratchnst.transfer.memory` for the one that suits a limit
    tile : side in pixels of tiles in which all is computed, see `scratchnst.models.tiling`; no features are kept for
        it, and its gradient has the dtype of the image; None is no tiles

    Where layers or weights are None the network's defaults serve.  These weights, which include a little total
    variation, suit a normalised network: give normalized=True with them.  The layers of a style share 1 equally where
    the loss is not that of Gram matrices: the others do not depend on how many channels a layer has.

    Attributes
    ----------
    shape : (H, W, 3) of the images it takes
    left_out : styles' layers on which a mask has nothing, "style1/conv5_1"; they are no part of the objective
    summands : the `Term`s of equation 7 on features
    pixel_summands : those on the image itself, total variation and Laplacian
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
        layer_weights: str = EQUAL,
        activation_shift: float = 0.0,
        correlations: str = LAYERS,
        tv_weight: float | None = None,
        style_loss: str = GRAM,
        tv: str = SQUARED,
        laplacian_weight: float = 0.0,
        pooling: str | None = None,
        padding: str = ZERO,
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
        self.content_layers = layer_weights_of(defaults.content_layers if content_layers is None else content_layers)
        self.style_loss, self.tv = one_of("style loss", STYLE_LOSSES, style_loss), one_of("tv", TOTAL_VARIATIONS, tv)
        if style_layers is None and style_loss != GRAM:
            style_layers = list(defaults.style_layers)
        self.style_layers = style_layer_weights(network, style_layers, layer_weights)
        self.activation_shift = finite("activation shift", activation_shift)
        self.correlations = one_of("kind of correlations", CORRELATIONS, correlations)
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
        self.content_weight = non_negative("content weight", content_weight)
        self.style_weight = non_negative("style weight", style_weight)
        self.tv_weight = non_negative("tv weight", tv_weight)
        self.laplacian_weight = non_negative("laplacian weight", laplacian_weight)
        self.styles = [fit_style(style, height, width, style_fit) if style_fit else style for style in styles]
        self.style_blend = blend(style_blend, len(self.styles), masks is not None)
        self.keep = self._kept(keep)
        self.masks = self._masks(masks)
        self.style_masks = masks_of_styles(style_masks, self.styles)
        self.guides = guides
        self.left_out: list[str] = []
        self._unpadded = self._prepare(replace(network, pooling=pooling or network.pooling), normalized)
        self.network = self._unpadded.with_padding(padding)
        if tile is not None and padding != ZERO:
            raise UserError(f"the padding {padding!r} needs the whole image, and in tiles there is none: take zero.")
        self.shifts = self._shifts()
        self.summands = [*self._content_terms(), *self._style_terms()]
        self.laplacian_target = self._laplacian_target()
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
        if self.laplacian_target is not None:
            other.laplacian_target = engine.asarray(self.laplacian_target)
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
        if self.laplacian_target is not None:
            other.laplacian_target = self.laplacian_target.astype(dtype)
        return other

    def session(self) -> AbstractContextManager[None]:
        """Return what to enter around many calls, which are faster for it: they share what is made from the kernels."""
        return self.network.engine.session(keep_kernels=self.largest_strip == math.inf)

    def evaluate(self, x: Array) -> tuple[float, Array, dict[str, float]]:
        """Return loss and gradient as a call does, and the `terms`, which a call keeps: this changes nothing."""
        if math.prod(x.shape) != math.prod(self.shape):
            raise UserError(f"the image must have the shape {self.shape}, or be that flat, not {x.shape}.")
        engine = self.network.engine
        layers = {layer for term in self.summands for layer in term.layers}
        with self.session():
            image = engine.asarray(self.picture(x), self.dtype).reshape(1, *self.shape)
            if self.tile is not None:
                values, grad = tiling.loss_and_gradient(self.network, self.summands, image, self.content, self.tile)
            elif self.largest_strip == math.inf:
                values, grad = self._features_and_back(image, layers)
            else:
                sections = checkpointing.cut(
                    self.network, layers, self.shape[:2], self.largest_strip, [term.layers for term in self.summands]
                )
                values, grad = checkpointing.loss_and_gradient(self.network, sections, self.summands, image)
            for term in self.pixel_summands:
                values[term.name], pixel_cache = term.loss.forward(image, *term.targets)
                grad += term.loss.backward(term.weight, pixel_cache)
            values = dict(zip(values, numbers(list(values.values()))))  # last, since it waits for a GPU
            if self.keep is not None:
                grad = engine.guide.backward(grad, engine.asarray(1 - self.keep, grad.dtype))
        loss = 0.0
        for term in (*self.summands, *self.pixel_summands):
            loss += term.weight * values[term.name]
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

    @property
    def pixel_summands(self) -> list[Term]:
        """The terms of equation 7 on the image itself."""
        engine, terms = self.network.engine, []
        if self.tv_weight:
            loss_name, factor = TOTAL_VARIATIONS[self.tv]
            terms.append(Term("tv", IMAGE, factor * self.tv_weight, getattr(engine, loss_name), None))
        if self.laplacian_weight:
            weight = self.laplacian_weight / 255**2  # its value is that of an image in 0-255 units
            terms.append(Term("laplacian", IMAGE, weight, engine.laplacian_loss, self.laplacian_target))
        return terms

    def _features_and_back(self, image, layers):
        """The terms' values at an image, and dL/dimage: one way down the table and one way back."""
        features, cache = self.network.forward(image, layers, training=False)
        seen = checkpointing.Shifted(self.network.engine, features)
        values: dict[str, Any] = {}  # floats, or arrays without dimensions on a GPU
        steps_back: dict[str, list[Callable[[], Array]]] = defaultdict(list)
        for term in self.summands:
            values[term.name], loss_cache = term.loss.forward(*seen.by(term), *seen.ones(term), term.target)
            step_back = partial(self._step_back, term, loss_cache)
            for layer, step in zip(term.layers, [step_back] if term.above is None else _one_each(step_back)):
                steps_back[layer].append(step)
        del features, seen, loss_cache  # they take most of the memory; the steps back hold what they need
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
        return masks_of.resize(as_mask("mask of what is kept", keep), *self.shape[:2])[None, ..., None]

    def _masks(self, masks):
        """The masks in our size, those of several styles sharing each pixel, and none where the content is kept."""
        if masks is None:
            if self.keep is None or not self.styles:
                return None
            shared = [np.ones(self.shape[:2], np.float32) for _ in self.styles]
        else:
            if len(masks) != len(self.styles):
                raise UserError(f"there are {len(self.styles)} styles but {len(masks)} masks: give one for each style.")
            shared = masks_of.divide([masks_of.resize(as_mask("mask", mask), *self.shape[:2]) for mask in masks])
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
        """Equation 4, or another style loss, at each style layer, or each pair of neighbours, for each style."""
        terms: list[Term] = []
        loss_name, factor = STYLE_LOSSES[self.style_loss]
        self._check_style_loss(getattr(self.network.engine, loss_name).statistic)
        for number, (style, share) in enumerate(zip(self.styles, self.style_blend), start=1):
            name = "style" if len(self.styles) == 1 else f"style{number}"
            beta, mask = self.style_weight * share * factor, None if self.masks is None else self.masks[number - 1]
            how = self.shifts, mask, self.style_masks[number - 1]
            found: list[Term] = []
            if self.correlations != NEIGHBOURS:
                found += self._terms(name, loss_name, style, self.style_layers, beta, *how)
            if self.correlations != LAYERS:
                pairs = neighbours(self.network, self.style_layers)
                found += self._terms(name, "cross_style_loss", style, pairs, beta, *how)
            if beta and not found:
                raise UserError(
                    f"the masks leave nothing of {name} on any layer at {self.shape[1]}x{self.shape[0]} pixels: give "
                    "some with more white in them, take the guides simple, or fewer scales."
                )
            terms += found
        return terms

    def _check_style_loss(self, statistic):
        """Raise a UserError if the style loss knows no regions, or needs all positions where there are tiles."""
        masked = self.masks is not None or any(mask is not None for mask in self.style_masks)
        if masked and is_joined(statistic):
            raise UserError(f"the style loss {self.style_loss} knows no regions: take another, or leave out the masks.")
        if self.correlations != LAYERS and (masked or self.style_loss != GRAM):
            raise UserError(
                "correlations of neighbours are of Gram matrices of the whole picture: take layers, or leave out masks "
                "and other style losses."
            )
        if self.tile is not None and is_joined(statistic):
            raise UserError(
                f"the style loss {self.style_loss} compares all positions of a layer at once, which there is no memory "
                "for: take another, or a smaller size."
            )

    def _laplacian_target(self):
        """What the Laplacian loss compares the image with, the content, (1, H, W, 3); None if it has no weight."""
        if not self.laplacian_weight:
            return None
        if self.content is None:
            raise UserError("the Laplacian loss compares edges with the content's: give a content, or no weight.")
        return self.network.engine.asarray(self.content[np.newaxis], self.dtype)

    def _regions(self, mask, layers):
        """Layer -> the mask (H_l, W_l), of those where it is not 0 everywhere."""
        if mask is None:
            return dict.fromkeys(layers)
        carried = {layer: carry(self._unpadded, layer, mask, self.guides) for layer in layers}
        return {layer: mask for layer, mask in carried.items() if mask.any()}

    def _shifts(self):
        """Style layer -> what is added to its features.

        -1 is meant for features whose mean is 1, as every filter's of a normalised network is.  A layer that stands for
        one of VGG19's has its features in other axes, so that its own means over the images stand for these ones.
        """
        if not (self.activation_shift and self.styles):
            return {}
        like = [name for name in self.style_layers if is_like(name)]
        photos = self.styles if self.content is None else [self.content, *self.styles]
        means = mean_features(self.network, photos, like) if like else {}
        return {name: self.activation_shift for name in self.style_layers} | {
            name: tuple(float(self.activation_shift * number) for number in mean) for name, mean in means.items()
        }

    def _terms(self, name, loss_name, image, layers, weight, shifts=MappingProxyType({}), mask=None, target_mask=None):
        """An engine's loss at each of `layers`, a name, or a pair of them, -> weight.

        It sees of the picture what `mask` has of it, and of `image` what `target_mask` has.  Its target, what it sees
        of `image`, is computed once.
        """
        loss = getattr(self.network.engine, loss_name)
        regions, target_regions = self._regions(mask, layers), self._regions(target_mask, layers)
        terms, shares = [], {}
        for tapped, of_layer in layers.items():
            above, layer = (None, tapped) if isinstance(tapped, str) else tapped
            label = f"{name}/{layer if above is None else f'{above}+{layer}'}"
            if weight * of_layer == 0:
                continue
            if tapped not in regions or tapped not in target_regions:
                self.left_out.append(label)
                continue
            term = Term(label, layer, weight * of_layer, loss, None, above, guide=self._guide(target_regions[tapped]))
            terms.append(replace(term, shifts=tuple(shifts[tap] for tap in term.layers)) if shifts else term)
            shares[label] = regions[tapped]
        if not terms or (self.tile is not None and loss.statistic is None):
            return terms
        targets = self._targets(terms, loss.statistic, image)
        return [self._of_region(term, shares[term.name], targets[term.name]) for term in terms]

    def _targets(self, terms, statistic, image):
        """Name of each term -> what it sees of `image`, as the target of a picture of our size."""
        engine, shape, pairs = self.network.engine, image.shape[:2], [term.layers for term in terms]
        sections = checkpointing.cut(self.network, {*sum(pairs, ())}, shape, checkpointing.LARGEST, pairs)
        with engine.session():
            image = engine.asarray(image[np.newaxis], self.dtype)
            targets = checkpointing.statistics(self.network, sections, image, terms)
        if statistic is not None:
            ours, theirs = self.network.shapes(*self.shape[:2]), self.network.shapes(*shape)
            for term in terms:
                positions = (math.prod(shapes[term.layer][:2]) for shapes in (theirs, ours))
                targets[term.name] = as_target(statistic, targets[term.name], *positions)
        return targets

    def _of_region(self, term, region, target):
        """A term with its target, for a region (H_l, W_l) of the picture, of which it has its share of the weight."""
        share = 1.0 if region is None else float(np.mean(region, dtype=float))
        return replace(term, weight=term.weight * share, target=target, guide=self._guide(region))

    def _guide(self, region):
        """A mask of a layer (H_l, W_l) as the guide (1, H_l, W_l, 1), or None, everywhere."""
        if region is None:
            return None
        T = self.network.engine.guide.of_mask(region)
        return self.network.engine.asarray(T[None, ..., None], self.dtype)


def _one_each(step_back):
    """Two steps back, of the gradients for a pair of layers; the deeper layer's, asked for first, computes both."""
    kept: list[Array] = []

    def of_deeper():
        grad_above, grad = step_back()
        kept.append(grad_above)
        return grad

    return [kept.pop, of_deeper]


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
