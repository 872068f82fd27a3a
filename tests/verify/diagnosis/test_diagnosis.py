"""What is wrong with a wrong gradient: mistakes as students write them, and the words that they get for them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numerical import central_differences

from scratchnst.losses import (
    absolute_variation,
    content_loss,
    cross_gram,
    cross_style_loss,
    gram,
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
from scratchnst.verify.diagnosis.diagnosis import diagnose

SHAPE = (3, 7, 5, 6)  # of images, rows, columns and channels: no two alike, rows and columns odd
PIXELS = 35
TORCHVISION = ("BGR", 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def drawn(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def target(x):
    return drawn(*x.shape, seed=99)


def guide_of(x):
    return np.maximum(drawn(1, *x.shape[1:3], 1, seed=98), 0)  # half of it is 0


def target_gram(x):
    return gram.forward(target(x))[0]


def target_moments(x):
    return moment_matrix.forward(1 + target(x) @ drawn(6, 6, seed=98))[0]


def target_quantiles(x):
    return projections.as_target(1 + target(x), PIXELS)


def target_cross_gram(x, y):
    return cross_gram.forward(target(x), target(y))[0]


FORWARD = {
    "conv2d": conv2d.forward,
    "relu": relu.forward,
    "average_pool": average_pool.forward,
    "max_pool": max_pool.forward,
    "reflection_pad": lambda x: reflection_pad.forward(x, 2, 1),
    "replicate_pad": lambda x: replicate_pad.forward(x, 2, 1),
    "upsample": upsample.forward,
    "strided_conv2d": lambda x, w, b: strided_conv2d.forward(x, w, b, 2),
    "preprocess": lambda x: preprocess.forward(x, *TORCHVISION),
    "gram": gram.forward,
    "cross_gram": cross_gram.forward,
    "cross_style_loss": lambda x, y: cross_style_loss.forward(x, y, target_cross_gram(x, y)),
    "matrix_square_root": matrix_square_root.forward,
    "whitening": whitening.forward,
    "content_loss": lambda x: content_loss.forward(x, target(x)),
    "style_loss": lambda x: style_loss.forward(x, target_gram(x)),
    "moment_matrix": moment_matrix.forward,
    "moments_style_loss": lambda x: moments_style_loss.forward(x, target_moments(x)),
    "wasserstein_style_loss": lambda x: wasserstein_style_loss.forward(x, target_moments(x)),
    "sliced_style_loss": lambda x: sliced_style_loss.forward(x, target_quantiles(x)),
    "total_variation": total_variation.forward,
    "absolute_variation": absolute_variation.forward,
    "addition": addition.forward,
    "guide": lambda x: guide.forward(x, guide_of(x)),
    "instance_norm": instance_norm.forward,
    "moments": moments.forward,
    "adain": adain.forward,
}
BACKWARD = {
    "conv2d": conv2d.backward,
    "relu": relu.backward,
    "average_pool": average_pool.backward,
    "max_pool": max_pool.backward,
    "reflection_pad": reflection_pad.backward,
    "replicate_pad": replicate_pad.backward,
    "upsample": upsample.backward,
    "strided_conv2d": strided_conv2d.backward,
    "preprocess": preprocess.backward,
    "gram": gram.backward,
    "cross_gram": cross_gram.backward,
    "cross_style_loss": cross_style_loss.backward,
    "matrix_square_root": matrix_square_root.backward,
    "whitening": whitening.backward,
    "content_loss": content_loss.backward,
    "style_loss": style_loss.backward,
    "moment_matrix": moment_matrix.backward,
    "moments_style_loss": moments_style_loss.backward,
    "wasserstein_style_loss": wasserstein_style_loss.backward,
    "sliced_style_loss": sliced_style_loss.backward,
    "total_variation": total_variation.backward,
    "absolute_variation": absolute_variation.backward,
    "addition": addition.backward,
    "guide": guide.backward,
    "instance_norm": instance_norm.backward,
    "moments": moments.backward,
    "adain": adain.backward,
}


def setting(operation, seed=0):
    """Return (inputs, output, a random upstream gradient, right gradients)."""
    x = drawn(*SHAPE, seed=seed)
    inputs = [x]
    if operation == "conv2d":
        inputs = [x, drawn(3, 3, 6, 6, seed=seed), drawn(6, seed=seed)]
    elif operation == "strided_conv2d":
        inputs = [x[:, :-1], drawn(3, 3, 6, 6, seed=seed), drawn(6, seed=seed)]  # of its six rows five are read
    elif operation == "preprocess":
        inputs = [128 + 50 * x[..., :3]]
    elif operation.startswith("cross"):
        inputs = [x, drawn(3, 3, 2, 5, seed=seed + 1)]
    elif operation == "matrix_square_root":
        inputs = [gram.forward(x)[0] / PIXELS]
    elif operation == "whitening":
        inputs = [x @ drawn(6, 6, seed=seed), drawn(3, 8, 5, 6, seed=seed) @ drawn(6, 6, seed=seed + 1) + 2]
    elif operation == "addition":
        inputs = [x, drawn(*SHAPE, seed=seed + 1)]
    elif operation == "instance_norm":
        inputs = [x, drawn(3, 6, seed=seed), drawn(3, 6, seed=seed + 1)]
    elif operation == "adain":
        inputs = [x, 1 + 3 * drawn(3, 4, 8, 6, seed=seed)]
    y, cache = FORWARD[operation](*inputs)
    grad_y = drawn(*np.shape(y), seed=seed + 5) if np.ndim(y) else 0.7
    right = BACKWARD[operation](grad_y, cache)
    return inputs, y, grad_y, right if isinstance(right, tuple) else (right,)


def diagnosed(operation, wrong, position=0, seed=0, named=True):
    """Diagnose wrong(inputs, grad_y, right) beside a right gradient with the noise of numerical derivatives."""
    inputs, y, grad_y, right = setting(operation, seed)
    right = right[position]
    expected = right + 1e-10 * np.abs(right).max() * drawn(*right.shape, seed=9)
    got = wrong(inputs, grad_y, right)
    assert np.shape(got) == right.shape
    return diagnose(inputs, y, grad_y, got, expected, position, operation if named else None)


def convolved(g, w):
    return conv2d.forward(g, w, np.zeros(w.shape[3]))[0]


def flipped(w):
    return w[::-1, ::-1].swapaxes(2, 3)


def convolution_of_padded(g, w, top, left):
    """The convolution of g by windows of g padded by so many zeros above and on the left."""
    kh, kw = w.shape[:2]
    rows, columns = g.shape[1:3]
    padded = np.pad(g, ((0, 0), (top, kh), (left, kw), (0, 0)))
    y = np.zeros((*g.shape[:3], w.shape[3]))
    for p in range(rows):
        for q in range(columns):
            y[:, p, q] = np.tensordot(padded[:, p : p + kh, q : q + kw], w, 3)
    return y


def strided_gradients(i, g, x=None, w=None, stride=2):
    """The gradients of the convolution with a stride, or of another."""
    x, w = i[0] if x is None else x, i[1] if w is None else w
    return strided_conv2d.backward(g, (x, w, stride))


def shown_at(i, g, mode):
    """The gradient of padding in one of NumPy's modes: number of the pixel -> sum of where it is shown."""
    numbers = np.pad(np.arange(i[0].size).reshape(SHAPE), ((0, 0), (2, 2), (1, 1), (0, 0)), mode)
    return np.bincount(numbers.ravel(), g.ravel(), i[0].size).reshape(SHAPE)


