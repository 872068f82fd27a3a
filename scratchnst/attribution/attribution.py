r"""Where does the gradient of a pixel come from?  dL/dpixel, taken apart into everything that adds up to it.

`Network.backward` adds gradients wherever they meet, so its result, dL/dx, does not show what came from where.  Let x
be one colour of a pixel and F_l[p,k] the feature of channel k at position p of layer l, tapped by term t of equation 7.
The chain rule over all features of all terms::

    dL/dx = sum_t sum_{p,k}  dL_t/dF_l[p,k]  dF_l[p,k]/dx                                          (a)

The first factor is the gradient of a term's loss at its layer.  The second, how each feature changes as the pixel
changes, is the tangent of F_l.  The walk back does not compute it; a walk *down* does: each operation takes the
derivative dx of its input along with x itself, and returns dy with y (forward mode)::

    preprocessing     y = (scale x - mean) / std       dy = scale dx / std
    convolution       y = x * w + b                    dy = dx * w                                 (b)
    ReLU              y = max(x, 0)                    dy = dx where y > 0,   0 elsewhere
    average pooling   y = the mean of a square         dy = the mean of dx
    max pooling       y = the largest of a square      dy = dx of the largest

Then every product of (a) is known.  The two walks share nothing but the network and the losses, and so check each
other: the products must add up to what the walk back finds.

A walk down costs as much as a walk back, but gives the derivatives with respect to one unknown only.  A pixel's three
colours are computed as a batch of three images, and only where their tangent can be other than zero: at the pixel
first, then on a window that grows slowly (`scratchnst.models.receptive_field`).
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from scratchnst.arrays import Array, array_module, asnumpy
from scratchnst.errors import UserError
from scratchnst.models.checkpointing import Shifted
from scratchnst.models.layers import IMAGE, Layer
from scratchnst.models.network import Network
from scratchnst.models.receptive_field import Window, reach, unit
from scratchnst.transfer.checks import as_image
from scratchnst.transfer.objective import Objective

COLOURS = 3
TV = "tv"


@dataclass(frozen=True)
class Part:
    """What one term of equation 7 contributes to the gradient of a pixel, unit by unit.

    Attributes
    ----------
    name : of the term: "content/conv4_2", "style/conv1_1", "tv"; of a pair "style/conv1_1+conv1_2 at conv1_1"
    layer : the layer that it taps, for the total variation "image"
    window : the positions of the layer that see the pixel; for the total variation the pixel and those around it
    contributions : (3, h, w, K) array, the products of equation (a), for R, G and B, at the window's positions and in
        the layer's channels.  The total variation has one channel, and a pixel's neighbour holds the slope of the
        squared difference between the two
    """

    name: str
    layer: str
    window: Window
    contributions: np.ndarray

    @property
    def gradient(self) -> np.ndarray:
        """(3,) array, this term's share of dL/dpixel, for R, G and B."""
        return self.contributions.sum(axis=(1, 2, 3))

    @property
    def channels(self) -> np.ndarray:
        """(K, 3) array, the sum over positions in each channel."""
        return self.contributions.sum(axis=(1, 2)).T

    @property
    def positions(self) -> np.ndarray:
        """(h, w, 3) array, the sum over channels at each position of the window."""
        return np.moveaxis(self.contributions.sum(axis=3), 0, 2)

    def top_channels(self, count: int) -> list[int]:
        """The `count` channels with the longest contribution, the longest first."""
        return _longest(self.channels, count)

    def top_positions(self, count: int) -> list[tuple[int, int]]:
        """The `count` positions (row, column) of the layer with the longest contribution, the longest first."""
        _, width = self.window.shape
        places = _longest(self.positions.reshape(-1, COLOURS), count)
        return [(self.window.top + place // width, self.window.left + place % width) for place in places]


@dataclass(frozen=True)
class Trace:
    """The gradient of a pixel and its parts, which add up to it.

    Attributes
    ----------
    pixel : (row, column)
    gradient : (3,) array, dL/dpixel for R, G and B, as the walk back finds it
    parts : one a term of the objective, in its order, and of a term that sees a pair of layers one for each
    """

    pixel: tuple[int, int]
    gradient: np.ndarray
    parts: tuple[Part, ...]

    @property
    def total(self) -> np.ndarray:
        """(3,) array, the sum of all parts."""
        return np.sum([part.gradient for part in self.parts], axis=0)

    @property
    def error(self) -> float:
        """Length of `total` - `gradient`, relative to that of `gradient`."""
        difference = math.hypot(*(self.total - self.gradient))
        return difference / math.hypot(*self.gradient) if difference else 0.0

    def share(self, contribution: Array) -> Array:
        """Return how much of the gradient a contribution (..., 3) makes up, of shape (...).

        It is <contribution, total> / |total|^2, so that the shares of all parts add up to 1, and that of what works
        against the others is negative.  Where the gradient is zero there are no shares: NaN.
        """
        length = math.hypot(*self.total) or math.nan
        return (contribution / length) @ (self.total / length)


def trace(objective: Objective, image: Array, pixel: tuple[int, int]) -> Trace:
    """Take the gradient of `objective` at one pixel of `image` apart.

    Parameters
    ----------
    objective : an Objective; in float64 the parts add up to the gradient to about 13 digits, in float32 to 5
    image : (H, W, 3) array of the objective's shape, RGB 0-255
    pixel : (row, column), counted from 0, from the top left

    Raises
    ------
    UserError
        If the image has another shape or is not finite, the pixel lies outside of it, or the gradient is not finite.
    """
    image = as_image("traced", image, objective.dtype)
    if image.shape != objective.shape:
        raise UserError(f"the traced image must have the shape {objective.shape}, not {image.shape}.")
    pixel = check_pixel(pixel, image.shape)
    with np.errstate(over="ignore", invalid="ignore"):  # reported below
        _, gradient, _ = objective.evaluate(image)
        parts = tuple(_parts(objective, image, pixel))
    if not np.isfinite(gradient[pixel]).all():
        raise UserError("the gradient is not finite there: lower the weights.")
    return Trace(pixel, gradient[pixel], parts)


def check_pixel(pixel: tuple[int, int], shape: tuple[int, ...]) -> tuple[int, int]:
    """Return `pixel` as two ints, or raise a UserError if it is no pixel of an image of `shape` (H, W, ...)."""
    height, width, *_ = shape
    try:
        row, column = (operator.index(number) for number in pixel)
    except (TypeError, ValueError):
        raise UserError(f"a pixel is two whole numbers, its row and its column, not {pixel!r}.") from None
    if not (0 <= row < height and 0 <= column < width):
        raise UserError(
            f"there is no pixel {row},{column} in an image of {width}x{height} pixels: "
            f"rows go from 0 to {height - 1}, columns from 0 to {width - 1}."
        )
    return row, column


def tangents(
    network: Network, image: Array, pixel: tuple[int, int], taps: Iterable[str]
) -> Iterator[tuple[str, Array, Window, Array]]:
    """Walk down the table and yield features at `taps`, and how they change as a pixel changes: equations (b).

    Parameters
    ----------
    network : a Network
    image : (H, W, 3) array of the engine's, RGB 0-255, in the dtype of the network's weights
    pixel : (row, column)
    taps : names of layers

    Yields
    ------
    layer : the name of a tap
    features : (1, H_l, W_l, C_l)
    window : the units of it that see the pixel; the features elsewhere do not change
    tangent : (3, h, w, C_l), dF/dpixel on the window, for the pixel's R, G and B
    """
    taps, sources = set(taps), network.sources()
    windows = reach(network, image.shape[:2], unit(*pixel))
    rows = network.needed(taps)
    readers = Counter(source for row in rows for source in sources[row.name])
    walked = {IMAGE: (network.preprocess(image[np.newaxis])[0], _tangent_of_image(network, image.dtype))}
    for row in rows:
        read = [(*walked[source], windows[source]) for source in sources[row.name]]
        y, _ = network.operation(row).forward(*(x for x, _, _ in read), *network.arguments(row))
        dy = _tangent(network, row, read, y, windows[row.name])
        walked[row.name] = y, dy
        for source in sources[row.name]:
            readers[source] -= 1
            if not readers[source]:
                del walked[source]  # no other layer reads it
        if row.name in taps:
            yield row.name, y, windows[row.name], dy
        if not readers[row.name]:
            del walked[row.name]
        del read, y, dy  # before the next layer is made


def _parts(objective: Objective, image: Array, pixel: tuple[int, int]) -> Iterator[Part]:
    """Equation (a), a term at a time, in the order of the objective's terms."""
    network, found = objective.network, {}
    engine = network.engine
    taps = {layer for term in objective.summands for layer in term.layers}
    paired = {term.above for term in objective.summands}
    walked: dict[str, tuple] = {}  # of layers that are seen together with a deeper one
    with engine.session():
        for layer, *here in tangents(network, engine.asarray(image), pixel, taps):
            walked[layer] = tuple(here)
            for term in objective.summands:
                if term.layer == layer:
                    found[term.name] = _parts_of(term, walked, engine)
            if layer not in paired:
                del walked[layer]
    for term in objective.summands:
        yield from found[term.name]
    for term in objective.pixel_summands:
        whole = image.astype("float64")
        yield (_total_variation if term.name == TV else _at_the_pixel)(term, whole, pixel)


def _parts_of(term, walked, engine):
    """The part of a term or, of one that sees a pair of layers, those of both; `walked` has what `tangents` yields."""
    seen = Shifted(engine, {layer: walked[layer][0] for layer in term.layers}).by(term)
    _, cache = term.loss.forward(*seen, term.target)
    grads = term.loss.backward(term.weight, cache)
    parts = []
    for layer, grad in zip(term.layers, [grads] if term.above is None else grads):
        _, window, tangent = walked[layer]
        name = term.name if term.above is None else f"{term.name} at {layer}"
        parts.append(Part(name, layer, window, engine.asnumpy(tangent.astype("float64") * window.of(grad))))
    return parts


def _total_variation(term, image, pixel):
    """V has a square (x - neighbour)^2 for each neighbour, whose slope is 2 (x - neighbour), or |x - neighbour|."""
    height, width, _ = image.shape
    window = unit(*pixel).grown(1, 1).within(Window(0, height, 0, width))
    differences = image[pixel] - window.of(image[np.newaxis])[0]
    slopes = term.weight * (2 * differences if term.loss_name == "total_variation" else np.sign(differences))
    rows, columns = np.indices(window.shape)
    beside = abs(rows + window.top - pixel[0]) + abs(columns + window.left - pixel[1]) == 1
    return Part(TV, IMAGE, window, np.moveaxis(slopes * beside[..., np.newaxis], 2, 0)[..., np.newaxis])


def _at_the_pixel(term, image, pixel):
    """The slope of another term on the image, as a whole."""
    window = unit(*pixel)
    _, cache = term.loss.forward(array_module(term.target).asarray(image[np.newaxis], term.target.dtype), *term.targets)
    slope = window.of(asnumpy(term.loss.backward(term.weight, cache))).astype("float64")[0]
    return Part(term.name, IMAGE, window, np.moveaxis(slope, 2, 0)[..., np.newaxis])


def _tangent_of_image(network, dtype):
    """The pixel alone, (3, 1, 1, 3): the n-th of three images is 1 in its n-th colour, preprocessed without mean."""
    engine, settings = network.engine, network.preprocessing
    colours = engine.asarray(np.eye(COLOURS, dtype=dtype).reshape(COLOURS, 1, 1, COLOURS))
    return engine.preprocess.forward(colours, settings.channels, settings.scale, (0, 0, 0), settings.std)[0]


def _tangent(
    network: Network, row: Layer, read: Sequence[tuple[Array, Array, Window]], y: Array, window: Window
) -> Array:
    """Equations (b): dy on its window from the (x, dx, window) of each source and from y; x and y are whole layers."""
    engine, parameters = network.engine, network.parameters.get(row.name, ())
    _, height, width, _ = read[0][0].shape
    rows, rows_made = row.rule.computed_from((window.top, window.bottom), height, parameters)
    columns, columns_made = row.rule.computed_from((window.left, window.right), width, parameters, axis=1)
    patch, made = Window(*rows, *columns), Window(*rows_made, *columns_made)
    tangents = [_moved(engine, dx, source, patch) for _, dx, source in read]
    inputs = [patch.of(x) for x, _, _ in read]
    dy = row.rule.tangent(engine, network.pooling, tangents, inputs, made.of(y), parameters)
    return _moved(engine, dy, made, window)


def _moved(engine, values, window, to):
    """Return `values` (3, h, w, C), which stand on `window`, on the window `to`: zero where they do not reach."""
    moved, shared = engine.zeros((COLOURS, *to.shape, values.shape[3]), values.dtype), window.within(to)
    shared.of(moved, to)[...] = shared.of(values, window)
    return moved


def _longest(vectors, count):
    """Indices of the `count` longest of `vectors` (n, 3), the longest first."""
    largest = np.abs(vectors).max(initial=0) or 1.0  # squares of very large numbers would overflow
    order = np.argsort(-np.linalg.norm(vectors / largest, axis=1), kind="stable")
    return [int(index) for index in order[:count]]
