"""A batch of crops, and what a transform network learns from it: the losses, and the gradients of its parameters.

The steps of the way back, for crops x that the network f paints as y = f(x), are those of
`scratchnst.training.style_training`.  Every term of the loss is a mean over the batch, and no operation mixes images.
So a batch may be computed in parts: losses and gradients of the whole are the means of those of its parts, weighted by
their numbers of images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import NamedTuple

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.errors import UserError
from scratchnst.models import adain_net, style_predictor, transform_net
from scratchnst.models.network import Network
from scratchnst.training import steadiness
from scratchnst.training.perceptual_loss import Losses, PerceptualLoss

DIVERGED = "the loss is no longer finite: choose a lower --style-weight, --steady or --rate."


@dataclass(frozen=True)
class Batch:
    """What one step of a training is about.

    Attributes
    ----------
    x : crops (N, H, W, 3), RGB 0-255
    styles : the number of each one's style
    later, shift : x' and d of `scratchnst.training.steadiness`, another frame of each; None without it
    statistics : of each one's style, for a network with a predictor, see `scratchnst.models.style_predictor`
    grain : noise (N, H, W, 3) that is added to each frame before it is painted, see `scratchnst.images.grain`
    of_itself : whether each one's style is the crop itself, so that it is to be painted as it is
    """

    x: Array
    styles: Sequence[int]
    later: Array | None = None
    shift: tuple[int, int] = (0, 0)
    statistics: Array | None = None
    grain: Array | None = None
    of_itself: bool = False

    def parts(self, size: int) -> list[Batch]:
        """Return batches of at most `size` images that make this one."""
        return [self._part(slice(start, start + size)) for start in range(0, len(self.x), size)]

    def _part(self, cut):
        def some(images):
            return None if images is None else images[cut]

        images = {name: some(getattr(self, name)) for name in ("x", "later", "statistics", "grain")}
        return replace(self, styles=self.styles[cut], **images)


class Outcome(NamedTuple):
    """The losses of a batch, what is painted, y, and layer -> the gradients of its arrays."""

    losses: Losses
    painted: Array
    gradients: Mapping[str, tuple[Array, ...]]


def gradients(network: Network, loss: PerceptualLoss, batch: Batch) -> Outcome:
    """Return what a network, with a row in its norms for each style or with a predictor, learns from a batch.

    Raises
    ------
    UserError
        If the loss is not finite.
    """
    engine, count, frames, styles = network.engine, len(batch.x), [batch.x], list(batch.styles)
    if batch.later is not None:
        frames, styles = [batch.x, batch.later], styles * 2
    if batch.grain is not None:
        frames = [frame + batch.grain for frame in frames]
    images = array_module(batch.x).concatenate(frames)
    with np.errstate(over="ignore", invalid="ignore"), engine.session():  # what is not finite is told below
        painter, mixture, of_mixture = _painter(network, batch, styles)
        painted, way_back = _painted(painter, images)
        y = painted[:count]
        losses, grad = loss.of_itself(y, batch.x) if batch.of_itself else loss(y, batch.x, styles[:count])
        if batch.later is not None:
            losses, grad = _steadied(losses, grad, painted, batch, loss.weights.steady)
        if not math.isfinite(losses.total):
            raise UserError(DIVERGED)
        grads = way_back(grad)
        found = transform_net.of_styles(network, grads, mixture) | of_mixture(grads)
    return Outcome(losses, y, found)


def _painted(painter, images):
    """What is painted of images, and what leads from its gradient to those of the parameters."""
    has_margin = adain_net.has_margin(painter)
    outputs, cache = painter.forward(adain_net.with_margin(images) if has_margin else images, [transform_net.OUTPUT])
    output = outputs[transform_net.OUTPUT]

    def way_back(grad):
        grad_output = transform_net.to_output(adain_net.margin_of_zeros(grad) if has_margin else grad)
        return painter.backward_parameters({transform_net.OUTPUT: grad_output}, cache)

    return transform_net.to_picture(adain_net.without_margin(output) if has_margin else output), way_back


def _painter(network, batch, styles):
    """What paints the images, the mixture of rows of each, and what returns the gradients of what has made these."""
    if batch.statistics is None:
        rows = transform_net.number_of_styles(network)
        mixture = network.engine.asarray(np.eye(rows, dtype=np.float32)[styles])
        return transform_net.with_styles(network, mixture), mixture, lambda grads: {}
    z = array_module(batch.x).concatenate([batch.statistics] * (len(styles) // len(batch.x)))
    mixture, cache = style_predictor.forward(network, z)

    def of_mixture(grads):
        return style_predictor.backward(network, transform_net.of_mixture(network, grads), cache)

    return style_predictor.painter(network, mixture, z), mixture, of_mixture


def _steadied(losses, grad_y, painted, batch, weight):
    """The losses with the unsteadiness of what is painted, and the gradient by the paintings of both frames."""
    count = len(batch.x)
    value, by_first, by_second = steadiness.difference(painted[:count], painted[count:], batch.shift)
    factor = painted.dtype.type(weight)
    grad = array_module(painted).concatenate([grad_y + factor * by_first, factor * by_second])
    return replace(losses, total=losses.total + weight * value, unsteadiness=value), grad


def mean(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of the batch whose parts these are of."""
    numbers = [len(outcome.painted) for outcome in outcomes]
    shares = [number / sum(numbers) for number in numbers]
    return Outcome(
        reduce(Losses.plus, (outcome.losses.times(share) for outcome, share in zip(outcomes, shares))),
        array_module(outcomes[0].painted).concatenate([outcome.painted for outcome in outcomes]),
        {
            name: tuple(
                sum(array * array.dtype.type(share) for array, share in zip(arrays, shares))
                for arrays in zip(*(outcome.gradients[name] for outcome in outcomes))
            )
            for name in outcomes[0].gradients
        },
    )
