r"""The perceptual loss that a transform network is trained by (J. Johnson, A. Alahi, L. Fei-Fei, ECCV 2016).

Let y_n be what the network paints of the photograph x_n, n = 1 ... N, in a style whose picture is a_n, and F_l(.) the
features of a loss network at layer l, with G_l(.) = F_l^T F_l / M_l its Gram matrix over M_l positions.  Then ::

    content(n)  = mean over layers of  |F_l(y_n) - F_l(x_n)|^2 / (M_l E_l)                            (a)
    style(n)    = mean over layers of  r_l^2,   r_l = |G_l(y_n) - G_l(a_n)| / |G_l(a_n)|             (b)
    roughness   = mean over pixels of the squared differences of neighbours in y / SPREAD^2           (c)
    outside     = mean over numbers of the squared distance of y from 0 ... 255, / SPREAD^2           (d)
    L = mean over n of (alpha content(n) + beta_n style(n)) + gamma roughness + delta outside         (e)

beta_n is the weight of the n-th image's style, usually the same for all styles.  Where there are many styles, as for a
network that paints in any, the mean is of r_l itself: those that are hard to come near would weigh more than all
others.  E_l is |F_l(x)|^2 / M_l averaged over some photographs.  Divided by |F_l(x_n)|^2 itself, a crop of plain sky
would weigh as much as all others together.

Derivation.  F_l enters (a) directly and (b) by way of G_l.  With K content and J style layers ::

    dL/dF_l(y_n)  from (a)    2 alpha / (N K M_l E_l)  (F_l(y_n) - F_l(x_n))                          (f)
    dL/dG_l(y_n)  from (b)    2 beta_n / (N J |G_l(a_n)|^2)  (G_l(y_n) - G_l(a_n))                      (g)
                  of r_l      the same, divided by 2 r_l

and `scratchnst.losses.gram` leads from (g) to dL/dF_l, `Network.backward` from there to dL/dy.  (d) has the derivative
2 delta / (number of y's numbers SPREAD^2) times the signed distance; (c) is `scratchnst.losses.total_variation`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.models.network import Network
from scratchnst.models.transform_net import SPREAD

ITSELF = 10.0, 5.0  # weights of pixels and content of a photograph in its own style
TARGETS = 512  # styles whose Gram matrices are kept, where there are more


@dataclass(frozen=True)
class Weights:
    """alpha, beta, gamma and delta of equation (e), and the weight of `scratchnst.training.steadiness` beside it.

    `style` is one number for all styles, or one for each.  `squared` is whether (b) is of r_l^2.
    """

    content: float = 1.0
    style: float | tuple[float, ...] = 10.0
    roughness: float = 0.05
    outside: float = 1.0
    steady: float = 0.0
    squared: bool = True


@dataclass(frozen=True)
class Losses:
    """L of equation (e), and the terms without their weights, means over the batch; U where a training adds it to L."""

    total: float
    content: float
    style: float
    roughness: float
    outside: float
    unsteadiness: float = 0.0

    def plus(self, other: Losses) -> Losses:
        """Return the sums."""
        return Losses(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def times(self, factor: float) -> Losses:
        """Return the products."""
        return Losses(*(factor * getattr(self, field.name) for field in fields(self)))


class PerceptualLoss:
    """Equation (e) and its gradient by the painted pictures.

    Parameters
    ----------
    network : the loss network, whose engine computes
    styles : pictures (H, W, 3), RGB 0-255, of any sizes
    photographs : some crops (N, H, W, 3), which give E_l
    weights : of the terms
    content_layers, style_layers : of the loss network
    """

    def __init__(
        self,
        network: Network,
        styles: Sequence[Array],
        photographs: Array,
        weights: Weights,
        content_layers: Sequence[str],
        style_layers: Sequence[str],
    ):
        self.network, self.weights = network, weights
        self.content_layers, self.style_layers = tuple(content_layers), tuple(style_layers)
        self.styles, self._targets = styles, dict[int, dict[str, Array]]()
        self.style_weights = np.array(weights.style, float)
        self.energies = {
            name: float(np.mean([self._squares(F) / math.prod(F.shape[1:3]) for F in parts]))
            for name, parts in self._each(photographs).items()
        }

    def __call__(self, painted: Array, photographs: Array, styles: Sequence[int]) -> tuple[Losses, Array]:
        """Return the losses and dL/dpainted, of its shape and dtype.

        Parameters
        ----------
        painted, photographs : (N, H, W, 3) arrays, RGB 0-255, y and x
        styles : the number of each image's style
        """
        style, weighted_style = 0.0, 0.0
        features, cache = self.network.forward(painted, {*self.content_layers, *self.style_layers}, training=False)
        content, gradients = self._content(features, photographs, self.weights.content)
        for name in self.style_layers:
            value, weighted, gradient = self._style(name, features[name], styles)
            style, weighted_style = style + value, weighted_style + weighted
            gradients[name] = gradients[name] + gradient if name in gradients else gradient
        grad = self.network.backward(gradients, cache)
        roughness = self._roughness(painted, grad)
        outside = self._outside(painted, grad)
        w = self.weights
        total = w.content * content + weighted_style + w.roughness * roughness + w.outside * outside
        return Losses(total, content, style, roughness, outside), grad

    def target(self, number: int) -> dict[str, Array]:
        """Return style layer -> the Gram matrix G_l(a) (C, C) of a style's picture, computed once while it is kept."""
        if number not in self._targets:
            if len(self._targets) >= TARGETS:
                del self._targets[next(iter(self._targets))]  # the oldest
            self._targets[number] = self._grams(self.styles[number])
        return self._targets[number]

    def of_itself(self, painted: Array, photographs: Array) -> tuple[Losses, Array]:
        """Return how far photographs are from themselves painted in their own style, and dL/dpainted.

        That is, weighted by ITSELF, the mean of (y - x)^2 / SPREAD^2, and equation (a).
        """
        of_pixels, of_content = ITSELF
        features, cache = self.network.forward(painted, self.content_layers, training=False)
        content, gradients = self._content(features, photographs, of_content)
        grad = self.network.backward(gradients, cache)
        difference, scale = painted - photographs, painted.size * SPREAD**2
        grad += difference * difference.dtype.type(2 * of_pixels / scale)
        total = of_pixels * float(self._squares(difference).sum()) / scale + of_content * content
        return Losses(total, content, 0.0, 0.0, 0.0), grad

    def _content(self, features, photographs, alpha):
        """Equation (a), its mean over the batch, and layer -> equation (f)."""
        P, _ = self.network.forward(photographs, self.content_layers, training=False)
        content, gradients = 0.0, {}
        for name in self.content_layers:
            difference, positions = features[name] - P[name], math.prod(P[name].shape[1:3])
            scale = len(P[name]) * len(self.content_layers) * positions * self.energies[name]
            content += float(self._squares(difference).sum()) / scale
            gradients[name] = difference * difference.dtype.type(2 * alpha / scale)
        return content, gradients

    def _style(self, name, F, styles):
        """Equation (b) at a layer, its mean over the batch over the number of layers; the same weighted; and dL/dF."""
        engine, positions, numbers = self.network.engine, math.prod(F.shape[1:3]), list(styles)
        S, cache = engine.gram.forward(F)
        targets = array_module(F).stack([self.target(number)[name] for number in numbers])
        difference = S / S.dtype.type(positions) - targets
        sizes, scale = self._squares(targets), len(F) * len(self.style_layers)
        beta = self.style_weights[numbers] if self.style_weights.ndim else self.style_weights
        squares = self._squares(difference) / sizes
        factors = 2 * beta / (scale * sizes * positions)  # equation (g)
        errors = squares
        if not self.weights.squared:
            errors = np.sqrt(squares)
            factors = factors / (2 * errors).clip(1e-6)
        grad_S = difference * engine.asarray(factors[:, np.newaxis, np.newaxis], F.dtype)
        value, weighted = errors.sum() / scale, (beta * errors).sum() / scale
        return float(value), float(weighted), engine.gram.backward(grad_S, cache)

    def _roughness(self, painted, grad):
        """Equation (c); its gradient is added to `grad`."""
        operation, scale = self.network.engine.total_variation, painted.size * SPREAD**2
        value, cache = operation.forward(painted)
        grad += operation.backward(self.weights.roughness / scale, cache)
        return float(value) / scale

    def _outside(self, painted, grad):
        """Equation (d); its gradient is added to `grad`."""
        distance, scale = painted - painted.clip(0, 255), painted.size * SPREAD**2
        grad += distance * distance.dtype.type(2 * self.weights.outside / scale)
        return float(self._squares(distance).sum()) / scale

    def _grams(self, style):
        """Layer -> G_l (C, C) of a style's picture."""
        engine = self.network.engine
        picture = engine.asarray(np.asarray(style, np.float32)[np.newaxis])
        features = self.network.features(picture, self.style_layers)
        return {name: engine.gram.forward(F)[0][0] / math.prod(F.shape[1:3]) for name, F in features.items()}

    def _each(self, photographs):
        """Content layer -> its features of each photograph."""
        found: dict[str, list[Array]] = {name: [] for name in self.content_layers}
        for photograph in photographs:
            features, _ = self.network.forward(photograph[np.newaxis], self.content_layers, training=False)
            for name, F in features.items():
                found[name].append(F)
        return found

    def _squares(self, array):
        """The sum of squares of each image, (N,), float64, a NumPy array."""
        return self.network.engine.asnumpy((array.astype("float64") ** 2).sum(axis=tuple(range(1, array.ndim))))
