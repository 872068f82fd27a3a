"""``scratchnst weights judge NETWORK --by VGG.h5 --pair CONTENT STYLE``: pictures measured by another network."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from scratchnst import images
from scratchnst.cli import computation
from scratchnst.cli.arguments import add_style_fit, check_side_picture, file, positive_integer, size
from scratchnst.cli.reports import add_json, tell
from scratchnst.engine import Engine
from scratchnst.messages import one_line
from scratchnst.models.network import Network
from scratchnst.training.evaluation import Verdict, judge
from scratchnst.transfer.objective import KEEP, STYLE_FITS
from scratchnst.transfer.preparation import check_scaled, check_style, picture_size
from scratchnst.transfer.settings import Settings
from scratchnst.weights.load import load_network, source_file


def add(actions) -> None:
    """Add this action's parser to those of ``scratchnst weights``."""
    parser = actions.add_parser(
        "judge",
        help="measure the pictures of one network by another",
        description="Let a network and a judge paint the same pairs, as transfer does by default, and measure both "
        "pictures by the judge's features: the distance of Gram matrices from the style and that of features from the "
        "content, both over those of the judge's own picture.",
    )
    parser.add_argument("network", metavar="NETWORK", help="the network to be judged, a name or a file")
    parser.add_argument("--by", required=True, metavar="FILE", help="the judge, a weights file of VGG19")
    parser.add_argument(
        "--pair",
        nargs=2,
        type=file,
        action="append",
        required=True,
        metavar=("CONTENT", "STYLE"),
        help="repeatable",
    )
    parser.add_argument("--size", type=size, default=256, metavar="N", help="longer side in pixels (256)")
    parser.add_argument(
        "--iterations",
        type=positive_integer,
        default=Settings.iterations,
        metavar="N",
        help=f"of each run ({Settings.iterations})",
    )
    add_style_fit(parser)
    computation.add_device(parser)
    add_json(parser, "one JSON object a pair")
    parser.add_argument(
        "--sheet",
        type=file,
        metavar="OUT.png",
        help="a contact sheet: content, style, the judge's picture, the network's",
    )
    parser.set_defaults(run=run)


@computation.on_device
def run(arguments: argparse.Namespace, engine: Engine) -> int:
    """Print a row of the table for each pair, then the mean, and write the sheet."""
    if arguments.sheet:
        networks = [source_file(name) for name in (arguments.network, arguments.by)]
        check_side_picture(arguments.sheet, [*networks, *(path for pair in arguments.pair for path in pair)])
    network, by = (load_network(name).on(engine) for name in (arguments.network, arguments.by))
    style_fit = arguments.style_fit or KEEP
    pairs = [_load_pair(pair, arguments.size, style_fit, (network, by)) for pair in arguments.pair]
    if not arguments.json:
        print(
            f"| content | style | style distance ({', '.join(by.defaults.style_layers)}) | content distance | seconds |"
        )
        print("|---|---|---|---|---|")
    verdicts, rows = [], []
    for (content_path, style_path), (content, style) in zip(arguments.pair, pairs):
        with tqdm(total=2 * arguments.iterations, unit=" it", leave=False, disable=not sys.stderr.isatty()) as bar:
            verdict = judge(
                network, by, content, style, arguments.iterations, lambda _, bar=bar: bar.update(), style_fit
            )
        verdicts.append(verdict)
        as_high = images.resize(style, len(content), max(1, round(style.shape[1] * len(content) / len(style))))
        rows.append([content, as_high, verdict.own_result.image, verdict.result.image])
        if arguments.json:
            tell({"content": str(content_path), "style": str(style_path), **_facts(verdict)})
        else:
            print(_row(one_line(content_path.stem), one_line(style_path.stem), verdict), flush=True)
    style, content = (np.mean([getattr(verdict, name) for verdict in verdicts]) for name in ("style", "content_ratio"))
    if not arguments.json:
        print(f"| mean | | {style:.2f} | {content:.2f} | |")
    if arguments.sheet:
        images.save(arguments.sheet, contact_sheet(rows))
    return 0


def _load_pair(
    paths: list[Path], size: int, style_fit: str, networks: Iterable[Network]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the content at `size` and the style, each large enough for all that the networks look at."""
    content_path, style_path = paths
    for network in networks:
        content_layers, style_layers = network.defaults.content_layers, network.defaults.style_layers
        given = picture_size(content_path, network, content_layers)
        shape = images.fitted_shape(given, size)
        check_scaled(content_path, given, shape, size, network, [*content_layers, *style_layers])
        given = picture_size(style_path, network, style_layers)
        style_shape = STYLE_FITS[style_fit](given, *shape)
        check_style(style_path, style_shape, size, network, style_layers)
    return images.resize(images.load(content_path, shape), *shape), images.load(style_path, style_shape)


def _row(content: str, style: str, verdict: Verdict) -> str:
    layers = " ".join(f"{ratio:.2f}" for ratio in verdict.style_ratios.values())
    seconds = f"{verdict.result.seconds:.0f} ({verdict.own_result.seconds:.0f})"
    return (
        f"| {content} | {style} | {verdict.style:.2f} ({layers}) "
        f"| {verdict.content_ratio:.2f} ({verdict.content:.2f} {verdict.own_content:.2f}) | {seconds} |"
    )


def _facts(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict for JSON: the network's distances over the judge's, these of the content, and seconds."""
    return {
        "style distance": verdict.style,
        "style distances": verdict.style_ratios,
        "content distance": verdict.content_ratio,
        "distance from the content": {"network": verdict.content, "judge": verdict.own_content},
        "seconds": {"network": verdict.result.seconds, "judge": verdict.own_result.seconds},
    }


def contact_sheet(rows: list[list[np.ndarray]]) -> np.ndarray:
    """Return pictures (H, W, 3) side by side, rows below one another, on white, each row as high as its pictures."""
    width = max(sum(picture.shape[1] for picture in row) for row in rows)
    strips = []
    for row in rows:
        strip = np.concatenate(row, axis=1)
        strips.append(np.pad(strip, ((0, 0), (0, width - strip.shape[1]), (0, 0)), constant_values=255.0))
    return np.concatenate(strips)
