"""The textbook's operations, each with random inputs to check it on.

Inputs are neither square nor alone: heights, widths, numbers of images, channels and filters all differ, so that a
mistake in their order shows.  There are a few exact ties and zeros where an operation has kinks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from scratchnst.arrays import Array
from scratchnst.losses import (
    absolute_variation,
    content_loss,
    cross_gram,
    cross_style_loss,
    gram,
    laplacian_loss,
    moment_matrix,
    moments_style_loss,
    projections,
    sliced_style_loss,
    style_loss,
    total_variation,
    wasserstein_style_loss,
)
from scratchnst.ops import (
    adain,
    addition,
    average_pool,
    conv2d,
    guide,
    instance_norm,
    matrix_square_root,
    max_pool,
    moments,
    preprocess,
    reflection_pad,
    relu,
    replicate_pad,
    strided_conv2d,
    upsample,
    whitening,
)
from scratchnst.verify.methods import oracles
from scratchnst.verify.methods.kinks import difference_signs, pool_winners, projection_ranks, relu_signs

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


def _functions(module: ModuleType, *constants: Any) -> tuple[Callable, Callable]:
    """The forward and backward of an operation's module."""
    return lambda *inputs: module.forward(*inputs, *constants), module.backward


@dataclass(frozen=True)
class OperationInfo:
    """One operation of the textbook.

    Attributes
    ----------
    module : of `scratchnst.ops` or `scratchnst.losses`
    oracle : the same in PyTorch, of tensors
    draw : (random, (height, width) of images) -> inputs, and the arguments that have no gradient
    names : of the inputs
    kinks : inputs -> {name: integer array}, or None
    functions : (module, *arguments without a gradient) -> forward, backward
    """

    module: ModuleType
    oracle: Callable
    draw: Callable[[np.random.Generator, tuple[int, int]], tuple[Sequence[Array], Sequence[Any]]]
    names: tuple[str, ...] = ("x",)
    kinks: Callable | None = None
    functions: Callable[..., tuple[Callable, Callable]] = _functions

    def instance(self, seed: int = 0, size: Size = 5, module: ModuleType | None = None) -> OperationInstance:
        """Return the operation, or the `module` in its place, with inputs drawn with `seed`."""
        shape = (size, size + 1) if isinstance(size, int) else size
        inputs, constants = self.draw(np.random.default_rng(seed), shape)
        forward, backward = self.functions(module or self.module, *constants)

        def torch_forward(x, *tensors):
            others = (x.new_tensor(each) if isinstance(each, np.ndarray) else each for each in constants)
            return self.oracle(x, *tensors, *others)

        return OperationInstance(self.names, tuple(inputs), forward, backward, torch_forward, self.kinks)


def convolution(kh: int, kw: int, channels: int = 3, outputs: int = 4) -> OperationInfo:
    """A convolution with kernels of kh x kw pixels."""

    def draw(random, shape):
        shapes = ((2, *shape, channels), (kh, kw, channels, outputs), outputs)
        return [random.standard_normal(each) for each in shapes], ()

    return OperationInfo(conv2d, oracles.conv2d, draw, ("x", "w", "b"))


def strided(kh: int, kw: int, stride: int) -> OperationInfo:
    """A convolution with a stride; images have as many pixels more as a window takes beside its first."""

    def draw(random, shape):
        shapes = ((2, shape[0] + kh - 1, shape[1] + kw - 1, 3), (kh, kw, 3, 4), 4)
        return [random.standard_normal(each) for each in shapes], [stride]

    return OperationInfo(strided_conv2d, oracles.strided_conv2d, draw, ("x", "w", "b"))


def _normal(channels=3):
    return lambda random, shape: ([random.standard_normal((2, *shape, channels))], ())


def _normal_with_zero(random, shape):
    x = random.standard_normal((2, *shape, 3))
    x[0, 0, 0, 0] = 0
    return [x], ()


def _normal_with_ties(random, shape):
    """In one square of each image and channel two pixels tie for the first place, as zeros behind a ReLU do."""
    x = random.standard_normal((2, *shape, 3))
    x[:, 0, 1] = x[:, 1, 0] = 4 + random.standard_normal((2, 3))
    return [x], ()


def _normal_and_margins(random, shape):
    """The mirrors of two columns overlap where there are few; a single row or column shows nothing."""
    return [random.standard_normal((2, *shape, 3))], [min(1, shape[0] - 1), min(2, shape[1] - 1)]


