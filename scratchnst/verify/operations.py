"""The textbook's operations, each with random inputs to check it on.

Inputs are neither square nor alone: heights, widths, numbers of images, channels and filters all differ, so that a
mistake in their order shows.  There are a few exact ties and zeros where an operation has kinks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from scratchnst.arrays import Array
from scratchnst.losses import content_loss, gram, style_loss, total_variation
from scratchnst.ops import average_pool, conv2d, max_pool, preprocess, relu
from scratchnst.verify.methods import oracles
from scratchnst.verify.methods.kinks import pool_winners, relu_signs

Size = int | tuple[int, int]  # of images: N for N x (N + 1) pixels, or height and width

# Oxford's order and torchvision's kind of numbers, no two of which are alike.
PREPROCESSING = ("BGR", 0.5, (103.9, 116.8, 123.7), (0.25, 0.5, 2.0))


@dataclass(frozen=True)
class OperationInstance:
    """An operation with inputs: what `check_backward` takes.

    Attributes
    ----------
    names, inputs : the inputs that have a gradient, float64
    forward : inputs -> (y, cache)
    backward : (grad_y, cache) -> gradient, or a tuple of them
    torch_forward : torch tensors of the inputs -> y
    kinks : inputs -> {name: integer array}, or None
    """

    names: tuple[str, ...]
    inputs: tuple[Array, ...]
    forward: Callable
    backward: Callable
    torch_forward: Callable
    kinks: Callable | None = None


@dataclass(frozen=True)
class OperationInfo:
    """One operation of the textbook.

    Attributes
    ----------
    module : of `scratchnst.ops`
    make : (random, (height, width) of images, module) -> OperationInstance; a wrong module may stand in for `module`
    kinks : inputs -> {name: integer array}, or None
    """

    module: ModuleType
    make: Callable[[np.random.Generator, tuple[int, int], ModuleType], OperationInstance]
    kinks: Callable | None = None

    def instance(self, seed: int = 0, size: Size = 5, module: ModuleType | None = None) -> OperationInstance:
        """Return the operation, or the `module` in its place, with inputs drawn with `seed`."""
        shape = (size, size + 1) if isinstance(size, int) else size
        return self.make(np.random.default_rng(seed), shape, module or self.module)


def convolution(kh: int, kw: int, channels: int = 3, outputs: int = 4) -> OperationInfo:
    """A convolution with kernels of kh x kw pixels."""

    def make(random, shape, module):
        x = random.standard_normal((2, *shape, channels))
        w, b = random.standard_normal((kh, kw, channels, outputs)), random.standard_normal(outputs)
        return OperationInstance(("x", "w", "b"), (x, w, b), module.forward, module.backward, oracles.conv2d)

    return OperationInfo(conv2d, make)


def _relu(random, shape, module):
    x = random.standard_normal((2, *shape, 3))
    x[0, 0, 0, 0] = 0
    return OperationInstance(("x",), (x,), module.forward, module.backward, oracles.relu, relu_signs)


def _average_pool(random, shape, module):
    x = random.standard_normal((2, *shape, 3))
    return OperationInstance(("x",), (x,), module.forward, module.backward, oracles.average_pool)


def _max_pool(random, shape, module):
    """In one square of each image and channel two pixels tie for the first place, as zeros behind a ReLU do."""
    x = random.standard_normal((2, *shape, 3))
    x[:, 0, 1] = x[:, 1, 0] = 4 + random.standard_normal((2, 3))
    return OperationInstance(("x",), (x,), module.forward, module.backward, oracles.max_pool, pool_winners)


def _preprocess(random, shape, module):
    x = random.uniform(0, 255, (2, *shape, 3))
    return OperationInstance(
        ("x",),
        (x,),
        lambda x: module.forward(x, *PREPROCESSING),
        module.backward,
        lambda x: oracles.preprocess(x, *PREPROCESSING),
    )


def _gram(random, shape, module):
    x = random.standard_normal((2, *shape, 4))
    return OperationInstance(("x",), (x,), module.forward, module.backward, oracles.gram)


def _content_loss(random, shape, module):
    F, P = random.standard_normal((2, 2, *shape, 3))
    return OperationInstance(
        ("F",),
        (F,),
        lambda F: module.forward(F, P),
        module.backward,
        lambda F: oracles.content_loss(F, F.new_tensor(P)),
    )


def _style_loss(random, shape, module):
    F, S = random.standard_normal((2, 2, *shape, 4))
    A = np.einsum("nhwi,nhwj->nij", S, S)
    return OperationInstance(
        ("F",), (F,), lambda F: module.forward(F, A), module.backward, lambda F: oracles.style_loss(F, F.new_tensor(A))
    )


def _total_variation(random, shape, module):
    x = random.uniform(0, 255, (2, *shape, 3))
    return OperationInstance(("x",), (x,), module.forward, module.backward, oracles.total_variation)


def _equation_2(random, shape, module):
    """The content loss of a ReLU's output, differentiated with respect to its input in one go."""
    z, P = random.standard_normal((2, 2, *shape, 3))
    P = np.maximum(P, 0)

    def forward(z):
        F = np.maximum(z, 0)
        return module.forward(F, P)[0], F

    return OperationInstance(
        ("z",),
        (z,),
        forward,
        lambda grad_y, F: grad_y * module.equation_2(F, P),
        lambda z: oracles.content_loss(oracles.relu(z), z.new_tensor(P)),
        relu_signs,
    )


