"""What the actions on weights share: a directory of pictures to read, a file to write."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.files import check_writable
from scratchnst.weights.load import source_file


def check_output(arguments: argparse.Namespace) -> None:
    """Raise a UserError if `arguments.output` cannot be written or is the file of `arguments.source`."""
    check_writable(arguments.output, [".h5", ".hdf5"])
    source = source_file(arguments.source)
    if source and os.path.realpath(arguments.output) == os.path.realpath(source):
        raise UserError(f"{arguments.output} is the source itself: name another file to write.")


def pictures_in(directory: Path, longest_side: int) -> tuple[list[str], list[np.ndarray]]:
    """Return names and pictures (H, W, 3), RGB 0-255, of a directory, by their suffixes, sorted by name.

    Larger ones are shrunk to `longest_side`.

    Raises
    ------
    UserError
        If it cannot be read, or holds no picture.
    """
    paths = _paths(directory)
    pictures = [_shrunk(path, longest_side) for path in tqdm(paths, unit=" pictures", disable=not sys.stderr.isatty())]
    return [path.name for path in paths], pictures


def _shrunk(path, longest_side):
    """One picture, shrunk as soon as it is read, so that many large ones fit into memory."""
    picture = images.load(path)
    return images.fit(picture, longest_side) if max(picture.shape) > longest_side else picture


def _paths(directory):
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
