"""What holds for every operation, whatever the shape, the dtype and the numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numerical import central_differences, relative_error

from scratchnst.losses import content_loss, gram, style_loss, total_variation
from scratchnst.ops import (
    adain,
    addition,
    average_pool,
    conv2d,
    guide,
    instance_norm,
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

SETTINGS = ("BGR", 0.5, (1.0, 2.0, 3.0), (0.5, 2.0, 4.0))
TOLERANCE = {"float32": 1e-4, "float64": 1e-11}

seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from(["float32", "float64"])
shapes = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.integers(1, 4))
examples = settings(max_examples=25, deadline=None)


@dataclass(frozen=True)
class Operation:
    """An operation of images x; what else it takes is drawn to suit x.

    Attributes
    ----------
    forward : (x, *others) -> (y, cache)
    backward : (grad_y, cache) -> dL/dx
    others : (random, shape, dtype) -> the other arguments
    channels : how many channels x must have, or None
    is_linear : in x, but for a constant
    is_per_pixel : whether every pixel of y depends on the same pixel of x alone
    normalises : whether two pixels of a channel become 1 and -1 whatever they are: dL/dx is next to nothing then
    """

    forward: Callable
    backward: Callable
    others: Callable = lambda random, shape, dtype: ()
    channels: int | None = None
    is_linear: bool = False
    is_per_pixel: bool = False
    normalises: bool = False


def kernel(height, width):
    def draw(random, shape, dtype):
        w, b = random.standard_normal((height, width, shape[3], 3)), random.standard_normal(3)
        return w.astype(dtype), b.astype(dtype)

    return draw


def features(random, shape, dtype):
    return (random.standard_normal(shape).astype(dtype),)


def style_of_features(random, shape, dtype):
    return (random.standard_normal((shape[0], 5, 3, shape[3])).astype(dtype),)


def gram_of_features(random, shape, dtype):
    return (gram.forward(random.standard_normal(shape).astype(dtype))[0],)


def guide_of_positions(random, shape, dtype):
    return (random.uniform(0, 2, (1, *shape[1:3], 1)).astype(dtype),)


def scale_and_shift(random, shape, dtype):
    return tuple(random.standard_normal((2, shape[0], shape[3])).astype(dtype))


def style(random, shape, dtype):
    """An image with one row more than x, for each of its images; its deviation, which multiplies, is less than 1."""
    return ((1 + 0.5 * random.standard_normal((shape[0], shape[1] + 1, *shape[2:]))).astype(dtype),)


def convolution(height, width):
    return Operation(conv2d.forward, conv2d.backward_input, kernel(height, width), is_linear=True)


def as_far_as_it_goes(x):
    """Reflection padding by a row and two columns, or as many as there are to show."""
    return reflection_pad.forward(x, min(1, x.shape[1] - 1), min(2, x.shape[2] - 1))


OPERATIONS = {
    "conv2d 3x3": convolution(3, 3),
    "conv2d 1x5": convolution(1, 5),
    "relu": Operation(relu.forward, relu.backward, is_per_pixel=True),
    "average_pool": Operation(average_pool.forward, average_pool.backward, is_linear=True),
    "max_pool": Operation(max_pool.forward, max_pool.backward),
    "reflection_pad": Operation(as_far_as_it_goes, reflection_pad.backward, is_linear=True),
    "replicate_pad": Operation(lambda x: replicate_pad.forward(x, 1, 2), replicate_pad.backward, is_linear=True),
    "upsample": Operation(upsample.forward, upsample.backward, is_linear=True),
    "strided_conv2d": Operation(
        lambda x, w, b: strided_conv2d.forward(x, w, b, 2), strided_conv2d.backward_input, kernel(1, 1), is_linear=True
    ),
    "preprocess": Operation(
        lambda x: preprocess.forward(x, *SETTINGS), preprocess.backward, channels=3, is_linear=True, is_per_pixel=True
    ),
    "gram": Operation(gram.forward, gram.backward),
    "content_loss": Operation(content_loss.forward, content_loss.backward, features),
    "style_loss": Operation(style_loss.forward, style_loss.backward, gram_of_features),
    "whitening": Operation(whitening.forward, lambda g, cache: whitening.backward(g, cache)[0], style_of_features),
    "total_variation": Operation(total_variation.forward, total_variation.backward),
    "addition": Operation(
        addition.forward, lambda g, cache: addition.backward(g)[0], features, is_linear=True, is_per_pixel=True
    ),
    "guide": Operation(guide.forward, guide.backward, guide_of_positions, is_linear=True),
    "instance_norm": Operation(instance_norm.forward, instance_norm.backward_input, scale_and_shift, normalises=True),
    "moments": Operation(moments.forward, moments.backward),
    "adain": Operation(adain.forward, lambda g, cache: adain.backward(g, cache)[0], style, normalises=True),
}
LINEAR = [name for name, operation in OPERATIONS.items() if operation.is_linear]
LOSSES = ["content_loss", "style_loss", "total_variation"]
# Their other arguments hold something for each image.
OF_IMAGES = [*LOSSES, "addition", "instance_norm", "adain", "whitening"]

every_operation = pytest.mark.parametrize("name", OPERATIONS)


def drawn(name, shape, dtype, seed):
    """The operation, x and the other arguments.  No two elements of x are close, nor is any close to zero."""
    operation, random = OPERATIONS[name], np.random.default_rng(seed)
    assume(not operation.normalises or shape[1] * shape[2] != 2)
    shape = (*shape[:3], operation.channels or shape[3])
    count = int(np.prod(shape))
    x = random.permutation(np.arange(1, count + 1)).reshape(shape) / count * random.choice([-2.0, 2.0], shape)
    return operation, x.astype(dtype), operation.others(random, shape, dtype)


def upstream(y, seed):
    """A random dL/dy: a number for a loss, else an array like y."""
    grad_y = np.random.default_rng(seed + 1).standard_normal(np.shape(y))
    return float(grad_y) if np.ndim(y) == 0 else grad_y.astype(y.dtype)


def gradient(operation, x, others, seed):
    y, cache = operation.forward(x, *others)
    return operation.backward(upstream(y, seed), cache)


def assert_close(actual, expected, dtype):
    scale = max(float(np.max(np.abs(expected), initial=0)), 1e-2)  # terms of about 1 may cancel
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[dtype] * scale)


@every_operation
@examples
@given(shape=shapes, seed=seeds)
def test_backward_is_the_numerical_derivative(name, shape, seed):
    shape = (min(shape[0], 2), min(shape[1], 4), min(shape[2], 4), min(shape[3], 3))
    operation, x, others = drawn(name, shape, "float64", seed)
    y, cache = operation.forward(x, *others)
    grad_y = upstream(y, seed)
    expected = central_differences(lambda x: float(np.sum(grad_y * operation.forward(x, *others)[0])), x, 1e-4 / x.size)
    found = operation.backward(grad_y, cache)
    if np.any(expected):
        assert relative_error(found, expected) < 1e-5
    else:
        np.testing.assert_array_equal(found, 0)


@examples
@given(shape=shapes, seed=seeds)
def test_backward_of_kernel_and_bias_is_the_numerical_derivative(shape, seed):
    _, x, (w, b) = drawn("conv2d 3x3", shape, "float64", seed)
    y, cache = conv2d.forward(x, w, b)
    grad_y = upstream(y, seed)
    _, grad_w, grad_b = conv2d.backward(grad_y, cache)
    bias = central_differences(lambda b: np.sum(grad_y * conv2d.forward(x, w, b)[0]), b, 1e-2)
    assert_close(grad_b, bias, "float32")
    corner = np.zeros_like(w)
    corner[0, 2, 0, 1] = 1e-2
    change = conv2d.forward(x, w + corner, b)[0] - conv2d.forward(x, w - corner, b)[0]
    assert grad_w[0, 2, 0, 1] == pytest.approx(np.sum(grad_y * change) / 2e-2, abs=1e-8 * max(1, np.abs(grad_w).max()))


@every_operation
@examples
@given(shape=shapes, dtype=dtypes, seed=seeds)
def test_dtype_and_shape_are_kept_and_inputs_left_alone(name, shape, dtype, seed):
    operation, x, others = drawn(name, shape, dtype, seed)
    before = x.copy(), [other.copy() for other in others]
    y, cache = operation.forward(x, *others)
    grad_y = upstream(y, seed)
    kept = np.copy(grad_y)
    grad_x = operation.backward(grad_y, cache)
    assert isinstance(y, float) or y.dtype == dtype
    assert grad_x.dtype == dtype
    assert grad_x.shape == x.shape
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(grad_y, kept)
    for other, old in zip(others, before[1]):
        np.testing.assert_array_equal(other, old)


@every_operation
@examples
@given(shape=shapes, dtype=dtypes, seed=seeds)
def test_the_same_again(name, shape, dtype, seed):
    operation, x, others = drawn(name, shape, dtype, seed)
    y, cache = operation.forward(x, *others)
    np.testing.assert_array_equal(operation.forward(x, *others)[0], y)
    grad_y = upstream(y, seed)
    np.testing.assert_array_equal(operation.backward(grad_y, cache), operation.backward(grad_y, cache))


@every_operation
@examples
@given(shape=shapes, dtype=dtypes, seed=seeds)
def test_backward_is_linear_in_the_upstream_gradient(name, shape, dtype, seed):
    operation, x, others = drawn(name, shape, dtype, seed)
    y, cache = operation.forward(x, *others)
    one, other = upstream(y, seed), upstream(y, seed + 7)
    separately = 2 * operation.backward(one, cache) - operation.backward(other, cache)
    assert_close(operation.backward(2 * one - other, cache), separately, dtype)


@pytest.mark.parametrize("name", LINEAR)
@examples
@given(shape=shapes, dtype=dtypes, seed=seeds)
def test_linear_operations_are_linear_and_backward_is_their_adjoint(name, shape, dtype, seed):
    operation, x, others = drawn(name, shape, dtype, seed)
    _, v, _ = drawn(name, shape, dtype, seed + 1)
    origin, cache = operation.forward(np.zeros_like(x), *others)
    along, at, both = (operation.forward(each, *others)[0] - origin for each in (v, x, x + v))
    size = sum(float(np.max(np.abs(each), initial=0)) for each in (along, at, origin))
    np.testing.assert_allclose(both, along + at, rtol=0, atol=TOLERANCE[dtype] * size)
    u = upstream(origin, seed)
    terms = float(np.sum(np.abs(along * u))) + float(np.sum(np.abs(operation.backward(u, cache) * v)))
    sides = np.sum(along * u, dtype="float64"), np.sum(v * operation.backward(u, cache), dtype="float64")
    assert abs(sides[0] - sides[1]) <= TOLERANCE[dtype] * terms


@every_operation
@examples
@given(shape=shapes, dtype=dtypes, seed=seeds)
def test_images_of_a_batch_do_not_meet(name, shape, dtype, seed):
    operation, x, others = drawn(name, shape, dtype, seed)
    y, cache = operation.forward(x, *others)
    grad_y = upstream(y, seed)
    grad_x = operation.backward(grad_y, cache)
    total = 0.0
    for n in range(len(x)):
        own = [other[n : n + 1] if name in OF_IMAGES else other for other in others]
        y_n, cache_n = operation.forward(x[n : n + 1], *own)
        grad_n = grad_y if np.ndim(y) == 0 else grad_y[n : n + 1]
        assert_close(operation.backward(grad_n, cache_n), grad_x[n : n + 1], dtype)
        if np.ndim(y) == 0:
            total += y_n
        else:
            assert_close(y_n, y[n : n + 1], dtype)
    if np.ndim(y) == 0:
        assert total == pytest.approx(y, rel=TOLERANCE[dtype])


# Symmetries: moving the input moves the output, or leaves it as it is, and the gradient moves with the input.


def even(shape):
    """The shape with even height and width, in which every pixel belongs to a pool's square."""
    return shape[0], shape[1] + shape[1] % 2, shape[2] + shape[2] % 2, shape[3]


