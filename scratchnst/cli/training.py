"""What the commands that train have in common: arguments, and the way of a training to its end."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from scratchnst import images
from scratchnst.cli import computation
from scratchnst.cli.arguments import (
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
from scratchnst.cli.reports import add_json, tell
from scratchnst.errors import UserError
from scratchnst.files import check_outputs, open_log
from scratchnst.images import samples, sheet
from scratchnst.messages import complain, one_line
from scratchnst.system.signals import uninterrupted
from scratchnst.training import style_job, style_training
from scratchnst.training.processes import Processes
from scratchnst.training.style_training import Plan, Training
from scratchnst.transfer.side_outputs import SideOutput
from scratchnst.weights.load import choose_source

STEADY = 5.0  # weight of steadiness, if it is asked for
LOSS_NETWORK = "distilled"
KEEP_EVERY = 30.0  # seconds between checkpoints, and between previews
PREVIEW_SIZE = 256
BAR = "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"


class Job(Protocol):
    """A training that is ready to run; see `scratchnst.training.style_job.StyleJob`."""

    @property
    def training(self) -> Training: ...

    @property
    def origin(self) -> dict[str, Any]: ...

    @property
    def held_out(self) -> tuple[np.ndarray, ...]: ...

    def model(self) -> Any:
        """Return the model as it is now, which has a method `save`."""


# ---------------------------------------------------------------------------------------------- arguments


def add_training(parser: argparse.ArgumentParser, most: float) -> None:
    """Add what all trainings take to `parser`; without a limit of the user's they last `most` minutes."""
    group = parser.add_argument_group("training")
    group.add_argument("--images", type=folder, metavar="DIR", help="photographs to train on (those at hand)")
    group.add_argument("--licences", type=file, metavar="FILE", help="a text on the pictures, to be kept in the file")
    group.add_argument("--minutes", type=minutes, metavar="M", help=f"how long ({most:g})")
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


def add_network(parser: argparse.ArgumentParser, usual: str) -> argparse._ArgumentGroup:
    """Add the width of the network to `parser`, and return the group of these arguments; `usual` is told of it."""
    group = parser.add_argument_group("network to be trained")
    group.add_argument(
        "--width",
        type=width,
        metavar="C",
        help=f"channels at the full size; twice and four times as many at a half and a quarter ({usual})",
    )
    return group


