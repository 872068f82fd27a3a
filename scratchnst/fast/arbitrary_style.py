"""A network that paints in any style in one pass: a photograph and paintings go in, a painting comes out."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scratchnst import images, weights
from scratchnst.arrays import Array, array_module
from scratchnst.engine import Engine, cpu
from scratchnst.errors import UserError
from scratchnst.fast.fast_style import FastStyle, Style, padded, picture_of
from scratchnst.images import colour_control
from scratchnst.images.grain import SIDE, grain
from scratchnst.models import adain_net, prediction_net, style_predictor, transform_net
from scratchnst.models.adain_net import ADAIN, MARGIN, with_margin, without_margin
from scratchnst.models.network import Network
from scratchnst.models.style_encoder import ENCODED
from scratchnst.weights.formats import native
from scratchnst.weights.load import load_any

# How a style is taken on -> the model that ships for it.
SHIPPED = {
    name: Path(weights.__file__).with_name(file)
    for name, file in (("prediction", "arbitrary.h5"), ("adain", "adain.h5"), ("wct", "adain.h5"))
}
DEFAULT, *_ = TRANSFORMS = tuple(SHIPPED)
SMALLEST_STYLE = 32  # pixels of a side: the encoder's deepest layer has 8x8 positions of it
# Pixels of the longer side at which a style is looked at, unless others are asked for.  In 512 pixels it takes twice as
# long, and paintings of 512 pixels came less near to it, see docs/arbitrary.md.
LARGEST_SIDE = 384


@dataclass(frozen=True)
class ArbitraryStyle:
    """A network that paints in any style: by prediction, AdaIN, or whitening and colouring.

    Attributes
    ----------
    network : see `scratchnst.models.prediction_net`, `scratchnst.models.adain_net` and
        `scratchnst.models.style_predictor`
    training : what the file says of how it was trained
    """

    network: Network
    training: Mapping[str, Any]

    @classmethod
    def load(
        cls, path: str | os.PathLike | None = None, engine: Engine = cpu, transform: str = DEFAULT
    ) -> ArbitraryStyle:
        """Read a model, by default the one that ships with the program for a transform, see `styles`.

        Raises
        ------
        UserError
            If there is no such transform or file, it is none of such a network, or its predictor does not fit its
            encoder.
        """
        if transform not in SHIPPED:
            raise UserError(f"there is no transform {transform!r}: choose one of {', '.join(SHIPPED)}.")
        path = SHIPPED[transform] if path is None else path
        network = load_any(path)
        if not (adain_net.is_adain_net(network) or prediction_net.is_prediction_net(network)):
            raise UserError(
                f"{path} is not a network that paints in any style: name a file that scratchnst train arbitrary has "
                "written."
            )
        style_predictor.check(network)
        origin = network.provenance.get("origin", {})
        return cls(network.on(engine), origin if isinstance(origin, dict) else {})

    def save(self, path: Path, dtype: str = "float16") -> None:
        """Write the model, whole or not at all, its parameters as float16 or float32."""
        native.write(replace(self.network.on(cpu), provenance=dict(self.training)), path, dtype)

    @property
    def transforms(self) -> tuple[str, ...]:
        """How the network can take on a style, see `styles`; the first is the one that it was trained for."""
        return ("adain", "wct") if ADAIN in self.network.parameters else ("prediction",)

    def styles(
        self,
        paintings: Mapping[str, Array],
        transform: str | None = None,
        photo: Array | None = None,
        color_matching: str = colour_control.MATCHING,
    ) -> FastStyle:
        """Return a network that paints in the styles of some pictures, each (H, W, 3), RGB 0-255, of any size.

        Parameters
        ----------
        paintings : name -> picture
        transform : one of `transforms`, by default the first: "prediction" chooses the norms of a transform network by
            the style's statistics; "adain" gives the photograph's features the mean and the deviation of the style's
            as well, "wct" their covariance, see `scratchnst.ops.whitening`
        photo : a picture (H, W, 3) whose colours they are given first, if any
        color_matching : how, see `scratchnst.images.colour_control.matched`

        Raises
        ------
        UserError
            If a picture is too small, or the network does not know the transform.
        """
        transform = transform or self.transforms[0]
        if transform not in self.transforms:
            raise UserError(
                f"the model paints by {' or '.join(self.transforms)}, not by {transform}: take another model, or leave "
                "out --transform."
            )
        network, engine = self.network, self.network.engine
        pictures = [_checked(name, painting) for name, painting in paintings.items()]
        if photo is not None:
            pictures = [colour_control.matched(picture, np.asarray(photo), color_matching) for picture in pictures]
        pixels = [engine.asarray(picture[np.newaxis]) for picture in pictures]
        z = array_module(pixels[0]).concatenate([style_predictor.statistics(network, each) for each in pixels])
        m, _ = style_predictor.forward(network, z)
        painter, names = style_predictor.painter(network, m, z), tuple(Style(name) for name in paintings)
        if transform != "wct":
            return GrainedStyle(painter, names, self.training)
        features = tuple(network.features(each, [ENCODED])[ENCODED] for each in pixels)
        return ColouredStyle(painter, names, self.training, features)

    def __call__(
        self,
        photo: Array,
        styles: Array | Sequence[Array],
        weights: Sequence[float] | None = None,
        masks: Sequence[Array] | None = None,
        strength: float = 1.0,
        in_strips: bool | None = None,
        transform: str | None = None,
        colors: str = colour_control.STYLE,
        color_matching: str = colour_control.MATCHING,
    ) -> np.ndarray:
        """Return the painting, (H, W, 3) float32, of a photograph (H, W, 3), both RGB 0-255.

        Parameters
        ----------
        photo : of any size from transform_net.SMALLEST_SIDE pixels a side
        styles : a picture or several, (H, W, 3), RGB 0-255, of any sizes: a larger one has larger strokes
        weights : one for each style, for a mixture of all; None weighs them alike
        masks : in place of weights, one for each style, (H, W), 0 to 1, of any size: where it counts, see `blended`
        strength, in_strips : see `FastStyle`
        transform : see `styles`
        colors, color_matching : whose colours the painting has; "match" gives the styles those of the photograph before
            they are looked at, see `scratchnst.images.colour_control`

        Raises
        ------
        UserError
            As `FastStyle`, and if a style is too small, or there are not as many weights or masks as styles.
        """
        pictures: list[Any] = list(styles) if isinstance(styles, (list, tuple)) else [styles]
        if not pictures:
            raise UserError("there is no style to paint in: give one.")
        colour_control.check(colors, color_matching)
        numbered = {str(number): picture for number, picture in enumerate(pictures, start=1)}
        first = colors == colour_control.MATCH  # before they are looked at
        model = self.styles(numbered, transform, photo if first else None, color_matching)
        colors = colour_control.STYLE if first else colors
        for name, given in (("weights", weights), ("masks", masks)):
            if given is not None and len(given) != len(pictures):
                raise UserError(f"{len(given)} {name} for {len(pictures)} styles: give one for each style.")
        if weights is not None and masks is not None:
            raise UserError("weights and masks exclude each other: leave out the ones or the others.")
        if masks is None:
            mixture = dict(zip(model.names, [1.0] * len(pictures) if weights is None else weights))
            return model(photo, mixture, strength, in_strips, colors)
        photo = np.asarray(photo, np.float32)
        paintings = [model(photo, name, strength, in_strips, colors) for name in model.names]
        return blended(photo, paintings, masks)


@dataclass(frozen=True)
class GrainedStyle(FastStyle):
    """A network for some styles that is given a photograph with grain and a margin."""

    def painted(self, photo: np.ndarray, mixture: np.ndarray, in_strips: bool) -> np.ndarray:
        """Return what the network paints of a photograph, in a mixture (S,) of the styles."""
        if not adain_net.has_margin(self.network):
            return super().painted(grained(np.array(photo)), mixture, in_strips)
        return without_margin(super().painted(prepared(photo), mixture, in_strips)[np.newaxis])[0]


@dataclass(frozen=True)
class ColouredStyle(FastStyle):
    """A network for some styles in which whitening and colouring takes the place of AdaIN (Li et al., 2017).

    Attributes
    ----------
    features : of each style, those of the encoder at ENCODED, (1, h, w, C)
    """

    features: tuple[Array, ...] = ()

    def painted(self, photo: np.ndarray, mixture: np.ndarray, in_strips: bool) -> np.ndarray:
        """Return what the network paints of a photograph, in a mixture (S,) of the styles, but not in strips."""
        if in_strips:
            raise UserError(
                "whitening and colouring takes the whole picture at once, and this one is too large for the memory: "
                "choose a smaller --size, or --transform adain."
            )
        engine = self.network.engine
        painter = transform_net.with_styles(self.network, engine.asarray(mixture[np.newaxis]))
        x = padded(prepared(photo), engine)
        content = painter.features(x, [ENCODED])[ENCODED]
        coloured = sum(
            content.dtype.type(weight) * engine.whitening.forward(content, style)[0]
            for weight, style in zip(mixture, self.features)
            if weight
        )
        output = painter.features(x, [transform_net.OUTPUT], {ADAIN: coloured})[transform_net.OUTPUT]
        height, width, _ = photo.shape
        return without_margin(picture_of(output, engine, height + 2 * MARGIN, width + 2 * MARGIN)[np.newaxis])[0]


def prepared(photo: np.ndarray) -> np.ndarray:
    """Return a photograph (H, W, 3) as the network was trained to see it, with a margin and grain."""
    return grained(with_margin(photo[np.newaxis])[0])


def grained(photo: np.ndarray) -> np.ndarray:
    """Add grain to a photograph (H, W, 3), and return it."""
    for top in range(0, len(photo), SIDE):  # piece by piece, which takes less memory
        piece = photo[top : top + SIDE]
        piece += grain(len(piece), piece.shape[1], top)
    return photo


def _checked(name: str, painting: Array) -> np.ndarray:
    """A style's picture in float32, if it is large enough."""
    height, width, _ = np.shape(painting)
    if min(height, width) < SMALLEST_STYLE:
        raise UserError(_too_small(name, height, width))
    return np.asarray(painting, np.float32)


