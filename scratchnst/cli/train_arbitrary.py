"""``scratchnst train arbitrary --styles DIR -o MODEL.h5``: train a network that paints in any style."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np

from scratchnst import images
from scratchnst.cli import computation, training
from scratchnst.cli.arguments import blocks, file, folder, non_negative_number, units
from scratchnst.engine import Engine
from scratchnst.fast.arbitrary_style import SHIPPED, ArbitraryStyle
from scratchnst.messages import complain
from scratchnst.models import style_predictor, transform_net
from scratchnst.training import arbitrary_job
from scratchnst.training.arbitrary_job import STYLE_WEIGHT, ArbitraryJob, ArbitrarySettings
from scratchnst.training.perceptual_loss import Weights

MINUTES = 60.0


def add(actions) -> None:
    """Add this command's parser to `actions`."""
    parser = actions.add_parser(
        "arbitrary",
        help="a network for any style",
        description="Train a network that paints any photograph in the style of any picture in one pass (Huang and "
        "Belongie, 2017; Ghiasi et al., 2017). Beside MODEL.h5, from which scratchnst arbitrary paints at any time, "
        "lies MODEL.h5.training until the training has come to its end: --resume goes on from it.",
    )
    parser.add_argument("-o", "--output", type=file, required=True, metavar="MODEL.h5", help="the file to write")
    parser.add_argument("--styles", type=folder, required=True, metavar="DIR", help="pictures of styles to train on")
    training.add_training(parser, MINUTES)
    group = training.add_loss_networks(parser)
    for name, default in (("content", Weights.content), ("style", STYLE_WEIGHT)):
        group.add_argument(
            f"--{name}-weight",
            type=non_negative_number,
            default=default,
            metavar="W",
            help=f"weight of the {name} loss (%(default)s)",
        )
    training.add_steady(group)
    group = training.add_network(
        parser, ", ".join(f"{name}: {widths[0]}" for name, widths in arbitrary_job.WIDTHS.items())
    )
    group.add_argument(
        "--blocks",
        type=blocks,
        default=transform_net.BLOCKS,
        metavar="N",
        help="residual blocks, with prediction (%(default)s)",
    )
    group.add_argument(
        "--transform",
        choices=tuple(arbitrary_job.WIDTHS),
        default=ArbitrarySettings.transform,
        help="how it takes on a style: prediction chooses the norms of a transform network by the style, adain gives "
        "the photograph's features the style's mean and deviation, too (%(default)s)",
    )
    group.add_argument(
        "--encoder",
        default=ArbitrarySettings.encoder,
        metavar="NAME|FILE",
        help="by whose features it paints; they are in the model's file (%(default)s)",
    )
    group.add_argument(
        "--units",
        type=units,
        default=style_predictor.UNITS,
        metavar="N",
        help="units of the predictor's hidden layer; 0 with --transform adain is AdaIN alone (%(default)s)",
    )
    group.add_argument(
        "--start", type=file, metavar="shipped|MODEL.h5", help="begin with the parameters of a trained model"
    )
    training.add_outputs(parser)
    parser.set_defaults(run=run)


@computation.on_device
def run(arguments: argparse.Namespace, engine: Engine) -> int:
    """Train, and write the model."""
    inputs = [path for path in (arguments.licences,) if path]
    sources = [arguments.encoder, *([str(arguments.start)] if arguments.start else [])]
    settings = _settings(arguments)
    training.check(arguments, inputs, sources)
    say = (lambda sentence: None) if arguments.quiet else complain
    job = arbitrary_job.prepare(settings, engine, say)
    status = training.follow(job, arguments, partial(_preview, job))
    if not status:
        say(f"{arguments.output}: {job.training.state.iteration} steps")
    return status


def _settings(arguments: argparse.Namespace) -> ArbitrarySettings:
    plan = training.plan(arguments, MINUTES)
    network, finish = training.loss_networks(arguments)
    return ArbitrarySettings(
        paintings=arguments.styles,
        folder=arguments.images,
        weights=Weights(
            content=arguments.content_weight,
            style=arguments.style_weight,
            steady=arguments.steady,
            squared=False,
        ),
        network=network,
        finish=finish,
        encoder=arguments.encoder,
        blocks=arguments.blocks,
        transform=arguments.transform,
        widths=training.widths(arguments, arbitrary_job.WIDTHS[arguments.transform]),
        units=arguments.units,
        start=SHIPPED[arguments.transform] if arguments.start == Path("shipped") else arguments.start,
        licences=arguments.licences,
        plan=plan,
    )


def _preview(
    job: ArbitraryJob, model: ArbitraryStyle, photographs: list[np.ndarray]
) -> list[list[tuple[str, np.ndarray]]]:
    """The rows of a sheet: some styles that are not trained on, and each photograph painted in them."""
    styles = [*job.paintings, *photographs[-1:]]
    names = [f"style {number}" for number, _ in enumerate(styles, start=1)]
    painters = model.styles(dict(zip(names, styles)))
    size = training.PREVIEW_SIZE
    heads = [("", np.full((size, size, 3), 255.0)), *((n, images.fit(s, size)) for n, s in zip(names, styles))]
    return [heads, *([("photograph", photo), *((n, painters(photo, n)) for n in names)] for photo in photographs)]