def add_loss_networks(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the networks of the loss to `parser`, and return the group of these arguments."""
    group = parser.add_argument_group("loss")
    group.add_argument("--network", metavar="NAME|FILE", help=f"that looks at the pictures ({LOSS_NETWORK})")
    group.add_argument(
        "--finish",
        metavar="NAME|FILE",
        help=f"that looks at them in the last {style_job.FINISH:.0%}% of the time (VGG19, if there is one and no "
        "--network)",
    )
    return group


def add_steady(group: argparse._ArgumentGroup) -> None:
    """Add the weight of the difference between two frames to the loss."""
    group.add_argument(
        "--steady",
        type=non_negative_number,
        nargs="?",
        const=STEADY,
        default=0.0,
        metavar="W",
        help="let two frames of a scene be painted alike, for films: weight of their difference (%(const)s)",
    )


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """Add what is written and printed beside the model to `parser`."""
    parser.add_argument("--preview", type=file, metavar="OUT.png", help="photographs painted, renewed while it trains")
    parser.add_argument("--log", type=file, metavar="FILE.jsonl", help="one JSON object a step")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    add_json(parser, "one JSON object on how it ended")
    computation.add_device(parser)


def plan(arguments: argparse.Namespace, most: float) -> Plan:
    """Return the plan of a training."""
    if arguments.minutes is not None and arguments.iterations is not None:
        raise UserError("--minutes and --iterations exclude each other: leave out one of them.")
    limit = None if arguments.iterations else arguments.minutes or most
    return Plan(arguments.iterations, limit, arguments.batch, arguments.size, arguments.rate, arguments.seed)


def loss_networks(arguments: argparse.Namespace) -> tuple[str, str | None]:
    """Return the network of the loss, and that of its last part: if none is asked for, VGG19 where there is one."""
    if arguments.network or arguments.finish:
        return arguments.network or LOSS_NETWORK, arguments.finish
    best, _ = choose_source()
    return LOSS_NETWORK, None if best == LOSS_NETWORK else best


def widths(arguments: argparse.Namespace, usual: Sequence[int]) -> tuple[int, ...]:
    """Return the channels at the full, half and quarter size, the usual ones unless others are asked for."""
    return tuple(factor * arguments.width for factor in (1, 2, 4)) if arguments.width else tuple(usual)


# ---------------------------------------------------------------------------------------------- the training


def checkpoint(arguments: argparse.Namespace) -> Path:
    """Return the file from which the training can go on."""
    return Path(f"{arguments.output}.training")


def check(arguments: argparse.Namespace, inputs: Sequence[Path], sources: Sequence[str | None]) -> None:
    """Raise a UserError if an output cannot be written, or would replace an input or what is not to be lost.

    `inputs` are pictures and texts, `sources` names or files of networks.
    """
    check_weights([arguments.output], [*loss_networks(arguments), *sources], inputs)
    others = [checkpoint(arguments), *([arguments.log] if arguments.log else [])]
    check_outputs([arguments.output, *others], inputs)
    if arguments.preview:
        check_side_picture(arguments.preview, inputs, [arguments.output, *others])
    if checkpoint(arguments).exists() and not arguments.resume:
        raise UserError(f"{checkpoint(arguments)} is a training that was interrupted: go on by --resume, or delete it.")


def follow(
    job: Job, arguments: argparse.Namespace, rows: Callable[[Any, list[np.ndarray]], list[list[tuple[str, np.ndarray]]]]
) -> int:
    """Train to the end, and return the exit status; `rows` makes the preview of a model and some photographs."""
    say = (lambda sentence: None) if arguments.quiet else complain
    if arguments.resume:
        job.training.restore(checkpoint(arguments), job.origin)
        say(f"going on after {job.training.state.iteration} steps")
    preview = SideOutput("--preview", _preview(arguments.preview, job, rows), complain)

    def keep(training: Training) -> None:
        with uninterrupted():
            training.save(checkpoint(arguments), job.origin)
            job.model().save(arguments.output)
            preview(job.model())

    with ExitStack() as stack:
        job.training.share = stack.enter_context(Processes(complain))
        log = _log(arguments.log, stack)
        show = stack.enter_context(_progress(job.training, arguments.quiet))

        def on_step(training: Training) -> None:
            log(style_training.entry(training))
            show()

        try:
            style_training.run(job.training, on_step, keep, KEEP_EVERY, complain)
        except KeyboardInterrupt:
            complain(f"interrupted; {arguments.output} can be used, and --resume goes on with the training.")
            return INTERRUPTED
    checkpoint(arguments).unlink(missing_ok=True)
    if arguments.json:
        tell({"output": str(arguments.output), **style_training.entry(job.training)})
    return 0


def _preview(path, job, rows):
    """What draws a sheet: photographs that are not trained on, and what a model makes of them."""
    if path is None:
        return lambda model: None
    drawn = samples.draw_content().astype(np.float32)
    photographs = [images.fit(picture, PREVIEW_SIZE) for picture in (*job.held_out, drawn)]

    def draw(model):
        drawing = [[(label, sheet.picture(image)) for label, image in row] for row in rows(model, photographs)]
        images.save(path, sheet.draw(drawing))

    return draw


def _log(path: Path | None, stack: ExitStack) -> Callable[[dict], None]:
    """Return what writes a line of the log, if there is one."""
    if path is None:
        return lambda entry: None
    file = stack.enter_context(open_log(path))

    def write(entry: dict) -> None:
        file.write(json.dumps(entry).encode() + b"\n")

    return SideOutput("--log", write, complain)


@contextmanager
def _progress(training: Training, quiet: bool) -> Iterator:
    """Yield what shows the progress after each step: a bar on a terminal, a line now and then elsewhere."""
    terminal, last = sys.stderr.isatty(), time.monotonic()
    with tqdm(total=1.0, bar_format=BAR, disable=quiet or not terminal, dynamic_ncols=True) as bar:

        def show() -> None:
            nonlocal last
            bar.n = training.progress
            bar.set_postfix_str(_line(training), refresh=False)
            bar.update(0)
            if not quiet and not terminal and time.monotonic() - last >= KEEP_EVERY:
                last = time.monotonic()
                print(f"{training.progress:.0%}  {one_line(_line(training))}", file=sys.stderr, flush=True)

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