def along(x, axis):
    """The gradient of the sum of squared differences along one axis."""
    ends = [(1, 1) if axis == other else (0, 0) for other in range(4)]
    return -2 * np.diff(np.pad(x, ends, "edge"), 2, axis)


def signs(x, axis):
    """The signs of the differences along one axis, 0 beyond both ends."""
    ends = [(1, 1) if axis == other else (0, 0) for other in range(4)]
    return np.pad(np.sign(np.diff(x, axis=axis)), ends)


def signed(x, axis):
    """The gradient of the sum of absolute differences along one axis."""
    return -np.diff(signs(x, axis), axis=axis)


def winners(x):
    return max_pool.forward(x)[1][1]


def cached(F, difference):
    """What the style loss caches, with another matrix in place of G - A."""
    return F, (difference, style_loss.norm_of(difference, F.shape[1] * F.shape[2]))


def off_diagonal(F):
    difference = gram.forward(F)[0] - target_gram(F)
    return difference * (1 - np.eye(difference.shape[1]))


def without_tap(w, i, j):
    w = w.copy()
    w[i, j] = 0
    return w


def border_set_to_zero(gradient):
    inside = np.zeros_like(gradient)
    inside[:, 1:-1, 1:-1] = gradient[:, 1:-1, 1:-1]
    return inside


def normalised(inputs, g, part):
    """What a part of h = dL/dz, given h and z, makes of dL/dx."""
    x, scale, _ = inputs
    s = np.sqrt(x.var((1, 2), keepdims=True) + 1e-5)
    return part(g * scale[:, None, None], (x - x.mean((1, 2), keepdims=True)) / s) / s


def in_eigenbasis(A, g, divisor):
    """V (V^T g V / divisor) V^T for a symmetric g, of the roots r."""
    eigenvalues, V = np.linalg.eigh(A)
    g = (g + g.swapaxes(1, 2)) / 2
    r = np.sqrt(eigenvalues + matrix_square_root.EPSILON)
    return V @ (V.swapaxes(1, 2) @ g @ V / divisor(r)) @ V.swapaxes(1, 2)


def own_pixels(inputs, g):
    """g T^T, as if neither mean nor covariance of the features changed: how each pixel moves its own y."""
    y, _ = whitening.forward(*inputs)
    x = inputs[0]
    centred, coloured = (each.reshape(3, PIXELS, 6) - each.mean((1, 2))[:, None] for each in (x, y))
    T = np.linalg.pinv(centred) @ coloured
    return (g.reshape(3, PIXELS, 6) @ T.swapaxes(1, 2)).reshape(x.shape)


def own_pixels_mean(inputs, g):
    """The part of it that the mean takes away."""
    return own_pixels(inputs, g).mean((1, 2), keepdims=True)


def one_row(x):
    """All images of a batch as one, of one row."""
    return x.reshape(1, 1, -1, x.shape[3])


def one_row_cache(inputs):
    """What is cached of these images without scale and shift."""
    return instance_norm.forward(one_row(inputs[0]), np.ones((1, 6)), np.zeros((1, 6)))[1]


def deviation(x):
    return np.sqrt(x.var((1, 2), keepdims=True) + 1e-5)


def moved(x, g, part):
    """The gradient of moments by gradients `g` (3, 2, 6), of which a part depends on x - mean and s."""
    of_deviation = g[:, 1, None, None] * part(x - x.mean((1, 2), keepdims=True), deviation(x))
    return (g[:, 0, None, None] + of_deviation) / x[0, ..., 0].size


def of_style(inputs, g, z=None):
    """The gradients of the style's moments (3, 2, 6), with others than z to multiply by."""
    z = (inputs[0] - inputs[0].mean((1, 2), keepdims=True)) / deviation(inputs[0]) if z is None else z
    return np.stack([g.sum((1, 2)), (g * z).sum((1, 2))], axis=1)


