"""The transform network in PyTorch, eagerly, as its users write it: a step of its training, and a painting.

Its layers are those of the table, in PyTorch's own functions.  A convolution in front of a norm has no bias, and of the
one style the norms' scale and shift are (C,).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from scratchnst.bench import trainer
from scratchnst.bench.painter import painting, photograph
from scratchnst.bench.peer import OnTorch, Tensor
from scratchnst.bench.trainer import ADAM, DISTILLED, LOSS
from scratchnst.engine import cpu
from scratchnst.fast.arbitrary_style import ArbitraryStyle, grained
from scratchnst.fast.fast_style import FastStyle
from scratchnst.models import style_predictor, transform_net
from scratchnst.models.layers import IMAGE
from scratchnst.models.network import Network
from scratchnst.models.transform_net import MEAN, OUTPUT, SPREAD
from scratchnst.ops.instance_norm import EPSILON
from scratchnst.training.style_training import LARGEST_GRADIENT


class TorchNetwork:
    """A network whose features PyTorch computes.

    Parameters
    ----------
    network : with one style, if any
    contender : which makes tensors of arrays
    """

    def __init__(self, network: Network, contender: OnTorch):
        self.network, self.functional, tensor = network, contender.torch.nn.functional, contender.tensor
        self.kinds = {layer.name: layer.kind for layer in network.layers}
        settings = network.preprocessing
        self.flipped = settings.channels == "BGR"
        factor = settings.scale / np.array(settings.std, np.float32)
        offset = np.array(settings.mean, np.float32) / np.array(settings.std, np.float32)
        self.factor, self.offset = (tensor(np.float32(each).reshape(1, 3, 1, 1)) for each in (factor, offset))
        learnt = transform_net.learnt(network)
        self.parameters: dict[str, list[Tensor]] = {
            name: [tensor(_parameter(array)) if learnt[name][place] else None for place, array in enumerate(arrays)]
            for name, arrays in network.parameters.items()
        }
        self.operations: dict[str, Callable[..., Tensor]] = {
            "conv": lambda x, w, b: self.functional.relu_(self._convolution(x, w, b)),
            "linear": self._convolution,
            "pool": lambda x: self.functional.avg_pool2d(x, 2),
            "reflected": self._reflected,
            "strided": lambda x, w, b: self._reflected(x, w, b, 2),
            "upsampled": lambda x, w, b: self._reflected(self.functional.interpolate(x, scale_factor=2), w, b),
            "norm": self._norm,
            "norm_relu": lambda x, scale, shift: self.functional.relu_(self._norm(x, scale, shift)),
            "add": lambda x, y: x + y,
        }

    def features(self, x: Tensor, taps: Iterable[str]) -> dict[str, Tensor]:
        """Return name of tap -> features (N, C, H, W) of images (N, 3, H, W), RGB 0-255; the others are freed."""
        taps = list(taps)
        needed, sources = self.network.needed(taps), self.network.sources()
        readers = Counter([*taps, *(source for layer in needed for source in sources[layer.name])])
        found = {IMAGE: (x.flip(1) if self.flipped else x) * self.factor - self.offset}
        for layer in needed:
            found[layer.name] = self.layer(layer.name, *(found[source] for source in sources[layer.name]))
            for source in sources[layer.name]:
                readers[source] -= 1
                if not readers[source]:
                    del found[source]
        return {name: found[name] for name in taps}

    def layer(self, name: str, *inputs: Tensor) -> Tensor:
        """Return the features of a layer from what it reads."""
        return self.operations[self.kinds[name]](*inputs, *self.parameters.get(name, ()))

    def _convolution(self, x, w, b):
        return self.functional.conv2d(x, w, b, padding=w.shape[2] // 2)

    def _reflected(self, x, w, b, stride=1):
        margin = w.shape[2] // 2
        return self.functional.conv2d(self.functional.pad(x, (margin,) * 4, mode="reflect"), w, b, stride)

    def _norm(self, x, scale, shift):
        return self.functional.instance_norm(x, weight=scale, bias=shift, eps=EPSILON)


class PeerTrainer(OnTorch):
    """A contender: what `scratchnst.bench.trainer.Trainer` does, with PyTorch's Adam."""

    def __init__(self, size: int, device: str = "cpu", memory_format: str = "contiguous_format", task: str = DISTILLED):
        self.task = task
        super().__init__(size, device, memory_format)

    def _load(self, size):
        self.training = trainer.make(size, self.device, cpu, self.task)
        loss = self.training.loss
        self.seeing = TorchNetwork(loss.network, self)
        self.painter = TorchNetwork(self.training.network, self)
        places = self.training.state.moments
        self.learnt = [self.painter.parameters[name][place] for name, place in places]
        for parameter in self.learnt:
            parameter.requires_grad_()
        self.targets = {name: self.tensor(loss.target(0)[name]) for name in loss.style_layers}
        self.adam = self.torch.optim.Adam(self.learnt)
        self.random = np.random.default_rng(self.training.plan.seed)

    def evaluate(self) -> None:
        plan = self.training.plan
        x = self.tensor(_images(self.training.photographs.crops(self.random, plan.batch, plan.side)))
        self.adam.zero_grad()
        loss = self._loss(self._painted(x), x)
        loss.backward()
        self._move()
        state = self.training.state  # which sets the rate
        self.training.state = replace(state, iteration=state.iteration + 1)
        loss.item()

    def compared(self) -> tuple[float, Tensor]:
        """Return the loss of the first crops, and its gradient by all that is learnt, as ours has it."""
        x = self.tensor(_images(trainer.first_crops(self.training)))
        self.adam.zero_grad()
        loss = self._loss(self._painted(x), x)
        loss.backward()
        return loss.item(), self.torch.cat([_ours(parameter.grad).reshape(-1) for parameter in self.learnt])

    def pieces(self) -> dict[str, float]:
        """Return the seconds of the pieces, see `scratchnst.bench.trainer.Trainer`; cutting crops is no work of its."""
        self.compared()
        x = self.tensor(_images(trainer.first_crops(self.training)))
        painted = self._painted(x).detach().requires_grad_()
        names = trainer.distinct(self.training.network, self.training.plan.side)
        pieces: dict[str, Callable[[], Any]] = {name: self._layer(name) for name in names}
        pieces[LOSS] = lambda: self.torch.autograd.grad(self._loss(painted, x), painted)
        pieces[ADAM] = self._move
        return {name: self.seconds(do, trainer.CALLS) for name, do in pieces.items()}

    def _layer(self, name):
        network = self.training.network
        inputs, (g,) = (
            [self.tensor(_images(array)) for array in arrays]
            for arrays in trainer.layer_task(network, name, self.training.plan)
        )
        wanted = [parameter for parameter in self.painter.parameters.get(name, ()) if parameter is not None]
        if not trainer.reads_image(network, name):
            wanted += [each.requires_grad_() for each in inputs]
        return lambda: self.torch.autograd.grad(self.painter.layer(name, *inputs), wanted, g)

    def _painted(self, x):
        return self.painter.features(x, [OUTPUT])[OUTPUT] * SPREAD + MEAN

    def _move(self):
        """A step of Adam, at the same rate; the norm of the gradients is bounded."""
        self.torch.nn.utils.clip_grad_norm_(self.learnt, LARGEST_GRADIENT)
        self.adam.param_groups[0]["lr"] = self.training.rate
        self.adam.step()

    def _loss(self, y: Tensor, x: Tensor) -> Tensor:
        """Equation (e) of `scratchnst.training.perceptual_loss`."""
        ours, count = self.training.loss, len(y)
        with self.torch.no_grad():
            P = self.seeing.features(x, ours.content_layers)
        F = self.seeing.features(y, {*ours.content_layers, *ours.style_layers})
        content = style = 0.0
        for name in ours.content_layers:
            positions = F[name].shape[2] * F[name].shape[3]
            content = content + ((F[name] - P[name]) ** 2).sum() / (positions * ours.energies[name])
        for name in ours.style_layers:
            A = self.targets[name]
            style = style + ((_gram(F[name]) - A) ** 2).sum() / (A**2).sum()
        down, right = y[:, :, 1:] - y[:, :, :-1], y[:, :, :, 1:] - y[:, :, :, :-1]
        roughness = (down**2).sum() + (right**2).sum()
        outside = ((y - y.clamp(0, 255)) ** 2).sum()
        weights, numbers = ours.weights, y.numel() * SPREAD**2
        return (
            weights.content * content / (count * len(ours.content_layers))
            + float(ours.style_weights) * style / (count * len(ours.style_layers))
            + (weights.roughness * roughness + weights.outside * outside) / numbers
        )


