"""Instance normalisation of every engine, alone and with its ReLU, each against the textbook in float64."""

from __future__ import annotations

import tracemalloc

import numpy as np
import platforms
import pytest
from numerical import central_differences, relative_error

from scratchnst.engine import cpu, meta, textbook
from scratchnst.engine.cpu import instance_norm, threads

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
# Single pixels, rows and columns, odd sides, batches, few channels and many.
SHAPES = [
    (1, 1, 1, 3),
    (1, 1, 9, 2),
    (1, 9, 1, 1),
    (2, 5, 7, 65),
    (1, 3, 2, 257),
    (3, 17, 6, 3),
    (1, 65, 2, 1),
    (2, 33, 4, 5),
]
NAMES = ["instance_norm", "instance_norm_relu"]
names = pytest.mark.parametrize("name", NAMES)
everywhere = pytest.mark.parametrize("platform", [*platforms.THREADS, *platforms.CUDA], indirect=True)


def arguments(random, shape, dtype="float64", mean=0.0):
    """Return x, scale, shift and an upstream gradient."""
    shapes = shape, (shape[0], shape[3]), (shape[0], shape[3]), shape
    x, *others = (random.standard_normal(each) for each in shapes)
    return [each.astype(dtype) for each in (x + mean, *others)]


def run(engine, name, x, scale, shift, grad_y):
    """Return y, dL/dx, dL/dscale and dL/dshift."""
    operation = getattr(engine, name)
    y, cache = operation.forward(x, scale, shift)
    return y, *operation.backward(grad_y, cache)


def assert_textbooks(platform, name, inputs, tolerance):
    """Compare what an engine makes of inputs there with the textbook; return what it makes."""
    there = list(map(platform.there, inputs))
    found = [platform.back(each) for each in run(platform.engine, name, *there)]
    expected = run(textbook, name, *(each.astype("float64") for each in inputs))
    for actual, wanted in zip(found, expected):
        assert actual.shape == wanted.shape
        assert actual.dtype == inputs[0].dtype
        scale = np.max(np.abs(wanted), initial=1e-30)
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=tolerance * scale)
    for value, given in zip(there, inputs):
        np.testing.assert_array_equal(platform.back(value), given)
    return found


@names
@pytest.mark.parametrize("shape", SHAPES)
@everywhere
def test_values_and_gradients_are_the_textbooks(random, name, shape, dtype, platform):
    assert_textbooks(platform, name, arguments(random, shape, dtype), TOLERANCE[dtype])


@names
@everywhere
def test_far_from_zero(random, name, dtype, platform):
    """A mean of 10,000 s, so that x has four digits less than usual, and no more are lost."""
    tolerance = {"float32": 1e-5, "float64": 1e-9}[dtype]
    assert_textbooks(platform, name, arguments(random, (2, 19, 7, 5), dtype, mean=1e4), tolerance)


@names
@everywhere
def test_a_channel_of_one_number(name, dtype, platform):
    x = np.full((2, 6, 7, 3), [7.1, -1e4, 0], dtype)
    scale, shift = np.full((2, 3), 5, dtype), np.full((2, 3), [0.3, 0, 2], dtype)
    y, *grads = map(platform.back, run(platform.engine, name, *map(platform.there, (x, scale, shift, x))))
    np.testing.assert_allclose(y, np.broadcast_to(shift[:, None, None], x.shape), atol=1e-6)
    assert all(np.isfinite(gradient).all() for gradient in grads)


@names
def test_gradients_equal_central_differences(random, name, platform):
    *inputs, grad_y = arguments(random, (2, 3, 4, 3))
    _, *grads = map(platform.back, run(platform.engine, name, *map(platform.there, (*inputs, grad_y))))
    operation = getattr(platform.engine, name)
    for position, (value, gradient) in enumerate(zip(inputs, grads)):

        def loss(value, position=position):
            changed = [*inputs[:position], value, *inputs[position + 1 :]]
            return np.sum(grad_y * platform.back(operation.forward(*map(platform.there, changed))[0]))

        assert relative_error(gradient, central_differences(loss, value, 1e-5)) < 1e-5


@names
def test_one_half_of_the_gradients_alone(random, name, platform):
    """Those of the parameters and that of the input, from one cache, whose last entry tells the ReLU's mask."""
    x, scale, shift, grad_y = map(platform.there, arguments(random, (2, 5, 4, 3)))
    operation = getattr(platform.engine, name)
    y, cache = operation.forward(x, scale, shift)
    grad_x, *parameters = operation.backward(grad_y, cache)
    halves = [operation.backward_input(grad_y, cache), *operation.backward_parameters(grad_y, cache)]
    for actual, expected in zip(halves, (grad_x, *parameters)):
        np.testing.assert_array_equal(platform.back(actual), platform.back(expected))
    if name == "instance_norm_relu":
        np.testing.assert_array_equal(platform.back(cache[-1] > 0), platform.back(y) > 0)
        assert platform.back(y).min() == 0


