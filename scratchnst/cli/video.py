"""``scratchnst video IN.mp4 -o OUT.mp4 --style NAME|--style-picture PAINTING``: paint every frame of a video."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from scratchnst import __version__
from scratchnst.cli import computation
from scratchnst.cli.arbitrary import styles_of
from scratchnst.cli.arguments import add_colors, check_colors, crf, file, size_or_own, threads
from scratchnst.cli.fast import mixture
from scratchnst.cli.job import INTERRUPTED
from scratchnst.cli.painting import strength
from scratchnst.cli.reports import add_json, tell
from scratchnst.engine import Engine, cpu
from scratchnst.engine.cpu.threads import default_count
from scratchnst.engine.devices import AUTO, CPU, on_threads
from scratchnst.errors import UserError
from scratchnst.fast import arbitrary_style
from scratchnst.fast.arbitrary_style import ArbitraryStyle, style_side
from scratchnst.fast.fast_style import SHIPPED, FastStyle
from scratchnst.files import check_outputs, check_suffix
from scratchnst.images import colour_control
from scratchnst.messages import complain, one_line

if TYPE_CHECKING:
    from scratchnst.fast.video import Look, Painter, Video

CRF = 18  # of what a file is encoded by: hardly to be told from its source
LINE_EVERY = 30.0  # seconds between lines, where there is no terminal


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser(
        "video",
        help="paint a video in one pass a frame",
        description="Paint every frame of a video, by the network that ships with the program, or one that scratchnst "
        "train style has trained. The times of the frames and the sound stay as they are. Beside OUT.mp4 lies "
        "OUT.mp4.parts with what is finished until all is: after an interruption the same command goes on.",
    )
    parser.add_argument("video", type=file, metavar="IN.mp4", help="a video of any kind")
    parser.add_argument(
        "-o", "--output", type=file, required=True, metavar="OUT.mp4", help="H.264, as .mp4, .m4v, .mov or .mkv"
    )
    parser.add_argument("--model", type=file, metavar="MODEL.h5", help="a trained network (the one that ships)")
    style = parser.add_mutually_exclusive_group()
    style.add_argument(
        "--style", type=mixture, metavar="NAME|NAME:W,NAME:W", help="a style, or a mixture of several (the first)"
    )
    style.add_argument(
        "--style-picture",
        type=file,
        metavar="PAINTING",
        help="the style of a picture, by a network that paints in any style: the one that ships, or --model",
    )
    parser.add_argument("--strength", type=strength, default=1.0, metavar="S", help="0, the video, to 1 (1)")
    add_colors(parser)
    parser.set_defaults(colors=colour_control.STYLE)
    parser.add_argument(
        "--size", type=size_or_own, metavar="N", help="longer side in pixels, even; 0 is the video's own (0)"
    )
    parser.add_argument(
        "--crf", type=crf, default=CRF, metavar="Q", help="quality of H.264: 0, the best, to 51 (%(default)s)"
    )
    parser.add_argument(
        "--threads", type=threads, metavar="N", help="frames that are painted at a time (as many as there are cores)"
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="let the workers of a cluster paint: the address that dask scheduler prints, like tcp://10.0.0.1:8786",
    )
    parser.add_argument("--dry-run", action="store_true", help="paint one frame, tell how long all take, and stop")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    add_json(parser)
    computation.add_device(parser)
    parser.set_defaults(run=run)


@computation.on_device
def run(arguments: argparse.Namespace, engine: Engine) -> int:
    """Paint the video."""
    check_colors(arguments.colors, arguments.color_matching)
    library = _library()
    if arguments.scheduler is not None:
        engine = _engine_of_workers(arguments)
    check_suffix(arguments.output, library.FORMATS)
    painting = arguments.style_picture
    model_file = arguments.model or (SHIPPED if painting is None else arbitrary_style.SHIPPED[arbitrary_style.DEFAULT])
    check_outputs([arguments.output], [arguments.video, model_file, painting])
    video = library.examine(arguments.video)
    library.check_sound(video, arguments.output)
    shape = library.fitted_shape(video, arguments.size)
    model = _model(arguments, shape, engine)
    style = arguments.style or {model.names[0]: 1.0}
    weights = model.mixture(style)
    matching = arguments.color_matching or colour_control.MATCHING
    look = library.Look(model, style, arguments.strength, shape, arguments.crf, arguments.colors, matching)
    say = (lambda sentence: None) if arguments.quiet else complain
    if any(side % 2 for side in look.shape):
        say(
            f"{look.shape[1]}x{look.shape[0]} pixels are written as H.264 4:4:4, since the usual 4:2:0 needs even "
            "sides: not every player shows it; --size gives even ones."
        )
    with (
        on_threads(1 if engine is cpu else arguments.threads),
        _painter(library, engine, arguments) as (paint, workers),
    ):
        if arguments.dry_run:
            seconds = _outlook(library, video, look, paint, workers)
            if arguments.json:
                tell({**_facts(arguments, video, look), "painting": round(seconds, 1), "at a time": workers})
            else:
                print(_outlook_in_words(video, look, seconds, workers))
            return 0
        settings = {
            "program": __version__,
            "video": [os.stat(arguments.video).st_size, os.stat(arguments.video).st_mtime_ns],
            "model": _sha256(model_file),
            "style": weights.tolist() if painting is None else _sha256(painting),
            "strength": look.strength,
            "shape": look.shape,
            "crf": look.crf,
            "colors": [look.colors, look.color_matching],
        }
        try:
            with _progress(video.frames, arguments.quiet) as show:
                library.paint(video, arguments.output, look, settings, paint, show)
        except KeyboardInterrupt:
            kept = library.parts_folder(arguments.output)
            complain(f"interrupted; {kept} has what is finished: the same command goes on.")
            return INTERRUPTED
    if arguments.json:
        tell(_facts(arguments, video, look))
    say(f"{arguments.output}: {look.shape[1]}x{look.shape[0]}, {video.frames} frames, {video.seconds:.1f} s")
    return 0


def _facts(arguments: argparse.Namespace, video: Video, look: Look) -> dict[str, Any]:
    """Return what a painted video is, for JSON."""
    height, width = look.shape
    size = {"width": width, "height": height, "frames": video.frames, "seconds": float(video.seconds)}
    return {"output": str(arguments.output), **size, "sound": list(video.sound)}


def _model(arguments: argparse.Namespace, shape: tuple[int, int], engine: Engine) -> FastStyle:
    """Return the network that paints frames of a (height, width)."""
    if arguments.style_picture is None:
        return FastStyle.load(arguments.model, engine)
    return styles_of(ArbitraryStyle.load(arguments.model, engine), [arguments.style_picture], style_side(shape))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _library() -> ModuleType:
    """Return what reads and writes videos; PyAV is optional."""
    try:
        from scratchnst.fast import video
    except ImportError:
        raise UserError("videos need PyAV: install it with pip install 'scratchnst[video]'.") from None
    return video


def _engine_of_workers(arguments: argparse.Namespace) -> Engine:
    """Return what the workers of a cluster compute with, or raise a UserError if other options say otherwise."""
    if arguments.threads is not None:
        raise UserError("--threads is of this machine: leave it out, and start dask worker with --nthreads N.")
    if arguments.device not in (AUTO, CPU):
        raise UserError(f"--device {arguments.device} is of this machine, workers compute on the CPU: leave it out.")
    return cpu


@contextmanager
def _painter(library: ModuleType, engine: Engine, arguments: argparse.Namespace) -> Iterator[tuple[Painter, int]]:
    """Yield who paints the frames, and how many at a time."""
    if arguments.scheduler is None:
        workers = (arguments.threads or default_count()) if engine is cpu else 1
        yield library.by_processes(1 if arguments.dry_run else workers), workers
        return
    try:
        from scratchnst.fast import cluster
    except ImportError:
        raise UserError("--scheduler needs Dask: install it with pip install 'scratchnst[cluster]'.") from None
    with cluster.connected(arguments.scheduler) as workers_there:
        yield workers_there.paint, workers_there.threads


def _outlook(library: ModuleType, video: Video, look: Look, paint: Painter, workers: int) -> float:
    """Paint the first frame, and return how many seconds all would take."""
    first = next(library.frames(video, [0]))
    list(paint(look, [first]))  # the first time takes longer
    started = time.perf_counter()
    list(paint(look, [first]))
    return (time.perf_counter() - started) * video.frames / workers


def _outlook_in_words(video: Video, look: Look, seconds: float, workers: int) -> str:
    """Say what would be painted, and how long it would take."""
    return (
        f"size    {look.shape[1]}x{look.shape[0]}, {video.frames} frames, {video.seconds:.1f} s\n"
        f"sound   {', '.join(video.sound) or 'none'}\n"
        f"time    about {tqdm.format_interval(seconds)}, {workers} frames at a time"
    )


@contextmanager
def _progress(total: int, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Yield what shows how many frames are done: a bar on a terminal, a line now and then elsewhere."""
    terminal, last, is_first = sys.stderr.isatty(), time.monotonic(), True
    with tqdm(total=total, unit=" frames", disable=quiet or not terminal, dynamic_ncols=True) as bar:

        def show(frames: int) -> None:
            nonlocal last, is_first
            if is_first:
                bar.initial, is_first = frames, False  # those of an interrupted run are no part of the rate
            bar.update(frames - bar.n)
            if not quiet and not terminal and time.monotonic() - last >= LINE_EVERY:
                last = time.monotonic()
                print(one_line(f"{frames}/{total} frames"), file=sys.stderr, flush=True)

        yield show
