"""Training a transform network by this package: a step, and the pieces that it is made of.

The network is the one that ``scratchnst train style`` makes if nothing else is said, and so are its losses, batch and
crops; it learns a drawn painting, on drawn photographs.  VGG19 has random weights, see `scratchnst.bench.problem`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.bench import problem
from scratchnst.bench.contender import OnEngine
from scratchnst.bench.names import EMULATED, TRAINING
from scratchnst.engine import Engine
from scratchnst.errors import UserError
from scratchnst.images import samples
from scratchnst.models import transform_net
from scratchnst.models.layers import IMAGE, Layer
from scratchnst.models.network import Network
from scratchnst.training import style_job
from scratchnst.training.batch import Batch, gradients
from scratchnst.training.perceptual_loss import PerceptualLoss, Weights
from scratchnst.training.photographs import Photographs
from scratchnst.training.processes import Processes
from scratchnst.training.style_training import Plan, Training
from scratchnst.weights.load import load_network

DISTILLED, _ = TRAINING
LOSS, ADAM, CROPS = "loss network", "adam", "crops"  # pieces that are no layers
PICTURES, PICTURE = 3, 256  # photographs, and the pixels of their sides
CALLS = 3  # of a piece, one after the other


class Trainer(OnEngine):
    """A contender: what it evaluates is a step on a batch of new crops."""

    def __init__(self, size: int, device: str = "cpu", task: str = DISTILLED):
        super().__init__(device)
        self.training = make(size, device, self.engine, task)
        self.training.share = self.until_the_end.enter_context(Processes(_lost))

    def evaluate(self) -> None:
        self.training.step()

    def compared(self) -> tuple[float, Array]:
        """Return the loss of the first crops, and its gradient by all that is learnt, an array after the other."""
        losses, _, gradients = self._outcome(self._crops())
        learnt = [gradients[name][place] for name, place in self.training.state.moments]
        return losses.total, array_module(learnt[0]).concatenate([array.ravel() for array in learnt])

    def pieces(self) -> dict[str, float]:
        """Return the seconds of one layer of each size, there and back, and of all else in a step."""
        training, x = self.training, self._crops()
        _, painted, gradients = self._outcome(x)
        pieces = {name: self._layer(name) for name in distinct(training.network, x.shape[1])}
        pieces[LOSS] = lambda: training.loss(painted, x, [0] * len(x))
        pieces[ADAM] = lambda: training.moved(gradients)
        pieces[CROPS] = self._crops
        with self.engine.session():
            return {name: self.seconds(do, CALLS) for name, do in pieces.items()}

    def _outcome(self, x):
        training = self.training
        return gradients(training.network, training.loss, Batch(x, [0] * len(x)))

    def _crops(self):
        return self.engine.asarray(first_crops(self.training))

    def _layer(self, name: str) -> Callable[[], Any]:
        """What computes a layer, and the gradients of its parameters and of what it reads, but for the image."""
        network, plan = self.training.network, self.training.plan
        inputs, (g,) = ([self.engine.asarray(array) for array in arrays] for arrays in layer_task(network, name, plan))
        styles = self.engine.asarray(np.ones((plan.batch, 1), np.float32))
        painter = transform_net.with_styles(network, styles)
        layer, operation = _layer(network, name), painter.operation(_layer(network, name))

        def do():
            _, cache = operation.forward(*inputs, *painter.arguments(layer))
            if layer.rule.parameter_names:
                painter.backward_all(layer, g, cache)
            else:
                painter.backward_inputs(layer, g, cache)

        return do


def _lost(why: str) -> NoReturn:
    raise UserError(why)


def make(size: int, device: str, engine: Engine, task: str) -> Training:
    """Return a training on crops of `size` pixels that an engine computes; where `device` is emulated, a small one."""
    pairs = [samples.draw_pair(PICTURE, problem.DRAWN, seed) for seed in range(PICTURES)]
    photographs = Photographs([(str(number), content) for number, (content, _) in enumerate(pairs)])
    if task == DISTILLED:
        seeing = load_network("distilled").astype("float32")
    else:
        seeing = problem.random_network(0, problem.NARROWER if device == EMULATED else 1)
    network, plan = problem_of(device)
    plan = replace(plan, side=size)
    crops = engine.asarray(photographs.crops(np.random.default_rng(1), plan.batch, size))
    layers = style_job.loss_layers(seeing)
    loss = PerceptualLoss(seeing.on(engine), [pairs[0][1]], crops, Weights(), *layers)
    return Training(network.on(engine), {0.0: loss}, photographs, plan)


def problem_of(device: str) -> tuple[Network, Plan]:
    """Return the network to be trained, and on how many crops of which size."""
    random = np.random.default_rng(0)
    if device == EMULATED:
        return transform_net.build(random, 1, (4, 4, 8), 1), Plan(batch=1, side=32)
    return transform_net.build(random), Plan()


def first_crops(training: Training) -> np.ndarray:
    """Return a batch (N, side, side, 3), always the same."""
    return training.photographs.crops(np.random.default_rng(0), training.plan.batch, training.plan.side)


def distinct(network: Network, size: int) -> dict[str, int]:
    """Return the name of the first layer of each kind and size -> how many such layers there are."""
    shapes, sources = network.shapes(size, size), network.sources()
    found: dict[tuple, list[str]] = {}
    for layer in network.layers:
        read, parameters = sources[layer.name], network.parameters.get(layer.name, ())
        what = layer.kind, *(shapes[source] for source in read), *(array.shape for array in parameters)
        found.setdefault(what, []).append(layer.name)
    return {names[0]: len(names) for names in found.values()}


def facts(device: str) -> dict[str, Any]:
    """Return the crops of a step, how often each piece is in it, and the operations of each convolution."""
    network, plan = problem_of(device)
    counts = {**distinct(network, plan.side), LOSS: 1, ADAM: 1, CROPS: 1}
    return {"batch": plan.batch, "counts": counts, "operations": operations(network, plan.side, plan.batch)}


def operations(network: Network, size: int, batch: int) -> dict[str, int]:
    """Return the floating-point operations of each convolution, there and back, by its definition.

    It is as much to compute the gradient of the kernel, and as much again that of what it reads; of the image there is
    none.  Winograd's way, and sums of weights that read equal pixels, need fewer.
    """
    shapes, found = network.shapes(size, size), {}
    for name in distinct(network, size):
        kernel = network.parameters.get(name, [np.zeros(())])[0]
        if kernel.ndim == 4:
            products = 2 if reads_image(network, name) else 3
            found[name] = products * 2 * batch * math.prod(shapes[name][:2]) * kernel.size
    return found


def layer_task(network: Network, name: str, plan: Plan) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return what a layer reads, random numbers, and a gradient of what it computes, all (N, H, W, C) float32."""
    random, shapes = np.random.default_rng(0), network.shapes(plan.side, plan.side)
    inputs, g = (
        [random.standard_normal((plan.batch, *shapes[each]), np.float32) for each in names]
        for names in (network.sources()[name], [name])
    )
    return inputs, g


def reads_image(network: Network, name: str) -> bool:
    """Return whether a layer reads the image, whose gradient training does not need."""
    return network.sources()[name] == (IMAGE,)


def _layer(network: Network, name: str) -> Layer:
    return next(layer for layer in network.layers if layer.name == name)
