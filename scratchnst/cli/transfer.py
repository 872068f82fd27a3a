"""``scratchnst transfer CONTENT STYLE -o OUT.png``: paint the content in the style."""

from __future__ import annotations

import argparse

from scratchnst import images
from scratchnst.cli import computation, job
from scratchnst.cli.arguments import add_equation_7, add_run, parse_layers, scales
from scratchnst.cli.progress import Reporter
from scratchnst.engine import Engine
from scratchnst.transfer.objective import Objective
from scratchnst.weights.load import choose_source, load_network, source_file


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser(
        "transfer",
        help="paint one picture in the style of another",
        description="Paint the content picture in the style of the style picture (equation 7 of Gatys et al., 2016).",
    )
    add_equation_7(parser)
    parser.add_argument(
        "--init", default="noise", metavar="noise|content|style|FILE", help="where the optimisation starts (noise)"
    )
    parser.add_argument(
        "--scales",
        type=scales,
        default="auto",
        metavar="N|auto",
        help="paint at N sizes, each twice the one before (auto: one more with each doubling of --size above 512)",
    )
    add_run(parser)
    computation.add(parser)
    parser.set_defaults(run=run)


@computation.as_asked
def run(arguments: argparse.Namespace, engine: Engine) -> int:
    """Do what the arguments say and return the exit status."""
    reporter = Reporter(arguments.iterations, arguments.quiet)
    source, reason = choose_source(arguments.network)
    job.check_outputs(arguments, [arguments.content, *arguments.styles, arguments.init, source_file(source)])
    content_layers, style_layers = parse_layers(arguments.content_layers), parse_layers(arguments.style_layers)
    network = load_network(source, arguments.preprocessing).on(engine)
    content = job.load_picture(arguments.content, network, content_layers, network.defaults.content_layers)
    layers = [*(content_layers or network.defaults.content_layers), *(style_layers or network.defaults.style_layers)]
    fitted = job.fit(content, network, layers, arguments)
    shapes = job.choose_scales(fitted, network, layers, arguments.scales, arguments.init)
    # What each scale imitates is made here, each from the picture in the file, which then is free to go.
    contents = {shape: images.extend(images.resize(content, *shape), arguments.margin) for shape in shapes}
    styles: dict[tuple[int, int], list] = {shape: [] for shape in shapes}
    for path in arguments.styles:
        style = job.load_picture(path, network, style_layers, network.defaults.style_layers)
        for shape, canvas in contents.items():
            styles[shape].append(images.resize(style, *canvas.shape[:2]))
    del content, fitted, style
    init = job.load_init(arguments.init)
    reporter.say(f"network: {network.name}, {reason}")

    def objective_at(height, width):
        canvas = contents[height, width]
        fewer = contents[shapes[-1]].size / canvas.size  # weights of sums over pixels count as much at every scale
        return Objective(
            network,
            canvas,
            styles[height, width],
            content_layers=content_layers,
            style_layers=style_layers,
            content_weight=_times(arguments.content_weight, fewer),
            style_weight=arguments.style_weight,
            tv_weight=_times(arguments.tv_weight, fewer),
            pooling=arguments.pooling,
            normalized=arguments.normalize,
            dtype=arguments.dtype,
        )

    return job.run(objective_at, shapes, init, arguments, reporter)


def _times(weight: float | None, factor: float) -> float | None:
    """`weight` times `factor`, or None, the network's own."""
    return None if weight is None else weight * factor
