"""Checks of the textbook's operations, and of the full objective from pixels to loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from scratchnst.arrays import Array, asnumpy
from scratchnst.models.network import Network
from scratchnst.transfer.objective import Objective
from scratchnst.verify.check import check_backward, check_gradient
from scratchnst.verify.methods import oracles
from scratchnst.verify.methods.kinks import Pattern, network_pattern
from scratchnst.verify.operations import OPERATIONS, OperationInfo, Size, module_name
from scratchnst.verify.report import Report

__all__ = ["OPERATIONS", "check_objective", "check_operation"]


def check_operation(
    name: str,
    seed: int = 0,
    size: Size = 5,
    *,
    operations: Mapping[str, OperationInfo] = OPERATIONS,
    samples: int | None = None,
    module: ModuleType | None = None,
    with_torch: bool = True,
    keep_dtype: bool = False,
) -> Report:
    """Check an operation of the textbook on random inputs.

    Parameters
    ----------
    name : in `operations`
    seed : of inputs, upstream gradient and directions
    size : of the images: N for N x (N + 1) pixels, or height and width
    operations : name -> its inputs
    samples : as in `check_gradient`; every element is compared by default
    module : checked in place of the operation's own
    with_torch : whether PyTorch's gradient is compared, if it is installed
    keep_dtype : check in float32
    """
    case = operations[name].instance(seed, size, module)
    return check_backward(
        case.forward,
        case.backward,
        [x.astype("float32") for x in case.inputs] if keep_dtype else case.inputs,
        names=case.names,
        kinks=case.kinks,
        operation=module_name(name),
        torch_forward=case.torch_forward if with_torch else None,
        samples=samples,
        seed=seed,
        keep_dtype=keep_dtype,
        name=name,
    )


def check_objective(
    network: Network,
    content: Array | None,
    style: Array | None,
    seed: int = 0,
    *,
    samples: int | None = 64,
    objective: type[Objective] = Objective,
    with_torch: bool = True,
    on_element: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> Report:
    """Check the gradient of the full objective, from pixels to loss, at a random picture.

    Parameters
    ----------
    network, content, style, settings : arguments of `Objective`; None leaves an image out
    seed : of picture, sample and directions
    samples, on_element : as in `check_gradient`
    objective : class used in place of `Objective`, so that a wrong one can be checked
    with_torch : whether PyTorch's gradient is compared, if it is installed
    """
    settings = {"dtype": "float64", **settings}
    ours = objective(network, content, [] if style is None else [style], **settings)
    picture = np.random.default_rng(seed).uniform(0, 255, ours.shape)
    torch_f = oracles.objective(ours) if with_torch and oracles.knows(ours) else None
    recorder = KinkRecorder(ours)
    return check_gradient(
        recorder.loss,
        picture,
        recorder.gradient,
        kinks=recorder.pattern,
        torch_f=torch_f,
        samples=samples,
        seed=seed,
        name=f"objective of {network.name}",
        on_element=on_element,
    )


class KinkRecorder:
    """An objective's loss, gradient and kinks; the kinks are read from the cache of the network's forward.

    It takes the place of the objective's network.  Where only the loss is wanted, the network's backward is left out.
    """

    def __init__(self, objective: Objective):
        self.objective, self.network, self.engine = objective, objective.network, objective.network.engine
        objective.network = self  # type: ignore[assignment]
        self.with_backward = True
        self.recent: dict[bytes, Pattern] = {}

    def loss(self, x: Array) -> float:
        """The loss at picture `x`."""
        self.with_backward = False
        return self.objective(x)[0]

    def gradient(self, x: Array) -> Array:
        """The gradient at picture `x`."""
        self.with_backward = True
        return self.objective(x)[1]

    def pattern(self, x: Array) -> Pattern:
        """On which side of its kink each unit of the network is; kept from the last evaluations of the loss."""
        if x.tobytes() not in self.recent:
            self.loss(x)
        return self.recent[x.tobytes()]

    def forward(self, x: Array, taps: Any, training: bool = True) -> tuple[dict[str, Array], dict[str, Any]]:
        """The network's forward; keeps the pattern of its units."""
        features, cache = self.network.forward(x, taps, training)
        while len(self.recent) >= 4:
            del self.recent[next(iter(self.recent))]
        pattern = network_pattern(self.network, cache)
        self.recent[asnumpy(x).tobytes()] = {name: asnumpy(units) for name, units in pattern.items()}
        return features, cache

    def backward(self, grad_features: Mapping[str, Array], cache: dict[str, Any]) -> Array:
        """The network's backward; zeros where the gradient is not wanted."""
        if not self.with_backward:
            return self.engine.zeros((1, *self.objective.shape), "float64")
        return self.network.backward(grad_features, cache)
