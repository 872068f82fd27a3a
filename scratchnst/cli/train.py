"""``scratchnst train style PAINTING [PAINTING ...] -o MODEL.h5``: train a network that paints any photograph."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from scratchnst import images
from scratchnst.cli import computation
from scratchnst.cli.arguments import (
    blocks,
    check_side_picture,
    file,
    folder,
    minutes,
    non_negative_integer,
    non_negative_number,
    positive_integer,
    size,
    width,
)
from scratchnst.cli.job import INTERRUPTED
from scratchnst.cli.pictures import check_weights
from scratchnst.engine import Engine
from scratchnst.errors import UserError
from scratchnst.fast.fast_style import SHIPPED, FastStyle
from scratchnst.files import check_outputs, open_log
from scratchnst.images import samples, sheet
from scratchnst.messages import complain, one_line
from scratchnst.models import transform_net
from scratchnst.system.signals import uninterrupted
from scratchnst.training import style_job, style_training, trial
from scratchnst.training.perceptual_loss import Losses, Weights
from scratchnst.training.processes import Processes
from scratchnst.training.style_job import StyleJob, StyleSettings
from scratchnst.training.style_training import Plan, Training
from scratchnst.transfer.side_outputs import SideOutput
from scratchnst.weights.load import choose_source

MINUTES = 6.0
STEADY = 5.0  # weight of steadiness, if it is asked for
KEEP_EVERY = 30.0  # seconds between checkpoints, and between previews
PREVIEW_SIZE, PREVIEW_STYLES = 256, 6
TRIAL_SIZE, TRIAL_MINUTES = 256, 1.0
T = TypeVar("T")
BAR = "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser("train", help="train a network that paints in your style in one pass")
    actions = parser.add_subparsers(title="what to train", metavar="WHAT", required=True)
    parser = actions.add_parser(
        "style",
        help="a network for one painting, or several",
        description="Train a network that paints any photograph in the style of a painting in one pass (Johnson et "
        "al., 2016), or of one of several paintings (Dumoulin et al., 2017). Beside MODEL.h5, from which scratchnst "
        "fast paints at any time, lies MODEL.h5.training until the training has come to its end: --resume goes on "
        "from it.",
    )
    parser.add_argument("paintings", type=file, nargs="+", metavar="PAINTING", help="a picture of a style")
    parser.add_argument("-o", "--output", type=file, required=True, metavar="MODEL.h5", help="the file to write")
    _add_training(parser)
    _add_loss(parser)
    _add_network(parser)
    parser.add_argument(
        "--try",
        dest="trial",
        type=file,
        metavar="PHOTO",
        help="train nothing: optimise this photograph by the loss, for a minute, so that OUT.png shows what its "
        "weights do; only the first painting counts",
    )
    parser.add_argument("--preview", type=file, metavar="OUT.png", help="photographs painted, renewed while it trains")
    parser.add_argument("--log", type=file, metavar="FILE.jsonl", help="one JSON object a step")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    computation.add_device(parser)
    parser.set_defaults(run=run)


def _add_training(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("training")
    group.add_argument("--images", type=folder, metavar="DIR", help="photographs to train on (those at hand)")
    group.add_argument("--licences", type=file, metavar="FILE", help="a text on the pictures, to be kept in the file")
    group.add_argument("--minutes", type=minutes, metavar="M", help=f"how long ({MINUTES:g})")
    group.add_argument("--iterations", type=positive_integer, metavar="N", help="how many steps, in place of --minutes")
    group.add_argument(
        "--batch", type=positive_integer, default=Plan.batch, metavar="N", help="crops a step (%(default)s)"
    )
    group.add_argument(
        "--size", type=size, default=Plan.side, metavar="N", help="side of a crop in pixels (%(default)s)"
    )
    group.add_argument(
        "--rate", type=non_negative_number, default=Plan.rate, metavar="R", help="Adam's highest rate (%(default)s)"
    )
    group.add_argument("--seed", type=non_negative_integer, default=0, metavar="N", help="of all chance (0)")
    group.add_argument("--resume", action="store_true", help="go on with the training that was interrupted")


def _add_loss(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("loss")
    group.add_argument("--network", metavar="NAME|FILE", help=f"that looks at the pictures ({StyleSettings.network})")
    group.add_argument(
        "--finish",
        metavar="NAME|FILE",
        help=f"that looks at them in the last {style_job.FINISH:.0%}% of the time (VGG19, if there is one and no "
        "--network)",
    )
    group.add_argument(
        "--style-size",
        type=_one_or_more(size),
        default=StyleSettings.style_size,
        metavar="N[,N...]",
        help="longer side of a painting in pixels: more makes the strokes larger (%(default)s), one for all or one for "
        "each",
    )
    group.add_argument(
        "--content-weight",
        type=non_negative_number,
        default=Weights.content,
        metavar="W",
        help="weight of the content loss (%(default)s)",
    )
    group.add_argument(
        "--style-weight",
        type=_one_or_more(non_negative_number),
        default=Weights.style,
        metavar="W[,W...]",
        help="weight of the style loss (%(default)s), one for all paintings or one for each",
    )
    group.add_argument(
        "--steady",
        type=non_negative_number,
        nargs="?",
        const=STEADY,
        default=0.0,
        metavar="W",
        help="let two frames of a scene be painted alike, for films: weight of their difference (%(const)s)",
    )


def _one_or_more(kind: Callable[[str], T]) -> Callable[[str], T | tuple[T, ...]]:
    """Return what parses a number, or several with commas between."""

    def parse(text: str) -> T | tuple[T, ...]:
        numbers = tuple(kind(part) for part in text.split(","))
        return numbers[0] if len(numbers) == 1 else numbers

    return parse


def _add_network(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("network to be trained")
    group.add_argument(
        "--width",
        type=width,
        default=transform_net.WIDTHS[0],
        metavar="C",
        help="channels at the full size; twice and four times as many at a half and a quarter (%(default)s)",
    )
    group.add_argument(
        "--blocks", type=blocks, default=transform_net.BLOCKS, metavar="N", help="residual ones (%(default)s)"
    )
    group.add_argument(
        "--start", type=file, metavar="shipped|MODEL.h5", help="begin with the parameters of a trained model"
    )
    group.add_argument(
        "--add-to", type=file, metavar="MODEL.h5", help="add the styles to a model, whose own stay as they are"
    )


@computation.on_device
def run(arguments: argparse.Namespace, engine: Engine) -> int:
    """Train, and write the model."""
    settings = _settings(arguments)
    checkpoint = Path(f"{arguments.output}.training")
    _check(arguments, checkpoint)
    say = (lambda sentence: None) if arguments.quiet else complain
    job = style_job.prepare(settings, engine, say)
    if arguments.trial:
        return _try(arguments, job)
    if arguments.resume:
        job.training.restore(checkpoint, job.origin)
        say(f"going on after {job.training.state.iteration} steps")
    preview = SideOutput("--preview", _Preview(arguments.preview, job).draw, complain)

    def keep(training: Training) -> None:
        with uninterrupted():
            training.save(checkpoint, job.origin)
            job.model().save(arguments.output)
            preview(job.model())

    with ExitStack() as stack:
        job.training.share = stack.enter_context(Processes(complain))
        log = _log(arguments.log, stack)
        show = stack.enter_context(_progress(job, arguments.quiet))

        def on_step(training: Training) -> None:
            log(style_training.entry(training))
            show()

        try:
            style_training.run(job.training, on_step, keep, KEEP_EVERY, complain)
        except KeyboardInterrupt:
            complain(f"interrupted; {arguments.output} can be used, and --resume goes on with the training.")
            return INTERRUPTED
    checkpoint.unlink(missing_ok=True)
    say(f"{arguments.output}: {len(job.styles)} styles, {job.training.state.iteration} steps")
    return 0


def _try(arguments: argparse.Namespace, job: StyleJob) -> int:
    """Optimise one photograph by the loss, and write the picture."""
    shape = images.fitted_shape(images.size(arguments.trial), TRIAL_SIZE)
    photograph = images.resize(images.load(arguments.trial, shape), *shape)
    limit = TRIAL_MINUTES if arguments.minutes is None and arguments.iterations is None else arguments.minutes
    loss = job.training.loss
    loss.network.check_size(*shape, [*loss.content_layers, *loss.style_layers])
    with tqdm(total=1.0, bar_format=BAR, disable=arguments.quiet or not sys.stderr.isatty()) as bar:

        def show(progress: float, losses: Losses) -> None:
            bar.n = progress
            bar.set_postfix_str(f"style {losses.style:.3f}  content {losses.content:.3f}")

        images.save(arguments.output, trial.paint(loss, photograph, limit, arguments.iterations, show))
    return 0


def _log(path: Path | None, stack: ExitStack) -> Callable[[dict], None]:
    """Return what writes a line of the log, if there is one."""
    if path is None:
        return lambda entry: None
    file = stack.enter_context(open_log(path))

    def write(entry: dict) -> None:
        file.write(json.dumps(entry).encode() + b"\n")

    return SideOutput("--log", write, complain)


def _settings(arguments: argparse.Namespace) -> StyleSettings:
    if arguments.minutes is not None and arguments.iterations is not None:
        raise UserError("--minutes and --iterations exclude each other: leave out one of them.")
    limit = None if arguments.iterations else arguments.minutes or MINUTES
    network, finish = _loss_networks(arguments)
    plan = Plan(arguments.iterations, limit, arguments.batch, arguments.size, arguments.rate, arguments.seed)
    return StyleSettings(
        paintings=tuple(arguments.paintings),
        folder=arguments.images,
        style_size=arguments.style_size,
        weights=Weights(content=arguments.content_weight, style=arguments.style_weight, steady=arguments.steady),
        network=network,
        finish=finish,
        widths=tuple(factor * arguments.width for factor in (1, 2, 4)),
        blocks=arguments.blocks,
        start=SHIPPED if arguments.start == Path("shipped") else arguments.start,
        add_to=arguments.add_to,
        licences=arguments.licences,
        plan=plan,
    )


def _loss_networks(arguments: argparse.Namespace) -> tuple[str, str | None]:
    """The network of the loss, and the one of its last part: if none is asked for, VGG19 where there is one."""
    if arguments.network or arguments.finish:
        return arguments.network or StyleSettings.network, arguments.finish
    best, _ = choose_source()
    return StyleSettings.network, None if best == StyleSettings.network else best


def _check(arguments: argparse.Namespace, checkpoint: Path) -> None:
    """Raise a UserError if an output cannot be written, or would replace an input or what is not to be lost."""
    inputs = [*arguments.paintings, *(path for path in (arguments.licences,) if path)]
    sources = [
        *_loss_networks(arguments),
        *(str(path) for path in (arguments.start, arguments.add_to) if path),
    ]
    if arguments.trial:
        check_weights([], sources)
        check_side_picture(arguments.output, [*inputs, arguments.trial])
        return
    check_weights([arguments.output], sources, inputs)
    others = [checkpoint, *([arguments.log] if arguments.log else [])]
    check_outputs([arguments.output, *others], inputs)
    if arguments.preview:
        check_side_picture(arguments.preview, inputs, [arguments.output, *others])
    if checkpoint.exists() and not arguments.resume:
        raise UserError(f"{checkpoint} is a training that was interrupted: go on by --resume, or delete it.")


@contextmanager
def _progress(job: StyleJob, quiet: bool) -> Iterator:
    """Yield what shows the progress after each step: a bar on a terminal, a line now and then elsewhere."""
    terminal, last = sys.stderr.isatty(), time.monotonic()
    with tqdm(total=1.0, bar_format=BAR, disable=quiet or not terminal, dynamic_ncols=True) as bar:

        def show() -> None:
            nonlocal last
            bar.n = job.training.progress
            bar.set_postfix_str(_line(job.training), refresh=False)
            bar.update(0)
            if not quiet and not terminal and time.monotonic() - last >= KEEP_EVERY:
                last = time.monotonic()
                print(f"{job.training.progress:.0%}  {one_line(_line(job.training))}", file=sys.stderr, flush=True)

        yield show


def _line(training: Training) -> str:
    """How far it is, and its losses."""
    state, losses = training.state, training.state.losses
    if losses is None:
        return ""
    pictures = training.plan.batch * state.iteration / max(state.seconds, 1e-9)
    terms = f"style {losses.style:.3f}  content {losses.content:.3f}"
    if training.loss.weights.steady:
        terms += f"  unsteady {losses.unsteadiness:.3f}"
    return f"step {state.iteration}  {terms}  {pictures:.1f} pictures/s"


class _Preview:
    """A sheet: photographs that are not trained on, and what the model makes of them in its first styles."""

    def __init__(self, path: Path | None, job: StyleJob):
        self.path, self.photographs = path, []
        if path is not None:
            drawn = samples.draw_content().astype(np.float32)
            self.photographs = [images.fit(picture, PREVIEW_SIZE) for picture in (*job.held_out, drawn)]

    def draw(self, model: FastStyle) -> None:
        """Paint the sheet anew."""
        if self.path is None:
            return
        names = model.names[-PREVIEW_STYLES:]
        rows = [[("photograph", photo), *((name, model(photo, name)) for name in names)] for photo in self.photographs]
        images.save(self.path, sheet.draw([[(label, sheet.picture(image)) for label, image in row] for row in rows]))