CONV2D_INPUT = {
    "kernel-not-flipped": lambda i, g, right: convolved(g, i[1].swapaxes(2, 3)),
    "kernel-rows-not-flipped": lambda i, g, right: convolved(g, i[1][:, ::-1].swapaxes(2, 3)),
    "kernel-columns-not-flipped": lambda i, g, right: convolved(g, i[1][::-1].swapaxes(2, 3)),
    "channels-not-exchanged": lambda i, g, right: convolved(g, i[1][::-1, ::-1]),
    "kernel-not-flipped-channels-not-exchanged": lambda i, g, right: convolved(g, i[1]),
    "kernel-transposed": lambda i, g, right: convolved(g, i[1].transpose(1, 0, 3, 2)),
    "padding-off-by-one": lambda i, g, right: convolution_of_padded(g, flipped(i[1]), 2, 1),
    "border-lost": lambda i, g, right: border_set_to_zero(right),
    "border-outputs-lost": lambda i, g, right: convolved(border_set_to_zero(g), flipped(i[1])),
    "tap-missing": lambda i, g, right: convolved(g, without_tap(flipped(i[1]), 2, 0)),
    "bias-added": lambda i, g, right: conv2d.forward(g, flipped(i[1]), i[2])[0],
    "upstream-ignored": lambda i, g, right: convolved(np.ones_like(g), flipped(i[1])),
    "upstream-squared": lambda i, g, right: convolved(g * g, flipped(i[1])),
    "images-mixed-up": lambda i, g, right: convolved(g[::-1], flipped(i[1])),
    "sign": lambda i, g, right: convolved(-g, flipped(i[1])),
    "accumulated-twice": lambda i, g, right: convolved(g, flipped(i[1])) + right,
    "kernel-not-flipped times 3": lambda i, g, right: 3 * convolved(g, i[1].swapaxes(2, 3)),
}
CONV2D_KERNEL = {
    "kernel-gradient-flipped": lambda i, g, right: right[::-1, ::-1],
    "kernel-gradient-channels-exchanged": lambda i, g, right: np.einsum("ijck->ijkc", right),
    "tap-missing": lambda i, g, right: without_tap(right, 1, 1),
    "last-image-only": lambda i, g, right: conv2d.backward_parameters(g[2:], (i[0][2:], i[1]))[0],
    "border-lost": lambda i, g, right: conv2d.backward_parameters(border_set_to_zero(g), (i[0], i[1]))[0],
    "output-for-input": lambda i, g, right: conv2d.backward_parameters(g, (conv2d.forward(*i)[0], i[1]))[0],
    "mean-not-subtracted": lambda i, g, right: conv2d.backward_parameters(g, (i[0] + [3, 1, 4, 2, 5, 0], i[1]))[0],
    "factor 1/images": lambda i, g, right: right / 3,
    "factor 1/(images H W)": lambda i, g, right: right / (3 * PIXELS),
}
CONV2D_BIAS = {
    "factor 1/(images H W)": lambda i, g, right: g.mean((0, 1, 2)),
    "factor 1/(H W)": lambda i, g, right: g.sum(0).mean((0, 1)),
    "bias-last-image-only": lambda i, g, right: g[-1].sum((0, 1)),
    "bias-first-row-only": lambda i, g, right: g[:, 0].sum((0, 1)),
}
RELU = {
    "mask-missing": lambda i, g, right: g,
    "mask-from-upstream": lambda i, g, right: np.maximum(g, 0),
    "mask-from-both": lambda i, g, right: np.where((i[0] > 0) & (g > 0), g, 0),
    "mask-inverted": lambda i, g, right: np.where(i[0] < 0, g, 0),
    "upstream-ignored": lambda i, g, right: (i[0] > 0).astype(float),
    "value-for-slope": lambda i, g, right: g * relu.forward(i[0])[0],
    "leaky": lambda i, g, right: np.where(i[0] > 0, g, 0.01 * g),
}
AVERAGE_POOL = {
    "average-factor": lambda i, g, right: 4 * right,
    "average-factor-twice": lambda i, g, right: right / 4,
    "winner-takes-all": lambda i, g, right: max_pool.backward(g, max_pool.forward(i[0])[1]),
    "tiled": lambda i, g, right: np.pad(np.tile(g, (1, 2, 2, 1)), ((0, 0), (0, 1), (0, 1), (0, 0))) / 4,
    "left-over-not-zero": lambda i, g, right: np.pad(right[:, :6, :4], ((0, 0), (0, 1), (0, 1), (0, 0)), "edge"),
}
MAX_POOL = {
    "all-take-it": lambda i, g, right: 4 * average_pool.backward(g, i[0].shape),
    "shared-evenly": lambda i, g, right: average_pool.backward(g, i[0].shape),
    "smallest-wins": lambda i, g, right: max_pool.backward(g, max_pool.forward(-i[0])[1]),
    "winner-transposed": lambda i, g, right: max_pool.backward(g, (SHAPE, np.array([0, 2, 1, 3])[winners(i[0])])),
    "one-corner-only": lambda i, g, right: max_pool.backward(g, (SHAPE, 0 * winners(i[0]))),
}
REFLECTION_PAD = {
    "mirrors-not-added": lambda i, g, right: g[:, 2:-2, 1:-1],
    "edge-repeated": lambda i, g, right: shown_at(i, g, "symmetric"),
    "edge-for-all": lambda i, g, right: shown_at(i, g, "edge"),
    "wrapped": lambda i, g, right: shown_at(i, g, "wrap"),
    "rows-not-folded": lambda i, g, right: reflection_pad.backward(g[:, 2:-2], (0, 1)),
    "columns-not-folded": lambda i, g, right: reflection_pad.backward(g[:, :, 1:-1], (2, 0)),
    "one-mirror-missing": lambda i, g, right: reflection_pad.backward(
        np.pad(g[:, :-2, :-1], ((0, 0), (0, 2), (0, 1), (0, 0))), (2, 1)
    ),
    "not-turned-over": lambda i, g, right: reflection_pad.backward(
        np.concatenate([g[:, 1::-1], g[:, 2:-2], g[:, :-3:-1]], 1), (2, 1)
    ),
    "corners-not-added": lambda i, g, right: (
        reflection_pad.backward(g[:, 2:-2], (0, 1)) + reflection_pad.backward(g[:, :, 1:-1], (2, 0)) - g[:, 2:-2, 1:-1]
    ),
    "mean-for-sum": lambda i, g, right: right / reflection_pad.backward(np.ones_like(g), (2, 1)),
    "upstream-squared": lambda i, g, right: reflection_pad.backward(g**2, (2, 1)),
}
REPLICATE_PAD = {
    "border-not-added": lambda i, g, right: g[:, 2:-2, 1:-1],
    "mirrored": lambda i, g, right: shown_at(i, g, "reflect"),
    "wrapped": lambda i, g, right: shown_at(i, g, "wrap"),
    "rows-not-gathered": lambda i, g, right: replicate_pad.backward(g[:, 2:-2], (0, 1)),
    "columns-not-gathered": lambda i, g, right: replicate_pad.backward(g[:, :, 1:-1], (2, 0)),
    "one-side-missing": lambda i, g, right: replicate_pad.backward(
        np.pad(g[:, :-2, :-1], ((0, 0), (0, 2), (0, 1), (0, 0))), (2, 1)
    ),
    "added-once": lambda i, g, right: replicate_pad.backward(g[:, 1:-1], (1, 1)),
    "corners-not-added": lambda i, g, right: (
        replicate_pad.backward(g[:, 2:-2], (0, 1)) + replicate_pad.backward(g[:, :, 1:-1], (2, 0)) - g[:, 2:-2, 1:-1]
    ),
    "mean-for-sum": lambda i, g, right: right / replicate_pad.backward(np.ones_like(g), (2, 1)),
    "upstream-squared": lambda i, g, right: replicate_pad.backward(g**2, (2, 1)),
}
UPSAMPLE = {
    "mean-for-sum": lambda i, g, right: average_pool.forward(g)[0],
    "one-corner-only": lambda i, g, right: g[:, ::2, 1::2],
    "one-corner-missing": lambda i, g, right: right - g[:, ::2, 1::2],
    "half-of-square-only": lambda i, g, right: g[:, ::2, 1::2] + g[:, 1::2, 1::2],
    "largest-of-square": lambda i, g, right: max_pool.forward(g)[0],
    "tiled": lambda i, g, right: g[:, :7, :5] + g[:, 7:, :5] + g[:, :7, 5:] + g[:, 7:, 5:],
    "images-mixed-up": lambda i, g, right: right[::-1],
}
STRIDED_INPUT = {
    "kernel-not-flipped": lambda i, g, right: strided_gradients(i, g, w=i[1][::-1, ::-1])[0],
    "kernel-rows-not-flipped": lambda i, g, right: strided_gradients(i, g, w=i[1][::-1])[0],
    "kernel-columns-not-flipped": lambda i, g, right: strided_gradients(i, g, w=i[1][:, ::-1])[0],
    "kernel-transposed": lambda i, g, right: strided_gradients(i, g, w=i[1][::-1, ::-1].swapaxes(0, 1))[0],
    "channels-not-exchanged": lambda i, g, right: strided_gradients(i, g, w=i[1].swapaxes(2, 3))[0],
    "stride-forgotten": lambda i, g, right: np.pad(
        strided_gradients(i, g, i[0][:, :4, :4], stride=1)[0], ((0, 0), (0, 2), (0, 1), (0, 0))
    ),
    "repeated-not-spread": lambda i, g, right: strided_gradients(i, upsample.forward(g)[0][:, :, :3], stride=1)[0],
    "spread-off-by-one": lambda i, g, right: np.pad(right, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1],
    "tap-missing": lambda i, g, right: strided_gradients(i, g, w=without_tap(i[1], 0, 2))[0],
    "unread-not-zero": lambda i, g, right: np.pad(right[:, :5], ((0, 0), (0, 1), (0, 0), (0, 0)), "edge"),
    "upstream-absolute": lambda i, g, right: strided_gradients(i, np.abs(g))[0],
}
STRIDED_KERNEL = {
    "stride-forgotten": lambda i, g, right: strided_gradients(i, g, i[0][:, :4, :4], stride=1)[1],
    "kernel-gradient-flipped": lambda i, g, right: right[::-1, ::-1],
    "kernel-gradient-transposed": lambda i, g, right: right.swapaxes(0, 1),
    "kernel-gradient-channels-exchanged": lambda i, g, right: right.swapaxes(2, 3),
    "windows-off-by-one": lambda i, g, right: strided_gradients(
        i, g, np.pad(i[0], ((0, 0), (0, 1), (0, 0), (0, 0)))[:, 1:]
    )[1],
    "tap-missing": lambda i, g, right: without_tap(right, 1, 1),
    "first-image-only": lambda i, g, right: strided_gradients(i, g[:1], i[0][:1])[1],
}
STRIDED_BIAS = {
    "bias-last-image-only": lambda i, g, right: g[2].sum((0, 1)),
    "factor 1/(images H W)": lambda i, g, right: g.mean((0, 1, 2)),
}
PREPROCESS = {
    "channel-order-not-reversed": lambda i, g, right: g / 255 / [0.229, 0.224, 0.225],
    "factor-in-wrong-order": lambda i, g, right: g[..., ::-1] / 255 / [0.229, 0.224, 0.225],
    "std-not-divided": lambda i, g, right: g[..., ::-1] / 255,
    "std-multiplied": lambda i, g, right: g[..., ::-1] / 255 * [0.225, 0.224, 0.229],
    "mean-in-gradient": lambda i, g, right: (g / 255 - [0.485, 0.456, 0.406])[..., ::-1] / [0.225, 0.224, 0.229],
    "scale": lambda i, g, right: g[..., ::-1] / [0.225, 0.224, 0.229],
}
GRAM = {
    "gram-not-symmetrised": lambda i, g, right: np.einsum("nhwi,nij->nhwj", i[0], g),
    "gram-transposed": lambda i, g, right: np.einsum("nhwi,nji->nhwj", i[0], g),
    "gram-taken-as-symmetric": lambda i, g, right: 2 * np.einsum("nhwi,nij->nhwj", i[0], g),
    "gram-half": lambda i, g, right: right / 2,
    "gram-not-transposed-back": lambda i, g, right: right.reshape(3, -1, 6).swapaxes(1, 2).reshape(SHAPE),
    "factor 1/(N M)": lambda i, g, right: right / (6 * PIXELS),
    "factor 1/M": lambda i, g, right: right / PIXELS,
}
CROSS_GRAM_UPPER = {
    "square-not-divided": lambda i, g, right: 4 * right,
    "one-pixel-of-square": lambda i, g, right: 4 * right * (np.indices(SHAPE)[1:3] % 2 == 0).all(axis=0),
    "gram-of-summed-images": lambda i, g, right: cross_gram.backward(np.tile(g.sum(0), (3, 1, 1)), i)[0],
    "factor 1/M": lambda i, g, right: right / PIXELS,
    "upstream-ignored": lambda i, g, right: cross_gram.backward(np.ones_like(g), i)[0],
}
CROSS_GRAM_DEEPER = {
    "first-pixel-of-square": lambda i, g, right: cross_gram.backward(g, (i[0][:, :6:2, :4:2], i[1]))[1],
    "square-not-averaged": lambda i, g, right: 4 * right,
    "images-mixed-up": lambda i, g, right: cross_gram.backward(g[::-1], i)[1],
    "gram-of-summed-images": lambda i, g, right: cross_gram.backward(np.tile(g.sum(0), (3, 1, 1)), i)[1],
}
CROSS_STYLE_LOSS = {
    "factor-2-missing": lambda i, g, right: right / 2,
    "quarter-missing": lambda i, g, right: 4 * right,
    "difference-reversed": lambda i, g, right: -right,
}
MATRIX_SQUARE_ROOT = {
    "root-elementwise": lambda i, g, right: g / (2 * matrix_square_root.forward(i[0])[0]),
    "root-commuting": lambda i, g, right: np.linalg.solve(matrix_square_root.forward(i[0])[0], g) / 2,
    "root-product": lambda i, g, right: in_eigenbasis(i[0], g, lambda r: r[:, :, None] * r[:, None]),
    "root-eigenvalues": lambda i, g, right: in_eigenbasis(i[0], g, lambda r: r[:, :, None] ** 2 + r[:, None] ** 2),
    "eigenvectors-held-fixed": lambda i, g, right: in_eigenbasis(
        i[0], g, lambda r: np.where(np.eye(6), 2 * r[:, None], np.inf)
    ),
    "half-missing": lambda i, g, right: 2 * right,
    "images-mixed-up": lambda i, g, right: matrix_square_root.backward(g[::-1], matrix_square_root.forward(i[0])[1]),
}
WHITENING_INPUT = {
    "mean-path-missing": lambda i, g, right: right + own_pixels_mean(i, g),
    "covariance-path-missing": lambda i, g, right: own_pixels(i, g) - own_pixels_mean(i, g),
    "statistics-held-fixed": lambda i, g, right: own_pixels(i, g),
    "inverse-sign": lambda i, g, right: 2 * (own_pixels(i, g) - own_pixels_mean(i, g)) - right,
    "covariance-half": lambda i, g, right: (own_pixels(i, g) - own_pixels_mean(i, g) + right) / 2,
    "unbiased-covariance": lambda i, g, right: (
        right + (right - own_pixels(i, g) + own_pixels_mean(i, g)) / (PIXELS - 1)
    ),
    "upstream-squared": lambda i, g, right: whitening.backward(g**2, whitening.forward(*i)[1])[0],
    "sign": lambda i, g, right: -right,
}
WHITENING_STYLE = {
    "mean-path-missing": lambda i, g, right: right - g.sum((1, 2), keepdims=True) / 40,
    "covariance-path-missing": lambda i, g, right: 0 * right + g.sum((1, 2), keepdims=True) / 40,
    "sum-not-averaged": lambda i, g, right: right + g.sum((1, 2), keepdims=True) * 39 / 40,
    "pixels-of-content": lambda i, g, right: right + g.sum((1, 2), keepdims=True) * (1 / PIXELS - 1 / 40),
    "unbiased-covariance": lambda i, g, right: right + (right - g.sum((1, 2), keepdims=True) / 40) / 39,
}
CONTENT_LOSS = {
    "half-missing": lambda i, g, right: 2 * right,
    "square-factor-missing": lambda i, g, right: right / 2,
    "difference-reversed": lambda i, g, right: g * (target(i[0]) - i[0]),
    "target-not-subtracted": lambda i, g, right: g * i[0],
    "masked-here": lambda i, g, right: g * content_loss.equation_2(i[0], target(i[0])),
    "factor 1/grad_y": lambda i, g, right: right / g,
    "factor 1/(N M)": lambda i, g, right: right / (6 * PIXELS),
    "factor 1/(N M images)": lambda i, g, right: right / (6 * PIXELS * 3),
}
STYLE_LOSS = {
    "factor-2-missing": lambda i, g, right: right / 2,
    "quarter-missing": lambda i, g, right: 4 * right,
    "factor M^2": lambda i, g, right: right * PIXELS**2,
    "factor N^2 M^2": lambda i, g, right: right * PIXELS**2 * 36,
    "factor N M": lambda i, g, right: right * PIXELS * 6,
    "target-not-subtracted": lambda i, g, right: style_loss.backward(g, cached(i[0], gram.forward(i[0])[0])),
    "masked-here": lambda i, g, right: np.where(i[0] > 0, right, 0),
    "gram-diagonal-missing": lambda i, g, right: style_loss.backward(g, cached(i[0], off_diagonal(i[0]))),
}
TOTAL_VARIATION = {
    "square-factor-missing": lambda i, g, right: right / 2,
    "sign": lambda i, g, right: -right,
    "axis-missing": lambda i, g, right: g * along(i[0], 2),
    "axis-sign": lambda i, g, right: g * (along(i[0], 2) - along(i[0], 1)),
    "wrapped": lambda i, g, right: 2 * g * sum(2 * i[0] - np.roll(i[0], 1, a) - np.roll(i[0], -1, a) for a in (1, 2)),
    "one-end-only": lambda i, g, right: g * sum(2 * np.diff(i[0], axis=a, prepend=i[0].take([0], a)) for a in (1, 2)),
    "absolute-differences": lambda i, g, right: g * sum(-np.diff(signs(i[0], a), axis=a) for a in (1, 2)),
}
ABSOLUTE_VARIATION = {
    "sign": lambda i, g, right: -right,
    "axis-missing": lambda i, g, right: g * signed(i[0], 2),
    "axis-sign": lambda i, g, right: g * (signed(i[0], 2) - signed(i[0], 1)),
    "wrapped": lambda i, g, right: g * sum(np.sign(i[0] - np.roll(i[0], s, a)) for a in (1, 2) for s in (1, -1)),
    "squared-differences": lambda i, g, right: g * (along(i[0], 1) + along(i[0], 2)),
}
MOMENT_MATRIX = {
    "sums-missing": lambda i, g, right: gram.backward(g[:, :-1, :-1], i[0]),
    "sums-once": lambda i, g, right: right - g[:, None, None, :-1, -1],
    "products-missing": lambda i, g, right: right - gram.backward(g[:, :-1, :-1], i[0]),
    "gram-not-symmetrised": lambda i, g, right: right - np.einsum("nhwj,nij->nhwi", i[0], g[:, :-1, :-1]),
    "images-mixed-up": lambda i, g, right: moment_matrix.backward(g[::-1], i[0]),
}
TRANSPORT = {
    "target-not-subtracted": lambda i, g, right: 2 * g * i[0] / i[0][0].size,
    "mean-path-missing": lambda i, g, right: right - right.mean((1, 2), keepdims=True),
    "spread-path-missing": lambda i, g, right: right.mean((1, 2), keepdims=True) + 0 * right,
    "spread-not-compared": lambda i, g, right: (
        right.mean((1, 2), keepdims=True) + 2 * g * (i[0] - i[0].mean((1, 2), keepdims=True)) / i[0][0].size
    ),
    "square-factor-missing": lambda i, g, right: right / 2,
}
ADDITION = {
    "shared-evenly": lambda i, g, right: g / 2,
    "subtracted": lambda i, g, right: -g,
    "one-input-only": lambda i, g, right: 0 * g,
    "gradient-of-product": lambda i, g, right: g * i[0],
}
GUIDE = {
    "guide-left-out": lambda i, g, right: g,
    "guide-squared": lambda i, g, right: right * guide_of(i[0]),
    "guide-as-black-and-white": lambda i, g, right: g * (guide_of(i[0]) > 0),
    "guide-divided": lambda i, g, right: g / np.where(guide_of(i[0]) > 0, guide_of(i[0]), 1),
    "output-returned": lambda i, g, right: g * i[0] * guide_of(i[0]),
    "upstream-ignored": lambda i, g, right: 0 * g + guide_of(i[0]),
    "images-mixed-up": lambda i, g, right: right[::-1],
}
INSTANCE_NORM_INPUT = {
    "mean-path-missing": lambda i, g, right: right + normalised(i, g, lambda h, z: h.mean((1, 2), keepdims=True)),
    "variance-path-missing": lambda i, g, right: (
        right + normalised(i, g, lambda h, z: z * (h * z).mean((1, 2), keepdims=True))
    ),
    "statistics-held-fixed": lambda i, g, right: normalised(i, g, lambda h, z: h),
    "statistics-of-batch": lambda i, g, right: instance_norm.backward_input(
        one_row(g * i[1][:, None, None]), one_row_cache(i)
    ).reshape(SHAPE),
    "scale-missing": lambda i, g, right: right / i[1][:, None, None],
    "s-missing": lambda i, g, right: right * np.sqrt(i[0].var((1, 2), keepdims=True) + 1e-5),
    "upstream-squared": lambda i, g, right: instance_norm.backward_input(g * g, instance_norm.forward(*i)[1]),
    "sign": lambda i, g, right: -right,
}
INSTANCE_NORM_SCALE = {
    "summed-over-images": lambda i, g, right: np.tile(right.sum(0), (3, 1)),
    "gradient-of-shift": lambda i, g, right: g.sum((1, 2)),
    "not-normalised": lambda i, g, right: (g * i[0]).sum((1, 2)),
    "output-for-normalised": lambda i, g, right: (g * instance_norm.forward(*i)[0]).sum((1, 2)),
    "scale-in-gradient": lambda i, g, right: right * i[1],
    "epsilon-outside-root": lambda i, g, right: right * np.sqrt(i[0].var((1, 2)) + 1e-5) / (i[0].std((1, 2)) + 1e-5),
    "factor 1/(H W)": lambda i, g, right: right / PIXELS,
}
INSTANCE_NORM_SHIFT = {
    "summed-over-images": lambda i, g, right: np.tile(g.sum((0, 1, 2)), (3, 1)),
    "averaged-over-images": lambda i, g, right: np.tile(g.sum((1, 2)).mean(0), (3, 1)),
    "first-row-only": lambda i, g, right: g[:, 0].sum(1),
    "factor 1/(H W)": lambda i, g, right: g.mean((1, 2)),
}
MOMENTS = {
    "mean-path-missing": lambda i, g, right: right - g[:, 0, None, None] / PIXELS,
    "deviation-path-missing": lambda i, g, right: 0 * right + g[:, 0, None, None] / PIXELS,
    "moments-exchanged": lambda i, g, right: moments.backward(g[:, ::-1], moments.forward(*i)[1]),
    "mean-not-averaged": lambda i, g, right: right + g[:, 0, None, None] * (1 - 1 / PIXELS),
    "gradient-of-variance": lambda i, g, right: moved(i[0], g, lambda centred, s: 2 * centred),
    "s-missing": lambda i, g, right: moved(i[0], g, lambda centred, s: centred),
    "s-twice": lambda i, g, right: moved(i[0], g, lambda centred, s: centred / s**2),
    "square-factor-missing": lambda i, g, right: moved(i[0], g, lambda centred, s: centred / (2 * s)),
    "root-factor-missing": lambda i, g, right: moved(i[0], g, lambda centred, s: 2 * centred / s),
    "not-centred": lambda i, g, right: moved(i[0], g, lambda centred, s: i[0] / s),
    "own-square-only": lambda i, g, right: moved(i[0], g, lambda centred, s: centred / s * 34 / 35),
    "unbiased-variance": lambda i, g, right: moved(i[0], g, lambda centred, s: centred / s * 35 / 34),
    "epsilon-outside-root": lambda i, g, right: moved(i[0], g, lambda d, s: d / (d.std((1, 2), keepdims=True) + 1e-5)),
    "statistics-of-batch": lambda i, g, right: moments.backward(
        g.sum(0, keepdims=True), moments.forward(one_row(i[0]))[1]
    ).reshape(SHAPE),
    "factor H W": lambda i, g, right: right * PIXELS,
    "upstream-ignored": lambda i, g, right: moved(i[0], 0 * g + 1, lambda centred, s: centred / s),
}
ADAIN_CONTENT = {
    "statistics-held-fixed": lambda i, g, right: g * deviation(i[1]) / deviation(i[0]),
    "scale-missing": lambda i, g, right: right / deviation(i[1]),
    "deviations-cancelled": lambda i, g, right: right / deviation(i[1]) * deviation(i[0]),
    "content-and-style-exchanged": lambda i, g, right: right / deviation(i[1]) ** 2 * deviation(i[0]) ** 2,
    "mean-for-deviation": lambda i, g, right: right / deviation(i[1]) * i[1].mean((1, 2), keepdims=True),
    "sign": lambda i, g, right: -right,
}
ADAIN_STYLE = {
    "style-missing": lambda i, g, right: 0 * right,
    "deviation-path-missing": lambda i, g, right: moments.backward(of_style(i, g, 0), moments.forward(i[1])[1]),
    "moments-exchanged": lambda i, g, right: moments.backward(of_style(i, g)[:, ::-1], moments.forward(i[1])[1]),
    "gradient-of-variance": lambda i, g, right: moved(i[1], of_style(i, g), lambda centred, s: 2 * centred),
    "not-normalised": lambda i, g, right: moments.backward(of_style(i, g, i[0]), moments.forward(i[1])[1]),
    "output-for-normalised": lambda i, g, right: moments.backward(
        of_style(i, g, adain.forward(*i)[0]), moments.forward(i[1])[1]
    ),
    "summed-over-images": lambda i, g, right: moments.backward(
        np.tile(of_style(i, g).sum(0), (3, 1, 1)), moments.forward(i[1])[1]
    ),
    "first-image-only": lambda i, g, right: moments.backward(
        np.tile(of_style(i, g)[0], (3, 1, 1)), moments.forward(i[1])[1]
    ),
    "images-mixed-up": lambda i, g, right: moments.backward(of_style(i, g[::-1]), moments.forward(i[1])[1]),
    "factor 1/M": lambda i, g, right: right / PIXELS,
}
WRONG = {
    ("conv2d", 0): CONV2D_INPUT,
    ("conv2d", 1): CONV2D_KERNEL,
    ("conv2d", 2): CONV2D_BIAS,
    ("relu", 0): RELU,
    ("average_pool", 0): AVERAGE_POOL,
    ("max_pool", 0): MAX_POOL,
    ("reflection_pad", 0): REFLECTION_PAD,
    ("replicate_pad", 0): REPLICATE_PAD,
    ("upsample", 0): UPSAMPLE,
    ("strided_conv2d", 0): STRIDED_INPUT,
    ("strided_conv2d", 1): STRIDED_KERNEL,
    ("strided_conv2d", 2): STRIDED_BIAS,
    ("preprocess", 0): PREPROCESS,
    ("gram", 0): GRAM,
    ("cross_gram", 0): CROSS_GRAM_UPPER,
    ("cross_gram", 1): CROSS_GRAM_DEEPER,
    ("cross_style_loss", 0): CROSS_STYLE_LOSS,
    ("cross_style_loss", 1): CROSS_STYLE_LOSS,
    ("matrix_square_root", 0): MATRIX_SQUARE_ROOT,
    ("whitening", 0): WHITENING_INPUT,
    ("whitening", 1): WHITENING_STYLE,
    ("content_loss", 0): CONTENT_LOSS,
    ("style_loss", 0): STYLE_LOSS,
    ("total_variation", 0): TOTAL_VARIATION,
    ("absolute_variation", 0): ABSOLUTE_VARIATION,
    ("moment_matrix", 0): MOMENT_MATRIX,
    ("moments_style_loss", 0): TRANSPORT,
    ("wasserstein_style_loss", 0): TRANSPORT,
    ("sliced_style_loss", 0): TRANSPORT,
    ("addition", 1): ADDITION,
    ("guide", 0): GUIDE,
    ("instance_norm", 0): INSTANCE_NORM_INPUT,
    ("instance_norm", 1): INSTANCE_NORM_SCALE,
    ("instance_norm", 2): INSTANCE_NORM_SHIFT,
    ("moments", 0): MOMENTS,
    ("adain", 0): ADAIN_CONTENT,
    ("adain", 1): ADAIN_STYLE,
}
CASES = [
    pytest.param(operation, position, key, wrong, id=f"{operation} {position} {key}")
    for (operation, position), mistakes in WRONG.items()
    for key, wrong in mistakes.items()
]
# What two of these mistakes have in common is more than these inputs can tell apart.
BOTH = {"accumulated-twice", "half-missing"}