def flipped(x):
    """Upside down and left to right."""
    return x[:, ::-1, ::-1]


def transposed(x):
    return x.swapaxes(1, 2)


def assert_equivariant(forward, backward, moved_forward, moved_backward, move, x, dtype, seed):
    """forward(move(x)) = move(forward(x)), and the same for the gradient."""
    y, cache = forward(x)
    moved_y, moved_cache = moved_forward(move(x))
    assert_close(moved_y, move(y), dtype)
    grad_y = upstream(y, seed)
    assert_close(moved_backward(move(grad_y), moved_cache), move(backward(grad_y, cache)), dtype)


@pytest.mark.parametrize("move", [flipped, transposed])
@pytest.mark.parametrize("module", [relu, average_pool, max_pool])
@examples
@given(shape=shapes, dtype=dtypes, seed=seeds)
def test_pools_and_relu_move_with_the_image(module, move, shape, dtype, seed):
    _, x, _ = drawn("relu", even(shape), dtype, seed)
    assert_equivariant(module.forward, module.backward, module.forward, module.backward, move, x, dtype, seed)


@pytest.mark.parametrize("move", [flipped, transposed])
@examples
@given(shape=shapes, dtype=dtypes, seed=seeds)
def test_a_convolution_moves_with_image_and_kernel(move, shape, dtype, seed):
    _, x, (w, b) = drawn("conv2d 3x3", shape, dtype, seed)
    moved_w = move(w[np.newaxis].reshape(1, 3, 3, -1)).reshape(w.shape)
    assert_equivariant(
        lambda x: conv2d.forward(x, w, b),
        conv2d.backward_input,
        lambda x: conv2d.forward(x, moved_w, b),
        conv2d.backward_input,
        move,
        x,
        dtype,
        seed,
    )


