"""The convolutions of the engine cuda, on the emulator, each way against the textbook in float64."""

from __future__ import annotations

import numpy as np
import pytest
from numerical import relative_error

from scratchnst import emulator
from scratchnst.engine.cuda import conv2d, conv2d_relu, device
from scratchnst.engine.cuda.column_sums import column_sums
from scratchnst.ops import conv2d as textbook
from scratchnst.ops import relu

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
WAYS = list(conv2d.WAYS)
# Sides of one, of a tile less and more; few and many channels, no round numbers of them.
SHAPES = [
    ((1, 1, 1, 3), 2),
    ((1, 1, 9, 1), 3),
    ((2, 5, 7, 3), 65),
    ((3, 4, 4, 65), 1),
    ((1, 13, 3, 16), 33),
    ((1, 31, 33, 6), 7),
]


@pytest.fixture(params=["forward", "reverse"], autouse=True)
def cuda(request):
    """The emulator, its threads in either order."""
    with emulator.installed(request.param):
        yield


def case(random, shape, outputs, dtype, kernel=(3, 3)):
    """Return x, w, b, an upstream gradient, and a mask for each image."""
    x = random.standard_normal(shape).astype(dtype)
    w = random.standard_normal((*kernel, shape[3], outputs)).astype(dtype)
    b = random.standard_normal(outputs).astype(dtype)
    g = random.standard_normal((*shape[:3], outputs)).astype(dtype)
    return x, w, b, g, random.random(x.shape) > 0.4, random.random(g.shape) > 0.4


def in_float64(*arrays):
    return [array.astype("float64") for array in arrays]


def on_device(*arrays):
    return [device.asarray(array) for array in arrays]


def host(*arrays):
    return [device.asnumpy(array) for array in arrays]


@pytest.mark.parametrize(("shape", "outputs"), SHAPES)
@pytest.mark.parametrize("way", WAYS)
def test_every_way_is_the_textbooks_convolution(random, way, shape, outputs, dtype):
    x, w, b, _, mask, _ = case(random, shape, outputs, dtype)
    dx, dw, db, dmask = on_device(x, w, b, mask)
    way = conv2d.WAYS[way]
    expected, _ = textbook.forward(*in_float64(x, w, b))
    y, positive = way.convolve(dx, dw, db)
    assert y.dtype == dtype
    assert positive is None
    assert relative_error(y.get(), expected) < TOLERANCE[dtype]

    masked, _ = way.convolve(dx, dw, mask=dmask)
    expected, _ = textbook.forward(*in_float64(x * mask, w, np.zeros(outputs)))
    assert relative_error(masked.get(), expected) < TOLERANCE[dtype]

    rectified, positive = way.convolve(dx, dw, db, relu=True)
    np.testing.assert_array_equal(rectified.get(), np.maximum(y.get(), 0))
    np.testing.assert_array_equal(positive.get(), y.get() > 0)


@pytest.mark.parametrize(("shape", "outputs"), SHAPES)
@pytest.mark.parametrize("way", WAYS)
def test_every_way_goes_back_as_the_textbook_does(random, way, shape, outputs, dtype):
    x, w, _, g, _, mask = case(random, shape, outputs, dtype)
    way = conv2d.WAYS[way]
    for chosen in (None, mask):
        masked = g if chosen is None else g * chosen
        dmask = None if chosen is None else device.asarray(chosen)
        grad_x = way.convolve_back(*on_device(g, w), dmask)
        assert grad_x.dtype == dtype
        expected = textbook.backward_input(*in_float64(masked), in_float64(x, w))
        assert relative_error(grad_x.get(), expected) < TOLERANCE[dtype]
        grad_w = way.kernel_gradient(*on_device(x, g), dmask, (3, 3))
        assert grad_w.dtype == dtype
        expected, _ = textbook.backward_parameters(*in_float64(masked), in_float64(x, w))
        assert relative_error(grad_w.get(), expected) < TOLERANCE[dtype]


@pytest.mark.parametrize(
    ("x", "w", "b"),
    [((0, 4, 4, 3), 3, 2), ((1, 0, 4, 3), 3, 2), ((2, 4, 0, 3), 3, 2), ((1, 4, 4, 0), 0, 2), ((1, 4, 4, 3), 3, 0)],
)
@pytest.mark.parametrize("operation", [conv2d, conv2d_relu])
def test_nothing_to_convolve(operation, x, w, b):
    x, w, b = np.ones(x, "float32"), np.ones((3, 3, w, b), "float32"), np.arange(b, dtype="float32") - 1
    y, cache = operation.forward(*on_device(x, w, b))
    rectified = np.maximum(b, 0) if operation is conv2d_relu else b
    np.testing.assert_array_equal(y.get(), np.broadcast_to(rectified, (*x.shape[:3], len(b))))
    grad_x, grad_w, grad_b = host(*operation.backward(device.asarray(np.ones(y.shape, "float32")), cache))
    assert (grad_x.shape, grad_w.shape, grad_b.shape) == (x.shape, w.shape, b.shape)
    assert not grad_x.any()
    assert not grad_w.any()
    pixels = np.prod(x.shape[:3])
    np.testing.assert_array_equal(grad_b, pixels * (b > 0) if operation is conv2d_relu else np.full(len(b), pixels))


@pytest.mark.parametrize("way", WAYS)
def test_relu_in_one_is_convolution_then_relu(random, way):
    x, w, b, g, _, _ = case(random, (2, 6, 9, 5), 4, "float64")
    with conv2d.using(way):
        y, cache = conv2d_relu.forward(*on_device(x, w, b))
        grads = conv2d_relu.backward(device.asarray(g), cache)
    z, conv_cache = textbook.forward(x, w, b)
    expected, relu_cache = relu.forward(z)
    np.testing.assert_allclose(y.get(), expected, rtol=0, atol=1e-12 * expected.max())
    for grad, wanted in zip(host(*grads), textbook.backward(relu.backward(g, relu_cache), conv_cache)):
        assert relative_error(grad, wanted) < 1e-12


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (63, 3), (129, 300), (1000, 2)])
def test_sums_of_columns(random, rows, columns, dtype):
    x, mask = random.standard_normal((rows, columns)).astype(dtype), random.random((rows, columns)) > 0.5
    sums = column_sums(*on_device(x))
    assert sums.dtype == dtype
    np.testing.assert_allclose(sums.get(), x.sum(axis=0, dtype="float64"), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(
        column_sums(*on_device(x, mask)).get(), (x * mask).sum(axis=0, dtype="float64"), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("kernel", [(1, 1), (5, 3), (1, 7), (11, 11)])
@pytest.mark.parametrize("way", ["naive", "tiled"])
def test_odd_kernels_of_other_sizes(random, way, kernel, dtype):
    x, w, b, g, _, mask = case(random, (2, 4, 6, 5), 3, dtype, kernel)
    way = conv2d.WAYS[way]
    expected, _ = textbook.forward(*in_float64(x, w, b))
    assert relative_error(way.convolve(*on_device(x, w, b))[0].get(), expected) < TOLERANCE[dtype]
    expected, _ = textbook.backward_parameters(*in_float64(g * mask), in_float64(x, w))
    assert relative_error(way.kernel_gradient(*on_device(x, g, mask), kernel).get(), expected) < TOLERANCE[dtype]
