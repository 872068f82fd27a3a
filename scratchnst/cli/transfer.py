"""``scratchnst transfer CONTENT STYLE -o OUT.png``: paint the content in the style."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from scratchnst.cli import computation, job
from scratchnst.cli.arguments import add_equation_7, add_run, file, parse_layers, positive_integer, scales
from scratchnst.cli.fast import mixture
from scratchnst.errors import UserError
from scratchnst.transfer.record import read_settings
from scratchnst.transfer.settings import ARBITRARY, METHODS, ONE_PASS, PRESETS, Settings

OF_ONE_PASS = {
    *("method", "content", "styles", "output", "size", "fast_model", "depth", "keep"),
    *("device", "engine", "convolution", "tf32", "threads", "memory_limit"),
}
NAMES = {"normalize": "no_normalize"}  # setting -> option, where they differ


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
        "--method",
        choices=METHODS,
        help="optimise, or arbitrary: what a network for any style paints in one pass, in a second (optimise)",
    )
    parser.add_argument(
        "--init",
        metavar="content|noise|style|fast|arbitrary|FILE",
        help="where the optimisation starts (content); fast is what a trained network paints in one pass, arbitrary "
        "what one for any style does",
    )
    parser.add_argument(
        "--refine",
        type=positive_integer,
        metavar="N",
        help="N steps from what a network for any style paints: --init arbitrary --iterations N --scales 1",
    )
    parser.add_argument(
        "--fast-model",
        type=file,
        metavar="MODEL.h5",
        help="of what is painted in one pass: a trained network (the one that ships)",
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
    given = {**job.given(arguments), **_refinement(arguments)}
    for name in ("content_layers", "style_layers"):
        if name in given:
            given[name] = parse_layers(given[name])
    record = getattr(arguments, "settings", None)
    preset = PRESETS.get(getattr(arguments, "preset", ""), {})
    settings = Settings.from_json({} if record is None else read_settings(record), **{**preset, **given})
    if settings.method == ARBITRARY:
        _check_one_pass({**preset, **given}, arguments.dry_run)
        return job.paint(settings, arguments.quiet, arguments.json)
    _check_start(settings.init, given)
    return job.run(settings, arguments.quiet, arguments.dry_run, arguments.json)


def _refinement(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that --refine stands for."""
    if not hasattr(arguments, "refine"):
        return {}
    found = {"method": METHODS[0], "init": ARBITRARY, "iterations": arguments.refine, "scales": 1}
    twice = next((name for name in (*found, "preset") if hasattr(arguments, name)), None)
    if twice:
        raise UserError(f"--refine says where to start and how many steps to take: leave out --{twice}.")
    return found


def _check_one_pass(given: Mapping[str, Any], dry_run: bool) -> None:
    """Raise a UserError for an option of the optimisation where there is none."""
    strange = next((name for name in given if name not in OF_ONE_PASS), None)
    if strange:
        raise UserError(
            f"--{NAMES.get(strange, strange).replace('_', '-')} belongs to the optimisation, which --method arbitrary "
            "does without: leave it out."
        )
    if dry_run:
        raise UserError("--dry-run measures the optimisation: scratchnst arbitrary --dry-run tells of one pass.")


def _check_start(init: str, given: Mapping[str, Any]) -> None:
    """Raise a UserError for an option of what is painted in one pass where the start is another."""
    if init not in ONE_PASS and ("fast_model" in given or "fast_style" in given):
        raise UserError("--fast-model and --fast-style say how --init fast paints: give that too, or leave them out.")
    if init == ARBITRARY and "fast_style" in given:
        raise UserError("--fast-style names a style that --init fast has: --init arbitrary takes that of STYLE.")
