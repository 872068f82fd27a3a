"""``scratchnst trace CONTENT STYLE --pixel ROW,COL``: where the gradient of a pixel comes from."""

from __future__ import annotations

import argparse
import json
import os
from contextlib import ExitStack

from scratchnst import images
from scratchnst.attribution import plot, report
from scratchnst.attribution.attribution import check_pixel, trace
from scratchnst.attribution.setup import check_memory, load_objective
from scratchnst.cli import computation, pipes
from scratchnst.cli.arguments import (
    add_equation_7,
    add_laplacian_weight,
    add_losses,
    add_network,
    check_figure,
    file,
    non_negative_integer,
    non_negative_number,
    parse_layers,
    pixel,
    positive_integer,
    size_or_own,
)
from scratchnst.cli.job import FAILED
from scratchnst.engine import Engine
from scratchnst.messages import complain, one_line
from scratchnst.transfer.layer_weights import EQUAL
from scratchnst.transfer.objective import GRAM, KEEP, LAYERS, SQUARED
from scratchnst.transfer.preparation import init_path
from scratchnst.transfer.settings import STARTS
from scratchnst.transfer.stylize import start_image
from scratchnst.weights.load import choose_source, load_network, source_file

TOLERANCE = 1e-8  # relative: round-off in float64 is a million times smaller


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser(
        "trace",
        help="take the gradient of one pixel apart",
        description="Split dL/dpixel of equation 7, in float64, into everything that adds up to it: the terms, and "
        "within a term the channels and positions of its layer that push hardest. The share of the gradient that each "
        "makes up is negative where it works against the whole; shares add up to 100 %.",
    )
    add_equation_7(parser)
    parser.add_argument(
        "--pixel", type=pixel, required=True, metavar="ROW,COL", help="from 0, from the top left, at --size"
    )
    parser.add_argument(
        "--image",
        default="noise",
        metavar="noise|content|style|FILE",
        help="the image at which the gradient is taken, for example a picture that transfer has made (noise)",
    )
    parser.add_argument(
        "--size", type=size_or_own, default=512, metavar="N", help="longer side in pixels; 0 is CONTENT's own (512)"
    )
    parser.add_argument("--seed", type=non_negative_integer, default=0, metavar="N", help="of the white noise (0)")
    parser.add_argument("--tv-weight", type=non_negative_number, metavar="T", help="weight of the total variation")
    add_losses(parser)
    add_laplacian_weight(parser)
    add_network(parser)
    computation.add_device(parser)
    group = parser.add_argument_group("output")
    group.add_argument(
        "--top", type=positive_integer, default=5, metavar="N", help="channels and positions listed of each term (5)"
    )
    group.add_argument("--json", action="store_true", help="print JSON instead of tables")
    group.add_argument("--plot", type=file, metavar="FILE.png", help="draw the terms, and where they come from")
    parser.set_defaults(run=run)


@computation.on_device
def run(arguments: argparse.Namespace, engine: Engine) -> int:
    """Do what the arguments say and return the exit status."""
    pictures = [arguments.content, *arguments.styles]
    pipes.check_one_input(pictures)
    with ExitStack() as stack:
        arguments.content, *arguments.styles = (stack.enter_context(pipes.readable(path)) for path in pictures)
        return _trace(arguments, engine)


def _trace(arguments: argparse.Namespace, engine: Engine) -> int:
    """Trace the pixel, print the tables and draw the figure; the status is 1 if the parts do not add up."""
    source, reason = choose_source(arguments.network)
    if arguments.plot:
        start = None if arguments.image in STARTS else arguments.image
        check_figure(arguments.plot, [arguments.content, *arguments.styles, start, source_file(source)])
    objective = load_objective(
        load_network(source, arguments.preprocessing).on(engine),
        arguments.content,
        arguments.styles,
        arguments.size,
        arguments.pixel,
        content_layers=parse_layers(arguments.content_layers),
        style_layers=parse_layers(arguments.style_layers),
        style_fit=arguments.style_fit or KEEP,
        content_weight=arguments.content_weight,
        style_weight=arguments.style_weight,
        tv_weight=arguments.tv_weight,
        style_loss=arguments.style_loss or GRAM,
        tv=arguments.tv or SQUARED,
        laplacian_weight=arguments.laplacian_weight or 0.0,
        layer_weights=arguments.layer_weights or EQUAL,
        activation_shift=arguments.activation_shift or 0.0,
        correlations=arguments.correlations or LAYERS,
        pooling=arguments.pooling,
        normalized=arguments.normalize,
    )
    start = arguments.image if arguments.image in STARTS else images.load(init_path(arguments.image))
    image = start_image(objective, start, arguments.seed)
    check_pixel(arguments.pixel, objective.shape)
    check_memory(objective)
    found = trace(objective, image, arguments.pixel)
    name = (
        f"noise, seed {arguments.seed}" if arguments.image == "noise" else one_line(os.path.basename(arguments.image))
    )
    if arguments.plot:
        assert objective.content is not None  # the parser asks for one
        pictures = {"content": objective.content, f"the image: {name}": image}
        images.save(arguments.plot, plot.picture(found, pictures))
    if arguments.json:
        asked = {"name": arguments.image, "seed": arguments.seed}
        print(json.dumps(report.as_dict(found, objective, image, asked, arguments.top), indent=2, allow_nan=False))
    else:
        print(f"network: {objective.network.name}, {reason}")
        print("\n".join(report.table(found, objective, image, name, arguments.top)))
    if found.error > TOLERANCE:
        complain(
            f"the parts do not add up to the gradient of the walk back, relative difference {found.error:.0e}: a "
            "forward or a backward is wrong; scratchnst gradcheck tells which."
        )
        return FAILED
    return 0
