"""What the actions on weights share: a directory of pictures to read, a file to write."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.files import check_outputs, check_suffix
from scratchnst.weights.load import source_file


def check_weights(outputs: Sequence[Path], sources: Iterable[str | None], files: Sequence[Path] = ()) -> None:
    """Raise a UserError if weights cannot be written to `outputs`, or one is another, a network's file or an input."""
    for output in outputs:
        check_suffix(output, [".h5", ".hdf5"])
    check_outputs(outputs, [*files, *(source_file(source) for source in sources if source)])


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
    given = images.size(path)
    shape = images.fitted_shape(given, min(longest_side, max(given)))
    return images.resize(images.load(path, shape), *shape)


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
