"""``scratchnst train style PAINTING [PAINTING ...] -o MODEL.h5``: train a network that paints any photograph."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from scratchnst import images
from scratchnst.cli import computation, train_arbitrary, training
from scratchnst.cli.arguments import blocks, check_side_picture, file, non_negative_number, size
from scratchnst.cli.pictures import check_weights
from scratchnst.cli.reports import tell
from scratchnst.engine import Engine
from scratchnst.fast.fast_style import SHIPPED, FastStyle
from scratchnst.messages import complain
from scratchnst.models import transform_net
from scratchnst.training import style_job, trial
from scratchnst.training.perceptual_loss import Losses, Weights
from scratchnst.training.style_job import StyleJob, StyleSettings

MINUTES = 6.0
PREVIEW_STYLES = 6
TRIAL_SIZE, TRIAL_MINUTES = 256, 1.0

T = TypeVar("T")


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser("train", help="train a network that paints in one pass")
    actions = parser.add_subparsers(title="what to train", metavar="WHAT", required=True)
    _add_style(actions)
    train_arbitrary.add(actions)


def _add_style(actions) -> None:
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
    training.add_training(parser, MINUTES)
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
    training.add_outputs(parser)
    parser.set_defaults(run=run)


def _add_loss(parser: argparse.ArgumentParser) -> None:
    group = training.add_loss_networks(parser)
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
    training.add_steady(group)


def _one_or_more(kind: Callable[[str], T]) -> Callable[[str], T | tuple[T, ...]]:
    """Return what parses a number, or several with commas between."""

    def parse(text: str) -> T | tuple[T, ...]:
        numbers = tuple(kind(part) for part in text.split(","))
        return numbers[0] if len(numbers) == 1 else numbers

    return parse


def _add_network(parser: argparse.ArgumentParser) -> None:
    group = training.add_network(parser, f"{transform_net.WIDTHS[0]}")
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
    _check(arguments)
    say = (lambda sentence: None) if arguments.quiet else complain
    job = style_job.prepare(settings, engine, say)
    if arguments.trial:
        return _try(arguments, job)
    status = training.follow(job, arguments, _preview)
    if not status:
        say(f"{arguments.output}: {len(job.styles)} styles, {job.training.state.iteration} steps")
    return status


def _try(arguments: argparse.Namespace, job: StyleJob) -> int:
    """Optimise one photograph by the loss, and write the picture."""
    shape = images.fitted_shape(images.size(arguments.trial), TRIAL_SIZE)
    photograph = images.resize(images.load(arguments.trial, shape), *shape)
    limit = TRIAL_MINUTES if arguments.minutes is None and arguments.iterations is None else arguments.minutes
    loss = job.training.loss
    loss.network.check_size(*shape, [*loss.content_layers, *loss.style_layers])
    with tqdm(total=1.0, bar_format=training.BAR, disable=arguments.quiet or not sys.stderr.isatty()) as bar:

        def show(progress: float, losses: Losses) -> None:
            bar.n = progress
            bar.set_postfix_str(f"style {losses.style:.3f}  content {losses.content:.3f}")

        images.save(arguments.output, trial.paint(loss, photograph, limit, arguments.iterations, show))
    if arguments.json:
        tell({"output": str(arguments.output), "width": shape[1], "height": shape[0]})
    return 0


def _settings(arguments: argparse.Namespace) -> StyleSettings:
    plan = training.plan(arguments, MINUTES)
    network, finish = training.loss_networks(arguments)
    return StyleSettings(
        paintings=tuple(arguments.paintings),
        folder=arguments.images,
        style_size=arguments.style_size,
        weights=Weights(content=arguments.content_weight, style=arguments.style_weight, steady=arguments.steady),
        network=network,
        finish=finish,
        widths=training.widths(arguments, transform_net.WIDTHS),
        blocks=arguments.blocks,
        start=SHIPPED if arguments.start == Path("shipped") else arguments.start,
        add_to=arguments.add_to,
        licences=arguments.licences,
        plan=plan,
    )


def _check(arguments: argparse.Namespace) -> None:
    """Raise a UserError if an output cannot be written, or would replace an input or what is not to be lost."""
    inputs = [*arguments.paintings, *(path for path in (arguments.licences,) if path)]
    sources = [str(path) for path in (arguments.start, arguments.add_to) if path]
    if arguments.trial:
        check_weights([], [*training.loss_networks(arguments), *sources])
        check_side_picture(arguments.output, [*inputs, arguments.trial])
    else:
        training.check(arguments, inputs, sources)


def _preview(model: FastStyle, photographs: list[np.ndarray]) -> list[list[tuple[str, np.ndarray]]]:
    """The rows of a sheet: each photograph, and what the model makes of it in its last styles."""
    names = model.names[-PREVIEW_STYLES:]
    return [[("photograph", photo), *((name, model(photo, name)) for name in names)] for photo in photographs]
