"""Mistakes in the backward of whitening and colouring: `scratchnst.ops.whitening`.

The gradients are added up from their paths, in a form in which a mistake is a change of one argument.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes.case import (
    GradientCase,
    InputMistakes,
    KnownMistake,
    image_quantities,
    upstream_mistakes,
)

EPSILON = 1e-5


class _Statistics:
    """The centred pixels (N, M, C) of images, and the eigenvectors and roots of their covariance."""

    def __init__(self, x: Array):
        pixels = x.reshape(len(x), -1, x.shape[3])
        self.shape, self.pixels = x.shape, pixels.shape[1]
        self.centred = pixels - pixels.mean(1, keepdims=True)
        covariance = np.einsum("nmi,nmj->nij", self.centred, self.centred) / self.pixels
        e = EPSILON * (1 + np.trace(covariance, axis1=1, axis2=2) / x.shape[3])
        eigenvalues, self.V = np.linalg.eigh(covariance + e[:, np.newaxis, np.newaxis] * np.eye(x.shape[3]))
        self.r = np.sqrt(eigenvalues)

    def power(self, exponent: float) -> Array:
        """The covariance to the power of half the `exponent`: 1 for its root, -1 for the inverse of that."""
        return np.einsum("nik,nk,njk->nij", self.V, self.r**exponent, self.V)

    def through(self, grad_R: Array, divisor: float, trace: float) -> Array:
        """What the centred pixels get from the root, with the factor 2 / `divisor`."""
        symmetric = (grad_R + grad_R.swapaxes(1, 2)) / 2
        turned = np.einsum("nki,nkl,nlj->nij", self.V, symmetric, self.V) / (self.r[:, :, None] + self.r[:, None])
        grad_K = np.einsum("nik,nkl,njl->nij", self.V, turned, self.V)
        means = np.trace(grad_K, axis1=1, axis2=2) / grad_K.shape[1]
        grad_covariance = grad_K + trace * EPSILON * means[:, np.newaxis, np.newaxis] * np.eye(grad_K.shape[1])
        return 2 / divisor * self.centred @ grad_covariance


def right_input(case: GradientCase) -> Array | None:
    """Equation (f)."""
    return _to_x(*_of(case)) if _fits(case) else None


def input_mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dx."""
    content, style, g = _of(case)
    text = "x enters through itself, its mean and its covariance, equation (f) of whitening"
    for key, words, paths in (
        ("mean-path-missing", "the path through the mean", {"mean": 0}),
        ("covariance-path-missing", "the path through the covariance", {"covariance": 0}),
        ("statistics-held-fixed", "the paths through mean and covariance", {"mean": 0, "covariance": 0}),
        ("trace-path-missing", "the path through the trace in e, equation (e)", {"trace": 0}),
    ):
        yield KnownMistake(key, f"the right one without {words}: {text}", _to_x(content, style, g, **paths))
    sentence = "the right one with the path through the covariance added, not subtracted: d(R^(-1)) = -R^(-1) dR R^(-1)"
    yield KnownMistake("inverse-sign", sentence, _to_x(content, style, g, covariance=-1))
    W, R_s = content.power(-1), style.power(1)
    grad_T = content.centred.swapaxes(1, 2) @ g
    for words, grad_R in (
        ("-dL/dW, W left out", -grad_T @ R_s),
        ("-W dL/dW, one W left out", -W @ grad_T @ R_s),
        ("-dL/dW W, one W left out", -grad_T @ R_s @ W),
    ):
        sentence = f"the right one with {words}: dL/dR = -W dL/dW W, equation (d) of whitening"
        yield KnownMistake("inverse-factor-missing", sentence, _to_x(content, style, g, grad_R=grad_R))
    sentence = (
        "the right one without K_s^(1/2), the style's root, in the path through the {}: T = W K_s^(1/2), equation (b)"
    )
    for words, gradient in (
        ("covariance", _to_x(content, style, g, grad_R=-W @ grad_T @ W)),
        ("pixel itself", _to_x(content, style, g, T=W)),
    ):
        yield KnownMistake("style-root-missing", sentence.format(words), gradient)
    sentence = "the right one with g T in the place of g T^T: T = W K_s^(1/2) is not symmetric, equation (c)"
    yield KnownMistake("transform-not-transposed", sentence, _to_x(content, style, g, T=R_s @ W))
    yield from _of_covariance(lambda **paths: _to_x(content, style, g, **paths), content.pixels)
    sentence = "the right one with content and style exchanged in T: T = W K_s^(1/2), W of the content, equation (b)"
    exchanged = style.power(-1) @ content.power(1)
    yield KnownMistake("content-and-style-exchanged", sentence, _to_x(content, style, g, T=exchanged))
    yield from upstream_mistakes(lambda g: _to_x(content, style, g.reshape(content.centred.shape)), case.grad_y)


