"""A picture of where a pixel's gradient comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scratchnst.attribution.attribution import Part, Trace

PANEL, DOTS = 3.2, 100  # inches, and dots an inch
MAPS_A_ROW = 4
COLOURS = {"R": "#d62728", "G": "#2ca02c", "B": "#1f77b4"}


def picture(trace: Trace, pictures: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return what `draw` draws as an image, (height, width, 3), RGB 0-255."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(dpi=DOTS, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    draw(trace, pictures, figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(float)


def draw(trace: Trace, pictures: Mapping[str, np.ndarray], figure: Any) -> None:
    """Draw the pixel in each of `pictures`, the terms as bars, and for each term a map of its layer.

    Parameters
    ----------
    trace : what `scratchnst.attribution.attribution.trace` returns
    pictures : title -> (H, W, 3) image, RGB 0-255
    figure : a Figure of Matplotlib's, which is made as large as it takes
    """
    rows = 1 + -(-len(trace.parts) // MAPS_A_ROW)
    figure.set_size_inches(PANEL * MAPS_A_ROW, PANEL * rows)
    grid = figure.add_gridspec(rows, MAPS_A_ROW)
    wide = MAPS_A_ROW - len(pictures)
    for column, (title, image) in enumerate(pictures.items()):
        _draw_picture(figure.add_subplot(grid[0, column]), title, image, trace.pixel)
    _draw_terms(figure.add_subplot(grid[0, MAPS_A_ROW - wide :]), trace)
    for number, part in enumerate(trace.parts):
        place = 1 + number // MAPS_A_ROW, number % MAPS_A_ROW
        _draw_map(figure, figure.add_subplot(grid[place]), trace, part)


def _draw_picture(axes: Any, title: str, image: np.ndarray, pixel: tuple[int, int]) -> None:
    """The picture, with a ring around the pixel."""
    row, column = pixel
    axes.imshow(np.clip(image / 255, 0, 1))
    for colour, width in (("black", 3), ("white", 1.2)):
        axes.plot(column, row, "o", ms=12, mfc="none", mec=colour, mew=width)
    axes.set_title(f"{title}, pixel {row},{column}", fontsize=9)
    axes.tick_params(labelsize=7)


def _draw_terms(axes: Any, trace: Trace) -> None:
    """For each term three bars, for R, G and B, and then for their sum."""
    gradients = [*(part.gradient for part in trace.parts), trace.total]
    places = np.arange(len(gradients))
    for number, (colour, shade) in enumerate(COLOURS.items()):
        axes.bar(places + 0.27 * (number - 1), [each[number] for each in gradients], 0.25, color=shade, label=colour)
    axes.axhline(0, color="0.3", lw=0.8)
    axes.axvline(len(trace.parts) - 0.5, color="0.7", lw=0.8)
    axes.set_xticks(places, [*(_label(trace, part) for part in trace.parts), "sum"], rotation=25, fontsize=7)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_title("dL/dpixel by terms, with the share of each; maps: by positions", fontsize=9)
    axes.legend(fontsize=7)


def _label(trace: Trace, part: Part) -> str:
    share = trace.share(part.gradient)
    return part.name if np.isnan(share) else f"{part.name}\n{100 * share:.0f} %"


def _draw_map(figure: Any, axes: Any, trace: Trace, part: Part) -> None:
    """The share of the whole gradient that each position of the layer makes up."""
    window, shares = part.window, 100 * trace.share(part.positions)
    axes.set_title(f"{part.name}, % of the gradient", fontsize=9)
    if not shares.size:
        axes.text(0.5, 0.5, "no position sees the pixel", ha="center", fontsize=8, transform=axes.transAxes)
        return
    largest = np.nanmax(np.abs(shares), initial=0) or 1
    extent = (window.left - 0.5, window.right - 0.5, window.bottom - 0.5, window.top - 0.5)
    shown = axes.imshow(shares, cmap="RdBu_r", vmin=-largest, vmax=largest, extent=extent)
    figure.colorbar(shown, ax=axes, shrink=0.75).ax.tick_params(labelsize=7)
    axes.set_xlabel(f"column of {part.layer}", fontsize=7)
    axes.set_ylabel(f"row of {part.layer}", fontsize=7)
    axes.locator_params(integer=True, nbins=5)
    axes.tick_params(labelsize=7)
