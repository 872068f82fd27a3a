"""``scratchnst fast PHOTO [PHOTO ... | DIR] -o OUT`` and ``scratchnst sheet PHOTO -o OUT.png``: paint in one pass."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from scratchnst import images
from scratchnst.cli import computation
from scratchnst.cli.arguments import check_side_picture, file, size
from scratchnst.engine import Engine
from scratchnst.errors import OutputError, UserError
from scratchnst.fast import memory
from scratchnst.fast.fast_style import SHIPPED, FastStyle
from scratchnst.files import check_outputs, check_suffix, names_a_file
from scratchnst.images import sheet
from scratchnst.images.origin import check_replaceable
from scratchnst.messages import complain, one_line
from scratchnst.system.capacity import available, in_words
from scratchnst.transfer.computation import check_room_to_read

PIPE = Path("-")
TRIAL_SIDE = 256  # pixels of what is painted to see how long it takes
LONGER_IN_STRIPS = 1.2


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
        type=photo_or_folder,
        nargs="+",
        metavar="PHOTO|DIR|-",
        help="a photograph, or several; - is standard input",
    )
    parser.add_argument(
        "-o",
        "--output",
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
    parser.add_argument(
        "--memory-limit",
        type=computation.memory_size,
        metavar="SIZE",
        help="like 2G, on a GPU of its memory: what takes more is painted in strips, without seams "
        "(half of the machine's memory, or its container's)",
    )
    parser.add_argument("--dry-run", action="store_true", help="tell how much memory and time it would take, and stop")
    parser.set_defaults(run=run)


def _add_sheet(commands) -> None:
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


def photo_or_folder(text: str) -> Path:
    """Parse the path of a photograph or of a folder, or a dash."""
    return Path(text) if os.path.isdir(text) else file(text)


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
    if arguments.dry_run:
        return _dry_run(model, arguments)
    with _places(arguments.photos, arguments.output, arguments.model or SHIPPED) as places:
        return _paint_all(model, places, style, arguments)


def _paint_all(
    model: FastStyle, places: list[tuple[Path, Path]], style: dict[str, float], arguments: argparse.Namespace
) -> int:
    status = 0
    for photo, output in places:
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
        shape, found = _outlook(model, file, arguments)
        picture = images.resize(images.load(file, shape), *shape)
    painting = model(picture, style, arguments.strength, found.in_strips)
    return images.with_colours_of(painting, picture) if arguments.colors == "content" else painting


def _outlook(model: FastStyle, file: Path, arguments: argparse.Namespace) -> tuple[tuple[int, int], memory.Outlook]:
    """Return the size that a photograph is painted in, and what that takes, or raise a UserError if it is too much."""
    given, engine, limit = images.size(file), model.network.engine, arguments.memory_limit
    shape = images.fitted_shape(given, arguments.size) if arguments.size else given
    reading = check_room_to_read(file, shape, engine, limit)
    found = memory.outlook(model.network, *shape, limit)
    most = available(engine) if limit is None else limit
    if found.peak > most:
        size = memory.largest_size(model.network, *shape, limit, most)
        raise UserError(
            f"painting {shape[1]}x{shape[0]} pixels takes {in_words(found.peak)} of memory, and {in_words(most)} are "
            + (f"there: --size {size} would do." if size else "there: allow more.")
        )
    return shape, found if engine.has_own_memory else replace(found, peak=max(found.peak, reading))


def _dry_run(model: FastStyle, arguments: argparse.Namespace) -> int:
    """Tell what each photograph would take."""
    found = []
    for photo in [one for path in arguments.photos for one in (_pictures_in(path) if path.is_dir() else [path])]:
        with _readable(photo) as file:
            found.append((photo, *_outlook(model, file, arguments)))
    seconds_per_pixel = _seconds_per_pixel(model)
    for photo, (height, width), outlook in found:
        seconds = height * width * seconds_per_pixel * (LONGER_IN_STRIPS if outlook.in_strips else 1)
        told = {"photo": str(photo), "width": width, "height": height, "bytes": outlook.peak}
        if arguments.json:
            print(json.dumps({**told, "in strips": outlook.in_strips, "seconds": round(seconds, 1)}))
        else:
            how = " in strips" if outlook.in_strips else ""
            print(f"{one_line(photo)}: {width}x{height}, {in_words(outlook.peak)}{how}, about {seconds:.2g} s")
    return 0


def _seconds_per_pixel(model: FastStyle) -> float:
    trial = np.random.default_rng(0).uniform(0, 255, (TRIAL_SIDE, TRIAL_SIDE, 3))
    model(trial)  # the first is slower
    started = time.perf_counter()
    model(trial)
    return (time.perf_counter() - started) / TRIAL_SIDE**2


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
        try:
            sys.stdout.buffer.write(images.encoded(painting))
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(
                f"standard output cannot be written ({error.strerror or error}): send it elsewhere."
            ) from None
    else:
        images.save(output, painting)


def _tell(output: Path, painting: np.ndarray, seconds: float, style: dict[str, float], as_json: bool) -> None:
    height, width, _ = painting.shape
    if as_json and output != PIPE:
        told = {"output": str(output), "width": width, "height": height, "style": style, "seconds": round(seconds, 3)}
        print(json.dumps(told), flush=True)
    else:
        print(f"{one_line(output)}: {width}x{height}, {seconds:.2f} s", file=sys.stderr)


@contextmanager
def _places(photos: Sequence[Path], where: str, model: Path) -> Iterator[list[tuple[Path, Path]]]:
    """Yield each photograph with the file that its painting is written to; a new directory stays if one is in it.

    Raises
    ------
    UserError
        If there is no photograph, or a painting cannot be written or would replace what is not to be lost.
    """
    output = Path(where)
    if output == PIPE:
        if len(photos) > 1 or photos[0].is_dir():
            raise UserError("standard output takes one picture: name one photograph, or a directory for several.")
        yield [(photos[0], output)]
    elif len(photos) == 1 and not photos[0].is_dir():
        if not names_a_file(where):
            raise UserError(f"{where or 'an empty path'} is no file: name a picture to be written.")
        check_suffix(output, images.PICTURE_SUFFIXES)
        check_outputs([output], [*photos, model])
        yield [(photos[0], output)]
    else:
        found = [path for photo in photos for path in (_pictures_in(photo) if photo.is_dir() else [photo])]
        places = [(path, output / path.with_suffix(".png").name) for path in found]
        with _made(output):
            check_outputs([place for _, place in places], [*found, model])
            for _, place in places:
                check_replaceable(place)
            yield places


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder, if there is none, which stays if there is something in it after the block."""
    is_there = folder.exists()
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"the directory {folder} cannot be created ({error.strerror}): name another.") from None
    try:
        yield
    finally:
        if not is_there:
            with suppress(OSError):  # something is in it
                folder.rmdir()


def _pictures_in(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in images.PICTURE_SUFFIXES)
    if not found:
        raise UserError(f"{folder} holds no pictures ({', '.join(images.PICTURE_SUFFIXES)}): name another.")
    return found