class PeerPainter(OnTorch):
    """A contender: what `scratchnst.bench.painter.Painter` does."""

    def _load(self, size):
        network = FastStyle.load().network.astype("float32")
        mixture = np.eye(transform_net.number_of_styles(network), dtype=np.float32)[:1]
        self.painter = TorchNetwork(transform_net.with_styles(network, mixture), self)
        self.photo = photograph(size)

    def evaluate(self) -> Tensor:
        with self.torch.no_grad():
            x = self.tensor(_images(self.photo[np.newaxis]))
            y = self.painter.features(x, [OUTPUT])[OUTPUT] * SPREAD + MEAN
            return y.clamp_(0, 255)[0].permute(1, 2, 0).contiguous().cpu()

    def compared(self) -> tuple[float, Tensor]:
        """Return the painting's mean, and the painting."""
        painting = self.evaluate()
        return painting.mean().item(), painting


class PeerAnyStylePainter(PeerPainter):
    """A contender: what `scratchnst.bench.painter.AnyStylePainter` does."""

    def _load(self, size):
        network = ArbitraryStyle.load().network.astype("float32")
        self.painter = TorchNetwork(network, self)
        self.rows = {
            name: [self.tensor(rows) for rows in network.parameters[name]] for name in transform_net.norms(network)
        }
        self.predictor = [[self.tensor(array) for array in network.parameters[name]] for name in style_predictor.NAMES]
        self.photo, self.style = grained(photograph(size)), painting(size)

    def evaluate(self) -> Tensor:
        with self.torch.no_grad():
            pixels = self.tensor(_images(self.style[np.newaxis]))
            features = self.painter.features(pixels, style_predictor.LAYERS)
            moments = [_moments((pixels - MEAN) / SPREAD), *(_moments(F) for F in features.values())]
            means = [moments[0][0], *(mean - 1 for mean, _ in moments[1:])]
            z = self.torch.cat([each for mean, (_, d) in zip(means, moments) for each in (mean, d.log())], dim=1)
            z = z.clamp(-style_predictor.LARGEST, style_predictor.LARGEST)
            (U, a), (V, b) = self.predictor
            m = (z @ U[0, 0] + a).clamp_(min=0) @ V[0, 0] + b
            for name, rows in self.rows.items():
                self.painter.parameters[name] = [(m @ array)[0] for array in rows]
            mean, deviation = moments[0]
            self.painter.parameters[OUTPUT] = [deviation[0], mean[0]]
        return super().evaluate()


def _moments(F: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (N, C) of features (N, C, H, W)."""
    return F.mean((2, 3)), (F.var((2, 3), correction=0) + EPSILON).sqrt()


def _images(array: np.ndarray) -> np.ndarray:
    """Images (N, H, W, C) as (N, C, H, W)."""
    return array.transpose(0, 3, 1, 2)


def _parameter(array: np.ndarray) -> np.ndarray:
    """A kernel (kh, kw, C, K) as (K, C, kh, kw), of a norm's array (1, C) the one row, a bias as it is."""
    return {4: lambda: array.transpose(3, 2, 0, 1), 2: lambda: array[0], 1: lambda: array}[array.ndim]()


def _ours(gradient: Tensor) -> Tensor:
    """The gradient of a kernel as ours."""
    return gradient.permute(2, 3, 1, 0) if gradient.ndim == 4 else gradient


def _gram(F: Tensor) -> Tensor:
    count, channels, height, width = F.shape
    F = F.reshape(count, channels, height * width)
    return F @ F.transpose(1, 2) / (height * width)