@examples
@given(shape=shapes, dtype=dtypes, seed=seeds, down=st.integers(0, 3), right=st.integers(0, 3))
def test_a_convolution_shifts_with_the_image(shape, dtype, seed, down, right):
    """An image amid zeros may lie anywhere, as long as the kernel does not reach over the border."""
    operation, x, (w, b) = drawn("conv2d 3x3", shape, dtype, seed)
    (count, height, width, _), filters = x.shape, w.shape[3]

    def placed(image, top, left):
        canvas = np.zeros((count, height + 7, width + 7, image.shape[3]), dtype)
        canvas[:, 2 + top : 2 + top + height, 2 + left : 2 + left + width] = image
        return canvas

    def seen(canvas, top, left):
        return canvas[:, 1 + top : 3 + top + height, 1 + left : 3 + left + width]

    grad_y = upstream(np.zeros((count, height, width, filters), dtype), seed)
    for f in (
        lambda top, left: conv2d.forward(placed(x, top, left), w, b)[0],
        lambda top, left: operation.backward(placed(grad_y, top, left), (placed(x, top, left), w)),
    ):
        assert_close(seen(f(down, right), down, right), seen(f(0, 0), 0, 0), dtype)


@pytest.mark.parametrize("name", ["relu", "average_pool", "max_pool", "gram"])
@examples
@given(shape=shapes, dtype=dtypes, seed=seeds)
def test_channels_may_be_exchanged(name, shape, dtype, seed):
    operation, x, _ = drawn(name, shape, dtype, seed)
    order = np.random.default_rng(seed).permutation(x.shape[3])
    y, cache = operation.forward(x)
    moved_y, moved_cache = operation.forward(x[..., order])
    exchange = (lambda y: y[:, order][..., order]) if name == "gram" else (lambda y: y[..., order])
    assert_close(moved_y, exchange(y), dtype)
    grad_y = upstream(y, seed)
    assert_close(
        operation.backward(exchange(grad_y), moved_cache), operation.backward(grad_y, cache)[..., order], dtype
    )


