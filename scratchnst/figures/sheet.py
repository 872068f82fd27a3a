"""A figure as one picture: its panels with their labels, its title and its caption."""

from __future__ import annotations

import numpy as np
from PIL import Image

from scratchnst import images
from scratchnst.figures.panels import Figure, Panel
from scratchnst.images import sheet
from scratchnst.images.sheet import PAPER
from scratchnst.images.sheet import picture as as_picture

EMPTY = 32  # pixels of a side of what is no picture
INSET, FRAME = 0.3, 0.008  # of a picture's width: a style in its corner, and the white line around it


def draw(figure: Figure, size: int, side: int | None = None) -> np.ndarray:
    """Return the figure as an image (height, width, 3), RGB 0-255.

    Panels to be made are shown as they are in their files, pictures that are given with `size` pixels on the longer
    side, or all with `side` pixels.  Where one could not be made, its place is empty.
    """
    rows = [[(panel.label, _picture(panel, size, side)) for panel in row] for row in figure.rows]
    return sheet.draw(rows, figure.title, figure.caption)


def _picture(panel: Panel, size: int, side: int | None) -> Image.Image:
    """The picture of a panel, with its inset."""
    if panel.picture is None:
        return Image.new("RGB", (EMPTY, EMPTY), PAPER)
    given = images.size(panel.picture)
    wanted = side or (size if panel.settings is None else max(given))
    if panel.settings is None or wanted != max(given):
        shape = images.fitted_shape(given, wanted)
        picture = images.resize(images.load(panel.picture, shape), *shape)
    else:
        picture = images.load(panel.picture)
    shown = as_picture(picture)
    if panel.inset is not None:
        height, width = images.size(panel.inset)
        factor = INSET * min(shown.width / width, shown.height / height)
        shape = max(1, round(factor * height)), max(1, round(factor * width))
        small = images.resize(images.load(panel.inset, shape), *shape)
        frame = max(1, round(FRAME * shown.width))
        shown.paste(PAPER, (0, shown.height - small.shape[0] - frame, small.shape[1] + frame, shown.height))
        shown.paste(as_picture(small), (0, shown.height - small.shape[0]))
    return shown
