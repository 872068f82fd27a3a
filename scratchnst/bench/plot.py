"""A picture of time against pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scratchnst.bench.measure import ContenderResult
from scratchnst.bench.names import OURS, PEERS
from scratchnst.images.plots import save_figure


def draw(results: Sequence[ContenderResult], path: Path) -> None:
    """Write seconds of an evaluation against pixels, both logarithmic, ours and PyTorch's, to a picture.

    Dotted lines go up in proportion to the pixels, from the smallest size measured.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for name, style in zip((OURS, *PEERS), ("C0o-", "C1s--", "C3D--")):
        points = sorted((item.size, item.median) for item in results if item.contender == name and item.median)
        if points:
            pixels, seconds = [size**2 for size, _ in points], [median for _, median in points]
            axes.loglog(pixels, seconds, style, label=name)
            axes.loglog(pixels, [seconds[0] * count / pixels[0] for count in pixels], style[:2] + ":", lw=1)
    sizes = sorted({item.size for item in results})
    axes.set_xticks([size**2 for size in sizes], [f"{size}²" for size in sizes])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("pixels")
    axes.set_ylabel("seconds for loss and gradient")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    save_figure(path, figure, 120)
