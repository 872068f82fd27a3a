"""From settings to a model that paints in any style: `scratchnst.training.style_training` with a pool of styles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scratchnst.engine import Engine, cpu, textbook
from scratchnst.errors import UserError
from scratchnst.fast.arbitrary_style import ArbitraryStyle
from scratchnst.models import adain_net, prediction_net, style_encoder, style_predictor, transform_net
from scratchnst.models.network import Network
from scratchnst.models.normalize import normalize
from scratchnst.training import photographs
from scratchnst.training.perceptual_loss import Weights
from scratchnst.training.photographs import Photographs
from scratchnst.training.style_job import (
    ENOUGH,
    HELD_OUT,
    MEASURED,
    check_side,
    done,
    losses_of,
    origin_of,
    to_train_on,
)
from scratchnst.training.style_pool import Pieces, StylePool
from scratchnst.training.style_training import Plan, Training
from scratchnst.weights.load import load_network

# How a network can be trained to take on a style -> its usual widths.
WIDTHS = {"prediction": prediction_net.WIDTHS, "adain": adain_net.WIDTHS}
STYLE_WEIGHT = 6.0  # of the distance itself, not of its square


@dataclass(frozen=True)
class ArbitrarySettings:
    """What a training is given.

    Attributes
    ----------
    paintings : a folder with pictures of styles
    folder : of photographs; None takes those at hand
    encoder : a name or a file of the network by whose features it paints
    transform : one of those of WIDTHS, see `ArbitraryStyle.styles`
    widths, blocks : of `prediction_net`, or widths of the decoder of `adain_net`
    units, styles : of the predictor: units of its hidden layer, and rows of the norms that it mixes; without units
        there is no predictor, and AdaIN alone depends on the style
    start : a model whose parameters the training begins with, in place of the encoder and the sizes
    weights, network, finish, licences, plan : see `scratchnst.training.style_job.StyleSettings`
    """

    paintings: Path
    folder: Path | None = None
    weights: Weights = field(default_factory=lambda: Weights(style=STYLE_WEIGHT, squared=False))
    network: str = "distilled"
    finish: str | None = None
    encoder: str = "distilled"
    widths: tuple[int, ...] = prediction_net.WIDTHS
    blocks: int = transform_net.BLOCKS
    transform: str = "prediction"
    units: int = style_predictor.UNITS
    styles: int = style_predictor.STYLES
    start: Path | None = None
    licences: Path | None = None
    plan: Plan = field(default_factory=Plan)


@dataclass(frozen=True)
class ArbitraryJob:
    """A training that is ready to run.

    Attributes
    ----------
    training : see `style_training.run`
    origin : what the model's file will say of the training
    held_out, paintings : photographs and styles that are not trained on
    """

    training: Training
    origin: dict[str, Any]
    held_out: tuple[np.ndarray, ...]
    paintings: tuple[np.ndarray, ...]

    def model(self) -> ArbitraryStyle:
        """Return the model as it is now."""
        return ArbitraryStyle(self.training.network, {**self.origin, **done(self.training)})


def prepare(settings: ArbitrarySettings, engine: Engine, tell: Callable[[str], None]) -> ArbitraryJob:
    """Read all that a training needs; `tell` is called with what the user should know of it.

    Raises
    ------
    UserError
        If a picture, a folder or a network cannot be used.
    """
    check_side(settings.plan.side)
    styles = photographs.from_folder(settings.paintings, settings.plan.side, tell)
    paintings = styles.hold_out(HELD_OUT) if len(styles) >= ENOUGH else ()
    found, held_out = to_train_on(settings, tell)
    network = _network(settings, found, tell).on(engine)
    tell(f"the styles are pieces of {len(styles)} pictures, and of the photographs")
    pieces = Pieces(styles, found, settings.plan.seed)
    losses = losses_of(settings, found, pieces, settings.weights, engine, tell)
    training = Training(network, losses, found, settings.plan, pool=StylePool(pieces, network))
    return ArbitraryJob(training, origin_of(settings, styles.names, losses, found), held_out, paintings)


def _network(settings: ArbitrarySettings, found: Photographs, tell: Callable[[str], None]) -> Network:
    """The network to begin with."""
    if settings.start:
        model = ArbitraryStyle.load(settings.start)
        transform, *_ = model.transforms
        if transform != settings.transform:
            raise UserError(
                f"{settings.start} paints by {transform}: give --transform {transform}, or another --start."
            )
        return model.network
    if settings.transform == "prediction" and not settings.units:
        raise UserError("prediction needs a predictor: give --units more than 0, or --transform adain.")
    random, encoder = np.random.default_rng(settings.plan.seed), _encoder(settings, found, tell)
    styles = settings.styles if settings.units else 1
    if settings.transform == "prediction":
        network = prediction_net.build(random, encoder, styles, settings.widths, settings.blocks)
    else:
        network = adain_net.build(random, encoder, styles, settings.widths)
    return style_predictor.with_predictor(network, random, settings.units) if settings.units else network


def _encoder(settings, found, tell):
    """The encoder, normalised by crops of the photographs if it is not."""
    encoder = load_network(settings.encoder).astype("float32")
    if encoder.normalized or style_encoder.ENCODED not in encoder.parameters:
        return encoder
    tell(f"the encoder {encoder.name} is normalised by {MEASURED} crops of photographs")
    crops = found.crops(np.random.default_rng([settings.plan.seed, 2]), MEASURED, settings.plan.side)
    return normalize(encoder.on(cpu), list(crops), [style_encoder.ENCODED]).on(textbook)