def _pixels(*constants):
    return lambda random, shape: ([random.uniform(0, 255, (2, *shape, 3))], constants)


def _different_pixels(random, shape):
    """No two numbers are nearly equal."""
    shape = (2, *shape, 3)
    return [random.permutation(np.linspace(0, 255, np.prod(shape))).reshape(shape)], ()


def _two_alike(random, shape):
    return random.standard_normal((2, 2, *shape, 3)), ()


def _scaled_and_shifted(random, shape):
    return [random.standard_normal(each) for each in ((2, *shape, 3), (2, 3), (2, 3))], ()


def _own_moments(random, shape):
    """The channels have other moments than 0 and 1."""
    return [2 * random.standard_normal((2, *shape, 3)) + random.standard_normal(3)], ()


def _content_and_style(random, shape):
    """The style has more rows and columns than the content."""
    sides = shape, (shape[0] + 2, shape[1] + 4)
    return [_own_moments(random, each)[0][0] for each in sides], ()


def _positive_matrices(random, shape):
    """Symmetric, of whatever size the images are, with eigenvalues that differ."""
    F = random.standard_normal((2, 12, 4))
    return [F.swapaxes(1, 2) @ F / 6], ()


def _of_content_and_style(random, shape):
    """The style has another number of pixels, another mean and another covariance."""
    x, style = (random.standard_normal((2, *each, 3)) for each in (shape, (shape[0] + 2, shape[1])))
    mixed, of_style = (np.eye(3) + 0.4 * random.standard_normal((3, 3)) for _ in range(2))
    return [x @ mixed, style @ of_style + (1, -2, 3)], ()


def _features(random, shape):
    F, P = random.standard_normal((2, 2, *shape, 3))
    return [F], [P]


def _features_and_guide(random, shape):
    T = random.uniform(0, 2, (1, *shape, 1))
    T[0, 0] = 0  # outside of the region
    return [random.standard_normal((2, *shape, 3))], [T]


def _rectified_features(random, shape):
    z, P = random.standard_normal((2, 2, *shape, 3))
    return [z], [np.maximum(P, 0)]


def _features_and_gram(random, shape):
    F, S = random.standard_normal((2, 2, *shape, 4))
    return [F], [np.einsum("nhwi,nhwj->nij", S, S)]


def _features_and_moments(random, shape):
    """Of a style with as many positions, another mean and other covariances."""
    F, S = (random.standard_normal((2, *shape, 4)) for _ in range(2))
    S = np.concatenate([S @ (np.eye(4) + 0.4 * random.standard_normal((4, 4))) + 1, np.ones((2, *shape, 1))], axis=3)
    return [F], [np.einsum("nhwi,nhwj->nij", S, S)]


def _features_and_quantiles(random, shape):
    F, S = random.standard_normal((2, 2, *shape, 4))
    return [F], [np.sort(S.reshape(2, -1, 4) + 1, axis=1).swapaxes(1, 2)]


def _pixels_and_content(random, shape):
    """Large enough for squares of 2x2 pixels, of which some have four neighbours; a row or column is left over."""
    x, content = random.uniform(0, 255, (2, 2, 2 * shape[0] + 2, 2 * shape[1] + 3, 3))
    return [x], [content, 1]