def right_style(case: GradientCase) -> Array | None:
    """Equation (g)."""
    return _to_style(*_of(case)) if _fits(case) else None


def style_mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dstyle."""
    content, style, g = _of(case)
    text = "the style enters through its mean and its covariance, equation (g) of whitening"
    for key, words, paths in (
        ("mean-path-missing", "the path through the mean", {"mean": 0}),
        ("covariance-path-missing", "the path through the covariance", {"covariance": 0}),
        ("trace-path-missing", "the path through the trace in e, equation (e)", {"trace": 0}),
    ):
        yield KnownMistake(key, f"the right one without {words}: {text}", _to_style(content, style, g, **paths))
    sentence = "the right one with the sum of g not divided by M': mean_s is a mean over M' pixels, equation (g)"
    yield KnownMistake("sum-not-averaged", sentence, _to_style(content, style, g, mean=style.pixels))
    sentence = "the right one with M for M': the style has pixels of its own, equation (g)"
    fewer = style.pixels / content.pixels
    for paths in ({"mean": fewer}, {"divisor": content.pixels}, {"mean": fewer, "divisor": content.pixels}):
        yield KnownMistake("pixels-of-content", sentence, _to_style(content, style, g, **paths))
    grad_T = content.centred.swapaxes(1, 2) @ g
    for words, grad_R in (("W left out", grad_T), ("R in the place of W", content.power(1) @ grad_T)):
        sentence = f"the right one with {words} in the path through the covariance: dL/dR_s = W dL/dT, equation (d)"
        yield KnownMistake("whitening-missing", sentence, _to_style(content, style, g, grad_R=grad_R))
    yield from _of_covariance(lambda **paths: _to_style(content, style, g, **paths), style.pixels)
    yield from upstream_mistakes(lambda g: _to_style(content, style, g.reshape(content.centred.shape)), case.grad_y)


def _of_covariance(gradient, pixels):
    """Mistakes in the last step, from the covariance to the pixels."""
    sentence = "half the path through the covariance: X enters X^T X twice, and gets 2/M X dL/dcov"
    yield KnownMistake("covariance-half", f"the right one with {sentence}", gradient(divisor=2 * pixels))
    sentence = "the right one with X^T X not divided by M on the way back: cov = 1/M X^T X, equation (a)"
    yield KnownMistake("covariance-not-averaged", sentence, gradient(divisor=1))
    if pixels > 1:
        sentence = "the right one with M - 1 for M on the way back: cov = 1/M X^T X, equation (a)"
        yield KnownMistake("unbiased-covariance", sentence, gradient(divisor=pixels - 1))


def _fits(case):
    """Whether the shapes are those of features and a style."""
    if len(case.inputs) != 2 or any(each.ndim != 4 or not np.isfinite(each).all() for each in case.inputs):
        return False
    x, style = case.inputs
    same = (len(x), x.shape[3]) == (len(style), style.shape[3]) and case.grad_y.shape == x.shape
    return same and x.size > 0 and style.size > 0


def _of(case):
    """Content, style, and g as (N, M, C)."""
    content, style = map(_Statistics, case.inputs)
    return content, style, case.grad_y.reshape(content.centred.shape)


def _to_x(content, style, g, mean=1.0, covariance=1.0, trace=1.0, divisor=None, T=None, grad_R=None):
    """What comes back to x through itself and, as often as is said, through mean and covariance."""
    W, R_s = content.power(-1), style.power(1)
    itself = g @ (W @ R_s if T is None else T).swapaxes(1, 2)
    grad_R = -W @ content.centred.swapaxes(1, 2) @ g @ R_s @ W if grad_R is None else grad_R
    through = content.through(grad_R, divisor or content.pixels, trace)
    return (itself - mean * itself.mean(1, keepdims=True) + covariance * through).reshape(content.shape)


def _to_style(content, style, g, mean=1.0, covariance=1.0, trace=1.0, divisor=None, grad_R=None):
    """What comes back to the style, as often as is said, through mean and covariance."""
    grad_R = content.power(-1) @ content.centred.swapaxes(1, 2) @ g if grad_R is None else grad_R
    through = style.through(grad_R, divisor or style.pixels, trace)
    return (mean * g.sum(1, keepdims=True) / style.pixels + covariance * through).reshape(style.shape)


INPUTS = (
    InputMistakes(right_input, input_mistakes, quantities=image_quantities),
    InputMistakes(right_style, style_mistakes, quantities=image_quantities),
)
