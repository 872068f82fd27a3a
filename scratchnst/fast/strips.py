r"""A transform network whose wide layers are computed strip by strip, so that a large picture takes little memory.

Rows a to b-1 of a convolution with stride s and a kernel of 2 r + 1 rows read rows s a - r to s (b-1) + r of its
source, or (a - r) / 2 to (b - 1 + r) / 2, rounded down, where it reads the source upsampled.  If rows of the source are
computed from those of its own source in the same way, a strip of the output is computed from a strip of the picture.
Two things tie a strip to the whole picture:

* The reflection at the picture's edges.  A strip that begins or ends inside of the picture gives some rows more than
  are asked for.  These see a reflection at the strip's edge and are left out.  The others see none, or that at the
  picture's own edge, since there the strip ends, too.
* The statistics of instance normalisation.  They are those of the whole picture, and are computed before any strip of a
  later layer is.  If strip i has M_i pixels, with mean m_i and variance v_i in a channel, then, since the variance is
  the mean of the strips' variances plus the variance of their means ::

      mean = sum_i M_i m_i / M,    variance = sum_i M_i (v_i + (m_i - mean)^2) / M,    M = sum_i M_i              (a)

  added up in float64, in the order of the strips.  What is left belongs to each pixel alone ::

      y = factor x + offset,    factor = scale / sqrt(variance + EPSILON),    offset = shift - factor mean        (b)

What is kept and what is computed again.  In float32 a layer of the full side with 16 channels takes 64 bytes for each
pixel of the picture, one of half the side with 32 channels takes 32, one of a quarter with 64 takes 16.  So layers of a
quarter of the side are kept whole, as long as they are read, and are computed as they are without strips.  Of those of
half the side only the convolutions are kept, in front of their norms.  Layers of the full side are computed twice: for
the statistics, and for what reads them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.engine.cpu import threads
from scratchnst.models import transform_net
from scratchnst.models.layers import IMAGE, Layer, Rows, strides
from scratchnst.models.network import Network
from scratchnst.ops.instance_norm import EPSILON

NUMBERS_PER_STRIP = 1 << 21  # of the widest layer
QUARTER = 4  # rows of the picture for one of the layer


class Painter:
    """The layers of a transform network for one picture.

    Parameters
    ----------
    network : as `transform_net.with_styles` returns it for one picture
    photo : (H, W, 3) array, RGB 0-255; it is continued by reflection to multiples of `transform_net.STRIDE`
    numbers : of the widest layer that a strip has at most, if it is not a single row
    """

    def __init__(self, network: Network, photo: np.ndarray, numbers: int = NUMBERS_PER_STRIP):
        self.network, self.photo, self.numbers = network, photo, numbers
        self.layers, self.sources = {layer.name: layer for layer in network.layers}, network.sources()
        height, width = (side + -side % transform_net.STRIDE for side in photo.shape[:2])
        self.shapes, self.kept_layers = network.shapes(height, width), kept_layers(network)
        self.dtype = network.parameters[transform_net.OUTPUT][0].dtype
        self.kept: dict[str, Array] = {}
        self.norms: dict[str, tuple[Array, Array]] = {}  # factor and offset of equation (b), for a row

    def strips(self) -> Iterator[tuple[int, Array]]:
        """Yield the first row of each strip of the painting, and the strip, (rows, W, 3), about 0-255."""
        for layer in self.network.layers:
            if layer.name in self.kept_layers:
                self.kept[layer.name] = self._whole(layer)
                needed = self.kept_layers[layer.name]
                self.kept = {name: array for name, array in self.kept.items() if name in needed}
            elif layer.name in transform_net.norms(self.network):
                self.norms[layer.name] = self._statistics(layer)
        height, width = self.photo.shape[:2]
        for start, stop in self._pieces(transform_net.OUTPUT):
            painting = transform_net.to_picture(self._rows(transform_net.OUTPUT, (start, stop)))
            yield start, painting[0, : height - start, :width]

    def _rows(self, name: str, rows: Rows) -> Array:
        """Return these rows of a layer, (1, rows, W, C), which the caller must not change."""
        if name in self.kept:
            return self.kept[name][:, rows[0] : rows[1]]
        if name == IMAGE:
            return self._image(rows)
        layer = self.layers[name]
        if name in self.norms:
            return self._normalised(layer, self._rows(self.sources[name][0], rows))
        (start, stop), first = self._read(layer, rows)
        inputs = (self._rows(source, (start, stop)) for source in self.sources[name])
        y, _ = self.network.operation(layer).forward(*inputs, *self.network.arguments(layer))
        return y[:, rows[0] - first : rows[1] - first]

    def _read(self, layer: Layer, rows: Rows) -> tuple[Rows, int]:
        """Return the rows of the sources that `rows` are computed from, and the first row that comes out of these."""
        stride, parameters = layer.rule.stride, self.network.parameters.get(layer.name, ())
        reach = parameters[0].shape[0] // 2 if parameters else 0
        around = -(-reach // stride) if stride > 1 else reach  # in rows of the layer
        start = max(math.floor((rows[0] - around) * stride), 0)
        after = reach * min(stride, 1) if parameters else stride - 1  # pooling reads as many rows as its stride
        stop = math.floor((rows[1] - 1) * stride + after) + math.ceil(min(1, stride))
        return (start, min(stop, self.shapes[self.sources[layer.name][0]][0])), int(start / stride)

    def _image(self, rows: Rows) -> Array:
        lines, columns = (_reflected(side) for side in self.photo.shape[:2])
        strip = np.asarray(self.photo[lines[slice(*rows)]], self.dtype)[:, columns]
        return self.network.preprocess(self.network.engine.asarray(strip[np.newaxis]))[0]

    def _whole(self, layer: Layer) -> Array:
        """Return all rows of a layer, computed at once if what it reads is kept."""
        sources = self.sources[layer.name]
        if all(source in self.kept for source in sources):
            inputs = (self.kept[source] for source in sources)
            return self.network.operation(layer).forward(*inputs, *self.network.arguments(layer))[0]
        whole = self.network.engine.zeros((1, *self.shapes[layer.name]), self.dtype)
        for start, stop in self._pieces(layer.name):
            whole[:, start:stop] = self._rows(layer.name, (start, stop))
        return whole

    def _statistics(self, layer: Layer) -> tuple[Array, Array]:
        """Return factor and offset of equation (b), from the moments of equation (a)."""
        (source,), engine = self.sources[layer.name], self.network.engine
        moments = np.array([_moments(engine, self._rows(source, rows)) for rows in self._pieces(source)])
        pixels, means, variances = moments[:, 0], moments[:, 1], moments[:, 2]
        mean = (pixels * means).sum(axis=0) / pixels.sum(axis=0)
        variance = (pixels * (variances + (means - mean) ** 2)).sum(axis=0) / pixels.sum(axis=0)
        scale, shift = (engine.asnumpy(array)[0] for array in self.network.parameters[layer.name])
        factor = scale / np.sqrt(variance + EPSILON)
        return self._row(layer, factor), self._row(layer, shift - factor * mean)

    def _row(self, layer: Layer, numbers: np.ndarray) -> Array:
        """Return numbers (C,) once for each pixel of a row, since NumPy is fast on long rows."""
        return self.network.engine.asarray(np.tile(numbers.astype(self.dtype), self.shapes[layer.name][1]))

    def _normalised(self, layer: Layer, x: Array) -> Array:
        factor, offset = self.norms[layer.name]
        y = x.reshape(x.shape[1], len(factor)) * factor
        y += offset
        if layer.rule.rectified:
            array_module(y).maximum(y, 0, out=y)
        return y.reshape(x.shape)

    def _pieces(self, name: str) -> list[Rows]:
        """Cut the rows of a layer into strips of the same pixels of the picture."""
        height, width = self.shapes[IMAGE][:2]
        widest = max(math.prod(shape) for shape in self.shapes.values()) // (height * width)
        rows = max(self.numbers // (width * widest), 1)
        own = self.shapes[name][0]
        return threads.pieces(own, max(rows * own // height, 1))


def kept_layers(network: Network) -> dict[str, set[str]]:
    """Return each layer that is kept whole -> the layers that are kept when it is there, and needed."""
    sides, sources = strides(network.layers, network.sources(), IMAGE), network.sources()
    norms, last = transform_net.norms(network), transform_net.OUTPUT
    names = [name for name in sources if sides[name] >= QUARTER or (sides[name] > 1 and name not in norms)]

    def reads(name: str) -> set[str]:
        """Return the layers that are kept of those that a row is computed from."""
        direct = set(sources[name]) - {IMAGE}
        return {one for source in direct for one in ({source} if source in names else reads(source))}

    readers = [(name, reads(name)) for name in (*names, last)]
    return {
        name: {one for _, read in readers[place + 1 :] for one in read} & set(names[: place + 1])
        for place, name in enumerate(names)
    }


def _moments(engine, x: Array) -> np.ndarray:
    """Return the pixels, mean and variance of each channel of a strip (1, H, W, C), (3, C) float64."""
    _, height, width, channels = x.shape
    pixels = height * width

    def mean(numbers):
        columns = numbers.reshape(height, width * channels).sum(axis=0, dtype=np.float64)
        return columns.reshape(width, channels).sum(axis=0) / pixels

    means = mean(x)
    d = x.reshape(height, width * channels) - array_module(x).tile(means.astype(x.dtype), width)
    numbers = [engine.asnumpy(each) for each in (means, mean(d * d))]
    return np.array([np.full(channels, float(pixels)), *numbers])


def _reflected(side: int) -> np.ndarray:
    """Return which lines of a picture show its lines, and those behind its edge to the next multiple."""
    return np.pad(np.arange(side), (0, -side % transform_net.STRIDE), mode="reflect")
