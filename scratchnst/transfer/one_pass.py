"""The content in the styles as a network paints it in one pass: where the optimisation starts, or in its place."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from scratchnst import images
from scratchnst.engine import Engine
from scratchnst.fast import memory
from scratchnst.fast.arbitrary_style import DEFAULT, SHIPPED, ArbitraryStyle, blended, style_shape, style_side
from scratchnst.images import colour_control, masks
from scratchnst.transfer import computation
from scratchnst.transfer.settings import Settings


@dataclass(frozen=True)
class Painted:
    """A picture (H, W, 3), RGB 0-255, the seconds that it took, and the network that has painted it."""

    image: np.ndarray
    seconds: float
    model: ArbitraryStyle


def model_file(settings: Settings) -> Path:
    """Return the file of the network."""
    return settings.fast_model or SHIPPED[DEFAULT]


def check(settings: Settings, shape: tuple[int, int]) -> None:
    """Raise a UserError if the network cannot be read, or a style is too small; `shape` is that of the picture."""
    ArbitraryStyle.load(settings.fast_model)
    for path in settings.styles:
        style_shape(path, style_side(shape))


def paint(settings: Settings, engine: Engine, shape: tuple[int, int]) -> Painted:
    """Return the content in the styles, all alike, in a (height, width), and in the colours that the settings say.

    Raises
    ------
    UserError
        If the network or a picture cannot be read or takes too much memory, or a style is too small.
    """
    started = time.perf_counter()
    model = ArbitraryStyle.load(settings.fast_model, engine)

    def load(path, wanted):
        computation.check_room_to_read(path, wanted, engine, settings.memory_limit)
        return images.resize(images.load(path, wanted), *wanted)

    photo, names = load(settings.content, shape), list(map(str, settings.styles))
    sides = settings.style_size or (style_side(shape),)
    sides *= len(settings.styles) // len(sides)
    wanted = {str(path): style_shape(path, side) for path, side in zip(settings.styles, sides)}
    styles = {path: load(path, style) for path, style in wanted.items()}
    first = settings.colors == colour_control.MATCH  # before they are looked at
    painter = model.styles(styles, photo=photo if first else None, color_matching=settings.color_matching)
    in_strips = memory.needs_strips(painter.network, *shape, settings.memory_limit)
    colors = colour_control.STYLE if first else settings.colors
    painted = partial(painter, photo, in_strips=in_strips, colors=colors)
    if settings.masks:
        paintings = [painted(name) for name in names]
        image = blended(photo, paintings, [masks.read(mask) for mask in settings.masks])
    else:
        mixture = dict.fromkeys(names, 0.0)
        for name, weight in zip(names, settings.style_weights or [1.0] * len(names)):
            mixture[name] += weight  # a style may be named twice
        image = painted(mixture)
    return Painted(image, time.perf_counter() - started, model)
