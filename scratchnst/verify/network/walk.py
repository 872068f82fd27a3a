"""Forward and backward through a network's table, one operation at a time, each with its input and its backward.

Only the rows, weights and operations of the network are used, so that the results can be compared with those of
`Network.forward` and `Network.backward`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from scratchnst import ops
from scratchnst.arrays import Array
from scratchnst.models.layers import IMAGE, Layer
from scratchnst.models.network import Network

PICTURE = "picture"  # the name of what the preprocessing reads
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
    outputs : name of row, and of what is computed on the way to it -> its features
    """

    def __init__(self, network: Network, image: Array, taps: Iterable[str]):
        self.network, self.taps = network, list(taps)
        self.sources = sources(network)
        network.check_layers(self.taps)
        network.check_size(image.shape[1], image.shape[2], self.taps)
        self.rows = needed(network, self.taps)
        self.outputs = {PICTURE: image}
        self._steps: list[tuple[Step, str, str, Any]] = []  # with the names of its x and its y, and the cache
        self._preprocess()
        for row in self.rows:
            self._compute(row)

    def steps_back(self) -> Iterator[Step]:
        """The operations from the deepest row to the pixels."""
        for step, *_ in reversed(self._steps):
            yield step

    def backward(self, grad_features: Mapping[str, Array], without: Collection[str] = ()) -> Array:
        """Return dL/dimage from the gradients at taps, leaving out the operations whose names are in `without`."""
        gradients = dict(grad_features)
        for step, x, y, cache in reversed(self._steps):
            if y in gradients:
                gradient = gradients[y] if step.operation in without else step.backward(gradients[y], cache)
                gradients[x] = gradients[x] + gradient if x in gradients else gradient
        if PICTURE not in gradients:
            raise ValueError("no gradient reaches the image")
        return gradients[PICTURE]

    def _preprocess(self):
        settings, operation = self.network.preprocessing, self.network.engine.preprocess
        constants = (settings.channels, settings.scale, settings.mean, settings.std)
        step = Step(
            "preprocessing",
            "preprocess",
            self.outputs[PICTURE],
            (),
            lambda x: operation.forward(x, *constants),
            operation.backward,
        )
        self._go(step, PICTURE, IMAGE)

    def _compute(self, row: Layer):
        """Go through the operations of a row; where it reads several rows, the first one is a step for each of them."""
        read, arguments = self.sources[row.name], self.network.arguments(row)
        operations = row.rule.steps(self.network.pooling)
        for operation in operations:
            name = f"{row.name} {WORDS.get(operation, operation)}"
            y = row.name if operation == operations[-1] else name
            for place, x in enumerate(read):
                self._go(self._step(name, operation, read, place, arguments), x, y)
            read, arguments = (y,), ()

    def _step(self, name, operation, read, place, arguments):
        """An operation as a function of one of the values that it reads; the others stay as they are."""
        module = getattr(self.network.engine, operation) if operation != "relu" else relu_of(self.network)
        inputs = [self.outputs[x] for x in read]
        before, after = inputs[:place], (*inputs[place + 1 :], *arguments)
        backward = module.backward_input if arguments else module.backward
        if len(read) > 1:
            name, backward = f"{name} of {read[place]}", partial(_gradient, backward, place)
        return Step(
            name, operation, inputs[place], (*before, *after), lambda x: module.forward(*before, x, *after), backward
        )

    def _go(self, step, x, y):
        """Compute the value named y by a step from that named x."""
        self.outputs[y], cache = step.forward(step.x)
        self._steps.append((step, x, y, cache))


def _gradient(backward, place, grad_y, cache):
    """The gradient of one of several inputs."""
    return backward(grad_y, cache)[place]


def sources(network: Network) -> dict[str, tuple[str, ...]]:
    """Name of each row -> names of the rows that it reads."""
    above = [IMAGE, *(row.name for row in network.layers)]
    return {row.name: row.sources or (above[number],) for number, row in enumerate(network.layers)}


def needed(network: Network, taps: Iterable[str]) -> list[Layer]:
    """The rows that `taps` depend on, in the table's order."""
    read, wanted = sources(network), set(taps)
    for row in reversed(network.layers):
        if row.name in wanted:
            wanted.update(read[row.name])
    return [row for row in network.layers if row.name in wanted]


def default_taps(network: Network) -> list[str]:
    """The layers that the default losses tap, and every row that no other reads."""
    read = set().union(*sources(network).values())
    ends = [row.name for row in network.layers if row.name not in read]
    return list(dict.fromkeys([*network.defaults.content_layers, *network.defaults.style_layers, *ends]))


def relu_of(network: Network) -> Any:
    """The module of the ReLU that the engine's convolutions call."""
    return getattr(network.engine.conv2d_relu, "relu", ops.relu)