@pytest.mark.parametrize("name", ["gram", "style_loss"])
@examples
@given(shape=shapes, dtype=dtypes, seed=seeds)
def test_style_forgets_where_things_are(name, shape, dtype, seed):
    operation, x, others = drawn(name, shape, dtype, seed)
    count, height, width, channels = x.shape
    order = np.random.default_rng(seed).permutation(height * width)

    def shuffled(x):
        return x.reshape(count, -1, channels)[:, order].reshape(x.shape)

    y, cache = operation.forward(x, *others)
    moved_y, moved_cache = operation.forward(shuffled(x), *others)
    assert_close(moved_y, y, dtype)
    grad_y = upstream(y, seed)
    assert_close(operation.backward(grad_y, moved_cache), shuffled(operation.backward(grad_y, cache)), dtype)


@pytest.mark.parametrize("move", [flipped, transposed])
@examples
@given(shape=shapes, dtype=dtypes, seed=seeds)
def test_total_variation_does_not_care_which_way_up(move, shape, dtype, seed):
    _, x, _ = drawn("total_variation", shape, dtype, seed)
    (y, cache), (moved_y, moved_cache) = total_variation.forward(x), total_variation.forward(move(x))
    assert moved_y == pytest.approx(y, rel=TOLERANCE[dtype])
    assert_close(total_variation.backward(0.7, moved_cache), move(total_variation.backward(0.7, cache)), dtype)