def blended(photo: np.ndarray, paintings: Sequence[np.ndarray], masks: Sequence[Array]) -> np.ndarray:
    """Return paintings (H, W, 3), each multiplied by its mask (H, W), 0 to 1, and added up.

    Masks whose sum is more than 1 are divided by it; where it is less, the photograph shows through.

    Raises
    ------
    UserError
        If all masks are 0 everywhere.
    """
    height, width, _ = photo.shape
    fitted = [images.interpolate(np.asarray(mask, np.float32)[..., None], height, width).clip(0, 1) for mask in masks]
    total = np.sum(fitted, axis=0)
    if not total.any():
        raise UserError("the masks leave nothing to be painted: give some with white in them.")
    most = np.maximum(total, 1)
    return (1 - total / most) * photo + sum(mask / most * painting for mask, painting in zip(fitted, paintings))


def style_side(painting: tuple[int, int]) -> int:
    """Return the longer side at which styles are looked at for a painting of some (height, width): its own, or 384."""
    return min(max(painting), LARGEST_SIDE)


def style_shape(path: Path, side: int) -> tuple[int, int]:
    """Return the (height, width) at which the style in a file is looked at: `side` pixels, but no fewer than needed.

    Raises
    ------
    UserError
        If there is no picture, or it is too small.
    """
    height, width = given = images.size(path)
    if min(given) < SMALLEST_STYLE:
        raise UserError(_too_small(path, height, width))
    needed = math.ceil(SMALLEST_STYLE * max(given) / min(given))
    return images.fitted_shape(given, max(side, needed))


def _too_small(name: object, height: int, width: int) -> str:
    return (
        f"the style {name} has {width}x{height} pixels, which is too small: give one of at least {SMALLEST_STYLE} "
        "pixels a side."
    )
