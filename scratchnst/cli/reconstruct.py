"""``scratchnst reconstruct content|style IMAGE --layers ... -o OUT.png``: what a layer keeps, the paper's Figure 1."""

from __future__ import annotations

import argparse

from scratchnst.cli import computation, job
from scratchnst.cli.arguments import add_run, file, parse_layers
from scratchnst.errors import UserError
from scratchnst.transfer import presets
from scratchnst.transfer.settings import Settings


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser(
        "reconstruct",
        help="find an image with the same features, or the same style, at some layers",
        description="Find, from white noise, an image with the same features (content) or Gram matrices (style) at the "
        "layers named: what these layers keep of the picture, the paper's Figure 1.",
        argument_default=argparse.SUPPRESS,  # the defaults are those of Settings
    )
    parser.add_argument("kind", choices=["content", "style"], help="features, equation 1, or Gram matrices, equation 5")
    parser.add_argument("image", type=file, metavar="IMAGE|-", help="the picture; - is standard input")
    parser.add_argument("--layers", nargs="+", metavar="LAYER[:WEIGHT]", help="the network's defaults")
    add_run(parser)
    computation.add(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do what the arguments say and return the exit status."""
    layers = parse_layers(getattr(arguments, "layers", None))
    if arguments.kind == "content":
        if hasattr(arguments, "style_loss"):
            raise UserError("--style-loss compares styles: leave it out, or reconstruct the style.")
        picture = {"content": arguments.image, "content_layers": layers}
    else:
        picture = {"styles": [arguments.image], "style_layers": layers}
    settings = Settings(**{**presets.read("paper"), **picture, **job.given(arguments)})
    return job.run(settings, arguments.quiet, arguments.dry_run, arguments.json, arguments.resume)
