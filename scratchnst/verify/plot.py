"""Plots of a gradient check: V-curves, and the gradient of an image beside its error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scratchnst.images.plots import save_figure
from scratchnst.verify.report import InputReport, Report

CURVES_A_ROW = 4
PANEL = 3.2  # inches
SMALLEST_ERROR = 1e-17  # relative: less than a unit in the last place of float64


def draw(reports: Sequence[Report], path: Path) -> None:
    """Write a V-curve for each input of `reports` and, where an input is an image, its gradient and the error of it."""
    from matplotlib.figure import Figure

    inputs = [(report.name, item) for report in reports for item in report.inputs if item.curve.steps]
    pictured = [(name, item) for name, item in inputs if _is_picture(item)]
    rows = -(-len(inputs) // CURVES_A_ROW) + len(pictured)
    figure = Figure(figsize=(PANEL * CURVES_A_ROW, PANEL * max(rows, 1)), layout="constrained")
    grid = figure.add_gridspec(max(rows, 1), CURVES_A_ROW)
    for number, (name, item) in enumerate(inputs):
        _draw_curve(figure.add_subplot(grid[divmod(number, CURVES_A_ROW)]), f"{name}: {item.name}", item)
    for row, (name, item) in enumerate(pictured, start=rows - len(pictured)):
        _draw_gradient(figure, grid, row, name, item)
    save_figure(path, figure, 100)


def _is_picture(item: InputReport) -> bool:
    """Whether the input is an image in colours, with enough of the numerical gradient to show."""
    return len(item.shape) == 3 and item.shape[2] == 3 and item.expected is not None


def _draw_curve(axes: Any, title: str, item: InputReport) -> None:
    """Error against step, with its two parts, truncation and round-off."""
    curve = item.curve
    for values, style, label in (
        (curve.error, "k.-", "error of the gradient"),
        (curve.truncation, "C0--", "truncation, about h²"),
        (curve.roundoff, "C3--", "round-off, about 1/h"),
    ):
        shown = np.where(np.array(values, float) > 0, values, np.nan)  # no error at all has no logarithm
        axes.loglog(curve.steps, shown, style, lw=1, label=label)
    if curve.best is not None:
        axes.axvline(curve.best, color="0.7", lw=1, zorder=0)
    axes.set_title(f"{title} ({item.verdict})", fontsize=9)
    axes.set_xlabel("step h", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.set_ylim(bottom=SMALLEST_ERROR)
    axes.legend(fontsize=6)


def _draw_gradient(figure: Any, grid: Any, row: int, name: str, item: InputReport) -> None:
    """The gradient, its length in each pixel, and the error of the elements that were compared."""
    got, expected = np.asarray(item.got, float), np.asarray(item.expected, float)
    largest = np.abs(got).max() or 1.0
    left, middle, right = (figure.add_subplot(grid[row, column]) for column in range(3))
    left.imshow(0.5 + 0.5 * got / largest)
    left.set_title(f"{name}: gradient, grey is 0", fontsize=9)
    size = middle.imshow(np.linalg.norm(got, axis=2), cmap="viridis")
    middle.set_title("its length in each pixel", fontsize=9)
    figure.colorbar(size, ax=middle, shrink=0.7)
    with np.errstate(divide="ignore"):
        error = np.log10(np.nanmax(np.abs(got - expected), axis=2, initial=0, where=~np.isnan(expected)) / largest)
    compared = ~np.isnan(expected).all(axis=2)
    shown = np.where(compared, np.maximum(error, np.log10(SMALLEST_ERROR)), np.nan)
    picture = right.imshow(shown, cmap="magma", vmin=np.log10(SMALLEST_ERROR), vmax=0)
    right.set_title("log10 of the relative error, where compared", fontsize=9)
    figure.colorbar(picture, ax=right, shrink=0.7)
    for axes in (left, middle, right):
        axes.set(xticks=[], yticks=[])
