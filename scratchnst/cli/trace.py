"""``scratchnst trace CONTENT STYLE --pixel ROW,COL``: where the gradient of a pixel comes from."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from scratchnst import images
from scratchnst.attribution import plot
from scratchnst.attribution.attribution import TV, Part, Trace, check_pixel, trace
from scratchnst.cli import computation
from scratchnst.cli.arguments import (
    add_equation_7,
    add_network,
    check_figure,
    non_negative_integer,
    non_negative_number,
    parse_layers,
    pixel,
    positive_integer,
    size,
)
from scratchnst.cli.job import FAILED
from scratchnst.engine import Engine
from scratchnst.errors import UserError
from scratchnst.models.receptive_field import Window, field, unit
from scratchnst.transfer import job, memory
from scratchnst.transfer.objective import Objective
from scratchnst.transfer.record import resolved
from scratchnst.transfer.stylize import start_image
from scratchnst.weights.load import choose_source, load_network, source_file

ROW = "  {:<24}{:>11}{:>11}{:>11}{:>11}{:>9}   {}"
TOLERANCE = 1e-8  # relative: round-off in float64 is a million times smaller
STEPS = ("upper left", "above", "upper right", "left", "itself", "right", "lower left", "below", "lower right")


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
        help="the image at which the gradient is taken, for example a picture that transfer has made "
        "(noise, where transfer starts)",
    )
    parser.add_argument("--size", type=size, default=512, metavar="N", help="longer side in pixels (512)")
    parser.add_argument("--seed", type=non_negative_integer, default=0, metavar="N", help="of the white noise (0)")
    parser.add_argument("--tv-weight", type=non_negative_number, metavar="T", help="weight of the total variation")
    add_network(parser)
    computation.add_device(parser)
    group = parser.add_argument_group("output")
    group.add_argument(
        "--top", type=positive_integer, default=5, metavar="N", help="channels and positions listed of each term (5)"
    )
    group.add_argument("--json", action="store_true", help="print JSON instead of tables")
    group.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the terms, and where they come from")
    parser.set_defaults(run=run)


@computation.on_device
def run(arguments: argparse.Namespace, engine: Engine) -> int:
    """Trace the pixel, print the tables and draw the figure; the status is 1 if the parts do not add up."""
    source, reason = choose_source(arguments.network)
    if arguments.plot:
        check_figure(arguments.plot)
        inputs = [arguments.content, *arguments.styles, arguments.image, source_file(source)]
        if os.path.realpath(arguments.plot) in {os.path.realpath(path) for path in inputs if path}:
            raise UserError(f"{arguments.plot} is an input as well: name another file for the figure.")
    objective = _objective(source, engine, arguments)
    image = start_image(objective, job.load_init(arguments.image), arguments.seed)
    check_pixel(arguments.pixel, objective.shape)
    _check_memory(objective)
    found = trace(objective, image, arguments.pixel)
    if arguments.plot:
        pictures = {"content": objective.content, f"the image: {_name_of_image(arguments)}": image}
        images.save(arguments.plot, plot.picture(found, pictures))
    if arguments.json:
        print(json.dumps(_as_dict(found, objective, image, arguments), indent=2, allow_nan=False))
    else:
        print(f"network: {objective.network.name}, {reason}")
        print("\n".join(_table(found, objective, image, arguments)))
    if found.error > TOLERANCE:
        print(
            f"scratchnst: the parts do not add up to the gradient of the walk back, relative difference "
            f"{found.error:.0e}: a forward or a backward is wrong; scratchnst gradcheck tells which.",
            file=sys.stderr,
        )
        return FAILED
    return 0


def _objective(source: str, engine: Engine, arguments: argparse.Namespace) -> Objective:
    """Equation 7 for the pictures at --size, in float64."""
    content_layers, style_layers = parse_layers(arguments.content_layers), parse_layers(arguments.style_layers)
    network = load_network(source, arguments.preprocessing).on(engine)
    content_names = content_layers or network.defaults.content_layers
    style_names = style_layers or network.defaults.style_layers
    content = job.load_picture(arguments.content, network, content_names)
    styles = [job.load_picture(path, network, style_names) for path in arguments.styles]
    height, width = images.fitted_shape(content, arguments.size)
    layers = [*content_names, *style_names]
    network.check_layers(layers)
    network.check_size(height, width, layers)
    check_pixel(arguments.pixel, (height, width))
    return Objective(
        network,
        images.resize(content, height, width),
        styles,
        content_layers=content_layers,
        style_layers=style_layers,
        content_weight=arguments.content_weight,
        style_weight=arguments.style_weight,
        tv_weight=arguments.tv_weight,
        pooling=arguments.pooling,
        normalized=arguments.normalize,
        dtype="float64",
    )


def _check_memory(objective: Objective) -> None:
    """The walk back needs the most memory."""
    engine = objective.network.engine
    needed, limit = memory.resident(engine) + memory.evaluation(objective), memory.limit(engine)
    if needed > limit:
        height, width, _ = objective.shape
        raise UserError(
            f"tracing {width}x{height} pixels needs {memory.in_words(needed)} of memory, and {memory.in_words(limit)} "
            "are there: choose a smaller --size."
        )


def _table(found: Trace, objective: Objective, image: np.ndarray, arguments: argparse.Namespace) -> Iterator[str]:
    """The lines of text: the terms, then each term's channels and positions."""
    (row, column), (height, width, _) = found.pixel, objective.shape
    colours = ", ".join(f"{value:.0f}" for value in image[found.pixel])
    yield f"pixel {row},{column} of {width}x{height}, RGB {colours}, of the image: {_name_of_image(arguments)}\n"
    yield ROW.format("dL/dpixel", "R", "G", "B", "length", "share", "").rstrip()
    for part in found.parts:
        yield _row(found, part.name, part.gradient)
    yield _row(found, "sum", found.total)
    yield _row(found, "walk back", found.gradient)
    yield f"  relative difference {found.error:.0e}"
    for part in found.parts:
        yield f"\n{_title(part, objective)}"
        if not part.contributions.any():
            yield "  it does not push at all"
        if part.name != TV:
            for channel in part.top_channels(arguments.top):
                if part.channels[channel].any():
                    yield _row(found, f"channel {channel}", part.channels[channel])
        for place, contribution in _top_positions(part, arguments.top):
            where = _neighbour(place, found.pixel) if part.name == TV else f"position {place[0]},{place[1]}"
            yield _row(found, where, contribution, "" if part.name == TV else _seen(part, place, objective))


