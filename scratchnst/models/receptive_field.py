"""Which pixels a unit sees, and which units see a pixel: windows carried through a network's table.

A unit is one channel of a layer at one position.  A convolution with a kernel of side 2r + 1 looks r positions in every
direction, a pool at a square of 2x2, so rows a to b - 1 of a layer

    convolution   see rows a - r to b + r - 1 of its source, and are seen by as many
    pool          see rows 2a to 2b - 1 of its source;  rows a to b - 1 of a source are seen by a//2 to (b - 1)//2

and columns likewise: equations (a) and (b) of `scratchnst.models.layers`.  Where several ways lead from a layer to
another, the window holds what is seen on each of them.  What a unit sees is called its receptive field.  Beyond the
border there is nothing to see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

from scratchnst.arrays import Array
from scratchnst.models.layers import IMAGE, Parameters, Rows, Shape
from scratchnst.models.network import Network


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

    @property
    def place(self) -> tuple[slice, ...]:
        """Where it is in a layer (N, H, W, C)."""
        return slice(None), slice(self.top, self.bottom), slice(self.left, self.right)

    def grown(self, rows: int, columns: int) -> Window:
        """This window and so much around it."""
        return Window(self.top - rows, self.bottom + rows, self.left - columns, self.right + columns)

    def within(self, other: Window) -> Window:
        """What this window shares with another."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        return Window(top, max(top, min(self.bottom, other.bottom)), left, max(left, min(self.right, other.right)))

    def joined(self, other: Window) -> Window:
        """The smallest window that holds this one and another; an empty one counts for nothing."""
        if 0 in other.shape:
            return self
        if 0 in self.shape:
            return other
        top, left = min(self.top, other.top), min(self.left, other.left)
        return Window(top, max(self.bottom, other.bottom), left, max(self.right, other.right))

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
        above = reduce(Window.joined, (found[source] for source in sources[layer.name]))
        seen = _along(layer.rule.read_by, above, network.parameters.get(layer.name, ()))
        found[layer.name] = seen.within(_whole(sizes[layer.name]))
    return found


def field(network: Network, shape: tuple[int, int], layer: str, window: Window) -> Window:
    """Return the receptive field, a window of the image (height, width), of a window of a layer's units."""
    sources, sizes = network.sources(), network.shapes(*shape)
    found = {layer: window}
    for row in reversed(network.needed([layer])):
        seen = _along(row.rule.reads, found[row.name], network.parameters.get(row.name, ()))
        for source in sources[row.name]:
            part = seen.within(_whole(sizes[source]))
            found[source] = found[source].joined(part) if source in found else part
    return found[IMAGE]


def _whole(shape: Shape) -> Window:
    """The window of a layer of this shape (H, W, C)."""
    return Window(0, shape[0], 0, shape[1])


def _along(rule: Callable[..., Rows], window: Window, parameters: Parameters) -> Window:
    """The window that a kind of layer names for the rows and the columns of another."""
    return Window(*rule((window.top, window.bottom), parameters, 0), *rule((window.left, window.right), parameters, 1))
