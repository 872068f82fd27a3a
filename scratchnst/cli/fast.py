"""``scratchnst fast PHOTO [PHOTO ... | DIR] -o OUT`` and ``scratchnst sheet PHOTO -o OUT.png``: paint in one pass."""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from scratchnst import images
from scratchnst.cli import computation
from scratchnst.cli.arguments import check_side_picture, file, size
from scratchnst.engine import Engine
from scratchnst.errors import UserError
from scratchnst.fast.fast_style import SHIPPED, FastStyle
from scratchnst.files import check_outputs, check_suffix
from scratchnst.images import sheet
from scratchnst.images.origin import check_replaceable
from scratchnst.messages import complain, one_line

PIPE = Path("-")


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser(
        "fast",
        help="paint photographs in one pass, by a network that was trained for it",
        description="Paint photographs in one pass, by the network that ships with the program, or one that scratchnst "
        "train style has trained. A single "
        "photograph is written to the file OUT; several, or all of a directory, into the directory OUT under their "
        "names.",
    )
    parser.add_argument(
        "photos", type=Path, nargs="+", metavar="PHOTO|DIR|-", help="a photograph, or several; - is standard input"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT|-",
        help="a picture, or a directory; - is standard output, a PNG",
    )
    parser.add_argument("--model", type=file, metavar="MODEL.h5", help="a trained network (the one that ships)")
    parser.add_argument(
        "--style", type=mixture, metavar="NAME|NAME:W,NAME:W", help="a style, or a mixture of several (the first)"
    )
    parser.add_argument("--strength", type=strength, default=1.0, metavar="S", help="0, the photograph, to 1 (1)")
    parser.add_argument("--size", type=size, metavar="N", help="longer side in pixels (the photograph's)")
    parser.add_argument("--colors", choices=["style", "content"], default="style", help="whose colours to keep (style)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a picture")
    computation.add_device(parser)
    parser.set_defaults(run=run)


def add_sheet(commands) -> None:
    """Add the parser of ``scratchnst sheet`` to `commands`."""
    parser = commands.add_parser(
        "sheet",
        help="a photograph in every style of a trained network",
        description="Paint a photograph in every style of a trained network, labelled, on one sheet.",
    )
    parser.add_argument("photo", type=file, metavar="PHOTO", help="a photograph")
    parser.add_argument("-o", "--output", type=file, required=True, metavar="OUT.png", help="the sheet")
    parser.add_argument("--model", type=file, metavar="MODEL.h5", help="a trained network (the one that ships)")
    parser.add_argument("--size", type=size, default=256, metavar="N", help="longer side of each picture (256)")
    computation.add_device(parser)
    parser.set_defaults(run=run_sheet)


@computation.on_device
def run_sheet(arguments: argparse.Namespace, engine: Engine) -> int:
    """Paint the photograph in one style after the other, and draw the sheet."""
    check_side_picture(arguments.output, [arguments.photo, arguments.model or SHIPPED])
    model = FastStyle.load(arguments.model, engine)
    shape = images.fitted_shape(images.size(arguments.photo), arguments.size)
    photo = images.resize(images.load(arguments.photo, shape), *shape)
    cells = [("photograph", photo), *((name, model(photo, name)) for name in model.names)]
    columns = math.ceil(math.sqrt(len(cells)))
    pictures = [(label, sheet.picture(image)) for label, image in cells]
    images.save(
        arguments.output,
        sheet.draw([pictures[first : first + columns] for first in range(0, len(pictures), columns)]),
    )
    return 0


def strength(text: str) -> float:
    """Parse a number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text!r}")
    return number


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
    model = FastStyle.load(arguments.model, engine)
    style = arguments.style or {model.names[0]: 1.0}
    model.mixture(style)  # a mistake in it is told before anything is painted
    status = 0
    for photo, output in _places(arguments.photos, arguments.output, arguments.model or SHIPPED):
        started = time.perf_counter()
        try:
            painting = _paint(model, photo, style, arguments)
            _write(output, painting)
        except UserError as error:
            if len(arguments.photos) == 1 and not arguments.photos[0].is_dir():
                raise
            complain(f"left out: {error}")
            status = 1
            continue
        _tell(output, painting, time.perf_counter() - started, style, arguments.json)
    return status


def _paint(model: FastStyle, photo: Path, style: dict[str, float], arguments: argparse.Namespace) -> np.ndarray:
    with _readable(photo) as file:
        given = images.size(file)
        shape = images.fitted_shape(given, arguments.size) if arguments.size else given
        picture = images.resize(images.load(file, shape), *shape)
    painting = model(picture, style, arguments.strength)
    return images.with_colours_of(painting, picture) if arguments.colors == "content" else painting


@contextmanager
def _readable(photo: Path) -> Iterator[Path]:
    """Yield the file of a photograph; standard input is copied into one."""
    if photo != PIPE:
        yield photo
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "standard input")
        file.write_bytes(sys.stdin.buffer.read())
        try:
            yield file
        except UserError as error:
            raise UserError(str(error).replace(str(file), file.name)) from None


def _write(output: Path, painting: np.ndarray) -> None:
    if output == PIPE:
        sys.stdout.buffer.write(images.encoded(painting))
    else:
        images.save(output, painting)


def _tell(output: Path, painting: np.ndarray, seconds: float, style: dict[str, float], as_json: bool) -> None:
    height, width, _ = painting.shape
    if as_json and output != PIPE:
        told = {"output": str(output), "width": width, "height": height, "style": style, "seconds": round(seconds, 3)}
        print(json.dumps(told), flush=True)
    else:
        print(f"{one_line(output)}: {width}x{height}, {seconds:.2f} s", file=sys.stderr)


def _places(photos: Sequence[Path], output: Path, model: Path) -> list[tuple[Path, Path]]:
    """Return each photograph with the file that its painting is written to.

    Raises
    ------
    UserError
        If there is no photograph, or a painting cannot be written or would replace what is not to be lost.
    """
    if output == PIPE:
        if len(photos) > 1 or photos[0].is_dir():
            raise UserError("standard output takes one picture: name one photograph, or a directory for several.")
        return [(photos[0], output)]
    if len(photos) == 1 and not photos[0].is_dir():
        check_suffix(output, images.PICTURE_SUFFIXES)
        check_outputs([output], [*photos, model])
        return [(photos[0], output)]
    found = [path for photo in photos for path in (_pictures_in(photo) if photo.is_dir() else [photo])]
    try:
        output.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"the directory {output} cannot be created ({error.strerror}): name another.") from None
    places = [(path, output / path.with_suffix(".png").name) for path in found]
    check_outputs([place for _, place in places], [*found, model])
    for _, place in places:
        check_replaceable(place)
    return places


def _pictures_in(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in images.PICTURE_SUFFIXES)
    if not found:
        raise UserError(f"{folder} holds no pictures ({', '.join(images.PICTURE_SUFFIXES)}): name another.")
    return found