def _row(found: Trace, name: str, contribution: np.ndarray, remark: str = "") -> str:
    """One row of a table: a contribution's three colours, its length and its share."""
    share = found.share(contribution)
    numbers = [f"{value:.3g}" for value in (*contribution, math.hypot(*contribution))]
    return ROW.format(name, *numbers, "-" if np.isnan(share) else f"{100 * share:.1f} %", remark).rstrip()


def _title(part: Part, objective: Objective) -> str:
    if part.name == TV:
        return "tv: the pixel's squared differences from its neighbours"
    height, width, channels = objective.network.shapes(*objective.shape[:2])[part.layer]
    rows, columns = part.window.shape
    return (
        f"{part.name}: {rows}x{columns} of {height}x{width} positions see the pixel ({_in_words(part.window)}), "
        f"in {channels} channels"
    )


def _top_positions(part: Part, count: int) -> list[tuple[tuple[int, int], np.ndarray]]:
    """The positions that push hardest, with what they contribute; those without any are left out."""
    places = [
        (place, part.positions[place[0] - part.window.top, place[1] - part.window.left])
        for place in part.top_positions(count)
    ]
    return [(place, contribution) for place, contribution in places if contribution.any()]


def _neighbour(place: tuple[int, int], around: tuple[int, int]) -> str:
    return STEPS[3 * (place[0] - around[0] + 1) + place[1] - around[1] + 1]


def _seen(part: Part, place: tuple[int, int], objective: Objective) -> str:
    return f"sees {_in_words(field(objective.network, objective.shape[:2], part.layer, unit(*place)))}"


def _in_words(window: Window) -> str:
    return f"rows {window.top}-{window.bottom - 1}, columns {window.left}-{window.right - 1}"


def _name_of_image(arguments: argparse.Namespace) -> str:
    return f"noise, seed {arguments.seed}" if arguments.image == "noise" else os.path.basename(arguments.image)


def _as_dict(found: Trace, objective: Objective, image: np.ndarray, arguments: argparse.Namespace) -> dict:
    """The same for programs."""
    return {
        "pixel": list(found.pixel),
        "rgb": image[found.pixel].tolist(),
        "image": {"name": arguments.image, "seed": arguments.seed, "shape": list(objective.shape)},
        **resolved(objective),
        "gradient": found.gradient.tolist(),
        "sum of the parts": found.total.tolist(),
        "relative difference": found.error,
        "parts": [_part_as_dict(found, part, objective, arguments.top) for part in found.parts],
    }


def _part_as_dict(found: Trace, part: Part, objective: Objective, count: int) -> dict:
    shape = objective.shape[:2]
    return {
        "term": part.name,
        "layer": part.layer,
        **_contribution(found, part.gradient),
        "window": vars(part.window),
        "channels": [
            {"channel": channel, **_contribution(found, part.channels[channel])} for channel in part.top_channels(count)
        ],
        "positions": [
            {
                "position": list(place),
                **_contribution(found, contribution),
                "sees": vars(field(objective.network, shape, part.layer, unit(*place))),
            }
            for place, contribution in _top_positions(part, count)
        ],
    }


def _contribution(found: Trace, contribution: np.ndarray) -> dict[str, Any]:
    share = float(found.share(contribution))
    return {"gradient": contribution.tolist(), "share": None if np.isnan(share) else share}
