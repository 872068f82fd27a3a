"""What the commands that paint photographs in one pass share: options, photographs, and files of paintings."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scratchnst import images
from scratchnst.cli import computation
from scratchnst.cli.arguments import add_colors, add_finish, file, size_or_own
from scratchnst.cli.pipes import PIPE, send
from scratchnst.cli.reports import add_json
from scratchnst.errors import UserError
from scratchnst.fast import memory
from scratchnst.fast.fast_style import FastStyle
from scratchnst.files import check_outputs, check_suffix, names_a_file
from scratchnst.images import colour_control
from scratchnst.images.origin import check_replaceable
from scratchnst.messages import complain, one_line
from scratchnst.system.capacity import available, in_words
from scratchnst.transfer.computation import check_room_to_read

TRIAL_SIDE = 256  # pixels of what is painted to see how long it takes
LONGER_IN_STRIPS = 1.2

Shape = tuple[int, int]  # height and width


@dataclass(frozen=True)
class Painting:
    """A painting (H, W, 3), RGB 0-255, and how it is written."""

    image: np.ndarray
    finish: images.Finish


@dataclass(frozen=True)
class Job:
    """A painting to be made: its file, its styles with what is told of each, and what computes it."""

    output: Path
    style: Mapping[str, float | str]
    paint: Callable[[], Painting]


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add where paintings are written."""
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT|-",
        help="a picture, or a directory; - is standard output, a PNG",
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add how photographs are painted, and what is told of it."""
    parser.add_argument("--strength", type=strength, default=1.0, metavar="S", help="0, the photograph, to 1 (1)")
    parser.add_argument(
        "--size", type=size_or_own, default=0, metavar="N", help="longer side in pixels; 0 is the photograph's own (0)"
    )
    add_colors(parser)
    add_finish(parser)
    parser.set_defaults(colors=colour_control.STYLE, depth=8, keep=())
    add_json(parser, "one JSON object a picture")
    computation.add_device(parser)
    parser.add_argument(
        "--memory-limit",
        type=computation.memory_size,
        metavar="SIZE",
        help="like 2G, on a GPU of its memory: what takes more is painted in strips, without seams "
        "(half of the machine's memory, or its container's)",
    )
    parser.add_argument("--dry-run", action="store_true", help="tell how much memory and time it would take, and stop")


def picture_or_folder(text: str) -> Path:
    """Parse the path of a picture or of a folder, or a dash."""
    return Path(text) if os.path.isdir(text) else file(text)


def blends(styles: Sequence[Path]) -> list[tuple[Path, ...]]:
    """Return the pictures of a folder, each by itself, or the blend of those that are named.

    Raises
    ------
    UserError
        If a folder does not stand alone, or holds no pictures.
    """
    if not any(style.is_dir() for style in styles):
        return [tuple(styles)]
    if len(styles) > 1:
        raise UserError("a directory of styles stands alone: name one, or pictures that are blended.")
    return [(style,) for style in pictures_in(styles[0])]


def name_of(photo: Path, styles: Sequence[Path]) -> str:
    """Return what the file of a painting is called by, where there are several."""
    return "-".join(path.stem for path in (photo, *styles))


def strength(text: str) -> float:
    """Parse a number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text!r}")
    return number


def paint_all(jobs: Sequence[Job], as_json: bool, leave_out: bool) -> int:
    """Paint, write and tell of one after the other; with `leave_out` what fails is named and passed over."""
    named: set[str] = set()
    status = 0
    for job in jobs:
        started = time.perf_counter()
        try:
            painting = job.paint()
            _write(job.output, painting)
        except UserError as error:
            if not leave_out:
                raise
            if str(error) not in named:  # one picture may be part of many paintings
                complain(f"left out: {error}")
            named.add(str(error))
            status = 1
            continue
        _tell(job, painting, time.perf_counter() - started, as_json)
    return status


def load(model: FastStyle, file: Path, arguments: argparse.Namespace, bytes_beside: int = 0) -> tuple[np.ndarray, bool]:
    """Return a photograph (H, W, 3) in the size to be painted, and whether it is painted in strips; see `outlook`."""
    shape, found = outlook(model, file, arguments, bytes_beside)
    return images.resize(images.load(file, shape), *shape), found.in_strips