@examples
@given(shape=shapes, dtype=dtypes, seed=seeds, brightness=st.floats(-100, 100))
def test_total_variation_does_not_care_how_bright(shape, dtype, seed, brightness):
    _, x, _ = drawn("total_variation", shape, dtype, seed)
    brighter = x + x.dtype.type(brightness)
    expected = total_variation.backward(1.0, total_variation.forward(x)[1])
    found = total_variation.backward(1.0, total_variation.forward(brighter)[1])
    np.testing.assert_allclose(found, expected, atol=100 * TOLERANCE[dtype] * max(1, np.abs(expected).max()))
    assert abs(found.sum(dtype="float64")) < (1e-2 if dtype == "float32" else 1e-9)  # what rises here falls there


@pytest.mark.parametrize("module", [relu, average_pool, max_pool])
@examples
@given(shape=shapes, dtype=dtypes, seed=seeds, factor=st.sampled_from([0.25, 0.5, 2, 4]))
def test_a_positive_factor_passes_through(module, shape, dtype, seed, factor):
    """f(k x) = k f(x), and so the gradient at k x is that at x; a power of 2 does not round."""
    _, x, _ = drawn("relu", shape, dtype, seed)
    (y, cache), (scaled_y, scaled_cache) = module.forward(x), module.forward(x * x.dtype.type(factor))
    np.testing.assert_array_equal(scaled_y, y * y.dtype.type(factor))
    grad_y = upstream(y, seed)
    np.testing.assert_array_equal(module.backward(grad_y, scaled_cache), module.backward(grad_y, cache))


@examples
@given(shape=shapes, seed=seeds)
def test_a_loss_at_its_target_is_zero_and_so_is_its_gradient(shape, seed):
    _, F, _ = drawn("gram", shape, "float64", seed)
    for module, target in ((content_loss, F), (style_loss, gram.forward(F)[0])):
        loss, cache = module.forward(F, target)
        assert loss == 0
        assert not module.backward(1.0, cache).any()
