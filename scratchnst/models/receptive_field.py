"""Which pixels a unit sees, and which units see a pixel: windows carried through a network's table.

A unit is one channel of a layer at one position.  A convolution with a kernel of side 2r + 1 looks r positions in every
direction, a pool at a square of 2x2, so rows a to b - 1 of a layer

    convolution   see rows a - r to b + r - 1 of its source, and are seen by as many
    pool          see rows 2a to 2b - 1 of its source;  rows a to b - 1 of a source are seen by a//2 to (b - 1)//2

and columns likewise.  What a unit sees is called its receptive field.  Beyond the border there is nothing to see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scratchnst.arrays import Array
from scratchnst.models.layers import Parameters, Rows
from scratchnst.models.network import IMAGE, Network


@dataclass(frozen=True)
class Window:
    """Rows top to bottom - 1 and columns left to right - 1 of a layer or an image; it may be empty."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        return self.bottom - self.top, self.right - self.left

    def grown(self, rows: int, columns: int) -> Window:
        """This window and so much around it."""
        return Window(self.top - rows, self.bottom + rows, self.left - columns, self.right + columns)

    def within(self, other: Window) -> Window:
        """What this window shares with another."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        return Window(top, max(top, min(self.bottom, other.bottom)), left, max(left, min(self.right, other.right)))

    def doubled(self) -> Window:
        """The pixels of a pool's squares."""
        return Window(2 * self.top, 2 * self.bottom, 2 * self.left, 2 * self.right)

    def of(self, array: Array, origin: Window | None = None) -> Array:
        """Cut this window out of `array` (N, H, W, C), which stands on `origin` (None: the whole layer); a view."""
        top, left = (origin.top, origin.left) if origin else (0, 0)
        return array[:, self.top - top : self.bottom - top, self.left - left : self.right - left]


def unit(row: int, column: int) -> Window:
    """Return the window of one position."""
    return Window(row, row + 1, column, column + 1)


def reach(network: Network, shape: tuple[int, int], window: Window) -> dict[str, Window]:
    """Return name of each layer, and IMAGE -> the window of units that see a window of the image, (height, width)."""
    sources, sizes = network.sources(), network.shapes(*shape)
    found = {IMAGE: window}
    for layer in network.layers:
        above = found[sources[layer.name]]
        seen = _along(layer.rule.read_by, above, network.parameters.get(layer.name, ()))
        height, width, _ = sizes[layer.name]
        found[layer.name] = seen.within(Window(0, height, 0, width))
    return found


def field(network: Network, shape: tuple[int, int], layer: str, window: Window) -> Window:
    """Return the receptive field, a window of the image (height, width), of a window of a layer's units."""
    sources, sizes = network.sources(), network.shapes(*shape)
    rows = {row.name: row for row in network.layers}
    while layer != IMAGE:
        row, layer = rows[layer], sources[layer]
        height, width, _ = sizes[layer]
        seen = _along(row.rule.reads, window, network.parameters.get(row.name, ()))
        window = seen.within(Window(0, height, 0, width))
    return window


def _along(rule: Callable[..., Rows], window: Window, parameters: Parameters) -> Window:
    """The window that a kind of layer names for the rows and the columns of another."""
    return Window(*rule((window.top, window.bottom), parameters, 0), *rule((window.left, window.right), parameters, 1))
