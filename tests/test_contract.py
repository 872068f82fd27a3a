"""Every operation keeps the contract: right values, right derivatives, either dtype, untouched inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numerical import central_differences, relative_error

from scratchnst.engine.textbook import reflected_conv2d, upsampled_conv2d
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
    wasserstein_style_loss,
)
from scratchnst.losses import total_variation as tv
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

SHAPES = [(1, 1, 1, 3), (2, 5, 4, 3), (1, 3, 7, 65), (2, 2, 2, 1), (1, 6, 3, 2)]
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
BGR = ("BGR", 0.5, (1.0, 2.0, 3.0), (0.5, 2.0, 4.0))


@dataclass
class Operation:
    """How to make the inputs that have a gradient, and how to call each form of the operation on them."""

    inputs: Callable[..., list]
    forward: Callable
    backward: Callable
    forward_loops: Callable
    backward_loops: Callable
    shapes: tuple = tuple(SHAPES)


def convolution(kh, kw):
    def inputs(random, shape):
        filters = 65 if shape[3] == 3 else 2
        w = random.standard_normal((kh, kw, shape[3], filters))
        return [random.standard_normal(shape), w, random.standard_normal(filters)]

    return Operation(
        inputs, conv2d.forward, conv2d.backward, conv2d.forward_loops, lambda g, x, w, b: conv2d.backward_loops(g, x, w)
    )


def strided(kh, kw, stride):
    """A convolution without padding; images too small for the kernel are left out."""

    def inputs(random, shape):
        w = random.standard_normal((kh, kw, shape[3], 4))
        return [random.standard_normal(shape), w, random.standard_normal(4)]

    return Operation(
        inputs,
        lambda x, w, b: strided_conv2d.forward(x, w, b, stride),
        strided_conv2d.backward,
        lambda x, w, b: strided_conv2d.forward_loops(x, w, b, stride),
        lambda g, x, w, b: strided_conv2d.backward_loops(g, x, w, stride),
        ((1, kh, kw, 3), (2, 6, 5, 3), (1, 7, 8, 2), (1, 5, 4, 65)),
    )


def reflected(kh, kw, stride):
    """Reflection padding and such a convolution, one after the other."""
    margins = kh // 2, kw // 2

    def forward_loops(x, w, b):
        return strided_conv2d.forward_loops(reflection_pad.forward_loops(x, *margins), w, b, stride)

    def backward_loops(g, x, w, b):
        padded = reflection_pad.forward_loops(x, *margins)
        grad_padded, *others = strided_conv2d.backward_loops(g, padded, w, stride)
        return reflection_pad.backward_loops(grad_padded, x, *margins), *others

    return Operation(
        strided(kh, kw, stride).inputs,
        lambda x, w, b: reflected_conv2d.forward(x, w, b, stride),
        reflected_conv2d.backward,
        forward_loops,
        backward_loops,
        ((1, kh // 2 + 1, kw // 2 + 1, 3), (2, 6, 5, 3), (1, 3, 7, 2)),
    )


def upsampled():
    """Nearest upsampling, then reflection padding and a convolution."""
    convolved = reflected(3, 3, 1)

    def backward_loops(g, x, w, b):
        grad_u, *others = convolved.backward_loops(g, upsample.forward_loops(x), w, b)
        return upsample.backward_loops(grad_u, x), *others

    return Operation(
        convolved.inputs,
        upsampled_conv2d.forward,
        upsampled_conv2d.backward,
        lambda x, w, b: convolved.forward_loops(upsample.forward_loops(x), w, b),
        backward_loops,
        ((1, 1, 1, 3), (2, 3, 2, 3), (1, 1, 4, 2)),
    )


def features(random, shape):
    return [random.standard_normal(shape)]


def away_from_zero(random, shape):
    """Central differences say nothing at the kink of the ReLU, so no input lies near it."""
    x = random.standard_normal(shape)
    return [x + 0.1 * np.sign(x)]


def all_different(random, shape):
    """No two inputs of a max pool tie, nor nearly."""
    return [random.permutation(np.arange(float(np.prod(shape)))).reshape(shape)]


def two_alike(random, shape):
    return [random.standard_normal(shape), random.standard_normal(shape)]


def scaled_and_shifted(random, shape):
    return [random.standard_normal(each) for each in (shape, (shape[0], shape[3]), (shape[0], shape[3]))]


def content_and_style(random, shape):
    """The style has other numbers of rows and columns."""
    count, height, width, channels = shape
    return [random.standard_normal(shape), 1 + 3 * random.standard_normal((count, width + 1, height + 2, channels))]


def positive_matrices(random, shape):
    """As many as images, of as many rows as channels, with eigenvalues of 1/2 or more."""
    F = random.standard_normal((shape[0], shape[3], shape[3]))
    return [F.swapaxes(1, 2) @ F + np.eye(shape[3]) / 2]


def features_and_style(random, shape):
    return [random.standard_normal(shape), random.standard_normal((shape[0], 4, 2, shape[3])) + 1]


def pair_of_layers(pools):
    """Features of a layer and of one behind so many pools, with two channels."""
    return lambda random, shape: [
        random.standard_normal(shape),
        random.standard_normal((shape[0], shape[1] >> pools, shape[2] >> pools, 2)),
    ]


def as_it_is(module):
    """An operation whose loops take the same arguments, with one input."""
    return {
        "forward": module.forward,
        "backward": module.backward,
        "forward_loops": module.forward_loops,
        "backward_loops": module.backward_loops,
    }


def loss_with_target(module, make_target):
    """A loss whose second argument is a target without a gradient, made from the first one's shape and dtype.

    A guide is given likewise.
    """
    return Operation(
        features,
        lambda x: module.forward(x, make_target(x)),
        module.backward,
        lambda x: module.forward_loops(x, make_target(x)),
        lambda g, x: module.backward_loops(g, x, make_target(x)),
    )


def target_features(x):
    return np.random.default_rng(1).standard_normal(x.shape).astype(x.dtype)


def target_guide(x):
    return np.random.default_rng(1).uniform(0, 2, (1, *x.shape[1:3], 1)).astype(x.dtype)


def target_gram(x):
    F = target_features(x).reshape(x.shape[0], -1, x.shape[3])
    return np.einsum("nmi,nmj->nij", F, F)


def target_moments(x):
    return moment_matrix.forward(1 + target_features(x) * np.arange(1, 1 + x.shape[3]).astype(x.dtype))[0]


def target_quantiles(x):
    return np.sort(target_features(x).reshape(x.shape[0], -1, x.shape[3]), axis=1).swapaxes(1, 2)


def target_cross_gram(F, K):
    return np.random.default_rng(1).standard_normal((1, F.shape[3], K.shape[3])).astype(F.dtype)


OPERATIONS = {
    "conv2d 3x3": convolution(3, 3),
    "conv2d 1x1": convolution(1, 1),
    "conv2d 5x3": convolution(5, 3),
    "relu": Operation(away_from_zero, **as_it_is(relu)),
    "average_pool": Operation(features, **as_it_is(average_pool)),
    "max_pool": Operation(all_different, **as_it_is(max_pool)),
    "preprocess": Operation(
        features,
        lambda x: preprocess.forward(x, *BGR),
        preprocess.backward,
        lambda x: preprocess.forward_loops(x, *BGR),
        lambda g, x: preprocess.backward_loops(g, BGR[0], BGR[1], BGR[3]),
        tuple(shape for shape in SHAPES if shape[3] == 3),
    ),
    "reflection_pad": Operation(
        features,
        lambda x: reflection_pad.forward(x, 1, 2),
        reflection_pad.backward,
        lambda x: reflection_pad.forward_loops(x, 1, 2),
        lambda g, x: reflection_pad.backward_loops(g, x, 1, 2),
        ((1, 2, 3, 3), (2, 5, 4, 3), (1, 3, 7, 65)),
    ),
    "replicate_pad": Operation(
        features,
        lambda x: replicate_pad.forward(x, 1, 2),
        replicate_pad.backward,
        lambda x: replicate_pad.forward_loops(x, 1, 2),
        lambda g, x: replicate_pad.backward_loops(g, x, 1, 2),
    ),
    "upsample": Operation(features, **as_it_is(upsample)),
    "strided_conv2d 3x3": strided(3, 3, 1),
    "strided_conv2d 3x3 by 2": strided(3, 3, 2),
    "strided_conv2d 5x3 by 2": strided(5, 3, 2),
    "strided_conv2d 2x1 by 3": strided(2, 1, 3),
    "reflected_conv2d 3x3": reflected(3, 3, 1),
    "reflected_conv2d 5x3 by 2": reflected(5, 3, 2),
    "upsampled_conv2d": upsampled(),
    "gram": Operation(features, **as_it_is(gram), shapes=((1, 1, 1, 3), (2, 5, 4, 3), (1, 2, 3, 65))),
    "cross_gram": Operation(pair_of_layers(0), **as_it_is(cross_gram), shapes=((1, 1, 1, 3), (2, 5, 4, 3))),
    "cross_gram behind a pool": Operation(
        pair_of_layers(1), **as_it_is(cross_gram), shapes=((1, 2, 2, 3), (2, 5, 4, 3), (1, 3, 7, 1))
    ),
    "cross_gram behind two": Operation(pair_of_layers(2), **as_it_is(cross_gram), shapes=((2, 5, 11, 3),)),
    "cross_style_loss": Operation(
        pair_of_layers(1),
        lambda F, K: cross_style_loss.forward(F, K, target_cross_gram(F, K)),
        cross_style_loss.backward,
        lambda F, K: cross_style_loss.forward_loops(F, K, target_cross_gram(F, K)),
        lambda g, F, K: cross_style_loss.backward_loops(g, F, K, target_cross_gram(F, K)),
        ((1, 2, 2, 3), (2, 5, 4, 3)),
    ),
    "matrix_square_root": Operation(
        positive_matrices, **as_it_is(matrix_square_root), shapes=((1, 1, 1, 3), (2, 1, 1, 4), (1, 1, 1, 1))
    ),
    "whitening": Operation(
        features_and_style, **as_it_is(whitening), shapes=((1, 1, 1, 3), (2, 5, 4, 3), (1, 3, 7, 2), (2, 2, 3, 1))
    ),
    "content_loss": loss_with_target(content_loss, target_features),
    "style_loss": loss_with_target(style_loss, target_gram),
    "moment_matrix": Operation(features, **as_it_is(moment_matrix), shapes=((1, 1, 1, 3), (2, 5, 4, 3), (1, 2, 3, 65))),
    "moments_style_loss": loss_with_target(moments_style_loss, target_moments),
    "wasserstein_style_loss": replace(
        loss_with_target(wasserstein_style_loss, target_moments), shapes=((2, 5, 4, 3), (1, 6, 3, 2), (2, 2, 2, 1))
    ),
    "projections": Operation(features, **as_it_is(projections), shapes=((1, 1, 1, 3), (2, 5, 4, 3), (1, 2, 3, 65))),
    "sliced_style_loss": replace(
        loss_with_target(sliced_style_loss, target_quantiles), shapes=((1, 1, 1, 3), (2, 5, 4, 3), (1, 2, 3, 33))
    ),
    "total_variation": Operation(features, **as_it_is(tv)),
    "absolute_variation": Operation(all_different, **as_it_is(absolute_variation)),
    "laplacian_loss": replace(
        loss_with_target(laplacian_loss, target_features), shapes=((1, 12, 13, 1), (2, 13, 17, 3), (1, 3, 30, 2))
    ),
    "addition": Operation(two_alike, **as_it_is(addition)),
    "guide": loss_with_target(guide, target_guide),
    "instance_norm": Operation(
        scaled_and_shifted,
        instance_norm.forward,
        instance_norm.backward,
        instance_norm.forward_loops,
        lambda g, x, scale, shift: instance_norm.backward_loops(g, x, scale),
    ),
    "moments": Operation(features, **as_it_is(moments)),
    "adain": Operation(content_and_style, **as_it_is(adain)),
}
CASES = [
    pytest.param(operation, shape, id=f"{name} {'x'.join(map(str, shape))}")
    for name, operation in OPERATIONS.items()
    for shape in operation.shapes
]


def make(operation, shape, dtype):
    """Return (inputs, output, cache, a random upstream gradient)."""
    random = np.random.default_rng(0)
    inputs = [x.astype(dtype) for x in operation.inputs(random, shape)]
    y, cache = operation.forward(*inputs)
    grad_y = random.standard_normal(np.shape(y))
    return inputs, y, cache, float(grad_y) if np.ndim(y) == 0 else grad_y.astype(dtype)


def as_list(grads: Any) -> list:
    return list(grads) if isinstance(grads, tuple) else [grads]


def assert_close(actual, expected, dtype):
    assert np.shape(actual) == np.shape(expected)
    scale = max(np.max(np.abs(expected), initial=0), 1e-30)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize(("operation", "shape"), CASES)
def test_forward_equals_loops(operation, shape, dtype):
    inputs, y, _, _ = make(operation, shape, dtype)
    assert_close(y, operation.forward_loops(*inputs), dtype)


@pytest.mark.parametrize(("operation", "shape"), CASES)
def test_backward_equals_loops(operation, shape, dtype):
    inputs, _, cache, grad_y = make(operation, shape, dtype)
    grads = as_list(operation.backward(grad_y, cache))
    expected = as_list(operation.backward_loops(grad_y, *inputs))
    assert len(grads) == len(expected) == len(inputs)
    for grad, wanted in zip(grads, expected):
        assert_close(grad, wanted, dtype)


@pytest.mark.parametrize(("operation", "shape"), CASES)
def test_backward_equals_central_differences(operation, shape):
    inputs, _, cache, grad_y = make(operation, shape, "float64")
    grads = as_list(operation.backward(grad_y, cache))
    for position, x in enumerate(inputs):

        def loss(value, position=position):
            y, _ = operation.forward(*inputs[:position], value, *inputs[position + 1 :])
            return np.sum(grad_y * y)

        expected = central_differences(loss, x, 1e-4)
        if np.any(expected):
            assert relative_error(grads[position], expected) < 1e-6
        else:
            np.testing.assert_array_equal(grads[position], 0)


@pytest.mark.parametrize(("operation", "shape"), CASES)
def test_dtype_stays_and_inputs_are_unchanged(operation, shape, dtype):
    inputs, y, cache, grad_y = make(operation, shape, dtype)
    before = [x.copy() for x in inputs], np.copy(grad_y)
    operation.forward(*inputs)
    grads = as_list(operation.backward(grad_y, cache))
    again = as_list(operation.backward(grad_y, cache))
    assert isinstance(y, float) or y.dtype == dtype
    assert all(grad.dtype == dtype for grad in grads)
    for x, old in zip(inputs, before[0]):
        np.testing.assert_array_equal(x, old)
    np.testing.assert_array_equal(grad_y, before[1])
    for first, second in zip(grads, again):
        np.testing.assert_array_equal(first, second)
