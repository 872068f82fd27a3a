"""Pictures, a network and rows of images for the lessons, and how large they are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine import cpu
from scratchnst.images import samples
from scratchnst.models.network import Network
from scratchnst.weights.load import load_network

Value = TypeVar("Value")

SIZE_VARIABLE = "SCRATCHNST_LESSONS"  # "small" runs every lesson in seconds
DRAWN = 256  # pixels, the side of the sample pictures before they are resized


def full_size(full: Value, small: Value) -> Value:
    """Return `full`, or `small` where the environment variable SCRATCHNST_LESSONS is "small"."""
    return small if os.environ.get(SIZE_VARIABLE) == "small" else full


def pictures(side: int) -> tuple[Array, Array]:
    """Return a content and a style picture, (side, side, 3) float64, RGB 0-255: `scratchnst.images.samples`."""
    return samples.draw_pair(side, DRAWN)


def network() -> Network:
    """Return VGG19 where its file is found, else the distilled network; see `load_network`."""
    return load_network().on(cpu)


def show_images(pictures: Mapping[str, Array], columns: int = 4) -> None:
    """Draw images side by side, title -> (H, W, 3) with RGB 0-255, or (H, W), which grey makes visible."""
    from matplotlib import pyplot  # the other functions do not need it

    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    _, grid = pyplot.subplots(rows, columns, figsize=(2.6 * columns, 2.95 * rows), squeeze=False, layout="constrained")
    for axes in grid.flat:
        axes.axis("off")
    for axes, (title, picture) in zip(grid.flat, pictures.items()):
        picture = np.asarray(picture, float)
        grey = picture.ndim == 2
        axes.imshow(picture if grey else np.clip(picture / 255, 0, 1), cmap="gray" if grey else None)
        axes.set_title(title, fontsize=10)
