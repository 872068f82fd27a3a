"""Upsampling and convolution in one, of every engine, against the textbook in float64."""

from __future__ import annotations

import numpy as np
import platforms
import pytest
from numerical import central_differences, relative_error

from scratchnst.engine import cpu
from scratchnst.engine.cpu import banded, threads
from scratchnst.engine.textbook import upsampled_conv2d as textbook
from scratchnst.verify.numpy_engine import as_numpy_engine

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
# Single pixels, rows and columns, odd sides, batches, many channels
CASES = [((1, 1, 1, 3), 2), ((2, 1, 5, 2), 3), ((1, 6, 1, 3), 1), ((2, 5, 4, 3), 17), ((3, 9, 14, 33), 5)]


def case(random, shape, outputs, dtype):
    """Return x, w, b, and a gradient of the result's shape."""
    count, height, width, channels = shape
    shapes = shape, (3, 3, channels, outputs), (outputs,), (count, 2 * height, 2 * width, outputs)
    return [random.standard_normal(one).astype(dtype) for one in shapes]


def computed(operation, x, w, b, grad_y):
    """Return y and the three gradients."""
    y, cache = operation.forward(x, w, b)
    return y, *operation.backward(grad_y, cache)


def assert_the_textbooks(actual, arrays):
    """Compare y and the gradients with those of the textbook in float64."""
    dtype = arrays[0].dtype
    for ours, theirs in zip(actual, computed(textbook, *[array.astype("float64") for array in arrays])):
        assert ours.dtype == dtype
        assert ours.shape == theirs.shape
        assert relative_error(ours, theirs) < TOLERANCE[str(dtype)]


@pytest.mark.parametrize(("shape", "outputs"), CASES)
def test_values_and_gradients_are_the_textbooks(random, shape, outputs, dtype, platform):
    arrays = case(random, shape, outputs, dtype)
    before = [array.copy() for array in arrays]
    actual = computed(as_numpy_engine(platform.engine).upsampled_conv2d, *arrays)
    assert_the_textbooks(actual, arrays)
    for array, old in zip(arrays, before):
        np.testing.assert_array_equal(array, old)


@pytest.mark.parametrize("numbers", [(1, 1), (400, 130)])
@pytest.mark.parametrize(("shape", "outputs"), CASES)
def test_strips_do_not_show(random, monkeypatch, shape, outputs, numbers, dtype):
    for name, number in zip(("NUMBERS_PER_STRIP", "NUMBERS_OF_WINDOWS", "PRODUCT"), (*numbers, 100 * numbers[0])):
        monkeypatch.setattr(banded, name, number)
    arrays = case(random, shape, outputs, dtype)
    assert_the_textbooks(computed(cpu.upsampled_conv2d, *arrays), arrays)


def test_gradients_equal_central_differences(random):
    *inputs, g = case(random, (1, 2, 3, 2), 3, "float64")
    for index, gradient in enumerate(computed(cpu.upsampled_conv2d, *inputs, g)[1:]):

        def loss(value, index=index):
            return np.sum(g * cpu.upsampled_conv2d.forward(*inputs[:index], value, *inputs[index + 1 :])[0])

        assert relative_error(gradient, central_differences(loss, inputs[index], 1e-3)) < 1e-9


def test_results_do_not_depend_on_the_number_of_threads(random):
    """To the last bit."""
    arrays, results = case(random, (2, 40, 33, 24), 20, "float32"), []
    for number in (1, 2, 3):
        threads.set_count(number)
        results.append(computed(cpu.upsampled_conv2d, *arrays))
    threads.set_count(None)
    for one, *others in zip(*results):
        for other in others:
            np.testing.assert_array_equal(one, other)


def test_inputs_that_are_not_contiguous(random, platform):
    operation = as_numpy_engine(platform.engine).upsampled_conv2d
    arrays = case(random, (2, 6, 5, 3), 4, "float64")
    strange = [array.T.copy().T for array in arrays]
    for ours, usual in zip(computed(operation, *strange), computed(operation, *arrays)):
        np.testing.assert_allclose(ours, usual, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("platform", platforms.ALL, indirect=True)
def test_the_gradient_of_the_image_needs_no_image(random, platform):
    operation = as_numpy_engine(platform.engine).upsampled_conv2d
    x, w, b, g = case(random, (2, 3, 4, 3), 4, "float64")
    _, cache = operation.forward(x, w, b)
    np.testing.assert_array_equal(operation.backward_input(g, (None, *cache[1:])), operation.backward_input(g, cache))


@pytest.mark.parametrize(
    ("x", "w", "b", "message"),
    [
        ((1, 4, 4, 3), (3, 3, 2, 5), 5, "channels do not match"),
        ((1, 4, 4, 3), (3, 3, 3, 5), 4, "channels do not match"),
        ((1, 4, 4, 3), (5, 5, 3, 5), 5, "a 3x3 kernel, not with one of 5x5"),
        ((1, 0, 4, 3), (3, 3, 3, 5), 5, "does not fit"),
    ],
)
def test_what_cannot_be_convolved_is_refused(x, w, b, message, platform):
    with pytest.raises(ValueError, match=message):
        as_numpy_engine(platform.engine).upsampled_conv2d.forward(np.zeros(x), np.zeros(w), np.zeros(b))


@pytest.mark.parametrize("shape", [(2, 8, 8, 2), (1, 7, 8, 2), (1, 8, 9, 2), (1, 8, 8, 1), (8, 8, 2)])
def test_gradients_that_do_not_fit_are_refused(shape):
    _, cache = cpu.upsampled_conv2d.forward(np.zeros((1, 4, 4, 3)), np.zeros((3, 3, 3, 2)), np.zeros(2))
    for backward in (cpu.upsampled_conv2d.backward_input, cpu.upsampled_conv2d.backward_parameters):
        with pytest.raises(ValueError, match="gradient's shape"):
            backward(np.zeros(shape), cache)


@pytest.mark.parametrize(("shape", "outputs"), [((0, 4, 4, 3), 2), ((1, 4, 4, 0), 2), ((1, 4, 4, 3), 0)])
def test_nothing_to_convolve(random, shape, outputs):
    """No images give none; without input channels the bias is all there is."""
    x, w, b, g = case(random, shape, outputs, "float32")
    y, grad_x, grad_w, grad_b = computed(cpu.upsampled_conv2d, x, w, b, g)
    assert (y.shape, grad_x.shape, grad_w.shape, grad_b.shape) == (g.shape, x.shape, w.shape, b.shape)
    assert not grad_x.any()
    assert not grad_w.any()
    if not shape[3]:
        np.testing.assert_array_equal(y, np.broadcast_to(b, y.shape))