@names
def test_inputs_that_are_not_contiguous(random, name, platform):
    inputs = arguments(random, (2, 6, 5, 3))
    strange = [platform.there(each).T.copy().T for each in inputs]
    assert not strange[0].flags.c_contiguous
    for actual, expected in zip(run(platform.engine, name, *strange), run(textbook, name, *inputs)):
        np.testing.assert_allclose(platform.back(actual), expected, rtol=1e-11, atol=1e-12)


@names
@pytest.mark.parametrize("engine", [cpu, textbook], ids=["cpu", "textbook"])
def test_it_takes_as_much_memory_as_is_told(random, name, engine, dtype):
    x, scale, shift, grad_y = arguments(random, (2, 120, 110, 17), dtype)

    def there_and_back(operation, x, grad_y):
        _, cache = operation.forward(x, scale, shift)
        operation.backward_input(grad_y, cache)

    threads.release()  # buffers that they keep would not be allocated again
    tracemalloc.start()
    there_and_back(getattr(engine, name), x, grad_y)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    told = meta.of(engine.name)
    arrays = [told.asarray(each) for each in (x, grad_y)]
    before = told.ledger.now
    there_and_back(getattr(told, name), *arrays)
    assert told.ledger.peak - before == pytest.approx(taken, rel=0.1)


@names
def test_nan_is_not_hidden(random, name, platform):
    """It is in the mean of its channel, and so in all of it, and in no other channel."""
    inputs = arguments(random, (2, 4, 5, 3))
    inputs[0][1, 2, 3, 0] = np.nan
    for each in map(platform.back, run(platform.engine, name, *map(platform.there, inputs))[:2]):
        found = np.isnan(each)
        assert found[1, ..., 0].any()
        assert not found[0].any()
        assert not found[1, ..., 1:].any()


@names
def test_no_images(name, platform):
    x, of_channels = platform.there(np.zeros((0, 4, 5, 3))), platform.there(np.zeros((0, 3)))
    y, grad_x, *parameters = run(platform.engine, name, x, of_channels, of_channels, x)
    assert y.shape == grad_x.shape == (0, 4, 5, 3)
    assert [each.shape for each in parameters] == [(0, 3), (0, 3)]


@names
def test_what_does_not_fit_is_refused(name, platform):
    operation = getattr(platform.engine, name)
    x, of_channels = platform.there(np.zeros((2, 4, 5, 3))), platform.there(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"a scale and a shift of the shape \(2, 3\)"):
        operation.forward(x, of_channels[:1], of_channels)
    with pytest.raises(ValueError, match="without pixels"):
        operation.forward(x[:, :0], of_channels, of_channels)
    with pytest.raises(ValueError, match="takes float32 or float64"):
        operation.forward(x.astype("int64"), of_channels, of_channels)
    _, cache = operation.forward(x, of_channels, of_channels)
    for shape in ((2, 4, 4, 3), (1, 4, 5, 3), (2, 4, 5, 1)):
        with pytest.raises(ValueError, match="gradient's shape"):
            operation.backward(platform.there(np.zeros(shape)), cache)


@names
@pytest.mark.parametrize(("numbers", "rows"), [(64, 3), (64, 1), (7, 2), (1, 1)])
@pytest.mark.parametrize("platform", platforms.THREADS, indirect=True)
def test_strips_of_any_size(random, name, numbers, rows, dtype, platform, monkeypatch):
    """Of several rows, with and without pixels that are left over, and of single pixels."""
    monkeypatch.setattr(instance_norm, "NUMBERS", numbers)
    monkeypatch.setattr(instance_norm, "ROWS_PER_STRIP", rows)
    for shape in ((2, 7, 9, 5), (1, 8, 8, 4), (3, 2, 1, 9)):
        inputs = arguments(random, shape, dtype)
        inputs[0] *= 1e-3  # so that EPSILON matters, and dL/dx of two pixels is not all but zero
        assert_textbooks(platform, name, inputs, TOLERANCE[dtype])


@names
def test_a_large_image_is_the_same_on_any_number_of_threads(random, name):
    """Of some strips and what is left over; its border, which the pivot is in, is of another kind."""
    inputs = arguments(random, (2, 90, 61, 17), "float32")
    inputs[0][:, :3] = 50
    results = []
    for number in (1, 2, 3):
        threads.set_count(number)
        results.append(assert_textbooks(platforms.Platform("cpu", cpu), name, inputs, 2e-5))
    threads.set_count(None)
    for other in results[1:]:
        for first, again in zip(results[0], other):
            np.testing.assert_array_equal(first, again)
