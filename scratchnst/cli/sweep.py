"""``scratchnst sweep CONTENT STYLE -o SHEET.png --vary NAME=V1,V2``: a picture for each value of some settings."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from scratchnst import images
from scratchnst.cli import computation, many, painting, transfer
from scratchnst.cli.arguments import (
    Parser,
    add_finish,
    add_network,
    add_optimisation,
    check_side_picture,
    file,
    non_negative_number,
)
from scratchnst.cli.figure import check_panels
from scratchnst.cli.job import INTERRUPTED
from scratchnst.errors import UserError
from scratchnst.figures import progress, sheet, sweep
from scratchnst.figures.panels import alpha_at
from scratchnst.figures.sweep import Axis, Combination
from scratchnst.messages import one_line
from scratchnst.transfer.record import check_replaceable
from scratchnst.transfer.settings import ARBITRARY, Settings
from scratchnst.weights.load import choose_source, load_network, remembering

RATIO = "alpha/beta"  # on the paper's scale
OTHER_NAMES = {"alpha": "content_weight", "beta": "style_weight", "styles": "style"}
OF_ALL = ("threads", "memory_limit", "dry_run")  # options that are none of a picture
NO_PRESET = "none"


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser(
        "sweep",
        help="a picture for each value of some settings, on one labelled sheet",
        description="Paint the content in the style once for each combination of values of some settings, and put the "
        "pictures on one labelled sheet. They lie with their records in the directory SHEET-panels; what is finished "
        "there, with the same settings and files, is kept, so that the same command goes on after an interruption.",
        argument_default=argparse.SUPPRESS,  # the defaults are those of Settings, or of the file
    )
    parser.add_argument("content", type=file, metavar="CONTENT", help="the picture whose objects stay")
    parser.add_argument("styles", type=file, nargs="+", metavar="STYLE", help="the picture that gives the strokes")
    parser.add_argument(
        "-o", "--output", type=file, required=True, metavar="SHEET.png", help="the sheet; beside it lies SHEET.json"
    )
    parser.add_argument(
        "--vary",
        type=axis,
        action="append",
        required=True,
        metavar="NAME=V,V,...",
        help="an option of scratchnst transfer without its dashes, and its values: style_weight=0.1,1,10; seed=0,1,2; "
        "preset=none,paper; style=a.jpg,b.jpg or a directory, content too; layers joined by +: "
        "style_layers=conv1_1,conv1_1+conv2_1; alpha/beta=1e-4,1e-3 on the scale of scratchnst figure 4, where 1e-3 is "
        "the default. Two --vary are rows and columns, more are tiles",
    )
    transfer.add_options(parser)
    add_network(parser)
    add_optimisation(parser)
    group = parser.add_argument_group("output")
    add_finish(group)
    group.add_argument("--quiet", action="store_true", default=False, help="print nothing but errors")
    group.add_argument("--json", action="store_true", default=False, help="print one JSON object a picture")
    computation.add(parser)
    many.add_options(parser)
    parser.set_defaults(run=run)


class _Values(Parser):
    """Parses the value of an option of scratchnst transfer."""

    def error(self, message: str) -> NoReturn:
        raise argparse.ArgumentTypeError(message)


def axis(text: str) -> Axis:
    """Parse NAME=V1,V2,..."""
    name, equals, rest = text.partition("=")
    name = name.strip().lstrip("-").replace("-", "_")
    name = OTHER_NAMES.get(name, name)
    words = [word.strip() for word in rest.split(",") if word.strip()]
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"must be like style_weight=0.1,1,10, not {text!r}")
    values: dict[str, Mapping[str, Any]] = {}
    for word in words:
        for label, arguments in _values(name, word).items():
            if label in values:
                raise argparse.ArgumentTypeError(f"{name} has the value {label} twice: name each once")
            values[label] = arguments
    if not values:
        raise argparse.ArgumentTypeError(f"{text!r} names no values, so that there is nothing to make: add some")
    return Axis(name, values)


def _values(name: str, word: str) -> dict[str, dict[str, Any]]:
    """Return what a word stands for: a value, or several if it is a directory."""
    if name in ("content", "style"):
        paths = [painting.picture_or_folder(part) for part in (word.split("+") if name == "style" else [word])]
        try:
            blends = painting.blends(paths)
        except UserError as error:
            raise argparse.ArgumentTypeError(str(error).rstrip(".")) from None
        if name == "content":
            return {str(photo): {"content": photo} for (photo,) in blends}
        return {"+".join(map(str, blend)): {"styles": list(blend)} for blend in blends}
    if name == RATIO:
        return {word: {RATIO: non_negative_number(word)}}
    return {word: _option(name, word)}


def _option(name: str, word: str) -> dict[str, Any]:
    """Return what an option with a value does to the arguments."""
    parser = _Values(prog="--vary", argument_default=argparse.SUPPRESS, add_help=False)
    transfer.add_options(parser)
    add_network(parser)
    add_optimisation(parser)
    computation.add(parser)
    actions = {
        option.lstrip("-").replace("-", "_"): action
        for action in parser._actions
        if action.dest not in OF_ALL
        for option in (*action.option_strings, action.dest)
    }
    if name not in actions:
        names = ", ".join(sorted({"content", "style", RATIO, *actions}))
        raise argparse.ArgumentTypeError(f"there is no setting {name!r}; those that can be varied: {names}")
    action = actions[name]
    if name == "preset" and word == NO_PRESET:
        return {"preset": None}
    if action.nargs == 0:
        return {action.dest: _is_true(name, word) if name == action.dest else _is_true(name, word) == action.const}
    option = action.option_strings[0]
    words = [option, *word.split("+")] if action.nargs == "+" else [f"{option}={word}"]
    try:
        return {action.dest: getattr(parser.parse_args(words), action.dest)}
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix(f"argument {option}: ")) from None


def _is_true(name: str, word: str) -> bool:
    if word not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{name} is true or false, not {word!r}")
    return word == "true"


def run(arguments: argparse.Namespace) -> int:
    """Make the pictures that are missing, draw the sheet, and return the exit status."""
    if not hasattr(arguments, "output") or not hasattr(arguments, "vary"):
        raise UserError("a sweep needs a sheet and what is varied: give -o SHEET.png and --vary NAME=V1,V2.")
    output = arguments.output
    combinations = sweep.combinations(arguments.vary)
    folder = output.with_name(f"{output.stem}-panels")
    with remembering():
        settings = [_settings(arguments, each, folder) for each in combinations]
    figure = sweep.figure(arguments.vary, combinations, settings)
    inputs = [path for path in dict.fromkeys(path for each in settings for path in each.pictures)]
    record = output.with_suffix(".json")
    check_side_picture(output, inputs, [record])
    check_replaceable(record, output)
    if not arguments.json:
        _tell_presets(arguments, combinations)
    with painting.made(folder):
        check_panels(figure, [output, record], inputs)
        told = {each.output: {"varied": dict(one.values)} for each, one in zip(settings, combinations)}
        pictures = many.Pictures(settings, arguments, told)
        status = pictures.make()
    if arguments.dry_run or status == INTERRUPTED:
        return status
    shown = sweep.without(figure, pictures.failed)
    image = sheet.draw(shown, settings[0].size, sweep.side(shown))
    images.save(output, image)
    varied = {each.name: list(each.values) for each in arguments.vary}
    progress.write_record(output, {"vary": varied}, shown, sys.argv)
    height, width, _ = image.shape
    if arguments.json:
        print(json.dumps({"sheet": str(output), "width": width, "height": height, "left_out": len(pictures.failed)}))
    if not arguments.quiet:
        number = len(settings) - len(pictures.failed)
        print(one_line(f"{output}: {number} pictures, {width}x{height}"), file=sys.stderr)
    return status


def _tell_presets(arguments: argparse.Namespace, combinations: Sequence[Combination]) -> None:
    given = getattr(arguments, "preset", None)
    for name in dict.fromkeys(each.arguments.get("preset", given) for each in combinations):
        if name is not None:
            transfer.tell_preset(argparse.Namespace(preset=name, quiet=arguments.quiet))


def _settings(arguments: argparse.Namespace, combination: Combination, folder: Path) -> Settings:
    """Return the settings of a combination."""
    varied = dict(combination.arguments)
    ratio = varied.pop(RATIO, None)
    output = folder / f"{combination.name}.png"
    given = vars(arguments)
    if {**given, **varied}.get("method") == ARBITRARY:  # beside which the others are optimised
        given = {name: value for name, value in given.items() if name in transfer.OF_ONE_PASS}
    merged = {name: value for name, value in {**given, **varied}.items() if value is not None}
    settings = transfer.settings_of(argparse.Namespace(**{**merged, "output": output}))
    if ratio is None:
        return settings
    if settings.content_weight is not None:
        raise UserError(f"{RATIO} chooses the content weight: leave out --content-weight.")
    network = load_network(choose_source(settings.network)[0], settings.preprocessing)
    layers = settings.content_layers
    weights = dict.fromkeys(layers, 1.0) if isinstance(layers, tuple) else layers
    beta = 1.0 if settings.style_weight is None else settings.style_weight / network.defaults.style_weight
    return replace(settings, content_weight=alpha_at(ratio * beta, network, settings, weights))
