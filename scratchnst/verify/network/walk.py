"""A network's table walked anew, an operation at a time, each with what reached it and how to go back through it.

The walk reads the table itself and takes from the network nothing but its rows, weights and operations, so that it
can be held against `Network.forward` and `Network.backward`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from scratchnst import ops
from scratchnst.arrays import Array
from scratchnst.models.layers import Layer
from scratchnst.models.network import IMAGE, Network

WORDS = {"conv2d": "convolution"}  # what a step is called where it is not by the name of its operation


@dataclass(frozen=True)
class Step:
    """One operation of a chain at the numbers that reach it.

    Attributes
    ----------
    name : "conv2_1 convolution"
    operation : name of its module, "conv2d"
    x : the input that the gradient goes back to
    parameters : further inputs, without a gradient here
    forward : x -> (y, cache)
    backward : (grad_y, cache) -> grad_x
    """

    name: str
    operation: str
    x: Array
    parameters: tuple[Array, ...]
    forward: Callable
    backward: Callable


class Walk:
    """A walk down a network's table for one image, and back up.

    Attributes
    ----------
    network : a Network
    taps : the layers where gradients come in
    rows : the rows of the table that the taps depend on, in its order
    outputs : name of row -> its features
    """

    def __init__(self, network: Network, image: Array, taps: Iterable[str]):
        self.network, self.taps = network, list(taps)
        self.sources = sources(network)
        network.check_layers(self.taps)
        network.check_size(image.shape[1], image.shape[2], self.taps)
        self.rows = needed(network, self.taps)
        self._operations = operations_of(network)
        self._steps: dict[str, list[tuple[Step, Any]]] = {}  # of each row, in forward order, with the caches
        self.outputs = {IMAGE: self._through(IMAGE, [self._preprocess(image)])}
        for row in self.rows:
            source = self.outputs[self.sources[row.name]]
            self.outputs[row.name] = self._through(row.name, self._row(row, source))

    def steps_back(self) -> Iterator[Step]:
        """The operations from the deepest row to the pixels."""
        for name in reversed(self._steps):
            for step, _ in reversed(self._steps[name]):
                yield step

    def backward(self, grad_features: Mapping[str, Array], without: Collection[str] = ()) -> Array:
        """Return dL/dimage from the gradients at taps, leaving out the operations whose names are in `without`."""
        gradients = dict(grad_features)
        for name in reversed(self._steps):
            if name not in gradients:
                continue
            gradient = gradients.pop(name)
            for step, cache in reversed(self._steps[name]):
                gradient = gradient if step.operation in without else step.backward(gradient, cache)
            if name == IMAGE:
                return gradient
            source = self.sources[name]
            gradients[source] = gradients[source] + gradient if source in gradients else gradient
        raise ValueError("no gradient reaches the image")

    def _through(self, name, steps):
        """Go through the operations of a row, which are made one after the other as their inputs become known."""
        self._steps[name] = []
        y = None
        for make in steps:
            step = make(y)
            y, cache = step.forward(step.x)
            self._steps[name].append((step, cache))
        return y

    def _preprocess(self, image):
        settings, operation = self.network.preprocessing, self._operations["preprocess"]
        constants = (settings.channels, settings.scale, settings.mean, settings.std)
        return lambda _: Step(
            "preprocessing", "preprocess", image, (), lambda x: operation.forward(x, *constants), operation.backward
        )

    def _row(self, row: Layer, source: Array):
        """Functions that make the row's operations of what reaches them."""
        first, *others = row.rule.steps(self.network.pooling)
        operation, parameters = self._operation(first), self.network.parameters.get(row.name, ())
        yield lambda _: Step(
            f"{row.name} {WORDS.get(first, first)}",
            first,
            source,
            tuple(parameters),
            lambda x: operation.forward(x, *parameters),
            operation.backward_input if row.rule.has_parameters else operation.backward,
        )
        for name in others:
            yield partial(self._without_parameters, row, name)

    def _without_parameters(self, row, name, y):
        operation = self._operation(name)
        return Step(f"{row.name} {name}", name, y, (), operation.forward, operation.backward)

    def _operation(self, name):
        """The module of an operation: in the ReLU's case what the engine's convolutions call."""
        return self._operations.get(name) or getattr(self.network.engine, name)


def sources(network: Network) -> dict[str, str]:
    """Name of each row -> name of the row that it reads."""
    above = [IMAGE, *(row.name for row in network.layers)]
    return {row.name: row.source or above[number] for number, row in enumerate(network.layers)}


def needed(network: Network, taps: Iterable[str]) -> list[Layer]:
    """The rows that `taps` depend on, in the table's order."""
    read, wanted = sources(network), set(taps)
    for row in reversed(network.layers):
        if row.name in wanted:
            wanted.add(read[row.name])
    return [row for row in network.layers if row.name in wanted]


def default_taps(network: Network) -> list[str]:
    """The layers that the default losses tap, and every row that no other reads."""
    read = set(sources(network).values())
    ends = [row.name for row in network.layers if row.name not in read]
    return list(dict.fromkeys([*network.defaults.content_layers, *network.defaults.style_layers, *ends]))


def operations_of(network: Network) -> dict[str, Any]:
    """The modules of operations that the network's engine has; for the ReLU in its convolutions, what they call."""
    engine = network.engine
    names = ("preprocess", "conv2d", "average_pool", "max_pool")
    return {name: getattr(engine, name) for name in names} | {"relu": getattr(engine.conv2d_relu, "relu", ops.relu)}
