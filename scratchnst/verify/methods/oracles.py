"""The gradient by PyTorch's automatic differentiation, an oracle that shares no code with this package.

PyTorch is optional; it is imported when it is first needed.  The textbook's operations and its objective are written
here in PyTorch, with its own functions where it has them, for this package's layout: images (N, H, W, C), kernels
(kh, kw, C, K).
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from scratchnst.arrays import Array, asnumpy
from scratchnst.losses.projections import directions
from scratchnst.models.layers import IMAGE
from scratchnst.models.network import Network
from scratchnst.transfer import objective as objectives
from scratchnst.transfer.objective import Objective

Tensor = Any


def is_available() -> bool:
    """Whether PyTorch is installed."""
    return importlib.util.find_spec("torch") is not None


def gradients(f: Callable, inputs: Sequence[Array], weights: Array | float = 1.0) -> tuple[Array, list[np.ndarray]]:
    """Return y = f(*inputs) and the derivatives of <weights, y> with respect to each input.

    Parameters
    ----------
    f : torch tensors -> tensor
    inputs : NumPy arrays, float64
    weights : NumPy array of y's shape, or a number
    """
    torch = _torch()
    tensors = [torch.tensor(np.asarray(x), dtype=torch.float64, requires_grad=True) for x in inputs]
    y = f(*tensors)
    (torch.tensor(np.asarray(weights), dtype=torch.float64) * y).sum().backward()
    grads = [torch.zeros_like(tensor) if tensor.grad is None else tensor.grad for tensor in tensors]
    return y.detach().numpy(), [grad.numpy() for grad in grads]


def conv2d(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """`scratchnst.ops.conv2d`."""
    y = _functional().conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), b, padding="same")
    return y.permute(0, 2, 3, 1)


def relu(x: Tensor) -> Tensor:
    """`scratchnst.ops.relu`."""
    return _functional().relu(x)


def average_pool(x: Tensor) -> Tensor:
    """`scratchnst.ops.average_pool`."""
    return _functional().avg_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


def max_pool(x: Tensor) -> Tensor:
    """`scratchnst.ops.max_pool`."""
    return _functional().max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


def reflection_pad(x: Tensor, rows: int, columns: int) -> Tensor:
    """`scratchnst.ops.reflection_pad`."""
    y = _functional().pad(x.permute(0, 3, 1, 2), (columns, columns, rows, rows), mode="reflect")
    return y.permute(0, 2, 3, 1)


def replicate_pad(x: Tensor, rows: int, columns: int) -> Tensor:
    """`scratchnst.ops.replicate_pad`."""
    y = _functional().pad(x.permute(0, 3, 1, 2), (columns, columns, rows, rows), mode="replicate")
    return y.permute(0, 2, 3, 1)


def upsample(x: Tensor) -> Tensor:
    """`scratchnst.ops.upsample`."""
    return _functional().interpolate(x.permute(0, 3, 1, 2), scale_factor=2, mode="nearest").permute(0, 2, 3, 1)


def strided_conv2d(x: Tensor, w: Tensor, b: Tensor, stride: int = 1) -> Tensor:
    """`scratchnst.ops.strided_conv2d`."""
    return _functional().conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), b, stride).permute(0, 2, 3, 1)


def reflected_conv2d(x: Tensor, w: Tensor, b: Tensor, stride: int = 1) -> Tensor:
    """`scratchnst.engine.textbook.reflected_conv2d`."""
    return strided_conv2d(reflection_pad(x, w.shape[0] // 2, w.shape[1] // 2), w, b, stride)


def replicated_conv2d(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """`scratchnst.engine.textbook.replicated_conv2d`."""
    return strided_conv2d(replicate_pad(x, w.shape[0] // 2, w.shape[1] // 2), w, b)


def upsampled_conv2d(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """`scratchnst.engine.textbook.upsampled_conv2d`."""
    return reflected_conv2d(upsample(x), w, b)


def preprocess(x: Tensor, channels: str, scale: float, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """`scratchnst.ops.preprocess`."""
    x = x.flip(3) if channels == "BGR" else x
    return (x * scale - x.new_tensor(mean)) / x.new_tensor(std)


def gram(x: Tensor) -> Tensor:
    """`scratchnst.losses.gram`."""
    return _torch().einsum("nhwi,nhwj->nij", x, x)


def matrix_square_root(A: Tensor, epsilon: Tensor | float = 1e-10) -> Tensor:
    """`scratchnst.ops.matrix_square_root`: a step of Newton's from the root itself, which has the root's derivative."""
    torch = _torch()
    identity = torch.eye(A.shape[-1], dtype=A.dtype)
    roots = []
    for K in (A + A.mT) / 2 + epsilon * identity:
        values, V = torch.linalg.eigh(K.detach())
        R = (V * values.sqrt()) @ V.T
        system = torch.kron(identity, R) + torch.kron(R, identity)
        roots.append(torch.linalg.solve(system, (K + R @ R).flatten()).reshape(K.shape))
    return torch.stack(roots)


def whitening(x: Tensor, style: Tensor) -> Tensor:
    """`scratchnst.ops.whitening`."""
    torch = _torch()

    def statistics(x):
        pixels = x.flatten(1, 2)
        mean = pixels.mean(1, keepdim=True)
        covariance = torch.stack([torch.cov(one.T, correction=0) for one in pixels])
        e = 1e-5 * (1 + covariance.diagonal(dim1=1, dim2=2).mean(1))
        return pixels - mean, mean, matrix_square_root(covariance, e[:, None, None])

    (X, _, R), (_, mean_s, R_s) = statistics(x), statistics(style)
    return (torch.linalg.solve(R, X.mT).mT @ R_s + mean_s).reshape(x.shape)


def content_loss(F: Tensor, P: Tensor) -> Tensor:
    """`scratchnst.losses.content_loss`."""
    return _functional().mse_loss(F, P, reduction="sum") / 2


def style_loss(F: Tensor, A: Tensor) -> Tensor:
    """`scratchnst.losses.style_loss`."""
    N, M = F.shape[3], F.shape[1] * F.shape[2]
    return ((gram(F) - A) ** 2).sum() / (4 * N**2 * M**2)


def moment_matrix(x: Tensor) -> Tensor:
    """`scratchnst.losses.moment_matrix`."""
    return gram(_torch().cat([x, _torch().ones_like(x[..., :1])], dim=3))


def moments_style_loss(F: Tensor, target: Tensor) -> Tensor:
    """`scratchnst.losses.moments_style_loss`."""
    M = target[:, -1:, -1]
    mean = target[:, :-1, -1] / M
    deviation = (target[:, :-1, :-1].diagonal(dim1=1, dim2=2) / M - mean**2 + 1e-5).sqrt()
    return ((moments(F) - _torch().stack([mean, deviation], dim=1)) ** 2).sum() / F.shape[3]


def wasserstein_style_loss(F: Tensor, target: Tensor) -> Tensor:
    """`scratchnst.losses.wasserstein_style_loss`."""
    torch = _torch()
    M = target[:, -1:, -1:]
    mean_s, products = target[:, :-1, -1] / M[:, 0], target[:, :-1, :-1] / M
    q = products.diagonal(dim1=1, dim2=2).mean(1)
    e_I = 1e-4 * (q + 1e-12)[:, None, None] * torch.eye(F.shape[3], dtype=F.dtype)
    K_s = products - mean_s[:, :, None] * mean_s[:, None] + e_I
    pixels = F.flatten(1, 2)
    K = torch.stack([torch.cov(one.T, correction=0).reshape(e_I[0].shape) for one in pixels]) + e_I
    R = matrix_square_root(K_s, 0)
    squares = ((pixels.mean(1) - mean_s) ** 2).sum(1)
    return (
        squares + sum(_trace(each) for each in (K, K_s)) - 2 * _trace(matrix_square_root(R @ K @ R, 0))
    ).sum() / len(K[0])


def projections(x: Tensor) -> Tensor:
    """`scratchnst.losses.projections`, whose directions are given."""
    return _torch().einsum("nhwc,ck->nhwk", x, x.new_tensor(directions(x.shape[3])))


def sliced_style_loss(F: Tensor, target: Tensor) -> Tensor:
    """`scratchnst.losses.sliced_style_loss`."""
    return ((projections(F).flatten(1, 2).mT.sort(dim=2).values - target) ** 2).sum() / F[0].numel()


def absolute_variation(x: Tensor) -> Tensor:
    """`scratchnst.losses.absolute_variation`."""
    return _torch().diff(x, dim=1).abs().sum() + _torch().diff(x, dim=2).abs().sum()


def laplacian_loss(x: Tensor, content: Tensor, halvings: int = 2) -> Tensor:
    """`scratchnst.losses.laplacian_loss`."""
    functional, s = _functional(), (x - content).sum(3)[:, None]
    kernel = s.new_tensor([[[[0, -1, 0], [-1, 4, -1], [0, -1, 0]]]])
    d = functional.conv2d(functional.avg_pool2d(s, 2**halvings), kernel)
    return (d**2).sum() / d[0].numel()


def _trace(A):
    return A.diagonal(dim1=1, dim2=2).sum(1)


def cross_gram(x: Tensor, y: Tensor) -> Tensor:
    """`scratchnst.losses.cross_gram`: what the paper says, the deeper layer upsampled, for a quarter of each square."""
    height, width = y.shape[1:3]
    side = 1 << (x.shape[1] // height).bit_length() - 1  # the power of two: rows that are left over count for none
    larger = y.repeat_interleave(side, 1).repeat_interleave(side, 2) / side**2
    return _torch().einsum("nhwi,nhwj->nij", x[:, : side * height, : side * width], larger)


def cross_style_loss(F: Tensor, K: Tensor, A: Tensor) -> Tensor:
    """`scratchnst.losses.cross_style_loss`."""
    M = K.shape[1] * K.shape[2]
    return ((cross_gram(F, K) - A) ** 2).sum() / (4 * F.shape[3] * K.shape[3] * M**2)


def total_variation(x: Tensor) -> Tensor:
    """`scratchnst.losses.total_variation`."""
    torch = _torch()
    return (torch.diff(x, dim=1) ** 2).sum() + (torch.diff(x, dim=2) ** 2).sum()


def addition(a: Tensor, b: Tensor) -> Tensor:
    """`scratchnst.ops.addition`."""
    return a + b


def guide(x: Tensor, T: Tensor) -> Tensor:
    """`scratchnst.ops.guide`."""
    return _torch().einsum("nhwc,nhwk->nhwc", x, T)


def instance_norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """`scratchnst.ops.instance_norm`."""
    z = _functional().instance_norm(x.permute(0, 3, 1, 2), eps=1e-5).permute(0, 2, 3, 1)
    return z * scale[:, None, None] + shift[:, None, None]


def moments(x: Tensor) -> Tensor:
    """`scratchnst.ops.moments`."""
    variance, mean = _torch().var_mean(x, dim=(1, 2), correction=0)
    return _torch().stack([mean, (variance + 1e-5).sqrt()], dim=1)


def adain(content: Tensor, style: Tensor) -> Tensor:
    """`scratchnst.ops.adain`."""
    shift, scale = moments(style).unbind(1)
    return instance_norm(content, scale, shift)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "conv2d": conv2d,
    "relu": relu,
    "average_pool": average_pool,
    "max_pool": max_pool,
    "addition": addition,
    "guide": guide,
    "instance_norm": instance_norm,
    "moments": moments,
    "adain": adain,
    "reflection_pad": reflection_pad,
    "replicate_pad": replicate_pad,
    "upsample": upsample,
    "strided_conv2d": strided_conv2d,
    "reflected_conv2d": reflected_conv2d,
    "replicated_conv2d": replicated_conv2d,
    "upsampled_conv2d": upsampled_conv2d,
}


def _summed(statistic):
    """The target of a loss that compares sums over positions, for so many of them."""
    return lambda S, positions: statistic(S) * (positions / S[0, ..., 0].numel())


def quantiles(S: Tensor, positions: int) -> Tensor:
    """`scratchnst.losses.projections.as_target` of the projections of S."""
    ascending = projections(S).flatten(1, 2).mT.sort(dim=2).values
    return _functional().interpolate(ascending, size=positions, mode="linear", align_corners=False)


# A loss of features and their target, and the target of a style's features.
STYLE_LOSSES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "style_loss": (style_loss, _summed(gram)),
    "moments_style_loss": (moments_style_loss, _summed(moment_matrix)),
    "wasserstein_style_loss": (wasserstein_style_loss, _summed(moment_matrix)),
    "sliced_style_loss": (sliced_style_loss, quantiles),
}
OF_IMAGES: dict[str, Callable[..., Any]] = {
    "total_variation": total_variation,
    "absolute_variation": absolute_variation,
    "laplacian_loss": laplacian_loss,
}


def features(network: Network, x: Tensor, taps: Sequence[str]) -> Mapping[str, Tensor]:
    """Return layer name -> activations of images `x` (N, H, W, 3): `Network.forward`.

    The network's parameters are arrays, or tensors, whose gradients are then to be had.
    """
    settings = network.preprocessing
    outputs = {IMAGE: preprocess(x, settings.channels, settings.scale, settings.mean, settings.std)}
    sources = network.sources()
    for layer in network.needed(taps):
        inputs = (outputs[source] for source in sources[layer.name])
        parameters = tuple(_tensor(array, x) for array in network.parameters.get(layer.name, ()))
        first, *others = layer.rule.steps(network.pooling)
        y = OPERATIONS[first](*inputs, *layer.rule.arguments(parameters))
        for step in others:
            y = OPERATIONS[step](y)
        outputs[layer.name] = y
    return outputs


def knows(ours: Objective) -> bool:
    """Return whether all operations and losses of an objective are here, so that `objective` can be asked."""
    network = ours.network
    steps = {step for layer in network.layers for step in layer.rule.steps(network.pooling)}
    if ours.keep is not None or any(term.guide is not None for term in ours.summands):
        return False
    losses = {term.loss_name for term in (*ours.summands, *ours.pixel_summands)}
    return steps <= OPERATIONS.keys() and losses <= {"content_loss", "cross_style_loss", *STYLE_LOSSES, *OF_IMAGES}


def objective(ours: Objective) -> Callable[[Tensor], Tensor]:
    """Return equation 7 with the settings of `ours`, as a function of a picture (H, W, 3), from its images on."""
    network, taps = ours.network, [*ours.content_layers, *ours.style_layers]
    style_layers = [layer.name for layer in network.layers if ours.style_layers.get(layer.name)]
    correlated: dict[tuple[str, ...], float] = {}  # layers whose channels are correlated -> weight
    if ours.correlations != "neighbours":
        correlated |= {(name,): ours.style_layers[name] for name in style_layers}
    if ours.correlations != "layers":
        w = ours.style_layers
        correlated |= {pair: (w[pair[0]] * w[pair[1]]) ** 0.5 for pair in pairwise(style_layers)}

    def of(picture):
        picture = picture if hasattr(picture, "detach") else _torch().tensor(np.asarray(picture, "float64"))
        return features(network, picture[None], taps)

    def shifted(of_image, name):
        return of_image[name] + of_image[name].new_tensor(ours.shifts.get(name, 0.0))

    def loss(x):
        F, total = of(x), x.new_zeros(())
        for term in ours.pixel_summands:
            targets = [x.new_tensor(asnumpy(target)) for target in term.targets]
            total = total + term.weight * OF_IMAGES[term.loss_name](x[None], *targets)
        style_loss_name, factor = objectives.STYLE_LOSSES[ours.style_loss]
        distance, target = STYLE_LOSSES[style_loss_name]
        if ours.content is not None:
            P = of(ours.content)
            for name, weight in ours.content_layers.items():
                total = total + ours.content_weight * weight * content_loss(F[name], P[name])
        for style, share in zip(ours.styles, ours.style_blend):
            S = of(style)
            for names, weight in correlated.items():
                seen, seen_of_style = ([shifted(of_image, name) for name in names] for of_image in (F, S))
                positions = F[names[-1]][0, ..., 0].numel()
                if len(names) == 1:
                    E = distance(*seen, target(*seen_of_style, positions))
                else:
                    as_many = positions / S[names[-1]][0, ..., 0].numel()
                    E = cross_style_loss(seen[0], seen[1], as_many * cross_gram(*seen_of_style))
                total = total + ours.style_weight * factor * share * weight * E
        return total

    return loss


def _tensor(array, like):
    """A parameter as a tensor, float64."""
    return array if hasattr(array, "detach") else like.new_tensor(asnumpy(array).astype("float64"))


def _torch():
    return importlib.import_module("torch")


def _functional():
    return importlib.import_module("torch.nn.functional")
