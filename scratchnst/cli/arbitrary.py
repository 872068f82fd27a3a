"""``scratchnst arbitrary PHOTO STYLE [STYLE ...] -o OUT``: paint in the style of any picture in one pass."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from scratchnst import images
from scratchnst.cli import computation, painting
from scratchnst.cli.arguments import check_colors, file, size, weights
from scratchnst.cli.painting import Job, Painting, pictures_in
from scratchnst.cli.pipes import PIPE, readable
from scratchnst.engine import Engine
from scratchnst.errors import UserError
from scratchnst.fast import memory
from scratchnst.fast.arbitrary_style import (
    DEFAULT,
    SHIPPED,
    TRANSFORMS,
    ArbitraryStyle,
    blended,
    style_shape,
    style_side,
)
from scratchnst.fast.fast_style import FastStyle
from scratchnst.images import colour_control
from scratchnst.models import style_predictor
from scratchnst.system.capacity import available, in_words, resident
from scratchnst.transfer.computation import check_room_to_read

OF_A_PAINTING, OF_A_MASK = 12, 4  # bytes a pixel


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser(
        "arbitrary",
        help="paint photographs in the style of any picture in one pass",
        description="Paint a photograph in the style of a picture, or of a blend of several, in one pass, by a network "
        "that paints in any style. A directory of photographs is painted in the style, a photograph in each style of a "
        "directory, or all in all: into the directory OUT, as PHOTO-STYLE.png.",
    )
    parser.add_argument(
        "photo",
        type=painting.picture_or_folder,
        metavar="PHOTO|DIR|-",
        help="a photograph, or a directory of some; - is standard input",
    )
    parser.add_argument(
        "styles",
        type=painting.picture_or_folder,
        nargs="+",
        metavar="STYLE|DIR",
        help="a picture whose style to take, several that are blended, or a directory of some, each by itself",
    )
    painting.add_output(parser)
    parser.add_argument("--model", type=file, metavar="MODEL.h5", help="a trained network (the one that ships)")
    blend = parser.add_mutually_exclusive_group()
    blend.add_argument(
        "--style-weights", type=weights, metavar="W,W,...", help="of the blend, a number for each style (all alike)"
    )
    blend.add_argument(
        "--mask",
        dest="masks",
        type=file,
        nargs="+",
        metavar="MASK.png",
        help="for each style a picture of where it counts: white there, black elsewhere, grey between; where none "
        "counts, the photograph is left",
    )
    parser.add_argument(
        "--style-size",
        type=size,
        metavar="N",
        help="longer side in pixels at which styles are looked at; more makes strokes larger "
        "(that of the painting, at most 384)",
    )
    parser.add_argument(
        "--transform",
        choices=TRANSFORMS,
        help="how the style is taken on: prediction chooses the norms of a network by the style; adain gives the "
        "photograph's features the style's mean and deviation, too, wct its covariance, which takes the whole picture "
        f"at once ({TRANSFORMS[0]}, or what MODEL.h5 was trained for)",
    )
    painting.add_options(parser)
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class Look:
    """Styles that are blended: the weight of each file, or its mask (H, W), 0 to 1, and what is told of it."""

    styles: tuple[Path, ...]
    mixture: dict[str, float]
    masks: list[np.ndarray]
    told: Mapping[str, float | str]


@computation.on_device
def run(arguments: argparse.Namespace, engine: Engine) -> int:
    """Paint every photograph in every look."""
    check_colors(arguments.colors, arguments.color_matching)
    one = not any(path.is_dir() for path in (arguments.photo, *arguments.styles))
    painting.check_finish(arguments)
    looks = _looks(arguments, engine)
    model = ArbitraryStyle.load(arguments.model, engine, arguments.transform or DEFAULT)
    with readable(arguments.photo) as photo:
        photos = pictures_in(photo) if photo.is_dir() else [photo]
        if arguments.dry_run:
            return _dry_run(model, looks, photos, arguments)
        pairs = [(look, photo) for look in looks for photo in photos]
        names = None if one else [painting.name_of(photo, look.styles) for look, photo in pairs]
        with painting.places(names, arguments.output, _inputs(looks, photos, arguments)) as places:
            paint = partial(_paint, lru_cache(1)(partial(styles_of, model)), arguments)
            jobs = [Job(place, look.told, partial(paint, look, photo)) for (look, photo), place in zip(pairs, places)]
            return painting.paint_all(jobs, arguments.json, leave_out=not one)


def _looks(arguments: argparse.Namespace, engine: Engine) -> list[Look]:
    """Return the styles of a directory, each by itself, or the blend of those that are named."""
    blends = painting.blends(arguments.styles)
    for what, values in (("weights", arguments.style_weights), ("masks", arguments.masks)):
        if values is not None and len(values) != len(blends[0]):
            raise UserError(
                f"the number of {what} is {len(values)}, and that of styles blended {len(blends[0])}: give one for "
                "each style."
            )
    masks = _masks(arguments.masks or [], engine, arguments.memory_limit)
    return [_look(styles, arguments, masks) for styles in blends]


def _look(styles: tuple[Path, ...], arguments: argparse.Namespace, masks: list[np.ndarray]) -> Look:
    mixture: dict[str, float] = {}
    for style, weight in zip(styles, arguments.style_weights or [1.0] * len(styles)):
        mixture[str(style)] = mixture.get(str(style), 0.0) + weight
    masked = {str(style): str(mask) for style, mask in zip(styles, arguments.masks or [])}
    return Look(styles, mixture, masks, masked or mixture)


def _masks(files: Sequence[Path], engine: Engine, memory_limit: int | None) -> list[np.ndarray]:
    """Return masks (H, W), 0 to 1, by how light their pictures are."""
    for path in files:
        check_room_to_read(path, images.size(path), engine, memory_limit)
    masks = [images.load(path).mean(axis=2) / 255 for path in files]
    if masks and not any(mask.any() for mask in masks):
        raise UserError("the masks are all black, and leave nothing to be painted: give some with white in them.")
    return masks


def _inputs(looks: Sequence[Look], photos: Sequence[Path], arguments: argparse.Namespace) -> list[Path]:
    styles = [style for look in looks for style in look.styles]
    return [*photos, *styles, *(arguments.masks or []), arguments.model or SHIPPED[arguments.transform or DEFAULT]]


def styles_of(
    model: ArbitraryStyle,
    files: Sequence[Path],
    side: int,
    memory_limit: int | None = None,
    transform: str | None = None,
    photo: Path | None = None,
    color_matching: str = colour_control.MATCHING,
) -> FastStyle:
    """Return the network that paints in the styles of pictures, named by their files.

    Parameters
    ----------
    model : any
    files : of the pictures
    side : pixels of the longer side at which they are looked at
    memory_limit : bytes that it may take to look at them
    transform : see `ArbitraryStyle.styles`
    photo : a file with a photograph whose colours they are given first, if any
    color_matching : see `ArbitraryStyle.styles`

    Raises
    ------
    UserError
        If one cannot be read, is too small, or takes too much memory.
    """
    paintings = {}
    for path in files:
        shape = style_shape(path, side)
        check_room_to_read(path, shape, model.network.engine, memory_limit)
        _check_room(model, path, shape, memory_limit)
        paintings[str(path)] = images.resize(images.load(path, shape), *shape)
    if photo is None:
        return model.styles(paintings, transform)
    shape = images.fitted_shape(images.size(photo), side)
    check_room_to_read(photo, shape, model.network.engine, memory_limit)
    return model.styles(paintings, transform, images.resize(images.load(photo, shape), *shape), color_matching)


def _check_room(model: ArbitraryStyle, path: Path, shape: painting.Shape, memory_limit: int | None) -> None:
    """Raise a UserError if it takes more memory than there is to look at a style in a (height, width)."""
    engine = model.network.engine
    needed = int(resident(engine) + engine.memory_factor * memory.whole(model.network, *shape, style_predictor.LAYERS))
    most = available(engine) if memory_limit is None else memory_limit
    if needed > most:
        raise UserError(
            f"looking at {path} in {shape[1]}x{shape[0]} pixels takes {in_words(needed)} of memory, and "
            f"{in_words(most)} are there: take a smaller --style-size, or allow more."
        )


def _model_of(make: Callable[..., FastStyle], look: Look, photo: Path, arguments: argparse.Namespace) -> FastStyle:
    """Return what paints a photograph in a look."""
    side = arguments.style_size or style_side(painting.painted_shape(photo, arguments))
    if arguments.colors != colour_control.MATCH:
        return make(look.styles, side, arguments.memory_limit, arguments.transform)
    matching = arguments.color_matching or colour_control.MATCHING
    return make(look.styles, side, arguments.memory_limit, arguments.transform, photo, matching)


def _paint(make: Callable[..., FastStyle], arguments: argparse.Namespace, look: Look, photo: Path) -> Painting:
    model = _model_of(make, look, photo, arguments)
    picture, in_strips = painting.load(model, photo, arguments, _beside(look))
    finish = painting.finish(photo, picture, arguments)
    colors = colour_control.STYLE if arguments.colors == colour_control.MATCH else arguments.colors  # they are matched
    paint = partial(model, picture, strength=arguments.strength, in_strips=in_strips, colors=colors)
    if look.masks:
        return Painting(blended(picture, [paint(str(style)) for style in look.styles], look.masks), finish)
    return Painting(paint(look.mixture), finish)


def _beside(look: Look) -> int:
    """Return the bytes a pixel that the paintings and masks of a look take until they are added up."""
    return (OF_A_PAINTING + OF_A_MASK) * len(look.masks)


def _dry_run(
    model: ArbitraryStyle, looks: Sequence[Look], photos: Sequence[Path], arguments: argparse.Namespace
) -> int:
    """Look at all styles, and tell what each photograph would take."""
    for look in looks:
        painter = _model_of(partial(styles_of, model), look, photos[0], arguments)
    outlooks = [
        (PIPE if arguments.photo == PIPE else photo, *painting.outlook(painter, photo, arguments, _beside(look)))
        for photo in photos
    ]
    return painting.dry_run(painter, outlooks, arguments.json, len(looks) * max(1, len(look.masks)))
