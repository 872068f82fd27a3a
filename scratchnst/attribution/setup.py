"""What a trace needs: equation 7 for pictures in files, and enough memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scratchnst import images
from scratchnst.attribution.attribution import check_pixel
from scratchnst.errors import UserError
from scratchnst.models.network import Network
from scratchnst.transfer import memory
from scratchnst.transfer.layer_weights import named
from scratchnst.transfer.objective import STYLE_FITS, Objective
from scratchnst.transfer.preparation import check_scaled, check_style, picture_size


def load_objective(
    network: Network, content: Path, styles: Sequence[Path], longer_side: int, pixel: tuple[int, int], **settings: Any
) -> Objective:
    """Return equation 7 for pictures in files, in float64.

    Parameters
    ----------
    network : a Network
    content, styles : the files
    longer_side : pixels, of the content; 0 is its own
    pixel : (row, column) of the image that will be traced
    settings : as for `Objective`

    Raises
    ------
    UserError
        If a picture, a layer or the size cannot be used, or the pixel lies outside.
    """
    content_layers = list(settings["content_layers"] or network.defaults.content_layers)
    style_layers = list(named(network, settings["style_layers"] or network.defaults.style_layers))
    given = picture_size(content, network, content_layers)
    height, width = images.fitted_shape(given, longer_side)
    network.check_layers([*content_layers, *style_layers])
    check_scaled(content, given, (height, width), max(height, width), network, [*content_layers, *style_layers])
    check_pixel(pixel, (height, width))
    shapes = {}
    for path in styles:
        given = picture_size(path, network, style_layers)
        shapes[path] = STYLE_FITS[settings["style_fit"]](given, height, width)
        check_style(path, shapes[path], max(height, width), network, style_layers)
    picture = images.resize(images.load(content, (height, width)), height, width)
    style_pictures = [images.load(path, shapes[path]) for path in styles]
    return Objective(network, picture, style_pictures, dtype="float64", **settings)


def check_memory(objective: Objective) -> None:
    """Raise a UserError if there is not the memory of the walk back, which needs the most."""
    engine = objective.network.engine
    needed, limit = memory.resident(engine) + memory.evaluation(objective), memory.available(engine)
    if needed > limit:
        height, width, _ = objective.shape
        raise UserError(
            f"tracing {width}x{height} pixels needs {memory.in_words(needed)} of memory, and {memory.in_words(limit)} "
            "are there: choose a smaller --size."
        )
