"""``scratchnst weights normalize IN OUT.h5 --images DIR``: the paper's scaling of a network's weights."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.files import check_writable
from scratchnst.weights import native
from scratchnst.weights.load import load_network
from scratchnst.weights.normalize import mean_activations, normalize

LONGEST_SIDE = 512  # larger pictures are shrunk to it: activations are averaged over positions anyway


def add(commands) -> None:
    """Add this command's parsers to `commands`."""
    parser = commands.add_parser("weights", help="work on weights files")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    action = actions.add_parser(
        "normalize",
        help="scale every filter to mean activation 1 over some images",
        description="Scale every filter of a network so that its mean activation over images and positions is 1, and "
        "undo it in the next layer: the paper's normalisation. The function of the network is unchanged.",
    )
    action.add_argument("source", metavar="IN", help="a weights file, or the name of a network")
    action.add_argument("output", type=Path, metavar="OUT.h5", help="the normalised network")
    action.add_argument("--images", type=Path, required=True, metavar="DIR", help="a directory of pictures")
    action.set_defaults(run=run_normalize)


def run_normalize(arguments: argparse.Namespace) -> int:
    """Do what the arguments say and return the exit status."""
    check_writable(arguments.output, [".h5", ".hdf5"])
    if os.path.realpath(arguments.output) == os.path.realpath(arguments.source):
        raise UserError(f"{arguments.output} is the source itself: name another file for the normalised network.")
    network = load_network(arguments.source)
    paths = _pictures(arguments.images)
    photos = [_photo(path) for path in tqdm(paths, unit=" pictures", disable=not sys.stderr.isatty())]
    network = normalize(network, photos)
    network = replace(network, provenance={**network.provenance, "normalized on": [path.name for path in paths]})
    native.write(network, arguments.output)
    means = np.concatenate(list(mean_activations(network, photos).values()))
    print(
        f"{arguments.output}: {network.name}, mean activation 1 over {len(paths)} pictures in "
        f"{np.sum(np.abs(means - 1) < 1e-3)} of {means.size} filters; the others are hardly ever active"
    )
    return 0


def _photo(path):
    """One picture, shrunk as soon as it is read, so that many large ones fit into memory."""
    photo = images.load(path)
    return images.fit(photo, LONGEST_SIDE) if max(photo.shape) > LONGEST_SIDE else photo


def _pictures(directory):
    """The pictures in `directory`, by their suffixes, sorted by name."""
    try:
        names = sorted(os.listdir(directory))
    except OSError as error:
        raise UserError(
            f"{directory} is not a readable directory ({error.strerror}): name one with pictures."
        ) from None
    paths = [directory / name for name in names if os.path.splitext(name)[1].lower() in images.PICTURE_SUFFIXES]
    if not paths:
        raise UserError(f"{directory} holds no pictures ({', '.join(images.PICTURE_SUFFIXES)}): name another.")
    return paths