@pytest.mark.parametrize(("operation", "position", "key", "wrong"), CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_mistake_is_named(operation, position, key, wrong, seed):
    diagnosis = diagnosed(operation, wrong, position, seed)
    assert diagnosis.key == key or (key in diagnosis.keys and set(diagnosis.keys) == BOTH)


def test_the_sentence_says_what_to_mend():
    diagnosis = diagnosed("conv2d", CONV2D_INPUT["kernel-not-flipped"])
    assert diagnosis.sentence == (
        "your gradient equals the right one with the kernel not flipped: equation (d) of conv2d counts the kernel from "
        "its other end, w[::-1, ::-1]."
    )
    tap = diagnosed("conv2d", CONV2D_INPUT["tap-missing"])
    assert "without tap (0, 2) of the kernel" in tap.sentence  # (2, 0) of the flipped one
    shifted = diagnosed("conv2d", CONV2D_INPUT["padding-off-by-one"])
    assert "moved down by one pixel" in shifted.sentence
    mean = diagnosed("conv2d", CONV2D_KERNEL["mean-not-subtracted"], 1)
    assert "(3, 1, 4, 2, " in mean.sentence
    leaky = diagnosed("relu", RELU["leaky"])
    assert "0.01 grad_y where x < 0" in leaky.sentence
    scale = diagnosed("preprocess", PREPROCESS["scale"])
    assert "scale is left out, if it is 1/255" in scale.sentence
    factor = diagnosed("style_loss", STYLE_LOSS["factor N M"])
    assert "N M times the right one (210), with N = 6 channels and M = 35 pixels" in factor.sentence


def test_content_and_style_of_one_shape_exchanged():
    inputs = drawn(*SHAPE), 1 + 3 * drawn(*SHAPE, seed=3)
    y, cache = adain.forward(*inputs)
    grad_y = drawn(*SHAPE, seed=5)
    right = adain.backward(grad_y, cache)
    _, style_cache = moments.forward(inputs[1])
    mixed = moments.backward(of_style(inputs, grad_y, style_cache), style_cache)
    for key, position, got in (
        ("gradient-of-style", 0, right[1]),
        ("gradient-of-content", 1, right[0]),
        ("style-for-content", 1, mixed),
    ):
        assert diagnose(inputs, y, grad_y, got, right[position], position, "adain").key == key


def test_mistakes_that_these_inputs_cannot_tell_apart_are_all_named():
    diagnosis = diagnosed("content_loss", CONTENT_LOSS["half-missing"])
    assert diagnosis.keys == ("half-missing", "accumulated-twice")
    assert "either (1) twice the right one" in diagnosis.sentence
    assert "; or (2) twice the right one" in diagnosis.sentence


def test_the_right_gradient_has_no_diagnosis():
    for operation in FORWARD:
        inputs, y, grad_y, right = setting(operation)
        for position, gradient in enumerate(right):
            assert diagnose(inputs, y, grad_y, gradient, gradient, position, operation) is None


def test_mistakes_of_an_operation_are_named_only_where_its_equation_makes_the_right_gradient():
    x, grad_y = drawn(*SHAPE), drawn(3, 3, 2, 6)
    right = 2 * average_pool.backward(grad_y, x.shape)  # of a pooling that adds up two of each four
    diagnosis = diagnose([x], 2 * average_pool.forward(x)[0], grad_y, 4 * right, right, 0, "average_pool")
    assert diagnosis.key == "factor 4"


def test_central_differences_as_the_right_gradient():
    inputs, y, grad_y, _ = setting("gram")
    expected = central_differences(lambda x: np.sum(grad_y * gram.forward(x)[0]), inputs[0], 1e-5)
    diagnosis = diagnose(inputs, y, grad_y, GRAM["gram-transposed"](inputs, grad_y, None), expected, 0, "gram")
    assert diagnosis.key == "gram-transposed"


def test_a_sample_of_the_right_gradient_is_enough():
    inputs, y, grad_y, right = setting("conv2d")
    indices = np.random.default_rng(0).choice(right[0].size, 40, replace=False)
    expected = np.full(right[0].shape, np.nan)  # all but the sample is unknown
    expected.ravel()[indices] = right[0].ravel()[indices]
    got = CONV2D_INPUT["kernel-not-flipped"](inputs, grad_y, None)
    assert diagnose(inputs, y, grad_y, got, expected, 0, "conv2d").key == "kernel-not-flipped"


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_round_off_of_a_coarser_dtype(dtype):
    diagnosis = diagnosed("gram", lambda i, g, right: right.astype(dtype).astype("float64"))
    assert diagnosis.key == f"{dtype}-round-off"


def test_float32_inside():
    def wrong(inputs, grad_y, right):
        return gram.backward(grad_y.astype("float32"), inputs[0].astype("float32")) * 1.0000000001

    assert diagnosed("gram", wrong).key == "float32-round-off"


def test_a_mistake_in_float32_is_named():
    def wrong(inputs, grad_y, right):
        return CONV2D_INPUT["kernel-not-flipped"](inputs, grad_y, right).astype("float32")

    assert diagnosed("conv2d", wrong).key == "kernel-not-flipped"


COSINE = np.cos(drawn(4, 20))
ANY = {
    "sign": -COSINE,
    "accumulated-twice": 2 * COSINE,
    "factor 3/4": 0.75 * COSINE,
    "factor 0.123457": 0.1234567 * COSINE,
    "factor 1 + 4e-08": (1 + 4e-8) * COSINE,
    "factor 1 - 0.0001": (1 - 1e-4) * COSINE,
    "factor 1/mean|grad|": COSINE / np.abs(COSINE).mean(),
    "factor 1/|grad|": COSINE / np.linalg.norm(COSINE),
    "factor 1/size": COSINE / 80,
    "offset": COSINE + 0.3,
    "clipped": np.clip(COSINE, -0.5, 0.5),
    "reversed": COSINE[:, ::-1],
    "shifted": np.pad(COSINE[:, :-1], ((0, 0), (1, 0))),
    "reordered": COSINE[[2, 0, 1, 3]],
    "own-factors": COSINE * np.array([[2], [3], [4], [5]]),
    "absolute": np.abs(COSINE),
    "squared": COSINE**2,
    "mask-gradient": np.maximum(COSINE, 0),
    "mask-input": COSINE * (drawn(4, 20) > 0),
    "returns-input": drawn(4, 20),
    "added-to-input": COSINE + drawn(4, 20),
    "averaged-over-first-axis": np.broadcast_to(COSINE.mean(0), (4, 20)),
    "zero": np.zeros((4, 20)),
    "everywhere": COSINE + 0.1 * drawn(4, 20, seed=3),
}


@pytest.mark.parametrize("key", ANY)
def test_a_gradient_of_any_function(key):
    assert diagnose([drawn(4, 20)], 1.0, None, ANY[key], COSINE).key == key


def test_a_mean_over_a_batch_that_only_the_output_shows():
    x, grad_y = drawn(6, 5), drawn(6, 4)
    right = x.T @ grad_y  # of the weights of a dense layer
    sentence = diagnose([x, drawn(5, 4)], x @ drawn(5, 4), grad_y, right / 6, right, 1).sentence
    assert "1/y.shape[0] times the right one (0.166667), with y.shape[0] = 6: a mean in the place of a sum" in sentence


def changed(where, change, gradient=COSINE):
    """`gradient` with something done to a part of it."""
    gradient = gradient.copy()
    gradient[where] = change(gradient[where])
    return gradient


IMAGE = np.cos(drawn(2, 6, 5, 3))
EDGE = np.ones((2, 6, 5, 3), bool)
EDGE[:, 1:-1, 1:-1] = False
PLACES = [
    (np.s_[2, 7], lambda part: part + 1, "right but at one element, [2, 7]; first at [2, 7]"),
    (np.s_[2], lambda part: 3 * part, "right but in index 2 of axis 0, where it is 3 times the right one"),
    (np.s_[-1], lambda part: 0 * part, "right but in the last index of axis 0, where it is 0"),
    (np.s_[:, 1::2], lambda part: part + 0.5, "right but in the odd indices of axis 1, where 0.5 is added to it"),
    (np.s_[1:3, 4:7], np.square, "right but in indices 1 to 2 of axis 0, indices 4 to 6 of axis 1; first at [1, 4]"),
    (drawn(4, 20) < 0, lambda part: 7 * part, "right but where x < 0, where it is 7 times the right one"),
    (drawn(4, 20) < -0.5, lambda part: 0 * part, "right but at 24 of the 40 elements where x < 0, where it is 0"),
]


@pytest.mark.parametrize(("where", "change", "words"), PLACES)
def test_where_a_gradient_deviates(where, change, words):
    assert words in diagnose([drawn(4, 20)], 1.0, None, changed(where, change), COSINE).sentence


def test_the_border():
    diagnosis = diagnose([drawn(2, 6, 5, 3)], 1.0, None, changed(EDGE, lambda part: 2 * part, IMAGE), IMAGE)
    assert "on the border (top, bottom, left, right), one pixel wide, where it is 2 times" in diagnosis.sentence


def test_axes_of_a_known_operation_have_names():
    diagnosis = diagnosed("conv2d", lambda i, g, right: changed(np.s_[1, :, 0, 2], np.square, right))
    assert "in image 1, the first column, channel 2" in diagnosis.sentence


def test_a_known_mistake_in_a_part():
    def wrong(inputs, grad_y, right):
        return changed(np.s_[1:], lambda part: CONV2D_INPUT["kernel-not-flipped"](inputs, grad_y, right)[1:], right)

    diagnosis = diagnosed("conv2d", wrong)
    assert diagnosis.key == "part: kernel-not-flipped"
    assert diagnosis.sentence.startswith("your gradient is right but in every image but 0; first at [1, 0, 0, 0]: ")
    assert ". There your gradient equals the right one with the kernel not flipped: " in diagnosis.sentence


def test_first_and_worst_element_with_both_values():
    got = changed(np.s_[1, 3], lambda part: 0.25, np.full((4, 20), 0.5))
    got[2, 5] = -1
    sentence = diagnose([drawn(4, 20)], 1.0, None, got, np.full((4, 20), 0.5)).sentence
    assert "first at [1, 3]: 0.25 in the place of 0.5, most at [2, 5]: -1 in the place of 0.5" in sentence


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(WRONG)), st.integers(0, 10**6), st.floats(-6, 2))
def test_one_wrong_element_is_never_called_something_else(which, seed, exponent):
    random = np.random.default_rng(seed)

    def wrong(inputs, grad_y, right):
        got = right.copy()
        got.ravel()[random.integers(got.size)] += 10**exponent * np.abs(right).max() * random.choice([-1, 1])
        return got

    assert diagnosed(which[0], wrong, which[1]).key in ("one-element", "left-over-not-zero", "unread-not-zero")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(WRONG)), st.integers(0, 10**6), st.floats(-4, 2))