def _pair_of_layers(random, shape):
    """A layer and one behind a pool, with other channels."""
    return [random.standard_normal((4, *sides, C)) for sides, C in ((shape, 7), ([side // 2 for side in shape], 5))], ()


def _pair_and_gram(random, shape):
    (F, K), _ = _pair_of_layers(random, shape)
    return [F, K], [random.standard_normal((4, 7, 5))]


def _rectified_features_and_gram(random, shape):
    z, S = random.standard_normal((2, 1, *shape, 4))
    S = np.maximum(S, 0)
    return [z], [np.einsum("nhwi,nhwj->nij", S, S)]


def _after_relu(gradient):
    """The functions of a loss of a ReLU's output, with its `gradient` with respect to the ReLU's input."""

    def functions(module, target):
        def forward(z):
            F = np.maximum(z, 0)
            return module.forward(F, target)[0], F

        return forward, lambda grad_y, F: grad_y * gradient(module, F, target)

    return functions


OPERATIONS: Mapping[str, OperationInfo] = {
    "conv2d": convolution(3, 3),
    "conv2d 5x3": convolution(5, 3),
    "conv2d 1x1": convolution(1, 1),
    "relu": OperationInfo(relu, oracles.relu, _normal_with_zero, kinks=relu_signs),
    "average_pool": OperationInfo(average_pool, oracles.average_pool, _normal()),
    "max_pool": OperationInfo(max_pool, oracles.max_pool, _normal_with_ties, kinks=pool_winners),
    "reflection_pad": OperationInfo(reflection_pad, oracles.reflection_pad, _normal_and_margins),
    "replicate_pad": OperationInfo(replicate_pad, oracles.replicate_pad, _normal_and_margins),
    "upsample": OperationInfo(upsample, oracles.upsample, _normal()),
    "strided_conv2d": strided(3, 3, 1),
    "strided_conv2d by 2": strided(3, 3, 2),
    "strided_conv2d 5x3 by 2": strided(5, 3, 2),
    "preprocess": OperationInfo(preprocess, oracles.preprocess, _pixels(*PREPROCESSING)),
    "gram": OperationInfo(gram, oracles.gram, _normal(channels=4)),
    "cross_gram": OperationInfo(cross_gram, oracles.cross_gram, _pair_of_layers, ("x", "y")),
    "matrix_square_root": OperationInfo(matrix_square_root, oracles.matrix_square_root, _positive_matrices, ("A",)),
    "whitening": OperationInfo(whitening, oracles.whitening, _of_content_and_style, ("x", "style")),
    "content_loss": OperationInfo(content_loss, oracles.content_loss, _features, ("F",)),
    "style_loss": OperationInfo(style_loss, oracles.style_loss, _features_and_gram, ("F",)),
    "moment_matrix": OperationInfo(moment_matrix, oracles.moment_matrix, _normal(channels=4)),
    "moments_style_loss": OperationInfo(moments_style_loss, oracles.moments_style_loss, _features_and_moments, ("F",)),
    "wasserstein_style_loss": OperationInfo(
        wasserstein_style_loss, oracles.wasserstein_style_loss, _features_and_moments, ("F",)
    ),
    "projections": OperationInfo(projections, oracles.projections, _normal(channels=4)),
    "sliced_style_loss": OperationInfo(
        sliced_style_loss, oracles.sliced_style_loss, _features_and_quantiles, ("F",), projection_ranks
    ),
    "cross_style_loss": OperationInfo(cross_style_loss, oracles.cross_style_loss, _pair_and_gram, ("F", "K")),
    "total_variation": OperationInfo(total_variation, oracles.total_variation, _pixels()),
    "absolute_variation": OperationInfo(
        absolute_variation, oracles.absolute_variation, _different_pixels, kinks=difference_signs
    ),
    "laplacian_loss": OperationInfo(laplacian_loss, oracles.laplacian_loss, _pixels_and_content),
    "addition": OperationInfo(addition, oracles.addition, _two_alike, ("a", "b")),
    "guide": OperationInfo(guide, oracles.guide, _features_and_guide),
    "instance_norm": OperationInfo(instance_norm, oracles.instance_norm, _scaled_and_shifted, ("x", "scale", "shift")),
    "moments": OperationInfo(moments, oracles.moments, _own_moments),
    "adain": OperationInfo(adain, oracles.adain, _content_and_style, ("content", "style")),
    "equation 2": OperationInfo(
        content_loss,
        lambda z, P: oracles.content_loss(oracles.relu(z), P),
        _rectified_features,
        ("z",),
        relu_signs,
        _after_relu(lambda module, F, P: module.equation_2(F, P)),
    ),
    "equation 6": OperationInfo(
        style_loss,
        lambda z, A: oracles.style_loss(oracles.relu(z), A),
        _rectified_features_and_gram,
        ("z",),
        relu_signs,
        _after_relu(lambda module, F, A: module.equation_6(F.reshape(-1, 4), A[0]).reshape(F.shape)),
    ),
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
    if found == ["conv2d", "strided_conv2d"]:  # where nothing is padded, as with 1x1 kernels, they are the same
        found.pop()
    return found[0] if len(found) == 1 else None


def _makes(module, inputs, output):
    try:
        with np.errstate(all="ignore"):
            y, _ = module.forward(*(x.copy() for x in inputs))
    except Exception:  # these inputs are none that the operation takes
        return False
    return np.shape(y) == np.shape(output) and np.allclose(y, output, rtol=1e-5, atol=1e-6 * float(np.abs(y).max()))


def kinks_of(name: str | None) -> Callable | None:
    """Return the kinks of the operation `name`, None for one that has none or is not among them."""
    return OPERATIONS[name].kinks if name is not None and name in OPERATIONS else None
