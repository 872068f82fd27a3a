"""``scratchnst reconstruct content|style IMAGE --layers ... -o OUT.png``: what a layer knows, the paper's Figure 1."""

from __future__ import annotations

import argparse
from pathlib import Path

from scratchnst import images
from scratchnst.cli import computation, job
from scratchnst.cli.arguments import add_run, parse_layers
from scratchnst.cli.progress import Reporter
from scratchnst.engine import Engine
from scratchnst.transfer.objective import Objective
from scratchnst.weights.load import choose_source, load_network, source_file


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser(
        "reconstruct",
        help="find an image with the same features, or the same style, at some layers",
        description="Find, from white noise, an image with the same features (content) or Gram matrices (style) at the "
        "layers named: what these layers keep of the picture, the paper's Figure 1.",
    )
    parser.add_argument("kind", choices=["content", "style"], help="features, equation 1, or Gram matrices, equation 5")
    parser.add_argument("image", type=Path, metavar="IMAGE")
    parser.add_argument("--layers", nargs="+", metavar="LAYER[:WEIGHT]", help="the network's defaults")
    add_run(parser)
    computation.add(parser)
    parser.set_defaults(run=run)


@computation.as_asked
def run(arguments: argparse.Namespace, engine: Engine) -> int:
    """Do what the arguments say and return the exit status."""
    reporter = Reporter(arguments.iterations, arguments.quiet)
    source, reason = choose_source(arguments.network)
    job.check_outputs(arguments, [arguments.image, source_file(source)])
    layers = parse_layers(arguments.layers)
    network = load_network(source, arguments.preprocessing).on(engine)
    is_content = arguments.kind == "content"
    defaults = network.defaults.content_layers if is_content else network.defaults.style_layers
    image = job.load_picture(arguments.image, network, layers, defaults)
    image = job.fit(image, network, layers or defaults, arguments)
    reporter.say(f"network: {network.name}, {reason}")

    def objective_at(height, width):
        canvas = images.extend(images.resize(image, height, width), arguments.margin)
        return Objective(
            network,
            content=canvas if is_content else None,
            styles=[] if is_content else [canvas],
            content_layers=layers if is_content else {},
            style_layers={} if is_content else layers,
            tv_weight=arguments.tv_weight or 0.0,
            pooling=arguments.pooling,
            normalized=arguments.normalize,
            dtype=arguments.dtype,
        )

    return job.run(objective_at, [image.shape[:2]], "noise", arguments, reporter)