def test_noise_is_never_called_something_else(which, seed, exponent):
    def wrong(inputs, grad_y, right):
        return right + 10**exponent * np.abs(right).max() * drawn(*right.shape, seed=seed)

    assert diagnosed(which[0], wrong, which[1]).key == "everywhere"


SHAPES = [
    (COSINE.T, "its values are right after .transpose(1, 0)"),
    (COSINE.ravel(), "its values are right after .reshape(4, 20)"),
    (np.broadcast_to(COSINE / 3, (3, 4, 20)), "once summed over axes (0,)"),
    (COSINE[0], "a gradient has the shape of its input"),
    (np.zeros((7, 2)), "a gradient has the shape of its input"),
]


@pytest.mark.parametrize(("got", "words"), SHAPES)
def test_a_gradient_of_another_shape(got, words):
    assert words in diagnose([drawn(4, 20)], 1.0, None, got, COSINE).sentence


def test_a_sum_that_was_handed_on_as_a_number():
    assert "once broadcast" in diagnose([drawn(5)], 1.0, None, np.array(2.0), np.full(5, 2.0)).sentence


def test_not_a_number():
    diagnosis = diagnose([drawn(4, 20)], 1.0, None, changed(np.s_[2, 3], lambda part: np.nan), COSINE)
    assert "NaN or infinite at 1 of 80 elements, first at [2, 3]" in diagnosis.sentence