def _equation_6(random, shape, module):
    """The style loss of a ReLU's output, differentiated with respect to its input in one go."""
    z, S = random.standard_normal((2, 1, *shape, 4))
    S = np.maximum(S, 0)
    A = np.einsum("nhwi,nhwj->nij", S, S)

    def forward(z):
        F = np.maximum(z, 0)
        return module.forward(F, A)[0], F

    def backward(grad_y, F):
        return grad_y * module.equation_6(F.reshape(-1, 4), A[0]).reshape(F.shape)

    return OperationInstance(
        ("z",),
        (z,),
        forward,
        backward,
        lambda z: oracles.style_loss(oracles.relu(z), z.new_tensor(A)),
        relu_signs,
    )


OPERATIONS: Mapping[str, OperationInfo] = {
    "conv2d": convolution(3, 3),
    "conv2d 5x3": convolution(5, 3),
    "conv2d 1x1": convolution(1, 1),
    "relu": OperationInfo(relu, _relu, relu_signs),
    "average_pool": OperationInfo(average_pool, _average_pool),
    "max_pool": OperationInfo(max_pool, _max_pool, pool_winners),
    "preprocess": OperationInfo(preprocess, _preprocess),
    "gram": OperationInfo(gram, _gram),
    "content_loss": OperationInfo(content_loss, _content_loss),
    "style_loss": OperationInfo(style_loss, _style_loss),
    "total_variation": OperationInfo(total_variation, _total_variation),
    "equation 2": OperationInfo(content_loss, _equation_2, relu_signs),
    "equation 6": OperationInfo(style_loss, _equation_6, relu_signs),
}

# For a GPU's kernels, whose mistakes may begin with the second of something: images so wide that there are several
# blocks of threads in a row, and so many channels that tiled.cu takes them in several chunks.
ON_A_GPU: Mapping[str, OperationInfo] = {**OPERATIONS, "conv2d": convolution(3, 3, channels=9, outputs=5)}
GPU_SIZE = 9, 90


def module_name(name: str) -> str:
    """Return the name of the module of `scratchnst.ops` that the operation `name` lives in."""
    return OPERATIONS[name].module.__name__.rpartition(".")[2]


def recognise(inputs: Sequence[Array], output: Array) -> str | None:
    """Return the name of the one operation that makes `output` of `inputs`, or None if there is none or several."""
    modules = {operation.module.__name__: operation.module for operation in OPERATIONS.values()}
    found = [name.rpartition(".")[2] for name, module in modules.items() if _makes(module, inputs, output)]
    return found[0] if len(found) == 1 else None


def _makes(module, inputs, output):
    try:
        with np.errstate(all="ignore"):
            y, _ = module.forward(*(x.copy() for x in inputs))
    except Exception:  # these inputs are none that the operation takes
        return False
    return np.shape(y) == np.shape(output) and np.allclose(y, output, rtol=1e-5, atol=1e-6 * float(np.abs(y).max()))


def kinks_of(name: str | None) -> Callable | None:
    """Return the kinks of the operation `name`, None for one that has none or that nobody knows."""
    return OPERATIONS[name].kinks if name is not None and name in OPERATIONS else None
