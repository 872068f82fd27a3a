"""``scratchnst transfer CONTENT STYLE -o OUT.png``: paint the content in the style."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from scratchnst.cli import computation, job, many, painting
from scratchnst.cli.arguments import (
    add_colors,
    add_laplacian_weight,
    add_run,
    add_terms,
    check_colors,
    file,
    growth,
    one_or_each,
    parse_layers,
    place,
    positive_integer,
    positive_number,
    scales,
    size,
    weights,
)
from scratchnst.cli.fast import mixture
from scratchnst.errors import UserError
from scratchnst.models.guides import SIMPLE, WAYS
from scratchnst.transfer import presets
from scratchnst.transfer.record import read_settings
from scratchnst.transfer.settings import ARBITRARY, METHODS, ONE_PASS, Settings

OF_ONE_PASS = {
    *("method", "content", "styles", "output", "size", "fast_model", "style_size", "style_weights", "masks"),
    *("colors", "color_matching", "depth", "keep"),
    *("device", "engine", "convolution", "tf32", "threads", "memory_limit"),
}
NAMES = {"normalize": "no_normalize"}  # setting -> option, where they differ


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser(
        "transfer",
        help="paint one picture in the style of another",
        description="Paint the content picture in the style of the style picture (equation 7 of Gatys et al., 2016). "
        "A directory of pictures is painted in the style, a picture in each style of a directory, or all in all: into "
        "the directory OUT, as CONTENT-STYLE.png; what is finished there, with the same settings, is kept.",
        argument_default=argparse.SUPPRESS,  # the defaults are those of Settings, or of the file
    )
    parser.add_argument(
        "content",
        type=painting.picture_or_folder,
        metavar="CONTENT|DIR|-",
        help="the picture whose objects stay; - is standard input",
    )
    parser.add_argument(
        "styles",
        type=painting.picture_or_folder,
        nargs="+",
        metavar="STYLE|DIR",
        help="the picture that gives the strokes, several that are blended, or a directory of some, each by itself",
    )
    add_options(parser)
    add_run(parser, place)
    computation.add(parser)
    many.add_options(parser)
    parser.set_defaults(run=run)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add how one picture is painted, without defaults, but for its network and how it is optimised."""
    add_terms(parser)
    add_colors(parser)
    add_laplacian_weight(parser)
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
    _add_strokes(parser)
    _add_space(parser)
    parser.add_argument(
        "--scales",
        type=scales,
        metavar="N|auto",
        help="paint at N sizes, each twice the one before (auto: one more with each doubling of --size above 128)",
    )
    parser.add_argument(
        "--preset",
        choices=presets.NAMES,
        help="settings that go together, which are printed: paper is from noise, at one size, 500 iterations; improved "
        "is that of Novak and Nikulin; soft and strong change the weight of the style; texture is the style alone",
    )
    parser.add_argument(
        "--settings",
        action=_InsteadOfAll,
        metavar="OUT.json",
        help="run again what this record tells of, or with settings of your own; pictures, -o and options given go "
        "before them",
    )


def _add_strokes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("styles", "one number for all styles, or one for each")
    group.add_argument(
        "--style-size",
        type=partial(one_or_each, size),
        metavar="N[,N]",
        help="pixels of a style's longer side: more makes strokes larger (as many pixels in all as the picture)",
    )
    group.add_argument(
        "--style-scale",
        type=partial(one_or_each, positive_number),
        metavar="F[,F]",
        help="by how much a style is enlarged beyond the size that it would have (1)",
    )
    group.add_argument(
        "--style-weights", type=weights, metavar="W,W,...", help="of a blend, a number for each style (all alike)"
    )


def _add_space(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "space",
        "a mask is a picture of any size, white where something counts, black elsewhere, grey between; "
        "LABELS.png#RRGGBB is white where that picture has that colour",
    )
    group.add_argument(
        "--mask", dest="masks", nargs="+", metavar="MASK", help="for each style, where it counts (everywhere)"
    )
    group.add_argument(
        "--style-mask",
        dest="style_masks",
        nargs="+",
        metavar="MASK",
        help="for each style, which part of it is looked at (all)",
    )
    group.add_argument("--keep-mask", metavar="MASK", help="where the content stays as it is (nowhere)")
    group.add_argument(
        "--guides",
        choices=list(WAYS),
        help="what counts on a layer: the mask made smaller, or what a unit sees that touches the region, or lies "
        f"inside of it ({SIMPLE})",
    )
    group.add_argument(
        "--grow-masks", type=growth, metavar="N", help="by how many pixels to grow masks, or, below 0, to shrink them"
    )


class _InsteadOfAll(argparse.Action):
    """An option in whose presence no other argument is required."""

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, values)
        for action in parser._actions:
            action.required = False