def outlook(
    model: FastStyle, file: Path, arguments: argparse.Namespace, bytes_beside: int = 0
) -> tuple[Shape, memory.Outlook]:
    """Return the size that a photograph is painted in, and what that takes, or raise a UserError if it is too much.

    `bytes_beside` a pixel are what else is kept meanwhile.
    """
    engine, limit = model.network.engine, arguments.memory_limit
    shape = painted_shape(file, arguments)
    beside = 0 if engine.has_own_memory else bytes_beside * math.prod(shape)
    reading = check_room_to_read(file, shape, engine, limit)
    rest = None if limit is None else limit - beside
    found = memory.outlook(model.network, *shape, rest)
    most = (available(engine) - beside) if rest is None else rest
    if found.peak > most:
        size = memory.largest_size(model.network, *shape, rest, most)
        raise UserError(
            f"painting {shape[1]}x{shape[0]} pixels takes {in_words(found.peak + beside)} of memory, and "
            f"{in_words(most + beside)} are " + (f"there: --size {size} would do." if size else "there: allow more.")
        )
    return shape, found if engine.has_own_memory else replace(found, peak=max(found.peak + beside, reading))


def painted_shape(file: Path, arguments: argparse.Namespace) -> Shape:
    """Return the (height, width) in which a photograph is painted."""
    return images.fitted_shape(images.size(file), arguments.size)


def dry_run(
    model: FastStyle, found: Sequence[tuple[Path, Shape, memory.Outlook]], as_json: bool, passes: int = 1
) -> int:
    """Tell what photographs, of which the size and the outlook are given, would take, each painted several times."""
    seconds_per_pixel = passes * _seconds_per_pixel(model)
    for photo, (height, width), outlook in found:
        seconds = height * width * seconds_per_pixel * (LONGER_IN_STRIPS if outlook.in_strips else 1)
        told = {"photo": str(photo), "width": width, "height": height, "bytes": outlook.peak}
        if as_json:
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


def check_finish(arguments: argparse.Namespace) -> None:
    """Raise a UserError unless the format of the picture, if one is named, holds what is asked for."""
    if Path(arguments.output).suffix.lower() in images.PICTURE_SUFFIXES:
        images.check_finish(arguments.output, arguments.depth, arguments.keep)


def finish(photo: Path, picture: np.ndarray, arguments: argparse.Namespace) -> images.Finish:
    """Return how a painting of a photograph is written, of which `picture` (H, W, 3) is painted."""
    return images.finish_of(photo, picture.shape[:2], arguments.keep, arguments.depth)


def _write(output: Path, painting: Painting) -> None:
    if output == PIPE:
        send(images.encoded(painting.image, finish=painting.finish))
    else:
        images.save(output, painting.image, painting.finish)


def _tell(job: Job, painting: Painting, seconds: float, as_json: bool) -> None:
    height, width, _ = painting.image.shape
    if as_json and job.output != PIPE:
        size = {"width": width, "height": height}
        told = {"output": str(job.output), **size, "style": dict(job.style), "seconds": round(seconds, 3)}
        print(json.dumps(told), flush=True)
    else:
        print(f"{one_line(job.output)}: {width}x{height}, {seconds:.2f} s", file=sys.stderr)


@contextmanager
def places(names: Sequence[str] | None, where: str, inputs: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield the files of paintings: `where` is the only one's, or else the directory of those of some names.

    A new directory stays if something is in it after the block.

    Raises
    ------
    UserError
        If a painting cannot be written or would replace what is not to be lost.
    """
    output = Path(where)
    if names is None:
        if output != PIPE:
            if not names_a_file(where):
                raise UserError(f"{where or 'an empty path'} is no file: name a picture to be written.")
            check_suffix(output, images.PICTURE_SUFFIXES)
            check_outputs([output], inputs)
        yield [output]
    elif output == PIPE:
        raise UserError("standard output takes one picture: name one photograph, or a directory for several.")
    else:
        found = [output / f"{name}.png" for name in names]
        with made(output):
            check_outputs(found, inputs)
            for place in found:
                check_replaceable(place)
            yield found


@contextmanager
def made(folder: Path) -> Iterator[None]:
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


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures of a folder, by their suffixes, or raise a UserError if there is none."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in images.PICTURE_SUFFIXES)
    if not found:
        raise UserError(f"{folder} holds no pictures ({', '.join(images.PICTURE_SUFFIXES)}): name another.")
    return found