def test_ties_counted_twice():
    x = np.maximum(drawn(2, 6, 5, 3), 0)  # many a square is all zero
    y, cache = max_pool.forward(x)
    grad_y = drawn(*y.shape)
    largest = 4 * average_pool.backward(y, x.shape)
    got = 4 * average_pool.backward(grad_y, x.shape) * (x == largest)
    expected = max_pool.backward(grad_y, cache)
    assert diagnose([x], y, grad_y, got, expected, 0, "max_pool").key == "ties-counted-twice"


def test_another_choice_at_a_kink_does_not_hide_a_mistake():
    x = np.round(drawn(*SHAPE))
    y, cache = relu.forward(x)
    grad_y = drawn(*SHAPE, seed=2)
    right = relu.backward(grad_y, cache)
    expected = np.where(x == 0, np.nan, right)
    half = np.where(x == 0, grad_y / 2, right)  # as good a slope at 0 as any
    assert diagnose([x], y, grad_y, half, expected, 0, "relu") is None
    assert diagnose([x], y, grad_y, -half, expected, 0, "relu").key == "sign"
    assert diagnose([x], y, grad_y, grad_y * (x >= 0), expected, 0, "relu").key == "mask-at-zero"


NUMBERS = [0.0, 1.0, 1e300, -1e-8]
ODD_SHAPES = [(), (0,), (1,), (2, 0, 3, 3), (1, 1, 1, 3), (1, 3, 3, 3), (1, 2, 1, 2, 2)]


@pytest.mark.parametrize("operation", [None, *FORWARD])
@pytest.mark.parametrize("shape", ODD_SHAPES)
def test_no_numbers_and_no_shapes_stop_it(operation, shape):
    for value in NUMBERS:
        for output in (np.array(value), np.full(shape, value), np.full((2, 1, 1, 3), value)):
            inputs = [np.full(shape, value)] * 3
            for right in (0.0, 1.0, np.nan):
                diagnose(inputs, output, None, drawn(*shape) * value, np.full(shape, right), 0, operation)
                diagnose(inputs, output, output, inputs[0], np.full(shape, right), 2, operation)
