"""``scratchnst fast PHOTO [PHOTO ... | DIR] -o OUT`` and ``scratchnst sheet PHOTO -o OUT.png``: paint in one pass."""

from __future__ import annotations

import argparse
import math
from functools import partial
from pathlib import Path

import numpy as np

from scratchnst import images
from scratchnst.cli import computation, painting
from scratchnst.cli.arguments import check_colors, check_side_picture, file, size_or_own
from scratchnst.cli.painting import Job, Painting, pictures_in
from scratchnst.cli.pipes import PIPE, readable, writable
from scratchnst.cli.reports import add_json, tell
from scratchnst.engine import Engine
from scratchnst.fast import memory
from scratchnst.fast.fast_style import SHIPPED, FastStyle
from scratchnst.images import colour_control, sheet


def add(commands) -> None:
    """Add the parsers of both commands to `commands`."""
    _add_fast(commands)
    _add_sheet(commands)


def _add_fast(commands) -> None:
    parser = commands.add_parser(
        "fast",
        help="paint photographs in one pass, by a network that was trained for it",
        description="Paint photographs in one pass, by the network that ships with the program, or one that scratchnst "
        "train style has trained. A single "
        "photograph is written to the file OUT; several, or all of a directory, into the directory OUT under their "
        "names.",
    )
    parser.add_argument(
        "photos",
        type=painting.picture_or_folder,
        nargs="+",
        metavar="PHOTO|DIR|-",
        help="a photograph, or several; - is standard input",
    )
    painting.add_output(parser)
    parser.add_argument("--model", type=file, metavar="MODEL.h5", help="a trained network (the one that ships)")
    parser.add_argument(
        "--style", type=mixture, metavar="NAME|NAME:W,NAME:W", help="a style, or a mixture of several (the first)"
    )
    painting.add_options(parser)
    parser.set_defaults(run=run)


def _add_sheet(commands) -> None:
    """Add the parser of ``scratchnst sheet`` to `commands`."""
    parser = commands.add_parser(
        "sheet",
        help="a photograph in every style of a trained network",
        description="Paint a photograph in every style of a trained network, labelled, on one sheet.",
    )
    parser.add_argument("photo", type=file, metavar="PHOTO|-", help="a photograph; - is standard input")
    parser.add_argument(
        "-o", "--output", type=file, required=True, metavar="OUT.png|-", help="the sheet; - is standard output, a PNG"
    )
    parser.add_argument("--model", type=file, metavar="MODEL.h5", help="a trained network (the one that ships)")
    parser.add_argument(
        "--size", type=size_or_own, default=256, metavar="N", help="longer side of each picture; 0 is PHOTO's (256)"
    )
    add_json(parser)
    computation.add_device(parser)
    parser.set_defaults(run=run_sheet)


@computation.on_device
def run_sheet(arguments: argparse.Namespace, engine: Engine) -> int:
    """Paint the photograph in one style after the other, and draw the sheet."""
    with readable(arguments.photo) as photo, writable(arguments.output) as output:
        check_side_picture(output, [photo, arguments.model or SHIPPED])
        model = FastStyle.load(arguments.model, engine)
        drawn = _sheet(model, photo, arguments.size)
        images.save(output, drawn)
    if arguments.json and arguments.output != PIPE:
        height, width, _ = drawn.shape
        tell({"output": str(arguments.output), "width": width, "height": height, "styles": list(model.names)})
    return 0


def _sheet(model: FastStyle, file: Path, size: int) -> np.ndarray:
    """Return a photograph in every style of a network, labelled, as an image (H, W, 3)."""
    shape = images.fitted_shape(images.size(file), size)
    photo = images.resize(images.load(file, shape), *shape)
    cells = [("photograph", photo), *((name, model(photo, name)) for name in model.names)]
    columns = math.ceil(math.sqrt(len(cells)))
    pictures = [(label, sheet.picture(image)) for label, image in cells]
    return sheet.draw([pictures[first : first + columns] for first in range(0, len(pictures), columns)])


def mixture(text: str) -> dict[str, float]:
    """Parse the name of a style, or names or numbers with weights: "3:0.5,12:0.5"."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, colon, weight = part.partition(":")
        try:
            found[name.strip()] = found.get(name.strip(), 0.0) + (float(weight) if colon else 1.0)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be like wave or wave:0.5,starry_night:0.5, not {text!r}") from None
    return found


@computation.on_device
def run(arguments: argparse.Namespace, engine: Engine) -> int:
    """Paint one photograph after the other."""
    check_colors(arguments.colors, arguments.color_matching)
    model = FastStyle.load(arguments.model, engine)
    painting.check_finish(arguments)
    style = arguments.style or {model.names[0]: 1.0}
    model.mixture(style)  # a mistake in it is told before anything is painted
    one = len(arguments.photos) == 1 and not arguments.photos[0].is_dir()
    photos = [photo for path in arguments.photos for photo in (pictures_in(path) if path.is_dir() else [path])]
    if arguments.dry_run:
        return painting.dry_run(model, [_outlook(model, photo, arguments) for photo in photos], arguments.json)
    names = None if one else [photo.stem for photo in photos]
    with painting.places(names, arguments.output, [*photos, arguments.model or SHIPPED]) as places:
        jobs = [
            Job(place, style, partial(_paint, model, photo, style, arguments)) for photo, place in zip(photos, places)
        ]
        return painting.paint_all(jobs, arguments.json, leave_out=not one)


def _paint(model: FastStyle, photo: Path, style: dict[str, float], arguments: argparse.Namespace) -> Painting:
    with readable(photo) as file:
        picture, in_strips = painting.load(model, file, arguments)
        finish = painting.finish(file, picture, arguments)
    matching = arguments.color_matching or colour_control.MATCHING
    return Painting(model(picture, style, arguments.strength, in_strips, arguments.colors, matching), finish)


def _outlook(
    model: FastStyle, photo: Path, arguments: argparse.Namespace
) -> tuple[Path, painting.Shape, memory.Outlook]:
    with readable(photo) as file:
        return photo, *painting.outlook(model, file, arguments)