def run(arguments: argparse.Namespace) -> int:
    """Do what the arguments say and return the exit status."""
    if any(os.path.isdir(path) for path in _pictures(arguments)):
        return _run_all(arguments)
    many.check_alone(arguments)
    if isinstance(getattr(arguments, "output", None), str):
        raise UserError(
            f"-o must end in the name of a file, which {arguments.output!r} does not: name one, or a directory of "
            "pictures to be painted into it."
        )
    settings = settings_of(arguments)
    tell_preset(arguments)
    if settings.method == ARBITRARY:
        if arguments.dry_run:
            raise UserError("--dry-run measures the optimisation: scratchnst arbitrary --dry-run tells of one pass.")
        if arguments.resume:
            raise UserError(
                "--resume goes on with an optimisation, which --method arbitrary does without: leave it out."
            )
        return job.paint(settings, arguments.quiet, arguments.json)
    return job.run(settings, arguments.quiet, arguments.dry_run, arguments.json, arguments.resume)


def _pictures(arguments: argparse.Namespace) -> list[Path]:
    """Return content and styles that are named."""
    return [*([arguments.content] if hasattr(arguments, "content") else []), *getattr(arguments, "styles", [])]


def _run_all(arguments: argparse.Namespace) -> int:
    """Paint each picture of a folder in the blend that is named, or in each style of a folder."""
    of_one = next((name for name in ("log", "video") if hasattr(arguments, name)), None)
    if of_one:
        raise UserError(f"--{of_one} is of one picture, and a directory holds several: leave it out.")
    if arguments.resume:
        raise UserError("--resume is of one picture; of several, those that are finished are kept: leave it out.")
    if not hasattr(arguments, "styles"):
        raise UserError("a directory holds several pictures, and no style is named for them: name one, or a directory.")
    content = arguments.content
    photos = painting.pictures_in(content) if content.is_dir() else [content]
    blends = painting.blends(arguments.styles)
    pairs = [(photo, styles) for styles in blends for photo in photos]
    inputs = [*photos, *(style for styles in blends for style in styles)]
    names = [painting.name_of(photo, styles) for photo, styles in pairs]
    with painting.places(names, str(arguments.output), inputs) as places:
        settings = [
            settings_of(argparse.Namespace(**{**vars(arguments), "content": photo, "styles": styles, "output": place}))
            for (photo, styles), place in zip(pairs, places)
        ]
        tell_preset(arguments)
        return many.Pictures(settings, arguments).make()


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings that arguments stand for.

    Raises
    ------
    UserError
        If they do not go together, or a value is refused.
    """
    given = {**job.given(arguments), **_refinement(arguments)}
    for name in ("content_layers", "style_layers"):
        if name in given:
            given[name] = parse_layers(given[name])
    record = getattr(arguments, "settings", None)
    preset = presets.read(arguments.preset) if hasattr(arguments, "preset") else {}
    settings = Settings.from_json({} if record is None else read_settings(record), **{**preset, **given})
    check_colors(settings.colors, given.get("color_matching"))
    if settings.method == ARBITRARY:
        _check_one_pass({**preset, **given})
    else:
        _check_start(settings.init, given)
    return settings


def tell_preset(arguments: argparse.Namespace) -> None:
    """Tell of the settings of --preset."""
    if hasattr(arguments, "preset") and not arguments.quiet:
        found = presets.read(arguments.preset)
        settings = ", ".join(f"{name} {json.dumps(value)}" for name, value in found.items())
        print(f"preset {arguments.preset}: {settings}", file=sys.stderr, flush=True)


def _refinement(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that --refine stands for."""
    if not hasattr(arguments, "refine"):
        return {}
    found = {"method": METHODS[0], "init": ARBITRARY, "iterations": arguments.refine, "scales": 1}
    twice = next((name for name in (*found, "preset") if hasattr(arguments, name)), None)
    if twice:
        raise UserError(f"--refine says where to start and how many steps to take: leave out --{twice}.")
    return found


def _check_one_pass(given: Mapping[str, Any]) -> None:
    """Raise a UserError for an option of the optimisation where there is none."""
    strange = next((name for name in given if name not in OF_ONE_PASS), None)
    if strange:
        raise UserError(
            f"--{NAMES.get(strange, strange).replace('_', '-')} belongs to the optimisation, which --method arbitrary "
            "does without: leave it out."
        )


def _check_start(init: str, given: Mapping[str, Any]) -> None:
    """Raise a UserError for an option of what is painted in one pass where the start is another."""
    if init not in ONE_PASS and ("fast_model" in given or "fast_style" in given):
        raise UserError("--fast-model and --fast-style say how --init fast paints: give that too, or leave them out.")
    if init == ARBITRARY and "fast_style" in given:
        raise UserError("--fast-style names a style that --init fast has: --init arbitrary takes that of STYLE.")
