"""``scratchnst transfer CONTENT STYLE -o OUT.png``: paint the content in the style."""

from __future__ import annotations

import argparse

from scratchnst.cli import computation, job
from scratchnst.cli.arguments import add_equation_7, add_run, file, parse_layers, scales
from scratchnst.cli.fast import mixture
from scratchnst.errors import UserError
from scratchnst.transfer.record import read_settings
from scratchnst.transfer.settings import FAST, PRESETS, Settings


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser(
        "transfer",
        help="paint one picture in the style of another",
        description="Paint the content picture in the style of the style picture (equation 7 of Gatys et al., 2016).",
        argument_default=argparse.SUPPRESS,  # the defaults are those of Settings, or of the file
    )
    add_equation_7(parser)
    parser.add_argument(
        "--init",
        metavar="content|noise|style|fast|FILE",
        help="where the optimisation starts (content); fast is what a trained network paints in one pass",
    )
    parser.add_argument(
        "--fast-model", type=file, metavar="MODEL.h5", help="of --init fast: a trained network (the one that ships)"
    )
    parser.add_argument(
        "--fast-style",
        type=mixture,
        metavar="NAME|NAME:W,NAME:W",
        help="of --init fast: a style of that network (the one that was learnt from STYLE)",
    )
    parser.add_argument(
        "--scales",
        type=scales,
        metavar="N|auto",
        help="paint at N sizes, each twice the one before (auto: one more with each doubling of --size above 128)",
    )
    parser.add_argument(
        "--preset",
        choices=list(PRESETS),
        help="as in the paper: from noise, at one size, 500 iterations",
    )
    parser.add_argument(
        "--settings",
        action=_InsteadOfAll,
        metavar="OUT.json",
        help="run again what this record tells of; pictures, -o and options given go before it",
    )
    add_run(parser)
    computation.add(parser)
    parser.set_defaults(run=run)


class _InsteadOfAll(argparse.Action):
    """An option in whose presence no other argument is required."""

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, values)
        for action in parser._actions:
            action.required = False


def run(arguments: argparse.Namespace) -> int:
    """Do what the arguments say and return the exit status."""
    given = job.given(arguments)
    for name in ("content_layers", "style_layers"):
        if name in given:
            given[name] = parse_layers(given[name])
    record = getattr(arguments, "settings", None)
    preset = PRESETS.get(getattr(arguments, "preset", ""), {})
    settings = Settings.from_json({} if record is None else read_settings(record), **{**preset, **given})
    if settings.init != FAST and ("fast_model" in given or "fast_style" in given):
        raise UserError("--fast-model and --fast-style say how --init fast paints: give that too, or leave them out.")
    return job.run(settings, arguments.quiet, arguments.dry_run)
